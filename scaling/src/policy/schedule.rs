//! Scheduled actions, and when they happen.
//!
//! Three forms: `at(yyyy-mm-ddThh:mm:ss)`, `rate(n minutes|hours|days)`, and
//! `cron(minute hour day-of-month month day-of-week year)`. A time of day that a change of clocks leaves
//! out is taken as much later as the clocks jump; one that comes twice is taken the first time.
//!
//! Source: Application Auto Scaling User Guide, "Schedule recurring scaling actions using cron
//! expressions".

use jiff::civil::{date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cron::Cron;
use super::{Invalid, ScalableTargetAction};
use crate::moment::seconds;

/// A scheduled action as `PutScheduledAction` takes it, or, for a simulation, one at a second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ScheduledAction {
    /// `sagemaker`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_namespace: Option<String>,
    /// Unique for its target.
    pub scheduled_action_name: String,
    /// Of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// Of the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scalable_dimension: Option<String>,
    /// `at(…)`, `rate(…)` or `cron(…)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Seconds from a simulation's beginning, in place of `Schedule`.
    #[serde(default, rename = "at", skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// Of `at` and `cron`, by its IANA name; UTC where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Not before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// Not after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    /// What it sets.
    pub scalable_target_action: ScalableTargetAction,
}

/// The most times that one action may happen in a simulation.
const MOST_TIMES: usize = 100_000;

impl ScheduledAction {
    /// What is wrong with it, but for when it happens.
    ///
    /// # Errors
    /// Neither or both of `Schedule` and `at`, one that cannot be read or never comes, or bounds that are
    /// none.
    pub fn check(&self) -> Result<(), Invalid> {
        let ScalableTargetAction {
            min_capacity: min,
            max_capacity: max,
        } = self.scalable_target_action;
        match (min, max) {
            (None, None) => {
                return Err(Invalid::new(
                    "ScalableTargetAction",
                    "expected MinCapacity, MaxCapacity or both",
                ))
            }
            (Some(min), Some(max)) if min > max => {
                return Err(Invalid::new(
                    "ScalableTargetAction.MinCapacity",
                    format!("{min} is more than MaxCapacity, which is {max}"),
                ))
            }
            _ => {}
        }
        match (&self.schedule, self.at) {
            (None, Some(_)) => Ok(()),
            (Some(_), None) => self.name_is_taken().and_then(|()| self.times().map(|_| ())),
            _ => Err(Invalid::new(
                "Schedule",
                "expected it, or `at` in seconds from the beginning, and not both",
            )),
        }
    }

    /// Whether the API takes its name.
    fn name_is_taken(&self) -> Result<(), Invalid> {
        let name = &self.scheduled_action_name;
        let is_name = (1..=256).contains(&name.chars().count())
            && name.trim_matches(' ') == name
            && !name.contains(|c: char| c.is_control() || ":/|".contains(c));
        if !is_name {
            return Err(Invalid::new(
                "ScheduledActionName",
                format!(
                    "{name:?}; expected 1 to 256 characters, none of : / | and no blank at an end"
                ),
            ));
        }
        Ok(())
    }

    /// Schedule, zone, first and last moment in seconds since 1970.
    fn times(&self) -> Result<(Schedule, Zone, i64, i64), Invalid> {
        let text = self.schedule.as_deref().unwrap_or_default();
        let schedule = Schedule::parse(text).map_err(|error| error.within("Schedule"))?;
        let zone = match (&self.timezone, &schedule) {
            (None, _) => Zone::utc(),
            (Some(name), Schedule::Rate(_)) => {
                return Err(Invalid::new(
                    "Timezone",
                    format!("{name:?} beside a rate, which has no time of day; expected none"),
                ))
            }
            (Some(name), _) => Zone::named(name).map_err(|error| error.within("Timezone"))?,
        };
        let moment = |field: &str, text: &Option<String>, without: i64| match text {
            None => Ok(without),
            Some(text) => seconds(text).ok_or_else(|| {
                Invalid::new(
                    field,
                    format!("{text:?} is no time; expected such as 2027-01-31T08:00:00Z"),
                )
            }),
        };
        let from = moment("StartTime", &self.start_time, i64::MIN)?;
        let until = moment("EndTime", &self.end_time, i64::MAX)?;
        if from > until {
            return Err(Invalid::new(
                "EndTime",
                "is before StartTime; expected it after",
            ));
        }
        Ok((schedule, zone, from, until))
    }

    /// The seconds from `begins` (since 1970, none where nobody knows) at which it happens, up to `lasts`
    /// seconds later.
    ///
    /// # Errors
    /// As [`Self::check`]; a time of day while nobody knows when the simulation begins; too many times.
    pub fn within(&self, begins: Option<i64>, lasts: u64) -> Result<Vec<u64>, Invalid> {
        self.check()?;
        if let Some(at) = self.at {
            return Ok(vec![at]);
        }
        let (schedule, zone, from, until) = self.times()?;
        let begins = match (begins, &schedule) {
            (Some(begins), _) => begins,
            // A rate without a start begins when it is put.
            (None, Schedule::Rate(_)) if self.start_time.is_none() => 0,
            (None, _) => {
                return Err(Invalid::new(
                    "Schedule",
                    format!(
                        "{:?} needs to know at what time the traffic begins",
                        self.schedule.as_deref().unwrap_or_default()
                    ),
                ))
            }
        };
        let end = begins
            .saturating_add(i64::try_from(lasts).unwrap_or(i64::MAX))
            .min(until);
        let start = match self.start_time {
            Some(_) => from,
            None => begins,
        };
        let mut times = Vec::new();
        let mut after = begins.max(from).saturating_sub(1);
        while let Some(next) = schedule.next(after, &zone, start).filter(|&at| at <= end) {
            if times.len() == MOST_TIMES {
                return Err(Invalid::new(
                    "Schedule",
                    format!("comes more than {MOST_TIMES} times"),
                ));
            }
            times.push((next - begins) as u64);
            after = next;
        }
        Ok(times)
    }

