//! What a busy server sends is what the catalogue names, by each route: nothing more, nothing less.
//! And the documents list it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use scaling::catalogue::{Kind, Metric, Unit};
use serde_json::Value;

use crate::metrics_page::stem;
use crate::support::cgroup::{Group, Limits};
use crate::support::nvml::StandIn;
use crate::support::published::{all_datums, emf_events, leave, NAMESPACE};
use crate::support::server::Start;
use crate::support::{eventually, root, CloudWatch, Server};

/// Metrics that only a GPU has.
const OF_A_GPU: [Metric; 3] = [
    Metric::GPUUtilization,
    Metric::GPUMemoryUtilization,
    Metric::GPUBusy,
];
const LIMIT: Duration = Duration::from_secs(30);

/// The catalogue less what needs a GPU or a CPU quota that there is not.
fn expected(server: &Server) -> Vec<Metric> {
    let has_quota = !server.log().contains("no quota");
    Metric::ALL
        .iter()
        .copied()
        .filter(|metric| !OF_A_GPU.contains(metric))
        .filter(|metric| has_quota || *metric != Metric::CPUThrottled)
        .collect()
}

/// A group with a quota, so that every metric of a container has its source; none where groups
/// cannot be made, which a CI's container may have of its own.
fn quota() -> Option<Group> {
    let group = Group::new(&Limits {
        cpu_percent: Some(100),
        ..Limits::default()
    });
    if group.is_none() {
        println!("skipped: no cgroup can be made here, so CPUThrottled may be absent");
    }
    group
}

fn within(start: Start, group: Option<&Group>) -> Start {
    let enter = group.map(Group::enter).unwrap_or_default();
    let enter: Vec<&str> = enter.iter().map(String::as_str).collect();
    if enter.is_empty() {
        start
    } else {
        start.through(&enter)
    }
}

/// Answers of every kind, for somewhat longer than a second.
fn keep_busy(server: &Server) {
    assert_eq!(server.get("/ping").status, 200);
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(1300) {
        assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200);
        assert_eq!(server.invoke("text/csv", "1").status, 400);
    }
}

