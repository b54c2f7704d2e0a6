//! Runs that stay on the HTTP thread, back to back.
//!
//! One wake-up of an HTTP thread often brings many requests. Taking each of them from socket to
//! socket in turn runs through kernel, HTTP, codec and ONNX Runtime every time, and every time the
//! processor's caches are cold for the next. So the first request of a wake-up yields once; those
//! that are ready too are read and decoded meanwhile and join it; then it runs them all, one after
//! the other, on one slot. A lone request is not made to wait: as long as nobody joined lately, only
//! every 16th yields, to notice when that changes.
//!
//! They stay here even when they are so many that they take long: as many as there are connections,
//! and each later one is read only when these have their replies, so what is too much waits in its
//! socket, where it costs nothing.
//!
//! **Invariant:** whoever gathers is either run by the leader or, when the leader's caller hung up
//! or no slot is free, handed to the queue. Nobody is forgotten.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::cost::nanos;
use super::slot::Held;
use super::{batch, micros, Allowance, Job, Ran, Request, Scheduler, Shared, Start, SubmitError};
use crate::clock;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sync::{thread_number, Mutex, PoisonError};

/// While requests come alone, one in so many waits to see whether another joins.
const PROBE_EVERY: u32 = 16;
/// A leader runs others for at most this long; then all else on this thread has its turn, so that
/// `/ping` does not wait, before it goes on.
pub(super) const LEAD_FOR: Duration = Duration::from_millis(1);

/// HTTP threads that gather apart; of more, some gather together, which is as right and slower.
const PLACES: usize = 32;

/// A gathering for each HTTP thread: who joined another thread's would wait for that thread's turn,
/// and be woken by it.
#[derive(Default)]
pub(super) struct Gatherings {
    places: [Gathering; PLACES],
}

impl Gatherings {
    /// This thread's.
    fn own(&self) -> &Gathering {
        &self.places[thread_number() % PLACES]
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

/// The one who runs the others. Dropped before all have run, it hands them over.
struct Leader<'a> {
    shared: &'a Shared,
    gathering: &'a Gathering,
    /// Those who gathered, once it has begun.
    jobs: VecDeque<Job>,
    /// Whether they wait as if they were in the queue.
    do_wait: bool,
    has_begun: bool,
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        if !self.has_begun {
            self.jobs = self.gathering.take();
        }
        self.hand_over();
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
            if let Some(mut held) = shared.free_slot() {
                shared.metrics.queue_latency.record(0.0);
                let is_crowded = gathering.is_crowded(1);
                let start = Start::here(request.queued, is_crowded);
                let (ran, ended) = shared.run_request(&mut held, &request, start, || false);
                shared.was_busy(start.at, ended);
                return ran.unwrap_or(Err(SubmitError::TimedOut(allowance.limit)));
            }
            return self.wait_for_slot(request, allowance).await;
        }
        let deadline = request.deadline;
        let (job, answer) = Job::new(request);
        if gathering.join(job) {
            let leader = Leader {
                shared,
                gathering,
                jobs: VecDeque::new(),
                do_wait: false,
                has_begun: false,
            };
            leader.lead().await;
        }
        // Ready at once, but for those who were handed to the queue.
        match clock::by(deadline, answer).await {
            Some(Ok(ran)) => ran,
            Some(Err(_)) | None => Err(SubmitError::TimedOut(allowance.limit)),
        }
    }
}

impl Leader<'_> {
    /// Lets others join, and runs all; where that takes long, this thread's other tasks have their
    /// turns in between.
    async fn lead(mut self) {
        // Another thread may go on from here, with those who gathered on this one.
        tokio::task::yield_now().await;
        self.has_begun = true;
        self.jobs = self.gathering.take();
        let requests = self.jobs.len();
        self.gathering.joined_lately.store(requests > 1, Relaxed);
        let is_crowded = self.gathering.is_crowded(requests);
        loop {
            let Some(held) = self.shared.free_slot() else {
                return self.hand_over();
            };
            self.run_for_a_while(held, is_crowded);
            if self.jobs.is_empty() {
                return;
            }
            self.wait();
            tokio::task::yield_now().await;
        }
    }

    fn run_for_a_while(&mut self, mut held: Held<'_>, is_crowded: bool) {
        let shared = self.shared;
        let begun = clock::now();
        let mut start = Start::here(begun, is_crowded);
        while !self.jobs.is_empty() && start.at.saturating_duration_since(begun) <= LEAD_FOR {
            let mut together = batch::take_first(&mut self.jobs);
            if self.do_wait {
                for _ in &together {
                    shared.metrics.queue_depth.fall(start.at);
                }
            }
            together.retain(|job| !job.is_abandoned(start.at));
            for job in &together {
                let waited = start.at.saturating_duration_since(job.request.queued);
                shared.metrics.queue_latency.record(micros(waited));
            }
            if !together.is_empty() {
                start.at = shared.run_jobs(&mut held, together, start);
            }
            // The first run finds cold caches; those behind it show what the slot can do.
            start.is_busy = true;
        }
        shared.was_busy(begun, start.at);
    }

    /// Those who are left wait from here on as if they were in the queue.
    fn wait(&mut self) {
        if !self.do_wait {
            self.do_wait = true;
            for job in &self.jobs {
                self.shared.metrics.queue_depth.rise(job.request.queued);
            }
        }
    }

    /// Gives those who are left to the slots' own threads.
    fn hand_over(&mut self) {
        for job in std::mem::take(&mut self.jobs) {
            if self.do_wait {
                // The queue counts it anew.
                self.shared.metrics.queue_depth.fall(clock::now());
            }
            self.shared.hand_over(job);
        }
    }
}

impl Shared {
    /// A slot that nobody uses right now; each HTTP thread looks at its own first.
    fn free_slot(&self) -> Option<Held<'_>> {
        let begin = thread_number();
        let slots = self.slots.len();
        (0..slots).find_map(|i| self.slots[begin.wrapping_add(i) % slots].try_hold())
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
