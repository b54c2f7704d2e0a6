//! Looks at a container from outside, over real sockets.
//!
//! [`open_loop`] sends on a schedule that does not wait for replies, as callers of an endpoint do,
//! and counts latency from the scheduled arrival. [`closed_loop`] keeps a number of connections
//! busy, which finds saturation. Both give a [`Report`]. Nothing here knows what is served: any
//! HTTP/1.1 address will do, without TLS.
//!
//! The request is written and the reply read by a few small files of our own: hyper's client was
//! measured at 15 µs of CPU a request against 11 µs, and a generator dearer than the server on the
//! next core cannot saturate it.

mod arrivals;
mod connection;
mod latency;
mod load;
mod pacer;
mod reply;
mod report;
mod target;

pub use arrivals::Arrivals;
pub use connection::{once, Reply};
pub use latency::{Histogram, Quantiles};
pub use load::{closed_loop, open_loop, Limits, LoadError, DEFAULT_CONNECTIONS, DEFAULT_TIMEOUT};
pub use report::{Failure, Report};
pub use target::{Request, Target, TargetError};
