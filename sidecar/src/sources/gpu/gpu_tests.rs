//! Tests of the GPU source through the real wrapper, against a stand-in for the driver's library
//! that each test scripts over time.

use super::*;

#[path = "../../../../tests/support/nvml/stand_in.rs"]
pub(super) mod stand_in;

use stand_in::StandIn;

const TWO: &str = "count 2
0.name NVIDIA \"Stand-in\"
0.uuid GPU-00
0.utilization 30
0.memory 1000 4000
0.power 75500
0.temperature 41
1.name Second
1.uuid GPU-11
1.utilization 70
1.memory 3000 4000
";

/// Like the real pace, a hundred times faster; hangs are still said after 2.5 s.
const FAST: Pace = Pace {
    interval: Duration::from_millis(10),
    first_wait: Duration::from_millis(10),
    longest_wait: Duration::from_millis(600),
    patience: 3,
};

fn start(stand_in: &StandIn) -> Gpu {
    start_with(stand_in, None)
}

fn start_with(stand_in: &StandIn, visible: Option<&str>) -> Gpu {
    Gpu::start_at(FAST, Some(stand_in.library()), visible)
}

/// Waits until the source tells this; panics with what it told last.
fn until(gpu: &mut Gpu, what: &str, told: impl Fn(&[Device], GpuReading) -> bool) {
    let begin = Instant::now();
    loop {
        let (devices, reading) = (gpu.view().devices(), gpu.latest());
        if told(&devices, reading) {
            return;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(15),
            "{what}: {devices:?}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn means(utilization: f64, memory: f64) -> impl Fn(&[Device], GpuReading) -> bool {
    move |_, reading| {
        reading
            == GpuReading {
                utilization: Some(utilization),
                memory: Some(memory),
            }
    }
}

fn indices(devices: &[Device]) -> Vec<u32> {
    devices.iter().map(|device| device.index).collect()
}

fn failed(gpu: &Gpu) -> u64 {
    gpu.view().failed().unwrap()
}

#[test]
fn every_sensor_of_a_device_is_read_and_the_mean_is_over_the_devices() {
    let stand_in = StandIn::new(TWO);
    let mut gpu = start(&stand_in);
    until(&mut gpu, "two devices", means(50.0, 50.0));
    let devices = gpu.view().devices();
    let first = Device {
        index: 0,
        name: Some("NVIDIA \"Stand-in\"".to_owned()),
        utilization: Some(30.0),
        memory: Some(25.0),
        power_watts: Some(75.5),
        temperature_celsius: Some(41.0),
    };
    assert_eq!(devices[0], first);
    assert_eq!(devices[1].power_watts, None, "it has no such sensor");
    assert_eq!(failed(&gpu), 0, "a sensor that is not there has not failed");
    stand_in.script(&TWO.replace("utilization 30", "utilization 90"));
    until(&mut gpu, "the new value", means(80.0, 50.0));
}

#[test]
fn a_device_without_a_sensor_is_left_out_of_that_mean_only() {
    let stand_in = StandIn::new(&TWO.replace("1.utilization 70\n", ""));
    let mut gpu = start(&stand_in);
    until(&mut gpu, "one utilisation", means(30.0, 50.0));
}

#[test]
fn a_lost_device_leaves_the_others_alone_and_comes_back() {
    let stand_in = StandIn::new(TWO);
    let mut gpu = start(&stand_in);
    until(&mut gpu, "both", means(50.0, 50.0));
    for gone in ["1.handle error 15\n", "1.utilization error 15\n"] {
        stand_in.script(&format!("{gone}{TWO}"));
        until(&mut gpu, "one is lost", means(30.0, 25.0));
        assert_eq!(indices(&gpu.view().devices()), [0]);
        assert!(failed(&gpu) > 0);
        stand_in.script(TWO);
        until(&mut gpu, "it is back", means(50.0, 50.0));
    }
    stand_in.script(&TWO.replace("count 2", "count 1"));
    until(&mut gpu, "it is not listed", means(30.0, 25.0));
    stand_in.script(TWO);
    until(&mut gpu, "it is listed", means(50.0, 50.0));
    assert_eq!(stand_in.starts(), 1, "the other device needed no new start");
}

#[test]
fn one_failing_sensor_costs_its_own_reading_and_is_counted() {
    let stand_in = StandIn::new(&format!("0.temperature error 999\n{TWO}"));
    let mut gpu = start(&stand_in);
    until(&mut gpu, "two devices", means(50.0, 50.0));
    assert_eq!(gpu.view().devices()[0].temperature_celsius, None);
    assert!(failed(&gpu) > 0);
}

#[test]
fn a_value_that_cannot_be_is_left_out_and_counted() {
    let script = TWO
        .replace("utilization 30", "utilization 4294967295")
        .replace("3000 4000", "4001 4000");
    let stand_in = StandIn::new(&script);
    let mut gpu = start(&stand_in);
    until(&mut gpu, "the rest", means(70.0, 25.0));
    assert!(failed(&gpu) >= 2);
    stand_in.script(&TWO.replace("3000 4000", "0 0"));
    until(&mut gpu, "a GPU without memory", means(50.0, 25.0));
}

#[test]
fn no_library_ends_the_thread_and_leaves_nothing_on_the_page() {
    let mut gpu = Gpu::start(Some(PathBuf::from("/nowhere/libnvidia-ml.so.1")), None);
    until(&mut gpu, "it reads", |_, _| true);
    let begin = Instant::now();
    while !gpu.ended() {
        assert!(begin.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(gpu.latest(), GpuReading::default());
    assert_eq!(gpu.view().failed(), None);
}

#[test]
fn a_library_that_is_something_else_gives_no_readings() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("text.so"), "no library").unwrap();
    std::fs::write(path("half.c"), "int nvmlInit_v2(void) { return 0; }").unwrap();
    let status = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([path("half.so"), path("half.c")])
        .status();
    assert!(status.unwrap().success());
    for (library, failed) in [
        (path("text.so"), None),
        // One without any of the functions, and one with the first of them alone.
        (PathBuf::from("libm.so.6"), Some(2)),
        (path("half.so"), Some(2)),
    ] {
        let mut gpu = Gpu::start_at(FAST, Some(library), None);
        let view = gpu.view();
        until(&mut gpu, "it is tried", |devices, _| {
            devices.is_empty() && view.failed() >= failed
        });
    }
}

#[test]
fn a_driver_that_refuses_is_tried_again_in_growing_waits() {
    // 18: the library and the kernel's driver are of two versions.
    let stand_in = StandIn::new(&format!("init 18\n{TWO}"));
    let mut gpu = start(&stand_in);
    std::thread::sleep(Duration::from_millis(300));
    let starts = stand_in.starts();
    // 0, 10, 30, 70, 150, 310 ms: the sixth may just have come.
    assert!((2..=6).contains(&starts), "{starts} starts");
    assert_eq!(gpu.latest(), GpuReading::default());
    assert!((1..=6).contains(&failed(&gpu)));
    stand_in.script(TWO);
    until(&mut gpu, "the driver is well", means(50.0, 50.0));
}

#[test]
fn nvml_is_started_again_when_it_fails_for_long_and_survives_its_librarys_removal() {
    let stand_in = StandIn::new(TWO);
    let mut gpu = start(&stand_in);
    until(&mut gpu, "both", means(50.0, 50.0));
    // 1: not initialised.
    stand_in.script("count error 1\n");
    until(&mut gpu, "nothing", |devices, _| devices.is_empty());
    let begin = Instant::now();
    while stand_in.starts() < 3 {
        assert!(begin.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(2));
    }
    std::fs::remove_file(stand_in.library()).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(!gpu.ended(), "what was there may come again");
    stand_in.script(TWO);
    stand_in.install();
    until(&mut gpu, "it is well again", means(50.0, 50.0));
}

#[test]
fn a_call_that_hangs_costs_readings_and_nobody_waits_for_it() {
    let stand_in = StandIn::new(TWO);
    let mut gpu = start(&stand_in);
    until(&mut gpu, "both", means(50.0, 50.0));
    let view = gpu.view();
    stand_in.script(&format!("1.utilization hang\n{TWO}"));
    // In the hang, or a round before it: what was read is fresh for 2.5 s, and then missing.
    let begin = Instant::now();
    until(&mut gpu, "missing", |devices, reading| {
        devices.is_empty() && reading == GpuReading::default()
    });
    assert!(
        begin.elapsed() > Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    let asked = Instant::now();
    gpu.latest();
    assert!(asked.elapsed() < Duration::from_millis(500));
    until(&mut gpu, "it is counted", |_, _| view.failed() > Some(0));
    for _ in 0..50 {
        gpu.latest();
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(view.failed(), Some(1), "one call, however long it takes");
    stand_in.script(TWO);
    until(&mut gpu, "the call came back", means(50.0, 50.0));
    stand_in.script(&format!("count hang\n{TWO}"));
    let begin = Instant::now();
    drop(gpu);
    assert!(begin.elapsed() < Duration::from_secs(1));
    // Lets the thread go before the library's folder does.
    stand_in.script(TWO);
}

#[test]
fn a_start_that_hangs_stops_nobody() {
    let stand_in = StandIn::new(&format!("init hang\n{TWO}"));
    let mut gpu = start(&stand_in);
    assert_eq!(gpu.latest(), GpuReading::default());
    stand_in.script(TWO);
    until(&mut gpu, "it has started", means(50.0, 50.0));
}

#[test]
fn only_visible_devices_count() {
    let stand_in = StandIn::new(TWO);
    for (visible, seen) in [("1", vec![1]), ("GPU-00", vec![0]), ("1,0", vec![0, 1])] {
        let mut gpu = start_with(&stand_in, Some(visible));
        until(&mut gpu, visible, |devices, _| indices(devices) == seen);
    }
    let hidden = start_with(&stand_in, Some("-1"));
    let begin = Instant::now();
    while !hidden.ended() {
        assert!(begin.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(hidden.view().failed(), None);
}

#[test]
fn in_mig_mode_there_is_no_utilisation_and_memory_is_that_of_the_visible_mig_devices() {
    let script = format!(
        "0.mig 1\n0.slices 2\n0.s0.uuid MIG-a\n0.s0.memory 10 100\n0.s1.uuid MIG-b\n0.s1.memory 90 100\n{}",
        TWO.replace("count 2", "count 1")
    );
    let stand_in = StandIn::new(&script);
    for (visible, memory) in [(None, 50.0), (Some("0"), 50.0), (Some("MIG-b"), 90.0)] {
        let mut gpu = start_with(&stand_in, visible);
        until(&mut gpu, "the MIG devices", |_, reading| {
            reading.memory == Some(memory) && reading.utilization.is_none()
        });
        assert_eq!(failed(&gpu), 0);
    }
    // Without access to a MIG device the whole GPU's memory would say nothing about us.
    stand_in.script(&script.replace("0.slices 2", "0.slices 0"));
    let mut gpu = start(&stand_in);
    until(&mut gpu, "power alone", |devices, _| {
        matches!(
            devices,
            [Device {
                memory: None,
                power_watts: Some(_),
                ..
            }]
        )
    });
}

#[test]
fn more_devices_than_the_page_has_room_for_are_cut_off() {
    let mut script = "count 20\n".to_owned();
    for index in 0..20 {
        script += &format!("{index}.utilization {index}\n");
    }
    let stand_in = StandIn::new(&script);
    let mut gpu = start(&stand_in);
    until(&mut gpu, "sixteen", |devices, reading| {
        devices.len() == MAX_DEVICES as usize && reading.utilization == Some(7.5)
    });
}
