//! Where the request path reads the clock, and waits for no longer than until then.
//!
//! A read takes tens of nanoseconds, several times what a record does, so that a request has few of
//! them and hands each instant on: `http` and `scheduler` read the clock here and nowhere else, and
//! a test counts how often.

use std::future::Future;
use std::time::Instant;

/// Now.
#[inline]
pub(crate) fn now() -> Instant {
    #[cfg(test)]
    READS.set(READS.get() + 1);
    Instant::now()
}

/// What comes of this by then; `None` where nothing has.
pub(crate) async fn by<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    tokio::time::timeout_at(deadline.into(), future).await.ok()
}

#[cfg(test)]
thread_local! {
    static READS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// Reads on this thread so far.
#[cfg(test)]
pub(crate) fn reads() -> u32 {
    READS.get()
}
