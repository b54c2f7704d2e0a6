//! One slot's runs: of one request, or of several that share it.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::{Duration, Instant};

use super::batch::{self, Batch};
use super::cost::Run;
use super::{micros, Job, Ran, Request, Shared, SubmitError};
use crate::runtime::{cpu_time, Engine, RunError};
use crate::tensor::{Tensor, Value};

/// What is known of a run before it begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// Now.
    pub at: Instant,
    /// Whether the slot has been busy for long enough to show what it can do.
    pub is_at_capacity: bool,
    /// Whether its thread's CPU time is asked for, which costs half a microsecond to ask for:
    /// too much for a run that stays on an HTTP thread.
    pub by_cpu_time: bool,
}

/// A run that ended.
struct Done {
    outputs: Result<Vec<Value>, RunError>,
    run: Run,
    ended: Instant,
}

impl Shared {
    /// Runs these jobs together and answers them; gives when that was done. A joint run that fails
    /// is nobody's fault yet: then each runs alone.
    pub(super) fn run_jobs(
        &self,
        engine: &mut dyn Engine,
        jobs: Vec<Job>,
        start: Start,
    ) -> Instant {
        if jobs.len() > 1 {
            if let Some(inputs) = batch::joined(&jobs) {
                let batch = Batch::of(&jobs);
                let done = self.run_once(engine, &inputs, batch, start);
                let parts = done.outputs.as_ref().ok();
                if let Some(parts) = parts.and_then(|outputs| batch::split(outputs, &jobs)) {
                    self.record(&done.run);
                    for (job, outputs) in jobs.into_iter().zip(parts) {
                        self.learn(&job, &done.run);
                        job.answer(Ok(Ran {
                            outputs,
                            ended: done.ended,
                        }));
                    }
                    return done.ended;
                }
                if done.outputs.is_ok() {
                    tracing::warn!("batching is off from now on: an output of {} records together has not one for each", batch.rows);
                    self.batch_rows.store(1, Relaxed);
                }
                return self.run_each(
                    engine,
                    jobs,
                    Start {
                        at: done.ended,
                        ..start
                    },
                );
            }
        }
        self.run_each(engine, jobs, start)
    }

    fn run_each(&self, engine: &mut dyn Engine, jobs: Vec<Job>, mut start: Start) -> Instant {
        for job in jobs {
            let (ran, ended) = self.run_request(engine, &job.request, start);
            start.at = ended;
            job.answer(ran);
        }
        start.at
    }

    /// One request's run, and when it ended.
    pub(super) fn run_request(
        &self,
        engine: &mut dyn Engine,
        request: &Request,
        start: Start,
    ) -> (Result<Ran, SubmitError>, Instant) {
        let batch = Batch {
            rows: request.rows.max(1),
            requests: 1,
        };
        let done = self.run_once(engine, &request.inputs, batch, start);
        self.record(&done.run);
        let ran = match done.outputs {
            Ok(outputs) => {
                let best = self.best_rows();
                self.costs.learn(request.class, batch.rows, &done.run, best);
                Ok(Ran {
                    outputs,
                    ended: done.ended,
                })
            }
            Err(error) => Err(error.into()),
        };
        (ran, done.ended)
    }

    /// One run with its panic caught.
    fn run_once(
        &self,
        engine: &mut dyn Engine,
        inputs: &[Tensor],
        batch: Batch,
        start: Start,
    ) -> Done {
        // In this order: whoever sees the run must see that it began just now.
        self.moved(start.at);
        self.running.fetch_add(1, Release);
        let is_on_gpu = engine.is_on_gpu();
        if is_on_gpu {
            self.metrics.gpu_runs.enter(start.at);
        }
        let cpu = start.by_cpu_time.then(cpu_time::thread);
        let outputs = catch_unwind(AssertUnwindSafe(|| engine.run(inputs)));
        let cpu = cpu.map(|before| cpu_time::thread().saturating_sub(before));
        let ended = Instant::now();
        if is_on_gpu {
            self.metrics.gpu_runs.leave(ended);
        }
        self.moved(ended);
        self.running.fetch_sub(1, Relaxed);
        let passed = ended.saturating_duration_since(start.at);
        let outputs = outputs.unwrap_or_else(|_| {
            tracing::error!("a model run panicked; the slot goes on");
            Err(RunError::Panicked)
        });
        let cpu_time = cpu.unwrap_or(passed);
        let nanos = u64::try_from(cpu_time.as_nanos()).unwrap_or(u64::MAX);
        self.metrics.run_time.increment(nanos);
        let run = Run {
            passed,
            cpu_time,
            batch,
            is_at_capacity: start.is_at_capacity,
        };
        Done {
            outputs,
            run,
            ended,
        }
    }

    /// Counts a run whose requests were answered by it.
    fn record(&self, run: &Run) {
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

    fn learn(&self, job: &Job, run: &Run) {
        self.costs
            .learn(job.request.class, job.request.rows, run, self.best_rows());
    }

    /// The batch that capacity is counted at.
    pub(super) fn best_rows(&self) -> usize {
        self.batch_rows.load(Relaxed)
    }

    /// A run began or ended now.
    fn moved(&self, now: Instant) {
        let since: Duration = now.saturating_duration_since(self.born);
        let since = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.moved_nanos.store(since, Relaxed);
    }
}
