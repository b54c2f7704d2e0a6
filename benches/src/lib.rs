//! What several benches stand on: two cores, the server as it ships, its floor, figures, and targets.

pub mod bare;
pub mod cores;
pub mod echo;
pub mod fifo;
pub mod figures;
pub mod load;
pub mod memory;
pub mod npy;
pub mod options;
pub mod pace;
pub mod served;
pub mod server;
pub mod target;

/// What a bench gives up with.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
