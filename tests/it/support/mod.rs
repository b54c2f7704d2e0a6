//! A server to talk to, a CloudWatch to publish to, and where things lie.

pub mod bodies;
pub mod cgroup;
pub mod cloudwatch;
pub mod container;
#[path = "../../support/faulty.rs"]
pub mod faulty;
pub mod http;
#[path = "../../support/nvml/stand_in.rs"]
pub mod nvml;
pub mod published;
pub mod server;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use cloudwatch::CloudWatch;
pub use http::Connection;
pub use server::Server;

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the workspace")
        .to_owned()
}

/// Says so when it is dropped, be it by a test that fails: threads that go on until they are told
/// would hold it for ever.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Something that `cargo xtask test` prepares.
pub fn prepared(path: &str) -> PathBuf {
    let path = root().join(".plimsoll").join(path);
    assert!(
        path.exists(),
        "{} is missing: run the tests with `cargo xtask test`, which prepares it",
        path.display()
    );
    path
}

/// The folder of a fixture model, usable as `/opt/ml/model`.
pub fn fixture(name: &str) -> PathBuf {
    prepared("fixtures").join(name)
}

/// Waits until `done` gives something; fails after `limit`, naming what was waited for.
pub fn eventually<T>(what: &str, limit: Duration, mut done: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(begun.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The value of a metric without labels on the Prometheus page.
pub fn metric(page: &str, name: &str) -> f64 {
    page.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in:\n{page}"))
}

/// How many rounds of the fixture `busy` this server runs in about that time, judged by a few.
pub fn rounds_for(server: &Server, time: Duration) -> u64 {
    const FEW: u64 = 400;
    let begun = Instant::now();
    let reply = server.invoke("application/json", format!("[[{FEW},0,0,0]]"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let rounds = FEW as f64 * time.as_secs_f64() / begun.elapsed().as_secs_f64();
    rounds.ceil() as u64
}
