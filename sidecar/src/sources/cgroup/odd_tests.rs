//! Tests of trees that are not a container's usual one: nested, hybrid, namespaced, changing while
//! they are read, and broken.

use proptest::prelude::*;

use super::cgroup_tests::{v1, v2, Tree};
use super::usage::Used;
use super::*;

const MACHINE_LIMIT: &str = "9223372036854771712\n";

/// cpu, cpuacct, cpuset and memory each mounted alone, and a v2 mount without controllers beside
/// them; the process sits in other groups of each.
fn hybrid() -> Tree {
    let tree = Tree::new();
    let mount = |id: u32, name: &str| {
        format!("{id} 31 0:{id} / /sys/fs/cgroup/{name} rw,relatime - cgroup cgroup rw,{name}\n")
    };
    let mounts = [
        "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n".to_owned(),
        "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n".to_owned(),
        mount(32, "cpu"),
        mount(33, "cpuacct"),
        mount(34, "cpuset"),
        mount(35, "memory"),
    ];
    tree.file("proc/self/mountinfo", &mounts.concat())
        .file(
            "proc/self/cgroup",
            "9:name=systemd:/\n4:memory:/mem/app\n3:cpuset:/\n2:cpuacct:/app\n1:cpu:/app\n0::/\n",
        )
        .file("sys/fs/cgroup/unified/cgroup.controllers", "\n")
        .file("sys/fs/cgroup/unified/cpu.stat", "usage_usec 999000000\n")
        .file("sys/fs/cgroup/unified/cgroup.procs", "1\n");
    for name in ["cpu", "cpuacct", "cpuset", "memory"] {
        tree.file(&format!("sys/fs/cgroup/{name}/release_agent"), "\n");
    }
    tree.file("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
        .file("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
        .file("sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", "50000\n")
        .file("sys/fs/cgroup/cpu/app/cpu.cfs_period_us", "100000\n")
        .file(
            "sys/fs/cgroup/cpu/app/cpu.stat",
            "nr_periods 4\nnr_throttled 3\n",
        )
        .file("sys/fs/cgroup/cpuacct/cpuacct.usage", "900000000000\n")
        .file("sys/fs/cgroup/cpuacct/app/cpuacct.usage", "1500000000\n")
        .file("sys/fs/cgroup/memory/memory.limit_in_bytes", MACHINE_LIMIT)
        .file(
            "sys/fs/cgroup/memory/mem/memory.limit_in_bytes",
            MACHINE_LIMIT,
        )
        .file(
            "sys/fs/cgroup/memory/mem/app/memory.limit_in_bytes",
            "67108864\n",
        )
        .file(
            "sys/fs/cgroup/memory/mem/app/memory.usage_in_bytes",
            "2000\n",
        )
        .file(
            "sys/fs/cgroup/memory/mem/app/memory.stat",
            "hierarchical_memory_limit 67108864\ntotal_inactive_file 500\n",
        );
    tree
}

fn used(now: &Tree, before: &Usage) -> Used {
    now.usage().since(before)
}

#[test]
fn a_hybrid_of_both_versions_is_read_where_the_controllers_are() {
    let tree = hybrid();
    let limits = tree.limits();
    assert_eq!((limits.cpus, limits.memory_bytes), (0.5, Some(64 << 20)));
    assert_eq!(limits.cpus_reason, "cgroup v1 quota 0.50 CPU");
    assert_eq!(limits.memory_reason, "cgroup v1 limit 64 MiB");
    assert_eq!(tree.figures(), (Some(1.5), Some((4, 3)), Some(1500)));
}

#[test]
fn a_cpuacct_group_that_is_not_the_quotas_is_not_measured_against_the_quota() {
    let tree = hybrid();
    tree.file("proc/self/cgroup", "2:cpuacct:/\n1:cpu:/app\n");
    let usage = tree.usage();
    let place = usage.cpu_secs.map(|total| total.place);
    assert_eq!(
        place,
        Some(Place::Process),
        "the root's 900 s are the machine's"
    );
}

#[test]
fn without_a_limit_cpu_is_the_groups_own_and_memory_the_machines() {
    let tree = hybrid();
    tree.file("sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", "-1\n")
        .file(
            "sys/fs/cgroup/memory/mem/app/memory.limit_in_bytes",
            MACHINE_LIMIT,
        )
        .file(
            "sys/fs/cgroup/memory/mem/app/memory.stat",
            "total_inactive_file 500\n",
        );
    let machine = Host::new().memory().unwrap();
    let limits = tree.limits();
    assert_eq!(
        (limits.cpus, limits.memory_bytes),
        (8.0, Some(machine.total))
    );
    let (cpu, periods, memory) = tree.figures();
    assert_eq!((cpu, periods), (Some(1.5), None));
    // The machine's other processes go on meanwhile.
    let off = memory.unwrap().abs_diff(machine.used());
    assert!(off < machine.total / 10, "{memory:?}, {machine:?}");
    // In the machine's root group the group's use would be everybody's.
    tree.file("proc/self/cgroup", "4:memory:/\n2:cpuacct:/\n1:cpu:/\n");
    let place = tree.usage().cpu_secs.map(|total| total.place);
    assert_eq!(place, Some(Place::Process));
}

#[test]
fn a_namespaces_root_is_a_container_and_not_the_machine() {
    // Both files say `/` for the container's own group; it has no release_agent.
    let tree = v1("/", "/");
    tree.file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    assert_eq!(tree.figures().0, Some(7.0));
    let tree = v2();
    tree.file("sys/fs/cgroup/cpu.max", "max 100000\n");
    assert_eq!(tree.figures().0, Some(2.5));
    // A container that was not given the cpu controller has a group all the same.
    fs::remove_file(tree.path("sys/fs/cgroup/cpu.max")).unwrap();
    tree.file("sys/fs/cgroup/cgroup.type", "domain\n");
    assert_eq!(tree.figures().0, Some(2.5));
}

#[test]
fn a_version_1_limit_above_the_mount_is_known_from_the_hierarchy() {
    let tree = v1("/docker/abc", "/docker/abc");
    tree.file("sys/fs/cgroup/memory/memory.limit_in_bytes", MACHINE_LIMIT)
        .file(
            "sys/fs/cgroup/memory/memory.stat",
            "hierarchical_memory_limit 100663296\ntotal_inactive_file 40000000\n",
        );
    let limits = tree.limits();
    assert_eq!(limits.memory_bytes, Some(96 << 20));
    assert_eq!(
        limits.memory_reason,
        "cgroup v1 limit of a parent group 96 MiB"
    );
    assert_eq!(tree.figures().2, Some(50_000_000));
}

#[test]
fn nested_parents_of_version_1_are_searched_for_the_tightest() {
    let tree = v1("/", "/");
    let at = |name: &str| format!("sys/fs/cgroup/cpu,cpuacct/{name}");
    tree.file("proc/self/cgroup", "4:memory:/\n1:cpu,cpuacct:/pod/app\n")
        .file(&at("pod/cpu.cfs_quota_us"), "20000\n")
        .file(&at("pod/cpu.cfs_period_us"), "100000\n")
        .file(&at("pod/cpuacct.usage"), "3000000000\n")
        .file(&at("pod/cpu.stat"), "nr_periods 9\nnr_throttled 9\n")
        .file(&at("pod/app/cpu.cfs_quota_us"), "80000\n")
        .file(&at("pod/app/cpu.cfs_period_us"), "100000\n")
        .file(&at("pod/app/cpuacct.usage"), "1\n");
    assert_eq!(tree.limits().cpus, 0.2);
    let (cpu, periods, _) = tree.figures();
    assert_eq!((cpu, periods), (Some(3.0), Some((9, 9))));
}

#[test]
fn a_cpuset_shows_in_both_versions_and_use_is_then_the_groups_own() {
    let allowed = "Cpus_allowed:\t3\nCpus_allowed_list:\t0-1\n";
    let v1 = v1("/docker/abc", "/docker/abc");
    v1.file("proc/self/status", allowed)
        .file("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    let v2 = v2();
    v2.file("proc/self/status", allowed)
        .file("proc/self/cgroup", "0::/app\n")
        // A parent's quota of four CPUs does not bind where two may be used, and the parent's use
        // is not this group's.
        .file("sys/fs/cgroup/cpu.max", "400000 100000\n")
        .file("sys/fs/cgroup/app/cpu.stat", "usage_usec 1000000\n");
    for (tree, secs) in [(&v1, 7.0), (&v2, 1.0)] {
        let limits = tree.limits();
        assert_eq!(limits.cpus, 2.0);
        assert_eq!(limits.cpus_reason, "cpuset or affinity: 2 of 8 CPUs");
        assert_eq!(tree.figures().0, Some(secs));
    }
}

#[test]
fn a_quota_that_changes_place_costs_one_sample_and_makes_no_peak() {
    let tree = v2();
    tree.file("proc/self/cgroup", "0::/app\n")
        .file("sys/fs/cgroup/cpu.max", "max 100000\n")
        .file("sys/fs/cgroup/app/cpu.max", "50000 100000\n")
        .file(
            "sys/fs/cgroup/app/cpu.stat",
            "usage_usec 10\nnr_periods 1\nnr_throttled 0\n",
        );
    let before = tree.usage();
    tree.file("sys/fs/cgroup/cpu.max", "20000 100000\n");
    assert_eq!(tree.limits().cpus, 0.2, "limits are read anew each time");
    assert_eq!(used(&tree, &before), Used::default());
    let before = tree.usage();
    tree.file(
        "sys/fs/cgroup/cpu.stat",
        "usage_usec 2600000\nnr_periods 44\nnr_throttled 13\n",
    );
    let used = used(&tree, &before);
    assert!(used.cpu_secs.is_some_and(|secs| (secs - 0.1).abs() < 1e-9));
    assert_eq!(used.throttled, Some(75.0));
}

#[test]
fn totals_that_go_backwards_or_stand_still() {
    let tree = v2();
    let before = tree.usage();
    let still = used(&tree, &before);
    assert_eq!((still.cpu_secs, still.throttled), (Some(0.0), Some(0.0)));
    tree.file(
        "sys/fs/cgroup/cpu.stat",
        "usage_usec 100\nnr_periods 2\nnr_throttled 1\n",
    );
    assert_eq!(used(&tree, &before), Used::default());
}

#[test]
fn a_limit_whose_use_cannot_be_read_is_not_measured_against_the_machines() {
    for file in ["memory.current", "memory.stat"] {
        let tree = v2();
        fs::remove_file(tree.path(&format!("sys/fs/cgroup/{file}"))).unwrap();
        assert_eq!(tree.limits().memory_bytes, Some(64 << 20));
        assert_eq!(tree.figures().2, None, "without {file}");
    }
}

#[test]
fn numbers_that_are_too_large_zero_or_signed_are_no_limits() {
    let machine = Host::new().memory().unwrap().total;
    for limit in [
        "max",
        "0",
        "-1",
        "18446744073709551616",
        "1152921504606846976",
        "1e6",
        "",
    ] {
        let tree = v2();
        tree.file("sys/fs/cgroup/memory.max", limit);
        assert_eq!(tree.limits().memory_bytes, Some(machine), "{limit:?}");
    }
    for quota in [
        "max 100000",
        "0 100000",
        "100 0",
        "-1 100000",
        "inf 1",
        "NaN 1",
        "5",
        "",
    ] {
        let tree = v2();
        tree.file("sys/fs/cgroup/cpu.max", quota);
        assert_eq!(tree.limits().cpus, 8.0, "{quota:?}");
    }
    let tree = v2();
    tree.file("sys/fs/cgroup/cpu.max", "18446744073709551615 1");
    assert_eq!(tree.limits().cpus, 8.0);
}

#[test]
fn a_mount_point_with_a_blank_is_found() {
    let tree = Tree::new();
    tree.file(
        "proc/self/mountinfo",
        "25 24 0:22 / /sys/fs/c\\040group rw - cgroup2 cgroup2 rw\n",
    )
    .file("proc/self/cgroup", "0::/\n")
    .file("sys/fs/c group/cpu.max", "50000 100000\n");
    assert_eq!(tree.limits().cpus, 0.5);
}

/// Numbers, words and bytes as a broken file might hold them.
fn broken() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        any::<u64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
        (any::<i64>(), any::<i64>()).prop_map(|(a, b)| format!("{a} {b}")),
        any::<u64>().prop_map(|n| format!("usage_usec {n}\nnr_periods {n}\ninactive_file {n}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_files_hold_limits_and_use_can_be(
        texts in prop::collection::vec(broken(), 8),
    ) {
        let tree = v2();
        let before = tree.usage();
        let files = [
            "sys/fs/cgroup/cpu.max",
            "sys/fs/cgroup/cpu.stat",
            "sys/fs/cgroup/memory.max",
            "sys/fs/cgroup/memory.current",
            "sys/fs/cgroup/memory.stat",
            "sys/devices/system/cpu/online",
            "proc/self/status",
            "proc/self/cgroup",
        ];
        for (file, text) in files.iter().zip(&texts) {
            tree.file(file, text);
        }
        let limits = tree.limits();
        prop_assert!(limits.cpus > 0.0 && limits.cpus.is_finite());
        prop_assert!(limits.memory_bytes.is_some_and(|bytes| bytes > 0));
        let used = used(&tree, &before);
        prop_assert!(used.cpu_secs.is_none_or(|secs| secs >= 0.0 && secs.is_finite()));
        prop_assert!(used.throttled.is_none_or(|share| (0.0..=100.0).contains(&share)));
    }
}
