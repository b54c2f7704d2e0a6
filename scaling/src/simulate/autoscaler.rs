//! The scaling loop: `scaling.md` 8, the order of an instant and rules B to F.

use super::alarm::State;
use super::event::{Event, Reason, Status, What};
use super::options::{CooldownBase, Options, ValueUsed};
use super::series::Series;
use super::setup::Scheduled;
use super::watch::{Role, Watch};
use super::World;
use crate::policy::{
    AdjustmentType, Aggregation, MetricStat, ScalableTarget, ScalableTargetAction, StepScaling,
    TargetTracking,
};

/// A policy.
#[derive(Debug, Clone)]
pub(super) enum Policy {
    Tracking(TargetTracking),
    Step(StepScaling),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Out,
    In,
}

/// What happens when an activity is complete.
#[derive(Debug, Clone, Copy)]
struct Cooldown {
    direction: Direction,
    secs: u64,
    /// Capacity before the scale-out that opened it.
    base: u32,
}

/// A change of capacity that is under way.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    from: u32,
    to: u32,
    due: u64,
    by: String,
    /// None for a scheduled action's.
    cooldown: Option<Cooldown>,
}

/// What a policy wants.
#[derive(Debug, Clone, Copy)]
struct Proposal {
    policy: usize,
    to: f64,
}

/// Application Auto Scaling with CloudWatch's alarms, for one target.
#[derive(Debug, Clone)]
pub struct Autoscaler {
    pub(super) options: Options,
    pub(super) target: ScalableTarget,
    pub(super) policies: Vec<(String, Policy)>,
    pub(super) watches: Vec<Watch>,
    pub(super) series: Vec<Series>,
    /// The next one last.
    pub(super) scheduled: Vec<Scheduled>,
    pub(super) now: u64,
    pub(super) capacity: u32,
    pub(super) activities: Vec<Activity>,
    /// A scale-out cooldown's end, and the capacity before it.
    pub(super) out_cooldown: Option<(u64, u32)>,
    pub(super) in_cooldown_until: u64,
    /// Since they were last handed out.
    pub(super) events: Vec<Event>,
}

/// Short of a whole instance by so little is rounding.
const ROUNDING: f64 = 1e-9;

impl Autoscaler {
    /// Every metric that it asks for.
    #[must_use]
    pub fn metrics(&self) -> Vec<&MetricStat> {
        let mut found = Vec::new();
        for series in &self.series {
            series.metric.metrics(&mut found);
        }
        found
    }

    /// The longest period that it asks for, seconds.
    #[must_use]
    pub fn longest_period(&self) -> u64 {
        let periods = self.series.iter().map(|series| series.period);
        periods.max().unwrap_or(60)
    }

    /// Its switches.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Capacity in service.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Goes on until this instant, and through it.
    pub fn run(&mut self, world: &mut impl World, until: u64, on_event: &mut impl FnMut(Event)) {
        while self.now < until {
            let next = self.next_instant().min(until);
            world.pass(self.now, next, self.capacity);
            self.now = next;
            for series in &mut self.series {
                series.close(next, world);
            }
            self.complete();
            self.act_as_scheduled();
            let calling = self.evaluate();
            self.decide(&calling);
            self.events.drain(..).for_each(&mut *on_event);
        }
    }

    /// The next second in which anything can happen.
    fn next_instant(&self) -> u64 {
        let after = |period: u64| (self.now / period + 1) * period;
        let periods = self.series.iter().map(|series| series.period.min(60));
        let ticks = periods.map(after);
        let due = self.activities.iter().map(|activity| activity.due);
        let scheduled = self.scheduled.last().map(|next| next.at.max(self.now + 1));
        let instants = ticks.chain(due).chain(scheduled);
        instants.min().unwrap_or(u64::MAX)
    }

    fn tell(&mut self, what: What) {
        self.events.push(Event { t: self.now, what });
    }

    fn not_scaled(&mut self, policy: usize, reason: Reason) {
        let policy = self.policies[policy].0.clone();
        self.tell(What::NotScaled { policy, reason });
    }

    /// The capacity that there will be.
    fn desired(&self) -> u32 {
        self.activities
            .last()
            .map_or(self.capacity, |activity| activity.to)
    }

    /// Begins an activity; one that takes no time is complete at once.
    fn begin(&mut self, to: u32, by: String, cooldown: Option<Cooldown>) {
        let from = self.desired();
        let delay = match to > from {
            true => self.options.launch,
            false => self.options.removal,
        };
        if delay > 0 {
            self.tell(What::Capacity {
                from,
                to,
                policy: by.clone(),
                status: Status::InProgress,
            });
        }
        self.activities.push(Activity {
            from,
            to,
            due: self.now + delay,
            by,
            cooldown,
        });
        if delay == 0 {
            self.complete();
        }
    }

