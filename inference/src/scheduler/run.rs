//! One slot's runs: of one request, or of several that share it.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::{Duration, Instant};

use scaling::catalogue::internal::Batching;

use super::batch::{self, Batch};
use super::cost::{nanos, Run, INLINE_UNTIL_NANOS};
use super::parts::{self, Stopped};
use super::slot::Held;
use super::{micros, Job, Ran, Request, Shared, SubmitError};
use crate::clock;
use crate::runtime::{cpu_time, Engine, RunError};
use crate::tensor::Value;

/// What is known of a run before it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// Now.
    pub at: Instant,
    /// How long its oldest request has waited.
    pub waited: Duration,
    /// How long the slot's run before took, if this one follows at once.
    pub before: Duration,
    /// Whether the slot has been busy for long enough to show what it can do.
    pub is_busy: bool,
    /// Whether it is the slot's own thread that runs, and not an HTTP thread.
    pub is_queued: bool,
    /// Whether the HTTP thread found as many requests as it does when it is full.
    pub is_crowded: bool,
}

impl Start {
    /// On an HTTP thread, at once.
    pub(super) fn here(at: Instant, is_crowded: bool) -> Self {
        Self {
            at,
            waited: Duration::ZERO,
            before: Duration::ZERO,
            is_busy: false,
            is_queued: false,
            is_crowded,
        }
    }
}

/// A run that ended.
struct Done {
    outputs: Result<Vec<Value>, Ended>,
    run: Run,
    start: Start,
    ended: Instant,
}

/// Why a run gave nothing.
enum Ended {
    Failed(RunError),
    /// Nobody waited for it any more.
    Abandoned,
}

impl Shared {
    /// Runs these jobs together and answers them; gives when that was done. A joint run that fails
    /// is nobody's fault yet: then each runs alone.
    pub(super) fn run_jobs(&self, held: &mut Held<'_>, jobs: Vec<Job>, start: Start) -> Instant {
        if jobs.len() > 1 {
            if let Some(inputs) = batch::joined(&jobs) {
                let batch = Batch::of(&jobs);
                let done = self.run_once(held, batch, start, |engine| {
                    engine.run(&inputs).map_err(Ended::Failed)
                });
                let parts = done.outputs.as_ref().ok();
                if let Some(parts) = parts.and_then(|outputs| batch::split(outputs, &jobs)) {
                    self.record(&done.run, done.start);
                    self.learn(&jobs, &done.run);
                    for (job, outputs) in jobs.into_iter().zip(parts) {
                        job.answer(Ok(Ran {
                            outputs,
                            ended: done.ended,
                        }));
                    }
                    return done.ended;
                }
                if done.outputs.is_ok() {
                    self.share_no_more(batch.rows);
                }
                return self.run_each(
                    held,
                    jobs,
                    Start {
                        at: done.ended,
                        ..start
                    },
                );
            }
        }
        self.run_each(held, jobs, start)
    }

    /// What was shown at warm-up did not hold for so many records.
    fn share_no_more(&self, rows: usize) {
        tracing::warn!("batching is off from now on: an output of {rows} records together has not one for each");
        self.sharing.stop();
        self.metrics.tell_batching(1, Batching::Dependent);
        self.costs.share_no_more();
    }

    fn run_each(&self, held: &mut Held<'_>, jobs: Vec<Job>, mut start: Start) -> Instant {
        for job in jobs {
            start.waited = start.at.saturating_duration_since(job.request.queued);
            let is_abandoned = || job.is_abandoned(clock::now());
            let (ran, ended) = self.run_request(held, &job.request, start, is_abandoned);
            start.before = ended.saturating_duration_since(start.at);
            start.at = ended;
            if let Some(ran) = ran {
                job.answer(ran);
            }
        }
        start.at
    }

