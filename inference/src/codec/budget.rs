//! How much memory a request may ask for beyond its own bytes.

use crate::codec::error::misfit;
use crate::codec::DecodeError;

/// Bytes that unpacking may still take. Whatever is about to be allocated is charged first.
#[derive(Debug)]
pub(in crate::codec) struct Budget {
    limit: usize,
    taken: usize,
}

impl Budget {
    /// Nothing taken of `limit` bytes.
    pub(in crate::codec) fn new(limit: usize) -> Self {
        // No allocation can be larger than this, whatever the setting.
        let limit = limit.min(isize::MAX.cast_unsigned());
        Self { limit, taken: 0 }
    }

    /// Takes `bytes` for what `what` names.
    ///
    /// # Errors
    /// [`DecodeError::Misfit`] naming the limit and the setting, where that is too much together
    /// with what has been taken before.
    pub(in crate::codec) fn charge(
        &mut self,
        bytes: usize,
        what: impl FnOnce() -> String,
    ) -> Result<(), DecodeError> {
        let total = self.taken.saturating_add(bytes);
        if total <= self.limit {
            self.taken = total;
            return Ok(());
        }
        // What is too much by itself is so whatever precedes it.
        let (before, needed) = match bytes > self.limit {
            true => ("", bytes),
            false => (" and what precedes it", total),
        };
        Err(misfit(format!(
            "{}{before} would take {needed} bytes unpacked, more than the limit of {} bytes \
             (PLIMSOLL_MAX_UNPACKED_MB sets it)",
            what(),
            self.limit
        )))
    }
}
