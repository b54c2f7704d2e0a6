//! The scheduler a second time, for checks: the files of `inference` as they are shipped, between
//! stand-ins for what they stand on.
//!
//! - [`sync`]: threads, locks and atomics of `shuttle`, which runs one thread at a time and chooses
//!   at each of their steps who goes on. A seed repeats an order.
//! - [`clock`]: a time that passes when a check says so, and time limits that may be met at any
//!   moment.
//!
//! **What it does not show:** shuttle's atomics are as strong as they get, so that an `Ordering` that
//! is too weak goes unseen. An answer's channel is tokio's own, one step whatever is done with it.
//! What a request costs (`scheduler/cost.rs`) are estimates, which no protocol leans on.
// Unit tests of the included files are `inference`'s.
#![cfg(not(test))]
#![allow(
    dead_code,
    unused_imports,
    missing_docs,
    clippy::duplicate_mod,
    clippy::len_without_is_empty,
    reason = "the checks use the scheduler, and not all that it is made of"
)]

pub mod clock;
#[path = "../../src/model.rs"]
pub mod model;
pub mod runtime;
#[path = "../../src/scheduler/mod.rs"]
pub mod scheduler;
pub mod sync;
#[path = "../../src/telemetry.rs"]
pub mod telemetry;
#[path = "../../src/tensor/mod.rs"]
pub mod tensor;

/// The queue alone: the scheduler keeps its own to itself.
#[path = "../../src/scheduler/queue.rs"]
pub mod queue;
