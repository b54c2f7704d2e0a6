//! A slot: one engine, and whoever holds its lock runs it.

use std::time::{Duration, Instant};

use super::cost::nanos;
use crate::runtime::Engine;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// One engine behind its lock. Slots do not share their cache lines.
#[repr(align(128))]
pub(super) struct Slot {
    engine: Mutex<Box<dyn Engine>>,
    /// When its run began, in nanoseconds since the scheduler's birth; 0 while none is under way.
    run_since: AtomicU64,
}

/// A slot that is held: no other run is on its engine.
pub(super) struct Held<'s> {
    pub(super) engine: MutexGuard<'s, Box<dyn Engine>>,
    run_since: &'s AtomicU64,
}

impl Slot {
    pub(super) fn new(engine: Box<dyn Engine>) -> Self {
        Self {
            engine: Mutex::new(engine),
            run_since: AtomicU64::new(0),
        }
    }

    fn held<'s>(&'s self, engine: MutexGuard<'s, Box<dyn Engine>>) -> Held<'s> {
        Held {
            engine,
            run_since: &self.run_since,
        }
    }

    /// Waits for the engine.
    // Runs catch their panics; a poisoned lock guards a whole engine.
    pub(super) fn hold(&self) -> Held<'_> {
        self.held(self.engine.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The engine, if nobody holds it.
    pub(super) fn try_hold(&self) -> Option<Held<'_>> {
        match self.engine.try_lock() {
            Ok(engine) => Some(self.held(engine)),
            Err(TryLockError::Poisoned(poisoned)) => Some(self.held(poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// When the run began that is under way.
    pub(super) fn run_since(&self, born: Instant) -> Option<Instant> {
        match self.run_since.load(Relaxed) {
            0 => None,
            nanos => Some(born + Duration::from_nanos(nanos)),
        }
    }

    pub(super) fn into_engine(self) -> Box<dyn Engine> {
        self.engine
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held<'_> {
    /// A run begins so long after the scheduler's birth.
    pub(super) fn begin(&self, since_birth: Duration) {
        self.run_since.store(nanos(since_birth), Relaxed);
    }

    /// It ended.
    pub(super) fn end(&self) {
        self.run_since.store(0, Relaxed);
    }
}