    /// One request's run, and when it ended; `None` where it was left off because it `is_abandoned`.
    pub(super) fn run_request(
        &self,
        held: &mut Held<'_>,
        request: &Request,
        start: Start,
        is_abandoned: impl Fn() -> bool,
    ) -> (Option<Result<Ran, SubmitError>>, Instant) {
        let batch = Batch::of_one(request);
        let inputs = &request.inputs;
        let part = self.sharing.part_of(inputs);
        let done = self.run_once(held, batch, start, |engine| {
            let whole = |engine: &mut dyn Engine| engine.run(inputs).map_err(Ended::Failed);
            let Some(each) = part else {
                return whole(engine);
            };
            match parts::run(engine, inputs, each, || !is_abandoned()) {
                Ok(outputs) => Ok(outputs),
                Err(Stopped::Failed(error)) => Err(Ended::Failed(error)),
                Err(Stopped::Abandoned) => Err(Ended::Abandoned),
                Err(Stopped::Dependent) => {
                    self.share_no_more(each);
                    whole(engine)
                }
            }
        });
        let ended = done.ended;
        let ran = match done.outputs {
            Err(Ended::Abandoned) => return (None, ended),
            Err(Ended::Failed(error)) => Err(error.into()),
            Ok(outputs) => {
                self.costs.learn(request.class, batch.rows, &done.run);
                Ok(Ran { outputs, ended })
            }
        };
        self.record(&done.run, done.start);
        (Some(ran), ended)
    }

    /// One run with its panic caught.
    fn run_once(
        &self,
        held: &mut Held<'_>,
        batch: Batch,
        start: Start,
        run: impl FnOnce(&mut dyn Engine) -> Result<Vec<Value>, Ended>,
    ) -> Done {
        let is_on_gpu = held.engine.is_on_gpu();
        // A run of one thread on a CPU works for as long as it uses that thread.
        let has_own_time = self.is_single_threaded && !is_on_gpu;
        held.begin(start.at.saturating_duration_since(self.born));
        if is_on_gpu {
            self.metrics.gpu_runs.enter(start.at);
        }
        // Asking for it takes a quarter of a microsecond: too much for each run on an HTTP thread.
        let cpu = (has_own_time && start.is_queued).then(cpu_time::thread);
        if has_own_time && !start.is_queued {
            cpu_time::note(start.at);
        }
        let outputs = catch_unwind(AssertUnwindSafe(|| run(held.engine.as_mut())));
        let cpu = cpu.map(|before| cpu_time::thread().saturating_sub(before));
        let ended = clock::now();
        if is_on_gpu {
            self.metrics.gpu_runs.leave(ended);
        }
        held.end();
        let passed = ended.saturating_duration_since(start.at);
        // What took long here may have been interrupted.
        let worked = match cpu {
            None if has_own_time && passed >= cpu_time::NOTED_FOR => cpu_time::since_note(),
            cpu => cpu,
        };
        let outputs = outputs.unwrap_or_else(|_| {
            tracing::error!("a model run panicked; the slot goes on");
            Err(Ended::Failed(RunError::Panicked))
        });
        if let Err(Ended::Failed(RunError::DeviceLost(reason))) = &outputs {
            self.device.lose(reason);
        }
        let run = Run {
            passed,
            cpu_time: cpu,
            worked: worked.unwrap_or(passed).min(passed),
            batch,
            waited: start.waited,
            before: start.before,
            is_busy: start.is_busy,
        };
        // What is longer on an HTTP thread than anything that may run there was interrupted.
        let most = match start.is_queued {
            true => u64::MAX,
            false => INLINE_UNTIL_NANOS * batch.requests as u64,
        };
        self.metrics.run_time.increment(nanos(run.cpu()).min(most));
        Done {
            outputs,
            run,
            start,
            ended,
        }
    }

    /// Counts a run whose requests were answered by it.
    fn record(&self, run: &Run, start: Start) {
        let is_full = match start.is_queued {
            true => run.is_full(),
            false => start.is_crowded,
        };
        if !is_full {
            self.metrics.partial_time.increment(nanos(run.cpu()));
        }
        let requests = run.batch.requests;
        let latency = micros(run.passed);
        self.metrics.batch_size.record(requests as f64);
        if requests == 1 {
            self.metrics.inference_latency.record(latency);
        } else {
            self.metrics
                .inference_latency
                .record_many(latency, requests);
        }
    }

    /// One run teaches each size class once, however many of its requests were in it: a single run
    /// that was long by chance must not be all that is known.
    fn learn(&self, jobs: &[Job], run: &Run) {
        let mut taught = 0_u64;
        for Job { request, .. } in jobs {
            let class = 1 << request.class;
            if taught & class == 0 {
                taught |= class;
                self.costs.learn(request.class, request.rows, run);
            }
        }
    }
}
