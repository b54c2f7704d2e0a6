//! One execution: a scheduler, those who ask it for something, and what must be true when all is over.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use interleavings::clock;
use interleavings::runtime::capacity::{Capacity, Most, Point};
use interleavings::runtime::{Engine, RunError};
use interleavings::scheduler::{Allowance, Plan, Scheduler, SubmitError};
use interleavings::tensor::Value;
use shuttle::future::{block_on, spawn};
use shuttle::rand::{thread_rng, Rng};
use shuttle::thread;

use crate::engine::{input, output, Fate, Log, Negating, Run};
use crate::levels::Levels;
use crate::seen::see;

/// A time limit that no run and no queue of these checks passes.
pub const LONG: Duration = Duration::from_secs(60);

/// What all executions of a check have in common.
#[derive(Clone, Copy)]
pub struct World {
    pub slots: usize,
    pub requests: usize,
    pub queue_limit: usize,
    /// What warm-up said of a run, if anything.
    pub known: Option<Duration>,
    /// The most records that share a run.
    pub batch_rows: usize,
    /// What a run takes: one of these.
    pub takes: &'static [Duration],
    /// Whether a run gives one record however many it got.
    pub reduces: bool,
    /// Whether some runs fail, and some panic.
    pub has_faults: bool,
    /// How long a request may take: one of these.
    pub limits: &'static [Duration],
    /// One in so many requests is in danger of passing its limit; 0 none.
    pub late_one_in: u32,
    /// One in so many callers hangs up at some moment; 0 none.
    pub hang_up_one_in: u32,
    /// Whether the scheduler is closed at some moment.
    pub is_closed: bool,
    /// Whether somebody ends it at some moment, who is not the last.
    pub is_ended_early: bool,
    /// Whether every request is one record of one shape.
    pub is_uniform: bool,
}

/// A scheduler that knows nothing of its model: every request waits for a slot.
pub const QUEUED: World = World {
    slots: 2,
    requests: 4,
    queue_limit: 4,
    known: None,
    batch_rows: 1,
    takes: &[Duration::from_millis(1)],
    reduces: false,
    has_faults: false,
    limits: &[LONG],
    late_one_in: 0,
    hang_up_one_in: 0,
    is_closed: false,
    is_ended_early: false,
    is_uniform: false,
};

/// A request and what becomes of it.
struct Asked {
    rows: usize,
    width: usize,
    limit: Duration,
    hangs_up: bool,
}

struct Answer {
    outputs: Result<Vec<Value>, SubmitError>,
    deadline: Instant,
    at: Instant,
}

fn one_in(n: u32) -> bool {
    n > 0 && thread_rng().gen_range(0..n) == 0
}

fn any<T: Copy>(of: &[T]) -> T {
    of[thread_rng().gen_range(0..of.len())]
}

impl World {
    /// A scheduler of this world.
    pub fn start(&self, fates: &Arc<Vec<Fate>>, log: &Log, levels: &Levels) -> Scheduler {
        let engine = || Negating::new(fates, log, self.takes, self.reduces);
        let engines = (0..self.slots).map(|_| Box::new(engine()) as Box<dyn Engine>);
        let plan = Plan {
            queue_limit: self.queue_limit,
            may_stay: true,
            threads: 1,
        };
        let scheduler = Scheduler::start(engines.collect(), plan, levels.handles());
        let scheduler = scheduler.expect("threads start");
        if let Some(run) = self.known {
            let points = [1, 2, 4].map(|rows| Point { rows, run });
            let capacity = Capacity::new(points.to_vec(), 1.0).expect("points");
            scheduler.calibrate(&capacity, &input(0, 1, 2), Most::records(self.batch_rows));
        }
        scheduler
    }

    /// One execution, and the proof that it was right.
    pub fn run(&self) {
        clock::begin(self.late_one_in);
        let asked: Vec<Asked> = (0..self.requests).map(|_| self.asked()).collect();
        let fates = Arc::new(asked.iter().map(|_| self.fate()).collect());
        let (log, levels) = (Log::default(), Levels::new(self.requests));
        let scheduler = self.start(&fates, &log, &levels);
        let answers = self.ask_all(&scheduler, &asked);
        let engines = scheduler.end().expect("nobody else holds it");
        assert_eq!(engines.len(), self.slots);
        levels.assert_at_rest();
        let log = log.lock().unwrap_or_else(PoisonError::into_inner);
        see(|seen| {
            let shared = log.iter().filter(|run| run.requests.len() > 1);
            let was_right = |run: &&Run| run.is_answered && !self.reduces;
            seen.rerun += shared.clone().filter(|run| !was_right(run)).count();
            seen.shared += shared.filter(was_right).count();
            seen.queued += log.iter().filter(|run| run.is_queued).count();
            seen.inline += log.iter().filter(|run| !run.is_queued).count();
        });
        let mut refused = 0;
        for (request, (asked, answer)) in asked.iter().zip(&answers).enumerate() {
            let ended = self.ended_runs(request, &log);
            refused += u64::from(self.judge(asked, (request, fates[request]), answer, ended));
        }
        let hung_up = answers.iter().filter(|answer| answer.is_none()).count() as u64;
        let rejected = levels.rejected.get();
        assert!((refused..=refused + hung_up).contains(&rejected));
    }

