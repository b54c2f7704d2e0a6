//! L. Metrics: the page, CloudWatch, and embedded metric format on stdout.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{json, Value};

use crate::support::container::Network;
use crate::support::published::{all_datums, datums, emf_events, leave, sum};
use crate::support::{eventually, metric, CloudWatch, Server};

fn page(server: &Server) -> String {
    let begun = Instant::now();
    let reply = server.get("/metrics");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(reply.status, 200, "{}", reply.text());
    let content_type = reply.header("content-type").expect("a type");
    assert!(
        content_type.starts_with("text/plain; version=0.0.4"),
        "{content_type}"
    );
    let page = reply.text();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').expect("a name and a value");
        assert!(value == "+Inf" || value.parse::<f64>().is_ok(), "{line}");
    }
    page
}

#[test]
fn case_124_the_page_answers_at_once_also_while_models_load() {
    let server = Server::on("slower").bound();
    assert_eq!(server.get("/ping").status, 503);
    assert!(page(&server).contains("plimsoll_invocations_total 0"));
    drop(server);
    let busy = Server::on("slow").env("PLIMSOLL_SLOTS", "2").ready();
    std::thread::scope(|scope| {
        let load: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| busy.invoke("application/json", "[[1,2,3,4]]").status))
            .collect();
        std::thread::sleep(Duration::from_millis(50));
        assert!(page(&busy).contains("plimsoll_concurrency"));
        for reply in load {
            assert_eq!(reply.join().expect("a reply"), 200);
        }
    });
}

#[test]
fn case_125_ten_requests_count_as_ten() {
    let server = Server::on("sum4").ready();
    let count = || metric(&page(&server), "plimsoll_invocations_total");
    server.invoke("text/csv", "1,2,3,4");
    let before = count();
    for _ in 0..10 {
        assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200);
        // Neither of these is an invocation.
        server.get("/ping");
        server.get("/metrics");
    }
    let page = page(&server);
    assert_eq!(
        metric(&page, "plimsoll_invocations_total"),
        before + 10.0,
        "{page}"
    );
    for stage in ["request", "queue", "inference", "codec"] {
        let samples = metric(&page, &format!("plimsoll_{stage}_latency_seconds_count"));
        assert_eq!(samples, 11.0, "{stage}: {page}");
    }
    let spent = metric(&page, "plimsoll_request_latency_seconds_sum");
    let inside = metric(&page, "plimsoll_inference_latency_seconds_sum");
    assert!(
        spent > inside && inside > 0.0,
        "{spent} s, {inside} s in the model"
    );
}

#[test]
fn case_126_embedded_metric_format_says_the_same_on_stdout() {
    let mut server = Server::on("sum4").publishing_emf().ready();
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
    for event in &events {
        assert_eq!(event["EndpointName"], "endpoint");
        assert_eq!(event["VariantName"], "AllTraffic");
    }
}

#[test]
fn case_127_without_network_and_credentials_stdout_needs_neither() {
    let Some(network) = Network::new() else {
        println!("skipped: no network namespace can be made here");
        return;
    };
    // Every attempt would leave a trace: a packet to where nobody forwards it.
    network.route_everything_nowhere();
    let mut server = Server::on("sum4")
        .publishing_emf()
        .without("AWS_EC2_METADATA_DISABLED")
        .in_network(&network)
        .ready();
    let begun = Instant::now();
    assert_eq!(server.get("/ping").status, 200);
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200);
    leave(&mut server);
    assert_eq!(sum(&emf_events(&server), "Invocations"), 1.0);
    // Before it was in service the server has asked itself, over eight loopback connections.
    assert_eq!(network.counter("Tcp", "ActiveOpens"), 8);
    assert_eq!(network.counter("Udp", "OutDatagrams"), 0);
}

