//! What the slots can do together: the slot time of a run with every slot busy, by the number of
//! records in it.
//!
//! Measured at warm-up with all engines at once, because runs side by side share caches and memory.
//! Slot time is CPU time where a run has one thread: a neighbour on the machine, or a quota, makes a
//! run last longer without making it more work. With several threads, and on a GPU, it is the time
//! that passes.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use scaling::catalogue::internal::Batching;

use super::cpu_time;
use super::warmup::spread;
use super::Engine;
use crate::tensor::Tensor;

/// The most records in a run that are tried.
pub const MOST_ROWS: usize = 64;
/// How long one number of records is measured, and in how many runs at least.
const POINT_FOR: Duration = Duration::from_millis(4);
const POINT_RUNS: u32 = 3;
/// The first runs of a new shape set memory aside.
const UNCOUNTED_RUNS: u32 = 2;
/// Larger runs are not tried after so long in all, or once a run takes so long.
const TRY_FOR: Duration = Duration::from_millis(250);
const LONGEST_RUN: Duration = Duration::from_millis(100);
/// On a GPU the first run of each size chooses algorithms or builds engines, uncounted.
const TRY_FOR_ON_GPU: Duration = Duration::from_secs(30);
/// Inputs of more bytes than this are not put together for it: every slot would take as much and more.
const LARGEST_INPUTS: usize = 32 << 20;
/// Doubling the records must bring this much, or the next doubling will not be tried.
const WORTH_DOUBLING: f64 = 1.03;
/// Sharing runs must bring so many times the whole requests: a joint run is copied together and apart
/// again, and its callers wait for the largest.
const WORTH_SHARING: f64 = 1.3;
/// A smaller batch that is nearly as good is better: it has waited for less.
const NEARLY: f64 = 1.05;
/// A part of a large request is so many times the best batch: what every run takes is next to nothing
/// of it.
const PART: usize = 16;

/// One number of records, and what a run of them takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Records in the run.
    pub rows: usize,
    /// Slot time of the run with every slot busy.
    pub run: Duration,
}

impl Point {
    /// Slot time of one record, seconds.
    #[must_use]
    pub fn per_record(&self) -> f64 {
        self.run.as_secs_f64() / self.rows.max(1) as f64
    }
}

/// What the slots can do together.
#[derive(Debug, Clone, PartialEq)]
pub struct Capacity {
    /// The first point is the model's single record; the others, if any, double it.
    points: Vec<Point>,
    /// CPUs that a slot uses while it runs.
    pub cpus_per_slot: f64,
}

impl Capacity {
    /// From measured points, the single record's first.
    #[must_use]
    pub fn new(points: Vec<Point>, cpus_per_slot: f64) -> Option<Self> {
        (!points.is_empty()).then_some(Self {
            points,
            cpus_per_slot,
        })
    }

    /// The run of a single record.
    #[must_use]
    pub fn single(&self) -> Point {
        // `new` refuses an empty list.
        self.points.first().copied().unwrap_or(Point {
            rows: 1,
            run: Duration::ZERO,
        })
    }

    /// Every point, fewest records first.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The smallest run whose records are nearly as cheap as they get.
    #[must_use]
    pub fn best(&self) -> Point {
        let least = self
            .points
            .iter()
            .map(Point::per_record)
            .fold(f64::INFINITY, f64::min);
        let good = |point: &&Point| point.per_record() <= least * NEARLY;
        self.points
            .iter()
            .find(good)
            .copied()
            .unwrap_or_else(|| self.single())
    }

    /// The largest measured run of at most so many records.
    #[must_use]
    pub fn up_to(&self, rows: usize) -> Point {
        let allowed = self.points.iter().rfind(|point| point.rows <= rows);
        allowed.copied().unwrap_or_else(|| self.single())
    }

    /// How many times the throughput of single runs the best batch reaches where a request costs
    /// `overhead` of slot time beside its run.
    #[must_use]
    pub fn gain(&self, overhead: Duration) -> f64 {
        let overhead = overhead.as_secs_f64();
        let best = overhead + self.best().per_record();
        (overhead + self.single().per_record()) / best.max(1e-9)
    }
}

