//! How fast the simulator is: requests a second with a thousand instances, and a week of traffic.
//!
//! `cargo bench -p benches --bench simulate -- [--week FILE]`; the week is `worldcup98-week-60s.csv`, 322
//! million requests. The floor of the same run is a heap that holds as many events as the fleet does:
//! one push and one pop for each request, which no event-driven simulation does without.
#![expect(clippy::print_stdout, reason = "a bench speaks to the terminal")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::io::BufRead as _;
use std::process::ExitCode;
use std::time::Instant;

use rustix::time::{clock_gettime, ClockId};
use scaling::capacity::Profile;
use scaling::fleet::{run, Mode, Outcome, Routing, Run, Slo, Workload};
use scaling::policy::Invalid;
use scaling::simulate::Configuration;
use scaling::trace::{Gaps, Kind, Reader, Row, MOST_COSTS};

/// At least five, so that a median means something.
const ROUNDS: usize = 5;
const INSTANCES: u32 = 1000;
const REQUESTS: f64 = 4e6;
/// Requests in service at once: 1000 instances of 4 slots, 70 % busy.
const EVENTS: u64 = 2800;

/// Seconds of CPU time of this thread.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn workload(profile: &str) -> Workload {
    Workload {
        profile: Profile::parse(profile).expect("a profile"),
        slo: Slo {
            latency_ms: 1000.0,
            percent: 99.0,
        },
        routing: Routing::LeastOutstanding,
        ..Workload::default()
    }
}

fn configuration(least: u32, most: u32) -> Configuration {
    Configuration::parse(&format!(
        r#"{{"name": "offered load", "target": {{"MinCapacity": {least}, "MaxCapacity": {most}}}, "policies": [{{
            "PolicyName": "load", "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {{
                "TargetValue": 60, "ScaleOutCooldown": 60, "ScaleInCooldown": 300,
                "CustomizedMetricSpecification": {{
                    "MetricName": "OfferedLoad", "Namespace": "Plimsoll", "Statistic": "Average"}}}}}}]}}"#
    ))
    .expect("a configuration")
}

/// One run; its outcome, the instances minute by minute, and the seconds of CPU time.
fn timed<R: Iterator<Item = Result<Row, Invalid>>>(
    configuration: &Configuration,
    workload: &Workload,
    rows: R,
    mode: Mode,
) -> (Outcome, Vec<f64>, f64) {
    let options = configuration.options().expect("options");
    let autoscaler = configuration
        .autoscaler(options, None, u64::from(u32::MAX))
        .expect("an autoscaler");
    let fed = Run {
        rows,
        kind: Kind::Bins,
        phase_secs: 0,
        seed: 1,
        mode,
        rate: 1.0,
    };
    let began = cpu();
    let (outcome, shown) = run(autoscaler, workload, fed).expect("a run");
    let secs = cpu() - began;
    let timeline = shown.timeline;
    let instances = timeline
        .points
        .iter()
        .map(|point| point.instance_secs / timeline.step_secs as f64);
    (outcome, instances.collect(), secs)
}

/// A push and a pop for each of so many requests, among as many events as the fleet has.
fn floor(requests: u64) -> f64 {
    let mut heap: BinaryHeap<Reverse<(u64, u64)>> = (0..EVENTS).map(|n| Reverse((n, n))).collect();
    let mut x = 1_u64;
    let began = cpu();
    for n in 0..requests {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if let Some(Reverse((now, _))) = heap.pop() {
            heap.push(Reverse((now + (x >> 50), n)));
        }
    }
    black_box(&heap);
    cpu() - began
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn requests() -> bool {
    let workload = workload(
        r#"{"slots": 4, "queue_limit": 100, "classes": [{"mean_ms": 40, "cv": 0.5}], "max_rate": 80}"#,
    );
    let configuration = configuration(INSTANCES, INSTANCES);
    // 70 % of 100,000 a second.
    let row = Row {
        from_us: 0,
        until_us: (REQUESTS / 70_000.0 * 1e6) as u64,
        amount: REQUESTS,
        costs: [0.0; MOST_COSTS],
        class: None,
    };
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let bare = floor(REQUESTS as u64);
        let (outcome, _, secs) = timed(
            &configuration,
            &workload,
            std::iter::once(Ok(row)),
            Mode::Requests,
        );
        assert!(outcome.missed_percent < 1.0, "{outcome:?}");
        rates.push(REQUESTS / secs / 1e6);
        ratios.push(secs / bare);
    }
    let (rate, ratio) = (median(rates), median(ratios));
    println!("request by request, {INSTANCES} instances, least outstanding: {rate:.2} million requests a second (asked for: 2); {ratio:.2} × the time of the heap alone");
    rate >= 2.0
}

fn rows(file: &str) -> impl Iterator<Item = Result<Row, Invalid>> {
    let file = std::fs::File::open(file).expect("the week");
    let mut reader = Reader::new(Gaps::Refuse, &[], &[]);
    let mut lines = std::io::BufReader::new(file).lines();
    std::iter::from_fn(move || loop {
        let Some(line) = lines.next() else {
            let last = std::mem::replace(&mut reader, Reader::new(Gaps::Refuse, &[], &[])).finish();
            return last.ok().map(Ok);
        };
        match reader.line(&line.expect("a line")) {
            Ok(None) => {}
            Ok(Some(row)) => return Some(Ok(row)),
            Err(why) => return Some(Err(why)),
        }
    })
}

fn week(file: &str) -> bool {
    let workload = workload(
        r#"{"slots": 2, "queue_limit": 100, "classes": [{"mean_ms": 40, "cv": 0.5}], "max_rate": 40}"#,
    );
    let configuration = configuration(2, 400);
    let began = Instant::now();
    let (fluid, flowing, fluid_secs) = timed(&configuration, &workload, rows(file), Mode::Fluid);
    let wall = began.elapsed().as_secs_f64();
    println!("the week as a flow: {fluid_secs:.2} s of CPU time, {wall:.2} s in all (asked for: 2); {:.0} requests, {:.0} instance-hours", fluid.requests, fluid.instance_hours);
    let (all, followed, secs) = timed(&configuration, &workload, rows(file), Mode::Requests);
    println!("the week request by request: {secs:.0} s (asked for: 180); {:.0} requests, {:.0} instance-hours", all.requests, all.instance_hours);
    let total: f64 = followed.iter().sum();
    let apart: f64 = flowing
        .iter()
        .zip(&followed)
        .map(|(a, b)| (a - b).abs())
        .sum();
    let hours = 100.0 * (fluid.instance_hours / all.instance_hours - 1.0);
    let apart = 100.0 * apart / total;
    println!("instances: {hours:+.2} % on average, {apart:.2} % apart step by step (asked for: 2)");
    wall <= 2.0 && secs <= 180.0 && hours.abs() <= 2.0
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut file = None;
    while let Some(argument) = arguments.next() {
        if argument == "--week" {
            file = arguments.next();
        }
    }
    let mut is_good = requests();
    if let Some(file) = file {
        is_good &= week(&file);
    }
    match is_good {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
