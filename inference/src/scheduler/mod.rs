//! From decoded inputs to outputs: admission, queue, slot, reply.
//!
//! Every slot owns one engine behind a lock. A request whose run is expected to be shorter than a
//! hand-over takes a free slot's lock and runs on the HTTP thread, together with those that came in
//! at the same moment (`gather.rs`); every other request waits in one bounded queue for the slot's
//! own thread. Whoever holds the lock owns the session, so the two ways never meet inside ONNX
//! Runtime.
//!
//! **Invariants:** the queue is bounded; a request that cannot be answered before its deadline is
//! refused before it waits; work that nobody waits for any more does not run; a panic costs one
//! reply.

mod cost;
mod gather;
mod queue;

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::runtime::{Engine, RunError};
use crate::telemetry::SchedulerMetrics;
use crate::tensor::{Data, Tensor, Value};
use cost::{class_of, Costs};
use gather::Gathering;
use queue::{Full, Queue};

/// A run that a request's time limit has long passed may still be about to end.
const STUCK_GRACE: Duration = Duration::from_secs(5);

/// A finished run.
#[derive(Debug)]
pub struct Ran {
    /// The outputs, in the signature's order.
    pub outputs: Vec<Value>,
    /// When the run ended.
    pub ended: Instant,
}

/// Why there are no outputs.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum SubmitError {
    /// As many requests wait as may wait.
    #[error(
        "the queue is full: {limit} requests are waiting (PLIMSOLL_QUEUE_LIMIT sets the limit)"
    )]
    QueueFull {
        /// The queue's limit.
        limit: usize,
        /// When a retry has a chance.
        retry_after: Duration,
    },
    /// Those before it will take longer than it may wait.
    #[error("the request cannot be answered within {} s: about {:.1} s of work is waiting before it, and its own comes after (SAGEMAKER_MODEL_SERVER_TIMEOUT sets the limit)", .limit.as_secs_f64(), .wait.as_secs_f64())]
    Hopeless {
        /// How long it may take.
        limit: Duration,
        /// How long it would wait.
        wait: Duration,
    },
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Leaving,
    /// The time limit passed while it waited or ran.
    #[error("the request took longer than its limit of {} s (SAGEMAKER_MODEL_SERVER_TIMEOUT sets it)", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The model failed.
    #[error(transparent)]
    Run(#[from] RunError),
}

struct Job {
    inputs: Vec<Tensor>,
    class: usize,
    work_nanos: u64,
    queued: Instant,
    deadline: Instant,
    reply: oneshot::Sender<Result<Ran, SubmitError>>,
}

impl Job {
    /// A job and where its answer will come.
    fn new(
        inputs: Vec<Tensor>,
        class: usize,
        work_nanos: u64,
        queued: Instant,
        deadline: Instant,
    ) -> (Self, oneshot::Receiver<Result<Ran, SubmitError>>) {
        let (reply, answer) = oneshot::channel();
        let job = Self {
            inputs,
            class,
            work_nanos,
            queued,
            deadline,
            reply,
        };
        (job, answer)
    }
}

struct Shared {
    slots: Vec<Mutex<Box<dyn Engine>>>,
    queue: Queue<Job>,
    gathering: Gathering,
    costs: Costs,
    /// Expected slot time of everything in the queue.
    queued_nanos: AtomicU64,
    /// Where the search for a free slot begins, so that slots share the work.
    next_slot: AtomicUsize,
    queue_limit: usize,
    /// Runs that are under way.
    running: AtomicUsize,
    /// When a run last began or ended, in nanoseconds since `born`.
    moved_nanos: AtomicU64,
    born: Instant,
    /// Whether short runs may stay on the thread that read them.
    may_stay: bool,
    metrics: SchedulerMetrics,
}

/// One model's slots and queue.
#[derive(Clone)]
pub struct Scheduler {
    shared: Arc<Shared>,
}

/// What one request may take.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// When the request came in.
    pub arrived: Instant,
    /// How long it may take from there.
    pub limit: Duration,
}

