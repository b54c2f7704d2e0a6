//! Tests of the cgroup source on recorded trees of both versions, and on this machine.

use super::*;
use tempfile::TempDir;

const V2_MOUNT: &str = "25 24 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";

type Figures = (Option<f64>, Option<(u64, u64)>, Option<u64>);

pub(super) struct Tree(TempDir);

impl Tree {
    pub(super) fn new() -> Self {
        let tree = Self(TempDir::new().unwrap());
        tree.file("sys/devices/system/cpu/online", "0-7\n");
        tree.file("proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-127\n");
        tree
    }

    pub(super) fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub(super) fn open(&self) -> Cgroup {
        Cgroup::open(self.0.path())
    }

    pub(super) fn limits(&self) -> Limits {
        self.open().read(&mut Host::new()).0
    }

    pub(super) fn usage(&self) -> Usage {
        self.open().read(&mut Host::new()).1
    }

    /// CPU-seconds, periods and memory, without where they are counted.
    pub(super) fn figures(&self) -> Figures {
        let usage = self.usage();
        (
            usage.cpu_secs.map(|total| total.value),
            usage.periods.map(|total| total.value),
            usage.memory_bytes,
        )
    }
}

pub(super) fn v2() -> Tree {
    let tree = Tree::new();
    tree.file("proc/self/mountinfo", V2_MOUNT)
        .file("proc/self/cgroup", "0::/\n")
        .file("sys/fs/cgroup/cpu.max", "50000 100000\n")
        .file(
            "sys/fs/cgroup/cpu.stat",
            "usage_usec 2500000\nuser_usec 1\nnr_periods 40\nnr_throttled 10\nthrottled_usec 9\n",
        )
        .file("sys/fs/cgroup/memory.max", "67108864\n")
        .file("sys/fs/cgroup/memory.current", "50000000\n")
        .file(
            "sys/fs/cgroup/memory.stat",
            "anon 1\ninactive_file 20000000\nactive_file 3\n",
        );
    tree
}

pub(super) fn v1(group: &str, mount_root: &str) -> Tree {
    let tree = Tree::new();
    let mount = |name: &str, id: u32| {
        format!("{id} 31 0:{id} {mount_root} /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}\n")
    };
    let mounts = [mount("cpu,cpuacct", 32), mount("memory", 33)].concat();
    tree.file("proc/self/mountinfo", &mounts)
        .file(
            "proc/self/cgroup",
            &format!("4:memory:{group}\n1:cpu,cpuacct:{group}\n"),
        )
        .file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n")
        .file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
        .file("sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", "7000000000\n")
        .file(
            "sys/fs/cgroup/cpu,cpuacct/cpu.stat",
            "nr_periods 8\nnr_throttled 2\n",
        )
        .file("sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n")
        .file("sys/fs/cgroup/memory/memory.usage_in_bytes", "90000000\n")
        .file(
            "sys/fs/cgroup/memory/memory.stat",
            "inactive_file 1\ntotal_inactive_file 40000000\n",
        );
    tree
}

#[test]
fn version_2_limits_and_use_are_read() {
    let tree = v2();
    let limits = tree.limits();
    assert_eq!(limits.cpus, 0.5);
    assert_eq!(limits.cpus_reason, "cgroup v2 quota 0.50 CPU");
    assert_eq!(limits.memory_bytes, Some(64 << 20));
    assert_eq!(limits.memory_reason, "cgroup v2 limit 64 MiB");
    let expected = (Some(2.5), Some((40, 10)), Some(30_000_000));
    assert_eq!(tree.figures(), expected);
}

#[test]
fn version_1_of_a_container_whose_path_is_the_hosts_is_read() {
    let tree = v1("/docker/abc", "/docker/abc");
    let limits = tree.limits();
    assert_eq!((limits.cpus, limits.memory_bytes), (1.5, Some(128 << 20)));
    assert_eq!(limits.cpus_reason, "cgroup v1 quota 1.50 CPU");
    let expected = (Some(7.0), Some((8, 2)), Some(50_000_000));
    assert_eq!(tree.figures(), expected);
}

#[test]
fn a_path_that_does_not_exist_under_the_mount_falls_back_to_its_root() {
    assert_eq!(v1("/docker/abc", "/").limits().cpus, 1.5);
    let tree = v2();
    tree.file("proc/self/cgroup", "0::/../../elsewhere\n");
    assert_eq!(tree.limits().cpus, 0.5);
}

