//! What the C library does with memory that is no longer used.
//!
//! glibc maps large blocks by themselves and gives them back when they are freed, but raises its idea
//! of large, up to 32 MB, with every such block. From then on bodies and tensors of that size come
//! out of the heap, which keeps what lies between them.

/// Blocks of this size and more are mapped by themselves, and as much that is free at the heap's end
/// goes back: the pages of a smaller block cost more to fetch anew than they are worth.
#[cfg(target_env = "gnu")]
const LARGE_BYTES: i32 = 4 << 20;

/// Has freed blocks that are large given back to the system, for good. To be called before any is
/// taken. Other C libraries than glibc do so by themselves.
pub fn give_large_blocks_back() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "glibc's settings are behind a C function")]
    // SAFETY: `mallopt` takes two numbers and may be called at any time; what it refuses it leaves as
    // it was.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE_BYTES);
    }
}
