//! What several benches stand on: two cores, the server as it ships, figures, and targets.

pub mod cores;
pub mod figures;
pub mod pace;
pub mod server;
pub mod target;

/// What a bench gives up with.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
