//! A fleet as a flow: how much comes, waits and is done, second by second.
//!
//! Waiting that comes of chance alone follows Sakasegawa's approximation for several servers: a request
//! waits with probability ρ^(√(2(m+1))−1), m being the slots that share a queue. The rest is exact for
//! large numbers: what is more than the slots can do waits, and what is more than the queues hold is
//! refused. It knows no repeated attempts.

use super::bucket::{Bucket, Recent, Scales, BUCKET_SECS};
use super::law::Law;
use super::routing::Routing;
use super::run::Fed;
use super::tally::{Counted, Failure, Tally};
use super::Workload;
use crate::policy::{Invalid, MetricStat};
use crate::simulate::World;
use crate::trace::{Kind, Row, MOST_COSTS};

/// Requests of ten seconds, and what they met.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    secs: f64,
    instance_secs: f64,
    arrived: f64,
    served: f64,
    per_instance: f64,
    /// Milliseconds of slot time of the arrivals.
    asked_ms: f64,
    shed: f64,
    timed_out: f64,
    no_capacity: f64,
    /// Requests that waited because there were too many, times seconds.
    waiting: f64,
    most_waiting: f64,
    /// Requests that will be answered, and the seconds that they waited for that reason.
    delayed: f64,
}

/// A fleet as a flow.
pub struct Flow<'w, R> {
    workload: &'w Workload,
    kind: Kind,
    rows: R,
    shift_us: u64,
    ms_per: [f64; MOST_COSTS],
    next: Option<Row>,
    row: Option<Row>,
    end_us: u64,
    failed: Option<Invalid>,
    /// Slot time ÷ mean, at equal shares.
    spread: Vec<f64>,
    instances: f64,
    /// Those, and the ones that are being replaced.
    capacity: f64,
    /// When dead instances are replaced, and how many.
    missing: Vec<(u64, f64)>,
    replaced_after: u64,
    now: u64,
    /// Requests that wait, and the milliseconds of slot time that they ask for.
    queue: f64,
    queue_ms: f64,
    /// Milliseconds of slot time of the mean request, of late.
    mean_ms: f64,
    /// Mean seconds of an answer, for closed loops.
    answer_secs: f64,
    sums: Sums,
    recent: Recent,
    tally: Tally,
}

/// Parts of the law of service times, and of the waits.
const PARTS: usize = 24;
const WAITS: [f64; 4] = [0.125, 0.375, 0.625, 0.875];

impl<'w, R: Iterator<Item = Result<Row, Invalid>>> Flow<'w, R> {
    pub(super) fn new(workload: &'w Workload, fed: Fed<R>) -> Self {
        let profile = &workload.profile;
        let mut ms_per = [0.0; MOST_COSTS];
        for (own, column) in ms_per.iter_mut().zip(&profile.columns()) {
            *own = profile.ms_per.get(column).copied().unwrap_or(0.0);
        }
        let scales = Scales {
            vcpus: f64::from(profile.vcpus),
            gpus: f64::from(profile.gpus),
        };
        let mut flow = Self {
            workload,
            kind: fed.kind,
            rows: fed.rows,
            shift_us: fed.shift_us,
            ms_per,
            next: None,
            row: None,
            end_us: fed.shift_us,
            failed: None,
            spread: Law::new(profile.cv()).parts(PARTS),
            instances: 0.0,
            missing: Vec::new(),
            replaced_after: fed.launch_secs,
            now: 0,
            queue: 0.0,
            queue_ms: 0.0,
            mean_ms: 1000.0 * profile.mean_secs(),
            capacity: 0.0,
            answer_secs: profile.mean_secs(),
            sums: Sums::default(),
            recent: Recent::new(fed.longest_secs, scales),
            tally: Tally::new(workload.slo, fed.rate),
        };
        flow.next = flow.read();
        flow
    }

    fn read(&mut self) -> Option<Row> {
        match self.rows.next()? {
            Ok(mut row) => {
                row.from_us += self.shift_us;
                row.until_us += self.shift_us;
                row.amount *= self.workload.scale;
                self.end_us = row.until_us;
                Some(row)
            }
            Err(why) => {
                self.failed = Some(why);
                None
            }
        }
    }

    /// Milliseconds of slot time of a row's mean request, alone.
    fn cost_ms(&self, row: &Row) -> f64 {
        let profile = &self.workload.profile;
        let own = row
            .class
            .map(|class| profile.classes[class as usize].mean_ms);
        let columns = row
            .costs
            .iter()
            .zip(&self.ms_per)
            .map(|(cost, ms)| cost * ms);
        own.unwrap_or(1000.0 * profile.mean_secs()) + columns.sum::<f64>()
    }

