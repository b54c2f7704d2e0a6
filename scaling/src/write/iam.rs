//! What the container must be allowed, and told.

use serde_json::{json, Value};

use super::api::pretty;
use super::File;
use crate::known;
use crate::policy::Dimension;
use crate::simulate::Configuration;

/// A series of ours that a configuration names: its namespace and dimensions.
pub(super) struct Published<'c> {
    pub(super) namespace: &'c str,
    pub(super) dimensions: &'c [Dimension],
}

/// What of ours is named.
pub(super) fn published(configuration: &Configuration) -> Option<Published<'_>> {
    let tracked = configuration
        .policies
        .iter()
        .filter_map(|policy| policy.target_tracking.as_ref()?.customized.as_ref());
    let simple = tracked.clone().filter_map(|customized| {
        Some((
            customized.namespace.as_deref()?,
            customized.dimensions.as_slice(),
        ))
    });
    let queried = tracked
        .flat_map(|customized| &customized.metrics)
        .filter_map(|query| {
            let metric = &query.metric_stat.as_ref()?.metric;
            Some((metric.namespace.as_deref()?, metric.dimensions.as_slice()))
        });
    let alarms = configuration
        .alarms
        .iter()
        .filter_map(|alarm| Some((alarm.namespace.as_deref()?, alarm.dimensions.as_slice())));
    simple
        .chain(queried)
        .chain(alarms)
        .find(|(namespace, _)| !known::is_aws(namespace))
        .map(|(namespace, dimensions)| Published {
            namespace,
            dimensions,
        })
}

/// The statement for the container's role.
pub(super) fn document(namespace: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "PublishMetrics",
            "Effect": "Allow",
            "Action": "cloudwatch:PutMetricData",
            "Resource": "*",
            "Condition": {"StringEquals": {"cloudwatch:namespace": namespace}},
        }],
    })
}

/// The environment that the SageMaker Model must have.
pub(super) fn environment(published: &Published<'_>) -> Vec<(String, String)> {
    let variable = |name: &str| match name {
        "EndpointName" => Some("PLIMSOLL_ENDPOINT_NAME"),
        "VariantName" => Some("PLIMSOLL_VARIANT_NAME"),
        "ContainerName" => Some("PLIMSOLL_CONTAINER_NAME"),
        "InferenceComponentName" => Some("PLIMSOLL_INFERENCE_COMPONENT_NAME"),
        _ => None,
    };
    let mut all = vec![(
        "PLIMSOLL_NAMESPACE".to_owned(),
        published.namespace.to_owned(),
    )];
    for Dimension { name, value } in published.dimensions {
        let variable = variable(name).map(|variable| (variable.to_owned(), value.clone()));
        all.extend(variable);
    }
    all
}

/// The role's policy, where anything of ours is named.
pub(super) fn file(configuration: &Configuration) -> Option<File> {
    published(configuration).map(|published| File {
        name: "container-permissions.json".to_owned(),
        text: pretty(&document(published.namespace)),
    })
}

/// The lines that say what the container must be allowed and told; none where nothing of ours is named. No
/// line has a break in it, whatever somebody called his namespace.
pub(super) fn comment(configuration: &Configuration) -> Vec<String> {
    let Some(published) = published(configuration) else {
        return Vec::new();
    };
    let environment = environment(&published).into_iter();
    let environment: Vec<String> = environment
        .map(|(name, value)| format!("{name}={}", value.escape_debug()))
        .collect();
    vec![
        format!(
            "The SageMaker Model's environment: {}",
            environment.join(", ")
        ),
        format!(
            "Its role must allow cloudwatch:PutMetricData where cloudwatch:namespace is {:?}.",
            published.namespace
        ),
    ]
}
