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

mod batch;
mod cost;
mod device;
mod gather;
mod parts;
mod queue;
mod run;
mod sharing;
mod slot;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::clock;
use crate::runtime::capacity::{Capacity, Most};
use crate::runtime::{Engine, RunError};
use crate::sync::atomic::{
    fence, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::telemetry::SchedulerMetrics;
use crate::tensor::{Data, Tensor, Value};
pub use batch::{take_first, Batch, Records};
use cost::{class_of, nanos, Costs};
use device::Device;
use gather::{Gatherings, LEAD_FOR};
use queue::{Full, Popped, Queue};
use run::Start;
use sharing::Sharing;
use slot::Slot;

/// A run that a request's time limit has long passed may still be about to end.
const STUCK_GRACE: Duration = Duration::from_secs(5);

/// A slot that has been busy for so long shows what it can do: after a pause, caches and the
/// processor's clock are cold, and a run may take twice as long.
const BUSY_FOR: Duration = Duration::from_millis(100);

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

/// Where a job's answer comes.
type Answer = oneshot::Receiver<Result<Ran, SubmitError>>;

/// What is asked of the model.
struct Request {
    inputs: Vec<Tensor>,
    class: usize,
    /// Records, where it may share a run; otherwise 0.
    rows: usize,
    /// The most records of their size that share a run.
    most_rows: usize,
    work_nanos: u64,
    queued: Instant,
    deadline: Instant,
}

/// A request that is answered by whoever runs it.
struct Job {
    request: Request,
    reply: oneshot::Sender<Result<Ran, SubmitError>>,
}

impl Job {
    /// A job and where its answer will come.
    fn new(request: Request) -> (Self, Answer) {
        let (reply, answer) = oneshot::channel();
        (Self { request, reply }, answer)
    }

    fn answer(self, ran: Result<Ran, SubmitError>) {
        // A failed send means that the caller left meanwhile.
        let _ = self.reply.send(ran);
    }

    /// Nobody waits: the caller hung up, or its time is over.
    fn is_abandoned(&self, now: Instant) -> bool {
        self.reply.is_closed() || now >= self.request.deadline
    }
}

struct Shared {
    slots: Vec<Slot>,
    queue: Queue<Job>,
    gatherings: Gatherings,
    costs: Costs,
    /// Expected slot time of everything in the queue.
    queued_nanos: AtomicU64,
    queue_limit: usize,
    sharing: Sharing,
    /// Whether a run has one thread.
    is_single_threaded: bool,
    threads: Mutex<Vec<JoinHandle<()>>>,
    born: Instant,
    /// Whether short runs may stay on the thread that read them.
    may_stay: bool,
    device: Device,
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

/// How a scheduler treats its model.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Requests that may wait.
    pub queue_limit: usize,
    /// Whether short runs may stay on the thread that read them: not those of a model whose run time
    /// depends on the values it gets.
    pub may_stay: bool,
    /// Threads of one run.
    pub threads: usize,
}

impl Scheduler {
    /// Starts a thread per engine.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(
        engines: Vec<Box<dyn Engine>>,
        plan: Plan,
        metrics: SchedulerMetrics,
    ) -> std::io::Result<Self> {
        metrics.slots.set(engines.len() as f64);
        let on_gpu = engines.iter().filter(|engine| engine.is_on_gpu()).count();
        metrics.gpu_slots.set(on_gpu as f64);
        let oldest_since = metrics.oldest_since.clone();
        let shared = Arc::new(Shared {
            slots: engines.into_iter().map(Slot::new).collect(),
            queue: Queue::new(plan.queue_limit, move |front: Option<&Job>| {
                oldest_since.set(front.map(|job| job.request.queued));
            }),
            gatherings: Gatherings::default(),
            costs: Costs::default(),
            queued_nanos: AtomicU64::new(0),
            queue_limit: plan.queue_limit,
            sharing: Sharing::default(),
            is_single_threaded: plan.threads == 1,
            threads: Mutex::default(),
            born: clock::now(),
            // A run on a device that hangs must not hold an HTTP thread.
            may_stay: plan.may_stay && on_gpu == 0,
            device: Device::default(),
            metrics,
        });
        for slot in 0..shared.slots.len() {
            let shared = Arc::clone(&shared);
            let own = Arc::clone(&shared);
            let thread = thread::Builder::new()
                .name(format!("slot-{slot}"))
                .spawn(move || own.work(slot))?;
            shared.threads().push(thread);
        }
        Ok(Self { shared })
    }

    /// Takes over what warm-up measured on records like `one`. From now on requests share runs that
    /// hold no more than `most`.
    pub fn calibrate(&self, capacity: &Capacity, one: &[Tensor], most: Most) {
        let elements = one.iter().map(size).sum();
        self.shared.costs.calibrate(capacity, elements, most);
        self.shared.sharing.set(most);
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
        let cost = shared.costs.at_capacity(class);
        let work_nanos = cost.slot_nanos;
        // Every arrival counts, those refused below included: shed load is load.
        shared.metrics.offered_work.increment(work_nanos);
        shared.metrics.offered_cpu.increment(cost.cpu_nanos);

        let (rows, most_rows) = shared.sharing.of(&inputs, shared.costs.own(class));
        let request = Request {
            inputs,
            class,
            rows,
            most_rows,
            work_nanos,
            queued: decoded,
            deadline: allowance.arrived + allowance.limit,
        };
        let is_inline = shared.may_stay && shared.costs.is_inline(class);
        // What waits goes first, unless it is so little that waiting with it would cost more: else a
        // queue that has once begun would keep slots and HTTP threads handing over for as long as
        // requests come.
        if is_inline && shared.queued_nanos.load(Relaxed) < nanos(LEAD_FOR) {
            return self.run_here(request, allowance).await;
        }
        self.wait_for_slot(request, allowance).await
    }

    async fn wait_for_slot(
        &self,
        request: Request,
        allowance: Allowance,
    ) -> Result<Ran, SubmitError> {
        let shared = &*self.shared;
        let slots = shared.slots.len().max(1) as u64;
        let wait = Duration::from_nanos(shared.queued_nanos.load(Relaxed) / slots);
        let deadline = request.deadline;
        // Only what waits before it makes a request hopeless: what its own run takes is known for
        // sure only by running it.
        let work = Duration::from_nanos(request.work_nanos);
        if !wait.is_zero() && request.queued + wait + work > deadline {
            shared.metrics.rejected.increment(1);
            return Err(SubmitError::Hopeless {
                limit: allowance.limit,
                wait,
            });
        }
        let (job, answer) = Job::new(request);
        shared.enqueue(job).map_err(|refused| refused.0)?;
        match clock::by(deadline, answer).await {
            Some(Ok(ran)) => ran,
            // The slot dropped the job without a word: it was out of time when its turn came.
            Some(Err(_)) | None => Err(SubmitError::TimedOut(allowance.limit)),
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
        let begun = |slot: &Slot| slot.run_since(shared.born);
        // One that is free makes it none.
        let since: Option<Vec<Instant>> = shared.slots.iter().map(begun).collect();
        let latest = since?.into_iter().max()?;
        let still = clock::now().saturating_duration_since(latest);
        (still > request_limit.saturating_mul(2) + STUCK_GRACE).then_some(still)
    }

    /// Why the GPU cannot be used any more, if that is so.
    #[must_use]
    pub fn lost_device(&self) -> Option<String> {
        self.shared.device.lost()
    }

    /// Done when the GPU cannot be used any more, with the reason. One waits for it.
    pub async fn device_lost(&self) -> String {
        self.shared.device.is_lost().await
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

    /// Whether somebody else holds this scheduler, beside the slots' own threads.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        let own = self.shared.threads().len() + 1;
        Arc::strong_count(&self.shared) > own
    }

    /// Ends the slots' threads after what waits has been run, and gives the engines back; `None`
    /// while somebody else still holds this scheduler.
    #[must_use]
    pub fn end(self) -> Option<Vec<Box<dyn Engine>>> {
        self.close();
        let threads = std::mem::take(&mut *self.shared.threads());
        for thread in threads {
            // Runs catch their panics: a thread ends well.
            let _ = thread.join();
        }
        let shared = Arc::into_inner(self.shared)?;
        Some(shared.slots.into_iter().map(Slot::into_engine).collect())
    }
}

impl Shared {
    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job into the bounded queue, or gives it back with the reason.
    fn enqueue(&self, job: Job) -> Result<(), Box<(SubmitError, Job)>> {
        // Counted before it is in: a slot may take it out at once, and the level must not dip
        // below zero.
        let work_nanos = job.request.work_nanos;
        let queued = job.request.queued;
        self.metrics.queue_depth.rise(queued);
        let before = self.queued_nanos.fetch_add(work_nanos, Relaxed);
        self.tell_queued_work();
        let pushed = match self.queue.push(job) {
            Err((Full::AtLimit, job)) if self.drop_abandoned() => self.queue.push(job),
            pushed => pushed,
        };
        pushed.map_err(|(full, job)| {
            self.metrics.queue_depth.fall(queued);
            self.queued_nanos.fetch_sub(work_nanos, Relaxed);
            self.tell_queued_work();
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
            Box::new((refused, job))
        })
    }

    fn tell_queued_work(&self) {
        // Whoever is overtaken between the look and the word looks again: the last word is true. The
        // fences put the own change before the word, and the word before the second look, for those
        // who look from another core.
        loop {
            fence(SeqCst);
            let nanos = self.queued_nanos.load(Relaxed);
            self.metrics.queued_work.set(nanos as f64);
            fence(SeqCst);
            if self.queued_nanos.load(Relaxed) == nanos {
                break;
            }
        }
    }

    /// Takes out of the queue what nobody waits for any more; whether that made room.
    fn drop_abandoned(&self) -> bool {
        let now = clock::now();
        let abandoned = self.queue.remove(|job| job.is_abandoned(now));
        for job in &abandoned {
            self.metrics.queue_depth.fall(now.max(job.request.queued));
            self.queued_nanos.fetch_sub(job.request.work_nanos, Relaxed);
        }
        self.tell_queued_work();
        !abandoned.is_empty()
    }

    /// One slot's thread: the oldest job and those that share its run, its engine, the replies.
    fn work(&self, slot: usize) {
        // Since when others have waited behind every run, and how long the last one took.
        let mut busy_since: Option<Instant> = None;
        let mut before = Duration::ZERO;
        while let Some(Popped {
            taken: mut jobs,
            left,
            has_waited,
        }) = self.queue.pop(batch::fit)
        {
            if has_waited {
                (busy_since, before) = (None, Duration::ZERO);
            }
            for job in &jobs {
                self.queued_nanos.fetch_sub(job.request.work_nanos, Relaxed);
            }
            self.tell_queued_work();
            let others_wait = left > 0 || jobs.len() > 1;
            let mut held = self.slots[slot].hold();
            let at = clock::now();
            for _ in &jobs {
                self.metrics.queue_depth.fall(at);
            }
            jobs.retain(|job| !job.is_abandoned(at));
            if jobs.is_empty() {
                continue;
            }
            for job in &jobs {
                let waited = at.saturating_duration_since(job.request.queued);
                self.metrics.queue_latency.record(micros(waited));
            }
            busy_since = others_wait.then(|| busy_since.unwrap_or(at));
            let start = Start {
                at,
                waited: jobs.first().map_or(Duration::ZERO, |job| {
                    at.saturating_duration_since(job.request.queued)
                }),
                before,
                is_busy: busy_since.is_some_and(|since| at - since >= BUSY_FOR),
                is_queued: true,
                is_crowded: false,
            };
            self.metrics.busy_slots.rise(at);
            let ended = self.run_jobs(&mut held, jobs, start);
            self.metrics.busy_slots.fall(ended);
            before = ended.saturating_duration_since(at);
        }
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
mod measured_tests;
#[cfg(test)]
mod sharing_tests;
#[cfg(test)]
mod tests;