    /// Ends the activities that are due, and opens their cooldowns.
    fn complete(&mut self) {
        while let Some(at) = self.activities.iter().position(|a| a.due <= self.now) {
            let activity = self.activities.remove(at);
            // Where several are under way, one may be complete before another that began earlier.
            self.capacity = (self.capacity + activity.to).saturating_sub(activity.from);
            match activity.cooldown {
                Some(Cooldown {
                    direction: Direction::Out,
                    secs,
                    base,
                }) => {
                    self.out_cooldown = Some((self.now + secs, base));
                    self.in_cooldown_until = 0;
                }
                Some(Cooldown { secs, .. }) => self.in_cooldown_until = self.now + secs,
                None => {}
            }
            self.tell(What::Capacity {
                from: activity.from,
                to: activity.to,
                policy: activity.by.clone(),
                status: Status::Successful,
            });
            self.stay_in_bounds(&activity.by);
        }
    }

    /// Bounds may have moved away from what there is.
    fn stay_in_bounds(&mut self, by: &str) {
        if self.activities.is_empty() {
            let within = self
                .capacity
                .clamp(self.target.min_capacity, self.target.max_capacity);
            if within != self.capacity {
                self.begin(within, by.to_owned(), None);
            }
        }
    }

    fn act_as_scheduled(&mut self) {
        while let Some(next) = self.scheduled.pop_if(|next| next.at <= self.now) {
            if self.target.suspended_state.scheduled_scaling_suspended {
                self.tell(What::NotScaled {
                    policy: next.name,
                    reason: Reason::Suspended,
                });
                continue;
            }
            next.action.set(&mut self.target);
            self.stay_in_bounds(&next.name);
        }
    }

    /// Looks at the alarms whose time it is; gives those that call.
    fn evaluate(&mut self) -> Vec<usize> {
        let mut calling = Vec::new();
        for at in 0..self.watches.len() {
            let watch = &mut self.watches[at];
            let series = &self.series[watch.series];
            if !series.is_due(self.now) {
                continue;
            }
            let change = watch.look(series, self.now, self.options.delay(series.period));
            if watch.calls(self.now) {
                calling.push(at);
            }
            if let Some((from, state)) = change {
                let watch = &self.watches[at];
                let (alarm, policy) = (watch.name.clone(), self.called(&watch.role));
                self.tell(What::Alarm {
                    alarm,
                    policy,
                    from,
                    state,
                });
            }
        }
        calling
    }

    fn called(&self, role: &Role) -> String {
        let name = |policy: &usize| self.policies[*policy].0.as_str();
        match role {
            Role::High(policy) | Role::Low(policy) => name(policy).to_owned(),
            Role::Step(policies) => policies.iter().map(name).collect::<Vec<_>>().join(", "),
        }
    }

    fn values(&self, watch: &Watch) -> Vec<f64> {
        let series = &self.series[watch.series];
        watch.values(series, self.now, self.options.delay(series.period))
    }

    /// What target tracking wants of `base`.
    fn tracked(&self, watch: &Watch, tracking: &TargetTracking, base: u32) -> Option<f64> {
        let values = self.values(watch);
        let value = match self.options.value_used {
            ValueUsed::Newest => values.last().copied(),
            ValueUsed::Average => Aggregation::Average.of(&values),
            ValueUsed::Maximum => Aggregation::Maximum.of(&values),
        }?;
        Some((f64::from(base) * value / tracking.target_value - ROUNDING).ceil())
    }

    /// From where a scale-out is counted.
    fn base(&self) -> u32 {
        match (self.options.cooldown_base, self.out_cooldown) {
            (CooldownBase::BeforeFirst, Some((until, base))) if self.now < until => base,
            _ => self.desired(),
        }
    }

    fn decide(&mut self, calling: &[usize]) {
        let (outs, ins) = self.proposals(calling);
        if outs.is_empty() && ins.is_empty() {
            return;
        }
        let is_busy = !self.activities.is_empty();
        if is_busy && (self.options.block_while_updating || outs.is_empty()) {
            for proposal in outs.iter().chain(&ins) {
                self.not_scaled(
                    proposal.policy,
                    Reason::TargetServicePutResourceAsUnscalable,
                );
            }
        } else if let Some(largest) = largest(&outs) {
            self.scale_out(largest);
        } else {
            self.scale_in(&ins);
        }
    }

    /// What is wanted, to add and to remove.
    fn proposals(&self, calling: &[usize]) -> (Vec<Proposal>, Vec<Proposal>) {
        let (mut outs, mut ins) = (Vec::new(), Vec::new());
        for &at in calling {
            let watch = &self.watches[at];
            match &watch.role {
                Role::High(policy) => {
                    if let Policy::Tracking(tracking) = &self.policies[*policy].1 {
                        let to = self.tracked(watch, tracking, self.base());
                        outs.extend(to.map(|to| Proposal {
                            policy: *policy,
                            to,
                        }));
                    }
                }
                Role::Low(policy) => {
                    if let Policy::Tracking(tracking) = &self.policies[*policy].1 {
                        let to = self.tracked(watch, tracking, self.desired());
                        ins.extend(to.map(|to| Proposal {
                            policy: *policy,
                            to,
                        }));
                    }
                }
                Role::Step(policies) => {
                    for &policy in policies {
                        match self.stepped(watch, policy) {
                            Some((Direction::Out, to)) => outs.push(Proposal { policy, to }),
                            Some((Direction::In, to)) => ins.push(Proposal { policy, to }),
                            None => {}
                        }
                    }
                }
            }
        }
        (outs, ins)
    }

