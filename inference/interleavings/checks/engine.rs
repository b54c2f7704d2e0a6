//! An engine that knows each request by its values, and keeps a log of its runs.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use interleavings::clock;
use interleavings::runtime::{Engine, RunError};
use interleavings::tensor::{Data, Tensor, Value};
use shuttle::rand::{thread_rng, Rng};
use shuttle::sync::atomic::{AtomicBool, Ordering::SeqCst};
use shuttle::sync::Mutex as Gate;
use shuttle::thread::current;

/// What becomes of a run that a request is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Answered,
    Fails,
    Panics,
}

/// One run: whose records it had, whether it gave outputs, and whether a slot's own thread made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub requests: Vec<usize>,
    pub is_answered: bool,
    pub is_queued: bool,
}

/// The runs of all slots.
pub type Log = Arc<Mutex<Vec<Run>>>;

/// Gives every record back negated.
pub struct Negating {
    pub fates: Arc<Vec<Fate>>,
    pub log: Log,
    /// What a run may take.
    pub takes: &'static [Duration],
    /// Whether it gives one record however many there were.
    pub reduces: bool,
    /// Every run goes through it, and waits while somebody holds it.
    pub gate: Arc<Gate<()>>,
    is_running: AtomicBool,
}

impl Negating {
    pub fn new(
        fates: &Arc<Vec<Fate>>,
        log: &Log,
        takes: &'static [Duration],
        reduces: bool,
    ) -> Self {
        Self {
            fates: Arc::clone(fates),
            log: Arc::clone(log),
            takes,
            reduces,
            gate: Arc::default(),
            is_running: AtomicBool::new(false),
        }
    }
}

/// A request's input: its number in every element.
pub fn input(request: usize, rows: usize, width: usize) -> Vec<Tensor> {
    let numbers = vec![request as i64; rows * width];
    vec![Tensor::new(vec![rows, width], Data::Int64(numbers.into())).expect("it fits")]
}

/// What the engine gives for a request's input.
pub fn output(request: usize, rows: usize, width: usize) -> Vec<Value> {
    let numbers = vec![-(request as i64); rows * width];
    let tensor = Tensor::new(vec![rows, width], Data::Int64(numbers.into()));
    vec![Value::Tensor(tensor.expect("it fits"))]
}

impl Engine for Negating {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Value>, RunError> {
        assert!(!self.is_running.swap(true, SeqCst), "two runs in one slot");
        let Data::Int64(numbers) = inputs[0].data() else {
            panic!("not a request of these checks: {:?}", inputs[0]);
        };
        let mut requests: Vec<usize> = numbers.iter().map(|n| *n as usize).collect();
        requests.dedup();
        drop(self.gate.lock());
        clock::pass(self.takes[thread_rng().gen_range(0..self.takes.len())]);
        let fate = |fate| requests.iter().any(|&request| self.fates[request] == fate);
        let (panics, fails) = (fate(Fate::Panics), fate(Fate::Fails));
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Run {
                requests,
                is_answered: !panics && !fails,
                is_queued: current()
                    .name()
                    .is_some_and(|name| name.starts_with("slot-")),
            });
        self.is_running.store(false, SeqCst);
        if panics {
            // Without a word to the terminal.
            resume_unwind(Box::new("as told"));
        }
        if fails {
            return Err(RunError::Failed("as told".to_owned()));
        }
        let mut shape = inputs[0].shape().to_vec();
        let mut negated: Vec<i64> = numbers.iter().map(|number| -number).collect();
        if self.reduces {
            shape[0] = 1;
            negated.truncate(shape[1]);
        }
        let tensor = Tensor::new(shape, Data::Int64(negated.into()));
        Ok(vec![Value::Tensor(tensor.expect("it fits"))])
    }
}
