//! Decides: what is measured, and what the numbers mean for scaling.
//!
//! **Invariant:** numbers in, numbers out. No I/O, no clock, no async, nothing of ours imported:
//! time comes in as an argument, so that every result can be repeated.
//!
//! A metric's way through this crate: [`catalogue`] names it, a [`frame`] holds one second of it,
//! a [`window`] rolls the frames up to a publishing period, [`histogram`] keeps distributions
//! mergeable, [`level`] keeps what goes up and down, and [`signal`] computes the offered load.
//! [`bill`] is what publishing them costs.
//!
//! [`policy`] holds scaling configuration as AWS spells it, [`expression`] its metric math, and
//! [`simulate`] what Application Auto Scaling would do with both. A [`trace`] says when requests come, the
//! [`capacity`] profile what an instance can do; [`fleet`] lets one meet the other, and [`study`] compares
//! what different configurations make of it.
//!
//! A [`document`] is what somebody else wrote: it becomes a policy, and [`lint`] tells its traps, out of
//! what is [`known`] of the metrics. [`mod@write`] goes the other way, from a wish to documents that AWS
//! takes, and [`mend`] writes what a document meant.

pub mod bill;
pub mod capacity;
pub mod catalogue;
pub mod document;
pub mod expression;
pub mod fleet;
pub mod frame;
pub mod histogram;
pub mod known;
pub mod level;
pub mod lint;
pub mod mend;
mod moment;
pub mod policy;
pub mod signal;
pub mod simulate;
pub mod study;
pub mod trace;
pub mod window;
pub mod write;
