//! What arrives in CloudWatch, by which route, and what happens when it cannot.
//!
//! CloudWatch is moto's server behind `tests/support/cloudwatch.py`, which also holds AWS's limits
//! that moto does not. Percentiles, which moto lacks, are taken from the Values and Counts that
//! were captured on the way.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::overload::metric;
use crate::support::{eventually, CloudWatch, Server};

const NAMESPACE: &str = "Plimsoll";

fn leave(server: &mut Server) {
    // An interrupt does not linger, and publishes the last period all the same.
    server.signal("INT");
    let status = server.wait(Duration::from_secs(15));
    assert_eq!(status.code(), Some(0), "{}", server.log());
    server.join_readers();
}

/// The statistic of a metric as boto3 reads it back.
fn statistic(rows: &[Value], name: &str, statistic: &str) -> f64 {
    let row = rows
        .iter()
        .find(|row| row["metric"] == name)
        .unwrap_or_else(|| panic!("{name} in {rows:#?}"));
    row[statistic].as_f64().expect("a number")
}

/// Every datum of a metric that CloudWatch accepted.
fn datums(captured: &Value, name: &str) -> Vec<Value> {
    let calls = captured["calls"].as_array().expect("calls");
    calls
        .iter()
        .flat_map(|call| call["data"].as_array().expect("data"))
        .filter(|datum| datum["MetricName"] == name)
        .cloned()
        .collect()
}

