//! What arrives in CloudWatch, by which route, and what happens when it cannot.
//!
//! CloudWatch is moto's server behind `tests/support/cloudwatch.py`, which also holds AWS's limits
//! that moto does not. Percentiles, which moto lacks, are taken from the Values and Counts that
//! were captured on the way.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::published::{datums, leave, NAMESPACE};
use crate::support::{eventually, metric, CloudWatch, Server};

/// The statistic of a metric as boto3 reads it back.
fn statistic(rows: &[Value], name: &str, statistic: &str) -> f64 {
    let row = rows
        .iter()
        .find(|row| row["metric"] == name)
        .unwrap_or_else(|| panic!("{name} in {rows:#?}"));
    row[statistic].as_f64().expect("a number")
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
    let publishing_since = Instant::now();
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
    // Levels and readings are sampled on the second, and a last sample of less than half a second
    // is none: a server that leaves sooner than a second after its first good ping may have none.
    std::thread::sleep(Duration::from_millis(1100).saturating_sub(publishing_since.elapsed()));
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
