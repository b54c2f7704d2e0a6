//! Takes periods out of the outbox and sees them off by the route that works.
//!
//! **Contract:** a route that fails never blocks the sampler, never grows memory and never touches
//! serving. What cannot leave is dropped, oldest first, and counted. Every change of route is one
//! log line with its reason.
//!
//! - `auto`: the first period is the probe. Accepted: CloudWatch. Refused, for whatever reason: embedded metric format,
//!   with a new probe after 30 s, then less and less often. CloudWatch that stops working for a
//!   minute is refused too.
//! - `cloudwatch`: tried again with growing waits, for ever; the outbox bounds what is kept.
//! - `emf`: stdout.
//!
//! **No period leaves twice.** PutMetricData has no idempotency token, and a period that counts
//! twice is worse than one that is missing. What CloudWatch has certainly not taken is sent again or
//! by stdout; what it may have taken is neither, and is counted as unknown.

pub(crate) mod cloudwatch;
pub(crate) mod emf;
pub(crate) mod prometheus;
pub(crate) mod route;
pub(crate) mod skew;
pub(crate) mod stats;
pub(crate) mod timing;

use std::future::Future;
use std::mem::Discriminant;
use std::sync::Arc;
use std::time::{Duration, Instant as Deadline};

use scaling::window::Period;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::outbox::Outbox;
use cloudwatch::retry::Backoff;
use emf::Emf;
use route::{Active, Refusal, RouteChoice};
use stats::Stats;
pub(crate) use timing::{Progress, Timing};

/// Periods in a row whose answer is lost, after which `auto` leaves CloudWatch: each costs its data.
const LOST_IN_A_ROW: u32 = 2;

/// CloudWatch takes no number beyond 2^360, by whichever route.
const HIGHEST: f64 = 2.348_542_582_773_833e108;

/// True if CloudWatch takes the number.
fn sendable(value: f64) -> bool {
    value.abs() <= HIGHEST
}

/// What takes a period in CloudWatch's stead in tests.
pub(crate) trait Cloud {
    /// Publishes a period, from where `progress` stands; one attempt, with its own time limits.
    fn put(
        &mut self,
        period: &Period,
        progress: &mut Progress,
    ) -> impl Future<Output = Result<(), Refusal>>;

    /// Uses new connections from here on.
    fn reconnect(&mut self);
}

/// A period on its way out.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) period: Period,
    /// Told when the period has left, or is lost; a period for which somebody waits does not wait for
    /// the fleet's jitter.
    pub(crate) delivered: Vec<oneshot::Sender<()>>,
}

impl From<Period> for Parcel {
    fn from(period: Period) -> Self {
        Self {
            period,
            delivered: Vec::new(),
        }
    }
}

/// Set to a deadline when the sidecar is asked to stop.
pub(crate) type Stop = watch::Receiver<Option<Deadline>>;

/// The publishing side's state.
pub(crate) struct Publisher<C> {
    choice: RouteChoice,
    cloud: C,
    emf: Arc<Emf>,
    stats: Arc<Stats>,
    timing: Timing,
    /// Waits between attempts, and between probes.
    backoff: Backoff,
    probes: Backoff,
    stop: Stop,
    active: Active,
    probe_at: Instant,
    /// Periods in a row whose answer is lost.
    lost_in_a_row: u32,
    /// The wall clock, and when the last call ended by it.
    clock: fn() -> Duration,
    last_call: Option<Duration>,
    /// Lines that stdout had not taken at the last look.
    emf_dropped: u64,
    /// What was said last: said once, until it changes.
    said: Option<(Active, Option<Discriminant<Refusal>>)>,
}

impl<C: Cloud> Publisher<C> {
    pub(crate) fn new(
        choice: RouteChoice,
        cloud: C,
        emf: Arc<Emf>,
        stats: Arc<Stats>,
        (timing, seed): (Timing, u64),
        stop: Stop,
    ) -> Self {
        let active = match choice {
            RouteChoice::Auto | RouteChoice::CloudWatch => Active::Pending,
            RouteChoice::Emf => Active::Emf,
            RouteChoice::None => Active::Off,
        };
        stats.set_active(active);
        let said = Some((active, None));
        let probe_at = Instant::now();
        Self {
            choice,
            cloud,
            emf,
            stats,
            timing,
            backoff: Backoff::new(timing.backoff.0, timing.backoff.1, seed),
            probes: Backoff::new(timing.probe.0, timing.probe.1, seed),
            stop,
            active,
            probe_at,
            lost_in_a_row: 0,
            clock: crate::unix_time,
            last_call: None,
            emf_dropped: 0,
            said,
        }
    }

