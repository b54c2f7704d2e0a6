//! The scheduler against engines that the test drives: hold, answer, fail, panic.

use std::sync::mpsc::{channel, Receiver, Sender};

use super::*;
use crate::runtime::capacity::{Most, Point};
use crate::tensor::Data;

enum Step {
    Answer,
    Fail,
    Panic,
}

/// Waits for the test to say what the run does; tells the test when a run begins.
struct Scripted {
    begun: Sender<usize>,
    steps: Receiver<Step>,
}

impl Engine for Scripted {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Value>, RunError> {
        self.begun.send(inputs[0].data().len()).ok();
        match self.steps.recv() {
            Ok(Step::Answer) => Ok(vec![Value::Absent]),
            Ok(Step::Fail) => Err(RunError::Failed("as told".to_owned())),
            Ok(Step::Panic) => panic!("as told"),
            Err(_) => Err(RunError::Failed("the test is over".to_owned())),
        }
    }
}

struct Test {
    scheduler: Scheduler,
    begun: Receiver<usize>,
    steps: Sender<Step>,
}

fn start(queue_limit: usize) -> Test {
    let (begun_in, begun) = channel();
    let (steps, steps_out) = channel();
    let metrics = SchedulerMetrics::register(crate::telemetry::Source::nowhere());
    let engine: Box<dyn Engine> = Box::new(Scripted {
        begun: begun_in,
        steps: steps_out,
    });
    Test {
        scheduler: Scheduler::start(vec![engine], plan(queue_limit), metrics).unwrap(),
        begun,
        steps,
    }
}

pub(super) fn plan(queue_limit: usize) -> Plan {
    Plan {
        queue_limit,
        may_stay: true,
        threads: 1,
    }
}

pub(super) fn request(elements: usize) -> Vec<Tensor> {
    vec![Tensor::new(vec![elements], Data::Float32(vec![0.0; elements].into())).unwrap()]
}

/// What warm-up would say of runs that take so long.
pub(super) fn known(run: Duration) -> Capacity {
    Capacity::new(vec![Point { rows: 1, run }], 1.0).unwrap()
}

pub(super) fn within(limit: Duration) -> Allowance {
    Allowance {
        arrived: Instant::now(),
        limit,
    }
}

pub(super) const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_request_is_answered() {
    let test = start(4);
    test.steps.send(Step::Answer).unwrap();
    let ran = test
        .scheduler
        .submit(request(1), within(LONG), Instant::now())
        .await
        .unwrap();
    assert_eq!(ran.outputs, [Value::Absent]);
}

#[tokio::test]
async fn a_failed_run_and_a_panic_cost_one_reply_each() {
    let test = start(4);
    for (step, expected) in [
        (Step::Fail, RunError::Failed("as told".to_owned())),
        (Step::Panic, RunError::Panicked),
    ] {
        test.steps.send(step).unwrap();
        let error = test
            .scheduler
            .submit(request(1), within(LONG), Instant::now())
            .await
            .unwrap_err();
        assert_eq!(error, SubmitError::Run(expected));
    }
    test.steps.send(Step::Answer).unwrap();
    let after = test
        .scheduler
        .submit(request(1), within(LONG), Instant::now())
        .await;
    assert!(after.is_ok(), "{after:?}");
}

