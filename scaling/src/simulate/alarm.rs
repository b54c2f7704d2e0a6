//! When an alarm rings: `scaling.md` 8, rules A and B.

use serde::{Deserialize, Serialize};

use crate::policy::Missing;

/// An alarm's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum State {
    /// Nothing is wrong.
    #[serde(rename = "OK")]
    Ok,
    /// It rings.
    #[serde(rename = "ALARM")]
    Alarm,
    /// Nothing is known.
    #[default]
    #[serde(rename = "INSUFFICIENT_DATA")]
    InsufficientData,
}

/// How many datapoints an alarm looks at, and how many of them must breach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Points {
    /// `EvaluationPeriods`.
    pub looked_at: usize,
    /// `DatapointsToAlarm`.
    pub to_alarm: usize,
}

/// Slots before those that an alarm looks at, from which it takes what is missing among them.
pub const SLOTS_BEFORE: usize = 2;

impl Points {
    /// Slots that decide.
    #[must_use]
    pub fn slots(self) -> usize {
        self.looked_at + SLOTS_BEFORE
    }

    /// The state after these slots, the oldest first, each with whether it breaches, or nothing where
    /// it is missing.
    #[must_use]
    pub fn state(self, slots: &[Option<bool>], missing: Missing, before: State) -> State {
        let newest_first = || slots.iter().rev().copied().flatten();
        let breaching = newest_first()
            .take(self.looked_at)
            .filter(|breaches| *breaches)
            .count();
        let real = newest_first().count();
        let either = |is_alarm: bool| match is_alarm {
            true => State::Alarm,
            false => State::Ok,
        };
        let by_count = either(breaching >= self.to_alarm);
        if real >= self.looked_at {
            return by_count;
        }
        let all_breach = breaching == real;
        match missing {
            Missing::Breaching => either(breaching + self.looked_at - real >= self.to_alarm),
            Missing::NotBreaching => by_count,
            Missing::Ignore if !all_breach && breaching < self.to_alarm => State::Ok,
            Missing::Ignore => before,
            Missing::Missing if real == 0 => State::InsufficientData,
            Missing::Missing if !all_breach => by_count,
            Missing::Missing => {
                let oldest = slots.iter().position(Option::is_some).unwrap_or(0);
                // The newest slot is one back.
                match slots.len() - oldest >= self.to_alarm {
                    true => State::Alarm,
                    false => before,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `0` is a datapoint that does not breach, `X` one that does, `-` a missing one.
    fn slots(text: &str) -> Vec<Option<bool>> {
        let slot = |c| match c {
            '0' => Some(false),
            'X' => Some(true),
            _ => None,
        };
        text.chars().map(slot).collect()
    }

    /// The four columns of CloudWatch's own table: missing, ignore, breaching, not breaching; the state
    /// before stands for "kept".
    fn columns(text: &str, to_alarm: usize, before: State) -> [State; 4] {
        let points = Points {
            looked_at: 3,
            to_alarm,
        };
        [
            Missing::Missing,
            Missing::Ignore,
            Missing::Breaching,
            Missing::NotBreaching,
        ]
        .map(|missing| points.state(&slots(text), missing, before))
    }

    #[test]
    fn cloudwatchs_table_of_missing_data_holds() {
        const ALL_ALARM: [State; 4] = [State::Alarm; 4];
        for kept in [State::Ok, State::Alarm, State::InsufficientData] {
            use State::{Alarm, InsufficientData, Ok};
            for (text, to_alarm, expected) in [
                ("0-X-X", 3, [Ok; 4]),
                ("0----", 3, [Ok; 4]),
                ("-----", 3, [InsufficientData, kept, Alarm, Ok]),
                ("0XX-X", 3, ALL_ALARM),
                ("--X--", 3, [Alarm, kept, Alarm, Ok]),
                ("----X", 3, [kept, kept, Alarm, Ok]),
                ("---X-", 3, [kept, kept, Alarm, Ok]),
                ("0-X-X", 2, ALL_ALARM),
                ("00X0X", 2, ALL_ALARM),
                ("0-X--", 2, [Ok, Ok, Alarm, Ok]),
                ("----0", 2, [Ok, Ok, Alarm, Ok]),
                ("---X-", 2, [Alarm, kept, Alarm, Ok]),
            ] {
                assert_eq!(
                    columns(text, to_alarm, kept),
                    expected,
                    "{text}, {to_alarm} of 3, before {kept:?}"
                );
            }
        }
    }

    #[test]
    fn slots_before_the_newest_enough_do_not_count() {
        assert_eq!(columns("XX000", 3, State::Alarm), [State::Ok; 4]);
        assert_eq!(columns("X0XXX", 3, State::Ok), [State::Alarm; 4]);
    }
}
