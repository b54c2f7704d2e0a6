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

/// Gives every element back doubled, or fails, and tells how many records a run had. A record that
/// holds a 7 fails its run; runs begin when the test says so.
struct Doubling {
    begun: Sender<usize>,
    go: Receiver<()>,
    /// Whether the output has one record however many there were.
    reduces: bool,
}

impl Engine for Doubling {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Value>, RunError> {
        self.begun.send(inputs[0].rows()).ok();
        self.go.recv().ok();
        let Data::Float32(values) = inputs[0].data() else {
            return Err(RunError::Failed("not float32".to_owned()));
        };
        if values.contains(&7.0) {
            return Err(RunError::Failed("a seven".to_owned()));
        }
        let mut shape = inputs[0].shape().to_vec();
        let mut doubled: Vec<f32> = values.iter().map(|value| 2.0 * value).collect();
        if self.reduces {
            shape[0] = 1;
            doubled.truncate(shape[1..].iter().product());
        }
        let tensor = Tensor::new(shape, Data::Float32(doubled.into())).unwrap();
        Ok(vec![Value::Tensor(tensor)])
    }
}

/// A scheduler of one slot whose runs are shared, its runs' sizes, and the way to let one go on.
fn start_sharing(reduces: bool, most: Most) -> (Scheduler, Receiver<usize>, Sender<()>) {
    let (begun_in, begun) = channel();
    let (go, go_out) = channel();
    let engine: Box<dyn Engine> = Box::new(Doubling {
        begun: begun_in,
        go: go_out,
        reduces,
    });
    let metrics = SchedulerMetrics::register(crate::telemetry::Source::nowhere());
    let scheduler = Scheduler::start(vec![engine], plan(64), metrics).unwrap();
    let long = known(Duration::from_millis(5));
    scheduler.calibrate(&long, &record(1.0), most);
    (scheduler, begun, go)
}

fn record(value: f32) -> Vec<Tensor> {
    vec![Tensor::new(vec![1, 2], Data::Float32(vec![value; 2].into())).unwrap()]
}

/// Submits one record for each value while the first one's run is held, then lets all go on.
async fn ran_together(
    reduces: bool,
    values: &[f32],
) -> (Vec<Result<Ran, SubmitError>>, Vec<usize>) {
    let (scheduler, begun, go) = start_sharing(reduces, Most::records(8));
    let mut waiting = Vec::new();
    for (at, &value) in values.iter().enumerate() {
        let scheduler = scheduler.clone();
        waiting.push(tokio::spawn(async move {
            scheduler
                .submit(record(value), within(LONG), Instant::now())
                .await
        }));
        tokio::task::yield_now().await;
        while at == 0 && scheduler_is_idle(&begun) {
            tokio::task::yield_now().await;
        }
    }
    for _ in 0..2 * values.len() + 2 {
        go.send(()).ok();
    }
    let mut answers = Vec::new();
    for answer in waiting {
        answers.push(answer.await.unwrap());
    }
    (answers, begun.try_iter().collect())
}

/// Takes the first run's size, once it has begun.
fn scheduler_is_idle(begun: &Receiver<usize>) -> bool {
    begun.recv_timeout(Duration::from_millis(1)).is_err()
}

