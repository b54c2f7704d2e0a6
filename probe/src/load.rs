//! The two loops. Both run on the caller's runtime; a current-thread one on a core of its own
//! drives more than most servers take.
//!
//! Invariants of the open loop: arrivals never wait for replies; a request's latency and its
//! time-out start at its scheduled arrival, whether or not a connection was free then; no more
//! than `connections` sockets are open; every arrival ends as one reply or one failure.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::arrivals::Arrivals;
use crate::connection::{resolve, Connection, ExchangeError};
use crate::latency::Histogram;
use crate::pacer::Pacer;
use crate::report::{Failure, Report, Tally, EXCERPT_BYTES};
use crate::target::Request;

/// Connections kept alive, unless told.
pub const DEFAULT_CONNECTIONS: usize = 64;
/// Time-out of one request, unless told: the time that SageMaker gives a container.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// After a failure a closed loop waits this long, or a dead server would be asked in a frenzy.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);
/// Overdue arrivals handed out in one go before replies are looked at.
const BURST: u32 = 32;

/// What bounds a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections kept alive.
    pub connections: usize,
    /// Longest wait for a reply.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: DEFAULT_CONNECTIONS,
            timeout: DEFAULT_TIMEOUT,
        }
    }
}

/// Why a load could not begin. What goes wrong later is counted in the [`Report`].
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The host has no address.
    #[error("cannot find host \"{host}\": {source}")]
    Resolve {
        /// As given.
        host: String,
        /// The resolver's words.
        source: io::Error,
    },
    /// Nobody listens, or not for us.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Tried address.
        address: SocketAddr,
        /// The socket's words.
        source: io::Error,
    },
    /// A single exchange failed (only [`once`](crate::once)).
    #[error("{address}: {reason}")]
    Exchange {
        /// The server's address.
        address: SocketAddr,
        /// What happened.
        reason: String,
    },
    /// The rate cannot be scheduled.
    #[error("rate {0} is not a positive number of requests per second")]
    Rate(f64),
    /// No time to run.
    #[error("duration and time-out must be above zero")]
    Duration,
    /// No connection to run over.
    #[error("connections is 0, expected at least 1")]
    Connections,
    /// The operating system gave no timer.
    #[error("no timer: {0}")]
    Timer(io::Error),
}

/// Sends on a schedule for `duration` and waits for the last replies.
///
/// # Errors
/// [`LoadError`] when the load could not begin.
pub async fn open_loop(
    request: &Request,
    arrivals: Arrivals,
    limits: Limits,
    duration: Duration,
) -> Result<Report, LoadError> {
    let rate = arrivals.rate();
    if !(rate.is_finite() && rate > 0.0) {
        return Err(LoadError::Rate(rate));
    }
    let slots = connect(request, limits, duration).await?;
    let pacer = Pacer::new().map_err(LoadError::Timer)?;
    let pool = Arc::new(Pool {
        state: Mutex::new(State {
            idle: slots,
            waiting: VecDeque::new(),
            busy: 0,
        }),
        tally: Mutex::default(),
        quiet: Notify::new(),
        timeout: limits.timeout,
    });
    let mut lateness = Histogram::default();
    let start = Instant::now();
    let mut burst = 0;
    for offset in arrivals.schedule(duration) {
        let due = start + offset;
        let mut now = Instant::now();
        if now < due {
            burst = 0;
            pacer.until(due).await.map_err(LoadError::Timer)?;
            now = Instant::now();
        } else {
            // Behind schedule: replies must still be read, or the lateness feeds itself.
            burst += 1;
            if burst % BURST == 0 {
                tokio::task::yield_now().await;
                now = Instant::now();
            }
        }
        lateness.record(now.saturating_duration_since(due));
        pool.arrive(due);
    }
    pool.drained().await;
    // The silence after the last arrival belongs to the schedule.
    let elapsed = start.elapsed().max(duration);
    let tally = std::mem::take(&mut *lock(&pool.tally));
    Ok(tally.report(elapsed, Some(rate), Some(&lateness)))
}

