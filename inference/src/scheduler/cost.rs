//! What a request costs: slot time by size class.
//!
//! A size class holds the requests whose inputs have the same number of elements up to a power of
//! two. Each has two costs. What a request takes **alone** decides where it runs. What it takes **at
//! capacity**, while slots are busy and at the best batch that is permitted, is the capacity that
//! it uses up, and is what the offered load counts: at low load batches are small and caches cold, so
//! that what a run happens to take then would make the load look high and flat.
//!
//! Everything is relaxed atomics: an estimate may lag a run behind, and never blocks one.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::Batch;
use crate::runtime::capacity::{Capacity, Most};

/// A run this long on an HTTP thread would be noticed by `/ping`: its class leaves the thread for so
/// many runs, because what took long once for its values can do so again.
const DISTRUST: [(u64, u32); 2] = [(20_000_000, 65_536), (2_000_000, 256)];

/// 2^40 elements are more than any request can hold.
const CLASSES: usize = 41;
/// Runs expected to take less than this run on the thread that read the request: handing them over
/// would cost more.
const INLINE_BELOW_NANOS: u64 = 50_000;
/// …and stop doing so above this, so that a class does not flutter between the two.
pub(super) const INLINE_UNTIL_NANOS: u64 = 75_000;
/// Contention may inflate a run; the capacity it stands for does not grow with it without limit: at
/// most to so many times the CPU time it took, or, where that is not known, of the shortest run.
const MAX_INFLATION: u64 = 4;
/// A run of so much of the best batch is as good as full.
const NEARLY_FULL: f64 = 0.75;
/// Nobody waits for longer than a run or two while the slots keep up; whoever has waited for so many
/// runs, and for [`LONG_WAIT`], waits behind more than there is capacity for.
const WAITED_RUNS: u32 = 4;
const LONG_WAIT: Duration = Duration::from_millis(100);

/// The size class of so many input elements.
#[must_use]
pub fn class_of(elements: usize) -> usize {
    (usize::BITS - elements.max(1).leading_zeros() - 1).min(CLASSES as u32 - 1) as usize
}

/// A moving average of nanoseconds. Zero while nothing is known.
#[derive(Default)]
struct Average {
    /// A `f64`: a step may be far less than a nanosecond.
    mean_bits: AtomicU64,
    /// The shortest seen.
    least_nanos: AtomicU64,
    /// How many values it stands for, as far as that matters.
    seen: AtomicU32,
}

/// A run out of so many counts where what a request takes alone is learnt: a hundred runs forget the
/// first one.
const FEW: u32 = 16;
/// …and at most out of so many where what it takes at capacity is.
const MANY: u32 = 4096;
/// What a request takes at capacity is the mean over so much run time: a neighbour on the machine's
/// cores comes and goes within a second, and the next scaling decision is a minute away.
const MEAN_OVER: Duration = Duration::from_secs(1);

impl Average {
    fn get(&self) -> u64 {
        f64::from_bits(self.mean_bits.load(Relaxed)).round() as u64
    }

    /// Takes a value in, as one of the last `span`; with its CPU time, if that is known.
    fn learn(&self, nanos: u64, cpu_nanos: Option<u64>, span: u32) {
        let least = match self.least_nanos.load(Relaxed) {
            0 => nanos,
            least => least.min(nanos),
        };
        self.least_nanos.store(least, Relaxed);
        let inflated = cpu_nanos.unwrap_or(least).saturating_mul(MAX_INFLATION);
        let capped = nanos.min(inflated).max(1) as f64;
        let seen = self.seen.load(Relaxed).min(span - 1) + 1;
        self.seen.store(seen, Relaxed);
        let mean = f64::from_bits(self.mean_bits.load(Relaxed));
        let mean = mean + (capped - mean) / f64::from(seen);
        self.mean_bits.store(mean.to_bits(), Relaxed);
    }

    /// Forgets what was, for a value that was measured with care.
    fn set(&self, nanos: u64) {
        self.take_for_granted(nanos, MANY);
    }

    /// Forgets what was, for a value that holds until the first real one.
    fn guess(&self, nanos: u64) {
        self.take_for_granted(nanos, 0);
    }

    fn take_for_granted(&self, nanos: u64, seen: u32) {
        let nanos = nanos.max(1);
        self.mean_bits.store((nanos as f64).to_bits(), Relaxed);
        self.least_nanos.store(nanos, Relaxed);
        self.seen.store(seen, Relaxed);
    }

    /// Knows nothing again.
    fn forget(&self) {
        self.mean_bits.store(0, Relaxed);
        self.least_nanos.store(0, Relaxed);
        self.seen.store(0, Relaxed);
    }
}

