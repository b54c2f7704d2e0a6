//! `plimsoll simulate --trace`: reports, and what is refused.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{json, Value};

use crate::support::server::binary;

/// Files of a simulation.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        let mut trace = "t_s,requests\n".to_owned();
        for minute in 0..60 {
            let requests = if (20..30).contains(&minute) {
                3000
            } else {
                480
            };
            writeln!(trace, "{},{requests}", 60 * minute).expect("a string");
        }
        files.write("trace.csv", &trace);
        files.write(
            "profile.json",
            r#"{"slots": 2, "queue_limit": 10, "classes": [{"mean_ms": 100, "cv": 0.5}]}"#,
        );
        files.write("policy.json", &policy().to_string());
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file");
    }

    fn simulate(&self, more: &[&str]) -> Output {
        let mut command = Command::new(binary());
        command.current_dir(self.folder.path());
        command.args([
            "simulate",
            "--trace",
            "trace.csv",
            "--profile",
            "profile.json",
        ]);
        if !more.contains(&"--policy") {
            command.args(["--policy", "policy.json"]);
        }
        command.args(more).output().expect("plimsoll runs")
    }

    /// The one sentence of a refusal.
    fn refusal(&self, more: &[&str]) -> String {
        let output = self.simulate(more);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(output.stdout.is_empty());
        said
    }
}

fn policy() -> Value {
    json!({
        "name": "load", "target": {"MinCapacity": 1, "MaxCapacity": 20},
        "policies": [{
            "PolicyName": "load", "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": 50.0, "ScaleOutCooldown": 60, "ScaleInCooldown": 300,
                "CustomizedMetricSpecification": {
                    "MetricName": "OfferedLoad", "Namespace": "Plimsoll", "Statistic": "Average"}}}]
    })
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_demonstration_needs_nothing_but_the_binary() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = || {
        let mut command = Command::new(binary());
        command.args([
            "simulate", "--demo", "--seeds", "1", "--phases", "2", "--price", "0.2",
        ]);
        command
            .current_dir(folder.path())
            .output()
            .expect("plimsoll runs")
    };
    let output = demo();
    assert!(output.status.success(), "{output:?}");
    let table = stdout(&output);
    for part in [
        "146,752 requests over 3:00:00",
        "offered load, guarded",
        "invocations",
        "cpu",
        "dollars",
        "instability %",
        "keeps the promise at the least cost",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
    assert_eq!(stdout(&demo()), table, "the same again");
}

