//! The HTTP threads: each has a runtime, a poller and connections of its own.
//!
//! A connection stays on the thread that it was given to, so that a request wakes no other thread
//! from its first byte to its last, and those that come in together are decoded and run back to
//! back. No thread takes over another's requests; a new connection goes to the thread that has the
//! fewest. What takes long, be it a large body ([`elsewhere`]) or a run, is done on another thread.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{mpsc, Arc};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::ServeError;
use crate::http::before_waiting;

/// The threads, and their end.
pub(super) struct HttpThreads {
    /// Each thread ends when it is told how long it may wait for work elsewhere.
    ends: Vec<oneshot::Sender<Duration>>,
    /// Closed when the last one has ended.
    ended: mpsc::Receiver<()>,
    spread: Spread,
}

/// Gives connections to threads.
#[derive(Clone)]
pub(super) struct Spread {
    threads: Arc<[HttpThread]>,
}

struct HttpThread {
    handle: Handle,
    /// Connections that it has.
    open: AtomicUsize,
}

impl HttpThreads {
    /// Starts so many, at least one.
    ///
    /// # Errors
    /// The system refuses a thread or a poller.
    pub(super) fn start(count: usize, name: &str) -> Result<Self, ServeError> {
        let (running, ended) = mpsc::channel();
        let start = |_| start(name, running.clone());
        let started: Vec<(oneshot::Sender<Duration>, HttpThread)> = (0..count.max(1))
            .map(start)
            .collect::<io::Result<_>>()
            .map_err(|source| ServeError::System {
                what: "the HTTP threads",
                source,
            })?;
        let (ends, threads): (_, Vec<_>) = started.into_iter().unzip();
        Ok(Self {
            ends,
            ended,
            spread: Spread {
                threads: threads.into(),
            },
        })
    }

    /// What gives connections to them.
    pub(super) fn spread(&self) -> Spread {
        self.spread.clone()
    }

    /// The first one, where connections are accepted.
    pub(super) fn first(&self) -> &Handle {
        // There is at least one.
        &self.spread.threads[0].handle
    }

    /// Ends them; waits for up to `patience` in all for what is under way.
    pub(super) fn end(self, patience: Duration) {
        for end in self.ends {
            // One that has ended already needs no word.
            let _ = end.send(patience);
        }
        // Nothing is ever sent: it ends with the threads, or with the patience.
        let _ = self.ended.recv_timeout(patience);
    }
}

/// Starts one thread; it holds `running` to its end.
fn start(
    name: &str,
    running: mpsc::Sender<()>,
) -> io::Result<(oneshot::Sender<Duration>, HttpThread)> {
    let runtime = Builder::new_current_thread()
        .thread_name(format!("{name}-large"))
        .on_thread_park(before_waiting)
        .enable_all()
        .build()?;
    let thread = HttpThread {
        handle: runtime.handle().clone(),
        open: AtomicUsize::new(0),
    };
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _running = running;
            // Whoever drops the other end waits for nothing.
            let patience = runtime.block_on(ended).unwrap_or_default();
            runtime.shutdown_timeout(patience);
        })?;
    Ok((end, thread))
}

impl Spread {
    /// Runs a connection's task to its end on the thread that has the fewest connections.
    pub(super) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let fewest = (0..self.threads.len()).min_by_key(|i| self.threads[*i].open.load(Relaxed));
        let index = fewest.unwrap_or(0);
        let thread = &self.threads[index];
        thread.open.fetch_add(1, Relaxed);
        let place = Place {
            threads: Arc::clone(&self.threads),
            index,
        };
        thread.handle.spawn(async move {
            connection.await;
            drop(place);
        });
    }
}

/// One connection of a thread.
struct Place {
    threads: Arc<[HttpThread]>,
    index: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.threads[self.index].open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::elsewhere;
    use std::time::Instant;

    #[test]
    fn a_connection_goes_to_the_thread_that_has_the_fewest() {
        let threads = HttpThreads::start(3, "test").unwrap();
        let spread = threads.spread();
        let open = || {
            let open = |thread: &HttpThread| thread.open.load(Relaxed);
            spread.threads.iter().map(open).collect::<Vec<_>>()
        };
        let mut ends = Vec::new();
        for _ in 0..7 {
            let (end, ended) = oneshot::channel::<()>();
            spread.spawn(async { drop(ended.await) });
            ends.push(end);
        }
        assert_eq!(open(), [3, 2, 2]);
        // The second connection of the second thread ends.
        drop(ends.remove(4));
        let begun = Instant::now();
        while open() != [3, 1, 2] {
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", open());
            std::thread::yield_now();
        }
        let (end, ended) = oneshot::channel::<()>();
        spread.spawn(async { drop(ended.await) });
        ends.push(end);
        assert_eq!(open(), [3, 2, 2]);
        threads.end(Duration::from_secs(1));
        assert_eq!(
            open(),
            [0, 0, 0],
            "what was open is dropped with its thread"
        );
    }

    #[test]
    fn a_thread_that_works_for_long_goes_on_with_its_other_tasks() {
        let threads = HttpThreads::start(1, "test").unwrap();
        let (tell, told) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        threads.spread().spawn(async move {
            let wait = move || released.recv_timeout(Duration::from_secs(20));
            assert_eq!(elsewhere(wait).await, Ok(()));
        });
        threads
            .spread()
            .spawn(async move { tell.send(()).unwrap() });
        assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok(()));
        release.send(()).unwrap();
        threads.end(Duration::from_secs(20));
    }
}
