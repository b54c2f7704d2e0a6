//! The bounded queue between the HTTP threads and the slots.

use std::collections::VecDeque;

use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// First in, first out, at most `limit` waiting; closes once.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    limit: usize,
    on_front: OnFront<T>,
}

/// Who is told of the oldest item whenever that is another one. Called under the queue's lock, so
/// that no older word overtakes a newer one.
type OnFront<T> = Box<dyn Fn(Option<&T>) + Send + Sync>;

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

/// Whether an item goes with those that were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It goes with them.
    Joins,
    /// It does not; one behind it may.
    Stays,
    /// No other does.
    Full,
}

/// What was taken out of a queue.
#[derive(Debug, PartialEq, Eq)]
pub struct Popped<T> {
    /// The oldest item and those that go with it, in order.
    pub taken: Vec<T>,
    /// Items that are left.
    pub left: usize,
    /// Whether there was nothing at first.
    pub has_waited: bool,
}

/// Takes the first item of a list and those that go with what is taken so far; the list keeps its order.
pub fn take<T>(waiting: &mut VecDeque<T>, fit: impl Fn(&[T], &T) -> Fit) -> Vec<T> {
    let mut taken = Vec::from_iter(waiting.pop_front());
    let mut at = 0;
    while let Some(next) = waiting.get(at) {
        match fit(&taken, next) {
            Fit::Joins => taken.extend(waiting.remove(at)),
            Fit::Stays => at += 1,
            Fit::Full => break,
        }
    }
    taken
}

impl<T> Queue<T> {
    /// An empty queue for at most `limit` items. `on_front` hears of the oldest item whenever that
    /// is another one; it must neither wait nor panic.
    pub fn new(limit: usize, on_front: impl Fn(Option<&T>) + Send + Sync + 'static) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                closed: false,
            }),
            filled: Condvar::new(),
            limit,
            on_front: Box::new(on_front),
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
        if state.waiting.len() == 1 {
            (self.on_front)(state.waiting.front());
        }
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// The oldest item and those that go with it; waits for one. `None` once the queue is closed and
    /// empty.
    pub fn pop(&self, fit: impl Fn(&[T], &T) -> Fit) -> Option<Popped<T>> {
        let mut state = self.lock();
        let mut has_waited = false;
        loop {
            if !state.waiting.is_empty() {
                let taken = take(&mut state.waiting, fit);
                (self.on_front)(state.waiting.front());
                return Some(Popped {
                    taken,
                    left: state.waiting.len(),
                    has_waited,
                });
            }
            if state.closed {
                return None;
            }
            has_waited = true;
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
        (self.on_front)(state.waiting.front());
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
    use std::sync::Arc;

    use super::*;

    fn popped(taken: &[i32], left: usize) -> Popped<i32> {
        Popped {
            taken: taken.to_vec(),
            left,
            has_waited: false,
        }
    }

    #[test]
    fn refuses_above_the_limit_and_hands_out_the_rest_after_closing() {
        let queue = Queue::new(2, |_| {});
        assert_eq!(queue.push(1), Ok(()));
        assert_eq!(queue.push(2), Ok(()));
        assert_eq!(queue.push(3), Err((Full::AtLimit, 3)));
        queue.close();
        assert_eq!(queue.push(4), Err((Full::Closed, 4)));
        let pop = || queue.pop(|_, _| Fit::Full);
        assert_eq!(
            (pop(), pop(), pop()),
            (Some(popped(&[1], 1)), Some(popped(&[2], 0)), None)
        );
    }

    #[test]
    fn those_that_join_the_oldest_leave_with_it_in_order() {
        let queue = Queue::new(9, |_| {});
        for item in [1, 4, 3, 6, 5, 7] {
            queue.push(item).unwrap();
        }
        let alike_up_to_three = |taken: &[i32], next: &i32| match taken.len() {
            3 => Fit::Full,
            _ if (taken[0] - next) % 2 == 0 => Fit::Joins,
            _ => Fit::Stays,
        };
        let pop = || queue.pop(alike_up_to_three);
        assert_eq!(pop(), Some(popped(&[1, 3, 5], 3)));
        assert_eq!(pop(), Some(popped(&[4, 6], 1)));
        assert_eq!(pop(), Some(popped(&[7], 0)));
    }

    #[test]
    fn who_takes_hears_whether_there_was_a_pause() {
        let queue = Queue::new(9, |_| {});
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| queue.pop(|_, _| Fit::Full));
            while !taker.is_finished() {
                std::thread::sleep(std::time::Duration::from_millis(20));
                // The first has nothing to wait for any more.
                let _ = queue.push(1);
            }
            assert!(taker
                .join()
                .unwrap()
                .is_some_and(|popped| popped.has_waited));
        });
        queue.push(2).unwrap();
        let popped = queue.pop(|_, _| Fit::Joins).unwrap();
        assert!(!popped.has_waited);
    }

    #[test]
    fn tells_of_the_oldest_item_whenever_that_is_another_one() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let queue = Queue::new(8, move |front: Option<&i32>| {
            heard.lock().unwrap().push(front.copied());
        });
        let since = || std::mem::take(&mut *told.lock().unwrap());
        for item in 1..=4 {
            queue.push(item).unwrap();
        }
        assert_eq!(since(), [Some(1)]);
        queue.pop(|_, _| Fit::Full);
        assert_eq!(since(), [Some(2)]);
        queue.remove(|&item| item < 4);
        assert_eq!(since(), [Some(4)]);
        queue.pop(|_, _| Fit::Full);
        assert_eq!(since(), [None]);
        queue.push(5).unwrap();
        assert_eq!(since(), [Some(5)]);
        queue.remove(|_| true);
        assert_eq!(since(), [None]);
    }
}