#[tokio::test]
async fn refuses_when_the_queue_is_full() {
    let test = start(1);
    let submit = |n| {
        let scheduler = test.scheduler.clone();
        tokio::spawn(async move {
            scheduler
                .submit(request(n), within(LONG), Instant::now())
                .await
        })
    };
    let running = submit(1);
    tokio::task::yield_now().await;
    assert_eq!(test.begun.recv().unwrap(), 1);
    let waiting = submit(2);
    tokio::task::yield_now().await;
    assert_eq!(test.scheduler.waiting(), 1);
    let refused = submit(3).await.unwrap().unwrap_err();
    assert!(
        matches!(refused, SubmitError::QueueFull { limit: 1, .. }),
        "{refused:?}"
    );
    test.steps.send(Step::Answer).unwrap();
    test.steps.send(Step::Answer).unwrap();
    assert!(running.await.unwrap().is_ok());
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn refuses_what_cannot_be_in_time_behind_others_and_only_that() {
    let test = start(8);
    test.scheduler
        .calibrate(&known(Duration::from_secs(2)), &request(1), Most::ONE);
    let second = Duration::from_secs(1);
    // On an idle server even what took long before is tried.
    let scheduler = test.scheduler.clone();
    let running = tokio::spawn(async move {
        scheduler
            .submit(request(1), within(LONG), Instant::now())
            .await
    });
    tokio::task::yield_now().await;
    assert_eq!(test.begun.recv().unwrap(), 1);
    let scheduler = test.scheduler.clone();
    let waiting = tokio::spawn(async move {
        scheduler
            .submit(request(1), within(LONG), Instant::now())
            .await
    });
    tokio::task::yield_now().await;
    let error = test
        .scheduler
        .submit(request(1), within(second), Instant::now())
        .await
        .unwrap_err();
    assert!(matches!(error, SubmitError::Hopeless { .. }), "{error:?}");
    for _ in 0..2 {
        test.steps.send(Step::Answer).unwrap();
    }
    assert!(running.await.unwrap().is_ok() && waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn callers_who_left_make_room_in_a_full_queue() {
    let test = start(1);
    let submit = |n| {
        let scheduler = test.scheduler.clone();
        tokio::spawn(async move {
            scheduler
                .submit(request(n), within(LONG), Instant::now())
                .await
        })
    };
    let running = submit(1);
    tokio::task::yield_now().await;
    assert_eq!(test.begun.recv().unwrap(), 1);
    let left = submit(2);
    tokio::task::yield_now().await;
    left.abort();
    tokio::task::yield_now().await;
    let next = submit(3);
    tokio::task::yield_now().await;
    for _ in 0..2 {
        test.steps.send(Step::Answer).unwrap();
    }
    assert!(running.await.unwrap().is_ok());
    assert!(next.await.unwrap().is_ok());
}

#[tokio::test]
async fn work_that_nobody_waits_for_does_not_run() {
    let test = start(8);
    let scheduler = test.scheduler.clone();
    let first = tokio::spawn(async move {
        scheduler
            .submit(request(1), within(LONG), Instant::now())
            .await
    });
    tokio::task::yield_now().await;
    assert_eq!(test.begun.recv().unwrap(), 1);
    // The second waits behind the first for longer than it may.
    let error = test
        .scheduler
        .submit(
            request(2),
            within(Duration::from_millis(20)),
            Instant::now(),
        )
        .await
        .unwrap_err();
    assert!(matches!(error, SubmitError::TimedOut(_)), "{error:?}");
    for _ in 0..2 {
        test.steps.send(Step::Answer).unwrap();
    }
    assert!(first.await.unwrap().is_ok());
    let third = test
        .scheduler
        .submit(request(3), within(LONG), Instant::now())
        .await;
    assert!(third.is_ok(), "{third:?}");
    let runs: Vec<_> = test.begun.try_iter().collect();
    assert_eq!(runs, [3], "the abandoned request ran");
}

/// A scheduler that knows its runs to be short.
fn start_short() -> Test {
    let test = start(8);
    test.scheduler
        .calibrate(&known(Duration::from_micros(5)), &request(1), Most::ONE);
    test
}

/// Submits one short run.
async fn submit(test: &Test) -> Result<Ran, SubmitError> {
    test.scheduler
        .submit(request(1), within(LONG), Instant::now())
        .await
}

#[tokio::test]
async fn a_lone_short_run_stays_on_the_thread_that_read_it() {
    let test = start_short();
    for _ in 0..2 {
        test.steps.send(Step::Answer).unwrap();
    }
    let submit = || {
        test.scheduler
            .submit(request(1), within(LONG), Instant::now())
    };
    // The first one looks whether another joins; nobody does.
    assert!(submit().await.is_ok());
    // An inline run is over before the first await.
    assert!(
        poll_once(&mut Box::pin(submit())),
        "the run was handed over"
    );
}

#[tokio::test]
async fn short_runs_of_one_wake_up_are_led_by_the_first() {
    let test = start_short();
    for _ in 0..3 {
        test.steps.send(Step::Answer).unwrap();
    }
    let submit = || Box::pin(submit(&test));
    let (mut first, mut second, mut third) = (submit(), submit(), submit());
    for waiting in [&mut first, &mut second, &mut third] {
        assert!(!poll_once(waiting), "ran before the others were read");
    }
    assert_eq!(test.begun.try_iter().count(), 0);
    assert!(first.await.is_ok());
    // All three ran when the first did.
    assert_eq!(test.begun.try_iter().count(), 3);
    assert!(poll_once(&mut second) && poll_once(&mut third));
}

#[tokio::test]
async fn a_leader_who_hangs_up_forgets_nobody() {
    let test = start_short();
    let submit = || Box::pin(submit(&test));
    let (mut first, mut second) = (submit(), submit());
    assert!(!poll_once(&mut first) && !poll_once(&mut second));
    drop(first);
    test.steps.send(Step::Answer).unwrap();
    assert!(second.await.is_ok());
}

/// Lets one run go on after so long.
fn answer_after(steps: &Sender<Step>, pause: Duration) -> JoinHandle<()> {
    let steps = steps.clone();
    thread::spawn(move || {
        thread::sleep(pause);
        steps.send(Step::Answer).unwrap();
    })
}

#[tokio::test]
async fn a_leader_whose_runs_take_long_lets_others_have_their_turn_and_goes_on() {
    let test = start_short();
    let submit = || Box::pin(submit(&test));
    let (mut first, mut second, mut third) = (submit(), submit(), submit());
    for waiting in [&mut first, &mut second, &mut third] {
        assert!(!poll_once(waiting));
    }
    for ran in 1..=2 {
        let slow = answer_after(&test.steps, 2 * LEAD_FOR);
        assert!(!poll_once(&mut first), "it is the others' turn");
        slow.join().unwrap();
        assert_eq!(test.begun.try_iter().count(), 1, "run {ran} took its time");
        assert_eq!(test.scheduler.waiting(), 0, "nobody was handed over");
    }
    assert!(poll_once(&mut second));
    // Whoever is left when the leader's caller hangs up is handed over.
    drop(first);
    test.steps.send(Step::Answer).unwrap();
    assert!(third.await.is_ok());
}

#[tokio::test]
async fn a_short_run_that_was_interrupted_is_still_a_short_run() {
    let test = start_short();
    let submit = || {
        test.scheduler
            .submit(request(1), within(LONG), Instant::now())
    };
    // It waits and uses no CPU time meanwhile, as when others have the core.
    let interrupted = answer_after(&test.steps, Duration::from_millis(30));
    assert!(submit().await.is_ok());
    interrupted.join().unwrap();
    test.steps.send(Step::Answer).unwrap();
    assert!(poll_once(&mut Box::pin(submit())), "the class left");
}

/// Whether the future is ready at this poll.
pub(super) fn poll_once<F: std::future::Future>(future: &mut std::pin::Pin<Box<F>>) -> bool {
    let waker = std::task::Waker::noop();
    let mut context = std::task::Context::from_waker(waker);
    future.as_mut().poll(&mut context).is_ready()
}

#[tokio::test]
async fn engines_come_back_when_nobody_holds_the_scheduler_any_more() {
    let test = start(4);
    let other = test.scheduler.clone();
    drop(test.steps);
    assert!(other.end().is_none(), "the test holds it too");
    assert_eq!(test.scheduler.end().map(|engines| engines.len()), Some(1));
}
