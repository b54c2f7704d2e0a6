//! What a document wants and what stands, and what is to be done for the one to become the other.
//!
//! Pure: documents in, changes out. What AWS takes for the same is no difference, such as a cooldown
//! that is left out and one of 300 seconds.

mod check;
mod compare;
mod normal;

use std::collections::BTreeMap;

use scaling::policy::{Invalid, MetricAlarm, ScalableTarget, ScalingPolicy, ScheduledAction};
use scaling::simulate::Configuration;
use serde_json::Value;

use compare::act;

use crate::standing::Watched;
use crate::{Names, Standing};

/// What is to be done, in its order, and what is left alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The target's names.
    pub names: Names,
    /// Target, policies, alarms, scheduled actions; unchanged ones among them.
    pub changes: Vec<Change>,
    /// What stands and is not in the document.
    pub left: Vec<Left>,
}

impl Difference {
    /// Those that change something.
    pub fn due(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.act != Act::Keep)
    }
}

/// A part of the document, and what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What is wanted.
    pub document: Document,
    /// What is to be done.
    pub act: Act,
}

/// A part of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// `RegisterScalableTarget`.
    Target(ScalableTarget),
    /// `PutScalingPolicy`.
    Policy(ScalingPolicy),
    /// `PutMetricAlarm`; its actions are names of policies, and ARNs of what is none.
    Alarm(MetricAlarm),
    /// `PutScheduledAction`.
    ScheduledAction(ScheduledAction),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// It does not stand yet.
    Create,
    /// It stands with other fields.
    Update(Vec<Field>),
    /// It stands as it is wanted.
    Keep,
}

/// A field that changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its path in the document, such as `TargetTrackingScalingPolicyConfiguration.TargetValue`.
    pub path: String,
    /// What stands; none where nothing does.
    pub before: Option<Value>,
    /// What is wanted; none where it is left out.
    pub after: Option<Value>,
}

/// Something that stands and is not in the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// `policy`, `alarm`, `scheduled action` or `action of alarm NAME`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl Change {
    /// Its kind and name.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.document.kind(), self.document.name())
    }

    /// Whether something is to be done, now that the policies have these ARNs: an alarm whose policy was
    /// made anew calls the old one.
    pub(crate) fn is_due(&self, arns: &BTreeMap<String, String>, standing: &Standing) -> bool {
        if self.act != Act::Keep {
            return true;
        }
        let Document::Alarm(alarm) = &self.document else {
            return false;
        };
        let moved = |name: &String| {
            let before = standing
                .policies
                .iter()
                .find(|one| one.policy.policy_name == *name);
            before.is_some_and(|one| arns.get(name) != Some(&one.arn))
        };
        alarm.alarm_actions.iter().any(moved)
    }
}

impl Document {
    /// What it is, for a person.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Target(_) => "target",
            Self::Policy(_) => "policy",
            Self::Alarm(_) => "alarm",
            Self::ScheduledAction(_) => "scheduled action",
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Target(target) => target.resource_id.as_deref().unwrap_or_default(),
            Self::Policy(policy) => &policy.policy_name,
            Self::Alarm(alarm) => &alarm.alarm_name,
            Self::ScheduledAction(action) => &action.scheduled_action_name,
        }
    }
}

/// What is to be done for `standing` to become what is wanted.
///
/// # Errors
/// A part of the document that no account can take: names that are missing or another target's, a name
/// that is used twice, a time that only a simulation has, an alarm that stands as no document can say it.
pub fn difference(wanted: &Configuration, standing: &Standing) -> Result<Difference, Invalid> {
    let names = Names::of(&wanted.target)?;
    check::check(wanted, &names, standing)?;
    let mut changes = vec![target(wanted, standing)];
    changes.extend(wanted.policies.iter().map(|one| policy(one, standing)));
    changes.extend(wanted.alarms.iter().map(|one| alarm(one, &names, standing)));
    changes.extend(
        wanted
            .scheduled_actions
            .iter()
            .map(|one| scheduled(one, standing)),
    );
    let left = left(wanted, &changes, standing);
    Ok(Difference {
        names,
        changes,
        left,
    })
}

fn target(wanted: &Configuration, standing: &Standing) -> Change {
    let act = match &standing.target {
        None => Act::Create,
        Some(before) => act(&normal::target(before), &normal::target(&wanted.target)),
    };
    Change {
        document: Document::Target(wanted.target.clone()),
        act,
    }
}