/// Keeps every connection busy for `duration`: each sends again as soon as it is answered.
///
/// # Errors
/// [`LoadError`] when the load could not begin.
pub async fn closed_loop(
    request: &Request,
    limits: Limits,
    duration: Duration,
) -> Result<Report, LoadError> {
    let slots = connect(request, limits, duration).await?;
    let tally = Arc::new(Mutex::new(Tally::default()));
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    let end = start + duration;
    for mut slot in slots {
        let tally = Arc::clone(&tally);
        tasks.spawn(async move {
            let mut begun = Instant::now();
            while begun < end {
                let failed = slot.ask(begun, begun + limits.timeout, &tally).await;
                if failed {
                    tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                }
                begun = Instant::now();
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let elapsed = start.elapsed();
    let tally = std::mem::take(&mut *lock(&tally));
    Ok(tally.report(elapsed, None, None))
}

/// Checks the bounds and opens the connections. The first must succeed; later ones are tried again
/// when they are needed.
async fn connect(
    request: &Request,
    limits: Limits,
    duration: Duration,
) -> Result<Vec<Slot>, LoadError> {
    if limits.connections == 0 {
        return Err(LoadError::Connections);
    }
    if duration.is_zero() || limits.timeout.is_zero() {
        return Err(LoadError::Duration);
    }
    let address = resolve(request.target()).await?;
    let timed = tokio::time::timeout(limits.timeout, Connection::open(address, EXCERPT_BYTES));
    let first = timed
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|source| LoadError::Connect { address, source })?;
    let slot = |connection| Slot {
        address,
        wire: request.wire().clone(),
        connection,
    };
    let mut slots = vec![slot(Some(first))];
    let mut opening = JoinSet::new();
    for _ in 1..limits.connections {
        opening.spawn(tokio::time::timeout(
            limits.timeout,
            Connection::open(address, EXCERPT_BYTES),
        ));
    }
    while let Some(opened) = opening.join_next().await {
        slots.push(slot(opened.ok().and_then(Result::ok).and_then(Result::ok)));
    }
    Ok(slots)
}

/// The right to hold one connection, and the connection while there is one.
struct Slot {
    address: SocketAddr,
    wire: Bytes,
    connection: Option<Connection>,
}

impl Slot {
    /// One request, begun (or due) at `begun`: its outcome goes to `tally`. True when it failed.
    async fn ask(&mut self, begun: Instant, deadline: Instant, tally: &Mutex<Tally>) -> bool {
        let mut sent = false;
        let outcome = tokio::time::timeout_at(deadline.into(), self.exchange(&mut sent)).await;
        let waited = begun.elapsed();
        let mut tally = lock(tally);
        match outcome {
            Ok(Ok(status)) => {
                let body = self.connection.as_ref().map_or(&[][..], Connection::kept);
                tally.answered(status, body, waited);
                return false;
            }
            Ok(Err((failure, why))) => tally.failed(failure, &why, waited),
            Err(_) if sent => {
                tally.failed(Failure::Timeout, "no reply before the time-out", waited);
            }
            Err(_) => {
                tally.failed(
                    Failure::Connect,
                    "no connection before the time-out",
                    waited,
                );
            }
        }
        self.connection = None;
        true
    }

    async fn exchange(&mut self, sent: &mut bool) -> Result<u16, (Failure, String)> {
        let mut connection = match self.connection.take().filter(Connection::usable) {
            Some(connection) => connection,
            None => Connection::open(self.address, EXCERPT_BYTES)
                .await
                .map_err(|error| {
                    (
                        Failure::Connect,
                        format!("cannot connect to {}: {error}", self.address),
                    )
                })?,
        };
        *sent = true;
        let head = connection
            .exchange(&self.wire)
            .await
            .map_err(|error| match error {
                ExchangeError::Closed(_) => (Failure::Closed, error.to_string()),
                ExchangeError::Malformed(_) => (Failure::Malformed, error.to_string()),
            })?;
        self.connection = Some(connection);
        Ok(head.status)
    }
}

/// The connections of an open loop and the arrivals that wait for one.
struct Pool {
    state: Mutex<State>,
    tally: Mutex<Tally>,
    /// Told when the last busy slot comes to rest.
    quiet: Notify,
    timeout: Duration,
}

struct State {
    /// Last used first, so that a low rate keeps few connections warm.
    idle: Vec<Slot>,
    waiting: VecDeque<Instant>,
    busy: usize,
}

impl Pool {
    /// Sends now if a connection is free, or queues.
    fn arrive(self: &Arc<Self>, due: Instant) {
        let mut state = lock(&self.state);
        let Some(slot) = state.idle.pop() else {
            state.waiting.push_back(due);
            return;
        };
        state.busy += 1;
        drop(state);
        tokio::spawn(Arc::clone(self).work(slot, due));
    }

    /// Sends with `slot` until nothing waits.
    async fn work(self: Arc<Self>, mut slot: Slot, mut due: Instant) {
        loop {
            let deadline = due + self.timeout;
            if Instant::now() < deadline {
                slot.ask(due, deadline, &self.tally).await;
            } else {
                let why = "no connection was free before the time-out";
                lock(&self.tally).failed(Failure::Unsent, why, due.elapsed());
            }
            let mut state = lock(&self.state);
            match state.waiting.pop_front() {
                Some(next) => due = next,
                None => {
                    state.idle.push(slot);
                    state.busy -= 1;
                    if state.busy == 0 {
                        self.quiet.notify_one();
                    }
                    return;
                }
            }
        }
    }

    async fn drained(&self) {
        while lock(&self.state).busy > 0 {
            self.quiet.notified().await;
        }
    }
}

/// A poisoned count is still a count.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
