//! Tests of the GPU source against a stand-in for the driver's library, compiled here.

use super::*;
use std::process::Command;
use tempfile::TempDir;

/// Two devices: 30 % and 70 % busy, memory 1/4 and 3/4 in use. Macros switch faults on.
const STAND_IN: &str = r#"
#include <string.h>
#include <unistd.h>
typedef int ret;
typedef struct { unsigned gpu, memory; } util;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } mem;
static int devices[2];
ret nvmlInit_v2(void) { return INIT; }
ret nvmlShutdown(void) { return 0; }
ret nvmlDeviceGetCount_v2(unsigned *n) { *n = 2; return 0; }
ret nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d) { *d = &devices[i]; return 0; }
const char *nvmlErrorString(ret r) { return "fault"; }
ret nvmlDeviceGetUtilizationRates(void *d, util *u) {
    if (HANG) sleep(600);
    int second = d == (void *)&devices[1];
    if (NO_SENSOR == 2 || (NO_SENSOR && second)) return 3;
    u->gpu = second ? 70 : 30; u->memory = 1; return 0;
}
ret nvmlDeviceGetMemoryInfo_v2(void *d, mem *m) {
    int second = d == (void *)&devices[1];
    m->total = 4000; m->reserved = 0; m->used = second ? 3000 : 1000;
    m->free = m->total - m->used; return 0;
}
"#;

/// Compiles the stand-in; none, said aloud, where there is no C compiler.
fn stand_in(folder: &TempDir, switches: [&str; 3]) -> Option<PathBuf> {
    let source = folder.path().join("nvml.c");
    let library = folder.path().join("libnvidia-ml.so.1");
    std::fs::write(&source, STAND_IN).unwrap();
    let mut command = Command::new("cc");
    command
        .args(["-shared", "-fPIC", "-w", "-o"])
        .arg(&library)
        .arg(&source)
        .args(switches);
    match command.status() {
        Ok(status) => {
            assert!(status.success(), "the stand-in does not compile");
            Some(library)
        }
        Err(error) => {
            eprintln!("SKIPPED: no C compiler for the NVML stand-in ({error})");
            None
        }
    }
}

/// Waits for the first reading or the thread's end.
fn first(gpu: &Gpu) -> GpuReading {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(5) {
        let reading = gpu.latest();
        if reading != GpuReading::default() || gpu.ended() {
            return reading;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    gpu.latest()
}

fn reading(switches: [&str; 3]) -> Option<GpuReading> {
    let folder = TempDir::new().unwrap();
    let library = stand_in(&folder, switches)?;
    Some(first(&Gpu::start(Some(library))))
}

#[test]
fn utilisation_and_memory_are_the_mean_over_the_devices() {
    let Some(reading) = reading(["-DINIT=0", "-DNO_SENSOR=0", "-DHANG=0"]) else {
        return;
    };
    assert_eq!(
        reading,
        GpuReading {
            utilization: Some(50.0),
            memory: Some(50.0)
        }
    );
}

#[test]
fn a_device_without_a_sensor_is_left_out() {
    let Some(one) = reading(["-DINIT=0", "-DNO_SENSOR=1", "-DHANG=0"]) else {
        return;
    };
    assert_eq!(
        one,
        GpuReading {
            utilization: Some(30.0),
            memory: Some(50.0)
        }
    );
    let Some(none) = reading(["-DINIT=0", "-DNO_SENSOR=2", "-DHANG=0"]) else {
        return;
    };
    assert_eq!(
        none,
        GpuReading {
            utilization: None,
            memory: Some(50.0)
        }
    );
}

#[test]
fn a_driver_that_does_not_start_gives_no_readings() {
    let Some(reading) = reading(["-DINIT=9", "-DNO_SENSOR=0", "-DHANG=0"]) else {
        return;
    };
    assert_eq!(reading, GpuReading::default());
}

#[test]
fn a_missing_library_gives_no_readings() {
    let gpu = Gpu::start(Some(PathBuf::from("/nowhere/libnvidia-ml.so.1")));
    assert_eq!(first(&gpu), GpuReading::default());
    assert!(gpu.ended());
}

#[test]
fn a_call_that_hangs_stops_nobody() {
    let folder = TempDir::new().unwrap();
    let Some(library) = stand_in(&folder, ["-DINIT=0", "-DNO_SENSOR=0", "-DHANG=1"]) else {
        return;
    };
    let begin = Instant::now();
    let gpu = Gpu::start(Some(library));
    assert_eq!(gpu.latest(), GpuReading::default());
    drop(gpu);
    assert!(begin.elapsed() < Duration::from_secs(1));
}
