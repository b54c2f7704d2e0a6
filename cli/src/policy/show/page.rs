//! What `plimsoll policy show` prints for people.

use std::fmt::Write as _;

use account::{Activity, Checked, Data, Metric, Names, Samples, Seen, Silence, Unread, Watched};
use scaling::policy::{
    AdjustmentType, Comparison, Dimension, MetricAlarm, MetricQuery, Rule, ScalableTarget,
    ScalingPolicy, ScheduledAction, StepScaling, TargetTracking,
};

/// A page of sections; those that have nothing are left out.
pub(super) fn page(region: &str, names: &Names, seen: &Seen) -> String {
    let standing = &seen.standing;
    let mut page = format!(
        "{region}: {}, {}\n",
        names.resource_id, names.scalable_dimension
    );
    if let Some(target) = &standing.target {
        page.push_str(&bounds(target));
    }
    let policies = standing.policies.iter().map(|one| policy(&one.policy));
    section(&mut page, "policies", policies);
    section(&mut page, "alarms", standing.alarms.iter().map(alarm));
    section(
        &mut page,
        "alarms of target tracking",
        standing.managed.iter().map(alarm),
    );
    let actions = standing.scheduled_actions.iter().map(scheduled);
    section(&mut page, "scheduled actions", actions);
    let metrics = seen.metrics.iter().map(checked);
    section(&mut page, "metrics, the last 15 minutes", metrics);
    section(
        &mut page,
        "activities, the newest first",
        seen.activities.iter().map(activity),
    );
    let cannot = standing.unread.iter().map(unread);
    section(
        &mut page,
        "not read",
        cannot.chain(seen.unread.iter().cloned()),
    );
    page
}

pub(super) fn unread(one: &Unread) -> String {
    format!("{} {}: {}", one.kind, one.name, one.why)
}

fn section(page: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    writeln!(page, "\n{title}").ok();
    for line in lines {
        writeln!(page, "  {}", line.replace('\n', "\n    ")).ok();
    }
}

fn bounds(target: &ScalableTarget) -> String {
    let state = target.suspended_state;
    let suspended = [
        (state.dynamic_scaling_in_suspended, "scale-in"),
        (state.dynamic_scaling_out_suspended, "scale-out"),
        (state.scheduled_scaling_suspended, "scheduled actions"),
    ];
    let suspended: Vec<&str> = suspended
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, what)| *what)
        .collect();
    let mut text = format!(
        "MinCapacity {}, MaxCapacity {}\n",
        target.min_capacity, target.max_capacity
    );
    if !suspended.is_empty() {
        writeln!(text, "suspended: {}", suspended.join(", ")).ok();
    }
    text
}

fn policy(policy: &ScalingPolicy) -> String {
    let what = match policy.rule() {
        Ok(Rule::TargetTracking(tracking)) => tracked(tracking),
        Ok(Rule::Step(steps)) => stepped(steps),
        Err(invalid) => invalid.to_string(),
    };
    format!("{}\n{what}", policy.policy_name)
}

fn tracked(tracking: &TargetTracking) -> String {
    let metric = match (&tracking.predefined, &tracking.customized) {
        (Some(metric), _) => metric.predefined_metric_type.clone(),
        (None, Some(metric)) => match &metric.metric_name {
            Some(name) => format!(
                "{} of {} {name} {}",
                metric.statistic.as_deref().unwrap_or_default(),
                metric.namespace.as_deref().unwrap_or_default(),
                dimensions(&metric.dimensions)
            ),
            None => math(&metric.metrics),
        },
        (None, None) => "nothing".to_owned(),
    };
    format!(
        "keeps {metric} at {}; cooldowns {} s out, {} s in{}",
        tracking.target_value,
        tracking.out_cooldown_secs(),
        tracking.in_cooldown_secs(),
        if tracking.scales_in() {
            ""
        } else {
            "; never scales in"
        }
    )
}

fn math(queries: &[MetricQuery]) -> String {
    let returned = queries
        .iter()
        .find(|query| query.return_data.unwrap_or(true));
    let expression = returned.and_then(|query| query.expression.as_deref());
    expression.unwrap_or("metric math").to_owned()
}

fn stepped(steps: &StepScaling) -> String {
    let each = steps.step_adjustments.iter().map(|step| {
        let bound = |bound: Option<f64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
        format!(
            "{}..{}: {}",
            bound(step.metric_interval_lower_bound),
            bound(step.metric_interval_upper_bound),
            match steps.adjustment_type {
                AdjustmentType::ChangeInCapacity => format!("{:+}", step.scaling_adjustment),
                AdjustmentType::PercentChangeInCapacity =>
                    format!("{:+} %", step.scaling_adjustment),
                AdjustmentType::ExactCapacity => format!("to {}", step.scaling_adjustment),
            }
        )
    });
    format!(
        "steps beyond the threshold {}; cooldown {} s",
        each.collect::<Vec<_>>().join(", "),
        steps.cooldown_secs()
    )
}

fn alarm(watched: &Watched) -> String {
    let alarm = &watched.alarm;
    let since = watched.state_updated_timestamp.as_ref();
    let since = since
        .map(|since| format!(" since {since}"))
        .unwrap_or_default();
    format!(
        "{}\n{}{since}; {}",
        alarm.alarm_name,
        watched.state_value,
        rings(alarm)
    )
}

