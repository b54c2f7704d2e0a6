//! Which signal to scale on: policies × targets × phases × queue rules on two traces of language-model
//! requests, as `docs/which-metric.md` shows them.
//!
//! `cargo bench -p benches --bench policies -- FOLDER`, the folder that holds
//! `azure-llm-2023-conv-requests.csv` and `azure-llm-2023-code-requests.csv`. For each policy, trace and
//! queue rule: the share of requests that were late or refused, at the best target that costs at most
//! eight instance-hours in every phase, chosen after the fact; mean [least–most] over the phases. The
//! table goes to standard output as Markdown.
#![expect(clippy::print_stdout, reason = "a bench speaks to the terminal")]

use std::io::BufRead as _;
use std::path::Path;

use scaling::capacity::Profile;
use scaling::fleet::{run, Mode, Outcome, Routing, Run, Slo, Workload};
use scaling::simulate::Configuration;
use scaling::trace::{Gaps, Kind, Reader, Row};
use serde_json::{json, Value};

/// Seconds into a minute at which a trace begins.
const PHASES: [u64; 6] = [0, 10, 20, 30, 40, 50];
/// The most instance-hours.
const BUDGET: f64 = 8.0;
const MOST_INSTANCES: u32 = 60;

/// A trace with what serves it.
struct Setting {
    name: &'static str,
    file: &'static str,
    slots: u32,
    /// Slot time of the mean request, seconds: the tokens are weighed so that it comes out.
    mean_secs: f64,
    slo_secs: f64,
}

const SETTINGS: [Setting; 2] = [
    Setting {
        name: "chat",
        file: "azure-llm-2023-conv-requests.csv",
        slots: 4,
        mean_secs: 2.4,
        slo_secs: 15.0,
    },
    Setting {
        name: "code",
        file: "azure-llm-2023-code-requests.csv",
        slots: 2,
        mean_secs: 1.2,
        slo_secs: 8.0,
    },
];

/// Slot time of a token that is read ÷ of one that is written.
const READ_TO_WRITTEN: f64 = 1.0 / 20.0;

/// What is tracked: its name, the specification, targets, and whether its targets are requests a minute
/// at a share of capacity.
struct Signal {
    name: &'static str,
    specification: Value,
    targets: Vec<f64>,
    of_capacity: bool,
    sized: bool,
    drain_secs: f64,
}

fn custom(name: &str, namespace: &str) -> Value {
    json!({"CustomizedMetricSpecification": {"MetricName": name, "Namespace": namespace, "Statistic": "Average"}})
}

fn predefined(name: &str) -> Value {
    json!({"PredefinedMetricSpecification": {"PredefinedMetricType": name}})
}

fn signals() -> Vec<Signal> {
    let shares: Vec<f64> = [15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 80, 90]
        .map(f64::from)
        .to_vec();
    let signal = |name, specification, targets: &[f64]| Signal {
        name,
        specification,
        targets: targets.to_vec(),
        of_capacity: false,
        sized: false,
        drain_secs: 0.0,
    };
    let load = || custom("OfferedLoad", "Plimsoll");
    let times = |factor: f64| -> Vec<f64> { shares.iter().map(|share| share * factor).collect() };
    vec![
        Signal {
            of_capacity: true,
            ..signal(
                "InvocationsPerInstance",
                predefined("SageMakerVariantInvocationsPerInstance"),
                &shares,
            )
        },
        signal("CPU", custom("CPUUtilization", "Plimsoll"), &shares),
        signal("offered load, one ŝ", load(), &shares),
        Signal {
            sized: true,
            ..signal("offered load, ŝ by prompt size", load(), &shares)
        },
        Signal {
            drain_secs: 300.0,
            ..signal("offered load, drain 300 s", load(), &shares)
        },
        // Targets in requests: those of four slots, and of two half as many.
        signal(
            "mean concurrency, 60 s",
            custom("Concurrency", "Plimsoll"),
            &times(0.06),
        ),
        signal(
            "mean latency, 60 s",
            custom("ModelLatency", "AWS/SageMaker"),
            &times(160_000.0),
        ),
        signal(
            "peak concurrency, 10 s",
            predefined("SageMakerVariantConcurrentRequestsPerModelHighResolution"),
            &times(0.15),
        ),
    ]
}

