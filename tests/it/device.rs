//! What runs the model, on a machine without a GPU: the real binary with ONNX Runtime's real GPU
//! library, the driver's library as the tests script it, and stand-ins for CUDA's.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::nvml::StandIn;
use crate::support::server::Start;
use crate::support::{prepared, Server};

const ONE: &str = "count 1
driver 580.82.07
cuda 13000
0.name NVIDIA Stand-in
0.uuid GPU-00
0.memory 1000000000 24000000000
";

/// What the library needs, whichever CUDA it is built for.
const CUDA: [&str; 12] = [
    "libcublasLt.so.12",
    "libcublasLt.so.13",
    "libcublas.so.12",
    "libcublas.so.13",
    "libcudart.so.12",
    "libcudart.so.13",
    "libcufft.so.11",
    "libcufft.so.12",
    "libcurand.so.10",
    "libcuda.so.1",
    "libcudnn.so.9",
    "libnvrtc.so.13",
];

fn gpu_library() -> PathBuf {
    prepared("onnxruntime-gpu/libonnxruntime.so")
}

/// With the library that is built for GPUs, and a machine without a driver.
fn with_gpu_library(model: &str) -> Start {
    Server::on(model)
        .env("PLIMSOLL_ONNXRUNTIME_LIBRARY", text(&gpu_library()))
        .env("PLIMSOLL_NVML_LIBRARY", "/nowhere/libnvidia-ml.so.1")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn beside(start: Start, driver: &StandIn) -> Start {
    let library = driver.library();
    start.env("PLIMSOLL_NVML_LIBRARY", text(&library))
}

/// The lines of a level that speak of the device.
fn lines(log: &str, level: &str) -> Vec<String> {
    log.lines()
        .filter(|line| line.contains(level) && line.contains(" device   "))
        .map(str::to_owned)
        .collect()
}

/// The one line of an error.
fn sentence(log: &str) -> String {
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 1, "{log}");
    errors[0].to_owned()
}

/// Does not start, and says in one sentence what all of these are in.
fn refuses(start: Start, device: &str, words: &[&str]) {
    let (code, log) = start.env("PLIMSOLL_DEVICE", device).refused();
    assert_eq!(code, Some(1), "{log}");
    let said = sentence(&log);
    for word in words {
        assert!(said.contains(word), "{word} is not in: {said}");
    }
}

/// Serves on the CPU, and says in one loud line why not on a GPU.
fn serves_on_the_cpu(start: Start, words: &[&str]) {
    let server = start.ready();
    assert_eq!(server.invoke("text/csv", "1,2,3,4").text(), "10");
    let log = server.log();
    let loud = lines(&log, "WARN");
    assert_eq!(loud.len(), 1, "{log}");
    for word in words {
        assert!(loud[0].contains(word), "{word} is not in: {}", loud[0]);
    }
    assert!(log.contains("with CPUExecutionProvider: 1 node ("), "{log}");
}

/// Libraries by the names of CUDA's and cuDNN's that hold nothing, but for their versions, beside
/// links to ONNX Runtime's own.
struct Cuda(tempfile::TempDir);

impl Cuda {
    fn new(runtime: u32, without: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for library in CUDA.iter().filter(|library| **library != without) {
            let source = folder.path().join("source.c");
            let code = format!(
                "int cudaRuntimeGetVersion(int *v) {{ *v = {runtime}; return 0; }}\n\
                 unsigned long cudnnGetVersion(void) {{ return 91400; }}\n"
            );
            std::fs::write(&source, code).expect("written");
            let made = Command::new("cc")
                .args(["-shared", "-fPIC"])
                .arg(format!("-Wl,-soname={library}"))
                .arg("-o")
                .arg(folder.path().join(library))
                .arg(&source)
                .status();
            assert!(made.expect("the C compiler cc").success(), "{library}");
        }
        for library in [
            "libonnxruntime.so",
            "libonnxruntime_providers_shared.so",
            "libonnxruntime_providers_cuda.so",
            "libonnxruntime_providers_tensorrt.so",
        ] {
            let real = prepared(&format!("onnxruntime-gpu/{library}"));
            std::fs::hard_link(&real, folder.path().join(library))
                .or_else(|_| std::fs::copy(&real, folder.path().join(library)).map(drop))
                .expect("a link");
        }
        Self(folder)
    }

    fn serve(&self, driver: &StandIn) -> Start {
        let library = self.0.path().join("libonnxruntime.so");
        beside(Server::on("sum4"), driver).env("PLIMSOLL_ONNXRUNTIME_LIBRARY", text(&library))
    }
}

#[test]
fn auto_without_a_driver_serves_on_the_cpu_and_says_so_loudly() {
    let missing = [
        "the CPU, and no GPU",
        "there is no NVIDIA driver",
        "libnvidia-ml.so.1",
    ];
    serves_on_the_cpu(with_gpu_library("sum4"), &missing);
}

#[test]
fn a_library_for_the_cpu_on_a_machine_without_a_gpu_is_nothing_to_speak_of() {
    for device in ["auto", "cpu"] {
        let server = Server::on("sum4")
            .env("PLIMSOLL_DEVICE", device)
            .env("PLIMSOLL_NVML_LIBRARY", "/nowhere/libnvidia-ml.so.1")
            .ready();
        assert_eq!(server.invoke("text/csv", "1,2,3,4").text(), "10");
        assert!(!server.log().contains(" device "), "{}", server.log());
        let page = server.get("/metrics").text();
        for line in [
            "plimsoll_model_nodes{provider=\"CPUExecutionProvider\"} 1",
            "plimsoll_model_nodes{provider=\"CUDAExecutionProvider\"} 0",
        ] {
            assert!(page.lines().any(|own| own == line), "{line}: {page}");
        }
    }
}

