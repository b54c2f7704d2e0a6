//! What target tracking will do that its author may not expect: the metric, its target, its cooldowns.

use crate::document::{Item, Node};
use crate::known::{Bound, Known, Nature};

use super::rules::{
    ASYNC, BEYOND_BOUND, BOUNDED, COOLDOWN, CPU_SCALE, FRACTION, GPU_TIME, HEAD_ROOM, INVOCATIONS,
    LATENCY, MAXIMUM, MICROSECONDS, NOT_PROPORTIONAL, SPINNING,
};
use super::view::{Kind, Policy, Used, View, TRACKING};
use super::Findings;

/// A latency below this is meant in milliseconds: no network answers within it.
const LEAST_MICROS: f64 = 5_000.0;
/// What an alarm of three minutes and a published metric take.
pub(super) const ALARM_SECS: u64 = 240;
/// From this share on, in percent, a launch comes too late for a growth that is usual.
const LEAST_CROWDED: f64 = 90.0;
/// A target below so many percent of the machine is meant for one core.
const LEAST_MEANT: f64 = 40.0;
/// Below this share of what it can do an instance is idle.
const LEAST_USED: f64 = 0.2;
/// Rounds are counted up to so many.
const MOST_ROUNDS: u32 = 60;

/// What target tracking tracks, and how.
pub(super) fn check(view: &View<'_>, found: &mut Findings) {
    for policy in &view.policies {
        if let Kind::Tracking {
            node,
            used,
            predefined,
            ..
        } = &policy.kind
        {
            let target = node.get("TargetValue");
            tracked(view, policy, used, target, found);
            predefined_target(policy, predefined, target, found);
            invocations(view, policy, target, found);
            cooldowns(view, policy.item, node, found);
        }
    }
}

fn tracked(
    view: &View<'_>,
    policy: &Policy<'_>,
    used: &[Used<'_>],
    target: &Node,
    found: &mut Findings,
) {
    let item = policy.item;
    // What metric math makes of several is not judged, only what it is made of.
    let [one] = used else {
        let is_latency = |used: &&Used<'_>| {
            matches!(
                used.known,
                Some(Known {
                    nature: Nature::Latency,
                    ..
                })
            )
        };
        if let Some(latency) = used.iter().find(is_latency) {
            let message = format!(
                "the expression is made of {}",
                latency.name.as_text().unwrap_or_default()
            );
            found.add(LATENCY, item, &latency.path, latency.name, message);
        }
        return;
    };
    let is_math = one.id.is_some();
    let Some(known) = one.known else { return };
    let name = known.name;
    let path = format!("{TRACKING}.TargetValue");
    let value = target.as_number();
    match known.nature {
        Nature::Latency => {
            found.add(
                LATENCY,
                item,
                &one.path,
                one.name,
                format!("{name} is tracked"),
            );
            if let Some(value) =
                value.filter(|v| !is_math && is_micros(&known) && *v < LEAST_MICROS)
            {
                let message = format!(
                    "{value} µs is {} ms; for {value} ms expected {}",
                    value / 1000.0,
                    value * 1000.0
                );
                found.add(MICROSECONDS, item, &path, target, message);
            }
        }
        Nature::Total if is_ours_per_instance(one, &known) => {}
        Nature::Total | Nature::Other if !is_math => {
            let message = format!("{name} does not fall as capacity grows");
            found.add(NOT_PROPORTIONAL, item, &one.path, one.name, message);
        }
        Nature::Bounded(bound) if !is_math => {
            if let Some(value) = value {
                bounded(view, policy, &known, bound, value, target, found);
            }
        }
        Nature::Load if known.unit == "Percent" => {
            if let Some(value) = value.filter(|value| *value <= 1.0 && !is_math) {
                let message = format!(
                    "{value} % of {name}; for a share of {value} expected {}",
                    value * 100.0
                );
                found.add(FRACTION, item, &path, target, message);
            }
        }
        _ => {}
    }
    if name.starts_with("GPUUtilization") {
        let message = format!("{name} is the share of time in which any kernel ran");
        found.add(GPU_TIME, item, &one.path, one.name, message);
    }
    if name.starts_with("CPUUtilization") && known.namespace.is_some() {
        let message = format!("{name} counts threads that spin while they wait");
        found.add(SPINNING, item, &one.path, one.name, message);
    }
    let is_load = known.nature == Nature::Load && known.unit == "Percent" && !is_math;
    if let Some(value) = value.filter(|value| is_load && *value >= LEAST_CROWDED) {
        head_room(item, name, value, value, target, found);
    }
}

fn head_room(
    item: &Item,
    name: &str,
    value: f64,
    percent: f64,
    target: &Node,
    found: &mut Findings,
) {
    let left = 100.0 / percent - 1.0;
    let message = match left > 0.0 {
        true => format!(
            "{name} at {value}: traffic that grows by {:.0} % within a launch fills the instances",
            100.0 * left
        ),
        false => format!("{name} at {value}: the instances are full before anything is added"),
    };
    let path = format!("{TRACKING}.TargetValue");
    found.add(HEAD_ROOM, item, &path, target, message);
}

