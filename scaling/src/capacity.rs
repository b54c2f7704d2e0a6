//! The capacity profile: what one instance can do.
//!
//! ```json
//! {"slots": 4, "queue_limit": 20, "timeout_secs": 60,
//!  "classes": [{"name": "short", "share": 3, "mean_ms": 40, "cv": 0.5},
//!              {"name": "long", "share": 1, "mean_ms": 400, "cv": 0.5}]}
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::policy::Invalid;
use crate::trace::MOST_COSTS;

/// What a load test has found out of one instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Runs at the same time.
    pub slots: u32,
    /// Requests that may wait for a slot; one more is refused.
    #[serde(default = "queue_limit")]
    pub queue_limit: u32,
    /// Seconds that a caller waits for an answer.
    #[serde(default = "timeout_secs")]
    pub timeout_secs: f64,
    /// Kinds of requests.
    pub classes: Vec<Class>,
    /// Milliseconds of slot time for each unit of a column of the trace, such as `context_tokens`; they
    /// add to the mean of the class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ms_per: BTreeMap<String, f64>,
    /// The column that says how large a request is, as the server sees it when it arrives: `OfferedLoad`
    /// counts requests of sizes between two powers of two alike. Without one it counts all of a class
    /// alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// How requests share runs; they do not where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// vCPUs of an instance. `CPUUtilization` of SageMaker's goes to 100 times as much.
    #[serde(default = "one_cpu")]
    pub vcpus: u32,
    /// Share of the instance's CPUs that a busy slot uses, percent; 100 ÷ slots where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_percent_per_slot: Option<f64>,
    /// Milliseconds for which the runtime's threads keep their CPUs busy after a run; none where they do
    /// not spin.
    #[serde(default)]
    pub spin_ms: f64,
    /// GPUs of an instance. `GPUUtilization` of SageMaker's goes to 100 times as much.
    #[serde(default)]
    pub gpus: u32,
    /// Seconds within which `OfferedLoad` asks for what clears the queue; it leaves the queue out where
    /// it is 0, as `PLIMSOLL_DRAIN_SECS` does.
    #[serde(default)]
    pub drain_secs: f64,
    /// Requests a second at the breaking point of one instance; found by simulation where it is not
    /// said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<f64>,
}

/// A kind of requests: a model, or a size of its inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// What a trace calls it.
    #[serde(default)]
    pub name: String,
    /// How many of all requests are of it, as a weight, where the trace does not say.
    #[serde(default = "one")]
    pub share: f64,
    /// Slot time of one, alone in a run, milliseconds: its mean.
    pub mean_ms: f64,
    /// Standard deviation ÷ mean, of a log-normal law.
    #[serde(default)]
    pub cv: f64,
}

/// How requests share runs: those that wait go along, up to `most`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Requests in a run.
    pub most: u32,
    /// Part of a lone request's slot time that a run costs however many it holds, 0 to 1.
    pub fixed_share: f64,
}

fn queue_limit() -> u32 {
    128
}

fn timeout_secs() -> f64 {
    60.0
}

fn one() -> f64 {
    1.0
}

fn one_cpu() -> u32 {
    1
}

/// A field must lie between two numbers.
fn within(field: impl Into<String>, value: f64, low: f64, high: f64) -> Result<(), Invalid> {
    if !(low..=high).contains(&value) {
        let why = format!("{value}; expected {low} to {high}");
        return Err(Invalid::new(field, why));
    }
    Ok(())
}

/// The most classes.
const MOST_CLASSES: usize = 1000;
/// The shortest and the longest slot time, milliseconds: a microsecond and an hour.
const SLOT_MS: (f64, f64) = (0.001, 3_600_000.0);

