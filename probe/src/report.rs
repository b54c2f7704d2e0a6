//! What a load found, in numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::latency::{Histogram, Quantiles};

/// Why a request got no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// No connection could be opened.
    Connect,
    /// Every connection was busy until the time-out: the request never left.
    Unsent,
    /// Sent, and not answered before the time-out.
    Timeout,
    /// The connection was lost before the reply was complete.
    Closed,
    /// The reply was not HTTP/1.1.
    Malformed,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Unsent => "never sent, every connection was busy",
            Self::Timeout => "no reply in time",
            Self::Closed => "connection lost",
            Self::Malformed => "unreadable reply",
        })
    }
}

/// The result of [`open_loop`](crate::open_loop) or [`closed_loop`](crate::closed_loop).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Requests per second that the schedule asked for; absent in a closed loop.
    pub asked_rate: Option<f64>,
    /// Replies per second, any status, over `seconds`.
    pub achieved_rate: f64,
    /// From the start to the last reply or failure; in an open loop at least the duration.
    pub seconds: f64,
    /// Requests that were called for: `answered` and all `failures`.
    pub requested: u64,
    /// Requests that were put on a connection.
    pub sent: u64,
    /// Requests that got a whole reply, any status.
    pub answered: u64,
    /// Replies by status code.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without a reply, by cause.
    pub failures: BTreeMap<Failure, u64>,
    /// The first reply that was not 2xx (its status and the beginning of its body), or the first
    /// failure.
    pub first_trouble: Option<String>,
    /// Microseconds from the scheduled arrival (open loop) or the sending (closed loop) to the end
    /// of the reply. A request that was given up counts with the time it waited; one that failed
    /// otherwise does not count.
    pub latency_us: Quantiles,
    /// Microseconds by which the generator itself was late to send or queue an arrival; absent in
    /// a closed loop. It is part of `latency_us`.
    pub lateness_us: Option<Quantiles>,
}

/// Lateness that makes the latencies beside it doubtful, microseconds.
const LATE_US: f64 = 1_000.0;
/// Lateness that matters only beside a latency of the same order.
const LATE_SHARE: f64 = 0.2;

impl Report {
    /// Every request was answered with 2xx, and there was one.
    #[must_use]
    pub fn all_well(&self) -> bool {
        let good: u64 = self.statuses.range(200..300).map(|(_, count)| count).sum();
        good > 0 && good == self.requested
    }

    /// The generator was itself so late that the latencies say more about it than about the
    /// server: its 99th percentile is above 1 ms and above a fifth of the latency's.
    #[must_use]
    pub fn generator_was_late(&self) -> bool {
        self.lateness_us
            .is_some_and(|late| late.p99 > LATE_US && late.p99 > LATE_SHARE * self.latency_us.p99)
    }

    /// One JSON object on one line; times in microseconds.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Numbers, strings and maps with plain keys: nothing in here can fail to serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What is counted while the load runs.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    latency: Histogram,
    statuses: BTreeMap<u16, u64>,
    failures: BTreeMap<Failure, u64>,
    first_trouble: Option<String>,
}

/// Longest excerpt of a reply in a report, bytes.
pub(crate) const EXCERPT_BYTES: usize = 200;

impl Tally {
    pub(crate) fn answered(&mut self, status: u16, body: &[u8], latency: Duration) {
        *self.statuses.entry(status).or_default() += 1;
        self.latency.record(latency);
        if !(200..300).contains(&status) && self.first_trouble.is_none() {
            let text = String::from_utf8_lossy(body);
            let printable: String = text
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            self.first_trouble = Some(format!("status {status}: {}", printable.trim()));
        }
    }

    pub(crate) fn failed(&mut self, failure: Failure, why: &str, waited: Duration) {
        *self.failures.entry(failure).or_default() += 1;
        if matches!(failure, Failure::Timeout | Failure::Unsent) {
            self.latency.record(waited);
        }
        if self.first_trouble.is_none() {
            self.first_trouble = Some(why.to_owned());
        }
    }

    pub(crate) fn report(
        self,
        elapsed: Duration,
        asked_rate: Option<f64>,
        lateness: Option<&Histogram>,
    ) -> Report {
        let answered: u64 = self.statuses.values().sum();
        let failed: u64 = self.failures.values().sum();
        let left_out = |kind| self.failures.get(&kind).copied().unwrap_or(0);
        let seconds = elapsed.as_secs_f64();
        Report {
            asked_rate,
            achieved_rate: if seconds > 0.0 {
                answered as f64 / seconds
            } else {
                0.0
            },
            seconds,
            requested: answered + failed,
            sent: answered + failed - left_out(Failure::Connect) - left_out(Failure::Unsent),
            answered,
            statuses: self.statuses,
            failures: self.failures,
            first_trouble: self.first_trouble,
            latency_us: self.latency.quantiles(),
            lateness_us: lateness.map(Histogram::quantiles),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second() -> Duration {
        Duration::from_secs(1)
    }

    #[test]
    fn only_a_run_of_nothing_but_2xx_is_well() {
        let mut tally = Tally::default();
        assert!(!Tally::default().report(second(), None, None).all_well());
        tally.answered(200, b"", second());
        tally.answered(204, b"", second());
        let report = tally.report(second(), None, None);
        assert!(report.all_well() && report.first_trouble.is_none());

        let mut tally = Tally::default();
        tally.answered(200, b"", second());
        tally.answered(503, b"busy\nnow", second());
        tally.failed(Failure::Closed, "lost", second());
        let report = tally.report(second(), None, None);
        assert!(!report.all_well());
        assert_eq!(
            report.first_trouble.as_deref(),
            Some("status 503: busy now")
        );
        assert_eq!((report.requested, report.sent, report.answered), (3, 3, 2));
    }

    #[test]
    fn a_request_that_never_left_is_not_sent_and_its_wait_counts() {
        let mut tally = Tally::default();
        tally.failed(Failure::Unsent, "waited", second());
        tally.failed(Failure::Connect, "refused", second());
        let report = tally.report(second(), Some(2.0), None);
        assert_eq!((report.requested, report.sent, report.answered), (2, 0, 0));
        assert!((report.latency_us.max - 1e6).abs() < 1.0);
        assert_eq!(report.first_trouble.as_deref(), Some("waited"));
    }

    #[test]
    fn json_has_numbers_by_name() {
        let mut tally = Tally::default();
        tally.answered(200, b"", Duration::from_micros(5));
        tally.failed(Failure::Timeout, "late", second());
        let json: serde_json::Value =
            serde_json::from_str(&tally.report(second(), None, None).to_json()).unwrap();
        assert_eq!(json["statuses"]["200"], 1);
        assert_eq!(json["failures"]["timeout"], 1);
        assert!(json["latency_us"]["p50"].is_number() && json["asked_rate"].is_null());
    }

    #[test]
    fn a_late_generator_is_told_from_a_slow_server() {
        let report = |late_ms: u64, latency_ms: u64| {
            let mut tally = Tally::default();
            tally.answered(200, b"", Duration::from_millis(latency_ms));
            let mut lateness = Histogram::default();
            lateness.record(Duration::from_millis(late_ms));
            tally.report(second(), Some(1.0), Some(&lateness))
        };
        assert!(report(20, 25).generator_was_late());
        assert!(!report(20, 500).generator_was_late());
        assert!(!report(0, 1).generator_was_late());
    }
}