#[test]
fn the_tightest_ancestor_counts_and_use_is_read_where_the_limit_sits() {
    let tree = v2();
    tree.file("proc/self/cgroup", "0::/pod/app\n")
        .file("sys/fs/cgroup/cpu.max", "max 100000\n")
        .file("sys/fs/cgroup/memory.max", "max\n")
        .file("sys/fs/cgroup/pod/cpu.max", "200000 100000\n")
        .file("sys/fs/cgroup/pod/cpu.stat", "usage_usec 9000000\n")
        .file("sys/fs/cgroup/pod/memory.max", "33554432\n")
        .file("sys/fs/cgroup/pod/memory.current", "7\n")
        .file("sys/fs/cgroup/pod/memory.stat", "inactive_file 0\n")
        .file("sys/fs/cgroup/pod/app/cpu.max", "400000 100000\n")
        .file("sys/fs/cgroup/pod/app/memory.max", "67108864\n");
    let limits = tree.limits();
    assert_eq!((limits.cpus, limits.memory_bytes), (2.0, Some(32 << 20)));
    assert_eq!(
        limits.cpus_reason,
        "cgroup v2 quota of a parent group 2.00 CPU"
    );
    assert_eq!(
        limits.memory_reason,
        "cgroup v2 limit of a parent group 32 MiB"
    );
    assert_eq!(tree.figures(), (Some(9.0), None, Some(7)));
}

#[test]
fn without_a_quota_the_allowed_cpus_that_are_online_count() {
    let tree = v2();
    tree.file("sys/fs/cgroup/cpu.max", "max 100000\n");
    assert_eq!(tree.limits().cpus_reason, "no quota, machine has 8 CPUs");
    assert_eq!(tree.usage().periods, None);
    tree.file("proc/self/status", "Cpus_allowed_list:\t2,4-5,90\n");
    let limits = tree.limits();
    assert_eq!(
        (limits.cpus, limits.cpus_reason.as_str()),
        (3.0, "cpuset or affinity: 3 of 8 CPUs")
    );
}

#[test]
fn a_quota_above_the_allowed_cpus_does_not_count() {
    let tree = v2();
    tree.file("sys/fs/cgroup/cpu.max", "400000 100000\n")
        .file("proc/self/status", "Cpus_allowed_list:\t0\n");
    assert_eq!(tree.limits().cpus, 1.0);
}

#[test]
fn no_memory_limit_means_the_machines_memory() {
    let tree = v1("/docker/abc", "/docker/abc");
    tree.file(
        "sys/fs/cgroup/memory/memory.limit_in_bytes",
        "9223372036854771712\n",
    );
    let limits = tree.limits();
    let machine = Host::new().memory().unwrap().total;
    assert_eq!(limits.memory_bytes, Some(machine));
    assert!(
        limits.memory_reason.starts_with("no limit"),
        "{}",
        limits.memory_reason
    );
}

#[test]
fn missing_and_broken_files_leave_the_machine_as_the_limit() {
    let empty = TempDir::new().unwrap();
    let cgroup = Cgroup::open(empty.path());
    let (limits, usage) = cgroup.read(&mut Host::new());
    assert_eq!(limits.cpus, host::cpus());
    assert!(usage.cpu_secs.is_some() && usage.memory_bytes.is_some());
    let tree = v2();
    for file in [
        "cpu.max",
        "cpu.stat",
        "memory.max",
        "memory.current",
        "memory.stat",
    ] {
        tree.file(&format!("sys/fs/cgroup/{file}"), "what is this\n\u{fffd}");
    }
    tree.file("proc/self/status", "Cpus_allowed_list:\t-,9-2,x\n");
    assert!(tree.limits().cpus >= 1.0);
    assert!(tree.usage().cpu_secs.is_some());
}

#[test]
fn this_machine_is_read_within_a_millisecond_or_so() {
    let begin = std::time::Instant::now();
    let limits = limits();
    let spent = begin.elapsed();
    assert!(
        limits.cpus > 0.0 && limits.memory_bytes.is_some_and(|bytes| bytes > 0),
        "{limits:?}"
    );
    // The promise is one millisecond; a busy test machine gets ten times that.
    assert!(spent.as_millis() < 10, "{spent:?}");
    let (_, usage) = Cgroup::open(Path::new("/")).read(&mut Host::new());
    assert!(
        usage.cpu_secs.is_some() && usage.memory_bytes.is_some(),
        "{usage:?}"
    );
}
