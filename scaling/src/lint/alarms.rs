//! Alarms, and the step policies that they call.

use crate::document::Item;
use crate::known;
use crate::policy::Side;

use super::rules::{DISABLED, HIGH_RESOLUTION, MISSING_DATA, NO_ALARM, STEPS, WAKE_UP};
use super::tracking::threshold;
use super::view::{side, Alarm, Kind, Used, View, STEP};
use super::Findings;

pub(super) fn check(view: &View<'_>, found: &mut Findings) {
    for alarm in &view.alarms {
        for used in &alarm.used {
            threshold(used, alarm.item, found);
            high_resolution(view, alarm, used, found);
        }
        if alarm.scales {
            wake_up(alarm, found);
            missing_data(alarm, found);
            let enabled = alarm.item.node.get("ActionsEnabled");
            if enabled.as_bool() == Some(false) {
                let message = format!("{:?} calls nobody", alarm.item.name());
                found.add(DISABLED, alarm.item, "ActionsEnabled", enabled, message);
            }
        }
    }
    for policy in &view.policies {
        let Kind::Step { node, .. } = &policy.kind else {
            continue;
        };
        let callers: Vec<&Alarm<'_>> = view
            .alarms
            .iter()
            .filter(|alarm| {
                alarm
                    .calls
                    .iter()
                    .any(|called| std::ptr::eq(*called, policy.item))
            })
            .collect();
        // A document of calls may have its alarm in another file.
        let is_whole = !view.documents.targets.is_empty() || !view.documents.alarms.is_empty();
        // What an account says of its policies leaves their alarms out.
        let is_described =
            policy.item.path.contains("ScalingPolicies[") && view.documents.alarms.is_empty();
        if callers.is_empty() && is_whole && !is_described {
            let message = format!(
                "no alarm names {:?} in its AlarmActions",
                policy.item.name()
            );
            found.add(NO_ALARM, policy.item, "", &policy.item.node, message);
        }
        let steps = node.get("StepAdjustments");
        for alarm in callers {
            let Some(side) = side(alarm.item) else {
                continue;
            };
            let reaches = steps.list().iter().any(|step| {
                let bound = |name: &str| step.get(name).as_number();
                let (lower, upper) = (
                    bound("MetricIntervalLowerBound"),
                    bound("MetricIntervalUpperBound"),
                );
                match side {
                    Side::Above => upper.is_none_or(|upper| upper > 0.0),
                    Side::Below => lower.is_none_or(|lower| lower < 0.0),
                }
            });
            if !reaches && !steps.list().is_empty() {
                let (fires, wanted) = match side {
                    Side::Above => ("above", "above 0"),
                    Side::Below => ("below", "below 0"),
                };
                let message = format!(
                    "{:?} fires {fires} its threshold, and no step is there; expected one {wanted}",
                    alarm.item.name()
                );
                let path = format!("{STEP}.StepAdjustments");
                found.add(STEPS, policy.item, &path, steps, message);
            }
        }
    }
}

/// Seconds of the datapoints that a metric of SageMaker's may have, where endpoint configurations say it.
fn published_every(view: &View<'_>, known: &known::Known) -> f64 {
    let configs = view.documents.endpoint_configs.iter();
    let said = configs.filter_map(|config| {
        let metrics = config.node.get("MetricsConfig");
        let is_enhanced = metrics.get("EnableEnhancedMetrics").as_bool() == Some(true);
        let every = metrics.get("MetricPublishFrequencyInSeconds").as_number();
        every.filter(|_| known.namespace != Some(known::REQUESTS) || is_enhanced)
    });
    let own = known.resolution as f64;
    match known.namespace {
        None => own,
        Some(_) => said.fold(own, f64::min),
    }
}

fn high_resolution(view: &View<'_>, alarm: &Alarm<'_>, used: &Used<'_>, found: &mut Findings) {
    let Some(known) = used.known else { return };
    // In metric math each metric has its own period, beside its name.
    let (path, period) = match used.id {
        None => ("Period".to_owned(), alarm.item.node.get("Period")),
        Some(id) => {
            let mut queries = alarm.item.node.get("Metrics").list().iter();
            let own = queries.find(|query| query.get("Id").as_text() == Some(id));
            let Some(own) = own else { return };
            (format!("{}.Period", used.path), own.at("MetricStat.Period"))
        }
    };
    let Some(secs) = period.as_number() else {
        return;
    };
    let every = published_every(view, &known);
    if secs < every {
        let message = format!("{secs} s, and {} is written every {every} s", known.name);
        found.add(HIGH_RESOLUTION, alarm.item, &path, period, message);
    }
}

fn wake_up(alarm: &Alarm<'_>, found: &mut Findings) {
    let node = &alarm.item.node;
    if !alarm.used.iter().any(Used::is_wake_up) {
        return;
    }
    let threshold = node.get("Threshold");
    let Some(value) = threshold.as_number() else {
        return;
    };
    let one_fires = match node.get("ComparisonOperator").as_text() {
        Some("GreaterThanOrEqualToThreshold") => value <= 1.0 && value > 0.0,
        Some("GreaterThanThreshold") => value < 1.0,
        _ => return,
    };
    if !one_fires {
        let operator = node.get("ComparisonOperator").as_text().unwrap_or_default();
        let message = format!(
            "{operator} {value}: one is not enough; expected GreaterThanOrEqualToThreshold 1"
        );
        found.add(WAKE_UP, alarm.item, "Threshold", threshold, message);
    }
    let points = node.get("EvaluationPeriods");
    // An asynchronous queue is patient.
    let is_failure = |name: Option<&str>| name == Some("NoCapacityInvocationFailures");
    let fails = alarm
        .used
        .iter()
        .any(|used| is_failure(used.name.as_text()));
    if let Some(count) = points.as_number().filter(|count| *count > 1.0 && fails) {
        let message = format!("{count} periods in a row; expected 1: callers fail meanwhile");
        found.add(WAKE_UP, alarm.item, "EvaluationPeriods", points, message);
    }
}

fn missing_data(alarm: &Alarm<'_>, found: &mut Findings) {
    let treated = alarm.item.node.get("TreatMissingData");
    if treated.as_text() != Some("breaching") {
        return;
    }
    let steps = |item: &Item| item.node.at(STEP).get("StepAdjustments").list().to_vec();
    let removes = alarm.calls.iter().any(|policy| {
        steps(policy).iter().any(|step| {
            step.get("ScalingAdjustment")
                .as_number()
                .is_some_and(|by| by < 0.0)
        })
    });
    let message = match removes {
        true => "breaching: when the metric stops, capacity is removed; expected missing",
        false => "breaching: when the metric stops, capacity is added; expected notBreaching",
    };
    found.add(
        MISSING_DATA,
        alarm.item,
        "TreatMissingData",
        treated,
        message,
    );
}
