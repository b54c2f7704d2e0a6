//! How many copies of a model, with how many threads each.
//!
//! One session at load. A model whose run is short gets one session per core, because independent
//! runs scale better than a divided one; a model whose run is long gets the cores as intra-op
//! threads of one session, because its caller waits for one answer, if that loses next to nothing of
//! what sessions would do. Either only where the
//! measurement here confirms it and memory allows it; the reason is kept for the start-up lines.

mod gpu;

use std::num::NonZeroUsize;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use super::ort::{LoadError, OrtEngine, Runtime, Source};
use super::warmup::{measure, warm_up, Warm};
use super::{Engine, RunError};
use crate::device::Target;
use crate::model::Signature;
use crate::tensor::Tensor;

/// Runs at least this long are worth dividing among cores.
const LONG_RUN: Duration = Duration::from_millis(5);
/// A second session must bring at least this much throughput.
const WORTH_A_SESSION: f64 = 1.3;
/// Intra-op threads are preferred to sessions if they do at least this share of the work that
/// sessions would: callers get their answers sooner, but what is lost here is lost of the capacity.
const WORTH_THREADS: f64 = 0.95;
/// How often what is compared is measured. The best counts: a busy neighbour can
/// only make it look worse than it is.
const TRIES: usize = 3;
/// Copies that together take less than this are not worth a measurement, and taken to do as much as
/// there are cores for: a session too many costs nothing, and a neighbour who is busy during the measurement would cost a core for good.
const CHEAP_BYTES: f64 = 256e6;
/// …and less than this share of the memory limit.
const CHEAP_SHARE: f64 = 0.1;
/// All copies together may take this share of the memory limit.
const MEMORY_SHARE: f64 = 0.5;

/// What the container has, and what the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Budget {
    /// CPUs that the container may use, a fraction under a quota.
    pub cpus: f64,
    /// Where that number comes from.
    pub cpus_reason: String,
    /// Memory limit in bytes.
    pub memory_bytes: Option<u64>,
    /// Slots, if set by the user.
    pub slots: Option<NonZeroUsize>,
    /// Intra-op threads, if set by the user.
    pub intra_op_threads: Option<NonZeroUsize>,
}

impl Budget {
    /// Whole threads that the CPU share is good for; at least one.
    #[must_use]
    pub fn cores(&self) -> usize {
        (self.cpus + 0.5).floor().max(1.0) as usize
    }
}

/// A model in its slots, warmed up.
pub struct Pool {
    /// One engine per slot.
    pub engines: Vec<OrtEngine>,
    /// What the model takes and gives.
    pub signature: Arc<Signature>,
    /// Intra-op threads of each engine.
    pub intra_op_threads: usize,
    /// Why so many slots and threads, in one phrase.
    pub reason: String,
    /// What one copy takes in memory, as measured at the first load.
    pub copy_bytes: u64,
    /// The synthetic inputs and their cost; `None` where no synthetic input fits this model.
    pub warm: Option<Warm>,
    /// What the last synthetic input met, where none fits.
    pub unwarmed: Option<String>,
}

