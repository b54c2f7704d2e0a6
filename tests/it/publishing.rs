//! What arrives in CloudWatch, by which route, and what happens when it cannot.
//!
//! CloudWatch is moto's server behind `tests/support/cloudwatch.py`, which also holds AWS's limits
//! that moto does not. Percentiles, which moto lacks, are taken from the Values and Counts that
//! were captured on the way.

use std::io::Read;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inference::telemetry::{SchedulerMetrics, Source};
use scaling::catalogue::Metric;
use serde_json::Value;

use crate::support::cgroup::{Group, Limits};
use crate::support::nvml::StandIn;
use crate::support::published::{datums, emf_events, leave, sum, NAMESPACE};
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

/// What was sent of a metric over all its datums: number of samples, sum, least and largest.
fn sent(captured: &Value, metric: Metric) -> Option<[f64; 4]> {
    let mut all = [0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY];
    let datums = datums(captured, metric.name());
    for datum in &datums {
        assert_eq!(datum["Unit"], metric.unit().name(), "{datum}");
        assert_eq!(
            datum["Dimensions"],
            serde_json::json!([
                {"Name": "EndpointName", "Value": "endpoint"},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ])
        );
        let number = |value: &Value| value.as_f64();
        let list = |key: &str| -> Vec<f64> {
            let numbers = datum[key].as_array().into_iter().flatten();
            numbers.filter_map(number).collect()
        };
        let set = &datum["StatisticValues"];
        let parts: Vec<[f64; 4]> = if let Some(value) = number(&datum["Value"]) {
            vec![[1.0, value, value, value]]
        } else if set.is_object() {
            let member = |key: &str| number(&set[key]).expect(key);
            vec![["SampleCount", "Sum", "Minimum", "Maximum"].map(member)]
        } else {
            let (values, counts) = (list("Values"), list("Counts"));
            assert!(
                !values.is_empty() && values.len() == counts.len(),
                "{datum}"
            );
            let pairs = values.into_iter().zip(counts);
            pairs.map(|(v, n)| [n, n * v, v, v]).collect()
        };
        for [samples, sum, least, largest] in parts {
            all[0] += samples;
            all[1] += sum;
            all[2] = all[2].min(least);
            all[3] = all[3].max(largest);
        }
    }
    (!datums.is_empty()).then_some(all)
}

/// Every metric that was sent is read back as it was sent; gives those that were not sent.
fn round_trip(cloudwatch: &CloudWatch) -> Vec<Metric> {
    let captured = cloudwatch.captured();
    let rows = cloudwatch.read_back(NAMESPACE);
    let mut absent = Vec::new();
    let mut present = 0;
    for &metric in Metric::ALL {
        let Some(sent) = sent(&captured, metric) else {
            absent.push(metric);
            continue;
        };
        present += 1;
        let of_it: Vec<&Value> = rows
            .iter()
            .filter(|row| row["metric"] == metric.name())
            .collect();
        let [row] = of_it[..] else {
            panic!("one row of {}: {of_it:#?}", metric.name());
        };
        assert_eq!(row["unit"], metric.unit().name(), "{row}");
        let dimensions =
            serde_json::json!({"EndpointName": "endpoint", "VariantName": "AllTraffic"});
        assert_eq!(row["dimensions"], dimensions, "{row}");
        for (key, sent) in ["SampleCount", "Sum", "Minimum", "Maximum"]
            .iter()
            .zip(sent)
        {
            let read = row[key].as_f64().expect("a number");
            assert!(
                (read - sent).abs() <= 1e-9 * sent.abs().max(1.0),
                "{} {key}: {sent} was sent, {read} is read",
                metric.name()
            );
        }
    }
    assert_eq!(rows.len(), present, "nothing else: {rows:#?}");
    absent
}

#[test]
fn every_metric_is_read_back_as_it_was_sent() {
    let of_gpus = [Metric::GPUUtilization, Metric::GPUMemoryUtilization];
    // The server's own share of time on a GPU needs runs on one: the next test.
    let mut expected = vec![Metric::GPUBusy];
    let group = Group::new(&Limits {
        cpu_percent: Some(100),
        ..Limits::default()
    });
    if group.is_none() {
        // Absent without a quota.
        expected.push(Metric::CPUThrottled);
    }
    for with_gpus in [false, true] {
        let cloudwatch = CloudWatch::start();
        let nvml =
            StandIn::new("count 1\n0.name NVIDIA Stand-in\n0.utilization 30\n0.memory 1000 4000\n");
        let library = nvml.library();
        let mut start = cloudwatch.for_server(Server::on("sum4"));
        if with_gpus {
            start = start.env("PLIMSOLL_NVML_LIBRARY", library.to_str().expect("UTF-8"));
        }
        if let Some(group) = &group {
            let enter = group.enter();
            let words: Vec<&str> = enter.iter().map(String::as_str).collect();
            start = start.through(&words);
        }
        let mut server = start.ready();
        assert_eq!(server.get("/ping").status, 200);
        let until = Instant::now() + Duration::from_millis(2500);
        while Instant::now() < until {
            assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200);
            assert_eq!(server.invoke("text/csv", "1").status, 400);
        }
        leave(&mut server);
        let mut absent = round_trip(&cloudwatch);
        absent.sort_unstable();
        let mut expected = expected.clone();
        if !with_gpus && !std::path::Path::new("/dev/nvidia0").exists() {
            expected.extend(of_gpus);
        }
        expected.sort_unstable();
        assert_eq!(absent, expected, "{}", server.log());
    }
}

