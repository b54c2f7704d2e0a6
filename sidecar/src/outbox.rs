//! A bounded queue between the measuring side and the publishing side.
//!
//! Putting never waits: when it is full the oldest entry goes and is counted. What is newest says
//! most about the load.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The queue. One side puts, one side takes, by waiting in async code or by blocking a thread.
#[derive(Debug)]
pub(crate) struct Outbox<T> {
    state: Mutex<State<T>>,
    limit: usize,
    dropped: AtomicU64,
    arrived: Notify,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    entries: VecDeque<T>,
    /// True while the taker works on an entry that it took.
    in_hand: bool,
    closed: bool,
}

impl<T> Outbox<T> {
    /// An empty queue for at most `limit` entries.
    pub(crate) fn new(limit: usize) -> Self {
        let entries = VecDeque::with_capacity(limit);
        Self {
            state: Mutex::new(State {
                entries,
                in_hand: false,
                closed: false,
            }),
            limit: limit.max(1),
            dropped: AtomicU64::new(0),
            arrived: Notify::new(),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an entry in; the oldest is dropped if there is no room.
    pub(crate) fn put(&self, entry: T) {
        let mut state = self.state();
        while state.entries.len() >= self.limit {
            state.entries.pop_front();
            self.count_drop();
        }
        state.entries.push_back(entry);
        drop(state);
        self.arrived.notify_one();
        self.changed.notify_all();
    }

    /// Counts an entry that the taker gave up.
    pub(crate) fn count_drop(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Entries that were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// True if the next entry will push the oldest out.
    pub(crate) fn is_full(&self) -> bool {
        self.state().entries.len() >= self.limit
    }

    /// Says that no more entries come: the taker ends when it has taken what is left.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.arrived.notify_one();
        self.changed.notify_all();
    }

    /// The oldest entry, waiting for one; none when closed and empty.
    pub(crate) async fn take(&self) -> Option<T> {
        loop {
            {
                let mut state = self.state();
                if let Some(entry) = state.entries.pop_front() {
                    return Some(entry);
                }
                if state.closed {
                    return None;
                }
            }
            self.arrived.notified().await;
        }
    }

    /// [`Self::take`] for a thread that may block.
    pub(crate) fn take_blocking(&self) -> Option<T> {
        let mut state = self.state();
        state.in_hand = false;
        self.changed.notify_all();
        loop {
            if let Some(entry) = state.entries.pop_front() {
                state.in_hand = true;
                return Some(entry);
            }
            if state.closed {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether a blocking taker has finished everything.
    pub(crate) fn is_done(&self) -> bool {
        let state = self.state();
        !state.in_hand && state.entries.is_empty()
    }

    /// Waits until a blocking taker has finished everything; false after `limit`.
    pub(crate) fn drained(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut state = self.state();
        while state.in_hand || !state.entries.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_dropped_first_and_counted() {
        let outbox = Outbox::new(2);
        for entry in 1..=5 {
            outbox.put(entry);
        }
        assert!(outbox.is_full());
        assert_eq!(outbox.dropped(), 3);
        outbox.close();
        assert_eq!(outbox.take_blocking(), Some(4));
        assert_eq!(outbox.take_blocking(), Some(5));
        assert!(
            !outbox.drained(Duration::ZERO),
            "the last one is still in hand"
        );
        assert_eq!(outbox.take_blocking(), None);
        assert!(outbox.drained(Duration::ZERO));
    }

    #[test]
    fn an_async_taker_wakes_for_an_entry_and_for_the_end() {
        let outbox = std::sync::Arc::new(Outbox::new(4));
        let giver = outbox.clone();
        let thread = std::thread::spawn(move || {
            giver.put(1);
            giver.close();
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        assert_eq!(runtime.block_on(outbox.take()), Some(1));
        assert_eq!(runtime.block_on(outbox.take()), None);
        thread.join().unwrap();
    }
}