    /// A request of any kind.
    fn asked(&self) -> Asked {
        let (rows, width) = match self.is_uniform {
            true => (1, 2),
            false => (any(&[1, 1, 2]), any(&[2, 2, 2, 3])),
        };
        Asked {
            rows,
            width,
            limit: any(self.limits),
            hangs_up: one_in(self.hang_up_one_in),
        }
    }

    fn fate(&self) -> Fate {
        match self.has_faults {
            true => any(&[Fate::Answered, Fate::Answered, Fate::Fails, Fate::Panics]),
            false => Fate::Answered,
        }
    }

    /// Everybody asks at once, each on a thread of its own, while some hang up and somebody may close;
    /// none for those who hung up.
    fn ask_all(&self, scheduler: &Scheduler, asked: &[Asked]) -> Vec<Option<Answer>> {
        let mut others = Vec::new();
        let mut callers = Vec::new();
        for (request, asked) in asked.iter().enumerate() {
            let (scheduler, limit) = (scheduler.clone(), asked.limit);
            let inputs = input(request, asked.rows, asked.width);
            let caller = spawn(async move {
                let arrived = clock::now();
                let allowance = Allowance { arrived, limit };
                let ran = scheduler.submit(inputs, allowance, arrived).await;
                Answer {
                    outputs: ran.map(|ran| ran.outputs),
                    deadline: arrived + limit,
                    at: clock::now(),
                }
            });
            if asked.hangs_up {
                let line = caller.abort_handle();
                others.push(thread::spawn(move || line.abort()));
            }
            callers.push(caller);
        }
        if self.is_closed {
            let scheduler = scheduler.clone();
            others.push(thread::spawn(move || scheduler.close()));
        }
        if self.is_ended_early {
            let scheduler = scheduler.clone();
            others.push(thread::spawn(move || {
                assert!(scheduler.end().is_none(), "others hold it");
            }));
        }
        let (watched, limit) = (scheduler.clone(), self.queue_limit);
        others.push(thread::spawn(move || {
            for _ in 0..3 {
                let waiting = watched.waiting();
                assert!(waiting <= limit, "{waiting} wait, {limit} may");
            }
        }));
        let answers = callers.into_iter().map(|caller| block_on(caller).ok());
        let answers = answers.collect();
        for other in others {
            other.join().expect("a thread ends well");
        }
        answers
    }

    /// How many runs of this request were its last: by itself, or with others and answered. A joint
    /// run that was not is followed by one of its own.
    fn ended_runs(&self, request: usize, log: &[Run]) -> usize {
        let of_it = log.iter().filter(|run| run.requests.contains(&request));
        let (ended, joint): (Vec<&Run>, Vec<&Run>) =
            of_it.partition(|run| run.requests.len() == 1 || (run.is_answered && !self.reduces));
        assert!(ended.len() <= 1, "request {request} ran twice: {log:?}");
        assert!(joint.len() <= 1, "request {request} failed twice: {log:?}");
        if joint.len() == 1 {
            let alone = ended.first().is_some_and(|run| run.requests.len() == 1);
            assert!(alone, "request {request} did not get its own run: {log:?}");
        }
        ended.len()
    }

    /// Fails unless this answer is one that the request may get, after so many runs; whether it was
    /// refused for load.
    fn judge(
        &self,
        asked: &Asked,
        (request, fate): (usize, Fate),
        answer: &Option<Answer>,
        ended: usize,
    ) -> bool {
        let Some(answer) = answer else {
            assert!(asked.hangs_up);
            see(|seen| {
                seen.hung_up += 1;
                seen.dropped += 1 - ended;
            });
            return false;
        };
        let ran = |expected: Fate| {
            assert_eq!(fate, expected, "request {request}");
            assert_eq!(ended, 1, "request {request} was answered without a run");
        };
        let not_run = || assert_eq!(ended, 0, "request {request} was refused, and ran");
        match &answer.outputs {
            Ok(outputs) => {
                ran(Fate::Answered);
                assert_eq!(outputs, &output(request, asked.rows, asked.width));
                see(|seen| seen.answered += 1);
            }
            Err(SubmitError::Run(RunError::Panicked)) => {
                ran(Fate::Panics);
                see(|seen| seen.panicked += 1);
            }
            Err(SubmitError::Run(error)) => {
                ran(Fate::Fails);
                assert_eq!(error, &RunError::Failed("as told".to_owned()));
                see(|seen| seen.failed += 1);
            }
            Err(SubmitError::TimedOut(limit)) => {
                assert_eq!(*limit, asked.limit);
                assert!(answer.at >= answer.deadline, "request {request} was lost");
                see(|seen| seen.timed_out += 1);
            }
            Err(SubmitError::QueueFull { limit, .. }) => {
                not_run();
                assert_eq!(*limit, self.queue_limit);
                assert!(self.requests > *limit, "there is room for all");
                see(|seen| seen.full += 1);
                return true;
            }
            Err(SubmitError::Hopeless { limit, wait }) => {
                not_run();
                assert_eq!(*limit, asked.limit);
                assert!(asked.limit < LONG && !wait.is_zero());
                see(|seen| seen.hopeless += 1);
                return true;
            }
            Err(SubmitError::Leaving) => {
                not_run();
                assert!(self.is_closed || self.is_ended_early, "nobody leaves");
                see(|seen| seen.leaving += 1);
            }
        }
        false
    }
}