/// What is put beside the tracking policy.
#[derive(Clone, Copy, PartialEq)]
enum Guard {
    Nothing,
    /// Steps on a 10 s alarm on the offered load.
    Steps,
    /// Peak concurrency of 2.5 for each slot, which only adds.
    Concurrency,
}

fn configuration(signal: &Signal, target: f64, guard: Guard, slots: u32) -> Configuration {
    let mut tracking = signal.specification.clone();
    tracking["TargetValue"] = json!(target);
    tracking["ScaleOutCooldown"] = json!(60);
    tracking["ScaleInCooldown"] = json!(300);
    let mut document = json!({
        "name": signal.name,
        "target": {"MinCapacity": 1, "MaxCapacity": MOST_INSTANCES},
        "capacity": 2,
        "policies": [{"PolicyName": "track", "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": tracking}],
        "options": {"removal": 0},
    });
    let policies = document["policies"].as_array_mut().expect("policies");
    match guard {
        Guard::Nothing => {}
        Guard::Steps => {
            let step = |low: f64, high: Value, more: i64| json!({"MetricIntervalLowerBound": low, "MetricIntervalUpperBound": high, "ScalingAdjustment": more});
            policies.push(json!({"PolicyName": "burst", "PolicyType": "StepScaling", "StepScalingPolicyConfiguration": {
                "AdjustmentType": "PercentChangeInCapacity", "MetricAggregationType": "Average", "Cooldown": 120, "MinAdjustmentMagnitude": 1,
                "StepAdjustments": [step(0.0, json!(30), 30), step(30.0, json!(60), 70), step(60.0, Value::Null, 120)]}}));
            document["alarms"] = json!([{
                "AlarmName": "burst", "MetricName": "OfferedLoad", "Namespace": "Plimsoll", "Statistic": "Average", "Period": 10,
                "EvaluationPeriods": 3, "Threshold": 90, "ComparisonOperator": "GreaterThanThreshold", "AlarmActions": ["burst"]}]);
        }
        Guard::Concurrency => {
            let mut guard = predefined("SageMakerVariantConcurrentRequestsPerModelHighResolution");
            guard["TargetValue"] = json!(2.5 * f64::from(slots));
            guard["ScaleOutCooldown"] = json!(60);
            guard["DisableScaleIn"] = json!(true);
            policies.push(json!({"PolicyName": "guard", "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": guard}));
        }
    }
    Configuration::parse(&document.to_string()).expect("a configuration")
}

/// The trace's rows, with both columns of tokens.
fn rows(file: &Path, columns: &[String]) -> Vec<Row> {
    let file =
        std::fs::File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut reader = Reader::new(Gaps::Refuse, columns, &[]);
    let mut rows = Vec::new();
    for line in std::io::BufReader::new(file).lines() {
        rows.extend(reader.line(&line.expect("a line")).expect("a row"));
    }
    rows.push(reader.finish().expect("a row"));
    rows
}

fn workload(setting: &Setting, signal: &Signal, per_written_ms: f64, bounded: bool) -> Workload {
    let mut profile = json!({
        "slots": setting.slots,
        "queue_limit": if bounded { 5 * setting.slots } else { 1_000_000 },
        "timeout_secs": 3600,
        "classes": [{"mean_ms": 0}],
        "ms_per": {"context_tokens": per_written_ms * READ_TO_WRITTEN, "generated_tokens": per_written_ms},
        "drain_secs": signal.drain_secs,
    });
    if signal.sized {
        profile["size"] = json!("context_tokens");
    }
    Workload {
        profile: Profile::parse(&profile.to_string()).expect("a profile"),
        slo: Slo {
            latency_ms: 1000.0 * setting.slo_secs,
            percent: 99.0,
        },
        routing: Routing::LeastOutstanding,
        ..Workload::default()
    }
}

