//! What the scheduler promises, in thousands of orders of its threads' steps.
//!
//! Every check runs an execution again and again: under a scheduler that goes anywhere at each step,
//! and under one that keeps to priorities and changes them at a few steps (PCT), which finds what
//! needs a long row of steps in a bad order. The seed is fixed, so that a check that fails fails again;
//! `SHUTTLE_RANDOM_SEED` sets another.

mod abandoned;
mod engine;
mod levels;
mod queue;
mod scheduler;
mod seen;
mod world;

use shuttle::scheduler::{
    PctScheduler, RandomScheduler, UncontrolledNondeterminismCheckScheduler as Twice,
};
use shuttle::{Config, Runner};

/// Orders of each kind.
const ORDERS: usize = 1_500;
/// Steps at which a priority changes.
const CHANGES: usize = 3;
const SEED: u64 = 0x506c_696d;

fn config() -> Config {
    let mut config = Config::new();
    // A request's future and a run's frames lie on it.
    config.stack_size = 256 * 1024;
    config.silence_warnings = true;
    config
}

/// Runs this in many orders of its threads' steps.
fn in_every_order(execution: impl Fn() + Send + Sync + Copy + 'static) {
    let random = RandomScheduler::new_from_seed(SEED, ORDERS);
    assert_eq!(Runner::new(random, config()).run(execution), ORDERS);
    let pct = PctScheduler::new_from_seed(SEED, CHANGES, ORDERS);
    assert_eq!(Runner::new(pct, config()).run(execution), ORDERS);
}

/// Runs this in some orders, each twice, and fails where the second time goes another way.
fn repeated(execution: impl Fn() + Send + Sync + Copy + 'static) {
    let orders = ORDERS / 10;
    let random = RandomScheduler::new_from_seed(SEED, orders);
    let ran = Runner::new(Twice::new(random), config()).run(execution);
    assert_eq!(ran, 2 * orders);
}
