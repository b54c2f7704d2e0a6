//! The metric as a scraper sees it.

use std::time::{Duration, Instant};

use probe::{Request, Target};

const SERIES: &str = "plimsoll_offered_load_ratio ";

/// Reads the metric once a second while a load of this length runs, from when a whole second of it
/// has been seen; percent. Readings that fail are left out.
pub(crate) fn read_during(port: u16, load: Duration) -> Vec<f64> {
    let begun = Instant::now();
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Vec::new();
    };
    let request = Target::parse(&format!("http://127.0.0.1:{port}/metrics"))
        .and_then(|target| Request::get(&target, &[]));
    let Ok(request) = request else {
        return Vec::new();
    };
    let mut readings = Vec::new();
    // Up to a second passes before the first whole one begins.
    let mut at = Duration::from_millis(2_100);
    while at < load {
        std::thread::sleep(at.saturating_sub(begun.elapsed()));
        let page = runtime.block_on(probe::once(&request));
        let text = page.map(|reply| String::from_utf8_lossy(&reply.body).into_owned());
        readings.extend(text.ok().and_then(|text| value(&text)));
        at += Duration::from_secs(1);
    }
    readings
}

fn value(page: &str) -> Option<f64> {
    let line = page.lines().find_map(|line| line.strip_prefix(SERIES))?;
    Some(100.0 * line.trim().parse::<f64>().ok()?)
}
