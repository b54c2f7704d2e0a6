//! What AWS does not say, as switches: `scaling.md` 8.

use serde::{Deserialize, Serialize};

use crate::policy::Invalid;

/// Delays, and one switch for each rule that nobody has confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Seconds from the end of a period until its datapoint can be seen.
    pub metric_delay: u64,
    /// The same for periods of less than a minute; as long where it is none.
    pub high_resolution_delay: Option<u64>,
    /// Seconds from a decision until what it adds is in service.
    pub launch: u64,
    /// Seconds from a decision until what it removes is gone.
    pub removal: u64,
    /// Whether nothing is accepted while an activity is in progress. Otherwise more may be added.
    pub block_while_updating: bool,
    /// From which capacity a scale-out inside of a scale-out cooldown is counted.
    pub cooldown_base: CooldownBase,
    /// Which datapoint goes into target tracking's formula.
    pub value_used: ValueUsed,
    /// Instances that target tracking removes at once, at most; all that the formula says, where it is
    /// none.
    pub scale_in_cap: Option<u32>,
    /// The low alarm's threshold ÷ the target.
    pub low_factor: f64,
    /// Datapoints of the low alarm; 15, or 90 of 10 s, where it is none.
    pub low_points: Option<usize>,
    /// Datapoints of the high alarm.
    pub high_points: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            metric_delay: 0,
            high_resolution_delay: None,
            launch: 0,
            removal: 0,
            block_while_updating: true,
            cooldown_base: CooldownBase::BeforeFirst,
            value_used: ValueUsed::Newest,
            scale_in_cap: None,
            low_factor: 0.9,
            low_points: None,
            high_points: 3,
        }
    }
}

/// From which capacity a scale-out inside of a scale-out cooldown is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CooldownBase {
    /// From that before the scale-out which opened the cooldown: what was added counts.
    BeforeFirst,
    /// From that which is in service.
    Current,
}

/// Which datapoint goes into target tracking's formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueUsed {
    /// The newest that can be seen.
    Newest,
    /// The mean of those that the alarm looks at.
    Average,
    /// The largest of those that the alarm looks at.
    Maximum,
}

/// The longest delay that can be asked for: a day.
const LONGEST_DELAY: u64 = 86_400;
/// The most datapoints of an alarm of target tracking's.
const MOST_POINTS: usize = 10_000;

impl Options {
    /// What is seen of endpoints: datapoints after a minute, or ten seconds at high resolution, and four
    /// minutes for an instance.
    #[must_use]
    pub fn usual() -> Self {
        Self {
            metric_delay: 60,
            high_resolution_delay: Some(10),
            launch: 240,
            removal: 60,
            ..Self::default()
        }
    }

    /// These with one of them changed, by its name.
    ///
    /// # Errors
    /// There is no such option, or the value is of another kind or out of bounds.
    pub fn with(&self, name: &str, value: serde_json::Value) -> Result<Self, Invalid> {
        let Ok(serde_json::Value::Object(mut all)) = serde_json::to_value(self) else {
            return Err(Invalid::new("options", "cannot be written"));
        };
        if !all.contains_key(name) {
            let names: Vec<&String> = all.keys().collect();
            let why = format!("no such option; expected one of {names:?}");
            return Err(Invalid::new(format!("options.{name}"), why));
        }
        all.insert(name.to_owned(), value);
        let options: Self = serde_json::from_value(all.into())
            .map_err(|error| Invalid::new(format!("options.{name}"), error.to_string()))?;
        options.check().map_err(|error| error.within("options"))?;
        Ok(options)
    }

    /// Seconds from the end of a period of this length until its datapoint can be seen.
    #[must_use]
    pub fn delay(&self, period: u64) -> u64 {
        match self.high_resolution_delay {
            Some(delay) if period < 60 => delay,
            _ => self.metric_delay,
        }
    }

    /// # Errors
    /// A delay of more than a day, no datapoints or very many, or a factor that is not above 0 and at
    /// most 1.
    pub fn check(&self) -> Result<(), Invalid> {
        for (name, delay) in [
            ("metric_delay", self.metric_delay),
            (
                "high_resolution_delay",
                self.high_resolution_delay.unwrap_or(0),
            ),
            ("launch", self.launch),
            ("removal", self.removal),
        ] {
            if delay > LONGEST_DELAY {
                return Err(Invalid::new(
                    name,
                    format!("{delay} s; expected at most {LONGEST_DELAY}"),
                ));
            }
        }
        let points = [
            ("high_points", Some(self.high_points)),
            ("low_points", self.low_points),
        ];
        for (name, points) in points {
            if points.is_some_and(|points| !(1..=MOST_POINTS).contains(&points)) {
                return Err(Invalid::new(
                    name,
                    format!(
                        "{}; expected 1 to {MOST_POINTS}",
                        points.unwrap_or_default()
                    ),
                ));
            }
        }
        if !(self.low_factor > 0.0 && self.low_factor <= 1.0) {
            return Err(Invalid::new(
                "low_factor",
                format!("{}; expected more than 0 and at most 1", self.low_factor),
            ));
        }
        if self.scale_in_cap == Some(0) {
            return Err(Invalid::new(
                "scale_in_cap",
                "0; expected at least 1, or none",
            ));
        }
        Ok(())
    }
}
