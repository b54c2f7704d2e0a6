//! The names of a scalable target.

use scaling::policy::{Dimension, Invalid, Scalable, ScalableTarget};
use scaling::write::Resource;

use crate::invalid;

/// The three names by which Application Auto Scaling knows a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// `sagemaker`.
    pub service_namespace: String,
    /// `endpoint/<endpoint>/variant/<variant>`, for example.
    pub resource_id: String,
    /// `sagemaker:variant:DesiredInstanceCount`, for example.
    pub scalable_dimension: String,
}

/// `ServiceNamespace`.
const SERVICE: &str = "sagemaker";

impl Names {
    /// Those of a target.
    ///
    /// # Errors
    /// It has none, or one that is not SageMaker's.
    pub fn of(target: &ScalableTarget) -> Result<Self, Invalid> {
        let service = target.service_namespace.as_deref().unwrap_or(SERVICE);
        if service != SERVICE {
            return Err(invalid(
                "target.ServiceNamespace",
                format!("{service:?}; expected {SERVICE:?}"),
            ));
        }
        let resource_id = target.resource_id.clone().ok_or_else(|| {
            invalid(
                "target.ResourceId",
                "is missing; expected such as endpoint/<endpoint>/variant/<variant>",
            )
        })?;
        let dimension = target.scalable_dimension.clone().ok_or_else(|| {
            let known = Scalable::ALL.map(Scalable::dimension).join(", ");
            invalid(
                "target.ScalableDimension",
                format!("is missing; expected one of {known}"),
            )
        })?;
        Ok(Self {
            service_namespace: service.to_owned(),
            resource_id,
            scalable_dimension: dimension,
        })
    }

    /// Those of an endpoint's variant or of an inference component.
    #[must_use]
    pub fn to(resource: &Resource) -> Self {
        Self {
            service_namespace: SERVICE.to_owned(),
            resource_id: resource.id(),
            scalable_dimension: resource.scalable().dimension().to_owned(),
        }
    }

    /// The dimensions with which SageMaker publishes metrics of it.
    #[must_use]
    pub fn dimensions(&self) -> Vec<Dimension> {
        let parts: Vec<&str> = self.resource_id.split('/').collect();
        let pairs: &[(&str, &str)] = match parts[..] {
            ["endpoint", endpoint, "variant", variant] => {
                &[("EndpointName", endpoint), ("VariantName", variant)]
            }
            ["inference-component", name] => &[("InferenceComponentName", name)],
            _ => &[],
        };
        let each = pairs.iter().map(|(name, value)| Dimension {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        });
        each.collect()
    }

    /// Whether an ARN is that of a policy of this target.
    pub(crate) fn has_policy(&self, arn: &str) -> bool {
        let resource = format!(
            ":resource/{}/{}:policyName/",
            self.service_namespace, self.resource_id
        );
        arn.contains(&resource)
    }
}
