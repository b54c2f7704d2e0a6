//! What a check has shown: a promise that was never put to the test is none.

use std::cell::Cell;

/// What the executions of this thread came to, so that a check can tell that it has shown something.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    pub answered: usize,
    pub failed: usize,
    pub panicked: usize,
    pub timed_out: usize,
    pub full: usize,
    pub hopeless: usize,
    pub leaving: usize,
    /// Callers who hung up, and those among them whose request never ran.
    pub hung_up: usize,
    pub dropped: usize,
    /// Runs of several requests that were answered, and that were not.
    pub shared: usize,
    pub rerun: usize,
    /// Runs beside the slots' own threads, and by them.
    pub inline: usize,
    pub queued: usize,
}

thread_local! {
    static SEEN: Cell<Seen> = Cell::default();
}

/// Takes something into it.
pub fn see(change: impl FnOnce(&mut Seen)) {
    let mut seen = SEEN.get();
    change(&mut seen);
    SEEN.set(seen);
}

/// What was seen since the last time, on this thread.
pub fn seen() -> Seen {
    SEEN.take()
}