    /// Requests of the second that begins now, and the milliseconds of slot time that they ask for.
    fn arrivals(&mut self) -> (f64, f64) {
        let (from, until) = (self.now * 1_000_000, (self.now + 1) * 1_000_000);
        let (mut requests, mut asked) = (0.0, 0.0);
        loop {
            if let Some(row) = self.row {
                let share = match self.kind {
                    Kind::Requests => f64::from(u8::from(row.from_us >= from)),
                    _ => {
                        let (begins, ends) = (row.from_us.max(from), row.until_us.min(until));
                        let width = (row.until_us - row.from_us).max(1) as f64;
                        ends.saturating_sub(begins) as f64 / width
                    }
                };
                let amount = match self.kind {
                    Kind::Clients => {
                        let cycle = self.answer_secs + self.workload.think_ms / 1000.0;
                        let width = (row.until_us - row.from_us).max(1) as f64 / 1e6;
                        // No more can be on their way than there are callers who do not wait.
                        let free = (row.amount - self.queue).max(0.0);
                        let most = free.max(free / self.answer_secs.max(1e-3));
                        (row.amount / cycle.max(1e-6)).min(most) * share * width
                    }
                    _ => row.amount * share,
                };
                requests += amount;
                asked += amount * self.cost_ms(&row);
            }
            match self.next {
                Some(next) if next.from_us < until => {
                    self.row = Some(next);
                    self.next = self.read();
                }
                _ => break,
            }
        }
        (requests, asked)
    }

    /// Instances in service and on their way; those on their way are the first to be let go.
    fn set_capacity(&mut self, capacity: u32) {
        let capacity = f64::from(capacity);
        let mut fewer = (self.capacity - capacity).max(0.0);
        self.capacity = capacity;
        for (_, count) in self.missing.iter_mut().rev() {
            let taken = fewer.min(*count);
            *count -= taken;
            fewer -= taken;
        }
        let gone: f64 = self.missing.iter().map(|(_, count)| count).sum();
        self.instances = (capacity - gone).max(0.0);
    }

    /// Instances that die now take what waits in them along.
    fn kill(&mut self) {
        for failure in &self.workload.failures {
            if failure.at == self.now {
                let count = f64::from(failure.instances).min(self.instances);
                let share = count / self.instances.max(1.0);
                self.missing.push((self.now + self.replaced_after, count));
                self.instances -= count;
                self.tally.fail(Failure::Lost, self.queue * share);
                self.queue *= 1.0 - share;
                self.queue_ms *= 1.0 - share;
            }
        }
    }

    fn second(&mut self, capacity: u32) {
        let now = self.now;
        self.missing.retain(|(back, _)| *back > now);
        self.set_capacity(capacity);
        self.kill();
        let (arrived, asked_ms) = self.arrivals();
        let there = self.queue + arrived;
        if there > 0.0 {
            self.mean_ms = (self.queue_ms + asked_ms) / there;
        }
        let profile = &self.workload.profile;
        let slots = f64::from(profile.slots);
        let sums = &mut self.sums;
        sums.secs += 1.0;
        sums.instance_secs += self.instances;
        sums.arrived += arrived;
        self.now += 1;
        if self.instances <= 0.0 {
            sums.no_capacity += arrived;
            sums.shed += arrived;
            sums.timed_out += std::mem::take(&mut self.queue);
            self.queue_ms = 0.0;
            return;
        }
        sums.per_instance += arrived / self.instances;
        sums.asked_ms += asked_ms * profile.batched();
        let mean_ms = self.mean_ms.max(0.001);
        let rate = 1000.0 * slots * self.instances / (mean_ms * profile.batched());
        let served = there.min(rate);
        let left = there - served;
        let holds = self.instances * f64::from(profile.queue_limit);
        let shed = (left - holds).max(0.0).min(arrived);
        let too_late = (left - shed - rate * profile.timeout_secs).max(0.0);
        self.queue = left - shed - too_late;
        self.queue_ms = self.queue * mean_ms;
        sums.served += served;
        sums.shed += shed;
        sums.timed_out += too_late;
        sums.waiting += self.queue;
        sums.most_waiting = sums.most_waiting.max(self.queue / self.instances);
        sums.delayed += served * self.queue / rate;
    }

    fn close_bucket(&mut self) {
        let sums = std::mem::take(&mut self.sums);
        let bucket = self.bucket(&sums);
        self.tally.arrive(sums.arrived);
        self.tally.fail(Failure::Shed, sums.shed);
        self.tally.fail(Failure::TimedOut, sums.timed_out);
        self.tally.close(bucket.instance_secs, bucket.queue.most);
        self.recent.push(bucket);
    }