/// Loads and warms up as many copies as the budget and the measurement ask for, on the CPU or on a
/// GPU.
///
/// # Errors
/// [`LoadError`] where the runtime or the device refuses the model.
pub fn load(
    runtime: &Runtime,
    source: &Source,
    budget: &Budget,
    target: Option<&Target>,
) -> Result<Pool, LoadError> {
    if let Some(target) = target {
        return gpu::load(runtime, source, budget, target);
    }
    let cores = budget.cores();
    let threads = budget.intra_op_threads.map_or_else(
        || match budget.slots {
            // Slots set and threads not: divide the cores.
            Some(slots) => (cores / slots.get()).max(1),
            None => 1,
        },
        NonZeroUsize::get,
    );
    let resident_before = resident_bytes();
    let mut first = runtime.load(source, threads, None)?;
    let signature = Arc::clone(first.signature());
    let (warm, unwarmed) = warmed(warm_up(&mut first, &signature));
    let copy_bytes = match (resident_before, resident_bytes()) {
        (Some(before), Some(after)) => after.saturating_sub(before).max(source.facts.total_bytes),
        _ => source.facts.total_bytes.saturating_mul(2),
    };
    let mut pool = Pool {
        engines: vec![first],
        signature,
        intra_op_threads: threads,
        reason: String::new(),
        copy_bytes,
        warm,
        unwarmed,
    };
    let cpus = format!("{} ({})", plural(cores, "core"), budget.cpus_reason);
    if let Some(slots) = budget.slots {
        pool.grow(runtime, source, slots.get())?;
        pool.reason = format!("set by the user; {cpus}");
        return Ok(pool);
    }
    if cores == 1 {
        pool.reason = cpus;
        return Ok(pool);
    }
    let Some(mut run) = pool.warm.as_ref().map(|warm| warm.run) else {
        pool.reason = format!("{cpus}; one session, its cost could not be measured");
        return Ok(pool);
    };
    let all_bytes = copy_bytes as f64 * cores as f64;
    let within = |share: f64| {
        budget
            .memory_bytes
            .is_none_or(|limit| all_bytes <= limit as f64 * share)
    };
    let is_cheap = all_bytes <= CHEAP_BYTES && within(CHEAP_SHARE);
    if run >= LONG_RUN || !is_cheap {
        run = pool.look_again(run);
    }
    let mut two = None;
    if run >= LONG_RUN && budget.intra_op_threads.is_none() {
        two = match within(MEMORY_SHARE) {
            _ if is_cheap => Some(2.0),
            true => Some(pool.two_at_once(runtime, source, run)?),
            false => None,
        };
        if pool.divide(runtime, source, cores, run, two, &cpus)? {
            return Ok(pool);
        }
    }
    if is_cheap {
        pool.grow(runtime, source, cores)?;
        pool.reason = format!("{cpus}; one each, because a copy of the model is small");
        return Ok(pool);
    }
    if !within(MEMORY_SHARE) {
        pool.engines.truncate(1);
        pool.reason = format!(
            "{cpus}; one session, {cores} of about {} MB would not fit half of the memory limit",
            copy_bytes / 1_000_000
        );
        return Ok(pool);
    }
    let two = match two {
        Some(two) => two,
        None => pool.two_at_once(runtime, source, run)?,
    };
    pool.multiply(runtime, source, cores, run, two, &cpus)?;
    Ok(pool)
}

/// The median time of a run in the best of a few tries.
fn best(engine: &mut OrtEngine, inputs: &[Tensor]) -> Option<Duration> {
    let tries = (0..TRIES).filter_map(|_| measure(engine, inputs).ok());
    tries.min()
}

impl Pool {
    /// What a run of the first session takes, once more: it is about to be compared.
    fn look_again(&mut self, run: Duration) -> Duration {
        let (Some(engine), Some(warm)) = (self.engines.first_mut(), &mut self.warm) else {
            return run;
        };
        if let Some(again) = best(engine, &warm.inputs) {
            warm.run = warm.run.min(again);
        }
        warm.run
    }

    /// One session with all cores as intra-op threads, if that does nearly as much as a session per
    /// core would, going by what `two` do; whether it was.
    fn divide(
        &mut self,
        runtime: &Runtime,
        source: &Source,
        cores: usize,
        alone: Duration,
        two: Option<f64>,
        cpus: &str,
    ) -> Result<bool, LoadError> {
        let mut threaded = runtime.load(source, cores, None)?;
        let Some(inputs) = self.warm.as_ref().map(|warm| warm.inputs.as_slice()) else {
            return Ok(false);
        };
        if threaded.run(inputs).is_err() {
            return Ok(false);
        }
        let Some(run) = best(&mut threaded, inputs) else {
            return Ok(false);
        };
        let gain = alone.as_secs_f64() / run.as_secs_f64().max(1e-9);
        let sessions = two.map_or(1.0, |two| (two / 2.0 * cores as f64).max(1.0));
        if gain < WORTH_THREADS * sessions {
            return Ok(false);
        }
        self.engines = vec![threaded];
        self.intra_op_threads = cores;
        if let Some(warm) = &mut self.warm {
            warm.run = run;
        }
        self.reason = format!(
            "{cpus}; a run of {} is {gain:.1} times as fast on {cores} threads, as many sessions would do {sessions:.1} times the work",
            readable(alone)
        );
        Ok(true)
    }

