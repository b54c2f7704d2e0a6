//! A run: a trace, a fleet and an autoscaler, from the trace's beginning to its end.

use serde::{Deserialize, Serialize};

use super::elasticity::Accuracy;
use super::requests::Fleet;
use super::tally::{Counted, Timeline};
use super::{bucket, Flow, Workload};
use crate::policy::{Invalid, ScalableTarget};
use crate::simulate::{Autoscaler, Event, Setup, Status, What, World};
use crate::trace::{Kind, Row, MOST_COSTS};

/// How closely the fleet is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Every request.
    Requests,
    /// A flow, second by second.
    Fluid,
}

/// What a run is fed with.
pub struct Run<R> {
    /// The trace's rows.
    pub rows: R,
    /// What they are.
    pub kind: Kind,
    /// The trace begins so many seconds into the first minute.
    pub phase_secs: u64,
    /// Of all chance.
    pub seed: u64,
    /// How closely it is followed.
    pub mode: Mode,
    /// Requests a second that one instance can answer as promised.
    pub rate: f64,
}

/// What a fleet is fed with.
pub(super) struct Fed<R> {
    pub(super) rows: R,
    pub(super) kind: Kind,
    pub(super) shift_us: u64,
    pub(super) seed: u64,
    pub(super) launch_secs: u64,
    pub(super) longest_secs: u64,
    pub(super) rate: f64,
}

/// A run in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Seconds.
    pub secs: u64,
    /// Requests of users; repeated attempts are not counted.
    pub requests: f64,
    /// Of them in percent: answered late, or not at all.
    pub missed_percent: f64,
    /// Of them in percent: refused in the end.
    pub shed_percent: f64,
    /// Of them in percent: given up, or lost with their instance.
    pub failed_percent: f64,
    /// Milliseconds from the first attempt to the answer, of the answered ones.
    pub p50_ms: f64,
    /// Milliseconds from the first attempt to the answer, of the answered ones.
    pub p99_ms: f64,
    /// In service, for as long.
    pub instance_hours: f64,
    /// The most in service.
    pub most_instances: f64,
    /// Changes of capacity.
    pub actions: u32,
    /// Of them, those that turned back within a quarter of an hour.
    pub flaps: u32,
    /// How closely supply followed demand, by minutes.
    pub elasticity: Accuracy,
    /// How often the promise was broken, for one minute or several on end.
    pub breaks: u32,
    /// Seconds that the longest of them took.
    pub longest_break_secs: u64,
    /// Seconds that they took on average.
    pub mean_break_secs: f64,
}

/// What a picture shows of a run.
#[derive(Debug, Clone)]
pub struct Shown {
    /// What users felt.
    pub timeline: Timeline,
    /// What the autoscaler did, the first hundred thousand events.
    pub events: Vec<Event>,
}

/// So many events are kept.
const MOST_EVENTS: usize = 100_000;
/// Two changes in opposite directions within so many seconds are a flap.
const FLAP_SECS: u64 = 900;

/// Counts what an autoscaler does.
#[derive(Default)]
struct Actions {
    actions: u32,
    flaps: u32,
    /// When, and whether it added.
    last: Option<(u64, bool)>,
    /// Changes under way: they have been counted.
    begun: u32,
    events: Vec<Event>,
}

impl Actions {
    fn take(&mut self, event: Event) {
        if let What::Capacity {
            from, to, status, ..
        } = event.what
        {
            let is_begin = status == Status::InProgress;
            if is_begin || self.begun == 0 {
                self.actions += 1;
                let now = (event.t, to > from);
                if let Some((t, up)) = self.last.replace(now) {
                    self.flaps += u32::from(up != now.1 && event.t <= t + FLAP_SECS);
                }
            }
            self.begun = match is_begin {
                true => self.begun + 1,
                false => self.begun.saturating_sub(1),
            };
        }
        if self.events.len() < MOST_EVENTS {
            self.events.push(event);
        }
    }
}

/// Goes through a trace; gives the run in numbers, and what a picture shows of it.
///
/// # Errors
/// A row that cannot be, a metric that no fleet publishes, or what a flow does not know.
pub fn run<R: Iterator<Item = Result<Row, Invalid>>>(
    mut autoscaler: Autoscaler,
    workload: &Workload,
    run: Run<R>,
) -> Result<(Outcome, Shown), Invalid> {
    for metric in autoscaler.metrics() {
        if !bucket::is_known(metric) {
            let namespace = metric.namespace.as_deref().unwrap_or("any namespace");
            let (name, stat) = (&metric.name, &metric.stat);
            return Err(Invalid::new(
                "MetricName",
                format!("{stat} of {name:?} in {namespace:?} is not simulated; expected Average, Sum, Minimum, Maximum or SampleCount (of latencies percentiles too) of {}", known()),
            ));
        }
    }
    let fed = Fed {
        rows: run.rows,
        kind: run.kind,
        shift_us: run.phase_secs * 1_000_000,
        seed: run.seed,
        launch_secs: autoscaler.options().launch,
        longest_secs: autoscaler.longest_period(),
        rate: run.rate,
    };
    let mut actions = Actions::default();
    let (secs, counted) = match run.mode {
        Mode::Requests => {
            let mut fleet = Fleet::new(workload, fed);
            let secs = drive(&mut autoscaler, &mut fleet, Fleet::is_over, &mut actions);
            (secs, fleet.finish()?)
        }
        Mode::Fluid if workload.retries > 0 => {
            let why = format!(
                "{}; a flow knows no repeated attempts: expected 0, or to follow every request",
                workload.retries
            );
            return Err(Invalid::new("retries", why));
        }
        Mode::Fluid => {
            let mut flow = Flow::new(workload, fed);
            let secs = drive(&mut autoscaler, &mut flow, Flow::is_over, &mut actions);
            (secs, flow.finish()?)
        }
    };
    Ok(told(secs, counted, actions))
}

