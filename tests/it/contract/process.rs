//! A. The process and its image: where it listens, how it stops, what it refuses to start with.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::container::{Network, Root};
use crate::support::server::{binary, signal};
use crate::support::{fixture, http, root, rounds_for, Connection, Server};

const LONG_ENOUGH_TO_KILL: Duration = Duration::from_secs(30);

#[test]
fn case_001_serve_listens_on_8080_for_other_networks() {
    let Some(network) = Network::new() else {
        println!("skipped: no network namespace can be made here");
        return;
    };
    let server = Server::on("sum4")
        .without("SAGEMAKER_BIND_TO_PORT")
        .in_network(&network)
        .ready();
    // Asked from outside its network, at an address that is not loopback.
    assert_eq!(server.port, 8080, "{}", server.log());
    assert_eq!(server.get("/ping").status, 200);
    assert_eq!(server.ask(&json!([[1, 2, 3, 4]])), json!([[10.0]]));
}

#[test]
fn case_002_the_server_is_process_1_and_gets_sigterm_itself() {
    let entry_points: Vec<_> = dockerfile("ENTRYPOINT");
    assert_eq!(entry_points.len(), 1, "{entry_points:?}");
    let words: Vec<String> = serde_json::from_str(&entry_points[0]).expect("the exec form");
    assert!(words[0].ends_with("/plimsoll"), "{words:?}");
    assert_eq!(dockerfile("CMD"), ["[\"serve\"]"]);

    let new_processes = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let permitted = std::process::Command::new(new_processes[0])
        .args(&new_processes[1..])
        .arg("true")
        .output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        println!("skipped: no process namespace can be made here");
        return;
    }
    let mut server = Server::on("sum4").through(&new_processes).ready();
    assert_eq!(server.get("/ping").status, 200);
    let unshare = server.pid();
    let children = format!("/proc/{unshare}/task/{unshare}/children");
    let children = std::fs::read_to_string(children).expect("children");
    let child: u32 = children.trim().parse().expect("one child");
    let status = std::fs::read_to_string(format!("/proc/{child}/status")).expect("its status");
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let innermost = ids.and_then(|ids| ids.split_whitespace().last());
    assert_eq!(innermost, Some("1"), "{status}");
    signal(child, "TERM");
    assert_eq!(server.wait(Duration::from_secs(10)).code(), Some(0));
    assert!(server.log().contains("left in order"), "{}", server.log());
}

#[test]
fn case_003_bind_to_port_is_the_only_port() {
    let Some(network) = Network::new() else {
        println!("skipped: no network namespace can be made here");
        return;
    };
    let server = Server::on("sum4")
        .env("SAGEMAKER_BIND_TO_PORT", "9123")
        .in_network(&network)
        .ready();
    assert_eq!(server.port, 9123);
    assert_eq!(server.get("/ping").status, 200);
    let refused = TcpStream::connect((network.inside.as_str(), 8080));
    assert!(refused.is_err(), "somebody listens on 8080");
}

#[test]
fn case_004_no_other_port_lies_outside_the_safe_range() {
    let Some(network) = Network::new() else {
        println!("skipped: no network namespace can be made here");
        return;
    };
    let server = Server::on("sum4")
        .env("SAGEMAKER_BIND_TO_PORT", "9123")
        .env("SAGEMAKER_SAFE_PORT_RANGE", "25000-25999")
        // Whatever publishes might listen too.
        .of_an_endpoint()
        .in_network(&network)
        .ready();
    assert_eq!(server.get("/ping").status, 200);
    let ports = listening_ports(server.pid());
    assert!(ports.contains(&9123), "{ports:?}");
    for port in ports {
        assert!(port == 9123 || (25_000..=25_999).contains(&port), "{port}");
    }
}

#[test]
fn case_005_the_image_says_what_it_can() {
    let labels = labels();
    let capability = |name: &str| {
        let label = format!("com.amazonaws.sagemaker.capabilities.{name}");
        labels.get(&label).map(String::as_str)
    };
    assert_eq!(capability("accept-bind-to-port"), Some("true"));
    // The label `multi-models` comes with the routes that load and unload models.
    assert_eq!(capability("bidirectional-streaming"), None);
}

#[test]
fn case_006_a_read_only_model_folder_is_enough() {
    let root = Root {
        model: fixture("sum4"),
        read_only: false,
        user: 0,
    };
    let Some(start) = Server::on("sum4").in_root(&root) else {
        println!("skipped: no mounts can be made here");
        return;
    };
    let server = start.ready();
    let inside = format!("/proc/{}/root", server.pid());
    let written = |path: &str| std::fs::write(format!("{inside}{path}"), "").is_ok();
    assert!(written("/opt/beside") && !written("/opt/ml/model/beside"));
    let log = server.log();
    assert!(log.contains("/opt/ml/model/model.onnx"), "{log}");
    assert_eq!(server.get("/ping").status, 200);
    assert_eq!(server.ask(&json!([[1, 2, 3, 4]])), json!([[10.0]]));
}

