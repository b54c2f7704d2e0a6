//! Work that nobody waits for any more does not run.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use interleavings::clock;
use interleavings::runtime::Engine;
use interleavings::scheduler::{Allowance, Plan, Scheduler, SubmitError};
use shuttle::future::{block_on, spawn};
use shuttle::thread;

use crate::engine::{input, Fate, Log, Negating};
use crate::in_every_order;
use crate::levels::Levels;
use crate::world::LONG;

const SHORT: Duration = Duration::from_secs(1);
/// So that no request stays on its caller's thread.
const LONGER_THAN_A_HAND_OVER: Duration = Duration::from_millis(1);

/// How a caller stops waiting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    HangsUp,
    IsOutOfTime,
}

/// Two ask for the only slot, whose first run is held until the second caller waits no more. The
/// second request runs only if the slot had taken it first.
fn the_second_waits_no_more(end: End) {
    clock::begin(0);
    let (log, levels) = (Log::default(), Levels::new(2));
    let fates = Arc::new(vec![Fate::Answered; 2]);
    let engine = Negating::new(&fates, &log, &[LONGER_THAN_A_HAND_OVER], false);
    let gate = Arc::clone(&engine.gate);
    let held = gate.lock();
    let plan = Plan {
        queue_limit: 2,
        may_stay: true,
        threads: 1,
    };
    let engines: Vec<Box<dyn Engine>> = vec![Box::new(engine)];
    let scheduler = Scheduler::start(engines, plan, levels.handles()).expect("threads start");
    let ask = |request: usize, limit| {
        let scheduler = scheduler.clone();
        let arrived = clock::now();
        spawn(async move {
            let allowance = Allowance { arrived, limit };
            let inputs = input(request, 1, 2);
            let ran = scheduler.submit(inputs, allowance, arrived).await;
            ran.map(|ran| ran.outputs)
        })
    };
    let (first, second) = (ask(0, LONG), ask(1, SHORT));
    let second = match end {
        End::HangsUp => {
            second.abort();
            assert!(block_on(second).is_err(), "answered while runs are held");
            None
        }
        End::IsOutOfTime => {
            let passes = thread::spawn(|| clock::pass(2 * SHORT));
            passes.join().expect("a thread ends well");
            Some(second)
        }
    };
    drop(held);
    let answer = block_on(first).expect("nobody hangs up");
    assert!(answer.is_ok(), "{answer:?}");
    let second = second.map(|second| block_on(second).expect("nobody hangs up"));
    assert!(scheduler.end().is_some());
    levels.assert_at_rest();
    let runs = log.lock().unwrap_or_else(PoisonError::into_inner);
    let of_the_second = runs.iter().position(|run| run.requests == [1]);
    assert!(matches!(of_the_second, None | Some(0)), "{runs:?}");
    match second {
        None => {}
        Some(Ok(_)) => assert_eq!(of_the_second, Some(0)),
        Some(Err(error)) => {
            assert_eq!(error, SubmitError::TimedOut(SHORT));
            assert_eq!(of_the_second, None);
        }
    }
}

#[test]
fn a_request_whose_caller_hung_up_is_not_run() {
    in_every_order(|| the_second_waits_no_more(End::HangsUp));
}

#[test]
fn a_request_whose_time_is_over_is_not_run() {
    in_every_order(|| the_second_waits_no_more(End::IsOutOfTime));
}
