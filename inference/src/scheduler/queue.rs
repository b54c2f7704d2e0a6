//! The bounded queue between the HTTP threads and the slots.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// First in, first out, at most `limit` waiting; closes once.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    limit: usize,
}

struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

/// Why an item was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Full {
    /// As many wait as may wait.
    AtLimit,
    /// The server is leaving.
    Closed,
}

impl<T> Queue<T> {
    /// An empty queue for at most `limit` items.
    pub fn new(limit: usize) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                closed: false,
            }),
            filled: Condvar::new(),
            limit,
        }
    }

    // Nothing can panic while the lock is held, and a queue is whole after every statement.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an item.
    ///
    /// # Errors
    /// [`Full`] when the limit is reached or the queue is closed, with the item.
    pub fn push(&self, item: T) -> Result<(), (Full, T)> {
        let mut state = self.lock();
        if state.closed {
            return Err((Full::Closed, item));
        }
        if state.waiting.len() >= self.limit {
            return Err((Full::AtLimit, item));
        }
        state.waiting.push_back(item);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// The oldest item; waits for one. `None` once the queue is closed and empty.
    pub fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.waiting.pop_front() {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes out the items that need not wait any longer.
    pub fn remove(&self, is_stale: impl Fn(&T) -> bool) -> Vec<T> {
        let mut state = self.lock();
        let waiting = std::mem::take(&mut state.waiting);
        let (stale, waiting): (VecDeque<T>, VecDeque<T>) = waiting.into_iter().partition(is_stale);
        state.waiting = waiting;
        stale.into()
    }

    /// Number of items waiting.
    pub fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Takes no more items; those that wait are still handed out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_above_the_limit_and_hands_out_the_rest_after_closing() {
        let queue = Queue::new(2);
        assert_eq!(queue.push(1), Ok(()));
        assert_eq!(queue.push(2), Ok(()));
        assert_eq!(queue.push(3), Err((Full::AtLimit, 3)));
        queue.close();
        assert_eq!(queue.push(4), Err((Full::Closed, 4)));
        assert_eq!(
            (queue.pop(), queue.pop(), queue.pop()),
            (Some(1), Some(2), None)
        );
    }
}