    /// How many times the work of one session two do together.
    fn two_at_once(
        &mut self,
        runtime: &Runtime,
        source: &Source,
        alone: Duration,
    ) -> Result<f64, LoadError> {
        self.grow(runtime, source, 2)?;
        let inputs = self.warm.as_ref().map_or(&[][..], |warm| &warm.inputs);
        Ok((0..TRIES)
            .map(|_| joint_gain(&mut self.engines, inputs, alone))
            .fold(0.0, f64::max))
    }

    /// A session per core, if two together do more than one alone by this gain.
    fn multiply(
        &mut self,
        runtime: &Runtime,
        source: &Source,
        cores: usize,
        alone: Duration,
        gain: f64,
        cpus: &str,
    ) -> Result<(), LoadError> {
        if gain < WORTH_A_SESSION {
            self.engines.truncate(1);
            self.reason =
                format!("{cpus}; a second session brings only {gain:.2} times the throughput");
            return Ok(());
        }
        self.grow(runtime, source, cores)?;
        self.reason = format!(
            "{cpus}; a run takes {}, two sessions do {gain:.1} times the work of one",
            readable(alone)
        );
        Ok(())
    }

    /// Loads further copies up to `slots`, each warmed up by one run.
    fn grow(&mut self, runtime: &Runtime, source: &Source, slots: usize) -> Result<(), LoadError> {
        while self.engines.len() < slots {
            let mut engine = runtime.load(source, self.intra_op_threads, None)?;
            if let Some(warm) = &self.warm {
                if let Err(error) = engine.run(&warm.inputs) {
                    tracing::warn!("warm-up of a further session failed: {error}");
                }
            }
            self.engines.push(engine);
        }
        Ok(())
    }
}

/// What warm-up came to, or why there is none.
fn warmed(warm: Result<Warm, Option<RunError>>) -> (Option<Warm>, Option<String>) {
    match warm {
        Ok(warm) => (Some(warm), None),
        Err(error) => (
            None,
            Some(error.map_or_else(
                || "the signature allows no synthetic input".to_owned(),
                |error| error.to_string(),
            )),
        ),
    }
}

/// Runs per second of all engines at once, relative to one alone.
fn joint_gain(engines: &mut [impl Engine], inputs: &[Tensor], alone: Duration) -> f64 {
    // Long enough to be seen over the threads' start, short beside a container's.
    let runs = (Duration::from_millis(5).as_secs_f64() / alone.as_secs_f64().max(1e-7))
        .clamp(3.0, 2_000.0)
        .round() as u32;
    let started = Barrier::new(engines.len());
    let slowest = std::thread::scope(|scope| {
        let handles: Vec<_> = engines
            .iter_mut()
            .map(|engine| {
                let started = &started;
                scope.spawn(move || {
                    started.wait();
                    let begun = Instant::now();
                    for _ in 0..runs {
                        if engine.run(inputs).is_err() {
                            break;
                        }
                    }
                    begun.elapsed()
                })
            })
            .collect();
        handles
            .into_iter()
            .filter_map(|handle| handle.join().ok())
            .max()
    });
    let ideal = alone.as_secs_f64() * f64::from(runs);
    slowest.map_or(1.0, |slowest| {
        engines.len() as f64 * ideal / slowest.as_secs_f64().max(1e-9)
    })
}

fn plural(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// A duration with a unit that a person reads at a glance.
#[must_use]
pub fn readable(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    match micros {
        m if m < 1_000.0 => format!("{m:.0} µs"),
        m if m < 1_000_000.0 => format!("{:.1} ms", m / 1e3),
        m => format!("{:.1} s", m / 1e6),
    }
}

/// Resident memory of this process in bytes.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_a_core_is_one_thread_and_halves_round_up() {
        for (cpus, cores) in [
            (0.1, 1),
            (0.5, 1),
            (1.0, 1),
            (1.4, 1),
            (1.5, 2),
            (3.9, 4),
            (16.0, 16),
        ] {
            let budget = Budget {
                cpus,
                ..Budget::default()
            };
            assert_eq!(budget.cores(), cores, "{cpus}");
        }
    }
}
