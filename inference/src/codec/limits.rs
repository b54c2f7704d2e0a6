//! What a body may unfold to: a few bytes can describe terabytes.

/// Refuses what would take more than `limit` bytes that the body itself does not hold.
///
/// # Errors
/// The size, the limit, and the setting.
pub(super) fn unpacked(bytes: usize, limit: usize) -> Result<(), String> {
    if bytes <= limit {
        return Ok(());
    }
    Err(format!(
        "it would take {bytes} bytes unpacked, more than the limit of {limit} bytes \
         (PLIMSOLL_MAX_UNPACKED_MB sets it)"
    ))
}
