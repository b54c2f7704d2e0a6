//! Tests of rankings: what counts, and when an order is none.

use super::spread::margin;
use super::*;

fn study(names: &[&str]) -> Study {
    let configuration = |name: &&str| {
        Configuration::parse(&format!(
            r#"{{"name": {name:?}, "target": {{"MinCapacity": 1, "MaxCapacity": 2}}}}"#
        ))
        .unwrap()
    };
    Study {
        workload: Workload::default(),
        configurations: names.iter().map(configuration).collect(),
        begins: None,
        secs: 3600,
        phases: vec![0, 30],
        seeds: vec![1, 2],
        mode: Mode::Requests,
        rate: 10.0,
        price: Some(0.5),
    }
}

/// Results by configuration: percent missed, hours; and those under a switch.
fn results(study: &Study, of: impl Fn(&Case, f64) -> (f64, f64)) -> Vec<(Case, Outcome)> {
    let cases = study.cases().unwrap();
    let result = |case: Case| {
        let noise = case.phase as f64 / 300.0 + case.seed as f64 / 10.0;
        let (missed_percent, instance_hours) = of(&case, noise);
        let outcome = Outcome {
            missed_percent,
            instance_hours,
            ..Outcome::default()
        };
        (case, outcome)
    };
    cases.into_iter().map(result).collect()
}

#[test]
fn the_cheapest_that_keeps_the_promise_is_first() {
    let study = study(&["dear", "cheap", "late"]);
    let results = results(&study, |case, noise| match case.configuration {
        0 => (0.1 + noise / 100.0, 9.0 + noise),
        1 => (0.2 + noise / 100.0, 6.0 + noise),
        _ => (4.0 + noise, 2.0 + noise),
    });
    let report = study.report(&results);
    let found: Vec<_> = report
        .candidates
        .iter()
        .map(|one| (one.name.as_str(), one.keeps, one.order))
        .collect();
    assert_eq!(
        found,
        [
            ("cheap", Keeps::Yes, Order::First),
            ("dear", Keeps::Yes, Order::Significant),
            ("late", Keeps::No, Order::Significant),
        ]
    );
    let cost = report.candidates[0].cost.unwrap();
    assert!((cost.mean - 0.5 * report.candidates[0].instance_hours.mean).abs() < 1e-12);
    assert_eq!(report.candidates[0].runs.len(), 4);
    assert_eq!(report.sensitivity.len(), 8);
    assert!(report.sensitivity.iter().all(|one| !one.changes));
}

#[test]
fn an_order_that_chance_decides_is_said_to_be_none() {
    let study = study(&["a", "b"]);
    let results = results(&study, |case, noise| match case.configuration {
        0 => (0.0, 6.0 + noise),
        // Ahead with one seed and behind with the other.
        _ => (0.0, 6.05 + noise + if case.seed == 1 { 2.0 } else { -2.0 }),
    });
    let report = study.report(&results);
    assert_eq!(report.candidates[1].order, Order::Insignificant);
}

#[test]
fn a_switch_that_changes_the_winner_is_named() {
    let study = study(&["a", "b"]);
    let results = results(&study, |case, noise| {
        let is_turned = case
            .switch
            .as_ref()
            .is_some_and(|switch| switch.option == "launch");
        match (case.configuration, is_turned) {
            (0, true) => (7.0, 6.0),
            (0, false) => (0.1, 6.0 + noise),
            _ => (0.1, 7.0 + noise),
        }
    });
    let report = study.report(&results);
    let changing: Vec<_> = report
        .sensitivity
        .iter()
        .filter(|one| one.changes)
        .collect();
    assert_eq!(changing.len(), 1);
    assert_eq!(
        (
            changing[0].switch.option.as_str(),
            changing[0].first.as_str()
        ),
        ("launch", "b")
    );
}

/// Student's 97.5 % points: 2.776 at 4 degrees of freedom, 2.110 at 17.
#[test]
fn margins_are_students() {
    for (n, t) in [(5, 2.776), (18, 2.110)] {
        let values: Vec<f64> = (0..n).map(f64::from).collect();
        let mean = f64::from(n - 1) / 2.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / f64::from(n - 1);
        let expected = t * (variance / f64::from(n)).sqrt();
        assert!((margin(&values) / expected - 1.0).abs() < 0.01);
    }
    assert_eq!(margin(&[1.0]), f64::INFINITY);
}

#[test]
fn two_of_one_name_and_unknown_options_are_refused() {
    let error = study(&["a", "a"]).check().unwrap_err().to_string();
    assert!(error.contains("\"a\" is the name of two"), "{error}");
    let mut one = study(&["a"]);
    one.configurations[0]
        .options
        .insert("lunch".to_owned(), json!(3));
    let error = one.check().unwrap_err().to_string();
    assert!(
        error.starts_with("a.options.lunch: no such option"),
        "{error}"
    );
    one.configurations[0].options.clear();
    one.configurations[0].target.min_capacity = 3;
    let error = one.check().unwrap_err().to_string();
    assert!(error.contains("a.target"), "{error}");
}

/// What is not at its default is turned to it.
#[test]
fn rules_are_turned_the_other_way() {
    let usual = Options::usual();
    let turned = switches(&usual.with("value_used", json!("average")).unwrap());
    let values: Vec<_> = turned
        .iter()
        .filter(|one| one.option == "value_used")
        .map(|one| one.value.clone())
        .collect();
    assert_eq!(values, [json!("newest"), json!("maximum")]);
    let launch = turned.iter().find(|one| one.option == "launch").unwrap();
    assert_eq!(launch.value, json!(2 * usual.launch));
    assert_eq!(turned.len(), 8);
}
