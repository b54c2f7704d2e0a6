//! Runs models. The scheduler knows [`Engine`]; only [`ort`] knows ONNX Runtime.

pub mod capacity;
pub mod cpu_time;
mod engine;
mod faults;
pub mod ort;
pub mod pool;
mod reason;
pub mod records;
pub mod warmup;

pub use engine::{Engine, RunError};
