//! Traffic traces: when requests arrive, how many, and what they ask for.
//!
//! A trace is read line by line, so that its length costs no memory. It is CSV with a header:
//!
//! | first column | others | meaning |
//! |---|---|---|
//! | `t_ms`, `t_s` or `timestamp` | none called `requests` or `clients` | each line is a request |
//! | the same | `requests` (or `count`, `invocations`, `value`, `sum`) | each line is a bin, `[t, t + step)` |
//! | the same | `clients` | callers that wait for their answer before they send again, from then on |
//!
//! A column `class` names a class of the capacity profile, for each line. Every other column is a number
//! that the profile may turn into service time; in a bin it is the sum over the requests. Two columns of
//! numbers without a header are seconds and requests. The answer of CloudWatch's `GetMetricData`, as
//! JSON, is read by [`cloudwatch()`].

mod cloudwatch;
mod csv;
#[cfg(test)]
mod trace_tests;

pub use cloudwatch::cloudwatch;
pub use csv::{Gaps, Reader};

/// The most columns of numbers that a profile may use.
pub const MOST_COSTS: usize = 4;

/// What a trace's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request each.
    Requests,
    /// Requests of a bin.
    Bins,
    /// Callers, from then on.
    Clients,
}

/// A part of a trace: arrivals in `[from_us, until_us)`, or one at `from_us`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Microseconds from the trace's beginning.
    pub from_us: u64,
    /// The end of the bin; for a request, when the next one came.
    pub until_us: u64,
    /// How many requests, or callers.
    pub amount: f64,
    /// What each asks for, by column.
    pub costs: [f64; MOST_COSTS],
    /// Which class of the profile, where the trace says it.
    pub class: Option<u32>,
}
