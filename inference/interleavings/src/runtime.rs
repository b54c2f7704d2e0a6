//! What the scheduler knows of the runtime; ONNX Runtime is no part of it.

#[path = "../../src/runtime/capacity.rs"]
pub mod capacity;
#[path = "../../src/runtime/engine.rs"]
mod engine;
#[path = "../../src/runtime/warmup.rs"]
pub mod warmup;

pub use engine::{Engine, RunError};

/// CPU time: all that passes, so that no run differs from the one before.
pub mod cpu_time {
    use std::time::{Duration, Instant};

    pub const NOTED_FOR: Duration = Duration::from_millis(1);

    pub fn note(_: Instant) {}

    pub fn since_note() -> Option<Duration> {
        None
    }

    pub fn thread() -> Duration {
        crate::clock::passed()
    }

    pub fn process() -> Duration {
        crate::clock::passed()
    }
}
