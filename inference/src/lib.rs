//! The server: http → codec → scheduler → runtime, and only the reply comes back.
//!
//! A request walks one way: bytes ([`http`]) → tensors ([`codec`]) → queue and slot
//! ([`scheduler`]) → ONNX Runtime ([`runtime`]) → tensors → bytes.
//!
//! **Invariants**
//! - Only [`http`] and [`server`] know axum, hyper and status codes; only [`runtime::ort`] knows ONNX
//!   Runtime; [`codec`] and [`scheduler`] do not know each other.
//! - Nothing here reads the environment, and nothing here knows the sidecar: metrics leave through
//!   the `metrics` facade, and the `/metrics` page comes in as a function.
//! - HTTP runs on its own threads, model runs on the slots' (but for runs shorter than a
//!   hand-over), so `/ping` answers while every slot is busy.

pub mod access;
mod clock;
pub mod codec;
pub mod config;
pub mod device;
pub mod heap;
pub mod http;
pub mod locate;
pub mod model;
pub mod onnx_file;
pub mod ready;
pub mod runtime;
pub mod scheduler;
pub mod server;
mod sync;
pub mod telemetry;
pub mod tensor;
pub mod wire;

pub use config::Config;
pub use http::{Flush, FlushFuture, PageFormat};
pub use server::{serve, Announcement, AtCapacity, Hooks, ServeError};