#[test]
fn a_library_for_the_cpu_beside_a_gpu_is_said_loudly_or_refused() {
    let driver = StandIn::new(ONE);
    let words = ["is built without CUDA", "onnxruntime-gpu"];
    serves_on_the_cpu(beside(Server::on("sum4"), &driver), &words);
    refuses(beside(Server::on("sum4"), &driver), "cuda", &words);
    let words = ["PLIMSOLL_DEVICE=tensorrt:", "is built without TensorRT"];
    refuses(beside(Server::on("sum4"), &driver), "tensorrt", &words);
}

#[test]
fn cuda_without_a_gpu_refuses_to_start_in_one_sentence() {
    let start = || with_gpu_library("sum4");
    refuses(
        start(),
        "cuda",
        &[
            "PLIMSOLL_DEVICE=cuda: there is no NVIDIA driver",
            "--gpus all",
        ],
    );
    refuses(start(), "tensorrt", &["there is no NVIDIA driver"]);
    let driver = StandIn::new("count 0\n");
    refuses(
        beside(start(), &driver),
        "cuda",
        &["the NVIDIA driver knows of no GPU"],
    );
    let driver = StandIn::new(&format!("init 18\n{ONE}"));
    refuses(
        beside(start(), &driver),
        "cuda:0",
        &["driver/library version mismatch"],
    );
    let driver = StandIn::new(ONE);
    let hidden = beside(start(), &driver).env("CUDA_VISIBLE_DEVICES", "-1");
    refuses(hidden, "cuda", &["CUDA_VISIBLE_DEVICES=-1 leaves no GPU"]);
}

#[test]
fn a_number_that_no_gpu_has_is_refused_with_those_that_there_are() {
    let driver = StandIn::new(ONE);
    let start = beside(with_gpu_library("sum4"), &driver);
    let words = [
        "PLIMSOLL_DEVICE=cuda:9: there is no GPU 9; expected 0",
        "NVIDIA Stand-in",
    ];
    refuses(start, "cuda:9", &words);
}

#[test]
fn the_first_library_that_is_missing_is_named() {
    let driver = StandIn::new(ONE);
    let start = || beside(with_gpu_library("sum4"), &driver);
    let words = [
        "libcublasLt.so.",
        ", which libonnxruntime_providers_cuda.so needs",
    ];
    refuses(start(), "cuda", &words);
    serves_on_the_cpu(start(), &words);
    // ONNX Runtime itself may go on without these and say nothing.
    for library in ["libcudnn.so.9", "libcuda.so.1"] {
        let cuda = Cuda::new(13_000, library);
        refuses(cuda.serve(&driver), "cuda", &[library]);
    }
    let cuda = Cuda::new(13_000, "");
    refuses(cuda.serve(&driver), "tensorrt", &["libnvinfer.so."]);
}

#[test]
fn a_driver_too_old_for_the_cuda_libraries_is_named_with_both_versions() {
    let driver = StandIn::new(&ONE.replace("580.82.07", "535.1").replace("13000", "12020"));
    let cuda = Cuda::new(13_000, "");
    let words = [
        "the driver 535.1 knows CUDA 12.2",
        "the CUDA runtime is 13.0",
    ];
    refuses(cuda.serve(&driver), "cuda", &words);
    serves_on_the_cpu(cuda.serve(&driver), &words);
}

#[test]
fn what_onnx_runtime_itself_refuses_is_no_silent_fallback() {
    // All is there by name, and none of it is CUDA.
    let driver = StandIn::new(ONE);
    let cuda = Cuda::new(13_000, "");
    let words = ["cannot be loaded on cuda:0 (NVIDIA Stand-in, 23000 of 24000 MB free)"];
    refuses(cuda.serve(&driver), "cuda", &words);
    serves_on_the_cpu(cuda.serve(&driver), &words);
}

#[test]
fn a_model_that_does_not_fit_the_free_memory_is_refused_with_the_numbers() {
    let full = ONE.replace("1000000000 24000000000", "23999999900 24000000000");
    let driver = StandIn::new(&full);
    let cuda = Cuda::new(13_000, "");
    let words = [
        "does not fit cuda:0 (NVIDIA Stand-in, 0 of 24000 MB free)",
        "may take 0 MB",
    ];
    let start = |cuda: &Cuda| {
        let library = cuda.0.path().join("libonnxruntime.so");
        beside(Server::on("iris"), &driver).env("PLIMSOLL_ONNXRUNTIME_LIBRARY", text(&library))
    };
    refuses(start(&cuda), "cuda", &words);
}

#[test]
fn a_driver_that_hangs_does_not_hold_up_the_start_for_ever() {
    let driver = StandIn::new(&format!("count hang\n{ONE}"));
    let words = ["has not answered within 10 s"];
    serves_on_the_cpu(beside(with_gpu_library("sum4"), &driver), &words);
    driver.script(ONE);
}

#[test]
fn a_device_that_is_none_is_a_wrong_setting() {
    let (code, log) = Server::on("sum4").env("PLIMSOLL_DEVICE", "gpu").refused();
    assert_eq!(code, Some(64), "{log}");
    assert!(
        log.contains("PLIMSOLL_DEVICE=gpu: expected auto, cpu, cuda"),
        "{log}"
    );
}
