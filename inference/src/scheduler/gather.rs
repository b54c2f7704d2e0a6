//! Runs that stay on the HTTP thread, back to back.
//!
//! One wake-up of an HTTP thread often brings many requests. Taking each of them from socket to
//! socket in turn runs through kernel, HTTP, codec and ONNX Runtime every time, and every time the
//! processor's caches are cold for the next. So the first request of a wake-up yields once; those
//! that are ready too are read and decoded meanwhile and join it; then it runs them all, one after
//! the other, on one slot. A lone request is not made to wait: as long as nobody joined lately, only
//! every 16th yields, to notice when that changes.
//!
//! **Invariant:** whoever gathers is either run by the leader or, when the leader's caller hung up
//! or no slot is free, handed to the queue. Nobody is forgotten.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{micros, Allowance, Job, Ran, Scheduler, Shared, SubmitError};
use crate::tensor::Tensor;

/// While requests come alone, one in so many waits to see whether another joins.
const PROBE_EVERY: u32 = 16;
/// A leader runs others for at most this long; what is left goes to the queue, so that `/ping` on
/// this thread does not wait.
const LEAD_FOR: Duration = Duration::from_millis(1);

/// The requests of this wake-up.
#[derive(Default)]
pub(super) struct Gathering {
    waiting: Mutex<Vec<Job>>,
    /// Whether a leader waits for others right now.
    open: AtomicBool,
    /// Whether somebody joined the last leader.
    joined_lately: AtomicBool,
    alone: AtomicU32,
}

impl Gathering {
    /// Whether it is worth a yield to see who joins.
    fn is_worth_a_yield(&self) -> bool {
        self.open.load(Relaxed)
            || self.joined_lately.load(Relaxed)
            || self.alone.fetch_add(1, Relaxed).is_multiple_of(PROBE_EVERY)
    }

    /// Joins; whether this one is the first, and so leads.
    fn join(&self, job: Job) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(job);
        self.open.store(true, Relaxed);
        waiting.len() == 1
    }

    fn take(&self) -> Vec<Job> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.open.store(false, Relaxed);
        std::mem::take(&mut waiting)
    }
}

/// The one who runs the others. Dropped before it has led, it hands them over.
struct Leader<'a> {
    shared: &'a Shared,
    led: bool,
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        if !self.led {
            for job in self.shared.gathering.take() {
                self.shared.hand_over(job);
            }
        }
    }
}

impl Scheduler {
    /// Runs the model on this thread, alone or with others.
    pub(super) async fn run_here(
        &self,
        inputs: Vec<Tensor>,
        class: usize,
        work_nanos: u64,
        allowance: Allowance,
        decoded: Instant,
    ) -> Result<Ran, SubmitError> {
        let shared = &*self.shared;
        if !shared.gathering.is_worth_a_yield() {
            if let Some(mut engine) = shared.free_slot() {
                shared.metrics.queue_latency.record(0.0);
                return shared.run(&mut **engine, &inputs, class, decoded);
            }
            return self
                .wait_for_slot(inputs, class, work_nanos, allowance, decoded)
                .await;
        }
        let deadline = allowance.arrived + allowance.limit;
        let (job, answer) = Job::new(inputs, class, work_nanos, decoded, deadline);
        if shared.gathering.join(job) {
            let mut leader = Leader { shared, led: false };
            tokio::task::yield_now().await;
            leader.led = true;
            shared.lead();
        }
        // Ready at once, but for those who were handed to the queue.
        match tokio::time::timeout_at(deadline.into(), answer).await {
            Ok(Ok(ran)) => ran,
            Ok(Err(_)) | Err(_) => Err(SubmitError::TimedOut(allowance.limit)),
        }
    }
}

impl Shared {
    /// Runs everybody who gathered, on one slot.
    fn lead(&self) {
        let jobs = self.gathering.take();
        self.gathering.joined_lately.store(jobs.len() > 1, Relaxed);
        let Some(mut engine) = self.free_slot() else {
            jobs.into_iter().for_each(|job| self.hand_over(job));
            return;
        };
        let begun = Instant::now();
        let mut start = begun;
        self.metrics.busy_slots.increment(1.0);
        for job in jobs {
            if start.saturating_duration_since(begun) > LEAD_FOR {
                self.hand_over(job);
                continue;
            }
            if job.reply.is_closed() {
                continue;
            }
            let waited = start.saturating_duration_since(job.queued);
            self.metrics.queue_latency.record(micros(waited));
            let (ran, ended) = self.run_from(&mut **engine, &job.inputs, job.class, start);
            start = ended;
            // A failed send means that the caller left meanwhile.
            let _ = job.reply.send(ran);
        }
        self.metrics.busy_slots.decrement(1.0);
    }

    /// Gives a gathered request to the slots' own threads. A queue that is full or closed answers
    /// its caller.
    fn hand_over(&self, job: Job) {
        if let Err((refused, job)) = self.enqueue(job) {
            let _ = job.reply.send(Err(refused));
        }
    }
}