fn policy(wanted: &ScalingPolicy, standing: &Standing) -> Change {
    let mut found = standing.policies.iter();
    let act = match found.find(|one| one.policy.policy_name == wanted.policy_name) {
        None => Act::Create,
        Some(before) => act(&normal::policy(&before.policy), &normal::policy(wanted)),
    };
    Change {
        document: Document::Policy(wanted.clone()),
        act,
    }
}

fn alarm(wanted: &MetricAlarm, names: &Names, standing: &Standing) -> Change {
    let mut document = wanted.clone();
    let act = match found_alarm(standing, &wanted.alarm_name) {
        None => Act::Create,
        Some(before) => {
            let mut before = before.alarm.clone();
            for action in &mut before.alarm_actions {
                if let Some(policy) = standing.called_by(action) {
                    *action = policy.to_owned();
                }
            }
            keep_others(&mut document, &before, names, standing);
            act(&normal::alarm(&before), &normal::alarm(&document))
        }
    };
    Change {
        document: Document::Alarm(document),
        act,
    }
}

fn found_alarm<'s>(standing: &'s Standing, name: &str) -> Option<&'s Watched> {
    standing
        .alarms
        .iter()
        .find(|one| one.alarm.alarm_name == name)
}

/// PutMetricAlarm replaces all of an alarm. Whom it calls beside the policies of this target is nothing
/// that the document decides.
fn keep_others(
    document: &mut MetricAlarm,
    before: &MetricAlarm,
    names: &Names,
    standing: &Standing,
) {
    let is_policy = |name: &String| {
        standing
            .policies
            .iter()
            .any(|one| one.policy.policy_name == *name)
    };
    let others = before.alarm_actions.iter();
    let others = others.filter(|action| !is_policy(action) && !names.has_policy(action));
    join(&mut document.alarm_actions, others);
    join(&mut document.ok_actions, before.ok_actions.iter());
    let insufficient = before.insufficient_data_actions.iter();
    join(&mut document.insufficient_data_actions, insufficient);
}

fn join<'a>(list: &mut Vec<String>, more: impl Iterator<Item = &'a String>) {
    for one in more {
        if !list.contains(one) {
            list.push(one.clone());
        }
    }
}

fn scheduled(wanted: &ScheduledAction, standing: &Standing) -> Change {
    let name = &wanted.scheduled_action_name;
    let mut found = standing.scheduled_actions.iter();
    let mut document = wanted.clone();
    let act = match found.find(|one| one.scheduled_action_name == *name) {
        None => Act::Create,
        Some(before) => {
            // What a call leaves out stays as it is, but for the times.
            if document.timezone.is_none() && before.timezone.is_some() && !normal::is_rate(wanted)
            {
                document.timezone = Some(normal::UTC.to_owned());
            }
            act(&normal::scheduled(before), &normal::scheduled(&document))
        }
    };
    Change {
        document: Document::ScheduledAction(document),
        act,
    }
}

fn left(wanted: &Configuration, changes: &[Change], standing: &Standing) -> Vec<Left> {
    let mut left = Vec::new();
    let mut add = |kind: String, name: &str| {
        let name = name.to_owned();
        left.push(Left { kind, name });
    };
    for one in &standing.policies {
        let name = &one.policy.policy_name;
        if !wanted
            .policies
            .iter()
            .any(|policy| policy.policy_name == *name)
        {
            add("policy".to_owned(), name);
        }
    }
    for one in &standing.alarms {
        let name = &one.alarm.alarm_name;
        if !wanted.alarms.iter().any(|alarm| alarm.alarm_name == *name) {
            add("alarm".to_owned(), name);
        }
    }
    for change in changes {
        let Document::Alarm(alarm) = &change.document else {
            continue;
        };
        let said = wanted
            .alarms
            .iter()
            .find(|one| one.alarm_name == alarm.alarm_name);
        let said = said.map(actions).unwrap_or_default();
        for action in actions(alarm) {
            if !said.contains(&action) {
                add(format!("action of alarm {}", alarm.alarm_name), action);
            }
        }
    }
    for one in &standing.scheduled_actions {
        let name = &one.scheduled_action_name;
        if !wanted
            .scheduled_actions
            .iter()
            .any(|action| action.scheduled_action_name == *name)
        {
            add("scheduled action".to_owned(), name);
        }
    }
    for one in &standing.unread {
        add(one.kind.to_owned(), &one.name);
    }
    left
}

fn actions(alarm: &MetricAlarm) -> Vec<&str> {
    let all = alarm.alarm_actions.iter().chain(&alarm.ok_actions);
    all.chain(&alarm.insufficient_data_actions)
        .map(String::as_str)
        .collect()
}

#[cfg(test)]
#[path = "../difference_tests.rs"]
mod tests;
