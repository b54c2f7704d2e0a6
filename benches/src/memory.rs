//! What a process has in memory, as Linux tells it.

use crate::Result;

/// Memory that a process has in use.
///
/// # Errors
/// The process is gone.
pub fn resident_bytes(process: u32) -> Result<u64> {
    status(process, "VmRSS:")
}

/// The most it has had since it started, or since [`forget_peak`].
///
/// # Errors
/// The process is gone.
pub fn peak_bytes(process: u32) -> Result<u64> {
    status(process, "VmHWM:")
}

/// From now on the peak is counted anew.
///
/// # Errors
/// The process is gone, or another user's.
pub fn forget_peak(process: u32) -> Result<()> {
    Ok(std::fs::write(format!("/proc/{process}/clear_refs"), "5")?)
}

fn status(process: u32, name: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|text| text.trim().strip_suffix("kB"));
    let kilobytes = kilobytes.ok_or_else(|| format!("no {name} in /proc/{process}/status"))?;
    Ok(1024 * kilobytes.trim().parse::<u64>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_outlives_what_made_it_until_it_is_forgotten() {
        const SIZE: usize = 64 << 20;
        let this = std::process::id();
        let before = resident_bytes(this).unwrap();
        drop(std::hint::black_box(vec![1u8; SIZE]));
        assert!(peak_bytes(this).unwrap() >= before + SIZE as u64 / 2);
        forget_peak(this).unwrap();
        assert!(peak_bytes(this).unwrap() < before + SIZE as u64 / 2);
        assert!(resident_bytes(u32::MAX).is_err());
    }
}
