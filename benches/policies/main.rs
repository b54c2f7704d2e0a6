//! Which signal to scale on: policies × targets × phases × queue rules on two traces of language-model
//! requests, as `docs/which-metric.md` shows them.
//!
//! `cargo bench -p benches --bench policies -- FOLDER [--capacity 2] [--picture FILE]`, the folder that
//! holds `azure-llm-2023-conv-requests.csv` and `azure-llm-2023-code-requests.csv`; `--capacity` is what
//! is in service at the beginning, and the picture shows what each target of some policies costs and
//! misses. For each policy, trace and
//! queue rule: the share of requests that were late or refused, at the best target that costs at most
//! eight instance-hours in every phase, chosen after the fact; mean [least–most] over the phases. The
//! table goes to standard output as Markdown.
#![expect(clippy::print_stdout, reason = "a bench speaks to the terminal")]

use std::io::BufRead as _;
use std::path::Path;

use plotters::prelude::*;
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

fn configuration(
    signal: &Signal,
    target: f64,
    guard: Guard,
    slots: u32,
    capacity: u32,
) -> Configuration {
    let mut tracking = signal.specification.clone();
    tracking["TargetValue"] = json!(target);
    tracking["ScaleOutCooldown"] = json!(60);
    tracking["ScaleInCooldown"] = json!(300);
    let mut document = json!({
        "name": signal.name,
        "target": {"MinCapacity": 1, "MaxCapacity": MOST_INSTANCES},
        "capacity": capacity,
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
        let autoscaler = configuration
            .autoscaler(options, None, 0)
            .expect("an autoscaler");
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

/// What a target costs and misses: instance-hours and percent, at each phase.
struct Tried {
    hours: Vec<f64>,
    missed: Vec<f64>,
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Every target of a signal.
fn tried(
    traffic: &Traffic,
    signal: &Signal,
    guard: Guard,
    bounded: bool,
    capacity: u32,
) -> Vec<Tried> {
    let setting = traffic.setting;
    let workload = workload(setting, signal, traffic.per_written_ms, bounded);
    let one = |&share: &f64| {
        let target = match signal.of_capacity {
            // A share of what the slots do in a minute.
            true => share / 100.0 * 60.0 * f64::from(setting.slots) / setting.mean_secs,
            false => share,
        };
        let configuration = configuration(signal, target, guard, setting.slots, capacity);
        let outcomes = outcomes(&workload, &configuration, &traffic.rows);
        Tried {
            hours: outcomes.iter().map(|one| one.instance_hours).collect(),
            missed: outcomes.iter().map(|one| one.missed_percent).collect(),
        }
    };
    signal.targets.iter().map(one).collect()
}

/// The best target within the budget: what it misses.
fn cell(tried: &[Tried]) -> String {
    let affordable = tried
        .iter()
        .filter(|one| one.hours.iter().all(|&hours| hours <= BUDGET));
    let best = affordable.min_by(|a, b| mean(&a.missed).total_cmp(&mean(&b.missed)));
    best.map_or_else(
        || "–".to_owned(),
        |best| {
            let least = best.missed.iter().copied().fold(f64::INFINITY, f64::min);
            let most = best.missed.iter().copied().fold(0.0, f64::max);
            format!("{:.1} [{least:.1}–{most:.1}]", mean(&best.missed))
        },
    )
}

/// A trace, and what it means here.
struct Traffic {
    setting: &'static Setting,
    rows: Vec<Row>,
    per_written_ms: f64,
}

/// A line of a picture: its name, and hours and percent of each target.
type Line = (String, Vec<(f64, f64)>);

/// Readable on white and on black.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x3b, 0x82, 0xf6),
    RGBColor(0xa8, 0x55, 0xf7),
    RGBColor(0x16, 0xa3, 0x4a),
    RGBColor(0xea, 0x58, 0x0c),
    RGBColor(0xdb, 0x27, 0x77),
    RGBColor(0x0d, 0x94, 0x88),
];
const GREY: RGBColor = RGBColor(0x80, 0x88, 0x90);

/// What each target costs and misses.
fn picture(file: &str, lines: &[Line]) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::new(file, (900, 420)).into_drawing_area();
    let label = ("sans-serif", 13).into_font().color(&GREY);
    let mut chart = ChartBuilder::on(&area)
        .margin(10)
        .margin_right(24)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(2.0..14.0, 0.0..60.0)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GREY.mix(0.3))
        .axis_style(GREY)
        .label_style(label.clone())
        .x_label_formatter(&|hours: &f64| format!("{hours:.0}"))
        .y_label_formatter(&|percent: &f64| format!("{percent:.0}"))
        .x_desc("instance-hours")
        .y_desc("late or refused, percent")
        .draw()?;
    for ((name, points), colour) in lines.iter().zip(COLOURS) {
        let inside = points
            .iter()
            .copied()
            .filter(|(hours, missed)| *hours <= 14.0 && *missed <= 60.0);
        chart.draw_series(LineSeries::new(inside.clone(), colour.stroke_width(2)))?;
        chart
            .draw_series(inside.map(|point| Circle::new(point, 3, colour.filled())))?
            .label(name.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(label)
        .draw()?;
    area.present()?;
    Ok(())
}

/// What was asked for.
struct Arguments {
    folder: String,
    capacity: u32,
    picture: Option<String>,
}

fn arguments() -> Option<Arguments> {
    let mut found = Arguments {
        folder: String::new(),
        capacity: 2,
        picture: None,
    };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--capacity" => found.capacity = given.next()?.parse().ok()?,
            "--picture" => found.picture = given.next(),
            "--bench" | "--quick" => {}
            _ => found.folder = argument,
        }
    }
    (!found.folder.is_empty()).then_some(found)
}

fn main() {
    let Some(asked) = arguments() else {
        println!("skipped: expected the folder of the traces as the argument");
        return;
    };
    let columns = ["context_tokens".to_owned(), "generated_tokens".to_owned()];
    let traffic = SETTINGS.iter().map(|setting| {
        let rows = rows(&Path::new(&asked.folder).join(setting.file), &columns);
        let costs = rows
            .iter()
            .map(|row| row.costs[0] * READ_TO_WRITTEN + row.costs[1]);
        let per_written_ms = 1000.0 * setting.mean_secs * rows.len() as f64 / costs.sum::<f64>();
        println!(
            "{}: {} requests, {per_written_ms:.2} ms a written token",
            setting.name,
            rows.len()
        );
        Traffic {
            setting,
            rows,
            per_written_ms,
        }
    });
    let traffic: Vec<Traffic> = traffic.collect();
    println!("\n{} in service at the beginning\n", asked.capacity);
    println!("| policy | chat ∞ | chat 5 | code ∞ | code 5 |\n|---|---|---|---|---|");
    let all = signals();
    let guarded = [
        (0, Guard::Concurrency),
        (2, Guard::Concurrency),
        (0, Guard::Steps),
        (2, Guard::Steps),
        (1, Guard::Steps),
    ];
    let plain = (0..all.len()).map(|at| (at, Guard::Nothing));
    let pictured = [
        (0, Guard::Nothing),
        (1, Guard::Nothing),
        (2, Guard::Nothing),
        (7, Guard::Nothing),
        (0, Guard::Steps),
        (2, Guard::Steps),
    ];
    let mut lines: Vec<Line> = Vec::new();
    for (at, guard) in plain.chain(guarded) {
        let signal = &all[at];
        let name = match guard {
            Guard::Nothing => signal.name.to_owned(),
            Guard::Steps => format!("{} + 10 s steps", signal.name),
            Guard::Concurrency => format!("{} + concurrency guard", signal.name),
        };
        let mut cells = Vec::new();
        for traffic in &traffic {
            for bounded in [false, true] {
                let tried = tried(traffic, signal, guard, bounded, asked.capacity);
                cells.push(cell(&tried));
                if bounded && traffic.setting.name == "code" && pictured.contains(&(at, guard)) {
                    let points = tried
                        .iter()
                        .map(|one| (mean(&one.hours), mean(&one.missed)));
                    lines.push((name.clone(), points.collect()));
                }
            }
        }
        println!("| {name} | {} |", cells.join(" | "));
    }
    if let Some(file) = asked.picture {
        picture(&file, &lines).expect("a picture");
    }
}
