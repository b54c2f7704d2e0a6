//! Scaling policies, both ways.

use aws_sdk_applicationautoscaling::types;
use aws_smithy_types::error::operation::BuildError;
use scaling::policy::{
    CustomizedMetric, Dimension, MetricName, MetricQuery, MetricToQuery, PolicyType,
    PredefinedMetric, ScalingPolicy, StepAdjustment, StepScaling, TargetTracking,
};

use super::error::error;
use super::{choice, count, dimension, service, spelled, whole, Clients};
use crate::{Error, Names, Standing, StandingPolicy, Unread};

const DESCRIBE: &str = "application-autoscaling:DescribeScalingPolicies";
const PUT: &str = "application-autoscaling:PutScalingPolicy";

impl Clients {
    /// Adds the target's policies.
    pub(crate) async fn policies(
        &self,
        names: &Names,
        standing: &mut Standing,
    ) -> Result<(), Error> {
        let call = self.scaling.describe_scaling_policies();
        let call = call
            .service_namespace(service(names))
            .resource_id(&names.resource_id)
            .scalable_dimension(dimension(names));
        let found = call.into_paginator().items().send().try_collect().await;
        for one in found.map_err(|sdk| error(DESCRIBE, &sdk))? {
            match ours(&one) {
                Ok(policy) => standing.policies.push(StandingPolicy {
                    policy,
                    arn: one.policy_arn().to_owned(),
                }),
                Err(why) => standing.unread.push(Unread {
                    kind: "policy",
                    name: one.policy_name().to_owned(),
                    why,
                }),
            }
        }
        Ok(())
    }

    /// Puts one; gives its ARN.
    pub(super) async fn put_policy(
        &self,
        names: &Names,
        policy: &ScalingPolicy,
    ) -> Result<String, Error> {
        let tracking = policy.target_tracking.as_ref().map(tracking).transpose()?;
        let steps = policy.step_scaling.as_ref().map(steps).transpose()?;
        let call = self.scaling.put_scaling_policy();
        let call = call
            .policy_name(&policy.policy_name)
            .service_namespace(service(names))
            .resource_id(&names.resource_id)
            .scalable_dimension(dimension(names))
            .policy_type(types::PolicyType::from(
                spelled(&policy.policy_type).as_str(),
            ))
            .set_target_tracking_scaling_policy_configuration(tracking)
            .set_step_scaling_policy_configuration(steps);
        let answer = call.send().await.map_err(|sdk| error(PUT, &sdk))?;
        Ok(answer.policy_arn().to_owned())
    }
}

fn ours(found: &types::ScalingPolicy) -> Result<ScalingPolicy, String> {
    let policy_type: PolicyType = choice("PolicyType", found.policy_type().as_str())?;
    let tracking = found.target_tracking_scaling_policy_configuration();
    let steps = found.step_scaling_policy_configuration();
    Ok(ScalingPolicy {
        policy_name: found.policy_name().to_owned(),
        service_namespace: Some(found.service_namespace().as_str().to_owned()),
        resource_id: Some(found.resource_id().to_owned()),
        scalable_dimension: Some(found.scalable_dimension().as_str().to_owned()),
        policy_type,
        target_tracking: tracking.map(our_tracking),
        step_scaling: steps.map(our_steps).transpose()?,
    })
}

fn our_tracking(found: &types::TargetTrackingScalingPolicyConfiguration) -> TargetTracking {
    let seconds = |cooldown: Option<i32>| cooldown.map(|seconds| count(seconds).into());
    let predefined = found.predefined_metric_specification();
    TargetTracking {
        target_value: found.target_value(),
        predefined: predefined.map(|metric| PredefinedMetric {
            predefined_metric_type: metric.predefined_metric_type().as_str().to_owned(),
            resource_label: metric.resource_label().map(str::to_owned),
        }),
        customized: found.customized_metric_specification().map(our_customized),
        scale_out_cooldown: seconds(found.scale_out_cooldown()),
        scale_in_cooldown: seconds(found.scale_in_cooldown()),
        disable_scale_in: found.disable_scale_in(),
    }
}

fn our_customized(found: &types::CustomizedMetricSpecification) -> CustomizedMetric {
    let dimensions = found.dimensions().iter().map(|one| Dimension {
        name: one.name().to_owned(),
        value: one.value().to_owned(),
    });
    CustomizedMetric {
        metric_name: found.metric_name().map(str::to_owned),
        namespace: found.namespace().map(str::to_owned),
        dimensions: dimensions.collect(),
        statistic: found.statistic().map(|stat| stat.as_str().to_owned()),
        unit: found.unit().map(str::to_owned),
        metrics: found.metrics().iter().map(our_query).collect(),
    }
}

fn our_query(found: &types::TargetTrackingMetricDataQuery) -> MetricQuery {
    MetricQuery {
        id: found.id().to_owned(),
        expression: found.expression().map(str::to_owned),
        metric_stat: found.metric_stat().map(our_stat),
        label: found.label().map(str::to_owned),
        period: None,
        return_data: found.return_data(),
    }
}

fn our_stat(found: &types::TargetTrackingMetricStat) -> MetricToQuery {
    let metric = found.metric();
    let dimensions = metric
        .map(types::TargetTrackingMetric::dimensions)
        .unwrap_or_default();
    let dimensions = dimensions.iter().map(|one| Dimension {
        name: one.name().to_owned(),
        value: one.value().to_owned(),
    });
    let name = metric.and_then(types::TargetTrackingMetric::metric_name);
    let namespace = metric.and_then(types::TargetTrackingMetric::namespace);
    MetricToQuery {
        metric: MetricName {
            name: name.unwrap_or_default().to_owned(),
            namespace: namespace.map(str::to_owned),
            dimensions: dimensions.collect(),
        },
        period: None,
        stat: found.stat().to_owned(),
        unit: found.unit().map(str::to_owned),
    }
}

