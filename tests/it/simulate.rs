//! `plimsoll simulate`: the worked examples of how Application Auto Scaling behaves, event for event.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{json, Value};

use crate::support::root;

fn scenarios() -> Vec<PathBuf> {
    let folder = root().join("tests/data/scenarios");
    let files = std::fs::read_dir(folder).expect("the scenarios");
    let mut files: Vec<PathBuf> = files.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn simulate(scenario: &Path, more: &[&str]) -> Output {
    Command::new(crate::support::server::binary())
        .args(["simulate", "--scenario"])
        .arg(scenario)
        .args(more)
        .output()
        .expect("plimsoll runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn events(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    text.lines().map(parse).collect()
}

fn document(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).expect("a scenario");
    serde_json::from_str(&text).expect("JSON")
}

/// Of a kind, in order.
fn of_kind(events: &[Value], kind: &str) -> Vec<Value> {
    let is_kind = |event: &&Value| event["kind"] == kind;
    events.iter().filter(is_kind).cloned().collect()
}

#[test]
fn every_worked_example_happens_event_for_event() {
    let files = scenarios();
    // 1 to 20 and 22, some of several parts; 21, the table of missing data, is a unit test.
    assert!(files.len() >= 32, "{files:?}");
    for file in files {
        let output = simulate(&file, &["--events"]);
        let name = file.display();
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        let happened = events(&output);
        let expected = &document(&file)["expected"];
        let list = |key: &str| expected[key].as_array().cloned();
        assert_eq!(
            Some(of_kind(&happened, "capacity")),
            list("capacity"),
            "{name}"
        );
        if let Some(not_scaled) = list("not_scaled") {
            assert_eq!(of_kind(&happened, "not_scaled"), not_scaled, "{name}");
        }
        for alarm in list("alarms").unwrap_or_default() {
            assert!(happened.contains(&alarm), "{name}: {alarm}");
        }
    }
}

/// What is done to a scenario.
type Change = Box<dyn FnOnce(&mut Value)>;

/// A scenario that was changed, in a file of its own.
fn changed(change: impl FnOnce(&mut Value)) -> (tempfile::TempDir, PathBuf) {
    let mut scenario = document(&root().join("tests/data/scenarios/01-plain-scale-out.json"));
    change(&mut scenario);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scenario.json");
    std::fs::write(&file, scenario.to_string()).expect("a file");
    (folder, file)
}

#[test]
fn what_happens_otherwise_than_expected_is_said_and_fails() {
    let (_folder, file) = changed(|scenario| scenario["expected"]["capacity"][0]["to"] = json!(4));
    let output = simulate(&file, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("capacity event 0: expected {\"t\":300"),
        "{}",
        stderr(&output)
    );
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        table.contains("0:05:00  capacity 2 -> 3, done (load)"),
        "{table}"
    );
    assert!(
        table.contains("alarm load-AlarmHigh OK -> ALARM"),
        "{table}"
    );
}

#[test]
fn a_bad_scenario_is_one_sentence_that_names_field_and_value() {
    let policy = "/policies/0/TargetTrackingScalingPolicyConfiguration";
    let set = |scenario: &mut Value, pointer: &str, value: Value| {
        *scenario.pointer_mut(pointer).expect(pointer) = value;
    };
    let cases: Vec<(Change, &str)> =
        vec![
        (
            Box::new(move |s| set(s, &format!("{policy}/TargetValue"), json!(0))),
            "policies[0].TargetTrackingScalingPolicyConfiguration.TargetValue: 0 cannot be tracked",
        ),
        (
            Box::new(move |s| set(s, "/target/MinCapacity", json!(11))),
            "target.MinCapacity: 11 is more than MaxCapacity, which is 10",
        ),
        (
            Box::new(move |s| set(s, "/capacity", json!(0))),
            "capacity: 0; expected 1 to 10",
        ),
        (
            Box::new(|s| s["options"] = json!({"lunch": 300})),
            "unknown field `lunch`, expected one of `metric_delay`, `high_resolution_delay`",
        ),
        (
            Box::new(|s| s["options"] = json!({"cooldown_base": "after"})),
            "unknown variant `after`, expected `before-first` or `current`",
        ),
        (
            Box::new(|s| s["options"] = json!({"low_factor": 1.5})),
            "options.low_factor: 1.5; expected more than 0 and at most 1",
        ),
        (
            Box::new(|s| s["metrics"] = json!({"Other": {"values": [1]}})),
            "metrics: \"Load\" is asked for and not there; expected it among [\"Other\"]",
        ),
        (
            Box::new(|s| s["metrics"]["Load"]["values"] = json!([])),
            "metrics.Load.values: none; expected one at least",
        ),
        (
            Box::new(|s| s["metrics"]["Load"] = json!({"of": "per_instance", "values": [-1]})),
            "metrics.Load.values[0]: -1; expected a number",
        ),
        (Box::new(|s| s["until"] = json!(0)), "until: 0 s; expected 1 to"),
        (
            Box::new(|s| {
                let twice = s["policies"][0].clone();
                s["policies"].as_array_mut().expect("policies").push(twice);
            }),
            "policies[1].PolicyName: \"load\" is used twice",
        ),
        (
            Box::new(|s| {
                let mut other = s["policies"][0].clone();
                other["PolicyName"] = json!("other");
                s["policies"].as_array_mut().expect("policies").push(other);
            }),
            "another policy tracks the same metric",
        ),
    ];
    for (change, expected) in cases {
        let (_folder, file) = changed(change);
        let output = simulate(&file, &["--events"]);
        assert_eq!(
            output.status.code(),
            Some(64),
            "{expected}: {}",
            stderr(&output)
        );
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
        assert_eq!(stderr(&output).lines().count(), 1);
        assert!(output.stdout.is_empty());
    }
    let output = simulate(Path::new("/nonexistent.json"), &[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(
        stderr(&output).contains("/nonexistent.json: cannot be read"),
        "{}",
        stderr(&output)
    );
}