#[derive(Default)]
struct Class {
    /// Runs of one request: the time that passed.
    alone: Average,
    /// One request's share of a run at capacity: the time that passed on the slot, and its CPU time.
    at_capacity: Average,
    cpu_at_capacity: Average,
    /// One request's share of what runs take beyond what each does, whoever shared them: CPU time,
    /// where that is known.
    own: Average,
    inline: AtomicBool,
    /// Runs to go until this class may run on an HTTP thread again.
    distrust: AtomicU32,
}

/// What sharing a run saves one request.
#[derive(Default)]
struct Savings {
    /// Slot time, at most.
    nanos: AtomicU64,
    /// What is saved of a request's time alone, at most, in thousandths.
    permille: AtomicU64,
}

impl Savings {
    fn set(&self, alone_nanos: u64, shared_nanos: u64) {
        let nanos = alone_nanos.saturating_sub(shared_nanos);
        self.nanos.store(nanos, Relaxed);
        self.permille
            .store(nanos.saturating_mul(1000) / alone_nanos.max(1), Relaxed);
    }

    /// What is left of a time alone. A request of another size saves what every run costs, however
    /// large it is, and no larger a part than was measured.
    fn taken_off(&self, alone_nanos: u64) -> u64 {
        let part = alone_nanos.saturating_mul(self.permille.load(Relaxed)) / 1000;
        alone_nanos - part.min(self.nanos.load(Relaxed))
    }
}

impl Class {
    fn at_capacity(&self, savings: &Savings) -> Cost {
        let known = |at_capacity: &Average| match at_capacity.get() {
            0 => savings.taken_off(self.alone.get()),
            nanos => nanos,
        };
        Cost {
            slot_nanos: known(&self.at_capacity),
            cpu_nanos: known(&self.cpu_at_capacity),
        }
    }
}

/// The capacity that a request takes. A slot that shares its core is held for longer than the run
/// uses the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Time on a slot.
    pub slot_nanos: u64,
    /// CPU time of the run; of each of its threads, where it has several.
    pub cpu_nanos: u64,
}

/// A run as its requests' classes learn from it.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// From its beginning to its end.
    pub passed: Duration,
    /// CPU time, where it is known: of runs of one thread that is not an HTTP thread.
    pub cpu_time: Option<Duration>,
    /// The most that it can have worked: without what it waited for the CPU, where that can be told.
    pub worked: Duration,
    /// Records in it, and requests.
    pub batch: Batch,
    /// How long its oldest request had waited for it.
    pub waited: Duration,
    /// How long the slot's run before it took, if it followed at once.
    pub before: Duration,
    /// Whether the slot had been busy for long enough to show what it can do.
    pub is_busy: bool,
}

impl Run {
    /// CPU time, as [`Capacity`] has it; the time that passed, where that is not known.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        self.cpu_time.unwrap_or(self.passed)
    }

    /// Whether there was no more to be had from it: it held what a run may hold, another such request
    /// would not have gone in, or it came late all the same. A slot that shares runs as requests come is busy long before that, in small batches.
    #[must_use]
    pub fn is_full(&self) -> bool {
        // A short run behind a long one has not waited for many.
        let run = self.passed.max(self.before);
        let is_late = self.waited >= LONG_WAIT.max(run.saturating_mul(WAITED_RUNS));
        let Batch {
            rows,
            largest,
            most,
            ..
        } = self.batch;
        most <= 1 || is_late || rows as f64 >= NEARLY_FULL * most as f64 || rows + largest > most
    }
}

/// Costs of one model.
pub struct Costs {
    classes: [Class; CLASSES],
    savings: Savings,
    /// What every run takes, however little is in it; zero where none is shared.
    fixed_nanos: AtomicU64,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            classes: std::array::from_fn(|_| Class::default()),
            savings: Savings::default(),
            fixed_nanos: AtomicU64::default(),
        }
    }
}

/// At least one: zero stands for what is not known.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos())
        .unwrap_or(u64::MAX)
        .max(1)
}

impl Costs {
    /// The capacity that a request of this class takes. A class not seen yet is taken
    /// to cost what its nearest known neighbour costs, the smaller first: a guess that is too low is
    /// corrected by the first run, while one that is too high would refuse requests that were never
    /// tried. Zero while nothing is known.
    #[must_use]
    pub fn at_capacity(&self, class: usize) -> Cost {
        let cost = |class: usize| self.classes[class].at_capacity(&self.savings);
        let is_known = |cost: &Cost| cost.slot_nanos > 0;
        let smaller = (0..=class).rev().map(cost).find(is_known);
        smaller
            .or_else(|| (class + 1..CLASSES).map(cost).find(is_known))
            .unwrap_or_default()
    }

