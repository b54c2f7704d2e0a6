//! Step scaling.

use serde::{Deserialize, Serialize};

use super::{Invalid, DEFAULT_COOLDOWN_SECS};

/// `StepScalingPolicyConfiguration`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct StepScaling {
    /// What an adjustment is.
    pub adjustment_type: AdjustmentType,
    /// By how far the metric is beyond the threshold.
    pub step_adjustments: Vec<StepAdjustment>,
    /// Instances that a percentage moves at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_adjustment_magnitude: Option<u32>,
    /// Seconds; 300 where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<u64>,
    /// How the alarm's datapoints become one value; their average where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_aggregation_type: Option<Aggregation>,
}

/// What an adjustment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdjustmentType {
    /// So many more or fewer.
    ChangeInCapacity,
    /// So many percent more or fewer.
    PercentChangeInCapacity,
    /// So many.
    ExactCapacity,
}

/// How datapoints become one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aggregation {
    /// Their mean.
    Average,
    /// The least.
    Minimum,
    /// The largest.
    Maximum,
}

impl Aggregation {
    /// One value of several; none of none.
    #[must_use]
    pub fn of(self, values: &[f64]) -> Option<f64> {
        let first = *values.first()?;
        Some(match self {
            Self::Average => values.iter().sum::<f64>() / values.len() as f64,
            Self::Minimum => values.iter().copied().fold(first, f64::min),
            Self::Maximum => values.iter().copied().fold(first, f64::max),
        })
    }
}

/// One step. Its bounds are offsets from the alarm's threshold; one that is left out is infinite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct StepAdjustment {
    /// Inclusive above the threshold, exclusive below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_interval_lower_bound: Option<f64>,
    /// Exclusive above the threshold, inclusive below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_interval_upper_bound: Option<f64>,
    /// What happens in it.
    pub scaling_adjustment: i32,
}

impl StepAdjustment {
    fn lower(&self) -> f64 {
        self.metric_interval_lower_bound
            .unwrap_or(f64::NEG_INFINITY)
    }

    fn upper(&self) -> f64 {
        self.metric_interval_upper_bound.unwrap_or(f64::INFINITY)
    }
}

/// On which side of its threshold an alarm rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Above it.
    Above,
    /// Below it.
    Below,
}

/// Steps that one policy may have.
const MOST_STEPS: usize = 20;

impl StepScaling {
    /// The adjustment for a metric that is so far from the threshold; none where no step holds that.
    #[must_use]
    pub fn adjustment(&self, distance: f64, side: Side) -> Option<i32> {
        let holds = |step: &&StepAdjustment| match side {
            Side::Above => step.lower() <= distance && distance < step.upper(),
            Side::Below => step.lower() < distance && distance <= step.upper(),
        };
        let step = self.step_adjustments.iter().find(holds)?;
        Some(step.scaling_adjustment)
    }

    /// The capacity that an adjustment makes of `base`; below zero counts as it is.
    #[must_use]
    pub fn applied(&self, adjustment: i32, base: u32) -> i64 {
        let base = i64::from(base);
        let adjustment = i64::from(adjustment);
        match self.adjustment_type {
            AdjustmentType::ChangeInCapacity => base + adjustment,
            AdjustmentType::ExactCapacity => adjustment,
            AdjustmentType::PercentChangeInCapacity => {
                let percents = base * adjustment;
                let whole = match percents / 100 {
                    0 => percents.signum(),
                    whole => whole,
                };
                let least = i64::from(self.min_adjustment_magnitude.unwrap_or(0));
                base + whole.signum() * whole.abs().max(least)
            }
        }
    }

    /// Seconds.
    #[must_use]
    pub fn cooldown_secs(&self) -> u64 {
        self.cooldown.unwrap_or(DEFAULT_COOLDOWN_SECS)
    }

    /// How datapoints become one value.
    #[must_use]
    pub fn aggregation(&self) -> Aggregation {
        self.metric_aggregation_type.unwrap_or(Aggregation::Average)
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        let steps = &self.step_adjustments;
        if steps.is_empty() || steps.len() > MOST_STEPS {
            return Err(Invalid::new(
                "StepAdjustments",
                format!("{} steps; expected 1 to {MOST_STEPS}", steps.len()),
            ));
        }
        let is_percent = self.adjustment_type == AdjustmentType::PercentChangeInCapacity;
        if let (Some(least), false) = (self.min_adjustment_magnitude, is_percent) {
            return Err(Invalid::new(
                "MinAdjustmentMagnitude",
                format!("{least} with an AdjustmentType that is no percentage; expected none"),
            ));
        }
        for (at, step) in steps.iter().enumerate() {
            let bounds = [
                step.metric_interval_lower_bound,
                step.metric_interval_upper_bound,
            ];
            let is_number = |bound: &f64| bound.is_finite();
            if !bounds.iter().flatten().all(is_number) || step.lower() >= step.upper() {
                return Err(Invalid::new(
                    format!("StepAdjustments[{at}]"),
                    format!(
                        "from {} to {} is no interval; expected a lower bound below the upper one",
                        step.lower(),
                        step.upper()
                    ),
                ));
            }
            if bounds == [None, None] {
                return Err(Invalid::new(
                    format!("StepAdjustments[{at}]"),
                    "no bound; expected one at least",
                ));
            }
        }
        let mut sorted: Vec<&StepAdjustment> = steps.iter().collect();
        sorted.sort_by(|one, other| one.lower().total_cmp(&other.lower()));
        for pair in sorted.windows(2) {
            if pair[0].upper() != pair[1].lower() {
                return Err(Invalid::new(
                    "StepAdjustments",
                    format!(
                        "a step ends at {} and the next begins at {}; expected neither gap nor overlap",
                        pair[0].upper(),
                        pair[1].lower()
                    ),
                ));
            }
        }
        let (first, last) = (sorted[0], sorted[sorted.len() - 1]);
        if first.lower() < 0.0 && first.metric_interval_lower_bound.is_some() {
            return Err(Invalid::new(
                "StepAdjustments",
                format!(
                    "the lowest step begins at {}; below the threshold one must have no MetricIntervalLowerBound",
                    first.lower()
                ),
            ));
        }
        if last.upper() > 0.0 && last.metric_interval_upper_bound.is_some() {
            return Err(Invalid::new(
                "StepAdjustments",
                format!(
                    "the highest step ends at {}; above the threshold one must have no MetricIntervalUpperBound",
                    last.upper()
                ),
            ));
        }
        Ok(())
    }
}