    /// What a step policy wants; nothing where no step holds the value, or the step does nothing.
    fn stepped(&self, watch: &Watch, policy: usize) -> Option<(Direction, f64)> {
        let Policy::Step(step) = &self.policies[policy].1 else {
            return None;
        };
        let value = step.aggregation().of(&self.values(watch))?;
        let adjustment = step.adjustment(value - watch.threshold, watch.comparison.side())?;
        let grows = match step.adjustment_type {
            AdjustmentType::ExactCapacity => i64::from(adjustment).cmp(&i64::from(self.desired())),
            _ => adjustment.cmp(&0),
        };
        let (direction, base) = match grows {
            std::cmp::Ordering::Greater => (Direction::Out, self.base()),
            std::cmp::Ordering::Less => (Direction::In, self.desired()),
            std::cmp::Ordering::Equal => return None,
        };
        Some((direction, step.applied(adjustment, base) as f64))
    }

    fn scale_out(&mut self, proposal: Proposal) {
        let Proposal { policy, to } = proposal;
        let now = self.desired();
        let max = self.target.max_capacity;
        let to = to.clamp(f64::from(self.target.min_capacity), f64::from(max)) as u32;
        let is_cooling = self.out_cooldown.is_some_and(|(until, _)| self.now < until);
        let reason = if self.target.suspended_state.dynamic_scaling_out_suspended {
            Reason::Suspended
        } else if to > now {
            let secs = match &self.policies[policy].1 {
                Policy::Tracking(tracking) => tracking.out_cooldown_secs(),
                Policy::Step(step) => step.cooldown_secs(),
            };
            let cooldown = Cooldown {
                direction: Direction::Out,
                secs,
                base: self.base(),
            };
            let by = self.policies[policy].0.clone();
            return self.begin(to, by, Some(cooldown));
        } else if now >= max {
            Reason::AlreadyAtMaxCapacity
        } else if is_cooling {
            Reason::Cooldown
        } else {
            Reason::AlreadyAtDesiredCapacity
        };
        self.not_scaled(policy, reason);
    }

    fn scale_in(&mut self, proposals: &[Proposal]) {
        let is_step =
            |proposal: &&Proposal| matches!(self.policies[proposal.policy].1, Policy::Step(_));
        let mut agreed: Vec<Proposal> = proposals.iter().filter(is_step).copied().collect();
        let tracking = proposals.iter().find(|proposal| !is_step(proposal));
        if let Some(one) = tracking {
            match self.agreed_by_all() {
                Some(largest) => agreed.push(largest),
                None if agreed.is_empty() => return self.not_scaled(one.policy, Reason::NotReady),
                None => {}
            }
        }
        let Some(Proposal { policy, to }) = largest(&agreed) else {
            return;
        };
        let now = self.desired();
        let min = self.target.min_capacity;
        let reason = if self.target.suspended_state.dynamic_scaling_in_suspended {
            Reason::Suspended
        } else if now <= min {
            Reason::AlreadyAtMinCapacity
        } else if to >= f64::from(now) {
            Reason::AutoScalingAnticipatedFlapping
        } else if self.now < self.in_cooldown_until {
            Reason::Cooldown
        } else {
            let (secs, at_once) = match &self.policies[policy].1 {
                Policy::Tracking(tracking) => (
                    tracking.in_cooldown_secs(),
                    self.options.scale_in_cap.unwrap_or(u32::MAX),
                ),
                Policy::Step(step) => (step.cooldown_secs(), u32::MAX),
            };
            let to = (to.max(f64::from(min)) as u32).max(now.saturating_sub(at_once));
            let cooldown = Cooldown {
                direction: Direction::In,
                secs,
                base: now,
            };
            let by = self.policies[policy].0.clone();
            return self.begin(to, by, Some(cooldown));
        };
        self.not_scaled(policy, reason);
    }

    /// What target tracking removes: nothing unless every policy that may remove is ready, and then no
    /// more than the most careful one would.
    fn agreed_by_all(&self) -> Option<Proposal> {
        let mut all = Vec::new();
        for watch in &self.watches {
            if let Role::Low(policy) = watch.role {
                let Policy::Tracking(tracking) = &self.policies[policy].1 else {
                    continue;
                };
                if watch.state != State::Alarm {
                    return None;
                }
                let to = self.tracked(watch, tracking, self.desired())?;
                all.push(Proposal { policy, to });
            }
        }
        largest(&all)
    }
}

/// The first of the largest.
fn largest(proposals: &[Proposal]) -> Option<Proposal> {
    let larger = |one: Proposal, other: Proposal| if other.to > one.to { other } else { one };
    proposals.iter().copied().reduce(larger)
}

impl ScalableTargetAction {
    pub(super) fn set(&self, target: &mut ScalableTarget) {
        target.min_capacity = self.min_capacity.unwrap_or(target.min_capacity);
        target.max_capacity = self.max_capacity.unwrap_or(target.max_capacity);
    }
}