/// What a run may hold of several requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// Records; 1 where requests share no runs.
    pub rows: usize,
    /// Elements of all inputs together, while nothing else is known of such records: what was measured
    /// on short ones says nothing of long ones, which may fill the processor alone.
    pub elements: usize,
    /// What every run takes, however little is in it: sharing saves that alone.
    pub fixed: Duration,
    /// Elements of all inputs in a part of a request that has many more: its records leave one another
    /// alone, and it runs part by part. `usize::MAX` where it runs whole.
    pub part: usize,
}

impl Most {
    /// One request.
    pub const ONE: Self = Self::records(1);

    /// So many records, however large they are.
    #[must_use]
    pub const fn records(rows: usize) -> Self {
        Self {
            rows,
            elements: usize::MAX,
            fixed: Duration::ZERO,
            part: usize::MAX,
        }
    }
}

/// Whether requests share runs, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    /// The most of them that share one.
    pub most: Most,
    /// Why, in a word.
    pub why: Batching,
    /// Why, in one phrase.
    pub reason: String,
}

impl Sharing {
    /// None share a run, for this reason.
    #[must_use]
    pub fn none(why: Batching, reason: String) -> Self {
        Self {
            most: Most::ONE,
            why,
            reason,
        }
    }

    /// The same, where a large request runs in parts: its records leave one another alone, and each has
    /// so many elements.
    #[must_use]
    pub fn in_parts(self, capacity: &Capacity, elements: usize) -> Self {
        let best = capacity.best().rows.saturating_mul(elements.max(1));
        let part = best.saturating_mul(PART);
        Self {
            most: Most { part, ..self.most },
            ..self
        }
    }

    /// The same with no more records than may wait.
    #[must_use]
    pub fn limited(self, queue_limit: usize) -> Self {
        self.at_most(queue_limit, "which may wait")
    }

    /// The same with no more records than were run at warm-up.
    #[must_use]
    pub fn warmed(self, rows: usize) -> Self {
        self.at_most(rows, "the sizes that were run at warm-up")
    }

    fn at_most(self, rows: usize, why: &str) -> Self {
        match self.most.rows > rows {
            true => Self {
                most: Most { rows, ..self.most },
                reason: format!("{}; no more than {rows}, {why}", self.reason),
                ..self
            },
            false => self,
        }
    }

    /// What pays where a request costs `overhead` of slot time beside its run; measured on records of
    /// so many elements.
    #[must_use]
    pub fn that_pays(capacity: &Capacity, overhead: Duration, elements: usize) -> Self {
        let best = capacity.best();
        let gain = capacity.gain(overhead);
        if best.rows == 1 || gain < WORTH_SHARING {
            let most = capacity.points().last().map_or(1, |point| point.rows);
            return Self::none(Batching::NotWorth, format!(
                "off: {} records a run would bring {gain:.2} times the requests, {WORTH_SHARING} is worth it",
                best.rows.max(most.min(2))
            ));
        }
        let single = capacity.single();
        let more = best.run.saturating_sub(single.run);
        let each = more / (best.rows - single.rows).max(1) as u32;
        let most = Most {
            rows: best.rows,
            elements: best.rows * elements.max(1),
            fixed: single.run.saturating_sub(each),
            ..Most::ONE
        };
        Self {
            most,
            why: Batching::Pays,
            reason: format!(
                "up to {} records a run, fewer of larger ones, {gain:.1} times the requests of single runs",
                most.rows
            ),
        }
    }
}

