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

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cost::nanos;
use super::{batch, micros, Allowance, Job, Ran, Request, Scheduler, Shared, Start, SubmitError};
use crate::clock;

/// While requests come alone, one in so many waits to see whether another joins.
const PROBE_EVERY: u32 = 16;
/// A leader runs others for at most this long; what is left goes to the queue, so that `/ping` on
/// this thread does not wait.
const LEAD_FOR: Duration = Duration::from_millis(1);

/// HTTP threads that gather apart; of more, some gather together, which is as right and slower.
const PLACES: usize = 32;

static NEXT_PLACE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PLACE: usize = NEXT_PLACE.fetch_add(1, Relaxed) % PLACES;
}

/// A gathering for each HTTP thread: who joined another thread's would wait for that thread's turn,
/// and be woken by it.
#[derive(Default)]
pub(super) struct Gatherings {
    places: [Gathering; PLACES],
}

impl Gatherings {
    /// This thread's.
    fn own(&self) -> &Gathering {
        &self.places[PLACE.with(|place| *place)]
    }
}

/// The requests of one wake-up of one thread. Threads do not share its cache lines.
#[derive(Default)]
#[repr(align(128))]
struct Gathering {
    waiting: Mutex<VecDeque<Job>>,
    /// Whether a leader waits for others right now.
    open: AtomicBool,
    /// Whether somebody joined the last leader.
    joined_lately: AtomicBool,
    alone: AtomicU32,
    /// Requests of the largest wake-up lately, in [`WAKE_UP`]s.
    largest: AtomicU64,
}

/// A wake-up of so many is as cheap for each of them as they get.
const CROWD: usize = 8;
/// The unit of [`Gathering::largest`], and how many wake-ups it takes to forget one.
const WAKE_UP: u64 = 1 << 16;

impl Gathering {
    /// Whether it is worth a yield to see who joins.
    fn is_worth_a_yield(&self) -> bool {
        self.open.load(Relaxed)
            || self.joined_lately.load(Relaxed)
            || self.alone.fetch_add(1, Relaxed).is_multiple_of(PROBE_EVERY)
    }

    /// Whether a wake-up that brought so many requests is one of a thread that is full: what a request
    /// costs falls with their number, so that a thread can be busy all the time at half of what it can
    /// do. How many there can be depends on the callers' connections; where those are few, the largest
    /// wake-up lately stands for that.
    fn is_crowded(&self, requests: usize) -> bool {
        let own = requests as u64 * WAKE_UP;
        let before = self.largest.load(Relaxed);
        let largest = own.max(before - before / WAKE_UP);
        self.largest.store(largest, Relaxed);
        requests >= CROWD || 2 * own >= largest
    }

    /// Joins; whether this one is the first, and so leads.
    fn join(&self, job: Job) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back(job);
        self.open.store(true, Relaxed);
        waiting.len() == 1
    }

    fn take(&self) -> VecDeque<Job> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.open.store(false, Relaxed);
        std::mem::take(&mut waiting)
    }
}

/// The one who runs the others. Dropped before it has led, it hands them over.
struct Leader<'a> {
    shared: &'a Shared,
    gathering: &'a Gathering,
    led: bool,
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        if !self.led {
            for job in self.gathering.take() {
                self.shared.hand_over(job);
            }
        }
    }
}

impl Scheduler {
    /// Runs the model on this thread, alone or with others.
    pub(super) async fn run_here(
        &self,
        request: Request,
        allowance: Allowance,
    ) -> Result<Ran, SubmitError> {
        let shared = &*self.shared;
        let gathering = shared.gatherings.own();
        if !gathering.is_worth_a_yield() {
            if let Some(mut engine) = shared.free_slot() {
                shared.metrics.queue_latency.record(0.0);
                let is_crowded = gathering.is_crowded(1);
                let start = Start::here(request.queued, is_crowded);
                let (ran, ended) = shared.run_request(&mut **engine, &request, start);
                shared.was_busy(start.at, ended);
                return ran;
            }
            return self.wait_for_slot(request, allowance).await;
        }
        let deadline = request.deadline;
        let (job, answer) = Job::new(request);
        if gathering.join(job) {
            let mut leader = Leader {
                shared,
                gathering,
                led: false,
            };
            // Another thread may go on from here, with those who gathered on this one.
            tokio::task::yield_now().await;
            leader.led = true;
            shared.lead(gathering);
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
    fn lead(&self, gathering: &Gathering) {
        let mut jobs = gathering.take();
        gathering.joined_lately.store(jobs.len() > 1, Relaxed);
        let Some(mut engine) = self.free_slot() else {
            jobs.into_iter().for_each(|job| self.hand_over(job));
            return;
        };
        let begun = clock::now();
        let mut start = Start::here(begun, gathering.is_crowded(jobs.len()));
        while !jobs.is_empty() {
            if start.at.saturating_duration_since(begun) > LEAD_FOR {
                break;
            }
            let mut together = batch::take_first(&mut jobs, self.best_rows());
            together.retain(|job| !job.reply.is_closed());
            for job in &together {
                let waited = start.at.saturating_duration_since(job.request.queued);
                self.metrics.queue_latency.record(micros(waited));
            }
            if !together.is_empty() {
                start.at = self.run_jobs(&mut **engine, together, start);
            }
            // The first run finds cold caches; those behind it show what the slot can do.
            start.is_busy = true;
        }
        self.was_busy(begun, start.at);
        drop(engine);
        jobs.into_iter().for_each(|job| self.hand_over(job));
    }

    /// A slot was in use from then to then, on this thread.
    fn was_busy(&self, from: Instant, until: Instant) {
        let passed = until.saturating_duration_since(from);
        self.metrics.inline_time.increment(nanos(passed));
    }

    /// Gives a gathered request to the slots' own threads. A queue that is full or closed answers
    /// its caller.
    fn hand_over(&self, job: Job) {
        if let Err(refused) = self.enqueue(job) {
            let (refused, job) = *refused;
            job.answer(Err(refused));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_is_crowded_beside_the_largest_lately() {
        let gathering = Gathering::default();
        assert!(gathering.is_crowded(1), "nothing larger was seen");
        assert!(gathering.is_crowded(12));
        assert!(!gathering.is_crowded(5));
        assert!(gathering.is_crowded(6));
        assert!(gathering.is_crowded(100));
        assert!(
            gathering.is_crowded(CROWD),
            "more would not make it cheaper"
        );
        // Callers with fewer connections come in their stead.
        for _ in 0..10 * WAKE_UP {
            gathering.is_crowded(2);
        }
        assert!(gathering.is_crowded(2));
        assert!(!gathering.is_crowded(0));
    }
}
