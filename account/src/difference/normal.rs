//! Documents in the one form in which two that mean the same are the same: defaults are filled in, lists
//! without an order are sorted or keyed, names that the target has are left out.

use scaling::policy::{
    Dimension, MetricAlarm, MetricQuery, ScalableTarget, ScalingPolicy, ScheduledAction,
    StepScaling, TargetTracking,
};
use serde::Serialize;
use serde_json::{json, Map, Value};

use crate::moment;

/// The zone of schedules that name none.
pub(super) const UTC: &str = "UTC";

fn members(document: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(document) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// Sets a member, or leaves it out.
fn set(members: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => members.insert(name.to_owned(), value),
        None => members.remove(name),
    };
}

pub(super) fn target(target: &ScalableTarget) -> Value {
    let suspended = target.suspended_state;
    json!({
        "MinCapacity": target.min_capacity,
        "MaxCapacity": target.max_capacity,
        "SuspendedState": suspended,
    })
}

pub(super) fn policy(policy: &ScalingPolicy) -> Value {
    let mut normal = Map::new();
    normal.insert("PolicyType".to_owned(), json!(policy.policy_type));
    let tracking = policy.target_tracking.as_ref().map(tracking);
    set(
        &mut normal,
        "TargetTrackingScalingPolicyConfiguration",
        tracking,
    );
    let steps = policy.step_scaling.as_ref().map(steps);
    set(&mut normal, "StepScalingPolicyConfiguration", steps);
    Value::Object(normal)
}

fn tracking(tracking: &TargetTracking) -> Value {
    let mut normal = members(tracking);
    let defaults = [
        ("ScaleOutCooldown", json!(tracking.out_cooldown_secs())),
        ("ScaleInCooldown", json!(tracking.in_cooldown_secs())),
        ("DisableScaleIn", json!(!tracking.scales_in())),
    ];
    for (name, value) in defaults {
        set(&mut normal, name, Some(value));
    }
    if let Some(metric) = &tracking.customized {
        let mut inner = members(metric);
        set(&mut inner, "Dimensions", dimensions(&metric.dimensions));
        set(&mut inner, "Metrics", queries(&metric.metrics));
        set(
            &mut normal,
            "CustomizedMetricSpecification",
            Some(Value::Object(inner)),
        );
    }
    Value::Object(normal)
}

fn steps(steps: &StepScaling) -> Value {
    let mut normal = members(steps);
    set(&mut normal, "Cooldown", Some(json!(steps.cooldown_secs())));
    set(
        &mut normal,
        "MetricAggregationType",
        Some(json!(steps.aggregation())),
    );
    // One is what a percentage moves at least anyhow.
    let least = steps.min_adjustment_magnitude.filter(|least| *least > 1);
    set(
        &mut normal,
        "MinAdjustmentMagnitude",
        least.map(Value::from),
    );
    let mut sorted = steps.step_adjustments.clone();
    let lower = |bound: Option<f64>| bound.unwrap_or(f64::NEG_INFINITY);
    sorted.sort_by(|one, other| {
        let (one, other) = (
            one.metric_interval_lower_bound,
            other.metric_interval_lower_bound,
        );
        lower(one).total_cmp(&lower(other))
    });
    set(&mut normal, "StepAdjustments", Some(json!(sorted)));
    Value::Object(normal)
}

/// By their names; none where there are none.
fn dimensions(dimensions: &[Dimension]) -> Option<Value> {
    let each = dimensions
        .iter()
        .map(|one| (one.name.clone(), json!(one.value)));
    let map: Map<String, Value> = each.collect();
    (!map.is_empty()).then_some(Value::Object(map))
}

/// By their ids; none where there are none.
fn queries(queries: &[MetricQuery]) -> Option<Value> {
    let each = queries.iter().map(|query| {
        let mut normal = members(query);
        normal.remove("Id");
        let returned = query.return_data.unwrap_or(true);
        set(&mut normal, "ReturnData", Some(json!(returned)));
        if let Some(stat) = &query.metric_stat {
            let mut inner = members(stat);
            let mut metric = members(&stat.metric);
            set(
                &mut metric,
                "Dimensions",
                dimensions(&stat.metric.dimensions),
            );
            set(&mut inner, "Metric", Some(Value::Object(metric)));
            set(&mut normal, "MetricStat", Some(Value::Object(inner)));
        }
        (query.id.clone(), Value::Object(normal))
    });
    let map: Map<String, Value> = each.collect();
    (!map.is_empty()).then_some(Value::Object(map))
}

/// Its actions are compared as they are given.
pub(super) fn alarm(alarm: &MetricAlarm) -> Value {
    let mut normal = members(alarm);
    normal.remove("AlarmName");
    let description = alarm
        .alarm_description
        .as_ref()
        .filter(|text| !text.is_empty());
    let sorted = |actions: &[String]| {
        let mut actions = actions.to_vec();
        actions.sort_unstable();
        actions.dedup();
        (!actions.is_empty()).then(|| json!(actions))
    };
    let filled = [
        ("AlarmDescription", description.map(|text| json!(text))),
        (
            "ActionsEnabled",
            Some(json!(alarm.actions_enabled.unwrap_or(true))),
        ),
        ("DatapointsToAlarm", Some(json!(alarm.to_alarm()))),
        ("TreatMissingData", Some(json!(alarm.treat_missing_data))),
        ("Dimensions", dimensions(&alarm.dimensions)),
        ("Metrics", queries(&alarm.metrics)),
        ("AlarmActions", sorted(&alarm.alarm_actions)),
        ("OKActions", sorted(&alarm.ok_actions)),
        (
            "InsufficientDataActions",
            sorted(&alarm.insufficient_data_actions),
        ),
    ];
    for (name, value) in filled {
        set(&mut normal, name, value);
    }
    Value::Object(normal)
}

/// Whether a schedule has no time of day.
pub(super) fn is_rate(action: &ScheduledAction) -> bool {
    let schedule = action.schedule.as_deref().unwrap_or_default();
    schedule.trim_start().starts_with("rate")
}

pub(super) fn scheduled(action: &ScheduledAction) -> Value {
    let zone = action.timezone.as_deref().unwrap_or(UTC);
    let zone = (!is_rate(action)).then_some(zone);
    // What is no moment is compared as it is written.
    let moment = |text: &String| moment::seconds(text).map_or_else(|| text.clone(), moment::text);
    let mut normal = Map::new();
    let schedule = action.schedule.as_deref().map(str::trim);
    let each = [
        ("Schedule", schedule.map(|text| json!(text))),
        ("Timezone", zone.map(|zone| json!(zone))),
        (
            "StartTime",
            action.start_time.as_ref().map(|text| json!(moment(text))),
        ),
        (
            "EndTime",
            action.end_time.as_ref().map(|text| json!(moment(text))),
        ),
        (
            "ScalableTargetAction",
            Some(json!(action.scalable_target_action)),
        ),
    ];
    for (name, value) in each {
        set(&mut normal, name, value);
    }
    Value::Object(normal)
}