/// Values and counts of a metric over all its datums, sorted by value.
fn distribution(captured: &Value, name: &str) -> Vec<(f64, f64)> {
    let mut points = Vec::new();
    for datum in datums(captured, name) {
        let list = |key: &str| -> Vec<f64> {
            let numbers = datum[key].as_array().into_iter().flatten();
            numbers.filter_map(Value::as_f64).collect()
        };
        points.extend(list("Values").into_iter().zip(list("Counts")));
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// The value below which this share of the samples lies.
fn percentile(points: &[(f64, f64)], share: f64) -> f64 {
    let total: f64 = points.iter().map(|(_, count)| count).sum();
    let mut seen = 0.0;
    for (value, count) in points {
        seen += count;
        if seen >= share * total {
            return *value;
        }
    }
    f64::NAN
}

#[test]
fn statistics_agree_with_the_requests_that_were_sent() {
    let cloudwatch = CloudWatch::start();
    let mut server = cloudwatch.for_server(Server::on("busy")).ready();
    assert_eq!(server.get("/ping").status, 200);
    // Nine short requests to every long one; the first value is the number of rounds.
    for i in 0..40 {
        let rounds = if i % 10 == 9 { 40 } else { 1 };
        let reply = server.invoke("application/json", format!("[[{rounds},0,0,0]]"));
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    for _ in 0..5 {
        assert_eq!(server.invoke("application/json", "[[1]]").status, 400);
    }
    let page = server.get("/metrics").text();
    leave(&mut server);

    let captured = cloudwatch.captured();
    assert_eq!(
        captured["refused"],
        serde_json::json!([]),
        "AWS's limits hold"
    );
    let rows = cloudwatch.read_back(NAMESPACE);
    let read = |name, what| statistic(&rows, name, what);
    assert_eq!(read("Invocations", "Sum"), 45.0);
    assert_eq!(read("ClientErrors", "Sum"), 5.0);
    assert_eq!(read("ServerErrors", "Sum"), 0.0);
    assert_eq!(read("Rejected", "Sum"), 0.0);
    for (name, samples, stem) in [
        ("RequestLatency", 45.0, "request"),
        ("InferenceLatency", 40.0, "inference"),
        ("QueueLatency", 40.0, "queue"),
        ("CodecLatency", 40.0, "codec"),
    ] {
        assert_eq!(read(name, "SampleCount"), samples, "{name}");
        let sum = read(name, "Sum");
        let on_the_page = 1e6 * metric(&page, &format!("plimsoll_{stem}_latency_seconds_sum"));
        assert!(
            (sum - on_the_page).abs() <= 0.001 * on_the_page + 1.0,
            "{name}: {sum} µs, {on_the_page} µs on the page"
        );
        let average = read(name, "Average");
        assert!(
            (average - sum / samples).abs() <= 1e-6 * average.max(1.0),
            "{name}"
        );
        assert!(
            read(name, "Minimum") <= average && average <= read(name, "Maximum"),
            "{name}"
        );
    }

    // One request in ten (of those that ran) was forty times as long.
    let points = distribution(&captured, "InferenceLatency");
    let (median, high) = (percentile(&points, 0.5), percentile(&points, 0.99));
    assert!(high > 5.0 * median, "p50 {median} µs, p99 {high} µs");
    let largest = points.last().map_or(0.0, |(value, _)| *value);
    assert_eq!(largest, read("InferenceLatency", "Maximum"));

    // Every metric carries exactly the deployer's dimensions, in high resolution.
    for call in captured["calls"].as_array().expect("calls") {
        assert_eq!(call["namespace"], NAMESPACE);
        for datum in call["data"].as_array().expect("data") {
            assert_eq!(
                datum["Dimensions"],
                serde_json::json!([
                    {"Name": "EndpointName", "Value": "endpoint"},
                    {"Name": "VariantName", "Value": "AllTraffic"},
                ])
            );
            assert_eq!(datum["StorageResolution"], 1, "{datum}");
        }
    }
    for name in [
        "OfferedLoad",
        "Concurrency",
        "CPUUtilization",
        "MemoryUtilization",
        "SlotUtilization",
    ] {
        assert!(read(name, "SampleCount") >= 1.0, "{name}");
        assert!(read(name, "Minimum") >= 0.0, "{name}");
    }
    assert!(read("Concurrency", "Maximum") >= 1.0);
    assert!(
        rows.iter()
            .all(|row| !row["metric"].as_str().is_some_and(|m| m.starts_with("GPU")))
            || std::path::Path::new("/dev/nvidia0").exists()
    );
}

#[test]
fn nothing_is_published_before_the_first_good_ping() {
    let cloudwatch = CloudWatch::start();
    let mut server = cloudwatch.for_server(Server::on("sum4")).ready();
    assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200);
    leave(&mut server);
    assert_eq!(cloudwatch.captured()["calls"], serde_json::json!([]));
}

#[test]
fn without_dimensions_one_line_says_so_and_nothing_leaves() {
    let cloudwatch = CloudWatch::start();
    let mut server = cloudwatch
        .for_server(Server::on("sum4"))
        .env("PLIMSOLL_ENDPOINT_NAME", "")
        .env("PLIMSOLL_VARIANT_NAME", "")
        .ready();
    assert_eq!(server.get("/ping").status, 200);
    assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200);
    leave(&mut server);
    let log = server.log();
    let lines = log
        .lines()
        .filter(|line| line.contains("no dimensions are set"));
    assert_eq!(lines.count(), 1, "{log}");
    assert_eq!(cloudwatch.captured()["calls"], serde_json::json!([]));
    assert_eq!(server.stdout(), Vec::<String>::new());
}

/// Every line of embedded metric format on stdout, checked for its form.
fn emf_events(server: &Server) -> Vec<Value> {
    let events: Vec<Value> = server
        .stdout()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    for event in &events {
        let stamp = event["_aws"]["Timestamp"].as_u64().expect("milliseconds");
        assert!(stamp > 1_600_000_000_000, "{stamp}");
        for directive in event["_aws"]["CloudWatchMetrics"]
            .as_array()
            .expect("directives")
        {
            assert_eq!(directive["Namespace"], NAMESPACE);
            for dimension in directive["Dimensions"].as_array().into_iter().flatten() {
                for name in dimension.as_array().expect("names") {
                    assert!(
                        event[name.as_str().unwrap()].is_string(),
                        "{name} at the root"
                    );
                }
            }
            let metrics = directive["Metrics"].as_array().expect("metrics");
            assert!(metrics.len() <= 100);
            for metric in metrics {
                let value = &event[metric["Name"].as_str().expect("a name")];
                let values = value.as_array().map_or(1, Vec::len);
                let finite = |v: &Value| v.as_f64().is_some_and(f64::is_finite);
                assert!(
                    (1..=100).contains(&values)
                        && value
                            .as_array()
                            .map_or_else(|| finite(value), |v| v.iter().all(finite)),
                    "{metric}: {value}"
                );
            }
        }
    }
    events
}

fn sum(events: &[Value], name: &str) -> f64 {
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

#[test]
fn embedded_metric_format_says_the_same_on_stdout() {
    let mut server = Server::on("sum4")
        .env("PLIMSOLL_METRICS_ROUTE", "emf")
        .env("PLIMSOLL_ENDPOINT_NAME", "endpoint")
        .env("PLIMSOLL_VARIANT_NAME", "AllTraffic")
        .ready();
    assert_eq!(server.get("/ping").status, 200);
    for _ in 0..12 {
        assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200);
    }
    assert_eq!(server.invoke("text/csv", "1").status, 400);
    leave(&mut server);
    let events = emf_events(&server);
    assert_eq!(sum(&events, "Invocations"), 13.0, "{events:#?}");
    assert_eq!(sum(&events, "ClientErrors"), 1.0);
    assert_eq!(sum(&events, "InferenceLatencyCount"), 12.0);
    assert!(sum(&events, "InferenceLatencySum") > 0.0);
}

#[test]
fn missing_region_credentials_or_permission_fall_back_to_stdout_and_say_why() {
    let cloudwatch = CloudWatch::start();
    type Variables = &'static [(&'static str, &'static str)];
    let cases: [(Variables, &str, &str); 3] = [
        (&[("AWS_REGION", "")], "ok", "AWS_REGION"),
        (
            &[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")],
            "ok",
            "credentials",
        ),
        (&[], "denied", "cloudwatch:PutMetricData"),
    ];
    for (variables, fault, named) in cases {
        cloudwatch.fault(fault, 0.0);
        let mut start = cloudwatch.for_server(Server::on("sum4"));
        for (name, value) in variables {
            start = start.env(name, value);
        }
        let mut server = start.ready();
        assert_eq!(server.get("/ping").status, 200);
        assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200);
        leave(&mut server);
        let log = server.log();
        let said = log
            .lines()
            .filter(|line| {
                line.contains("stdout") && line.contains(named) && !line.contains("metrics  auto")
            })
            .count();
        assert_eq!(said, 1, "{named}: {log}");
        assert_eq!(sum(&emf_events(&server), "Invocations"), 1.0, "{named}");
    }
}

#[test]
fn a_failing_or_hanging_cloudwatch_never_touches_serving() {
    let cloudwatch = CloudWatch::start();
    for fault in ["500", "throttle", "hang"] {
        cloudwatch.fault(fault, 3600.0);
        let mut server = cloudwatch
            .for_server(Server::on("sum4"))
            .env("PLIMSOLL_METRICS_ROUTE", "cloudwatch")
            .ready();
        assert_eq!(server.get("/ping").status, 200);
        for _ in 0..200 {
            assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200, "{fault}");
        }
        assert_eq!(server.get("/ping").status, 200);
        let begun = Instant::now();
        leave(&mut server);
        assert!(
            begun.elapsed() < Duration::from_secs(8),
            "{fault}: {:?}",
            begun.elapsed()
        );
    }
}

#[test]
fn periods_leave_while_the_server_runs() {
    let cloudwatch = CloudWatch::start();
    let server = cloudwatch.for_server(Server::on("sum4")).ready();
    assert_eq!(server.get("/ping").status, 200);
    assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200);
    let captured = eventually("a period arrives", Duration::from_secs(60), || {
        let captured = cloudwatch.captured();
        (!datums(&captured, "Invocations").is_empty()).then_some(captured)
    });
    assert_eq!(captured["calls"][0]["protocol"], "rpc-v2-cbor");
}