/// InvocationsPerInstance, predefined or not, against what an instance can do.
fn invocations(view: &View<'_>, policy: &Policy<'_>, target: &Node, found: &mut Findings) {
    let Kind::Tracking {
        used, predefined, ..
    } = &policy.kind
    else {
        return;
    };
    let is_predefined = predefined.as_text() == Some("SageMakerVariantInvocationsPerInstance");
    let named = match used.as_slice() {
        [one] if one.id.is_none() => one.name.as_text(),
        _ => None,
    };
    let is_named = matches!(named, Some("InvocationsPerInstance" | "Invocations"));
    let is_aws = used
        .iter()
        .any(|one| one.known.is_some_and(|known| known.namespace.is_some()));
    if !(is_predefined || is_named && is_aws) {
        return;
    }
    if view.context.is_async {
        let message = "an asynchronous endpoint publishes no invocations";
        let node = if is_predefined { *predefined } else { target };
        found.add(ASYNC, policy.item, TRACKING, node, message);
    }
    let (Some(value), Some(rate)) = (target.as_number(), view.context.max_rate) else {
        return;
    };
    let share = value / (60.0 * rate);
    if !(LEAST_USED..=LEAST_CROWDED / 100.0).contains(&share) {
        let message = format!(
            "{value} a minute are {:.1} % of the {rate} a second that an instance answers; expected such as {:.0}",
            100.0 * share,
            30.0 * rate
        );
        let path = format!("{TRACKING}.TargetValue");
        found.add(INVOCATIONS, policy.item, &path, target, message);
    }
}

fn is_micros(known: &Known) -> bool {
    known.unit == "Microseconds"
}

/// Our counters' Average is that of an instance and a period.
fn is_ours_per_instance(used: &Used<'_>, known: &Known) -> bool {
    known.namespace.is_none() && used.stat.as_text() == Some("Average")
}

fn concurrency(item: &Item, target: &Node, path: &str, found: &mut Findings) {
    if let Some(value) = target.as_number() {
        let message =
            format!("the alarm compares {value} with the Maximum of 10 s, not with the mean");
        found.add(MAXIMUM, item, path, target, message);
    }
}

fn predefined_target(policy: &Policy<'_>, predefined: &Node, target: &Node, found: &mut Findings) {
    let (Some(name), Some(value)) = (predefined.as_text(), target.as_number()) else {
        return;
    };
    let path = format!("{TRACKING}.TargetValue");
    if name.contains("ConcurrentRequests") {
        concurrency(policy.item, target, &path, found);
    }
    if name == "SageMakerVariantProvisionedConcurrencyUtilization" && value >= 1.0 {
        let message = match value > 1.0 {
            true => format!(
                "{value} of a fraction from 0 to 1; for {value} % expected {}",
                value / 100.0
            ),
            false => "1 of a fraction from 0 to 1 is never passed; expected such as 0.7".to_owned(),
        };
        found.add(FRACTION, policy.item, &path, target, message);
    }
}

fn bounded(
    view: &View<'_>,
    policy: &Policy<'_>,
    known: &Known,
    bound: Bound,
    value: f64,
    target: &Node,
    found: &mut Findings,
) {
    let item = policy.item;
    let path = format!("{TRACKING}.TargetValue");
    let name = known.name;
    let (most, of_what, units) = match bound {
        Bound::Hundred => (Some(100.0), "", None),
        Bound::One => (Some(1.0), "", None),
        Bound::PerVcpu => (
            view.context.vcpus.map(|n| 100.0 * n),
            "vCPU",
            view.context.vcpus,
        ),
        Bound::PerGpu => (
            view.context.gpus.map(|n| 100.0 * n),
            "GPU",
            view.context.gpus,
        ),
    };
    if bound == Bound::One && value > 1.0 {
        let message = format!(
            "{value} of a fraction from 0 to 1; for {value} % expected {}",
            value / 100.0
        );
        return found.add(FRACTION, item, &path, target, message);
    }
    if bound != Bound::One && value <= 1.0 {
        let message = format!(
            "{value} % of {name}; for a share of {value} expected {}",
            value * 100.0
        );
        return found.add(FRACTION, item, &path, target, message);
    }
    if let Some(most) = most.filter(|most| value >= *most) {
        let message = format!("{value}, and {name} is never above {most}");
        return found.add(BEYOND_BOUND, item, &path, target, message);
    }
    match units {
        Some(units) if value <= 100.0 && value / units < LEAST_MEANT => {
            let message = format!(
                "{name} goes to {} here: {value} is {:.1} % of the machine; for {value} % expected {}",
                100.0 * units,
                value / units,
                value * units
            );
            return found.add(CPU_SCALE, item, &path, target, message);
        }
        None if !of_what.is_empty() && value <= 100.0 => {
            let message = format!(
                "{name} goes to 100 × {of_what}s: on 8 of them {value} is {:.1} % of the machine, and {value} % is {}",
                value / 8.0,
                value * 8.0
            );
            return found.add(CPU_SCALE, item, &path, target, message);
        }
        _ => {}
    }
    if let Some(most) = most.filter(|most| 100.0 * value / most >= LEAST_CROWDED) {
        head_room(item, name, value, 100.0 * value / most, target, found);
    }
    // Of a machine that nobody knows the largest that the target allows is not said.
    let Some(most) = most else { return };
    growth(view, policy, name, value, most, target, found);
}

