//! CPU time used so far: what a run takes however much else the machine does meanwhile.

use std::time::Duration;

use rustix::time::{clock_gettime, ClockId};

/// CPU time of the calling thread; about a quarter of a microsecond to ask for.
#[must_use]
pub fn thread() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// CPU time of the whole process.
#[must_use]
pub fn process() -> Duration {
    read(ClockId::ProcessCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_thread_that_sleeps_uses_none_and_one_that_works_uses_what_it_works() {
        let (before, process_before) = (thread(), process());
        std::thread::sleep(Duration::from_millis(30));
        assert!(thread() - before < Duration::from_millis(20));
        let begun = Instant::now();
        while thread() - before < Duration::from_millis(20) {
            assert!(begun.elapsed() < Duration::from_secs(20), "no time passes");
        }
        assert!(process() - process_before >= Duration::from_millis(20));
    }
}