/// Measures all engines at once on `one`, a record that the model accepts, and on up to `most_rows`
/// such records in one run; 1 where records must not share a run. `threads` is how many a run has.
/// `None` where a run fails.
pub fn measure<E: Engine>(
    engines: &mut [E],
    one: &[Tensor],
    threads: usize,
    most_rows: usize,
) -> Option<Capacity> {
    let begun = Instant::now();
    let mut points: Vec<Point> = Vec::new();
    let mut cpus_per_slot = 1.0;
    let try_for = match is_on_gpu(engines) {
        true => TRY_FOR_ON_GPU,
        false => TRY_FOR,
    };
    let mut rows = 1;
    let bytes: usize = one.iter().map(Tensor::bytes).sum();
    while rows <= most_rows.max(1) {
        let varied = spread(one, rows);
        let measured = varied
            .and_then(|inputs| together(engines, &inputs, threads))
            // Values that the model does not take: its own record, repeated.
            .or_else(|| match rows {
                1 => together(engines, one, threads),
                rows => together(engines, &repeated(one, rows)?, threads),
            });
        let Some((run, cpus)) = measured else { break };
        let point = Point { rows, run };
        let gain = points
            .last()
            .map(|last| last.per_record() / point.per_record().max(1e-12));
        points.push(point);
        if rows == 1 {
            cpus_per_slot = cpus;
        }
        let hopeless = gain.is_some_and(|gain| gain < WORTH_DOUBLING);
        let too_large = 2 * rows * bytes > LARGEST_INPUTS;
        if hopeless || too_large || run >= LONGEST_RUN || begun.elapsed() > try_for {
            break;
        }
        rows *= 2;
    }
    Capacity::new(points, cpus_per_slot)
}

fn is_on_gpu(engines: &[impl Engine]) -> bool {
    engines.iter().any(Engine::is_on_gpu)
}

fn repeated(one: &[Tensor], rows: usize) -> Option<Vec<Tensor>> {
    let times = |input: &Tensor| Tensor::concat_rows(&vec![input; rows]);
    one.iter().map(times).collect()
}

/// Runs that one engine made, the CPU time of its thread, and the time that passed.
struct Made {
    runs: u32,
    cpu: Duration,
    passed: Duration,
}

/// Slot time of a run while every engine runs, and the CPUs that each uses.
fn together<E: Engine>(
    engines: &mut [E],
    inputs: &[Tensor],
    threads: usize,
) -> Option<(Duration, f64)> {
    let start = Barrier::new(engines.len() + 1);
    let mut used = Duration::ZERO;
    let made = std::thread::scope(|scope| {
        let handles: Vec<_> = engines
            .iter_mut()
            .map(|engine| {
                let start = &start;
                scope.spawn(move || {
                    let runs = (0..UNCOUNTED_RUNS).all(|_| engine.run(inputs).is_ok());
                    start.wait();
                    runs.then(|| repeat(engine, inputs)).flatten()
                })
            })
            .collect();
        start.wait();
        let before = cpu_time::process();
        let made: Option<Vec<Made>> = handles
            .into_iter()
            .map(|handle| handle.join().ok().flatten())
            .collect();
        used = cpu_time::process().saturating_sub(before);
        made
    })?;
    let runs: u32 = made.iter().map(|made| made.runs).sum();
    let cpu: Duration = made.iter().map(|made| made.cpu).sum();
    let passed: Duration = made.iter().map(|made| made.passed).sum();
    let least = match is_on_gpu(engines) {
        // Its thread may sleep while the device works.
        true => 0.0,
        false if threads == 1 => return Some((cpu / runs.max(1), 1.0)),
        false => 1.0,
    };
    let cpus = used.as_secs_f64() / passed.as_secs_f64().max(1e-9);
    Some((
        passed / runs.max(1),
        cpus.clamp(least, threads.max(1) as f64),
    ))
}

