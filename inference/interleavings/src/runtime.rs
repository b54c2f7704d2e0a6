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
    use std::time::Duration;

    pub fn thread() -> Duration {
        crate::clock::passed()
    }

    pub fn process() -> Duration {
        crate::clock::passed()
    }
}
