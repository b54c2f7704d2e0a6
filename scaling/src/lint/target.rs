//! What a target and its policies do together: bounds, zero, schedules, who adds and who removes.

use crate::document::{Item, Node};
use crate::policy::Scalable;

use super::rules::{
    FIXED, NEVER_IN, NO_GUARD, NO_RETURN, NO_WAKE_UP, SMALL_STEPS, STEP_IN, SUSPENDED, ZERO_MINIMUM,
};
use super::tracking::ALARM_SECS;
use super::view::{Kind, Policy, Used, View, STEP, TRACKING};
use super::Findings;

/// More launches than this one after another are many.
const MANY_LAUNCHES: f64 = 6.0;

/// Bounds, schedules, and what the policies of a target do together.
pub(super) fn check(view: &View<'_>, found: &mut Findings) {
    for target in &view.documents.targets {
        of_target(view, target, found);
    }
    if view.documents.targets.is_empty() {
        together(view, &view.policies.iter().collect::<Vec<_>>(), found);
    }
}

fn of_target(view: &View<'_>, target: &Item, found: &mut Findings) {
    let policies: Vec<&Policy<'_>> = view.of(target).collect();
    let (min, max) = (
        target.node.get("MinCapacity"),
        target.node.get("MaxCapacity"),
    );
    let scalable = super::view::scalable(target);
    if min.as_number() == Some(0.0) {
        zero(view, target, scalable, min, &policies, found);
    }
    if let (Some(least), Some(most)) = (min.as_number(), max.as_number()) {
        if least == most && !policies.is_empty() {
            let message = format!("MinCapacity and MaxCapacity are both {least}");
            found.add(FIXED, target, "MaxCapacity", max, message);
        }
    }
    let suspended = target.node.get("SuspendedState");
    for (name, value) in suspended.entries() {
        if value.as_bool() == Some(true) {
            let path = format!("SuspendedState.{name}");
            found.add(SUSPENDED, target, &path, value, format!("{name} is true"));
        }
    }
    for policy in &policies {
        small_steps(policy, min, max, found);
    }
    no_return(view, target, min, found);
    scheduled_zero(view, target, scalable, found);
    together(view, &policies, found);
}

/// How many launches one after another a step policy needs.
fn small_steps(policy: &Policy<'_>, min: &Node, max: &Node, found: &mut Findings) {
    let Kind::Step { node, .. } = &policy.kind else {
        return;
    };
    let (Some(least), Some(most)) = (min.as_number(), max.as_number()) else {
        return;
    };
    let steps = node.get("StepAdjustments");
    let added = steps
        .list()
        .iter()
        .filter_map(|step| step.get("ScalingAdjustment").as_number());
    let Some(largest) = added.filter(|by| *by > 0.0).max_by(f64::total_cmp) else {
        return;
    };
    let is_wake_up = least == 0.0;
    let by_one = node.get("AdjustmentType").as_text() == Some("ChangeInCapacity");
    let launches = ((most - least) / largest).ceil();
    if by_one && !is_wake_up && launches > MANY_LAUNCHES {
        let message = format!("{largest} at a time: from {least} to {most} that is {launches} launches one after another");
        let path = format!("{STEP}.StepAdjustments");
        found.add(SMALL_STEPS, policy.item, &path, steps, message);
    }
}

/// Schedules that raise the least capacity, and none that sets it back.
fn no_return(view: &View<'_>, target: &Item, min: &Node, found: &mut Findings) {
    let own = view.documents.scheduled.iter().filter(|item| {
        super::view::target_of(view.documents, item).is_some_and(|of| std::ptr::eq(of, target))
    });
    let set = |item: &Item| item.node.at("ScalableTargetAction.MinCapacity").as_number();
    let (Some(least), actions) = (min.as_number(), own.collect::<Vec<_>>()) else {
        return;
    };
    let lowest = actions
        .iter()
        .filter_map(|item| set(item))
        .min_by(f64::total_cmp);
    let raised = actions.iter().find(|item| set(item).is_some());
    // Where actions set different bounds, one of them is the way back.
    let is_one = actions
        .iter()
        .filter_map(|item| set(item))
        .all(|min| Some(min) == lowest);
    if let (Some(raised), Some(lowest)) =
        (raised, lowest.filter(|lowest| *lowest > least && is_one))
    {
        let path = "ScalableTargetAction.MinCapacity";
        let message = format!("MinCapacity becomes {lowest}, and nothing sets it back to {least}");
        found.add(NO_RETURN, raised, path, raised.node.at(path), message);
    }
}

/// Schedules that leave a real-time variant without an instance.
fn scheduled_zero(
    view: &View<'_>,
    target: &Item,
    scalable: Option<Scalable>,
    found: &mut Findings,
) {
    if scalable != Some(Scalable::Instances) || view.context.is_async {
        return;
    }
    for item in &view.documents.scheduled {
        let is_own =
            super::view::target_of(view.documents, item).is_some_and(|of| std::ptr::eq(of, target));
        let path = "ScalableTargetAction.MinCapacity";
        let min = item.node.at(path);
        if is_own && min.as_number() == Some(0.0) {
            let message = "MinCapacity 0 on a real-time variant; expected 1 or more (an asynchronous endpoint may have 0: --async)";
            found.add(ZERO_MINIMUM, item, path, min, message);
        }
    }
}

