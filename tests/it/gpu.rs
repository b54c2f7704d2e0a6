//! GPU metrics from the whole product, against a stand-in for the driver's library that the tests
//! script.

use std::time::{Duration, Instant};

use crate::support::nvml::StandIn;
use crate::support::published::{emf_events, leave};
use crate::support::server::Start;
use crate::support::{eventually, metric, Server};

const TWO: &str = "count 2
0.name NVIDIA Stand-in
0.utilization 30
0.memory 1000 4000
0.power 75500
0.temperature 41
1.name NVIDIA Stand-in
1.utilization 70
1.memory 3000 4000
1.power 80000
1.temperature 42
";

const LIMIT: Duration = Duration::from_secs(20);

fn on(stand_in: &StandIn) -> Start {
    let library = stand_in.library();
    Server::on("sum4").env("PLIMSOLL_NVML_LIBRARY", library.to_str().expect("UTF-8"))
}

/// Waits for a page that has these lines and none that begins like those.
fn page(server: &Server, what: &str, lines: &[&str], without: &[&str]) -> String {
    eventually(what, LIMIT, || {
        let page = server.get("/metrics").text();
        let has = |wanted: &&str| page.lines().any(|line| line == *wanted);
        let lacks = |start: &&str| !page.lines().any(|line| line.starts_with(*start));
        (lines.iter().all(has) && without.iter().all(lacks)).then_some(page)
    })
}

fn count(log: &str, sentence: &str) -> usize {
    log.lines().filter(|line| line.contains(sentence)).count()
}

#[test]
fn gpu_series_follow_the_devices_on_the_page_and_in_what_is_published() {
    let stand_in = StandIn::new(TWO);
    let mut server = on(&stand_in).publishing_emf().ready();
    assert_eq!(server.get("/ping").status, 200);
    let both = [
        "plimsoll_gpu_utilization_ratio 0.5",
        "plimsoll_gpu_memory_utilization_ratio 0.5",
        "plimsoll_gpu_device_utilization_ratio{gpu=\"0\"} 0.3",
        "plimsoll_gpu_device_utilization_ratio{gpu=\"1\"} 0.7",
        "plimsoll_gpu_device_memory_ratio{gpu=\"0\"} 0.25",
        "plimsoll_gpu_device_power_watts{gpu=\"0\"} 75.5",
        "plimsoll_gpu_device_temperature_celsius{gpu=\"1\"} 42",
        "plimsoll_gpu_device_info{gpu=\"0\",name=\"NVIDIA Stand-in\"} 1",
        "# TYPE plimsoll_gpu_device_power_watts gauge",
    ];
    page(&server, "two GPUs", &both, &[]);

    stand_in.script(&format!("1.handle error 15\n{TWO}"));
    let one = [
        "plimsoll_gpu_utilization_ratio 0.3",
        "plimsoll_gpu_device_utilization_ratio{gpu=\"0\"} 0.3",
    ];
    let second = ["plimsoll_gpu_device_utilization_ratio{gpu=\"1\"}"];
    let seen = page(&server, "one is lost", &one, &second);
    assert!(metric(&seen, "plimsoll_sidecar_gpu_reads_failed_total") >= 1.0);
    stand_in.script(TWO);
    page(&server, "it is back", &both, &[]);

    let lost = format!("0.handle error 15\n1.handle error 15\n{TWO}");
    stand_in.script(&lost);
    page(&server, "no GPU is left", &[], &["plimsoll_gpu_"]);
    assert_eq!(server.invoke("text/csv", "1,2,3,4").text(), "10");
    stand_in.script(TWO);
    page(&server, "both are back", &both, &[]);

    leave(&mut server);
    let log = server.log();
    for (sentence, times) in [
        ("GPU 0 is NVIDIA Stand-in", 1),
        ("GPU 0 is lost: device fell off the bus", 1),
        ("GPU 0 is back", 1),
        ("GPU 1 is lost: device fell off the bus", 2),
        ("GPU 1 is back", 2),
    ] {
        assert_eq!(count(&log, sentence), times, "{sentence}: {log}");
    }
    let mut published: Vec<f64> = Vec::new();
    for event in emf_events(&server) {
        match &event["GPUUtilization"] {
            serde_json::Value::Array(values) => {
                published.extend(values.iter().filter_map(serde_json::Value::as_f64));
            }
            value => published.extend(value.as_f64()),
        }
    }
    let range = |value: &f64| (30.0..=50.0).contains(value);
    assert!(!published.is_empty(), "GPUUtilization is published");
    assert!(
        published.iter().all(range),
        "a lost GPU is no 0: {published:?}"
    );
}