fn first_value(ran: &Result<Ran, SubmitError>) -> f32 {
    match &ran.as_ref().unwrap().outputs[0] {
        Value::Tensor(tensor) => match tensor.data() {
            Data::Float32(values) => values[0],
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn those_that_wait_share_a_run_and_get_their_own_records_back() {
    let values: Vec<f32> = (10..22).map(|n| n as f32).collect();
    let (answers, runs) = ran_together(false, &values).await;
    for (value, answer) in values.iter().zip(&answers) {
        assert_eq!(first_value(answer), 2.0 * value);
    }
    assert_eq!(runs, [8, 3], "eleven waited, eight records a run");
}

#[tokio::test]
async fn one_that_fails_costs_its_own_reply_only() {
    let (answers, runs) = ran_together(false, &[1.0, 2.0, 7.0, 3.0]).await;
    assert_eq!(runs, [3, 1, 1, 1], "together, then each alone");
    assert_eq!(first_value(&answers[1]), 4.0);
    assert_eq!(first_value(&answers[3]), 6.0);
    let failed = RunError::Failed("a seven".to_owned());
    assert_eq!(answers[2].as_ref().unwrap_err(), &SubmitError::Run(failed));
}

#[tokio::test]
async fn a_model_that_does_not_answer_each_record_is_not_shared_again() {
    let (answers, runs) = ran_together(true, &[1.0, 2.0, 3.0, 4.0]).await;
    assert_eq!(runs, [3, 1, 1, 1]);
    for (value, answer) in [1.0, 2.0, 3.0, 4.0].into_iter().zip(&answers) {
        assert_eq!(first_value(answer), 2.0 * value);
    }
}

/// Records of two numbers that are four parts of 128 KiB each, which is the least there are.
const MANY: usize = 4 * (16 << 10);

/// A request of many records, each the number of its place.
fn many() -> Vec<Tensor> {
    let values: Vec<f32> = (0..2 * MANY).map(|value| (100 + value) as f32).collect();
    vec![Tensor::new(vec![MANY, 2], Data::Float32(values.into())).unwrap()]
}

/// Large requests run in parts.
const IN_PARTS: Most = Most {
    part: 2 * 8,
    ..Most::ONE
};

#[tokio::test]
async fn a_large_request_runs_in_parts_and_is_answered_whole() {
    let (scheduler, begun, go) = start_sharing(false, IN_PARTS);
    for _ in 0..4 {
        go.send(()).unwrap();
    }
    let ran = scheduler.submit(many(), within(LONG), Instant::now()).await;
    let ran = ran.unwrap();
    assert_eq!(begun.try_iter().collect::<Vec<_>>(), [MANY / 4; 4]);
    let doubled: Vec<f32> = (0..2 * MANY).map(|v| 2.0 * (100 + v) as f32).collect();
    let whole = Tensor::new(vec![MANY, 2], Data::Float32(doubled.into())).unwrap();
    assert!(ran.outputs == [Value::Tensor(whole)]);
}

#[tokio::test]
async fn a_large_request_whose_caller_hung_up_ends_with_its_part() {
    let (scheduler, begun, go) = start_sharing(false, IN_PARTS);
    let own = scheduler.clone();
    let submit = async move { own.submit(many(), within(LONG), Instant::now()).await };
    let submit = tokio::spawn(submit);
    while scheduler_is_idle(&begun) {
        tokio::task::yield_now().await;
    }
    submit.abort();
    assert!(submit.await.unwrap_err().is_cancelled());
    for _ in 0..4 {
        go.send(()).unwrap();
    }
    assert_eq!(scheduler.end().map(|engines| engines.len()), Some(1));
    assert_eq!(begun.try_iter().count(), 0, "three parts were left");
}

#[tokio::test]
async fn a_large_request_runs_whole_where_a_part_does_not_answer_each_record() {
    let (scheduler, begun, go) = start_sharing(true, IN_PARTS);
    for _ in 0..2 {
        go.send(()).unwrap();
    }
    let ran = scheduler.submit(many(), within(LONG), Instant::now()).await;
    assert_eq!(first_value(&ran), 200.0);
    assert_eq!(begun.try_iter().collect::<Vec<_>>(), [MANY / 4, MANY]);
}

#[tokio::test]
async fn engines_come_back_when_nobody_holds_the_scheduler_any_more() {
    let test = start(4);
    let other = test.scheduler.clone();
    drop(test.steps);
    assert!(other.end().is_none(), "the test holds it too");
    assert_eq!(test.scheduler.end().map(|engines| engines.len()), Some(1));
}