/// How many rounds it takes from the least capacity to the largest.
fn growth(
    view: &View<'_>,
    policy: &Policy<'_>,
    name: &str,
    value: f64,
    most: f64,
    target: &Node,
    found: &mut Findings,
) {
    let bounds = policy.target.map(|target| &target.node);
    let bound = |name: &str| bounds.and_then(|node| node.get(name).as_number());
    let (least, largest) = (bound("MinCapacity"), bound("MaxCapacity"));
    let factor = most / value;
    let cooldown = match &policy.kind {
        Kind::Tracking { node, .. } => node.get("ScaleOutCooldown").as_number().unwrap_or(300.0),
        _ => 300.0,
    };
    let rounds = match (least, largest) {
        (Some(least), Some(largest)) if least < largest => {
            let mut capacity = least.max(1.0);
            let mut rounds = 0;
            while capacity < largest && rounds < MOST_ROUNDS {
                capacity = (capacity * factor - 1e-9).ceil().max(capacity + 1.0);
                rounds += 1;
            }
            let launch = view.context.launch_secs;
            let a_round = cooldown.max(ALARM_SECS as f64) + launch as f64;
            let minutes = (f64::from(rounds) * a_round / 60.0).round();
            // A fleet that is there in one round has nothing to wait for.
            if rounds <= 1 {
                return;
            }
            format!("; from {least} to {largest} that is {rounds} rounds, about {minutes} minutes")
        }
        _ => String::new(),
    };
    let has_guard = view.policies.iter().any(|other| {
        matches!(other.kind, Kind::Step { .. })
            && match (other.target, policy.target) {
                (Some(a), Some(b)) => std::ptr::eq(a, b),
                _ => true,
            }
    });
    if has_guard {
        return;
    }
    let message = format!(
        "{name} ends at {most}: with a target of {value} a round grows the fleet by × {factor:.2} at most{rounds}"
    );
    let path = format!("{TRACKING}.TargetValue");
    found.add(BOUNDED, policy.item, &path, target, message);
}

fn cooldowns(view: &View<'_>, item: &Item, node: &Node, found: &mut Findings) {
    let launch = view.context.launch_secs as f64;
    let inward = node.get("ScaleInCooldown");
    let is_off = node.get("DisableScaleIn").as_bool() == Some(true);
    if let Some(secs) = inward
        .as_number()
        .filter(|secs| *secs < launch.min(180.0) && !is_off)
    {
        let path = format!("{TRACKING}.ScaleInCooldown");
        let message = format!("{secs} s for scaling in, and an instance that was removed takes about {launch} s to come back; expected 180 or more");
        found.add(COOLDOWN, item, &path, inward, message);
    }
    let outward = node.get("ScaleOutCooldown");
    if let Some(secs) = outward.as_number().filter(|secs| *secs > 300.0) {
        let path = format!("{TRACKING}.ScaleOutCooldown");
        let message = format!("{secs} s for scaling out: after each launch nothing is added for so long, unless more than before is asked for; expected 300 or less");
        found.add(COOLDOWN, item, &path, outward, message);
    }
}

/// The alarms' rule of microseconds.
pub(super) fn threshold(used: &Used<'_>, item: &Item, found: &mut Findings) {
    let Some(known) = used.known else { return };
    let threshold = item.node.get("Threshold");
    let Some(value) = threshold.as_number() else {
        return;
    };
    // What metric math makes of it may be milliseconds, and a number of samples is no time.
    if used.id.is_some() || used.stat.as_text() == Some("SampleCount") {
        return;
    }
    let least = match (known.namespace, known.name) {
        // What happens inside of one machine may take little.
        (Some(_), "ModelLatency") | (None, "RequestLatency") => 1_000.0,
        (None, _) => 100.0,
        (Some(_), _) => LEAST_MICROS,
    };
    if known.nature == Nature::Latency && is_micros(&known) && value < least && value > 0.0 {
        let message = format!(
            "{value} µs is {} ms; for {value} ms expected {}",
            value / 1000.0,
            value * 1000.0
        );
        found.add(MICROSECONDS, item, "Threshold", threshold, message);
    }
}