/// Names the process that is the sidecar alone.
const ALONE: &str = "THE_SIDECAR_ALONE";

/// A sidecar that hears what a server says whose model runs on a GPU: 0.6 s of about 1.2 s.
fn half_busy_on_a_gpu() {
    let recorder = sidecar::Recorder::new();
    let scheduler = SchedulerMetrics::register(Source {
        recorder: &recorder,
        epoch: recorder.epoch(),
    });
    scheduler.gpu_slots.set(1.0);
    let config = sidecar::Config {
        route: sidecar::RouteChoice::CloudWatch,
        dimensions: [("EndpointName", "endpoint"), ("VariantName", "AllTraffic")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..sidecar::Config::default()
    };
    let begin = Arc::new(AtomicBool::new(true));
    let sidecar = sidecar::start(config, recorder.clone(), begin).expect("it starts");
    for _ in 0..6 {
        scheduler.gpu_runs.enter(Instant::now());
        std::thread::sleep(Duration::from_millis(100));
        scheduler.gpu_runs.leave(Instant::now());
        std::thread::sleep(Duration::from_millis(100));
    }
    sidecar.stop(Duration::from_secs(10));
}

#[test]
fn the_share_of_time_on_a_gpu_is_read_back_too() {
    if std::env::var_os(ALONE).is_some() {
        return half_busy_on_a_gpu();
    }
    let cloudwatch = CloudWatch::start();
    // By this name it is found wherever its file is by now.
    let output = Command::new("/proc/self/exe")
        .args([
            "--exact",
            "publishing::the_share_of_time_on_a_gpu_is_read_back_too",
        ])
        .env(ALONE, "1")
        .envs(cloudwatch.environment())
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    let rows = cloudwatch.read_back(NAMESPACE);
    let busy = rows
        .iter()
        .find(|row| row["metric"] == Metric::GPUBusy.name())
        .unwrap_or_else(|| panic!("{rows:#?}"));
    assert_eq!(busy["unit"], "Percent", "{busy}");
    let (sum, samples) = (busy["Sum"].as_f64(), busy["SampleCount"].as_f64());
    let mean = sum.expect("a sum") / samples.expect("a count");
    assert!((20.0..=80.0).contains(&mean), "{busy}");
}

#[test]
fn nothing_of_a_caller_leaves_with_the_metrics() {
    const MARK: &str = "zq7-caller";
    let mut server = Server::on("sum4").publishing_emf().ready();
    assert_eq!(server.get("/ping").status, 200);
    let headers = [
        ("Content-Type", "text/csv"),
        ("X-Amzn-SageMaker-Custom-Attributes", MARK),
        ("X-Amzn-SageMaker-Inference-Id", MARK),
        ("X-Amzn-SageMaker-Target-Model", MARK),
        ("User-Agent", MARK),
        (MARK, MARK),
    ];
    let path = format!("/invocations?{MARK}={MARK}");
    assert_eq!(server.send("POST", &path, &headers, b"1,2,3,4").status, 200);
    let bad = server.send("POST", &path, &headers, MARK.as_bytes());
    assert_eq!(bad.status, 400, "{}", bad.text());
    let unknown = [("Content-Type", "application/zq7-caller")];
    assert_eq!(server.send("POST", &path, &unknown, b"1").status, 415);
    assert_eq!(server.get(&format!("/{MARK}")).status, 404);
    let page = server.get("/metrics").text();
    leave(&mut server);
    assert_eq!(sum(&emf_events(&server), "Invocations"), 3.0);
    let stdout = server.stdout().join("\n").to_ascii_lowercase();
    assert!(!stdout.contains(MARK), "{stdout}");
    assert!(!page.to_ascii_lowercase().contains(MARK), "{page}");
}

/// In its packet mode a pipe hands every write out by itself.
#[test]
fn a_line_of_embedded_metric_format_is_one_write_to_the_pipe() {
    use rustix::pipe::{pipe_with, PipeFlags};
    let (reader, writer) = pipe_with(PipeFlags::DIRECT | PipeFlags::CLOEXEC).expect("a pipe");
    let writes = std::thread::spawn(move || {
        let mut reader = std::fs::File::from(reader);
        let mut buffer = vec![0; 1 << 16];
        let mut writes = Vec::new();
        while let Ok(length @ 1..) = reader.read(&mut buffer) {
            writes.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        writes
    });
    let mut server = Server::on("sum4").publishing_emf().stdout(writer).ready();
    assert_eq!(server.get("/ping").status, 200);
    for _ in 0..20 {
        assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200);
    }
    leave(&mut server);
    let writes = writes.join().expect("the reader");
    let metrics: Vec<&String> = writes.iter().filter(|w| w.contains("_aws")).collect();
    assert!(!metrics.is_empty(), "{writes:?}");
    for write in metrics {
        assert!(
            write.starts_with("{\"_aws\"") && write.ends_with("}\n"),
            "{write}"
        );
        assert_eq!(write.lines().count(), 1, "{write}");
        assert!(write.len() <= 4096, "{} bytes", write.len());
    }
}
