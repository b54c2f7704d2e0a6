//! What several benches stand on: two cores, and the server as it ships.

pub mod cores;
pub mod pace;
pub mod server;

/// What a bench gives up with.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
