//! What is scaled, and between which bounds.

use serde::{Deserialize, Serialize};

use super::Invalid;

/// What Application Auto Scaling can scale of SageMaker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalable {
    /// Instances of a real-time or asynchronous variant.
    Instances,
    /// Provisioned concurrency of a serverless variant.
    ProvisionedConcurrency,
    /// Copies of an inference component.
    Copies,
}

impl Scalable {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Instances, Self::ProvisionedConcurrency, Self::Copies];

    /// `ScalableDimension`.
    #[must_use]
    pub fn dimension(self) -> &'static str {
        match self {
            Self::Instances => "sagemaker:variant:DesiredInstanceCount",
            Self::ProvisionedConcurrency => "sagemaker:variant:DesiredProvisionedConcurrency",
            Self::Copies => "sagemaker:inference-component:DesiredCopyCount",
        }
    }

    /// The one with this `ScalableDimension`.
    #[must_use]
    pub fn of(dimension: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|one| one.dimension() == dimension)
    }
}

/// Which directions are suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
pub struct SuspendedState {
    /// Policies remove nothing.
    pub dynamic_scaling_in_suspended: bool,
    /// Policies add nothing.
    pub dynamic_scaling_out_suspended: bool,
    /// Scheduled actions do nothing.
    pub scheduled_scaling_suspended: bool,
}

impl SuspendedState {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A target as `RegisterScalableTarget` takes it. Its own names may be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ScalableTarget {
    /// `sagemaker`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_namespace: Option<String>,
    /// `endpoint/<endpoint>/variant/<variant>`, for example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// A name of [`Scalable`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scalable_dimension: Option<String>,
    /// Instances, or copies, at least.
    pub min_capacity: u32,
    /// …and at most.
    pub max_capacity: u32,
    /// What is suspended.
    #[serde(default, skip_serializing_if = "SuspendedState::is_default")]
    pub suspended_state: SuspendedState,
}

impl ScalableTarget {
    /// A target without names.
    #[must_use]
    pub fn between(min_capacity: u32, max_capacity: u32) -> Self {
        Self {
            service_namespace: None,
            resource_id: None,
            scalable_dimension: None,
            min_capacity,
            max_capacity,
            suspended_state: SuspendedState::default(),
        }
    }

    /// # Errors
    /// The least is more than the most, or the most is no number of the API.
    pub fn check(&self) -> Result<(), Invalid> {
        let (min, max) = (self.min_capacity, self.max_capacity);
        if min > max {
            return Err(Invalid::new(
                "MinCapacity",
                format!("{min} is more than MaxCapacity, which is {max}"),
            ));
        }
        if i32::try_from(max).is_err() {
            return Err(Invalid::new(
                "MaxCapacity",
                format!("{max}; expected {} at most", i32::MAX),
            ));
        }
        Ok(())
    }
}

/// Bounds that a scheduled action sets; what is left out stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ScalableTargetAction {
    /// The new least capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_capacity: Option<u32>,
    /// The new largest capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_capacity: Option<u32>,
}
