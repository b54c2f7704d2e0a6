//! One instance: its slots, its queue, and what it has done in this bucket.

use super::bucket::{Bucket, BUCKET_SECS};
use crate::capacity::Profile;

/// No request.
pub(super) const NONE: u32 = u32::MAX;

/// What all instances have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) slots: u32,
    pub(super) queue: u32,
    spin_us: u64,
    cpu_per_slot: f64,
    drain_us: f64,
}

impl Limits {
    pub(super) fn new(profile: &Profile) -> Self {
        Self {
            slots: profile.slots,
            queue: profile.queue_limit,
            spin_us: (profile.spin_ms * 1000.0) as u64,
            cpu_per_slot: profile.cpu_per_slot(),
            drain_us: profile.drain_secs * 1e6,
        }
    }
}

/// An instance.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    /// Whether it takes requests.
    pub(super) in_service: bool,
    /// Slots with a run in them.
    pub(super) busy: u32,
    /// Requests that wait, and the first and last of their list.
    pub(super) queued: u32,
    pub(super) first: u32,
    pub(super) last: u32,
    /// Requests in it, running and waiting.
    pub(super) outstanding: u32,
    /// Microseconds of slot time that those which wait ask for.
    pub(super) queued_ask: f64,
    /// Since when the sums below count.
    since_us: u64,
    /// Until when they do.
    counted_us: u64,
    busy_us: u64,
    any_busy_us: u64,
    outstanding_us: u64,
    most_outstanding: u32,
    most_queued: u32,
    /// Microseconds of slot time that arrivals asked for.
    asked_us: f64,
    spun_us: i64,
    /// When free slots became free, where their threads spin.
    freed: Vec<u64>,
}

impl Instance {
    pub(super) fn new(now: u64) -> Self {
        Self {
            in_service: true,
            busy: 0,
            queued: 0,
            first: NONE,
            last: NONE,
            outstanding: 0,
            queued_ask: 0.0,
            since_us: now,
            counted_us: now,
            busy_us: 0,
            any_busy_us: 0,
            outstanding_us: 0,
            most_outstanding: 0,
            most_queued: 0,
            asked_us: 0.0,
            spun_us: 0,
            freed: Vec::new(),
        }
    }

    /// Counts the time that has passed; before any change.
    #[inline]
    pub(super) fn count(&mut self, now: u64) {
        let passed = now - self.counted_us;
        self.counted_us = now;
        self.busy_us += passed * u64::from(self.busy);
        self.any_busy_us += passed * u64::from(self.busy > 0);
        self.outstanding_us += passed * u64::from(self.outstanding);
    }

    /// A request came that asks for so much slot time.
    #[inline]
    pub(super) fn ask(&mut self, micros: f64) {
        self.asked_us += micros;
    }

    /// One more request is in it.
    #[inline]
    pub(super) fn hold(&mut self) {
        self.outstanding += 1;
        self.most_outstanding = self.most_outstanding.max(self.outstanding);
        self.most_queued = self.most_queued.max(self.queued);
    }

    /// A slot gets a run.
    #[inline]
    pub(super) fn take_slot(&mut self, now: u64, limits: &Limits) {
        self.busy += 1;
        if limits.spin_us > 0 {
            if let Some(freed) = self.freed.pop() {
                let spun = (now - freed).min(limits.spin_us);
                self.spun_us -= (limits.spin_us - spun) as i64;
            }
        }
    }

    /// A slot's run is over, and there is none for it.
    #[inline]
    pub(super) fn free_slot(&mut self, now: u64, limits: &Limits) {
        self.busy -= 1;
        if limits.spin_us > 0 {
            self.freed.push(now);
            self.spun_us += limits.spin_us as i64;
        }
    }

    /// Adds its readings to the bucket that ends now, or that it leaves now, and begins anew.
    pub(super) fn report(&mut self, now: u64, limits: &Limits, bucket: &mut Bucket) {
        self.count(now);
        let passed = (now - self.since_us) as f64;
        if passed > 0.0 {
            let slots = f64::from(limits.slots) * passed;
            let weight = passed / (BUCKET_SECS * 1_000_000) as f64;
            bucket.instance_secs += passed / 1e6;
            let busy_us = self.busy_us as f64;
            let spun_us = (self.spun_us.max(0) as f64).min(slots - busy_us);
            let mut asked_us = self.asked_us;
            if limits.drain_us > 0.0 {
                asked_us += self.queued_ask * passed / limits.drain_us;
            }
            let percent = |part: f64| 100.0 * part;
            bucket.offered_load.add(percent(asked_us / slots), weight);
            bucket
                .slot_utilization
                .add(percent(busy_us / slots), weight);
            let cpus = (busy_us + spun_us) / passed * limits.cpu_per_slot;
            bucket.cpu.add(percent(cpus), weight);
            bucket
                .gpu
                .add(percent(self.any_busy_us as f64 / passed), weight);
            let concurrency = &mut bucket.concurrency;
            concurrency.add(self.outstanding_us as f64 / passed, weight);
            concurrency.most = concurrency.most.max(f64::from(self.most_outstanding));
            bucket.queue.add(f64::from(self.most_queued), weight);
        }
        self.since_us = now;
        (self.busy_us, self.any_busy_us, self.outstanding_us) = (0, 0, 0);
        (self.asked_us, self.spun_us) = (0.0, 0);
        self.most_outstanding = self.outstanding;
        self.most_queued = self.queued;
    }
}