/// At each phase.
fn outcomes(workload: &Workload, configuration: &Configuration, rows: &[Row]) -> Vec<Outcome> {
    let at = |&phase_secs: &u64| {
        let options = configuration.options().expect("options");
        let autoscaler = configuration.autoscaler(options).expect("an autoscaler");
        let fed = Run {
            rows: rows.iter().copied().map(Ok),
            kind: Kind::Requests,
            phase_secs,
            seed: 1,
            mode: Mode::Requests,
            rate: f64::from(workload.profile.slots),
        };
        run(autoscaler, workload, fed).expect("a run").0
    };
    PHASES.iter().map(at).collect()
}

/// The best target within the budget; what it misses, and the target.
fn cell(
    setting: &Setting,
    signal: &Signal,
    guard: Guard,
    bounded: bool,
    rows: &[Row],
    per_written_ms: f64,
) -> String {
    let workload = workload(setting, signal, per_written_ms, bounded);
    let mut best: Option<(f64, String)> = None;
    for &share in &signal.targets {
        let target = match signal.of_capacity {
            // A share of what the slots do in a minute.
            true => share / 100.0 * 60.0 * f64::from(setting.slots) / setting.mean_secs,
            false => share,
        };
        let configuration = configuration(signal, target, guard, setting.slots);
        let outcomes = outcomes(&workload, &configuration, rows);
        if outcomes.iter().any(|one| one.instance_hours > BUDGET) {
            continue;
        }
        let missed: Vec<f64> = outcomes.iter().map(|one| one.missed_percent).collect();
        let mean = missed.iter().sum::<f64>() / missed.len() as f64;
        if best.as_ref().is_none_or(|(least, _)| mean < *least) {
            let least = missed.iter().copied().fold(f64::INFINITY, f64::min);
            let most = missed.iter().copied().fold(0.0, f64::max);
            best = Some((mean, format!("{mean:.1} [{least:.1}–{most:.1}]")));
        }
    }
    best.map_or_else(|| "–".to_owned(), |(_, text)| text)
}

fn main() {
    let folder = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"));
    let Some(folder) = folder else {
        println!("skipped: expected the folder of the traces as the argument");
        return;
    };
    let columns = ["context_tokens".to_owned(), "generated_tokens".to_owned()];
    let traces: Vec<(Vec<Row>, f64)> = SETTINGS
        .iter()
        .map(|setting| {
            let rows = rows(&Path::new(&folder).join(setting.file), &columns);
            let costs: f64 = rows
                .iter()
                .map(|row| row.costs[0] * READ_TO_WRITTEN + row.costs[1])
                .sum();
            let per_written_ms = 1000.0 * setting.mean_secs * rows.len() as f64 / costs;
            println!(
                "{}: {} requests, {per_written_ms:.2} ms a written token",
                setting.name,
                rows.len()
            );
            (rows, per_written_ms)
        })
        .collect();
    println!("\n| policy | chat ∞ | chat 5 | code ∞ | code 5 |\n|---|---|---|---|---|");
    let all = signals();
    let guarded = [
        (0, Guard::Concurrency),
        (2, Guard::Concurrency),
        (0, Guard::Steps),
        (2, Guard::Steps),
        (1, Guard::Steps),
    ];
    let plain = (0..all.len()).map(|at| (at, Guard::Nothing));
    for (at, guard) in plain.chain(guarded) {
        let signal = &all[at];
        let mut line = match guard {
            Guard::Nothing => format!("| {} |", signal.name),
            Guard::Steps => format!("| {} + 10 s steps |", signal.name),
            Guard::Concurrency => format!("| {} + concurrency guard |", signal.name),
        };
        for (setting, (rows, per_written_ms)) in SETTINGS.iter().zip(&traces) {
            for bounded in [false, true] {
                line.push_str(&format!(
                    " {} |",
                    cell(setting, signal, guard, bounded, rows, *per_written_ms)
                ));
            }
        }
        println!("{line}");
    }
}
