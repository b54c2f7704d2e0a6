//! What the users felt, and what it took: totals, a timeline, and the elasticity metrics.

use serde::{Deserialize, Serialize};

use super::bucket::BUCKET_SECS;
use super::elasticity::{Accuracy, Elasticity};
use super::latencies::Latencies;

/// What users are promised.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    /// An answer within so many milliseconds, from the first attempt on.
    pub latency_ms: f64,
    /// For so many of a hundred requests.
    pub percent: f64,
}

impl Slo {
    /// The share of requests that may miss it, 0 to 1.
    #[must_use]
    pub fn allowed(&self) -> f64 {
        1.0 - self.percent / 100.0
    }
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Refused by a full queue, or by a fleet of none.
    Shed,
    /// Its caller has given up.
    TimedOut,
    /// Its instance has died.
    Lost,
}

/// Requests of a while.
#[derive(Debug, Clone, Default)]
pub struct Felt {
    /// Came.
    pub arrived: f64,
    /// Answered later than promised.
    pub late: f64,
    /// Refused in the end.
    pub shed: f64,
    /// Given up by their callers.
    pub timed_out: f64,
    /// Lost with their instance.
    pub lost: f64,
    /// Microseconds from the first attempt to the answer.
    pub latency: Latencies,
}

impl Felt {
    /// Late, or not answered.
    #[must_use]
    pub fn missed(&self) -> f64 {
        self.late + self.shed + self.timed_out + self.lost
    }

    fn merge(&mut self, other: &Self) {
        self.arrived += other.arrived;
        self.late += other.late;
        self.shed += other.shed;
        self.timed_out += other.timed_out;
        self.lost += other.lost;
        self.latency.merge(&other.latency);
    }

    fn clear(&mut self) {
        (self.arrived, self.late, self.shed) = (0.0, 0.0, 0.0);
        (self.timed_out, self.lost) = (0.0, 0.0);
        self.latency.clear();
    }
}

/// A step of a timeline.
#[derive(Debug, Clone, Default)]
pub struct Point {
    /// What users felt.
    pub felt: Felt,
    /// In service: instances times seconds.
    pub instance_secs: f64,
    /// The least that would have done, times seconds.
    pub needed_secs: f64,
    /// The most requests that waited in one instance.
    pub queue: f64,
}

/// A run over time, in at most so many steps.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// Seconds in a step.
    pub step_secs: u64,
    /// In order; the last one may be shorter.
    pub points: Vec<Point>,
    /// Seconds in the last one.
    pub filled: u64,
}

const MOST_POINTS: usize = 720;

impl Timeline {
    fn new() -> Self {
        Self {
            step_secs: BUCKET_SECS,
            points: Vec::new(),
            filled: BUCKET_SECS,
        }
    }

    fn add(&mut self, point: &Point) {
        if self.filled >= self.step_secs {
            if self.points.len() == MOST_POINTS {
                self.halve();
            }
            self.points.push(Point::default());
            self.filled = 0;
        }
        if let Some(last) = self.points.last_mut() {
            last.merge(point);
        }
        self.filled += BUCKET_SECS;
    }

    fn halve(&mut self) {
        let pairs = self.points.chunks(2).map(|pair| {
            let mut first = pair[0].clone();
            if let Some(second) = pair.get(1) {
                first.merge(second);
            }
            first
        });
        self.points = pairs.collect();
        self.step_secs *= 2;
        self.filled = self.step_secs;
    }
}

impl Point {
    fn merge(&mut self, other: &Self) {
        self.felt.merge(&other.felt);
        self.instance_secs += other.instance_secs;
        self.needed_secs += other.needed_secs;
        self.queue = self.queue.max(other.queue);
    }
}