#[test]
fn case_128_every_call_keeps_the_limits_of_the_api() {
    let cloudwatch = CloudWatch::start();
    for (period, resolution) in [("10", 1), ("60", 60)] {
        let mut server = cloudwatch
            .for_server(Server::on("sum4"))
            .env("PLIMSOLL_METRICS_PERIOD_SECS", period)
            .ready();
        assert_eq!(server.get("/ping").status, 200);
        // Enough for more distinct latencies than one datum may hold.
        for _ in 0..300 {
            assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200);
        }
        leave(&mut server);
        let captured = cloudwatch.captured();
        assert_eq!(
            captured["refused"],
            json!([]),
            "the stand-in holds AWS's limits too"
        );
        let calls = captured["calls"].as_array().expect("calls");
        assert!(!calls.is_empty());
        for call in calls {
            let namespace = call["namespace"].as_str().expect("a namespace");
            assert!(!namespace.starts_with("AWS/"), "{namespace}");
            assert!(call["decoded_bytes"].as_u64().expect("a size") <= 1_000_000);
            assert!(call["data"].as_array().expect("data").len() <= 1000);
        }
        let all = all_datums(&captured);
        for datum in &all {
            let length = |key: &str| datum[key].as_array().map_or(0, Vec::len);
            assert!(length("Dimensions") <= 30, "{datum}");
            assert!(length("Values") <= 150, "{datum}");
            assert_eq!(length("Values"), length("Counts"), "{datum}");
            let seconds = datum["StorageResolution"].as_u64();
            assert!(matches!(seconds, Some(1 | 60)), "{datum}");
        }
        let last = all.last().expect("datums");
        assert_eq!(last["StorageResolution"], resolution, "{last}");
    }
}

/// The median time of a request, and the most memory that the server had after it.
fn two_hundred_requests(server: &Server) -> (Duration, u64) {
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200);
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    (times[100], server.peak_memory())
}

#[test]
fn case_129_a_failing_or_hanging_cloudwatch_never_touches_serving() {
    let cloudwatch = CloudWatch::start();
    let start = || {
        let start = cloudwatch.for_server(Server::on("sum4"));
        start.env("PLIMSOLL_METRICS_ROUTE", "cloudwatch").ready()
    };
    let (usual, memory) = two_hundred_requests(&start());
    for fault in ["500", "throttle", "hang"] {
        cloudwatch.fault(fault, 3600.0);
        let mut server = start();
        assert_eq!(server.get("/ping").status, 200);
        if fault != "hang" {
            eventually("a failure is counted", Duration::from_secs(30), || {
                let page = page(&server);
                let failures = metric(&page, "plimsoll_sidecar_publish_failures_total");
                (failures > 0.0).then_some(())
            });
        }
        let (median, peak) = two_hundred_requests(&server);
        assert!(
            median < 5 * usual + Duration::from_millis(5),
            "{fault}: {median:?}, usually {usual:?}"
        );
        assert!(
            peak < memory + (32 << 20),
            "{fault}: {peak} bytes, usually {memory}"
        );
        assert_eq!(server.get("/ping").status, 200);
        let begun = Instant::now();
        leave(&mut server);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(8), "{fault}: {took:?}");
    }
}

