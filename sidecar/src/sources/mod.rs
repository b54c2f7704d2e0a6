//! What is read once a second from outside the process's own counters. Each source answers with
//! what it could read; what it could not read is absent.

pub mod cgroup;
pub(crate) mod gpu;
pub(crate) mod host;