    #[cfg(test)]
    pub(crate) fn with_clock(mut self, clock: fn() -> Duration) -> Self {
        self.clock = clock;
        self
    }

    /// Publishes until the outbox is closed and empty.
    pub(crate) async fn run(mut self, outbox: Arc<Outbox<Parcel>>) {
        while let Some(Parcel { period, delivered }) = outbox.take().await {
            if delivered.is_empty() {
                self.pause(self.timing.jitter).await;
            }
            // Of the metrics that were chosen none may be there, such as a GPU's: nothing is sent then,
            // and nothing was accepted.
            if !period.series.is_empty() {
                self.deliver(&period, &outbox).await;
            }
            if !delivered.is_empty() {
                let emf = Arc::clone(&self.emf);
                // Lines leave on a thread of their own; whoever waits may have given up meanwhile.
                tokio::spawn(async move {
                    emf.written().await;
                    for delivered in delivered {
                        let _ = delivered.send(());
                    }
                });
            }
        }
    }

    async fn deliver(&mut self, period: &Period, outbox: &Outbox<Parcel>) {
        let mut progress = Progress::default();
        let sent = match (self.choice, self.active) {
            (RouteChoice::None, _) => return,
            (RouteChoice::Emf, _) => return self.write(period),
            (RouteChoice::Auto, Active::Emf) if Instant::now() < self.probe_at => {
                return self.write(period);
            }
            (RouteChoice::Auto, Active::CloudWatch) | (RouteChoice::CloudWatch, _) => {
                self.insist(period, &mut progress, outbox).await
            }
            (RouteChoice::Auto, _) => self.attempt(period, &mut progress).await,
        };
        match sent {
            Ok(()) => self.lost_in_a_row = 0,
            // Whoever takes other periods has something against this one; who never took any may be
            // no CloudWatch at all.
            Err(refusal) if refusal.is_final() && self.takes_others() => self.give_up(&refusal),
            Err(refusal) if refusal.is_lost() => self.lose_sight(&refusal).await,
            Err(refusal) if self.choice == RouteChoice::Auto => {
                self.fall_back(&refusal);
                if progress.accepted == 0 {
                    self.write(period);
                } else {
                    // Its first calls are in CloudWatch: whole, it would count twice.
                    self.stats.lose_sight();
                }
            }
            Err(refusal) => self.give_up(&refusal),
        }
    }

    /// One attempt at CloudWatch, cut short when the sidecar must stop. One that was refused for a
    /// reason that is gone now, a freeze or a clock that the SDK has corrected since, is made again.
    async fn attempt(&mut self, period: &Period, progress: &mut Progress) -> Result<(), Refusal> {
        let frozen =
            self.active == Active::CloudWatch && self.timing.froze(self.last_call, (self.clock)());
        if frozen {
            self.cloud.reconnect();
        }
        let begin = (self.clock)();
        let mut result = self.call(period, progress).await;
        // Frozen in the middle of a call, its time limit is over on waking.
        let frozen = frozen || self.timing.froze(Some(begin), (self.clock)());
        let again = match &result {
            Err(Refusal::Skewed(_)) => {
                self.stats.failure();
                true
            }
            Err(refusal) if frozen && refusal.may_pass() => {
                self.cloud.reconnect();
                true
            }
            _ => false,
        };
        if again && !self.stopping() {
            result = self.call(period, progress).await;
        }
        match &result {
            Ok(()) => {
                self.backoff.reset();
                self.probes.reset();
                self.stats.success();
                self.change(Active::CloudWatch, None);
            }
            Err(refusal) if refusal.was_attempted() => self.stats.failure(),
            Err(_) => {}
        }
        result
    }

    async fn call(&mut self, period: &Period, progress: &mut Progress) -> Result<(), Refusal> {
        let stop = self.stop.clone();
        let result = tokio::select! {
            biased;
            () = deadline(stop) => None,
            result = self.cloud.put(period, progress) => Some(result),
        };
        self.last_call = Some((self.clock)());
        result.unwrap_or_else(|| {
            Err(if progress.is_written() {
                Refusal::Lost("the container had to end".to_owned())
            } else {
                Refusal::Timeout
            })
        })
    }

