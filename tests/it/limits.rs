//! Threads, CPU and memory follow what the container may use, never what the host has.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::cgroup::{Group, Limits};
use crate::support::server::Start;
use crate::support::{eventually, Server};

/// The line of the start that begins with this word.
fn said(server: &Server, word: &str) -> String {
    let log = server.log();
    let line = log.lines().find(|line| line.contains(&format!("{word} ")));
    line.unwrap_or_else(|| panic!("no {word} in {log}"))
        .to_owned()
}

/// A server in a new group with these limits; none, said aloud, where there can be none.
fn limited(start: Start, limits: &Limits) -> Option<(Group, Server)> {
    let Some(group) = Group::new(limits) else {
        println!("skipped: no cgroup with such limits can be made here");
        return None;
    };
    let enter = group.enter();
    let enter: Vec<&str> = enter.iter().map(String::as_str).collect();
    let server = start.through(&enter).ready();
    Some((group, server))
}

#[test]
fn one_cpu_of_the_affinity_mask_is_one_slot() {
    let server = Server::on("sum4").through(&["taskset", "-c", "0"]).ready();
    let line = said(&server, "slots");
    assert!(
        line.contains("1 × 1 intra-op") && line.contains("1 core ("),
        "{line}"
    );
    assert_eq!(server.invoke("text/csv", "1,2,3,4").text(), "10");
}

#[test]
fn one_cpu_of_a_cpuset_is_one_slot() {
    let limits = Limits {
        cpus: Some("0"),
        ..Limits::default()
    };
    let Some((_group, server)) = limited(Server::on("sum4"), &limits) else {
        return;
    };
    let line = said(&server, "slots");
    let machine = std::thread::available_parallelism().expect("CPUs").get();
    assert!(line.contains("1 × 1 intra-op"), "{line}");
    if machine > 1 {
        assert!(line.contains("cpuset or affinity: 1 of "), "{line}");
    }
    assert_eq!(server.invoke("text/csv", "1,2,3,4").text(), "10");
    drop(server);
}

/// A reading on the page; none while it is missing.
fn reading(server: &Server, name: &str) -> Option<f64> {
    let page = server.get("/metrics").text();
    let mut lines = page.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Keeps the model busy while `look` looks.
fn while_busy<T>(server: &Server, look: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let reply = server.invoke("application/json", "[[40,0,0,0]]");
                assert_eq!(reply.status, 200, "{}", reply.text());
            }
        });
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(look));
        stop.store(true, Ordering::Relaxed);
        busy.join().expect("served");
        seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Three readings in a row, as far apart as the samples, that this holds for.
fn settles(what: &str, mut read: impl FnMut() -> Option<f64>, holds: impl Fn(f64) -> bool) {
    let mut last = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(1000));
        last.push(read());
        if last.len() >= 3
            && last[last.len() - 3..]
                .iter()
                .all(|value| value.is_some_and(&holds))
        {
            return;
        }
    }
    panic!("{what}: {last:?}");
}

#[test]
fn in_a_limited_cgroup_the_limits_are_the_measure_and_are_said() {
    const MEMORY: u64 = 256 << 20;
    let limits = Limits {
        cpu_percent: Some(50),
        memory_bytes: Some(MEMORY),
        ..Limits::default()
    };
    let Some((group, server)) = limited(Server::on("busy"), &limits) else {
        return;
    };
    let (slots, memory) = (said(&server, "slots"), said(&server, "memory"));
    let version = group.version();
    assert!(slots.contains("1 × 1 intra-op"), "{slots}");
    assert!(
        slots.contains(&format!("{version} quota 0.50 CPU")),
        "{slots}"
    );
    assert!(
        memory.contains(&format!("{version} limit 256 MiB")),
        "{memory}"
    );

    // Half a CPU is all of the quota: 100 %, whatever the machine has.
    while_busy(&server, || {
        let cpu = || reading(&server, "plimsoll_cpu_utilization_ratio");
        settles("CPU of the quota", cpu, |share| (0.8..1.2).contains(&share));
        let throttled = reading(&server, "plimsoll_cpu_throttled_ratio");
        assert!(throttled.is_some_and(|share| share > 0.3), "{throttled:?}");
    });
    let cpu = || reading(&server, "plimsoll_cpu_utilization_ratio");
    settles("CPU at rest", cpu, |share| share < 0.2);

    let off = || {
        let page = reading(&server, "plimsoll_memory_utilization_ratio")?;
        let files = group.working_set() as f64 / MEMORY as f64;
        assert!(files > 0.02, "{files}");
        Some((page - files).abs() / files)
    };
    settles("memory as in the files", off, |off| off < 0.05);

    // A limit that is changed is seen at the next sample, and a quarter as large.
    let quarter = if version == "cgroup v1" {
        group.set("memory.limit_in_bytes", &(4 * MEMORY).to_string())
    } else {
        group.set("memory.max", &(4 * MEMORY).to_string())
    };
    assert!(quarter.is_some(), "the limit is changed");
    eventually("the new limit counts", Duration::from_secs(10), || {
        let page = reading(&server, "plimsoll_memory_utilization_ratio")?;
        let files = group.working_set() as f64 / (4 * MEMORY) as f64;
        ((page - files).abs() / files < 0.05).then_some(())
    });
    drop(server);
}

#[test]
fn without_limits_the_machine_is_the_measure() {
    let server = Server::on("busy")
        .env("PLIMSOLL_SLOTS", "1")
        .env("PLIMSOLL_INTRA_OP_THREADS", "1")
        .ready();
    let (slots, memory) = (said(&server, "slots"), said(&server, "memory"));
    if !slots.contains("no quota, machine has ") || !memory.contains("no limit, machine has ") {
        println!("skipped: the tests themselves run in limits: {slots}; {memory}");
        return;
    }
    let kilobytes = |name: &str| {
        let meminfo = std::fs::read_to_string("/proc/meminfo").expect("meminfo");
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        number.and_then(|kb| kb.parse::<f64>().ok()).expect("kB")
    };
    let total = kilobytes("MemTotal:");
    let megabytes = format!("machine has {} MiB", (total / 1024.0) as u64);
    assert!(memory.contains(&megabytes), "{memory}, not {megabytes}");
    let off = || {
        let page = reading(&server, "plimsoll_memory_utilization_ratio")?;
        Some((page - (1.0 - kilobytes("MemAvailable:") / total)).abs())
    };
    // Other tests come and go meanwhile.
    settles("memory as in meminfo", off, |off| off < 0.05);
    // One thread that is busy all the time is one CPU of so many.
    let cpus = std::thread::available_parallelism().expect("CPUs").get() as f64;
    let cpu = || reading(&server, "plimsoll_cpu_utilization_ratio");
    while_busy(&server, || {
        let one = |share: f64| (0.15..1.4).contains(&(share * cpus));
        settles("one CPU of the machine", cpu, one);
    });
    assert_eq!(reading(&server, "plimsoll_cpu_throttled_ratio"), None);
}
