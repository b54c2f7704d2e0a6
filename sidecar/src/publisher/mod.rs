//! Takes periods out of the outbox and sees them off by the route that works.
//!
//! **Contract:** a route that fails never blocks the sampler, never grows memory and never touches
//! serving. What cannot leave is dropped, oldest first, and counted. Every change of route is one
//! log line with its reason.
//!
//! - `auto`: the first period is the probe. Accepted: CloudWatch. Refused: embedded metric format,
//!   with a new probe every few minutes. CloudWatch that stops working for a minute is refused too.
//! - `cloudwatch`: tried again with growing waits, for ever; the outbox bounds what is kept.
//! - `emf`: stdout.

pub(crate) mod cloudwatch;
pub(crate) mod emf;
pub(crate) mod prometheus;
pub(crate) mod route;
pub(crate) mod stats;

use std::future::Future;
use std::mem::Discriminant;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scaling::window::Period;
use tokio::sync::{oneshot, watch};

use crate::outbox::Outbox;
use cloudwatch::retry::Backoff;
use emf::Emf;
use route::{Active, Refusal, RouteChoice};
use stats::Stats;

/// What takes a period in CloudWatch's stead in tests.
pub(crate) trait Cloud {
    /// Publishes a period; one attempt, with its own time limits.
    fn put(&mut self, period: &Period) -> impl Future<Output = Result<(), Refusal>>;
}

/// When the publisher tries what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Wait after a first failure, and the longest wait.
    pub(crate) backoff: (Duration, Duration),
    /// How long `auto` stays with a CloudWatch that fails.
    pub(crate) patience: Duration,
    /// Between two probes of `auto`.
    pub(crate) probe: Duration,
    /// Delay of each period, so that a fleet does not publish in phase.
    pub(crate) jitter: Duration,
}

impl Timing {
    /// The timing for a publishing period; `seed` differs from process to process.
    pub(crate) fn new(period_secs: u32, seed: u64) -> Self {
        let most = u64::from(period_secs) * 100;
        Self {
            backoff: (Duration::from_secs(1), Duration::from_secs(60)),
            patience: Duration::from_secs(60),
            probe: Duration::from_secs(300),
            jitter: Duration::from_millis(seed % most.max(1)),
        }
    }
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
pub(crate) type Stop = watch::Receiver<Option<Instant>>;

/// The publishing side's state.
pub(crate) struct Publisher<C> {
    choice: RouteChoice,
    cloud: C,
    emf: Arc<Emf>,
    stats: Arc<Stats>,
    timing: Timing,
    seed: u64,
    stop: Stop,
    active: Active,
    probe_at: Instant,
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
            seed,
            stop,
            active,
            probe_at,
            emf_dropped: 0,
            said,
        }
    }

    /// Publishes until the outbox is closed and empty.
    pub(crate) async fn run(mut self, outbox: Arc<Outbox<Parcel>>) {
        while let Some(Parcel { period, delivered }) = outbox.take().await {
            if delivered.is_empty() {
                self.pause(self.timing.jitter).await;
            }
            self.deliver(&period, &outbox).await;
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
        match (self.choice, self.active) {
            (RouteChoice::None, _) => {}
            (RouteChoice::Emf, _) => self.write(period),
            (RouteChoice::Auto, Active::Emf) if Instant::now() < self.probe_at => {
                self.write(period)
            }
            (RouteChoice::Auto, Active::CloudWatch) => {
                if let Err(refusal) = self.insist(period, outbox).await {
                    self.fall_back(period, &refusal);
                }
            }
            (RouteChoice::Auto, _) => match self.attempt(period).await {
                Ok(()) => {}
                Err(refusal) => self.fall_back(period, &refusal),
            },
            (RouteChoice::CloudWatch, _) => {
                if let Err(refusal) = self.insist(period, outbox).await {
                    self.give_up(&refusal);
                }
            }
        }
    }

    /// One attempt at CloudWatch, cut short when the sidecar must stop.
    async fn attempt(&mut self, period: &Period) -> Result<(), Refusal> {
        let stop = self.stop.clone();
        let result = tokio::select! {
            result = self.cloud.put(period) => result,
            () = deadline(stop) => Err(Refusal::Timeout),
        };
        match &result {
            Ok(()) => {
                self.stats.success();
                self.change(Active::CloudWatch, None);
            }
            Err(_) => self.stats.failure(),
        }
        result
    }

    /// Attempts with growing waits, for as long as the choice of route asks for.
    async fn insist(&mut self, period: &Period, outbox: &Outbox<Parcel>) -> Result<(), Refusal> {
        let (first, cap) = self.timing.backoff;
        let mut backoff = Backoff::new(first, cap, self.seed);
        let begin = Instant::now();
        loop {
            let Err(refusal) = self.attempt(period).await else {
                return Ok(());
            };
            if refusal.is_final() || self.stopping() {
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
            self.pause(backoff.wait()).await;
            // Newer periods would be pushed out for this one: it is the oldest, so it goes.
            if outbox.is_full() {
                return Err(refusal);
            }
        }
    }

    fn fall_back(&mut self, period: &Period, refusal: &Refusal) {
        if refusal.is_final() {
            return self.give_up(refusal);
        }
        self.probe_at = Instant::now() + self.timing.probe;
        self.change(Active::Emf, Some(refusal));
        self.write(period);
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

    /// Hands a period to stdout's thread. What that could not write of the periods before shows now.
    fn write(&mut self, period: &Period) {
        self.emf.write(period);
        let dropped = self.emf.dropped();
        if dropped == self.emf_dropped {
            self.stats.success();
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
                "metrics leave as embedded metric format on stdout: {refusal}; \
                 CloudWatch is tried again every {} s",
                self.timing.probe.as_secs()
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
