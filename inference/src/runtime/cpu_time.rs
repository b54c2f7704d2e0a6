//! CPU time used so far: what a run takes however much else the machine does meanwhile.

use std::cell::Cell;
use std::time::{Duration, Instant};

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

/// How old a note may be.
pub const NOTED_FOR: Duration = Duration::from_millis(1);

thread_local! {
    static NOTE: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// Notes the calling thread's CPU time, unless a note younger than [`NOTED_FOR`] is there: so that
/// [`since_note`] can tell after the fact what something took that nobody expected to take long.
pub fn note(now: Instant) {
    let is_fresh = |(at, _): &(Instant, Duration)| now.saturating_duration_since(*at) < NOTED_FOR;
    if !NOTE.get().as_ref().is_some_and(is_fresh) {
        NOTE.set(Some((now, thread())));
    }
}

/// CPU time of the calling thread since its note: at least that of all that came after. `None`
/// without a note.
#[must_use]
pub fn since_note() -> Option<Duration> {
    NOTE.get().map(|(_, cpu)| thread().saturating_sub(cpu))
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

    #[test]
    fn what_slept_is_told_from_what_worked_after_the_fact() {
        std::thread::spawn(|| {
            assert_eq!(since_note(), None);
            note(Instant::now());
            std::thread::sleep(Duration::from_millis(30));
            assert!(since_note().is_some_and(|cpu| cpu < Duration::from_millis(20)));
            // This note is old: another one takes its place.
            let begun = Instant::now();
            note(begun);
            note(begun);
            assert!(NOTE.get().is_some_and(|(at, _)| at == begun));
            while since_note() < Some(Duration::from_millis(5)) {
                assert!(begun.elapsed() < Duration::from_secs(20), "no time passes");
            }
        })
        .join()
        .unwrap();
    }
}
