//! What no account can take of a document.

use scaling::policy::Invalid;
use scaling::simulate::Configuration;

use crate::{invalid, Names, Standing};

/// # Errors
/// As [`super::difference()`].
pub(super) fn check(
    wanted: &Configuration,
    names: &Names,
    standing: &Standing,
) -> Result<(), Invalid> {
    of_one_target(wanted, names)?;
    with_schedules(wanted)?;
    named_once(wanted)?;
    not_taken(wanted, standing)
}

/// Policies and scheduled actions are the target's, where they say whose they are.
fn of_one_target(wanted: &Configuration, names: &Names) -> Result<(), Invalid> {
    let policies = wanted.policies.iter().enumerate().map(|(at, one)| {
        let said = [
            &one.service_namespace,
            &one.resource_id,
            &one.scalable_dimension,
        ];
        (format!("policies[{at}]"), said)
    });
    let actions = wanted
        .scheduled_actions
        .iter()
        .enumerate()
        .map(|(at, one)| {
            let said = [
                &one.service_namespace,
                &one.resource_id,
                &one.scalable_dimension,
            ];
            (format!("scheduled_actions[{at}]"), said)
        });
    let members = [
        ("ServiceNamespace", &names.service_namespace),
        ("ResourceId", &names.resource_id),
        ("ScalableDimension", &names.scalable_dimension),
    ];
    for (path, said) in policies.chain(actions) {
        for ((member, own), said) in members.iter().zip(said) {
            if let Some(said) = said.as_ref().filter(|said| said != own) {
                return Err(invalid(
                    format!("{path}.{member}"),
                    format!("{said:?}; expected the target's, {own:?}"),
                ));
            }
        }
    }
    Ok(())
}

fn with_schedules(wanted: &Configuration) -> Result<(), Invalid> {
    let mut actions = wanted.scheduled_actions.iter();
    match actions.position(|action| action.schedule.is_none()) {
        None => Ok(()),
        Some(at) => Err(invalid(
            format!("scheduled_actions[{at}].Schedule"),
            "is missing; expected at(…), rate(…) or cron(…): seconds from the beginning are a simulation's",
        )),
    }
}

fn named_once(wanted: &Configuration) -> Result<(), Invalid> {
    let policies = wanted
        .policies
        .iter()
        .map(|one| ("PolicyName", &one.policy_name));
    let alarms = wanted
        .alarms
        .iter()
        .map(|one| ("AlarmName", &one.alarm_name));
    let actions = wanted.scheduled_actions.iter();
    let actions = actions.map(|one| ("ScheduledActionName", &one.scheduled_action_name));
    let mut seen = Vec::new();
    for named in policies.chain(alarms).chain(actions) {
        if seen.contains(&named) {
            return Err(invalid(named.0, format!("{:?} is used twice", named.1)));
        }
        seen.push(named);
    }
    Ok(())
}

/// Names under which something stands that cannot be compared, or that is nobody's to change.
fn not_taken(wanted: &Configuration, standing: &Standing) -> Result<(), Invalid> {
    let taken = |field: &str, name: &str, why: &str| {
        Err(invalid(
            field,
            format!("{name:?} {why}; expected another name"),
        ))
    };
    let unread = |kind: &str, name: &str| {
        let mut unread = standing.unread.iter();
        unread.find(|one| one.kind == kind && one.name == name)
    };
    for policy in &wanted.policies {
        if let Some(one) = unread("policy", &policy.policy_name) {
            return taken("PolicyName", &one.name, &format!("stands and {}", one.why));
        }
    }
    for alarm in &wanted.alarms {
        if let Some(one) = unread("alarm", &alarm.alarm_name) {
            return taken("AlarmName", &one.name, &format!("stands and {}", one.why));
        }
        let mut managed = standing.managed.iter();
        if managed.any(|one| one.alarm.alarm_name == alarm.alarm_name) {
            return taken("AlarmName", &alarm.alarm_name, "is target tracking's own");
        }
    }
    Ok(())
}
