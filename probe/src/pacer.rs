//! Waits for a moment more finely than tokio's millisecond timer, without spinning: bunched
//! arrivals would show as latency that the server does not have.

use std::io;
use std::time::Instant;

#[cfg(target_os = "linux")]
pub(crate) struct Pacer(tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>);

#[cfg(target_os = "linux")]
impl Pacer {
    #[expect(
        deprecated,
        reason = "unsound only for a type whose descriptor changes; an OwnedFd keeps its own, \
                  and the replacement is an unsafe function"
    )]
    pub(crate) fn new() -> io::Result<Self> {
        use rustix::time::{timerfd_create, TimerfdClockId, TimerfdFlags};
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self(tokio::io::unix::AsyncFd::new(timer)?))
    }

    /// Returns at `due`, or at once when it has passed.
    pub(crate) async fn until(&self, due: Instant) -> io::Result<()> {
        use rustix::time::{timerfd_settime, Itimerspec, TimerfdTimerFlags, Timespec};
        let wait = due.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Ok(());
        }
        let never_again = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let value = Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        let spec = Itimerspec {
            it_interval: never_again,
            it_value: value,
        };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &spec)?;
        loop {
            let mut ready = self.0.readable().await?;
            let mut expirations = [0u8; 8];
            match ready.try_io(|timer| Ok(rustix::io::read(timer, &mut expirations)?)) {
                Ok(read) => {
                    // One shot, now read: nothing can be pending, so the next wait need not ask.
                    ready.clear_ready();
                    return read.map(drop);
                }
                Err(_not_yet) => {}
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) struct Pacer;

#[cfg(not(target_os = "linux"))]
impl Pacer {
    #[expect(clippy::unnecessary_wraps, reason = "the same signature as on Linux")]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn until(&self, due: Instant) -> io::Result<()> {
        tokio::time::sleep_until(due.into()).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn moments_half_a_millisecond_apart_are_kept_apart() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let pacer = Pacer::new().unwrap();
            let start = Instant::now();
            for step in 1..=40 {
                let due = start + Duration::from_micros(500) * step;
                pacer.until(due).await.unwrap();
                assert!(Instant::now() >= due, "woken too early");
            }
            pacer.until(start).await.unwrap();
        });
    }
}