    /// The first time after `now` (seconds since 1970) at which it happens; none where it never does.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn next(&self, now: i64) -> Result<Option<i64>, Invalid> {
        let (schedule, zone, from, until) = self.times()?;
        let start = if self.start_time.is_some() { from } else { now };
        let after = now.max(from.saturating_sub(1));
        Ok(schedule.next(after, &zone, start).filter(|&at| at <= until))
    }
}

/// A time zone of the IANA database.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of this name.
    ///
    /// # Errors
    /// There is none; with the one whose name is the nearest.
    pub fn named(name: &str) -> Result<Self, Invalid> {
        let zones = TimeZoneDatabase::bundled();
        // An offset such as +02:00 is none: clocks there may change.
        let found = zones.get(name).ok().filter(|_| !name.is_empty());
        found.map(Self).ok_or_else(|| {
            let wanted = name.to_ascii_lowercase();
            let city = wanted.rsplit('/').next().unwrap_or_default();
            let similar = zones.available().map(|zone| zone.to_string()).find(|zone| {
                let zone = zone.to_ascii_lowercase();
                city.len() > 2 && zone.rsplit('/').next() == Some(city)
            });
            let hint = similar.unwrap_or_else(|| "Europe/Berlin".to_owned());
            Invalid::new(
                "",
                format!("{name:?} is no time zone; expected an IANA name, such as {hint}"),
            )
        })
    }

    /// Seconds since 1970 of a local time.
    fn second(&self, local: DateTime) -> Option<i64> {
        let moment = self.0.to_ambiguous_timestamp(local).compatible().ok()?;
        Some(moment.as_second())
    }

    fn local(&self, second: i64) -> Option<DateTime> {
        let moment = Timestamp::from_second(second).ok()?;
        Some(self.0.to_datetime(moment))
    }
}

/// When an action happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Once, at a local time.
    At(DateTime),
    /// Every so many seconds.
    Rate(u64),
    /// At every local time that matches.
    Cron(Box<Cron>),
}

impl Schedule {
    /// Reads one.
    ///
    /// # Errors
    /// What it is, and what was expected.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let inside = |form: &str| {
            let rest = text.trim().strip_prefix(form)?.trim_start();
            rest.strip_prefix('(')?.strip_suffix(')').map(str::trim)
        };
        if let Some(at) = inside("at") {
            let moment = at.parse::<DateTime>().ok().filter(|_| at.len() == 19);
            return moment.map(Self::At).ok_or_else(|| {
                unreadable(format!(
                    "at({at}) is no time; expected at(yyyy-mm-ddThh:mm:ss), without a zone: Timezone has it"
                ))
            });
        }
        if let Some(rate) = inside("rate") {
            return self::rate(rate);
        }
        if let Some(cron) = inside("cron") {
            let cron = Cron::parse(cron)?;
            if cron.from(date(1970, 1, 1)).is_none() {
                return Err(unreadable(format!(
                    "{text:?} never comes: no such day is in such a month and year"
                )));
            }
            return Ok(Self::Cron(Box::new(cron)));
        }
        Err(unreadable(format!(
            "{text:?} is none; expected at(yyyy-mm-ddThh:mm:ss), rate(5 minutes) or cron(0 8 ? * MON-FRI *)"
        )))
    }

    /// The first second after `after`, both since 1970; a rate counts from `start`.
    #[must_use]
    pub fn next(&self, after: i64, zone: &Zone, start: i64) -> Option<i64> {
        match self {
            Self::At(local) => zone.second(*local).filter(|&at| at > after),
            Self::Rate(every) => {
                let every = i64::try_from(*every).ok()?;
                // The first is one interval after the start.
                let passed = after.checked_sub(start)?.max(0) / every;
                start.checked_add((passed + 1).checked_mul(every)?)
            }
            Self::Cron(cron) => {
                // Clocks move by hours at most: a day earlier there is surely none that was missed.
                let mut day = zone
                    .local(after.max(-62_000_000_000))?
                    .date()
                    .yesterday()
                    .ok()?;
                loop {
                    let times = cron.from(day)?;
                    day = times.tomorrow().ok()?;
                    for minute in cron.minutes_of_a_day() {
                        let local = times.at((minute / 60) as i8, (minute % 60) as i8, 0, 0);
                        if let Some(at) = zone.second(local).filter(|&at| at > after) {
                            return Some(at);
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn unreadable(why: String) -> Invalid {
    Invalid::new("", why)
}

fn rate(text: &str) -> Result<Schedule, Invalid> {
    let wrong = || {
        unreadable(format!(
            "rate({text}) is none; expected such as rate(1 minute), rate(5 minutes), rate(2 hours) or rate(1 day)"
        ))
    };
    let (count, unit) = text.split_once(char::is_whitespace).ok_or_else(wrong)?;
    let count: u64 = count.parse().map_err(|_| wrong())?;
    let seconds = match unit.trim() {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3600,
        "day" | "days" => 86_400,
        _ => return Err(wrong()),
    };
    match count.checked_mul(seconds) {
        Some(every) if (1..=100 * 366 * 86_400).contains(&every) => Ok(Schedule::Rate(every)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
