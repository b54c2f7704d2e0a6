//! How far this machine's clock is from CloudWatch's.
//!
//! A clock that is wrong spoils signatures, which the SDK corrects from the second answer on, and
//! puts the metrics into the wrong period, which nobody corrects.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// A difference, or a change of it, that is worth a line in the log.
const WORTH_SAYING_SECS: f64 = 30.0;
/// After a longer exchange nobody knows when the answer was made.
const LONGEST_EXCHANGE: Duration = Duration::from_secs(60);

/// The difference at the last answer.
#[derive(Debug, Default)]
pub(crate) struct Skew(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    secs: Option<f64>,
    /// The difference that was said last; 0 where none was.
    said: f64,
}

impl Skew {
    /// Takes the time in an answer to a request that was sent and answered at these local times.
    pub(crate) fn observe(&self, server: SystemTime, sent: SystemTime, received: SystemTime) {
        let Some(secs) = difference(server, sent, received) else {
            return;
        };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.secs = Some(secs);
        if !is_news(secs, state.said) {
            return;
        }
        if secs.abs() > WORTH_SAYING_SECS {
            let side = if secs > 0.0 { "behind" } else { "ahead of" };
            tracing::warn!(
                "this machine's clock is {} s {side} CloudWatch's: metrics lie in the wrong period",
                secs.abs()
            );
            state.said = secs;
        } else {
            tracing::info!("this machine's clock agrees with CloudWatch's again");
            state.said = 0.0;
        }
    }

    /// CloudWatch's clock less ours, whole seconds; none before the first answer.
    pub(crate) fn seconds(&self) -> Option<f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).secs
    }
}

/// The server's clock less ours, taken at the middle of the exchange; whole seconds, as the header
/// has no finer ones.
fn difference(server: SystemTime, sent: SystemTime, received: SystemTime) -> Option<f64> {
    let took = received.duration_since(sent).ok()?;
    if took > LONGEST_EXCHANGE {
        return None;
    }
    // A header of whole seconds lies half a second in the past on average.
    let server = server.checked_add(Duration::from_millis(500))?;
    let secs = match server.duration_since(sent + took / 2) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    };
    // No "-0" on the page.
    Some(secs.round() + 0.0)
}

/// True if a difference has come, has gone, or has changed since it was said.
fn is_news(secs: f64, said: f64) -> bool {
    (secs - said).abs() > WORTH_SAYING_SECS
        || (said.abs() > WORTH_SAYING_SECS && secs.abs() < WORTH_SAYING_SECS / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: f64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs_f64(1e9 + secs)
    }

    #[test]
    fn the_difference_is_taken_at_the_middle_of_the_exchange() {
        assert_eq!(difference(at(100.0), at(0.0), at(1.0)), Some(100.0));
        assert_eq!(difference(at(-100.0), at(0.0), at(1.0)), Some(-100.0));
        let close = difference(at(0.0), at(0.2), at(0.3)).map(f64::to_bits);
        assert_eq!(close, Some(0.0_f64.to_bits()), "not -0");
        assert_eq!(difference(at(0.0), at(0.0), at(61.0)), None, "too long");
        assert_eq!(difference(at(0.0), at(1.0), at(0.0)), None, "clock was set");
    }

    #[test]
    fn a_difference_is_news_once() {
        assert!(!is_news(30.0, 0.0) && is_news(31.0, 0.0) && is_news(-31.0, 0.0));
        assert!(!is_news(60.0, 45.0) && is_news(90.0, 45.0), "a change");
        assert!(is_news(1.0, 31.0) && !is_news(20.0, 31.0), "its end");
    }

    #[test]
    fn the_last_answer_counts() {
        let skew = Skew::default();
        assert_eq!(skew.seconds(), None);
        skew.observe(at(400.0), at(0.0), at(0.0));
        assert_eq!(skew.seconds(), Some(401.0));
        skew.observe(at(0.0), at(0.2), at(0.4));
        assert_eq!(skew.seconds(), Some(0.0));
    }
}
