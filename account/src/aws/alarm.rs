//! Alarms, both ways.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types;
use scaling::policy::{Dimension, MetricAlarm, MetricName, MetricQuery, MetricToQuery};

use super::error::error;
use super::{choice, count, spelled, whole, Clients};
use crate::{moment, Error, Standing, Unread, Watched};

const DESCRIBE: &str = "cloudwatch:DescribeAlarms";
const PUT: &str = "cloudwatch:PutMetricAlarm";
/// What the alarms that target tracking makes are called.
const MANAGED: &str = "TargetTracking-";
/// Names that one call may ask for.
const MOST_NAMES: usize = 100;

impl Clients {
    /// Adds the alarms that call one of the policies, and those of these names.
    pub(crate) async fn alarms(
        &self,
        wanted: &[&str],
        standing: &mut Standing,
    ) -> Result<(), Error> {
        let mut found: Vec<types::MetricAlarm> = Vec::new();
        let arns: Vec<String> = standing.arns().into_values().collect();
        for arn in arns {
            let call = self.cloudwatch.describe_alarms();
            found.extend(all(call.action_prefix(arn)).await?);
        }
        for names in wanted.chunks(MOST_NAMES) {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            let call = self.cloudwatch.describe_alarms();
            found.extend(all(call.set_alarm_names(Some(names))).await?);
        }
        found.sort_by(|one, other| one.alarm_name().cmp(&other.alarm_name()));
        found.dedup_by(|one, other| one.alarm_name() == other.alarm_name());
        for alarm in &found {
            add(alarm, standing);
        }
        Ok(())
    }

    /// Puts one; its actions are names of policies, or ARNs.
    pub(super) async fn put_alarm(
        &self,
        alarm: &MetricAlarm,
        arns: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let number = |field: &str, number: u64| whole(PUT, field, number);
        let period = alarm
            .period
            .map(|period| number("Period", period))
            .transpose()?;
        let points = alarm.datapoints_to_alarm;
        let points = points
            .map(|points| number("DatapointsToAlarm", points as u64))
            .transpose()?;
        let metrics = alarm
            .metrics
            .iter()
            .map(query)
            .collect::<Result<Vec<_>, Error>>()?;
        let actions = alarm.alarm_actions.iter();
        let actions = actions.map(|action| arns.get(action).unwrap_or(action).clone());
        let comparison = spelled(&alarm.comparison_operator);
        let call = self.cloudwatch.put_metric_alarm();
        let call = call
            .alarm_name(&alarm.alarm_name)
            .set_alarm_description(alarm.alarm_description.clone())
            .set_actions_enabled(alarm.actions_enabled)
            .set_metric_name(alarm.metric_name.clone())
            .set_namespace(alarm.namespace.clone())
            .set_dimensions(filled(alarm.dimensions.iter().map(dimension).collect()))
            .set_statistic(alarm.statistic.as_deref().map(types::Statistic::from))
            .set_extended_statistic(alarm.extended_statistic.clone())
            .set_unit(alarm.unit.as_deref().map(types::StandardUnit::from))
            .set_period(period)
            .set_metrics(filled(metrics))
            .evaluation_periods(number(
                "EvaluationPeriods",
                alarm.evaluation_periods as u64,
            )?)
            .set_datapoints_to_alarm(points)
            .threshold(alarm.threshold)
            .comparison_operator(types::ComparisonOperator::from(comparison.as_str()))
            .treat_missing_data(spelled(&alarm.treat_missing_data))
            .set_alarm_actions(filled(actions.collect()))
            .set_ok_actions(filled(alarm.ok_actions.clone()))
            .set_insufficient_data_actions(filled(alarm.insufficient_data_actions.clone()));
        call.send().await.map_err(|sdk| error(PUT, &sdk))?;
        Ok(())
    }
}

/// Every page of it.
async fn all(
    call: aws_sdk_cloudwatch::operation::describe_alarms::builders::DescribeAlarmsFluentBuilder,
) -> Result<Vec<types::MetricAlarm>, Error> {
    let mut pages = call.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|sdk| error(DESCRIBE, &sdk))?;
        found.extend_from_slice(page.metric_alarms());
    }
    Ok(found)
}

fn add(found: &types::MetricAlarm, standing: &mut Standing) {
    let name = found.alarm_name().unwrap_or_default();
    let alarm = match ours(found) {
        Ok(alarm) => alarm,
        Err(why) => {
            standing.unread.push(Unread {
                kind: "alarm",
                name: name.to_owned(),
                why,
            });
            return;
        }
    };
    let list = match name.starts_with(MANAGED) {
        true => &mut standing.managed,
        false => &mut standing.alarms,
    };
    let state = found.state_value().map(types::StateValue::as_str);
    list.push(Watched {
        alarm,
        state_value: state.unwrap_or("unknown").to_owned(),
        state_reason: found.state_reason().map(str::to_owned),
        state_updated_timestamp: found
            .state_updated_timestamp()
            .map(|time| moment::text(time.secs())),
    });
}

