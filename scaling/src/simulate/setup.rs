//! What a replay is set up with, and the check of it.

use super::alarm::{Points, State};
use super::autoscaler::{Autoscaler, Policy};
use super::options::Options;
use super::series::Series;
use super::watch::{Role, Watch};
use crate::expression::Expression;
use crate::moment::seconds;
use crate::policy::{
    Comparison, Invalid, MetricAlarm, Missing, Rule, ScalableTarget, ScalableTargetAction,
    ScalingPolicy, ScheduledAction,
};

/// What an autoscaler is set up with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Bounds.
    pub target: ScalableTarget,
    /// In service at time 0.
    pub capacity: u32,
    /// Policies, by distinct names.
    pub policies: Vec<ScalingPolicy>,
    /// Alarms that step policies answer.
    pub alarms: Vec<MetricAlarm>,
    /// Scheduled actions, in any order.
    pub scheduled: Vec<Scheduled>,
    /// Switches.
    pub options: Options,
}

/// A scheduled action, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// Its name.
    pub name: String,
    /// When, in seconds.
    pub at: u64,
    /// What it sets.
    pub action: ScalableTargetAction,
}

impl Autoscaler {
    /// An autoscaler at time 0.
    ///
    /// # Errors
    /// A document that AWS would refuse, a capacity out of bounds, or documents that contradict one
    /// another.
    pub fn new(setup: Setup) -> Result<Self, Invalid> {
        setup.options.check().map_err(|e| e.within("options"))?;
        setup.target.check().map_err(|e| e.within("target"))?;
        let (min, max) = (setup.target.min_capacity, setup.target.max_capacity);
        if !(min..=max).contains(&setup.capacity) {
            return Err(Invalid::new(
                "capacity",
                format!("{}; expected {min} to {max}", setup.capacity),
            ));
        }
        let mut scheduled = setup.scheduled;
        scheduled.sort_by_key(|one| std::cmp::Reverse(one.at));
        check_bounds(setup.target.clone(), &scheduled)?;
        let mut scaler = Self {
            options: setup.options,
            target: setup.target,
            policies: Vec::new(),
            watches: Vec::new(),
            series: Vec::new(),
            scheduled,
            now: 0,
            capacity: setup.capacity,
            activities: Vec::new(),
            out_cooldown: None,
            in_cooldown_until: 0,
            events: Vec::new(),
        };
        for (at, document) in setup.policies.iter().enumerate() {
            scaler
                .add_policy(document)
                .map_err(|error| error.within(&format!("policies[{at}]")))?;
        }
        for (at, alarm) in setup.alarms.iter().enumerate() {
            scaler
                .add_alarm(alarm)
                .map_err(|error| error.within(&format!("alarms[{at}]")))?;
        }
        scaler.check_calls()?;
        Ok(scaler)
    }

    fn add_policy(&mut self, document: &ScalingPolicy) -> Result<(), Invalid> {
        let name = &document.policy_name;
        if self.policies.iter().any(|(other, _)| other == name) {
            return Err(Invalid::new(
                "PolicyName",
                format!("{name:?} is used twice"),
            ));
        }
        let policy = self.policies.len();
        match document.rule()? {
            Rule::Step(step) => self
                .policies
                .push((name.clone(), Policy::Step(step.clone()))),
            Rule::TargetTracking(tracking) => {
                let (metric, period) = tracking.metric()?;
                let taken = self.watches.iter().any(|watch| {
                    matches!(watch.role, Role::High(_))
                        && self.series[watch.series].metric == metric
                });
                if taken {
                    return Err(Invalid::new(
                        "TargetTrackingScalingPolicyConfiguration",
                        "another policy tracks the same metric; expected a metric of its own for each",
                    ));
                }
                let series = self.series(metric, period);
                let low_points = match (self.options.low_points, period < 60) {
                    (Some(points), _) => points,
                    (None, false) => 15,
                    (None, true) => 90,
                };
                let target = tracking.target_value;
                let high = (Comparison::Above, target, self.options.high_points);
                let low_threshold = self.options.low_factor * target;
                let low = (Comparison::Below, low_threshold, low_points);
                self.watch(
                    format!("{name}-AlarmHigh"),
                    Role::High(policy),
                    series,
                    high,
                );
                if tracking.scales_in() {
                    self.watch(format!("{name}-AlarmLow"), Role::Low(policy), series, low);
                }
                let policy = Policy::Tracking(tracking.clone());
                self.policies.push((name.clone(), policy));
            }
        }
        Ok(())
    }