#[test]
fn put_metric_data_gets_the_catalogue_and_nothing_else() {
    let cloudwatch = CloudWatch::start();
    let group = quota();
    let start = within(Server::on("sum4"), group.as_ref());
    let mut server = cloudwatch.for_server(start).ready();
    keep_busy(&server);
    leave(&mut server);
    let captured = cloudwatch.captured();
    assert_eq!(captured["refused"], serde_json::json!([]));
    let mut found = BTreeMap::new();
    for datum in all_datums(&captured) {
        let text = |key: &str| datum[key].as_str().expect("text").to_owned();
        found.insert(text("MetricName"), text("Unit"));
    }
    let wanted: BTreeMap<String, String> = expected(&server)
        .iter()
        .map(|metric| (metric.name().to_owned(), metric.unit().name().to_owned()))
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn embedded_metric_format_has_the_catalogue_and_what_it_derives_and_nothing_else() {
    let group = quota();
    let start = within(Server::on("sum4"), group.as_ref());
    let mut server = start.publishing_emf().ready();
    keep_busy(&server);
    leave(&mut server);
    let mut found = BTreeMap::new();
    for event in emf_events(&server) {
        let directive = &event["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(
            directive["Dimensions"],
            serde_json::json!([["EndpointName", "VariantName"]])
        );
        for metric in directive["Metrics"].as_array().expect("metrics") {
            let text = |key: &str| metric[key].as_str().expect("text").to_owned();
            found.insert(text("Name"), text("Unit"));
        }
    }
    let wanted: BTreeMap<String, String> = expected(&server)
        .iter()
        .flat_map(|metric| {
            metric.kind().embedded().iter().map(|suffix| {
                let unit = match *suffix {
                    "Count" => Unit::Count,
                    _ => metric.unit(),
                };
                (format!("{}{suffix}", metric.name()), unit.name().to_owned())
            })
        })
        .collect();
    assert_eq!(found, wanted);
}

/// The page's families with their types.
fn families(page: &str) -> BTreeMap<String, String> {
    page.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}

/// What the page has of a metric.
fn on_the_page(metric: Metric) -> Vec<(String, String)> {
    let suffix = match metric.unit() {
        Unit::Count => "",
        Unit::Percent => "_ratio",
        Unit::Microseconds | Unit::Milliseconds => "_seconds",
        Unit::Bytes => "_bytes",
    };
    let stem = format!("plimsoll_{}", stem(metric));
    let names = match metric.kind() {
        Kind::Counter => vec![(stem, "counter")],
        Kind::Level => vec![
            (stem.clone(), "gauge"),
            (format!("{stem}_max"), "gauge"),
            (format!("{stem}_seconds_total"), "counter"),
        ],
        Kind::Distribution => vec![(format!("{stem}{suffix}"), "histogram")],
        Kind::Reading | Kind::Gauge => vec![(format!("{stem}{suffix}"), "gauge")],
    };
    let owned = |(name, kind): (String, &str)| (name, kind.to_owned());
    names.into_iter().map(owned).collect()
}

/// The page's own series, as `docs/metrics.md` lists them.
fn documented() -> BTreeMap<String, String> {
    let path = root().join("docs/metrics.md");
    let text = std::fs::read_to_string(path).expect("docs/metrics.md");
    let (_, table) = text.split_once("<!-- page -->").expect("the table");
    let (table, _) = table.split_once("<!-- end -->").expect("its end");
    table
        .lines()
        .filter_map(|line| {
            let mut cells = line.split(" | ");
            let name = cells.next()?.strip_prefix("| `")?.strip_suffix('`')?;
            Some((name.to_owned(), cells.next()?.to_owned()))
        })
        .collect()
}

#[test]
fn the_page_has_the_catalogue_and_the_series_of_its_own_and_nothing_else() {
    let stand_in = StandIn::new(
        "count 1\n0.name One\n0.utilization 30\n0.memory 1 4\n0.power 75500\n0.temperature 41\n",
    );
    let library = stand_in.library();
    let library = library.to_str().expect("UTF-8");
    let cloudwatch = CloudWatch::start();
    let group = quota();
    for has_gpu in [false, true] {
        let start = within(Server::on("sum4"), group.as_ref());
        let start = cloudwatch
            .for_server(start)
            .env("PLIMSOLL_METRICS_FLUSH", "request");
        let server = if has_gpu {
            start.env("PLIMSOLL_NVML_LIBRARY", library).ready()
        } else {
            start.ready()
        };
        keep_busy(&server);
        let mut wanted: BTreeMap<_, _> = expected(&server)
            .into_iter()
            // The stand-in brings no model onto the GPU.
            .chain(OF_A_GPU.into_iter().take(if has_gpu { 2 } else { 0 }))
            .flat_map(on_the_page)
            .collect();
        let own = documented();
        assert!(own.len() > 8, "{own:?}");
        wanted.extend(
            own.into_iter()
                .filter(|(name, _)| has_gpu || !name.contains("_gpu_")),
        );
        // Readings come with the first frames, the age of the last success with the first one.
        let mut last = BTreeMap::new();
        let whole = |found: &BTreeMap<String, String>| *found == wanted;
        let begun = std::time::Instant::now();
        while !whole(&last) && begun.elapsed() < LIMIT {
            last = families(&server.get("/metrics").text());
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(last, wanted);
    }
}

#[test]
fn chosen_metrics_leave_and_the_page_has_all() {
    let cloudwatch = CloudWatch::start();
    let mut server = cloudwatch
        .for_server(Server::on("sum4"))
        .env("PLIMSOLL_METRICS", "RequestLatency, OfferedLoad")
        .ready();
    assert!(
        server
            .log()
            .contains("bill     up to 2 custom metrics $0.60 a month"),
        "{}",
        server.log()
    );
    keep_busy(&server);
    let page = eventually("readings are there", LIMIT, || {
        let page = server.get("/metrics").text();
        page.contains("plimsoll_memory_utilization_ratio ")
            .then_some(page)
    });
    assert!(page.contains("plimsoll_invocations_total "));
    leave(&mut server);
    let rows = cloudwatch.read_back(NAMESPACE);
    let names: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row: &Value| row["metric"].as_str())
        .collect();
    assert_eq!(names, BTreeSet::from(["OfferedLoad", "RequestLatency"]));
}
