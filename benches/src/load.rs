//! Load that counts nothing but good replies.

use std::future::Future;
use std::time::Duration;

use probe::{closed_loop, open_loop, Arrivals, Limits, Reply, Report, Request};
use tokio::runtime::Runtime;

use crate::Result;

/// A request that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(30);

/// So many connections, and patience.
#[must_use]
pub fn limits(connections: usize) -> Limits {
    Limits {
        connections,
        timeout: TIMEOUT,
    }
}

/// The report, where every reply was good.
///
/// # Errors
/// One was not: how many, and what the first said.
pub fn all_well(report: Report) -> Result<Report> {
    if report.all_well() {
        return Ok(report);
    }
    let good = report.statuses.get(&200).copied().unwrap_or(0);
    Err(format!(
        "{} of {} requests went wrong, first: {}",
        report.requested - good,
        report.requested,
        report
            .first_trouble
            .as_deref()
            .unwrap_or("nothing was answered")
    )
    .into())
}

/// What sends, on the thread that calls it.
pub struct Sender(Runtime);

impl Sender {
    /// Sends from this thread.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new() -> Result<Self> {
        Ok(Self(
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
        ))
    }

    /// Keeps so many connections busy.
    ///
    /// # Errors
    /// The load cannot begin, or a reply is not good.
    pub fn closed(&self, request: &Request, connections: usize, time: Duration) -> Result<Report> {
        let load = closed_loop(request, limits(connections), time);
        all_well(self.0.block_on(load)?)
    }

    /// Sends at these arrivals, over at most so many connections.
    ///
    /// # Errors
    /// The load cannot begin, or a reply is not good.
    pub fn open(
        &self,
        request: &Request,
        arrivals: Arrivals,
        connections: usize,
        time: Duration,
    ) -> Result<Report> {
        let load = open_loop(request, arrivals, limits(connections), time);
        all_well(self.0.block_on(load)?)
    }

    /// One request over a connection of its own.
    ///
    /// # Errors
    /// It gets no reply, or another than 200.
    pub fn once(&self, request: &Request) -> Result<Reply> {
        let reply = self.0.block_on(probe::once(request))?;
        if reply.status == 200 {
            return Ok(reply);
        }
        let said = String::from_utf8_lossy(&reply.body).into_owned();
        Err(format!("status {}: {said}", reply.status).into())
    }

    /// Runs anything else.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.block_on(work)
    }
}
