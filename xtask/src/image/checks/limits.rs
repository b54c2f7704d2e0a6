//! What it takes, and that it knows how much it may take.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::contents::extracted;
use super::serving::request;
use super::{expect, Check, Subject};
use crate::child::Background;
use crate::store::{cannot, create_dir, read_text, write};
use crate::Result;

pub const ALL: &[Check] = &[
    ("resident memory as outside, within 10 %", memory),
    ("0.5 CPU and 256 MB: threads, CPUUtilization", quota),
];

/// So many requests have been answered when it is read.
pub const REQUESTS: usize = 50;

fn memory(subject: &Subject<'_>) -> Result<String> {
    let container = subject.serve(&subject.model("digits"), &[])?;
    let body = request()?;
    for _ in 0..REQUESTS {
        container.invoke(&body)?;
    }
    let inside = resident_kb(container.process()?)?;

    // The very same files, outside.
    let root = extracted(subject, &["usr"])?;
    let base = root.join("ml");
    create_dir(&base)?;
    super::serving::link(
        &subject.model("digits").display().to_string(),
        &base.join("model"),
    )?;
    let port = free_port()?;
    let mut serve = Command::new(root.join("usr/bin/plimsoll"));
    serve.arg("serve").env_clear();
    serve.env("SAGEMAKER_BASE_DIR", &base);
    serve.env("SAGEMAKER_BIND_TO_PORT", port.to_string());
    let mut server = Background::start(serve.stdout(Stdio::null()).stderr(Stdio::null()))?;
    let url = format!("http://127.0.0.1:{port}");
    let mut tries = 0;
    while ureq::get(format!("{url}/ping")).call().is_err() {
        tries += 1;
        expect(tries < 1000 && server.ended().is_none(), || {
            "it does not start outside".into()
        })?;
        thread::sleep(Duration::from_millis(10));
    }
    for _ in 0..REQUESTS {
        let ask =
            ureq::post(format!("{url}/invocations")).header("Content-Type", "application/json");
        ask.send(&body)
            .map_err(|error| format!("outside: {error}"))?;
    }
    let outside = resident_kb(server.child().id())?;
    let seen = format!(
        "{:.1} MB inside, {:.1} MB outside",
        inside / 1e3,
        outside / 1e3
    );
    expect((inside / outside - 1.0).abs() <= 0.1, || seen.clone())?;
    Ok(seen)
}

fn free_port() -> Result<u16> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no port is free: {error}"))
}

/// Memory of a process that is resident.
pub fn resident_kb(process: u32) -> Result<f64> {
    let status = read_text(Path::new(&format!("/proc/{process}/status")))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
        .ok_or_else(|| format!("process {process} has no VmRSS"))
}

fn quota(subject: &Subject<'_>) -> Result<String> {
    let limits = ["--cpus", "0.5", "--memory", "256m"];
    let container = subject.serve(&subject.model("digits"), &limits)?;
    let log = container.log()?;
    for part in [
        "slots    1 × 1 intra-op thread(s): 1 core (",
        "0.5",
        "256 MiB",
    ] {
        expect(log.contains(part), || format!("{part} is not in\n{log}"))?;
    }
    let root = extracted(subject, &["usr"])?;
    let body = root.join("request.json");
    write(&body, request()?.as_bytes())?;
    let mut seen = Vec::new();
    for load in [&["--rate", "600"][..], &["--closed", "--connections", "8"]] {
        let mut command = Command::new(root.join("usr/bin/plimsoll"));
        command
            .arg("loadtest")
            .arg(format!("{}/invocations", container.url()?));
        command
            .args(load)
            .args(["--duration", "9", "--body"])
            .arg(&body);
        let mut load = Background::start(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
        thread::sleep(Duration::from_secs(2));
        let process = container.process()?;
        let (mut said, before, begun) = (0.0, cpu_seconds(process)?, Instant::now());
        const SAMPLES: u32 = 5;
        for _ in 0..SAMPLES {
            thread::sleep(Duration::from_secs(1));
            said += 100.0 * container.metric("plimsoll_cpu_utilization_ratio")?;
        }
        let said = said / f64::from(SAMPLES);
        let used = cpu_seconds(process)? - before;
        // Of half a CPU.
        let true_percent = used / begun.elapsed().as_secs_f64() / 0.5 * 100.0;
        expect(load.ended().is_none(), || "the load ended early".to_owned())?;
        let pair = format!("says {said:.0} % where {true_percent:.0} % is true");
        expect((said - true_percent).abs() <= 10.0, || pair.clone())?;
        seen.push(pair);
    }
    Ok(seen.join(", "))
}

/// CPU time of a process so far, as the kernel of this machine counts it.
fn cpu_seconds(process: u32) -> Result<f64> {
    const TICKS_A_SECOND: f64 = 100.0;
    let path = format!("/proc/{process}/stat");
    let text = read_text(Path::new(&path))?;
    let fields: Vec<&str> = text
        .rsplit_once(") ")
        .map_or(Vec::new(), |(_, rest)| rest.split(' ').collect());
    let ticks = |n: usize| fields.get(n)?.parse::<f64>().ok();
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok((user + system) / TICKS_A_SECOND),
        _ => Err(cannot(
            "read",
            Path::new(&path),
            &std::io::ErrorKind::InvalidData.into(),
        )),
    }
}