fn our_steps(found: &types::StepScalingPolicyConfiguration) -> Result<StepScaling, String> {
    let adjustment = found.adjustment_type().map(types::AdjustmentType::as_str);
    let aggregation = found
        .metric_aggregation_type()
        .map(types::MetricAggregationType::as_str);
    let steps = found.step_adjustments().iter().map(|step| StepAdjustment {
        metric_interval_lower_bound: step.metric_interval_lower_bound(),
        metric_interval_upper_bound: step.metric_interval_upper_bound(),
        scaling_adjustment: step.scaling_adjustment(),
    });
    Ok(StepScaling {
        adjustment_type: choice("AdjustmentType", adjustment.unwrap_or_default())?,
        step_adjustments: steps.collect(),
        min_adjustment_magnitude: found.min_adjustment_magnitude().map(count),
        cooldown: found.cooldown().map(|seconds| count(seconds).into()),
        metric_aggregation_type: aggregation
            .map(|text| choice("MetricAggregationType", text))
            .transpose()?,
    })
}

fn incomplete(error: BuildError) -> Error {
    Error::Other {
        action: PUT,
        why: error.to_string(),
    }
}

fn tracking(
    own: &TargetTracking,
) -> Result<types::TargetTrackingScalingPolicyConfiguration, Error> {
    let seconds = |field: &str, cooldown: Option<u64>| {
        cooldown
            .map(|seconds| whole(PUT, field, seconds))
            .transpose()
    };
    let predefined = own.predefined.as_ref().map(|metric| {
        let name = metric.predefined_metric_type.as_str();
        types::PredefinedMetricSpecification::builder()
            .predefined_metric_type(types::MetricType::from(name))
            .set_resource_label(metric.resource_label.clone())
            .build()
            .map_err(incomplete)
    });
    types::TargetTrackingScalingPolicyConfiguration::builder()
        .target_value(own.target_value)
        .set_predefined_metric_specification(predefined.transpose()?)
        .set_customized_metric_specification(own.customized.as_ref().map(customized).transpose()?)
        .set_scale_out_cooldown(seconds("ScaleOutCooldown", own.scale_out_cooldown)?)
        .set_scale_in_cooldown(seconds("ScaleInCooldown", own.scale_in_cooldown)?)
        .set_disable_scale_in(own.disable_scale_in)
        .build()
        .map_err(incomplete)
}

fn customized(own: &CustomizedMetric) -> Result<types::CustomizedMetricSpecification, Error> {
    let mut metric = types::CustomizedMetricSpecification::builder()
        .set_metric_name(own.metric_name.clone())
        .set_namespace(own.namespace.clone())
        .set_statistic(own.statistic.as_deref().map(types::MetricStatistic::from))
        .set_unit(own.unit.clone());
    for one in &own.dimensions {
        let pair = types::MetricDimension::builder()
            .name(&one.name)
            .value(&one.value);
        metric = metric.dimensions(pair.build().map_err(incomplete)?);
    }
    for one in &own.metrics {
        metric = metric.metrics(query(one)?);
    }
    Ok(metric.build())
}

fn query(own: &MetricQuery) -> Result<types::TargetTrackingMetricDataQuery, Error> {
    types::TargetTrackingMetricDataQuery::builder()
        .id(&own.id)
        .set_expression(own.expression.clone())
        .set_metric_stat(own.metric_stat.as_ref().map(stat).transpose()?)
        .set_label(own.label.clone())
        .set_return_data(own.return_data)
        .build()
        .map_err(incomplete)
}

fn stat(own: &MetricToQuery) -> Result<types::TargetTrackingMetricStat, Error> {
    let mut metric = types::TargetTrackingMetric::builder()
        .metric_name(&own.metric.name)
        .set_namespace(own.metric.namespace.clone());
    for one in &own.metric.dimensions {
        let pair = types::TargetTrackingMetricDimension::builder()
            .name(&one.name)
            .value(&one.value);
        metric = metric.dimensions(pair.build().map_err(incomplete)?);
    }
    types::TargetTrackingMetricStat::builder()
        .metric(metric.build())
        .stat(&own.stat)
        .set_unit(own.unit.clone())
        .build()
        .map_err(incomplete)
}

fn steps(own: &StepScaling) -> Result<types::StepScalingPolicyConfiguration, Error> {
    let number = |field: &str, number: Option<u64>| {
        number.map(|number| whole(PUT, field, number)).transpose()
    };
    let adjustment = types::AdjustmentType::from(spelled(&own.adjustment_type).as_str());
    let aggregation = own.metric_aggregation_type.as_ref().map(spelled);
    let aggregation = aggregation
        .as_deref()
        .map(types::MetricAggregationType::from);
    let least = own.min_adjustment_magnitude.map(u64::from);
    let mut steps = types::StepScalingPolicyConfiguration::builder()
        .adjustment_type(adjustment)
        .set_min_adjustment_magnitude(number("MinAdjustmentMagnitude", least)?)
        .set_cooldown(number("Cooldown", own.cooldown)?)
        .set_metric_aggregation_type(aggregation);
    for one in &own.step_adjustments {
        let step = types::StepAdjustment::builder()
            .set_metric_interval_lower_bound(one.metric_interval_lower_bound)
            .set_metric_interval_upper_bound(one.metric_interval_upper_bound)
            .scaling_adjustment(one.scaling_adjustment);
        steps = steps.step_adjustments(step.build().map_err(incomplete)?);
    }
    Ok(steps.build())
}
