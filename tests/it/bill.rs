//! What the metrics cost: as the start says it, and as `docs/metrics.md` works it out.

use scaling::bill::{alarms, Prices};
use sidecar::{Config, RouteChoice};

use crate::support::published::{emf_events, leave};
use crate::support::{root, Server};

fn config(period_secs: u32) -> Config {
    Config {
        period_secs,
        dimensions: [("EndpointName", "endpoint"), ("VariantName", "AllTraffic")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..Config::default()
    }
}

/// The lines that the document must have.
fn worked_out() -> Vec<String> {
    let mut lines = Vec::new();
    for (name, route) in [
        ("`PutMetricData`", RouteChoice::CloudWatch),
        ("embedded metric format", RouteChoice::Emf),
    ] {
        for period_secs in [10, 60] {
            let usage = sidecar::usage(&config(period_secs), route).expect("published");
            for instances in [1, 10, 100] {
                let cost = usage.cost(&Prices::default(), f64::from(instances));
                lines.push(format!(
                    "| {name} | {period_secs} s | {instances} | {} | ${:.2} | ${:.2} | ${:.2} | ${:.2} |",
                    usage.metrics,
                    cost.metrics,
                    cost.calls,
                    cost.log,
                    cost.total()
                ));
            }
        }
    }
    lines
}

#[test]
fn the_documents_figures_are_those_of_the_code() {
    let text = std::fs::read_to_string(root().join("docs/metrics.md")).expect("docs/metrics.md");
    let (_, table) = text.split_once("<!-- bill -->").expect("the table");
    let (table, _) = table.split_once("<!-- end -->").expect("its end");
    let found: Vec<&str> = table.trim().lines().skip(2).collect();
    assert_eq!(
        found,
        worked_out(),
        "the table should be\n{}",
        worked_out().join("\n")
    );
    for period_secs in [10, 60] {
        let price = format!("${:.2}", alarms(2, period_secs));
        assert!(
            text.contains(&price),
            "two alarms at {period_secs} s cost {price}"
        );
    }
}

#[test]
fn the_start_says_what_a_month_costs_at_the_prices_that_were_set() {
    let start = || Server::on("sum4").publishing_emf();
    let usage = sidecar::usage(&config(10), RouteChoice::Emf).expect("published");
    let mut server = start().env("PLIMSOLL_PRICE_METRIC", "2").ready();
    let expected = format!(
        "bill     up to {} custom metrics ${:.2} a month, up to {:.2} GB of log a month and instance ${:.2}",
        usage.metrics,
        2.0 * usage.metrics as f64,
        usage.log_gb_a_month(),
        usage.cost(&Prices::default(), 1.0).log
    );
    assert!(
        server.log().contains(&expected),
        "{expected}: {}",
        server.log()
    );
    assert_eq!(server.log().matches("bill ").count(), 1);

    // A period that was measured stays within what the bill reckons with.
    assert_eq!(server.get("/ping").status, 200);
    for _ in 0..300 {
        assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200);
    }
    std::thread::sleep(std::time::Duration::from_millis(1100));
    leave(&mut server);
    let mut periods = std::collections::BTreeMap::new();
    for (event, line) in emf_events(&server).iter().zip(server.stdout()) {
        *periods
            .entry(event["_aws"]["Timestamp"].as_u64())
            .or_insert(0) += line.len() + 27;
    }
    let largest = periods.values().max().copied().expect("a period");
    assert!(largest <= usage.log_bytes, "{largest} bytes, {usage:?}");
    assert!(largest > usage.log_bytes / 4, "{largest} bytes, {usage:?}");
}

#[test]
fn nothing_is_said_of_a_bill_where_nothing_is_published() {
    let server = Server::on("sum4").ready();
    assert!(!server.log().contains("bill "), "{}", server.log());
}