impl Profile {
    /// Reads a document and checks it.
    ///
    /// # Errors
    /// One sentence that names the line or the field, its value and what was expected.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let profile: Self = serde_json::from_str(text)
            .map_err(|error| Invalid::new("profile", error.to_string()))?;
        profile.check()?;
        Ok(profile)
    }

    /// # Errors
    /// A field that cannot be.
    pub fn check(&self) -> Result<(), Invalid> {
        within("slots", f64::from(self.slots), 1.0, 4096.0)?;
        within("queue_limit", f64::from(self.queue_limit), 0.0, 1e9)?;
        within("timeout_secs", self.timeout_secs, 0.001, 86_400.0)?;
        within("vcpus", f64::from(self.vcpus), 1.0, 1024.0)?;
        within("gpus", f64::from(self.gpus), 0.0, 64.0)?;
        within("spin_ms", self.spin_ms, 0.0, 10_000.0)?;
        within("drain_secs", self.drain_secs, 0.0, 86_400.0)?;
        if let Some(percent) = self.cpu_percent_per_slot {
            let most = 100.0 / f64::from(self.slots);
            within("cpu_percent_per_slot", percent, 0.0, most)?;
        }
        if let Some(rate) = self.max_rate {
            within("max_rate", rate, 1e-6, 1e9)?;
        }
        if let Some(batch) = self.batch {
            within("batch.most", f64::from(batch.most), 1.0, 65_536.0)?;
            within("batch.fixed_share", batch.fixed_share, 0.0, 1.0)?;
        }
        let classes = self.classes.len();
        if classes > MOST_CLASSES {
            let why = format!("{classes} of them; expected at most {MOST_CLASSES}");
            return Err(Invalid::new("classes", why));
        }
        if self.classes.is_empty() {
            return Err(Invalid::new("classes", "none; expected one at least"));
        }
        let shortest = if self.ms_per.is_empty() {
            SLOT_MS.0
        } else {
            0.0
        };
        for (at, class) in self.classes.iter().enumerate() {
            let field = |name: &str| format!("classes[{at}].{name}");
            within(field("mean_ms"), class.mean_ms, shortest, SLOT_MS.1)?;
            within(field("cv"), class.cv, 0.0, 10.0)?;
            within(field("share"), class.share, 0.0, 1e12)?;
            if self.classes[..at]
                .iter()
                .any(|other| other.name == class.name)
            {
                let why = format!("{:?} is used twice", class.name);
                return Err(Invalid::new(field("name"), why));
            }
        }
        if self.classes.iter().all(|class| class.share == 0.0) {
            return Err(Invalid::new(
                "classes",
                "all shares are 0; expected one above",
            ));
        }
        for (column, &ms) in &self.ms_per {
            within(format!("ms_per.{column}"), ms, 0.0, 1e6)?;
        }
        let columns = self.columns().len();
        if columns > MOST_COSTS {
            let why = format!("{columns} columns; expected at most {MOST_COSTS}");
            return Err(Invalid::new("ms_per", why));
        }
        Ok(())
    }

    /// The columns of a trace that it uses.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = self.ms_per.keys().cloned().collect();
        if let Some(size) = &self.size {
            if !columns.contains(size) {
                columns.push(size.clone());
            }
        }
        columns
    }

    /// The names of its classes.
    #[must_use]
    pub fn class_names(&self) -> Vec<String> {
        self.classes
            .iter()
            .map(|class| class.name.clone())
            .collect()
    }

    /// Slot time of the mean request alone, seconds, without what the trace's columns add.
    #[must_use]
    pub fn mean_secs(&self) -> f64 {
        let shares: f64 = self.classes.iter().map(|class| class.share).sum();
        let sum: f64 = self
            .classes
            .iter()
            .map(|class| class.share * class.mean_ms)
            .sum();
        sum / shares / 1000.0
    }

    /// Standard deviation ÷ mean of the slot times of all classes together.
    #[must_use]
    pub fn cv(&self) -> f64 {
        let shares: f64 = self.classes.iter().map(|class| class.share).sum();
        let squares = self
            .classes
            .iter()
            .map(|class| class.share * class.mean_ms.powi(2) * (1.0 + class.cv.powi(2)));
        let mean = 1000.0 * self.mean_secs();
        match mean > 0.0 {
            true => (squares.sum::<f64>() / shares / mean.powi(2) - 1.0)
                .max(0.0)
                .sqrt(),
            false => 0.0,
        }
    }

    /// What a request costs at the best batch ÷ what it costs alone.
    #[must_use]
    pub fn batched(&self) -> f64 {
        self.batch.map_or(1.0, |batch| {
            batch.fixed_share / f64::from(batch.most) + 1.0 - batch.fixed_share
        })
    }

    /// Share of the instance's CPUs that a busy slot uses, 0 to 1.
    pub(crate) fn cpu_per_slot(&self) -> f64 {
        self.cpu_percent_per_slot
            .map_or(1.0 / f64::from(self.slots), |percent| percent / 100.0)
    }
}

impl Profile {
    /// A model on two slots: what the demonstration uses.
    #[must_use]
    pub fn example() -> Self {
        Self {
            description: "a model of 400 ms on two vCPUs".to_owned(),
            slots: 2,
            queue_limit: 8,
            timeout_secs: 60.0,
            classes: vec![Class {
                name: String::new(),
                share: 1.0,
                mean_ms: 400.0,
                cv: 0.3,
            }],
            ms_per: BTreeMap::new(),
            size: None,
            batch: None,
            vcpus: 2,
            cpu_percent_per_slot: None,
            spin_ms: 0.0,
            gpus: 0,
            drain_secs: 0.0,
            max_rate: None,
        }
    }
}
