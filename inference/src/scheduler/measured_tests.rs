//! What the scheduler records, with engines that the test drives.

use super::tests::{known, plan, poll_once, request, within, LONG};
use super::*;
use crate::telemetry::tests::Seen;
use scaling::catalogue::internal;
use scaling::level::{integral, level};

use std::sync::mpsc::{channel, Receiver, Sender};

/// Takes as long as the test lets it, on a GPU or not.
struct Held {
    on_gpu: bool,
    begun: Sender<()>,
    go: Receiver<()>,
}

impl Engine for Held {
    fn run(&mut self, _: &[Tensor]) -> Result<Vec<Value>, RunError> {
        let _ = self.begun.send(());
        let _ = self.go.recv();
        Ok(Vec::new())
    }

    fn is_on_gpu(&self) -> bool {
        self.on_gpu
    }
}

struct Test {
    seen: Seen,
    epoch: Instant,
    scheduler: Scheduler,
    begun: Receiver<()>,
    go: Vec<Sender<()>>,
}

/// One slot for each word, which says whether it is on a GPU.
fn start(on_gpu: &[bool]) -> Test {
    let (seen, epoch) = (Seen::default(), Instant::now());
    let (begin, begun) = channel();
    let mut go = Vec::new();
    let engines = on_gpu
        .iter()
        .map(|&on_gpu| {
            let (sender, receiver) = channel();
            go.push(sender);
            let begun = begin.clone();
            Box::new(Held {
                on_gpu,
                begun,
                go: receiver,
            }) as Box<dyn Engine>
        })
        .collect();
    let metrics = SchedulerMetrics::register(seen.source(epoch));
    Test {
        scheduler: Scheduler::start(engines, plan(8), metrics).unwrap(),
        seen,
        epoch,
        begun,
        go,
    }
}

impl Test {
    fn submit(&self) -> tokio::task::JoinHandle<Result<Ran, SubmitError>> {
        let scheduler = self.scheduler.clone();
        tokio::spawn(async move {
            let now = Instant::now();
            scheduler.submit(request(1), within(LONG), now).await
        })
    }

    /// What a level's time comes to up to now, seconds.
    fn secs(&self, name: &str) -> f64 {
        let now = self.epoch.elapsed().as_micros() as u64;
        integral(self.seen.counter(name), now) as f64 / 1e6
    }

    fn level(&self, name: &str) -> u64 {
        level(self.seen.counter(name))
    }
}

#[tokio::test]
async fn a_gpu_is_busy_while_any_run_is_on_it() {
    let test = start(&[true, true]);
    assert_eq!(test.seen.gauge(internal::GPU_SLOTS), 2.0);
    assert_eq!(test.level(internal::GPU_RUNS), 0);
    let begun = Instant::now();
    let both = [test.submit(), test.submit()];
    tokio::task::yield_now().await;
    (0..2).for_each(|_| test.begun.recv().unwrap());
    assert_eq!(test.level(internal::GPU_RUNS), 1, "two runs, one busy GPU");
    assert_eq!(test.level(internal::BUSY_SLOTS), 2);
    let held = Duration::from_millis(20);
    thread::sleep(held);
    test.go.iter().for_each(|go| go.send(()).unwrap());
    for run in both {
        run.await.unwrap().unwrap();
    }
    let took = begun.elapsed().as_secs_f64();
    let busy = test.secs(internal::GPU_RUNS);
    assert_eq!(test.level(internal::GPU_RUNS), 0);
    assert!(
        (held.as_secs_f64()..=took).contains(&busy),
        "{busy} s of {took} s"
    );
    // What is over no longer grows.
    assert_eq!(test.secs(internal::GPU_RUNS), busy);
}

#[tokio::test]
async fn runs_on_a_cpu_leave_the_gpu_alone() {
    let test = start(&[false]);
    let run = test.submit();
    tokio::task::yield_now().await;
    test.begun.recv().unwrap();
    assert_eq!(test.seen.gauge(internal::GPU_SLOTS), 0.0);
    assert_eq!(test.seen.counter(internal::GPU_RUNS), 0);
    test.go[0].send(()).unwrap();
    run.await.unwrap().unwrap();
    assert_eq!(test.seen.counter(internal::GPU_RUNS), 0);
    assert_eq!(test.seen.values("BatchSize"), [1.0]);
}

#[tokio::test]
async fn the_queue_tells_since_when_its_oldest_request_waits() {
    let test = start(&[false]);
    assert_eq!(test.seen.gauge(internal::OLDEST_SINCE), 0.0);
    let first = test.submit();
    tokio::task::yield_now().await;
    test.begun.recv().unwrap();
    assert_eq!(test.seen.gauge(internal::OLDEST_SINCE), 0.0, "it runs");
    let before = test.epoch.elapsed().as_micros() as f64;
    let second = test.submit();
    tokio::task::yield_now().await;
    let since = test.seen.gauge(internal::OLDEST_SINCE);
    assert!(since >= before, "{since} {before}");
    let third = test.submit();
    tokio::task::yield_now().await;
    assert_eq!(
        test.seen.gauge(internal::OLDEST_SINCE),
        since,
        "the front is the same"
    );
    assert_eq!(test.level("QueueDepth"), 2);
    test.go[0].send(()).unwrap();
    test.begun.recv().unwrap();
    assert!(
        test.seen.gauge(internal::OLDEST_SINCE) >= since,
        "the third is the oldest"
    );
    (0..2).for_each(|_| test.go[0].send(()).unwrap());
    for run in [first, second, third] {
        run.await.unwrap().unwrap();
    }
    assert_eq!(test.seen.gauge(internal::OLDEST_SINCE), 0.0);
    assert_eq!(test.level("QueueDepth"), 0);
    // Each second of the level is a second of somebody's wait.
    let waits: f64 = test.seen.values("QueueLatency").iter().sum();
    assert!((test.secs("QueueDepth") - waits / 1e6).abs() < 1e-5);
}

#[tokio::test]
async fn a_short_run_is_recorded_without_a_queue() {
    let test = start(&[false]);
    test.scheduler
        .calibrate(&known(Duration::from_micros(5)), &request(1), Most::ONE);
    test.go
        .iter()
        .for_each(|go| (0..3).for_each(|_| go.send(()).unwrap()));
    let submit = || {
        let decoded = Instant::now();
        test.scheduler.submit(request(1), within(LONG), decoded)
    };
    // The first one looks whether another joins; from then on they run at once.
    submit().await.unwrap();
    for _ in 0..2 {
        assert!(poll_once(&mut Box::pin(submit())));
    }
    assert_eq!(test.seen.counter("QueueDepth"), 0);
    assert_eq!(test.seen.values("QueueLatency").len(), 3);
    assert_eq!(test.seen.values("BatchSize"), [1.0; 3]);
    let runs: f64 = test.seen.values("InferenceLatency").iter().sum();
    assert!(runs > 0.0);
}