    fn add_alarm(&mut self, alarm: &MetricAlarm) -> Result<(), Invalid> {
        alarm.check()?;
        let name = &alarm.alarm_name;
        if self.watches.iter().any(|other| other.name == *name) {
            return Err(Invalid::new("AlarmName", format!("{name:?} is used twice")));
        }
        let called: Vec<usize> = (0..self.policies.len())
            .filter(|&policy| alarm.calls(&self.policies[policy].0))
            .collect();
        if alarm.actions_enabled == Some(false) {
            return Err(Invalid::new(
                "ActionsEnabled",
                "false: the alarm calls nobody; expected true, or no such alarm",
            ));
        }
        if called.len() < alarm.alarm_actions.len() {
            let names: Vec<&str> = self
                .policies
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            return Err(Invalid::new(
                "AlarmActions",
                format!(
                    "{:?} names what is no policy; expected of {names:?}",
                    alarm.alarm_actions
                ),
            ));
        }
        let is_step = |&policy: &usize| matches!(self.policies[policy].1, Policy::Step(_));
        if !called.iter().all(is_step) {
            return Err(Invalid::new(
                "AlarmActions",
                "a policy of target tracking has alarms of its own; expected step policies",
            ));
        }
        let (metric, period) = alarm.metric()?;
        let series = self.series(metric, period);
        let rule = (alarm.comparison_operator, alarm.threshold, 0);
        let points = Points {
            looked_at: alarm.evaluation_periods,
            to_alarm: alarm.to_alarm(),
        };
        self.watch(name.clone(), Role::Step(called), series, rule);
        if let Some(watch) = self.watches.last_mut() {
            watch.points = points;
            watch.missing = alarm.treat_missing_data;
        }
        let delay = self.options.delay(self.series[series].period);
        self.series[series].keep(points.slots(), delay);
        Ok(())
    }

    /// A step policy that no alarm calls never acts.
    fn check_calls(&self) -> Result<(), Invalid> {
        let is_called = |policy: usize| {
            let calls = |watch: &Watch| matches!(&watch.role, Role::Step(called) if called.contains(&policy));
            self.watches.iter().any(calls)
        };
        for (policy, (name, kind)) in self.policies.iter().enumerate() {
            if matches!(kind, Policy::Step(_)) && !is_called(policy) {
                return Err(Invalid::new(
                    "alarms",
                    format!("none has the step policy {name:?} in its AlarmActions"),
                ));
            }
        }
        Ok(())
    }

    fn series(&mut self, metric: Expression, period: u64) -> usize {
        let is_same = |one: &Series| one.metric == metric && one.period == period;
        if let Some(at) = self.series.iter().position(is_same) {
            return at;
        }
        self.series.push(Series::new(metric, period));
        self.series.len() - 1
    }

    fn watch(
        &mut self,
        name: String,
        role: Role,
        series: usize,
        (comparison, threshold, points): (Comparison, f64, usize),
    ) {
        let points = Points {
            looked_at: points,
            to_alarm: points,
        };
        let delay = self.options.delay(self.series[series].period);
        self.series[series].keep(points.slots(), delay);
        self.watches.push(Watch {
            name,
            role,
            series,
            comparison,
            threshold,
            points,
            missing: Missing::Missing,
            state: State::InsufficientData,
            called: None,
        });
    }
}

/// Seconds since 1970 of the time at which a simulation begins.
///
/// # Errors
/// It cannot be read.
pub fn begin(text: &str) -> Result<i64, Invalid> {
    seconds(text).ok_or_else(|| {
        Invalid::new(
            "",
            format!("{text:?} is no time; expected such as 2027-01-31T08:00:00Z"),
        )
    })
}

/// Every time at which these actions happen in a simulation of so many seconds.
///
/// # Errors
/// As [`ScheduledAction::within`].
pub(super) fn expand(
    actions: &[ScheduledAction],
    begins: Option<i64>,
    lasts: u64,
) -> Result<Vec<Scheduled>, Invalid> {
    let mut all = Vec::new();
    for action in actions {
        let name = &action.scheduled_action_name;
        let times = action
            .within(begins, lasts)
            .map_err(|error| error.within(&format!("scheduled_actions[{name}]")))?;
        all.extend(times.into_iter().map(|at| Scheduled {
            name: name.clone(),
            at,
            action: action.scalable_target_action,
        }));
    }
    Ok(all)
}

/// Whether the bounds stay bounds through all scheduled actions, the next of which is the last.
fn check_bounds(mut target: ScalableTarget, scheduled: &[Scheduled]) -> Result<(), Invalid> {
    for next in scheduled.iter().rev() {
        let field = format!("scheduled_actions[{}]", next.name);
        next.action.set(&mut target);
        target.check().map_err(|error| error.within(&field))?;
    }
    Ok(())
}
