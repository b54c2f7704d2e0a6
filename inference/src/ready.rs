//! The latch between start and service: ready after load and warm-up, never before, and not any
//! more once the server is leaving.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::model::Signature;
use crate::scheduler::Scheduler;

/// A model in service.
pub struct Model {
    /// The name in KServe v2 replies: the file's stem, or its folder's name.
    pub name: String,
    /// The folder that it was loaded from.
    pub url: String,
    /// What it takes and gives.
    pub signature: Arc<Signature>,
    /// Whether a record is answered alike alone and among others, as warm-up has shown.
    pub has_independent_records: bool,
    /// Its slots and queue.
    pub scheduler: Scheduler,
}

/// Loading, ready, leaving.
#[derive(Default)]
pub struct Ready {
    model: OnceLock<Model>,
    leaving: AtomicBool,
    multi_model: bool,
}

impl Ready {
    /// A latch that opens with a model, or in multi-model mode stands open from the start.
    #[must_use]
    pub fn new(multi_model: bool) -> Self {
        Self {
            multi_model,
            ..Self::default()
        }
    }

    /// Opens the latch. A second call changes nothing.
    pub fn open(&self, model: Model) {
        let _ = self.model.set(model);
    }

    /// The model, once it is loaded and warmed up.
    #[must_use]
    pub fn model(&self) -> Option<&Model> {
        self.model.get()
    }

    /// Whether models come and go at run time.
    #[must_use]
    pub fn is_multi_model(&self) -> bool {
        self.multi_model
    }

    /// From now on `/ping` says that this instance is going away.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether [`Ready::leave`] was called.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }
}