    /// Takes over what warm-up measured on records of `elements` each, and how many of them runs may
    /// hold.
    pub fn calibrate(&self, capacity: &Capacity, elements: usize, most: Most) {
        let most_rows = most.rows;
        let fixed = match most_rows {
            1 => 0,
            _ => most.fixed.as_nanos(),
        };
        let fixed = u64::try_from(fixed).unwrap_or(u64::MAX);
        self.fixed_nanos.store(fixed, Relaxed);
        let best = capacity.up_to(most_rows).per_record();
        let single = nanos(capacity.single().run) / capacity.single().rows.max(1) as u64;
        self.savings
            .set(single, nanos(Duration::from_secs_f64(best)));
        for point in capacity.points() {
            let class = &self.classes[class_of(elements * point.rows)];
            match point.rows {
                1 => class.alone.set(nanos(point.run)),
                // As many elements may be one large record as well, with work of its own.
                _ => class.alone.guess(nanos(point.run)),
            }
            // A request of more records than the best batch is a batch of its own.
            let share = match point.rows <= most_rows {
                true => Duration::from_secs_f64(best * point.rows as f64),
                false => point.run,
            };
            class.at_capacity.set(nanos(share));
            class.cpu_at_capacity.set(nanos(share));
            class.judge(nanos(point.run));
        }
    }

    /// Learns from a run what one of its requests costs: `class` is that request's, `rows` its
    /// records.
    pub fn learn(&self, class: usize, rows: usize, run: &Run) {
        let class = &self.classes[class];
        if run.batch.requests == 1 {
            class
                .alone
                .learn(nanos(run.passed), run.cpu_time.map(nanos), FEW);
            class.judge(nanos(run.worked));
        }
        let share = rows.max(1) as f64 / run.batch.rows.max(1) as f64;
        let own = |time: Duration| nanos(time.mul_f64(share.min(1.0)));
        let fixed = self.fixed_nanos.load(Relaxed);
        if fixed > 0 {
            let beyond = own(run.cpu().saturating_sub(Duration::from_nanos(fixed)));
            class.own.learn(beyond, Some(beyond), FEW);
        }
        if run.is_busy {
            let known = class.at_capacity(&self.savings);
            let is_full = run.is_full();
            // A run that was not full costs its requests more than capacity, if anything.
            let slot_nanos = own(run.passed);
            let known_cpu = run.cpu_time.map(own);
            let cpu_nanos = known_cpu.unwrap_or(slot_nanos);
            let span = MEAN_OVER.as_nanos() as u64 / nanos(run.passed);
            let span = (span.min(u64::from(MANY)) as u32).max(FEW);
            if is_full || slot_nanos < known.slot_nanos {
                class.at_capacity.learn(slot_nanos, known_cpu, span);
            }
            if is_full || cpu_nanos < known.cpu_nanos {
                class.cpu_at_capacity.learn(cpu_nanos, known_cpu, span);
            }
        }
    }

    /// Requests share runs no more: what a request takes alone is all there is.
    pub fn share_no_more(&self) {
        self.savings.set(0, 0);
        self.fixed_nanos.store(0, Relaxed);
        for class in &self.classes {
            for at_capacity in [&class.at_capacity, &class.cpu_at_capacity] {
                match class.alone.get() {
                    // It was seen in company only.
                    0 => at_capacity.forget(),
                    alone => at_capacity.set(alone),
                }
            }
        }
    }

    /// What a request of this class adds to a run, in nanoseconds; zero while that is not known, or runs
    /// are not shared.
    #[must_use]
    pub fn own(&self, class: usize) -> u64 {
        self.classes[class].own.get()
    }

    /// Whether a request of this class runs where it was read. Only classes that have been seen do.
    #[must_use]
    pub fn is_inline(&self, class: usize) -> bool {
        self.classes[class].inline.load(Relaxed)
    }
}

impl Class {
    /// Decides where the class runs, after a run of one of its requests that worked for so long.
    fn judge(&self, worked: u64) {
        let bound = if self.inline.load(Relaxed) {
            INLINE_UNTIL_NANOS
        } else {
            INLINE_BELOW_NANOS
        };
        let distrust = DISTRUST
            .iter()
            .find(|(limit, _)| worked >= *limit)
            .map_or(0, |(_, runs)| *runs)
            .max(self.distrust.load(Relaxed).saturating_sub(1));
        self.distrust.store(distrust, Relaxed);
        let inline = self.alone.get() < bound && distrust == 0;
        if self.inline.load(Relaxed) != inline {
            self.inline.store(inline, Relaxed);
        }
    }
}

#[cfg(test)]
#[path = "inline_tests.rs"]
mod properties;
#[cfg(test)]
#[path = "cost_tests.rs"]
mod tests;