/// The names of what a fleet publishes.
fn known() -> String {
    let mut names: Vec<&str> = bucket::METRICS.iter().map(|(_, name)| *name).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

fn drive<W: World>(
    autoscaler: &mut Autoscaler,
    world: &mut W,
    is_over: fn(&W) -> bool,
    actions: &mut Actions,
) -> u64 {
    let mut now = 0;
    while !is_over(world) {
        now += 60;
        autoscaler.run(world, now, &mut |event| actions.take(event));
    }
    now
}

fn told(secs: u64, counted: Counted, actions: Actions) -> (Outcome, Shown) {
    let total = &counted.total;
    let percent = |part: f64| 100.0 * part / total.arrived.max(f64::MIN_POSITIVE);
    let millis = |quantile| total.latency.quantile(quantile).unwrap_or(0.0) / 1000.0;
    let breaks = &counted.broken;
    let broken: u64 = breaks.iter().sum();
    let outcome = Outcome {
        secs,
        requests: total.arrived,
        missed_percent: percent(total.missed()),
        shed_percent: percent(total.shed),
        failed_percent: percent(total.timed_out + total.lost),
        p50_ms: millis(0.5),
        p99_ms: millis(0.99),
        instance_hours: counted.instance_secs / 3600.0,
        most_instances: counted.most_instances,
        actions: actions.actions,
        flaps: actions.flaps,
        elasticity: counted.accuracy,
        breaks: breaks.len() as u32,
        longest_break_secs: breaks.iter().copied().max().unwrap_or(0),
        mean_break_secs: broken as f64 / (breaks.len() as f64).max(1.0),
    };
    let shown = Shown {
        timeline: counted.timeline,
        events: actions.events,
    };
    (outcome, shown)
}

/// The most requests a second, in steady traffic of random arrivals, that one instance answers as
/// promised: what the profile says, or found by simulation, to a fiftieth.
///
/// `costs` is what the mean request of the trace asks for, by column.
///
/// # Errors
/// Not even slow traffic is answered as promised.
pub fn breaking_point(workload: &Workload, costs: [f64; MOST_COSTS]) -> Result<f64, Invalid> {
    let profile = &workload.profile;
    if let Some(rate) = profile.max_rate {
        return Ok(rate);
    }
    let ms_per = profile.columns();
    let ms_per = ms_per
        .iter()
        .map(|column| profile.ms_per.get(column).unwrap_or(&0.0));
    let extra: f64 = ms_per.zip(costs).map(|(ms, cost)| ms * cost / 1000.0).sum();
    let secs = (profile.mean_secs() + extra).max(1e-6);
    let full = f64::from(profile.slots) / (secs * profile.batched());
    let keeps = |rate: f64| -> Result<bool, Invalid> {
        let requests = 20_000.0;
        let row = Row {
            from_us: 0,
            until_us: (1e6 * requests / rate) as u64 + 1,
            amount: requests,
            costs,
            class: None,
        };
        let alone = Workload {
            scale: 1.0,
            failures: Vec::new(),
            ..workload.clone()
        };
        let autoscaler = Autoscaler::new(Setup {
            target: ScalableTarget::between(1, 1),
            capacity: 1,
            policies: Vec::new(),
            alarms: Vec::new(),
            scheduled: Vec::new(),
            options: Default::default(),
        })?;
        let fed = Run {
            rows: std::iter::once(Ok(row)),
            kind: Kind::Bins,
            phase_secs: 0,
            seed: 1,
            mode: Mode::Requests,
            rate,
        };
        let (outcome, _) = run(autoscaler, &alone, fed)?;
        Ok(outcome.missed_percent <= 100.0 * workload.slo.allowed() + 1e-9)
    };
    let (mut good, mut bad) = (full / 64.0, full * 1.05);
    if !keeps(good)? {
        let slo = workload.slo;
        let why = format!("{} ms for {} % of requests: not kept by one instance even at {good:.3} requests a second, at {:.1} ms of slot time each; expected a promise that can be kept", slo.latency_ms, slo.percent, 1000.0 * secs);
        return Err(Invalid::new("slo", why));
    }
    while bad / good > 1.02 {
        let middle = (good * bad).sqrt();
        match keeps(middle)? {
            true => good = middle,
            false => bad = middle,
        }
    }
    Ok(good)
}
