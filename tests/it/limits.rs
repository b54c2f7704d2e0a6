//! Threads and slots follow what the container may use, never what the host has.

use std::path::{Path, PathBuf};

use crate::support::Server;

/// The line that says how many slots and why.
fn slots(server: &Server) -> String {
    let log = server.log();
    let line = log.lines().find(|line| line.contains("slots    "));
    line.unwrap_or_else(|| panic!("no slots in {log}"))
        .to_owned()
}

#[test]
fn one_cpu_of_the_affinity_mask_is_one_slot() {
    let server = Server::on("sum4").through(&["taskset", "-c", "0"]).ready();
    let line = slots(&server);
    assert!(
        line.contains("1 × 1 intra-op") && line.contains("1 core ("),
        "{line}"
    );
    assert_eq!(server.invoke("text/csv", "1,2,3,4").text(), "10");
}

/// A CPU controller's folder for this test, removed when dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    /// A cgroup limited to half a CPU, of whichever version this machine has; `None` where none
    /// can be made.
    fn with_half_a_cpu() -> Option<Self> {
        let name = format!("plimsoll-test-{}", std::process::id());
        let (v1, v2) = (Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup"));
        let (folder, files): (PathBuf, &[(&str, &str)]) = if v1.join("cpu.cfs_quota_us").exists() {
            (
                v1.join(name),
                &[
                    ("cpu.cfs_period_us", "100000"),
                    ("cpu.cfs_quota_us", "50000"),
                ],
            )
        } else {
            (v2.join(name), &[("cpu.max", "50000 100000")])
        };
        std::fs::create_dir(&folder).ok()?;
        let cgroup = Self(folder);
        for (file, value) in files {
            std::fs::write(cgroup.0.join(file), value).ok()?;
        }
        Some(cgroup)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn half_a_cpu_of_quota_is_one_thread_and_is_said() {
    let Some(cgroup) = Cgroup::with_half_a_cpu() else {
        println!("skipped: no cgroup with a CPU quota can be made here");
        return;
    };
    let join = format!(
        "echo $$ > {}/cgroup.procs && exec \"$@\"",
        cgroup.0.display()
    );
    let mut server = Server::on("sum4")
        .through(&["sh", "-c", &join, "sh"])
        .ready();
    let line = slots(&server);
    assert!(
        line.contains("1 × 1 intra-op") && line.contains("0.50 CPU"),
        "{line}"
    );
    assert_eq!(server.invoke("text/csv", "1,2,3,4").text(), "10");
    server.signal("INT");
    server.wait(std::time::Duration::from_secs(10));
}