impl Scheduler {
    /// Starts a thread per engine. `queue_limit` requests may wait. `may_stay` is whether short runs
    /// may stay on the thread that read them: not those of a model whose run time depends on the
    /// values it gets.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(
        engines: Vec<Box<dyn Engine>>,
        queue_limit: usize,
        may_stay: bool,
        metrics: SchedulerMetrics,
    ) -> std::io::Result<Self> {
        metrics.slots.set(engines.len() as f64);
        let shared = Arc::new(Shared {
            slots: engines.into_iter().map(Mutex::new).collect(),
            queue: Queue::new(queue_limit),
            gathering: Gathering::default(),
            costs: Costs::default(),
            queued_nanos: AtomicU64::new(0),
            next_slot: AtomicUsize::new(0),
            queue_limit,
            running: AtomicUsize::new(0),
            moved_nanos: AtomicU64::new(0),
            born: Instant::now(),
            may_stay,
            metrics,
        });
        for slot in 0..shared.slots.len() {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("slot-{slot}"))
                .spawn(move || shared.work(slot))?;
        }
        Ok(Self { shared })
    }

    /// Tells the cost of a run on these inputs, from warm-up.
    pub fn calibrate(&self, inputs: &[Tensor], run: Duration) {
        let class = class_of(inputs.iter().map(size).sum());
        self.shared.costs.learn(class, run);
    }

    /// Runs the model on these inputs, at once or after waiting. `decoded` is now, as the caller
    /// has just read it.
    ///
    /// # Errors
    /// [`SubmitError`]: refused, out of time, or failed.
    pub async fn submit(
        &self,
        inputs: Vec<Tensor>,
        allowance: Allowance,
        decoded: Instant,
    ) -> Result<Ran, SubmitError> {
        let shared = &*self.shared;
        let class = class_of(inputs.iter().map(size).sum());
        let work = shared.costs.estimate(class);
        let work_nanos = u64::try_from(work.as_nanos()).unwrap_or(u64::MAX);
        // Every arrival counts, those refused below included: shed load is load.
        shared.metrics.offered_work.increment(work_nanos);

        if shared.may_stay
            && shared.costs.is_inline(class)
            && shared.queued_nanos.load(Relaxed) == 0
        {
            return self
                .run_here(inputs, class, work_nanos, allowance, decoded)
                .await;
        }
        self.wait_for_slot(inputs, class, work_nanos, allowance, decoded)
            .await
    }

    async fn wait_for_slot(
        &self,
        inputs: Vec<Tensor>,
        class: usize,
        work_nanos: u64,
        allowance: Allowance,
        decoded: Instant,
    ) -> Result<Ran, SubmitError> {
        let shared = &*self.shared;
        let slots = shared.slots.len().max(1) as u64;
        let wait = Duration::from_nanos(shared.queued_nanos.load(Relaxed) / slots);
        let deadline = allowance.arrived + allowance.limit;
        // Only what waits before it makes a request hopeless: what its own run takes is known for
        // sure only by running it.
        let work = Duration::from_nanos(work_nanos);
        if !wait.is_zero() && decoded + wait + work > deadline {
            shared.metrics.rejected.increment(1);
            return Err(SubmitError::Hopeless {
                limit: allowance.limit,
                wait,
            });
        }
        let (job, answer) = Job::new(inputs, class, work_nanos, decoded, deadline);
        shared.enqueue(job).map_err(|(refused, _)| refused)?;
        match tokio::time::timeout_at(deadline.into(), answer).await {
            Ok(Ok(ran)) => ran,
            // The slot dropped the job without a word: it was out of time when its turn came.
            Ok(Err(_)) | Err(_) => Err(SubmitError::TimedOut(allowance.limit)),
        }
    }

    /// Concurrent runs there may be.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.shared.slots.len()
    }

    /// For how long every slot has been in a run that began long ago: twice the time that a request
    /// may take, and five seconds. Nothing will be answered in time here any more; once a run
    /// does end, all is well again.
    #[must_use]
    pub fn stuck(&self, request_limit: Duration) -> Option<Duration> {
        let shared = &*self.shared;
        if shared.running.load(Acquire) < shared.slots.len() {
            return None;
        }
        let moved = Duration::from_nanos(shared.moved_nanos.load(Relaxed));
        let still = shared.born.elapsed().saturating_sub(moved);
        (still > request_limit.saturating_mul(2) + STUCK_GRACE).then_some(still)
    }

    /// Requests that wait for a slot.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.queue.len()
    }

    /// Takes no more requests into the queue; those that wait are still run.
    pub fn close(&self) {
        self.shared.queue.close();
    }
}