/// One engine's part; `None` where a run fails.
fn repeat(engine: &mut impl Engine, inputs: &[Tensor]) -> Option<Made> {
    let (begun, cpu) = (Instant::now(), cpu_time::thread());
    let mut runs = 0;
    loop {
        engine.run(inputs).ok()?;
        runs += 1;
        let passed = begun.elapsed();
        let enough = passed >= POINT_FOR && runs >= POINT_RUNS;
        // One run of a model this slow is measurement enough.
        if enough || passed >= LONGEST_RUN {
            return Some(Made {
                runs,
                cpu: cpu_time::thread().saturating_sub(cpu),
                passed,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::RunError;
    use crate::tensor::{Data, Value};

    fn capacity(points: &[(usize, u64)]) -> Capacity {
        let points = points
            .iter()
            .map(|&(rows, micros)| Point {
                rows,
                run: Duration::from_micros(micros),
            })
            .collect();
        Capacity::new(points, 1.0).unwrap()
    }

    #[test]
    fn the_best_batch_is_the_smallest_that_is_nearly_the_cheapest() {
        let boosted = capacity(&[(1, 440), (2, 500), (4, 600), (8, 800), (16, 1560)]);
        assert_eq!(boosted.best().rows, 8);
        assert_eq!(capacity(&[(1, 100), (2, 199)]).best().rows, 1);
        assert_eq!(capacity(&[(1, 100)]).best().rows, 1);
    }

    #[test]
    fn what_a_request_costs_beside_its_run_lowers_the_gain() {
        let tiny = capacity(&[(1, 4), (64, 64)]);
        assert!((tiny.gain(Duration::ZERO) - 4.0).abs() < 1e-9);
        let gain = tiny.gain(Duration::from_micros(12));
        assert!((gain - 16.0 / 13.0).abs() < 1e-9, "{gain}");
    }

    /// Takes so much CPU for a run, and so much for each record.
    struct Burning {
        run: Duration,
        record: Duration,
    }

    impl Engine for Burning {
        fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Value>, RunError> {
            let until = cpu_time::thread() + self.run + self.record * inputs[0].rows() as u32;
            while cpu_time::thread() < until {}
            Ok(vec![])
        }
    }

    fn record() -> Vec<Tensor> {
        vec![Tensor::new(vec![1, 2], Data::Float32(vec![1.0; 2].into())).unwrap()]
    }

    #[test]
    fn slot_time_is_cpu_time_whatever_else_runs() {
        let burning = || Burning {
            run: Duration::from_micros(800),
            record: Duration::from_micros(100),
        };
        // More engines than any test machine has cores to spare: they wait for one another.
        let mut engines = [burning(), burning(), burning(), burning()];
        let found = measure(&mut engines, &record(), 1, 4).unwrap();
        let runs: Vec<f64> = found
            .points()
            .iter()
            .map(|point| point.run.as_secs_f64() * 1e6)
            .collect();
        assert_eq!(runs.len(), 3, "{found:?}");
        for (run, expected) in runs.iter().zip([900.0, 1000.0, 1200.0]) {
            assert!((expected..expected * 1.2).contains(run), "{found:?}");
        }
        assert_eq!(found.cpus_per_slot, 1.0);
    }

    #[test]
    fn on_a_gpu_slot_time_is_the_time_that_passes_and_first_runs_may_be_slow() {
        /// Chooses algorithms at the first run of each size, then works without the CPU.
        struct OnGpu(Vec<usize>);
        impl Engine for OnGpu {
            fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Value>, RunError> {
                let rows = inputs[0].rows();
                if !self.0.contains(&rows) {
                    self.0.push(rows);
                    std::thread::sleep(TRY_FOR + Duration::from_millis(10));
                }
                std::thread::sleep(Duration::from_millis(2));
                Ok(vec![])
            }
            fn is_on_gpu(&self) -> bool {
                true
            }
        }
        let found = measure(&mut [OnGpu(vec![])], &record(), 1, 4).unwrap();
        let rows: Vec<usize> = found.points().iter().map(|point| point.rows).collect();
        assert_eq!(rows, [1, 2, 4]);
        assert!(found.single().run >= Duration::from_millis(2), "{found:?}");
        assert!(found.gain(Duration::ZERO) > 3.0, "{found:?}");
        assert!(found.cpus_per_slot <= 1.0, "{found:?}");
    }

    #[test]
    fn an_engine_that_fails_has_no_capacity_and_one_that_takes_single_records_has_one_point() {
        struct Single;
        impl Engine for Single {
            fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Value>, RunError> {
                match inputs[0].rows() {
                    1 => Ok(vec![]),
                    _ => Err(RunError::Failed("one record".to_owned())),
                }
            }
        }
        let found = measure(&mut [Single], &record(), 1, 8).unwrap();
        assert_eq!(found.points().len(), 1);
        struct Failing;
        impl Engine for Failing {
            fn run(&mut self, _: &[Tensor]) -> Result<Vec<Value>, RunError> {
                Err(RunError::Failed("always".to_owned()))
            }
        }
        assert_eq!(measure(&mut [Failing], &record(), 1, 8), None);
    }
}
