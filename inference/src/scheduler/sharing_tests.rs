//! Requests that share a run, and requests that are parted, against an engine that tells its runs.

use std::sync::mpsc::{channel, Receiver, Sender};

use super::tests::{known, plan, within, LONG};
use super::*;
use crate::tensor::Data;

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
