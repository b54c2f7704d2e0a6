//! Whether the device that the runs are on can still be used.
//!
//! A run that meets an error after which CUDA answers nothing else tells it here, once; nothing of
//! it is looked at on the way of a request.

use tokio::sync::Notify;

use crate::sync::{Mutex, MutexGuard, PoisonError};

/// The device's end, if it has come.
#[derive(Default)]
pub(super) struct Device {
    lost: Mutex<Option<String>>,
    told: Notify,
}

impl Device {
    fn state(&self) -> MutexGuard<'_, Option<String>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run has met a device that cannot be used again.
    pub(super) fn lose(&self, reason: &str) {
        let mut lost = self.state();
        if lost.is_none() {
            tracing::error!("the GPU is lost: {reason}; /ping says 503 from now on");
            *lost = Some(reason.to_owned());
            drop(lost);
            self.told.notify_one();
        }
    }

    /// Why it cannot be used any more.
    pub(super) fn lost(&self) -> Option<String> {
        self.state().clone()
    }

    /// Done when it cannot be used any more, with the reason. One waits for it.
    pub(super) async fn is_lost(&self) -> String {
        loop {
            if let Some(reason) = self.lost() {
                return reason;
            }
            self.told.notified().await;
        }
    }
}