    fn bucket(&mut self, sums: &Sums) -> Bucket {
        let profile = &self.workload.profile;
        let mut bucket = Bucket {
            instance_secs: sums.instance_secs,
            invocations: sums.arrived - sums.no_capacity,
            per_instance: sums.per_instance,
            rejected: sums.shed - sums.no_capacity,
            failed: sums.timed_out,
            no_capacity: sums.no_capacity,
            ..Bucket::default()
        };
        if sums.instance_secs <= 0.0 {
            return bucket;
        }
        let slots = f64::from(profile.slots);
        let instances = sums.instance_secs / sums.secs;
        let asked = match sums.arrived > 0.0 {
            true => sums.asked_ms / 1000.0 / sums.arrived,
            false => self.mean_ms / 1000.0 * profile.batched(),
        };
        let asked = asked.max(1e-6);
        let alone = asked / profile.batched();
        let slot_secs = slots * sums.instance_secs;
        let offered = sums.asked_ms / 1000.0 / slot_secs;
        let busy = (sums.served * asked / slot_secs).min(1.0);
        let waiting = sums.waiting / sums.secs / instances;
        // Waiting that comes of chance: exponential, for those that it meets.
        let sharing = match self.workload.routing {
            Routing::LeastOutstanding => slots * instances,
            Routing::Random => slots,
        };
        let variability = (1.0 + profile.cv().powi(2)) / 2.0;
        let below = busy.min(0.995);
        let meets = below.powf((2.0 * (sharing + 1.0)).sqrt() - 1.0);
        let delay = match sums.served > 0.0 {
            true => sums.delayed / sums.served,
            false => 0.0,
        };
        // Where too many wait anyway, chance adds nothing; and it cannot make more wait than there is room.
        let room = alone * f64::from(profile.queue_limit) / slots;
        let mean_wait = match delay > 0.0 {
            true => 0.0,
            false => (alone * variability / (sharing * (1.0 - below))).min(room),
        };
        let weight = sums.served / PARTS as f64;
        let mut answer_secs = 0.0;
        for part in self.spread.iter().filter(|_| weight > 0.0) {
            let mut answer = |wait: f64, share: f64| {
                let secs = part * alone + delay + wait;
                bucket.latency.add(1e6 * secs, weight * share);
                self.tally.answer(1e6 * secs, weight * share);
                answer_secs += secs * share / PARTS as f64;
            };
            answer(0.0, 1.0 - meets);
            for quantile in WAITS {
                let wait = -mean_wait * (1.0 - quantile).ln();
                answer(wait, meets / WAITS.len() as f64);
            }
        }
        if weight > 0.0 {
            self.answer_secs = answer_secs;
        }
        let mean_concurrency = slots * busy + waiting + meets * busy * slots * mean_wait / alone;
        let idle_starts = sums.served / slot_secs;
        let spun = (1.0 - busy) * (1.0 - (-profile.spin_ms / 1000.0 * idle_starts).exp());
        let chance = (sums.arrived / sums.instance_secs * sums.secs)
            .max(1.0)
            .sqrt();
        let drained = match profile.drain_secs > 0.0 {
            true => waiting * asked / slots / profile.drain_secs,
            false => 0.0,
        };
        let gauge = |readings: &mut super::bucket::Readings, mean: f64, spread: f64| {
            readings.add(mean, sums.instance_secs / BUCKET_SECS as f64);
            readings.most = mean + spread;
            readings.least = (mean - spread).max(0.0);
        };
        let load = 100.0 * (offered + drained);
        gauge(&mut bucket.offered_load, load, 2.0 * load / chance);
        gauge(&mut bucket.slot_utilization, 100.0 * busy, 0.0);
        let cpus = 100.0 * (busy + spun).min(1.0) * slots * profile.cpu_per_slot();
        gauge(&mut bucket.cpu, cpus, 0.0);
        let any = 100.0 * (1.0 - (1.0 - busy).powf(slots));
        gauge(&mut bucket.gpu, any, 0.0);
        let most = 3.0 * mean_concurrency.max(0.1).sqrt() + sums.most_waiting - waiting;
        gauge(&mut bucket.concurrency, mean_concurrency, most);
        gauge(
            &mut bucket.queue,
            waiting,
            (sums.most_waiting - waiting).max(0.0),
        );
        bucket
    }

    /// Whether the trace has ended.
    pub(super) fn is_over(&self) -> bool {
        self.next.is_none() && self.now * 1_000_000 >= self.end_us
    }

    /// Answers what still waits; gives the counts, or why the trace ended early.
    pub(super) fn finish(mut self) -> Result<Counted, Invalid> {
        if let Some(why) = self.failed.take() {
            return Err(why);
        }
        let profile = &self.workload.profile;
        let (mean, slots) = (self.mean_ms / 1000.0, f64::from(profile.slots));
        let rate = self.instances * slots / (mean * profile.batched()).max(1e-9);
        match self.instances > 0.0 {
            true => self
                .tally
                .answer(1e6 * (mean + self.queue / rate / 2.0), self.queue),
            false => self.tally.fail(Failure::TimedOut, self.queue),
        }
        Ok(self.tally.finish())
    }
}

impl<R: Iterator<Item = Result<Row, Invalid>>> World for Flow<'_, R> {
    fn pass(&mut self, from: u64, until: u64, capacity: u32) {
        self.now = from;
        while self.now < until {
            self.second(capacity);
            if self.now.is_multiple_of(BUCKET_SECS) {
                self.close_bucket();
            }
        }
    }

    fn value(&mut self, metric: &MetricStat, start: u64, end: u64) -> Option<f64> {
        self.recent.value(metric, start, end)
    }
}