fn zero(
    view: &View<'_>,
    target: &Item,
    scalable: Option<Scalable>,
    min: &Node,
    policies: &[&Policy<'_>],
    found: &mut Findings,
) {
    // A percentage of nothing is nothing.
    let adds =
        |node: &Node| node.get("AdjustmentType").as_text() != Some("PercentChangeInCapacity");
    let wakes = policies.iter().any(|policy| {
        matches!(policy.kind, Kind::Step { node } if adds(node))
            && view.alarms.iter().any(|alarm| {
                let mut calls = alarm.calls.iter();
                alarm.used.iter().any(Used::is_wake_up)
                    && calls.any(|called| std::ptr::eq(*called, policy.item))
            })
    });
    let has_backlog = policies.iter().any(|policy| match &policy.kind {
        Kind::Tracking { used, .. } => used.iter().any(|used| {
            used.name
                .as_text()
                .is_some_and(|name| name.starts_with("ApproximateBacklog"))
        }),
        _ => false,
    });
    let is_variant = scalable == Some(Scalable::Instances);
    if is_variant && !view.context.is_async && !has_backlog {
        let message = "MinCapacity 0 on a real-time variant; expected 1 or more (an asynchronous endpoint may have 0: --async)";
        return found.add(ZERO_MINIMUM, target, "MinCapacity", min, message);
    }
    let hint = match scalable {
        Some(Scalable::Copies) => "an alarm on NoCapacityInvocationFailures",
        Some(Scalable::Instances) => "an alarm on HasBacklogWithoutCapacity",
        _ => return,
    };
    if !wakes {
        let message = format!(
            "MinCapacity 0 and no step policy that adds the first; expected one with {hint}"
        );
        found.add(NO_WAKE_UP, target, "MinCapacity", min, message);
    }
}

/// What the policies of one target do together.
fn together(view: &View<'_>, policies: &[&Policy<'_>], found: &mut Findings) {
    let removes = |policy: &Policy<'_>| match &policy.kind {
        Kind::Tracking { node, .. } => node.get("DisableScaleIn").as_bool() != Some(true),
        Kind::Step { node, .. } => step_removes(node),
        Kind::Other => true,
    };
    let trackers: Vec<&&Policy<'_>> = policies
        .iter()
        .filter(|policy| matches!(policy.kind, Kind::Tracking { .. }))
        .collect();
    if let Some(first) = trackers.first() {
        if !policies.iter().any(|policy| removes(policy)) {
            let Kind::Tracking { node, .. } = &first.kind else {
                return;
            };
            let path = format!("{TRACKING}.DisableScaleIn");
            let message = "true, and no other policy removes capacity";
            found.add(
                NEVER_IN,
                first.item,
                &path,
                node.get("DisableScaleIn"),
                message,
            );
        }
        for policy in policies {
            let Kind::Step { node, .. } = &policy.kind else {
                continue;
            };
            let scales_in = trackers.iter().any(|tracker| removes(tracker));
            if scales_in && step_removes(node) {
                let message = format!(
                    "removes capacity beside {:?}, which waits until it is safe",
                    first.item.name()
                );
                let path = format!("{STEP}.StepAdjustments");
                found.add(
                    STEP_IN,
                    policy.item,
                    &path,
                    node.get("StepAdjustments"),
                    message,
                );
            }
        }
    }
    let is_fast = |policy: &&&Policy<'_>| match &policy.kind {
        Kind::Tracking {
            predefined, used, ..
        } => {
            predefined.as_text().is_some_and(|name| name.ends_with("HighResolution"))
                // A queue is patient.
                || used.iter().any(|used| {
                    used.name.as_text().is_some_and(|name| name.starts_with("Approximate"))
                })
                || predefined.as_text().is_some_and(|name| name.contains("Provisioned"))
        }
        Kind::Step { .. } => true,
        Kind::Other => true,
    };
    if let Some(first) = trackers.first() {
        let judged = view.context.is_async || policies.iter().any(|policy| is_fast(&policy));
        let is_known = match &first.kind {
            Kind::Tracking {
                used, predefined, ..
            } => {
                used.iter().any(|used| used.known.is_some())
                    || predefined.as_text().is_some_and(|name| {
                        crate::policy::PREDEFINED
                            .iter()
                            .any(|known| known.name == name)
                    })
            }
            _ => false,
        };
        if !judged && is_known {
            let message = format!(
                "{:?} is all there is: from a burst to the first new instance pass some {} minutes",
                first.item.name(),
                (ALARM_SECS + view.context.launch_secs) / 60
            );
            found.add(NO_GUARD, first.item, "", &first.item.node, message);
        }
    }
}

/// Whether a step policy can remove capacity.
fn step_removes(node: &Node) -> bool {
    let exact = node.get("AdjustmentType").as_text() == Some("ExactCapacity");
    let mut steps = node.get("StepAdjustments").list().iter();
    !exact
        && steps.any(|step| {
            step.get("ScalingAdjustment")
                .as_number()
                .is_some_and(|by| by < 0.0)
        })
}