    /// Attempts with growing waits, for as long as the choice of route asks for.
    async fn insist(
        &mut self,
        period: &Period,
        progress: &mut Progress,
        outbox: &Outbox<Parcel>,
    ) -> Result<(), Refusal> {
        let begin = Instant::now();
        loop {
            let Err(refusal) = self.attempt(period, progress).await else {
                return Ok(());
            };
            if refusal.is_final() || refusal.is_lost() || self.stopping() {
                return Err(refusal);
            }
            match self.choice {
                RouteChoice::Auto if !refusal.may_pass() => return Err(refusal),
                RouteChoice::Auto if begin.elapsed() >= self.timing.patience => {
                    return Err(refusal)
                }
                RouteChoice::Auto => {}
                _ => self.change(Active::Pending, Some(&refusal)),
            }
            let wait = self.backoff.wait();
            self.pause(wait).await;
            // Newer periods would be pushed out for this one: it is the oldest, so it goes.
            if outbox.is_full() {
                return Err(refusal);
            }
        }
    }

    /// Whether CloudWatch is the only way, or the one that works.
    fn takes_others(&self) -> bool {
        self.choice != RouteChoice::Auto || self.active == Active::CloudWatch
    }

    /// Leaves CloudWatch for stdout until the next probe.
    fn fall_back(&mut self, refusal: &Refusal) {
        self.probe_at = Instant::now() + self.probes.wait();
        self.change(Active::Emf, Some(refusal));
    }

    fn give_up(&mut self, refusal: &Refusal) {
        self.stats.lose();
        let active = if refusal.is_final() {
            self.active
        } else {
            Active::Pending
        };
        self.change(active, Some(refusal));
    }

    /// A period may or may not have arrived: it goes by no way again.
    async fn lose_sight(&mut self, refusal: &Refusal) {
        self.stats.lose_sight();
        self.lost_in_a_row += 1;
        let stays = self.active == Active::CloudWatch && self.lost_in_a_row < LOST_IN_A_ROW;
        match self.choice {
            RouteChoice::Auto if !stays => return self.fall_back(refusal),
            RouteChoice::Auto => self.change(self.active, Some(refusal)),
            _ => self.change(Active::Pending, Some(refusal)),
        }
        // Those that wait would follow it at once, and be lost alike.
        let wait = self.backoff.wait();
        self.pause(wait).await;
    }

    /// Hands a period to stdout's thread. What that could not write of the periods before shows now.
    fn write(&mut self, period: &Period) {
        self.emf.write(period);
        let dropped = self.emf.dropped();
        if dropped == self.emf_dropped {
            return;
        }
        if self.emf_dropped == 0 {
            tracing::warn!("stdout does not take the metrics: {dropped} lines were dropped so far");
        }
        self.emf_dropped = dropped;
        self.stats.failure();
    }

    /// True once the sidecar must stop, or nobody holds it any more.
    fn stopping(&self) -> bool {
        self.stop.borrow().is_some() || self.stop.has_changed().is_err()
    }

    /// Waits, unless the sidecar must stop.
    async fn pause(&mut self, wait: Duration) {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = self.stop.wait_for(Option::is_some) => {}
        }
    }

    /// Takes a route and says so, once.
    fn change(&mut self, active: Active, refusal: Option<&Refusal>) {
        self.active = active;
        self.stats.set_active(active);
        let news = Some((active, refusal.map(std::mem::discriminant)));
        if self.said == news {
            return;
        }
        self.said = news;
        match (active, refusal) {
            (Active::CloudWatch, None) => {
                tracing::info!("metrics leave by PutMetricData: CloudWatch accepted them");
            }
            (Active::Emf, Some(refusal)) => tracing::warn!(
                "metrics leave as embedded metric format on stdout: {refusal}; CloudWatch is tried \
                 again within {} s, then less and less often, after {} s at most",
                self.timing.probe.0.as_secs(),
                self.timing.probe.1.as_secs()
            ),
            (_, Some(refusal)) if refusal.is_lost() => tracing::warn!(
                "a period of metrics may or may not have arrived, and is not sent again: {refusal}"
            ),
            (_, Some(refusal)) if refusal.is_final() => {
                tracing::warn!("a period of metrics is lost: {refusal}");
            }
            (_, Some(refusal)) => tracing::warn!(
                "metrics cannot be published: {refusal}; serving goes on, CloudWatch is tried again"
            ),
            (_, None) => {}
        }
    }
}

/// Ends at the deadline that a stop sets; never before one is set.
async fn deadline(mut stop: Stop) {
    let set = stop.wait_for(Option::is_some).await.map(|set| *set);
    if let Ok(Some(end)) = set {
        tokio::time::sleep_until(end.into()).await;
    }
}

#[cfg(test)]
#[path = "publisher_tests.rs"]
mod tests;

#[cfg(test)]
mod limits_tests;
#[cfg(test)]
mod outage_tests;
