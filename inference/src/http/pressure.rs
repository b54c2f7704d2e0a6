//! Refusals come together.
//!
//! A server that is full refuses several times as many requests as it answers. Each would wake its
//! HTTP thread, which takes the core from a run that is under way, and costs more than the refusal
//! itself. So a thread that has refused a request looks again a millisecond later: what has come in by
//! then is read in one go. Those that wait in the queue behind a full server's runs do not notice; where
//! the queue is so short that its slots would run dry meanwhile, nobody pauses.

use std::cell::Cell;
use std::time::Duration;

/// What `/ping` and the replies of finished runs may wait for longer while the server is full.
const PAUSE: Duration = Duration::from_millis(1);
/// The least work that must be waiting: the slots have enough until the thread is back.
const LEAST_WORK: Duration = Duration::from_millis(4);

std::thread_local! {
    static HAS_REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// This thread refused a request because the server is full: each slot has so much work before it.
pub fn refused(work: Duration) {
    if work >= LEAST_WORK {
        HAS_REFUSED.set(true);
    }
}

/// Before this thread waits for its sockets: sleeps where it refused a request since it last did.
pub fn before_waiting() {
    if HAS_REFUSED.replace(false) {
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn only_a_thread_that_refused_waits_and_only_once() {
        std::thread::spawn(|| {
            refused(LEAST_WORK / 2);
            assert!(!HAS_REFUSED.get(), "the slots would run dry");
            refused(LEAST_WORK);
            let begun = Instant::now();
            before_waiting();
            assert!(begun.elapsed() >= PAUSE);
            assert!(!HAS_REFUSED.get());
        })
        .join()
        .unwrap();
        assert!(!HAS_REFUSED.get());
    }
}