#[test]
fn a_driver_call_that_hangs_costs_the_gpu_series_and_nothing_else() {
    let stand_in = StandIn::new(TWO);
    let server = on(&stand_in).ready();
    let there = ["plimsoll_gpu_utilization_ratio 0.5"];
    page(&server, "two GPUs", &there, &[]);
    stand_in.script(&format!("0.power hang\n{TWO}"));
    page(&server, "it hangs", &[], &["plimsoll_gpu_"]);
    let begun = Instant::now();
    assert_eq!(server.get("/ping").status, 200);
    assert_eq!(server.invoke("text/csv", "1,2,3,4").text(), "10");
    assert!(begun.elapsed() < Duration::from_secs(2));
    eventually("it is said", LIMIT, || {
        (count(&server.log(), "NVML has not answered for 2.5 s") == 1).then_some(())
    });
    let page_now = server.get("/metrics").text();
    assert!(
        page_now.contains("plimsoll_cpu_utilization_ratio "),
        "{page_now}"
    );
    stand_in.script(TWO);
    page(&server, "it is back", &there, &[]);
    eventually("that is said", LIMIT, || {
        (count(&server.log(), "that hung has come back") == 1).then_some(())
    });
    assert_eq!(count(&server.log(), "NVML has not answered"), 1);
}

#[test]
fn a_driver_of_another_version_is_said_once_and_tried_again() {
    let stand_in = StandIn::new(&format!("init 18\n{TWO}"));
    let server = on(&stand_in).ready();
    eventually("it is tried again", LIMIT, || {
        let page = server.get("/metrics").text();
        let failed = metric(&page, "plimsoll_sidecar_gpu_reads_failed_total");
        assert!(!page.contains("plimsoll_gpu_"), "{page}");
        (failed >= 2.0).then_some(())
    });
    let sentence = "NVML: RM detects a driver/library version mismatch";
    assert_eq!(count(&server.log(), sentence), 1, "{}", server.log());
    assert!(stand_in.starts() >= 2);
    stand_in.script(TWO);
    page(
        &server,
        "it is well",
        &["plimsoll_gpu_utilization_ratio 0.5"],
        &[],
    );
    assert_eq!(count(&server.log(), "NVML answers again"), 1);
}

#[test]
fn only_the_gpus_that_cuda_may_use_count() {
    let stand_in = StandIn::new(TWO);
    let server = on(&stand_in).env("CUDA_VISIBLE_DEVICES", "1").ready();
    let lines = ["plimsoll_gpu_device_utilization_ratio{gpu=\"1\"} 0.7"];
    page(
        &server,
        "the second GPU",
        &lines,
        &["plimsoll_gpu_device_info{gpu=\"0\""],
    );
    let mean = eventually("a frame", LIMIT, || {
        let page = server.get("/metrics").text();
        let found = page.contains("plimsoll_gpu_utilization_ratio ");
        found.then(|| metric(&page, "plimsoll_gpu_utilization_ratio"))
    });
    assert!((mean - 0.7).abs() < 1e-9, "{mean}");
    let hidden = on(&stand_in).env("CUDA_VISIBLE_DEVICES", "").ready();
    page(
        &hidden,
        "a frame",
        &[],
        &["plimsoll_gpu", "plimsoll_sidecar_gpu"],
    );
}

#[test]
fn a_library_that_is_named_and_missing_is_said_and_is_no_error() {
    let server = Server::on("sum4")
        .env("PLIMSOLL_NVML_LIBRARY", "/nowhere/libnvidia-ml.so.1")
        .ready();
    let sentence = "no GPU readings: /nowhere/libnvidia-ml.so.1: ";
    eventually("it is said", LIMIT, || {
        (count(&server.log(), sentence) == 1).then_some(())
    });
    assert_eq!(server.invoke("text/csv", "1,2,3,4").text(), "10");
    let page = server.get("/metrics").text();
    assert!(!page.contains("gpu"), "{page}");
}