#[test]
fn case_007_a_read_only_root_and_any_user_are_enough() {
    let root = Root {
        model: fixture("sum4"),
        read_only: true,
        user: 12_345,
    };
    let Some(start) = Server::on("sum4").in_root(&root) else {
        println!("skipped: no mounts can be made here");
        return;
    };
    let server = start.ready();
    let inside = format!("/proc/{}/root", server.pid());
    let written = |path: &str| std::fs::write(format!("{inside}{path}"), "").is_ok();
    assert!(written("/tmp/beside") && !written("/opt/beside") && !written("/srv/plimsoll"));
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    assert!(status.contains("\nUid:\t12345\t12345\t"), "{status}");
    assert_eq!(server.get("/ping").status, 200);
    assert_eq!(server.ask(&json!([[1, 2, 3, 4]])), json!([[10.0]]));
}

#[test]
fn case_008_an_idle_server_leaves_with_0_within_5_seconds() {
    let mut server = Server::on("sum4").ready();
    server.get("/ping");
    let begun = Instant::now();
    server.signal("TERM");
    let status = server.wait(Duration::from_secs(5));
    assert_eq!(status.code(), Some(0), "{}", server.log());
    // The platform's balancer gets time to notice.
    assert!(
        begun.elapsed() > Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn case_009_a_request_that_is_running_is_finished() {
    let mut server = Server::on("busy").env("PLIMSOLL_SLOTS", "1").ready();
    let rounds = rounds_for(&server, Duration::from_secs(8));
    let (reply, told, answered) = std::thread::scope(|scope| {
        let body = format!("[[{rounds},0,0,0]]");
        let request = scope.spawn(|| server.invoke("application/json", body));
        std::thread::sleep(Duration::from_millis(300));
        server.signal("TERM");
        let told = Instant::now();
        (request.join().expect("a reply"), told, Instant::now())
    });
    assert_eq!(reply.status, 200, "{}", reply.text());
    // It outlived the time in which new requests are still taken.
    let after = answered - told;
    assert!(after > Duration::from_millis(2600), "{after:?}");
    assert_eq!(server.wait(Duration::from_secs(5)).code(), Some(0));
    assert!(told.elapsed() < LONG_ENOUGH_TO_KILL - Duration::from_secs(2));
}

#[test]
fn case_010_a_request_that_cannot_be_finished_does_not_hold_the_process() {
    let mut server = Server::on("busy").env("PLIMSOLL_SLOTS", "1").nice().ready();
    let mut connection = Connection::open(&server);
    connection.patience(LONG_ENOUGH_TO_KILL);
    connection.send(&http::post("application/json", "[[1000000,0,0,0]]"));
    std::thread::sleep(Duration::from_millis(300));
    let told = Instant::now();
    server.signal("TERM");
    let reply = connection.reply();
    assert!(
        reply.as_ref().is_none_or(|reply| reply.status >= 500),
        "{reply:?}"
    );
    let status = server.wait(LONG_ENOUGH_TO_KILL);
    assert!(told.elapsed() < LONG_ENOUGH_TO_KILL, "{:?}", told.elapsed());
    assert_eq!(status.code(), Some(0), "{}", server.log());
}

#[test]
fn case_011_without_a_model_it_leaves_with_the_reason() {
    for (folder, expected) in [
        (fixture("no_model"), &["no *.onnx file"][..]),
        (fixture("two_models"), &["2 models"]),
        (
            Path::new("/nonexistent").to_owned(),
            &["/model", "SAGEMAKER_BASE_DIR"],
        ),
    ] {
        let (code, log) = Server::on_folder(&folder).refused();
        assert_eq!(code, Some(1), "{log}");
        let errors = log.lines().filter(|line| line.contains("ERROR")).count();
        assert_eq!(errors, 1, "said once: {log}");
        for part in expected {
            assert!(log.contains(part), "{part}: {log}");
        }
    }
}

#[test]
fn case_012_a_corrupt_model_is_named_once() {
    for (name, expected) in [
        ("broken_half", "cut off"),
        ("broken_empty", "the file is empty"),
        ("broken_html", "HTML"),
    ] {
        let (code, log) = Server::on(name).refused();
        assert_eq!(code, Some(1), "{log}");
        assert_eq!(log.matches(expected).count(), 1, "{name}: {log}");
        assert_eq!(log.matches("ERROR").count(), 1, "{name}: {log}");
    }
}

#[test]
fn case_013_no_gpu_and_no_nvml_is_no_error() {
    if Path::new("/dev/nvidia0").exists() {
        println!("skipped: this machine has a GPU");
        return;
    }
    let server = Server::on("sum4").ready();
    assert_eq!(server.get("/ping").status, 200);
    assert_eq!(server.ask(&json!([[1, 2, 3, 4]])), json!([[10.0]]));
    let log = server.log();
    assert!(log.contains("CPUExecutionProvider"), "{log}");
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
}

#[test]
fn case_014_64_connections_at_once_are_each_accepted_in_250_ms() {
    const LIMIT: Duration = Duration::from_millis(250);
    let server = Server::on("slow").ready();
    let attempt = || {
        let mut slowest = Duration::ZERO;
        let mut open = Vec::new();
        for _ in 0..64 {
            let begun = Instant::now();
            open.push(server.connect());
            slowest = slowest.max(begun.elapsed());
        }
        // The system connects callers on the server's behalf; the server has taken them in when
        // none is left in its queue.
        let begun = Instant::now();
        while waiting_to_be_accepted(&server) > 0 && begun.elapsed() < 4 * LIMIT {
            std::thread::sleep(Duration::from_millis(1));
        }
        slowest.max(begun.elapsed())
    };
    let times = std::thread::scope(|scope| {
        let busy: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..2 {
                        assert_eq!(server.invoke("application/json", "[[1,2,3,4]]").status, 200);
                    }
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(50));
        let times = [attempt(), attempt(), attempt()];
        for thread in busy {
            thread.join().expect("served");
        }
        times
    });
    // Three times, because the machine is also busy with other tests.
    assert!(times.iter().any(|time| *time < LIMIT), "{times:?}");
}

#[test]
fn case_015_serve_is_the_only_argument_that_serves() {
    let run = |args: &[&str]| {
        let output = std::process::Command::new(binary())
            .args(args)
            .output()
            .expect("runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    for args in [&["help"][..], &["--help"]] {
        let (code, stdout, _) = run(args);
        assert_eq!(code, Some(0), "{args:?}");
        assert!(stdout.contains("serve"), "{stdout}");
    }
    for args in [&[][..], &["frobnicate"]] {
        let (code, _, stderr) = run(args);
        assert_eq!(code, Some(64), "{args:?}: {stderr}");
        assert!(stderr.contains("Usage"), "{stderr}");
    }
    // `serve` alone is enough: every other test starts the server so.
    let _server = Server::on("sum4").ready();
}

/// What follows an instruction of the image, at each of its places in the last stage.
fn dockerfile(instruction: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("docker/Dockerfile")).expect("the Dockerfile");
    let text = text.replace("\\\n", " ");
    let (_, last_stage) = text.rsplit_once("\nFROM ").expect("two stages");
    last_stage
        .lines()
        .filter_map(|line| line.trim().strip_prefix(instruction)?.strip_prefix(' '))
        .map(|rest| rest.trim().to_owned())
        .collect()
}

/// The image's labels.
pub fn labels() -> BTreeMap<String, String> {
    let lines = dockerfile("LABEL").join(" ");
    lines
        .split_whitespace()
        .filter_map(|label| label.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

/// The lines of `/proc/PID/net/tcp…` for sockets that listen and that the process has open.
fn listening_sockets(process: u32) -> Vec<Vec<String>> {
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).expect("it runs");
    let open: BTreeSet<String> = descriptors
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter_map(|target| {
            let inode = target.to_str()?.strip_prefix("socket:[")?;
            Some(inode.trim_end_matches(']').to_owned())
        })
        .collect();
    ["tcp", "tcp6"]
        .iter()
        .filter_map(|file| std::fs::read_to_string(format!("/proc/{process}/net/{file}")).ok())
        .flat_map(|table| {
            let rows = table.lines().skip(1);
            let rows = rows.map(|row| row.split_whitespace().map(str::to_owned).collect());
            rows.collect::<Vec<Vec<String>>>()
        })
        .filter(|row| row[3] == "0A" && open.contains(&row[9]))
        .collect()
}

/// Every TCP port that a process listens on.
pub fn listening_ports(process: u32) -> BTreeSet<u16> {
    let sockets = listening_sockets(process);
    let ports = sockets.iter().filter_map(|row| row[1].rsplit_once(':'));
    ports
        .map(|(_, port)| u16::from_str_radix(port, 16).expect("a port"))
        .collect()
}

/// Connections that the system has made and the server has not taken in yet.
fn waiting_to_be_accepted(server: &Server) -> u32 {
    let sockets = listening_sockets(server.pid());
    let queues = sockets.iter().filter_map(|row| row[4].rsplit_once(':'));
    queues
        .map(|(_, waiting)| u32::from_str_radix(waiting, 16).expect("a number"))
        .sum()
}