#[test]
fn case_130_no_region_credentials_or_permission_fall_back_to_stdout_and_say_why() {
    type Variables = &'static [(&'static str, &'static str)];
    let cloudwatch = CloudWatch::start();
    let cases: [(Variables, &str, &str); 4] = [
        (&[("AWS_REGION", "")], "ok", "AWS_REGION"),
        (
            &[("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")],
            "ok",
            "credentials",
        ),
        (
            &[
                ("AWS_REGION", ""),
                ("AWS_ACCESS_KEY_ID", ""),
                ("AWS_SECRET_ACCESS_KEY", ""),
            ],
            "ok",
            "AWS_REGION",
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
        let lines = log.lines().filter(|line| {
            line.contains("stdout") && line.contains(named) && !line.contains("metrics  auto")
        });
        assert_eq!(lines.count(), 1, "{named}: {log}");
        assert_eq!(sum(&emf_events(&server), "Invocations"), 1.0, "{named}");
    }
}

#[test]
fn case_131_without_a_gpu_there_is_no_gpu_series() {
    let cloudwatch = CloudWatch::start();
    let mut server = cloudwatch.for_server(Server::on("sum4")).ready();
    assert_eq!(server.get("/ping").status, 200);
    // Readings come with the first whole second.
    std::thread::sleep(Duration::from_millis(1100));
    let text = page(&server);
    leave(&mut server);
    let captured = cloudwatch.captured();
    assert!(!datums(&captured, "CPUUtilization").is_empty());
    let of_a_gpu: Vec<Value> = all_datums(&captured)
        .into_iter()
        .filter(|datum| {
            datum["MetricName"]
                .as_str()
                .is_some_and(|m| m.starts_with("GPU"))
        })
        .collect();
    if Path::new("/dev/nvidia0").exists() {
        for datum in of_a_gpu {
            for value in datum["Values"].as_array().expect("values") {
                let value = value.as_f64().expect("a number");
                assert!((0.0..=100.0).contains(&value), "{datum}");
            }
        }
    } else {
        assert_eq!(of_a_gpu, Vec::<Value>::new());
        assert!(!text.contains("plimsoll_gpu"), "{text}");
    }
}

#[test]
fn case_132_the_last_interval_leaves_within_5_seconds_of_sigterm() {
    let cloudwatch = CloudWatch::start();
    let mut server = cloudwatch.for_server(Server::on("sum4")).ready();
    assert_eq!(server.get("/ping").status, 200);
    for _ in 0..7 {
        assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let told = now.expect("after 1970").as_secs_f64();
    server.signal("TERM");
    let status = server.wait(Duration::from_secs(15));
    assert_eq!(status.code(), Some(0), "{}", server.log());
    let captured = cloudwatch.captured();
    let sum: f64 = datums(&captured, "Invocations").iter().map(total).sum();
    assert_eq!(sum, 7.0, "{captured:#}");
    let calls = captured["calls"].as_array().expect("calls");
    let last = calls.last().and_then(|call| call["received"].as_f64());
    let after = last.expect("a time") - told;
    assert!(after < 5.0, "{after} s after SIGTERM");
}

/// The sum of a datum's values.
fn total(datum: &Value) -> f64 {
    if let Some(sum) = datum["StatisticValues"]["Sum"].as_f64() {
        return sum;
    }
    if let Some(value) = datum["Value"].as_f64() {
        return value;
    }
    let list = |key: &str| -> Vec<f64> {
        let numbers = datum[key].as_array().into_iter().flatten();
        numbers.filter_map(Value::as_f64).collect()
    };
    let (values, counts) = (list("Values"), list("Counts"));
    values
        .iter()
        .zip(counts)
        .map(|(value, count)| value * count)
        .sum()
}

#[test]
fn case_133_client_and_server_errors_agree_with_the_statuses_sent() {
    let server = Server::on("gather")
        .env("SAGEMAKER_MAX_REQUEST_SIZE", "1000")
        .ready();
    let json = "application/json";
    let replies = [
        server.invoke(json, "[1]"),
        server.invoke(json, "[2]"),
        server.invoke(json, "[2.5]"),
        server.invoke(json, ""),
        server.invoke(json, " ".repeat(1001)),
        server.invoke("image/png", "x"),
        server.invoke_accepting(json, "image/png", "[1]"),
        server.invoke(json, "[1000000]"),
        server.invoke(json, "[1000000]"),
        // Not invocations, so neither errors of any.
        server.get("/nothing"),
    ];
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [200, 200, 400, 400, 413, 415, 406, 500, 500, 404]);
    let page = page(&server);
    for (name, expected) in [
        ("invocations", 9.0),
        ("client_errors", 5.0),
        ("server_errors", 2.0),
        ("rejected", 0.0),
    ] {
        let counted = metric(&page, &format!("plimsoll_{name}_total"));
        assert_eq!(counted, expected, "{name}: {page}");
    }
}