#[test]
fn a_report_is_a_table_json_csv_and_events() {
    let files = Files::new();
    let mut other = policy();
    other["name"] = json!("at 80");
    *other
        .pointer_mut("/policies/0/TargetTrackingScalingPolicyConfiguration/TargetValue")
        .expect("a target") = json!(80);
    files.write("other.json", &other.to_string());
    let output = files.simulate(&[
        "--policy",
        "policy.json",
        "--policy",
        "other.json",
        "--seeds",
        "2",
        "--slo-percent",
        "40",
        "--json",
        "report.json",
        "--csv",
        "runs.csv",
    ]);
    assert!(output.status.success(), "{output:?}");
    let report = std::fs::read_to_string(files.path("report.json")).expect("a report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["trace"]["requests"], 54_000.0);
    let candidates = report["report"]["candidates"]
        .as_array()
        .expect("candidates");
    assert_eq!(candidates.len(), 2);
    let runs = candidates[0]["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 12);
    for run in runs {
        assert_eq!(run["requests"], 54_000.0);
        assert!(run["actions"].as_u64() >= Some(2), "{run}");
        assert!(run["instance_hours"].as_f64() > Some(1.0), "{run}");
    }
    // The tighter target costs more and misses less.
    let of = |name: &str, figure: &str| {
        let one = candidates
            .iter()
            .find(|one| one["name"] == name)
            .expect("one");
        one[figure]["mean"].as_f64().expect("a number")
    };
    assert!(of("load", "instance_hours") > of("at 80", "instance_hours"));
    assert!(of("load", "missed_percent") < of("at 80", "missed_percent"));
    assert_eq!(
        report["report"]["sensitivity"].as_array().map(Vec::len),
        Some(8)
    );
    let csv = std::fs::read_to_string(files.path("runs.csv")).expect("a table");
    assert_eq!(csv.lines().count(), 25);
    let columns = |line: &str| line.split(',').count();
    assert!(csv.lines().all(|line| columns(line) == 21), "{csv}");

    let output = files.simulate(&[
        "--events",
        "--seeds",
        "1",
        "--phases",
        "1",
        "--set",
        "launch=0",
        "--set",
        "metric_delay=0",
    ]);
    let events: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    // 480 a minute are 8 a second: 0.8 s of slot time in 2, so 40 %; then 250 %.
    let first = events
        .iter()
        .find(|event| event["kind"] == "capacity")
        .expect("an activity");
    assert_eq!(
        (&first["t"], &first["from"], &first["to"]),
        (&json!(1380), &json!(1), &json!(5)),
        "{events:?}"
    );
    assert_eq!(first["configuration"], "load");
    // Nobody keeps 99 % here: exit status 1.
    assert_eq!(files.simulate(&["--seeds", "1"]).status.code(), Some(1));
}

#[test]
fn a_flow_says_what_the_requests_do() {
    let files = Files::new();
    // Two swings between 20 and 100 a second, in four hours.
    let rate = |minute: f64| 60.0 - 40.0 * (minute * std::f64::consts::TAU / 120.0).cos();
    let rows =
        (0..240).map(|minute| format!("{},{:.0}\n", 60 * minute, 60.0 * rate(f64::from(minute))));
    files.write(
        "trace.csv",
        &format!("t_s,requests\n{}", rows.collect::<String>()),
    );
    let hours = |mode: &str| {
        files.simulate(&["--mode", mode, "--seeds", "1", "--json", "report.json"]);
        let report = std::fs::read_to_string(files.path("report.json")).expect("a report");
        let report: Value = serde_json::from_str(&report).expect("JSON");
        report["report"]["candidates"][0]["instance_hours"]["mean"]
            .as_f64()
            .expect("a number")
    };
    let (all, flowing) = (hours("requests"), hours("fluid"));
    assert!((flowing / all - 1.0).abs() < 0.02, "{flowing}, not {all}");
}

#[test]
fn bad_traces_are_refused_with_file_line_and_field() {
    let files = Files::new();
    for (text, expected) in [
        (
            "t_s,requests\n0,1\n60,1\n240,1\n",
            "trace.csv: line 4, t: a gap: 180 s after the line before; expected 60 s",
        ),
        (
            "t_s,requests\n60,1\n0,1\n",
            "trace.csv: line 3, t: 0 s after 60 s; expected times in order",
        ),
        (
            "t_s,requests\n0,1\n60,-4\n",
            "trace.csv: line 3, requests: -4; expected 0 to 1e12",
        ),
        (
            "t_s,requests\n0,1\n60,1e300\n",
            "trace.csv: line 3, requests: 1",
        ),
        (
            "requests,when\n0,1\n60,1\n",
            "trace.csv: line 1, header: \"requests\"; expected the time first",
        ),
        (
            "t_s,requests\n0,1\n",
            "trace.csv: line 2, t: one row; expected two at least",
        ),
        ("", "trace.csv: trace: no rows"),
    ] {
        files.write("trace.csv", text);
        let said = files.refusal(&[]);
        assert!(
            said.starts_with(&format!("plimsoll simulate: {expected}")),
            "{said}"
        );
    }
    files.write("trace.csv", "t_s,requests\n0,100\n60,100\n240,100\n");
    assert!(files
        .simulate(&["--gaps", "zero", "--seeds", "1"])
        .status
        .success());
    std::fs::write(files.path("trace.csv"), b"t_s,requests\n0,\xff\n").expect("a file");
    assert!(files.refusal(&[]).contains("not UTF-8"));
}

#[test]
fn what_contradicts_itself_is_refused_with_the_field() {
    let files = Files::new();
    let tracking = "/policies/0/TargetTrackingScalingPolicyConfiguration";
    let cases: [(String, Value, &str); 6] = [
        (format!("{tracking}/TargetValue"), json!(0), "load.policies[0].TargetTrackingScalingPolicyConfiguration.TargetValue: 0 cannot be tracked"),
        ("/target/MinCapacity".to_owned(), json!(30), "load.target.MinCapacity: 30 is more than MaxCapacity, which is 20"),
        (format!("{tracking}/CustomizedMetricSpecification/MetricName"), json!("OfferdLoad"), "Average of \"OfferdLoad\" in \"Plimsoll\" is not simulated; expected"),
        (format!("{tracking}/CustomizedMetricSpecification/Namespace"), json!("AWS/SageMaker"), "\"OfferedLoad\" in \"AWS/SageMaker\" is not simulated"),
        ("/policies/0/PolicyType".to_owned(), json!("Simple"), "policies[0].PolicyType: unknown variant `Simple`"),
        ("/policies/0/PolicyType".to_owned(), json!("StepScaling"), "StepScalingPolicyConfiguration"),
    ];
    for (pointer, value, expected) in cases {
        let mut changed = policy();
        *changed.pointer_mut(&pointer).expect("a field") = value;
        files.write("policy.json", &changed.to_string());
        let said = files.refusal(&["--seeds", "1"]);
        assert!(said.contains(expected), "{said}");
    }
    files.write("policy.json", &policy().to_string());
    for (arguments, expected) in [
        (
            &["--set", "lunch=3"][..],
            "load.options.lunch: no such option; expected one of",
        ),
        (
            &["--set", "launch=-3"],
            "load.options.launch: invalid value",
        ),
        (
            &["--slo-ms", "20"],
            "slo: 20 ms for 99 % of requests: not kept by one instance",
        ),
        (
            &["--slo-percent", "101"],
            "slo.percent: 101; expected 0 to 100",
        ),
        (
            &["--mode", "fluid", "--retries", "2"],
            "retries: 2; a flow knows no repeated attempts",
        ),
        (&["--price=-1"], "--price: -1; expected 0 to"),
        (
            &["--policy", "policy.json", "--policy", "policy.json"],
            "name: \"load\" is the name of two",
        ),
        (
            &["--policy", "nothing.json"],
            "nothing.json: cannot be read",
        ),
    ] {
        let said = files.refusal(arguments);
        assert!(said.contains(expected), "{said}");
    }
    for (field, value, expected) in [
        (
            "slots",
            json!(0),
            "profile.json: slots: 0; expected 1 to 4096",
        ),
        (
            "classes",
            json!([]),
            "profile.json: classes: none; expected one at least",
        ),
        (
            "slot",
            json!(1),
            "profile.json: profile: unknown field `slot`",
        ),
        (
            "ms_per",
            json!({"tokens": 1}),
            "header: \"t_s,requests\" has no column \"tokens\"",
        ),
    ] {
        let mut profile = json!({"slots": 2, "classes": [{"mean_ms": 100}]});
        profile[field] = value;
        files.write("profile.json", &profile.to_string());
        let said = files.refusal(&[]);
        assert!(said.contains(expected), "{said}");
    }
}

/// Ten million rows take no more memory than ten.
#[test]
fn a_long_trace_takes_no_memory() {
    let files = Files::new();
    let mut text = String::with_capacity(110_000_000);
    text.push_str("t_ms\n");
    for row in 0..10_000_000_u64 {
        writeln!(text, "{}", row * 36 / 100).expect("a string");
    }
    files.write("trace.csv", &text);
    drop(text);
    let mut policy = policy();
    policy["target"]["MaxCapacity"] = json!(400);
    policy["capacity"] = json!(300);
    files.write("policy.json", &policy.to_string());
    let command = format!(
        "ulimit -v 200000; exec {} simulate --trace trace.csv --profile profile.json --policy policy.json --phases 1 --seeds 1 --mode requests",
        binary().display()
    );
    let output = Command::new("sh")
        .args(["-c", &command])
        .current_dir(files.folder.path())
        .output()
        .expect("sh runs");
    assert!(
        stdout(&output).contains("10,000,000 requests over 1:00:00"),
        "{output:?}"
    );
    assert!(output.status.success(), "{output:?}");
}
