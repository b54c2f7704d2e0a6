//! What left a server: datums that CloudWatch took, and embedded metric format on stdout.

use std::time::Duration;

use serde_json::Value;

use super::Server;

/// The namespace unless a setting names another.
pub const NAMESPACE: &str = "Plimsoll";

/// Interrupts a server, which does not linger then and publishes its last period all the same.
pub fn leave(server: &mut Server) {
    server.signal("INT");
    let status = server.wait(Duration::from_secs(15));
    assert_eq!(status.code(), Some(0), "{}", server.log());
    server.join_readers();
}

/// Every datum that CloudWatch accepted.
pub fn all_datums(captured: &Value) -> Vec<Value> {
    let calls = captured["calls"].as_array().expect("calls");
    calls
        .iter()
        .flat_map(|call| call["data"].as_array().expect("data"))
        .cloned()
        .collect()
}

/// Every datum of a metric that CloudWatch accepted.
pub fn datums(captured: &Value, name: &str) -> Vec<Value> {
    let mut datums = all_datums(captured);
    datums.retain(|datum| datum["MetricName"] == name);
    datums
}

/// Every line on stdout, each of which must be embedded metric format.
pub fn emf_events(server: &Server) -> Vec<Value> {
    let events: Vec<Value> = server
        .stdout()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    events.iter().for_each(check_emf);
    events
}

fn check_emf(event: &Value) {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_millis();
    let stamp = event["_aws"]["Timestamp"].as_u64().expect("milliseconds");
    let age = now.abs_diff(u128::from(stamp));
    assert!(age < 10 * 60 * 1000, "{stamp}, and now it is {now}");
    let directives = event["_aws"]["CloudWatchMetrics"].as_array();
    for directive in directives.expect("directives") {
        assert_eq!(directive["Namespace"], NAMESPACE);
        for dimension in directive["Dimensions"].as_array().into_iter().flatten() {
            for name in dimension.as_array().expect("names") {
                let value = &event[name.as_str().expect("a name")];
                assert!(value.is_string(), "{name} at the root");
            }
        }
        let metrics = directive["Metrics"].as_array().expect("metrics");
        assert!((1..=100).contains(&metrics.len()));
        for metric in metrics {
            let value = &event[metric["Name"].as_str().expect("a name")];
            let values = value
                .as_array()
                .map_or(std::slice::from_ref(value), Vec::as_slice);
            let finite = |v: &Value| v.as_f64().is_some_and(f64::is_finite);
            assert!(
                (1..=100).contains(&values.len()) && values.iter().all(finite),
                "{metric}: {value}"
            );
        }
    }
}

/// The sum of a metric over all events.
pub fn sum(events: &[Value], name: &str) -> f64 {
    events
        .iter()
        .flat_map(|event| match &event[name] {
            Value::Array(values) => values.clone(),
            Value::Null => Vec::new(),
            value => vec![value.clone()],
        })
        .filter_map(|value| value.as_f64())
        .sum()
}