/// Counts a run.
#[derive(Debug, Clone)]
pub struct Tally {
    slo: Slo,
    /// Requests a second that one instance can answer as promised.
    rate: f64,
    /// Since the last bucket ended.
    felt: Felt,
    /// All.
    total: Felt,
    instance_secs: f64,
    most_instances: f64,
    timeline: Timeline,
    /// The minute so far: seconds, requests, missed, instance-seconds.
    minute: (u64, f64, f64, f64),
    elasticity: Elasticity,
    /// Seconds for which the promise has been broken, and each time that it was.
    broken_secs: u64,
    broken: Vec<u64>,
}

impl Tally {
    pub(super) fn new(slo: Slo, rate: f64) -> Self {
        Self {
            slo,
            rate,
            felt: Felt::default(),
            total: Felt::default(),
            instance_secs: 0.0,
            most_instances: 0.0,
            timeline: Timeline::new(),
            minute: (0, 0.0, 0.0, 0.0),
            elasticity: Elasticity::default(),
            broken_secs: 0,
            broken: Vec::new(),
        }
    }

    pub(super) fn arrive(&mut self, requests: f64) {
        self.felt.arrived += requests;
    }

    pub(super) fn answer(&mut self, micros: f64, requests: f64) {
        self.felt.latency.add(micros, requests);
        if micros > self.slo.latency_ms * 1000.0 {
            self.felt.late += requests;
        }
    }

    pub(super) fn fail(&mut self, failure: Failure, requests: f64) {
        match failure {
            Failure::Shed => self.felt.shed += requests,
            Failure::TimedOut => self.felt.timed_out += requests,
            Failure::Lost => self.felt.lost += requests,
        }
    }

    /// Ten seconds are over.
    pub(super) fn close(&mut self, instance_secs: f64, queue: f64) {
        self.instance_secs += instance_secs;
        self.most_instances = self.most_instances.max(instance_secs / BUCKET_SECS as f64);
        let point = Point {
            needed_secs: self.needed(self.felt.arrived, BUCKET_SECS) * BUCKET_SECS as f64,
            felt: std::mem::take(&mut self.felt),
            instance_secs,
            queue,
        };
        self.timeline.add(&point);
        let (secs, arrived, missed, served) = self.minute;
        self.minute = (
            secs + BUCKET_SECS,
            arrived + point.felt.arrived,
            missed + point.felt.missed(),
            served + instance_secs,
        );
        self.total.merge(&point.felt);
        self.felt = point.felt;
        self.felt.clear();
        if self.minute.0 >= 60 {
            self.close_minute();
        }
    }

    /// The least instances that would have done; none where nothing came.
    fn needed(&self, requests: f64, secs: u64) -> f64 {
        (requests / secs as f64 / self.rate - 1e-9).ceil().max(0.0)
    }

    fn close_minute(&mut self) {
        let (secs, arrived, missed, served) = std::mem::take(&mut self.minute);
        if secs == 0 {
            return;
        }
        let needed = self.needed(arrived, secs);
        self.elasticity.add(needed, (served / secs as f64).round());
        match missed > self.slo.allowed() * arrived && missed > 0.0 {
            true => self.broken_secs += secs,
            false if self.broken_secs > 0 => {
                self.broken.push(std::mem::take(&mut self.broken_secs))
            }
            false => {}
        }
    }

    /// The end; what came after the last bucket counts in the totals.
    pub(super) fn finish(mut self) -> Counted {
        self.close_minute();
        if self.broken_secs > 0 {
            self.broken.push(self.broken_secs);
        }
        self.total.merge(&self.felt);
        if let Some(last) = self.timeline.points.last_mut() {
            last.felt.merge(&self.felt);
        }
        Counted {
            total: self.total,
            instance_secs: self.instance_secs,
            most_instances: self.most_instances,
            timeline: self.timeline,
            accuracy: self.elasticity.accuracy(),
            broken: self.broken,
        }
    }
}

/// A run that is over.
pub(super) struct Counted {
    pub(super) total: Felt,
    pub(super) instance_secs: f64,
    pub(super) most_instances: f64,
    pub(super) timeline: Timeline,
    pub(super) accuracy: Accuracy,
    /// Seconds, each time that the promise was broken.
    pub(super) broken: Vec<u64>,
}