fn rings(alarm: &MetricAlarm) -> String {
    let comparison = match alarm.comparison_operator {
        Comparison::AtLeast => "≥",
        Comparison::Above => ">",
        Comparison::Below => "<",
        Comparison::AtMost => "≤",
    };
    let stat = alarm
        .statistic
        .as_ref()
        .or(alarm.extended_statistic.as_ref());
    let metric = match &alarm.metric_name {
        Some(name) => format!(
            "{} of {} {name} {}",
            stat.map(String::as_str).unwrap_or_default(),
            alarm.namespace.as_deref().unwrap_or_default(),
            dimensions(&alarm.dimensions)
        ),
        None => math(&alarm.metrics),
    };
    let period = match alarm.metric() {
        Ok((_, period)) => format!(" of {period} s"),
        Err(_) => String::new(),
    };
    let disabled = match alarm.actions_enabled {
        Some(false) => "; its actions are disabled",
        _ => "",
    };
    format!(
        "{metric} {comparison} {}, {} of {} datapoints{period}{disabled}",
        alarm.threshold,
        alarm.to_alarm(),
        alarm.evaluation_periods
    )
}

fn scheduled(action: &ScheduledAction) -> String {
    let sets = action.scalable_target_action;
    let bound = |bound: Option<u32>| bound.map(|bound| bound.to_string()).unwrap_or_default();
    let within = |word: &str, time: &Option<String>| {
        time.as_ref()
            .map(|time| format!(" {word} {time}"))
            .unwrap_or_default()
    };
    let zone = action.timezone.as_ref().map(|zone| format!(" {zone}"));
    format!(
        "{}: {}{}{}{} sets {}..{}",
        action.scheduled_action_name,
        action.schedule.as_deref().unwrap_or_default(),
        zone.unwrap_or_default(),
        within("from", &action.start_time),
        within("until", &action.end_time),
        bound(sets.min_capacity),
        bound(sets.max_capacity)
    )
}

fn dimensions(dimensions: &[Dimension]) -> String {
    let each = dimensions
        .iter()
        .map(|one| format!("{}={}", one.name, one.value));
    format!("{{{}}}", each.collect::<Vec<_>>().join(", "))
}

fn checked(one: &Checked) -> String {
    let Metric {
        namespace,
        metric_name,
        stat,
        unit,
        period,
        ..
    } = &one.metric;
    let unit = unit
        .as_ref()
        .map(|unit| format!(" in {unit}"))
        .unwrap_or_default();
    let mut text = format!(
        "{stat} of {namespace} {metric_name} {}{unit}, {period} s (of {})\n{}",
        dimensions(&one.metric.dimensions),
        one.named_by.join(", "),
        data(&one.data)
    );
    if let Some(samples) = &one.samples {
        write!(text, "\n{}", sampled(samples)).ok();
    }
    text
}

fn data(data: &Data) -> String {
    match data {
        Data::Points {
            count,
            newest,
            at,
            age_secs,
        } => {
            let datapoints = if *count == 1 {
                "datapoint"
            } else {
                "datapoints"
            };
            format!("{count} {datapoints}, the newest {newest} of {at}, {age_secs} s ago")
        }
        Data::None(silence) => format!("no data: {}", silent(silence)),
        Data::Unread(why) => format!("cannot be read: {why}"),
    }
}

fn silent(silence: &Silence) -> String {
    match silence {
        Silence::NoMetric => "no metric has this name in this namespace".to_owned(),
        Silence::NothingOfLate => "it is published, but nothing came of late".to_owned(),
        Silence::OtherUnits(units) => format!("it is published in {}", units.join(", ")),
        Silence::OtherDimensions(sets) => {
            let sets: Vec<String> = sets.iter().map(|set| dimensions(set)).collect();
            format!("it is published with {}", sets.join(", with "))
        }
    }
}

fn sampled(samples: &Samples) -> String {
    match samples {
        Samples::Counted {
            at,
            samples: count,
            instances,
        } => {
            let each = samples.each().unwrap_or_default();
            let counted =
                format!("{count} samples from {instances} instances in the minute of {at}");
            match samples.is_even() {
                true => format!("{counted}: {each} each"),
                false => format!(
                    "{counted}: {each:.1} each, and 60 were expected: who writes less weighs less in Average"
                ),
            }
        }
        Samples::NoCommonMinute => {
            "samples are not compared: no minute has both them and SageMaker's CPUUtilization"
                .to_owned()
        }
        Samples::Unread(why) => format!("samples are not compared: {why}"),
    }
}

fn activity(one: &Activity) -> String {
    let mut text = format!(
        "{} {}: {}",
        one.start_time, one.status_code, one.description
    );
    for reason in &one.not_scaled_reasons {
        let bounds = [
            ("min", reason.min_capacity),
            ("max", reason.max_capacity),
            ("current", reason.current_capacity),
        ];
        let bounds = bounds
            .iter()
            .filter_map(|(name, value)| Some(format!("{name} {}", (*value)?)));
        let bounds: Vec<String> = bounds.collect();
        write!(
            text,
            "\nnot scaled: {} ({})",
            reason.code,
            bounds.join(", ")
        )
        .ok();
    }
    if let Some(message) = &one.status_message {
        write!(text, "\n{message}").ok();
    }
    write!(text, "\n{}", one.cause).ok();
    text
}