impl Shared {
    /// A slot that nobody uses right now.
    fn free_slot(&self) -> Option<MutexGuard<'_, Box<dyn Engine>>> {
        let begin = self.next_slot.fetch_add(1, Relaxed);
        (0..self.slots.len()).find_map(|i| {
            let slot = &self.slots[begin.wrapping_add(i) % self.slots.len()];
            match slot.try_lock() {
                Ok(engine) => Some(engine),
                // Runs catch their panics; a poisoned lock guards a whole engine.
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            }
        })
    }

    /// Puts a job into the bounded queue, or gives it back with the reason.
    fn enqueue(&self, job: Job) -> Result<(), (SubmitError, Job)> {
        // Counted before it is in: a slot may take it out at once, and the level must not dip
        // below zero.
        let work_nanos = job.work_nanos;
        self.metrics.queue_depth.increment(1.0);
        let before = self.queued_nanos.fetch_add(work_nanos, Relaxed);
        let pushed = match self.queue.push(job) {
            Err((Full::AtLimit, job)) if self.drop_abandoned() => self.queue.push(job),
            pushed => pushed,
        };
        pushed.map_err(|(full, job)| {
            self.metrics.queue_depth.decrement(1.0);
            self.queued_nanos.fetch_sub(work_nanos, Relaxed);
            let refused = match full {
                Full::AtLimit => {
                    self.metrics.rejected.increment(1);
                    SubmitError::QueueFull {
                        limit: self.queue_limit,
                        retry_after: Duration::from_nanos(before / self.slots.len().max(1) as u64),
                    }
                }
                Full::Closed => SubmitError::Leaving,
            };
            (refused, job)
        })
    }

    /// Takes out of the queue what nobody waits for any more; whether that made room.
    fn drop_abandoned(&self) -> bool {
        let now = Instant::now();
        let abandoned = self
            .queue
            .remove(|job| job.reply.is_closed() || now >= job.deadline);
        for job in &abandoned {
            self.metrics.queue_depth.decrement(1.0);
            self.queued_nanos.fetch_sub(job.work_nanos, Relaxed);
        }
        !abandoned.is_empty()
    }

    /// One slot's thread: the oldest job, its engine, the reply.
    fn work(&self, slot: usize) {
        while let Some(job) = self.queue.pop() {
            self.metrics.queue_depth.decrement(1.0);
            self.queued_nanos.fetch_sub(job.work_nanos, Relaxed);
            let mut engine = self.slots[slot]
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let start = Instant::now();
            // Nobody waits: the caller hung up, or its time is over.
            if job.reply.is_closed() || start >= job.deadline {
                continue;
            }
            self.metrics
                .queue_latency
                .record(micros(start.saturating_duration_since(job.queued)));
            let ran = self.run(&mut **engine, &job.inputs, job.class, start);
            drop(engine);
            // A failed send means that the caller left meanwhile.
            let _ = job.reply.send(ran);
        }
    }

    /// One run on a slot, from `start`.
    fn run(
        &self,
        engine: &mut dyn Engine,
        inputs: &[Tensor],
        class: usize,
        start: Instant,
    ) -> Result<Ran, SubmitError> {
        self.metrics.busy_slots.increment(1.0);
        let (ran, _) = self.run_from(engine, inputs, class, start);
        self.metrics.busy_slots.decrement(1.0);
        ran
    }

    /// One run with its panic caught, from `start`; also when it ended.
    fn run_from(
        &self,
        engine: &mut dyn Engine,
        inputs: &[Tensor],
        class: usize,
        start: Instant,
    ) -> (Result<Ran, SubmitError>, Instant) {
        // In this order: whoever sees the run must see that it began just now.
        self.moved(start);
        self.running.fetch_add(1, Release);
        let outputs = catch_unwind(AssertUnwindSafe(|| engine.run(inputs)));
        let ended = Instant::now();
        self.moved(ended);
        self.running.fetch_sub(1, Relaxed);
        let run = ended.saturating_duration_since(start);
        self.metrics.inference_latency.record(micros(run));
        let ran = match outputs {
            Ok(Ok(outputs)) => {
                self.costs.learn(class, run);
                Ok(Ran { outputs, ended })
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => {
                tracing::error!("a model run panicked; the slot goes on");
                Err(RunError::Panicked.into())
            }
        };
        (ran, ended)
    }
}

impl Shared {
    /// A run began or ended now.
    fn moved(&self, now: Instant) {
        let since = now.saturating_duration_since(self.born).as_nanos();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        self.moved_nanos.store(since, Relaxed);
    }
}

/// What a tensor's part in the size class is: its elements; for strings what they hold, four bytes
/// an element.
fn size(tensor: &Tensor) -> usize {
    match tensor.data() {
        Data::String(strings) => strings.iter().map(|s| 1 + s.len() / 4).sum(),
        data => data.len(),
    }
}

/// Microseconds, the unit of every latency.
#[must_use]
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests;
