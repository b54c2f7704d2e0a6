//! `GET /metrics`: counts what was done, stays small, answers at once.

use std::time::Duration;

use scaling::catalogue::{Kind, Metric};

use crate::support::{eventually, metric, Server};

#[test]
fn every_metric_of_the_catalogue_is_there_but_for_absent_devices() {
    let server = Server::on("sum4").ready();
    assert_eq!(server.invoke("text/csv", "1,2,3,4").status, 200);
    let gpu = [
        Metric::GPUUtilization,
        Metric::GPUMemoryUtilization,
        Metric::GPUBusy,
    ];
    // Readings come with the first frames.
    eventually(
        "every metric is on the page",
        Duration::from_secs(10),
        || {
            let page = server.get("/metrics").text();
            let missing: Vec<_> = Metric::ALL
                .iter()
                .filter(|metric| !gpu.contains(metric))
                .filter(|metric| !page.contains(&format!("\nplimsoll_{}", stem(**metric))))
                .collect();
            if missing.is_empty() {
                return Some(());
            }
            // A machine without a memory limit or a quota still has its own size.
            (missing == [&Metric::CPUThrottled]).then_some(())
        },
    );
    let page = server.get("/metrics").text();
    assert!(page.len() < 64 * 1024, "{} bytes", page.len());
    if !std::path::Path::new("/dev/nvidia0").exists() {
        assert!(!page.contains("gpu"), "{page}");
    }
    // Nothing that was read could not be.
    assert_eq!(
        metric(&page, "plimsoll_sidecar_samples_left_out_total"),
        0.0
    );
}

/// `OfferedLoad` → `offered_load`, `CPUUtilization` → `cpu_utilization`.
pub fn stem(metric: Metric) -> String {
    let mut stem = String::new();
    let name: Vec<char> = metric.name().chars().collect();
    for (i, c) in name.iter().enumerate() {
        let starts_word = c.is_uppercase()
            && i > 0
            && (name[i - 1].is_lowercase()
                || name.get(i + 1).is_some_and(|next| next.is_lowercase()));
        if starts_word {
            stem.push('_');
        }
        stem.extend(c.to_lowercase());
    }
    if metric.kind() == Kind::Counter {
        stem.push_str("_total");
    }
    stem
}

#[test]
fn offered_load_follows_the_arrivals_and_falls_to_zero() {
    let server = Server::on("slow")
        .env("PLIMSOLL_SLOTS", "1")
        .env("PLIMSOLL_INTRA_OP_THREADS", "1")
        .env("PLIMSOLL_BATCHING", "off")
        .ready();
    let load = || {
        let page = server.get("/metrics").text();
        // The first frame comes after a second.
        if page.contains("plimsoll_offered_load_ratio ") {
            metric(&page, "plimsoll_offered_load_ratio")
        } else {
            f64::NAN
        }
    };
    // Two dozen arrivals at once ask for many times what one slot does in a second, on a host that is
    // busy with something else too: the load is of arrivals, not of what got done.
    std::thread::scope(|scope| {
        let busy: Vec<_> = (0..24)
            .map(|_| scope.spawn(|| server.invoke("application/json", "[[1,2,3,4]]").status))
            .collect();
        eventually("the offered load is high", Duration::from_secs(20), || {
            (load() > 0.5).then_some(())
        });
        for thread in busy {
            assert_eq!(thread.join().expect("asked"), 200);
        }
    });
    eventually("the offered load is 0", Duration::from_secs(10), || {
        (load() == 0.0).then_some(())
    });
}
