//! The queue alone: bounded, in order, and nothing in it is lost.

use std::sync::{Arc, Mutex};

use interleavings::queue::{Fit, Full, Queue};
use shuttle::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use shuttle::thread;

use crate::in_every_order;

const LIMIT: usize = 2;
const PUSHERS: usize = 3;
const EACH: usize = 2;

/// Two share a run, if they are alike.
fn pairs(taken: &[usize], next: &usize) -> Fit {
    match taken {
        [one] if one % 2 == next % 2 => Fit::Joins,
        [_] => Fit::Stays,
        _ => Fit::Full,
    }
}

#[test]
fn what_is_taken_in_comes_out_once_and_in_order_or_is_refused() {
    in_every_order(|| {
        let front = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&front);
        let queue = Arc::new(Queue::new(LIMIT, move |oldest: Option<&usize>| {
            told.store(oldest.map_or(0, |item| item + 1), SeqCst);
        }));
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let mut all = Vec::new();
                    while let Some(popped) = queue.pop(pairs) {
                        assert!(!popped.taken.is_empty(), "woken for nothing");
                        assert!(popped.taken.len() + popped.left <= LIMIT, "{popped:?}");
                        all.extend(popped.taken);
                    }
                    all
                })
            })
            .collect();
        let pushers: Vec<_> = (0..PUSHERS)
            .map(|pusher| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let items = (0..EACH).map(|item| pusher * EACH + item);
                    let push = |item| match queue.push(item) {
                        Ok(()) => true,
                        Err((full, given_back)) => {
                            assert_eq!((full, given_back), (Full::AtLimit, item));
                            false
                        }
                    };
                    items.filter(|&item| push(item)).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut taken_in: Vec<usize> = Vec::new();
        for pusher in pushers {
            taken_in.extend(pusher.join().expect("a pusher"));
            assert!(queue.len() <= LIMIT);
        }
        queue.close();
        assert_eq!(queue.push(99), Err((Full::Closed, 99)));
        let mut came_out: Vec<usize> = Vec::new();
        for taker in takers {
            came_out.extend(taker.join().expect("a taker"));
        }
        came_out.sort_unstable();
        taken_in.sort_unstable();
        assert_eq!(came_out, taken_in);
        assert_eq!(queue.len(), 0);
        assert_eq!(front.load(SeqCst), 0, "the last word is that none waits");
    });
}

#[test]
fn one_taker_gets_items_in_the_order_they_came_in() {
    in_every_order(|| {
        let queue = Arc::new(Queue::new(8, |_: Option<&usize>| {}));
        // Pushed while this is held: the order in which they came in.
        let order = Arc::new(Mutex::new(Vec::new()));
        let gate = Arc::new(shuttle::sync::Mutex::new(()));
        let taker = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let mut all = Vec::new();
                while let Some(popped) = queue.pop(|_, _| Fit::Full) {
                    all.extend(popped.taken);
                }
                all
            })
        };
        let pushers: Vec<_> = (0..PUSHERS)
            .map(|pusher| {
                let (queue, order, gate) =
                    (Arc::clone(&queue), Arc::clone(&order), Arc::clone(&gate));
                thread::spawn(move || {
                    for item in 0..EACH {
                        let item = pusher * EACH + item;
                        let _held = gate.lock();
                        assert_eq!(queue.push(item), Ok(()));
                        order.lock().expect("no panic").push(item);
                    }
                })
            })
            .collect();
        for pusher in pushers {
            pusher.join().expect("a pusher");
        }
        queue.close();
        let came_out = taker.join().expect("the taker");
        assert_eq!(came_out, *order.lock().expect("no panic"));
    });
}

#[test]
fn what_is_removed_is_not_taken_and_what_stays_is() {
    in_every_order(|| {
        let queue = Arc::new(Queue::new(8, |_: Option<&usize>| {}));
        for item in 0..4 {
            assert_eq!(queue.push(item), Ok(()));
        }
        let remover = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.remove(|item| item % 2 == 0))
        };
        let taker = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                let mut all = Vec::new();
                while let Some(popped) = queue.pop(pairs) {
                    all.extend(popped.taken);
                }
                all
            })
        };
        let removed = remover.join().expect("the remover");
        queue.close();
        let taken = taker.join().expect("the taker");
        assert!(removed.iter().all(|item| item % 2 == 0), "{removed:?}");
        let mut all = [removed, taken].concat();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
    });
}