/// What it has that a scaling document does not have.
fn beyond(found: &types::MetricAlarm) -> Option<&'static str> {
    let low_samples = found.evaluate_low_sample_count_percentile();
    let window = found.evaluation_window();
    let each = [
        (found.threshold_metric_id().is_some(), "ThresholdMetricId"),
        (found.evaluation_criteria().is_some(), "EvaluationCriteria"),
        (
            found.warm_up_configuration().is_some(),
            "WarmUpConfiguration",
        ),
        (
            low_samples.is_some_and(|how| how != "evaluate"),
            "EvaluateLowSampleCountPercentile",
        ),
        (
            window.is_some_and(|window| !window.is_sliding_window()),
            "EvaluationWindow",
        ),
        (
            found.metrics().iter().any(|one| one.account_id().is_some()),
            "AccountId",
        ),
    ];
    each.into_iter().find_map(|(has, name)| has.then_some(name))
}

fn ours(found: &types::MetricAlarm) -> Result<MetricAlarm, String> {
    if let Some(member) = beyond(found) {
        return Err(format!("has {member}, which no scaling document has"));
    }
    let comparison = found
        .comparison_operator()
        .map(types::ComparisonOperator::as_str);
    let text = |text: Option<&str>| text.map(str::to_owned);
    let missing = found.treat_missing_data().unwrap_or("missing");
    Ok(MetricAlarm {
        alarm_name: found.alarm_name().unwrap_or_default().to_owned(),
        alarm_description: text(found.alarm_description()),
        actions_enabled: found.actions_enabled(),
        metric_name: text(found.metric_name()),
        namespace: text(found.namespace()),
        dimensions: our_dimensions(found.dimensions()),
        statistic: text(found.statistic().map(types::Statistic::as_str)),
        extended_statistic: text(found.extended_statistic()),
        unit: text(found.unit().map(types::StandardUnit::as_str)),
        period: seconds(found.period()),
        metrics: found.metrics().iter().map(our_query).collect(),
        evaluation_periods: count(found.evaluation_periods().unwrap_or_default()) as usize,
        datapoints_to_alarm: found
            .datapoints_to_alarm()
            .map(|points| count(points) as usize),
        threshold: found.threshold().ok_or("has no Threshold")?,
        comparison_operator: choice("ComparisonOperator", comparison.unwrap_or_default())?,
        treat_missing_data: choice("TreatMissingData", missing)?,
        alarm_actions: found.alarm_actions().to_vec(),
        ok_actions: found.ok_actions().to_vec(),
        insufficient_data_actions: found.insufficient_data_actions().to_vec(),
    })
}

fn seconds(period: Option<i32>) -> Option<u64> {
    period.map(|seconds| count(seconds).into())
}

fn our_query(found: &types::MetricDataQuery) -> MetricQuery {
    MetricQuery {
        id: found.id().unwrap_or_default().to_owned(),
        expression: found.expression().map(str::to_owned),
        metric_stat: found.metric_stat().map(our_stat),
        label: found.label().map(str::to_owned),
        period: seconds(found.period()),
        return_data: found.return_data(),
    }
}

fn our_stat(found: &types::MetricStat) -> MetricToQuery {
    let metric = found.metric();
    let name = metric.and_then(types::Metric::metric_name);
    let namespace = metric.and_then(types::Metric::namespace);
    MetricToQuery {
        metric: MetricName {
            name: name.unwrap_or_default().to_owned(),
            namespace: namespace.map(str::to_owned),
            dimensions: our_dimensions(metric.map(types::Metric::dimensions).unwrap_or_default()),
        },
        period: seconds(found.period()),
        stat: found.stat().unwrap_or_default().to_owned(),
        unit: found.unit().map(|unit| unit.as_str().to_owned()),
    }
}

pub(super) fn our_dimensions(found: &[types::Dimension]) -> Vec<Dimension> {
    let each = found.iter().map(|one| Dimension {
        name: one.name().unwrap_or_default().to_owned(),
        value: one.value().unwrap_or_default().to_owned(),
    });
    each.collect()
}

pub(super) fn dimension(own: &Dimension) -> types::Dimension {
    types::Dimension::builder()
        .name(&own.name)
        .value(&own.value)
        .build()
}

/// An empty list is none.
fn filled<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn query(own: &MetricQuery) -> Result<types::MetricDataQuery, Error> {
    let period = own
        .period
        .map(|period| whole(PUT, "Period", period))
        .transpose()?;
    let query = types::MetricDataQuery::builder()
        .id(&own.id)
        .set_expression(own.expression.clone())
        .set_metric_stat(own.metric_stat.as_ref().map(stat).transpose()?)
        .set_label(own.label.clone())
        .set_period(period)
        .set_return_data(own.return_data);
    Ok(query.build())
}

fn stat(own: &MetricToQuery) -> Result<types::MetricStat, Error> {
    let period = own
        .period
        .map(|period| whole(PUT, "Period", period))
        .transpose()?;
    let metric = types::Metric::builder()
        .metric_name(&own.metric.name)
        .set_namespace(own.metric.namespace.clone())
        .set_dimensions(filled(
            own.metric.dimensions.iter().map(dimension).collect(),
        ));
    let stat = types::MetricStat::builder()
        .metric(metric.build())
        .stat(&own.stat)
        .set_period(period)
        .set_unit(own.unit.as_deref().map(types::StandardUnit::from));
    Ok(stat.build())
}
