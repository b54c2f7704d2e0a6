//! What the GPU image promises beside, as far as a machine without a GPU can tell.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::super::Kind;
use super::contents::{extracted, linked, listed};
use super::limits::{resident_kb, REQUESTS};
use super::refusals::refused;
use super::serving::request;
use super::{expect, Check, Subject};
use crate::command::quietly;
use crate::store::{create_dir, workspace, write};
use crate::Result;

pub const ALL: &[Check] = &[
    ("no driver inside", no_driver),
    ("the driver that the toolkit brings is found", injected),
    ("without a GPU it serves on the CPU and says so", loud),
    ("PLIMSOLL_DEVICE=cuda without a GPU", refuses),
    ("CUDA is loaded, up to the driver's first answer", hollow),
    ("resident memory without a GPU", memory),
];

/// Where the libraries of CUDA and cuDNN lie.
pub const FOLDER: &str = "usr/lib/x86_64-linux-gnu/";

/// The driver's own library, which the host brings.
const DRIVER: &str = "libcuda.so.1";

/// Whether a file of the image may be linked with a library that is not in it: the driver's, and
/// TensorRT's, which are for the user to add.
pub fn may_miss(file: &str, library: &str) -> bool {
    let tensorrt = ["libnvinfer.so.10", "libnvonnxparser.so.10"];
    library == DRIVER || (is_tensorrt(file) && tensorrt.contains(&library))
}

fn is_tensorrt(file: &str) -> bool {
    file.ends_with("libonnxruntime_providers_tensorrt.so")
}

/// Whether a symbol is of such a library, or the one of ONNX Runtime that it loads before.
pub fn may_be_undefined(file: &str, symbol: &str) -> bool {
    let is_drivers = |name: &str| name.starts_with(|first: char| first.is_ascii_uppercase());
    symbol.strip_prefix("cu").is_some_and(is_drivers)
        || is_tensorrt(file)
        || symbol == "Provider_GetHost"
}

fn no_driver(subject: &Subject<'_>) -> Result<String> {
    const DRIVERS: [&str; 5] = [
        "libcuda.",
        "libnvidia-",
        "nvidia-smi",
        "nvidia.ko",
        "compat",
    ];
    let listed = listed(subject)?;
    let is_drivers = |file: &&String| {
        let name = file.rsplit('/').next().unwrap_or_default();
        DRIVERS.iter().any(|part| name.contains(part)) || file.contains("/compat/")
    };
    let found: Vec<&String> = listed.iter().filter(is_drivers).collect();
    expect(found.is_empty(), || format!("found {found:?}"))?;
    Ok("none".to_owned())
}

/// The toolkit mounts the host's libraries by their full names and runs the host's ldconfig in the
/// container, which makes the links and the loader's cache. The same is done here with a library
/// that has nothing but the driver's name.
fn injected(subject: &Subject<'_>) -> Result<String> {
    // One of those that are linked with the driver.
    let user = format!("{FOLDER}libcudnn_engines_runtime_compiled.so.9");
    // For an image of Debian's layout, and as on a host of another layout.
    let places = ["usr/lib/x86_64-linux-gnu", "usr/lib64"];
    for place in places {
        let root = extracted(subject, &["etc"])?;
        create_dir(&root.join(place))?;
        driver(&root.join(place).join("libcuda.so.999.0"))?;
        let mut ldconfig = Command::new("/sbin/ldconfig");
        ldconfig.args(["-f", "/etc/ld.so.conf", "-C", "/etc/ld.so.cache", "-r"]);
        quietly(ldconfig.arg(&root))?;
        let link = format!("{place}/{DRIVER}");
        let [cache, driver] = ["etc/ld.so.cache", &link].map(|file| mount(&root.join(file), file));
        let list = linked(subject, &user, &["--volume", &cache, "--volume", &driver])?;
        expect(list.contains(&format!("{DRIVER} => /{link}")), || {
            format!("laid into /{place} it is not found:\n{list}")
        })?;
    }
    Ok(format!("in /{}", places.join(" and /")))
}

/// A library that has the driver's name and the one function that ONNX Runtime is linked with.
fn driver(library: &Path) -> Result<()> {
    let source = library.with_extension("c");
    write(
        &source,
        b"int cuTensorMapEncodeTiled(void) { return 100; }\n",
    )?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-nostdlib", "-o"])
        .arg(library);
    let name = format!("-Wl,-soname,{DRIVER}");
    quietly(cc.arg(&source).arg(name)).map(drop)
}

fn mount(from: &Path, to: &str) -> String {
    format!("{}:/{to}:ro", from.display())
}

/// NVML's stand-in says that there is a GPU, and a driver without a function that CUDA asks for is
/// there: all of CUDA's libraries are loaded, ONNX Runtime's provider starts, and gets no device.
fn hollow(subject: &Subject<'_>) -> Result<String> {
    const NVML: &str = "libnvidia-ml.so.1";
    let Kind::Gpu(set) = subject.kind else {
        return Err("not of this image".to_owned());
    };
    let folder = subject.folder("hollow")?;
    driver(&folder.join(DRIVER))?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-o"]).arg(folder.join(NVML));
    let source = workspace().join("tests/support/nvml/stand_in.c");
    quietly(cc.arg(source).arg("-ldl"))?;
    let script = format!("{NVML}.script");
    let says = format!(
        "count 1\ndriver 999.0\ncuda {}000\n0.name NVIDIA Hollow\n",
        set.major
    );
    write(&folder.join(&script), says.as_bytes())?;
    let volumes =
        [DRIVER, NVML, &script].map(|file| mount(&folder.join(file), &format!("{FOLDER}{file}")));
    let model = mount(&subject.model("digits"), "opt/ml/model");
    let mut options = vec!["--env", "PLIMSOLL_DEVICE=cuda", "--volume", &model];
    for volume in &volumes {
        options.extend(["--volume", volume]);
    }
    let parts = ["cuda:0 (NVIDIA Hollow", "CUDA failure"];
    refused(subject, &options, &["serve"], 1, &parts)
}

fn loud(subject: &Subject<'_>) -> Result<String> {
    let container = subject.serve(&subject.model("digits"), &[])?;
    container.invoke(&request()?)?;
    let log = container.log()?;
    let line = log
        .lines()
        .find_map(|line| Some(line.split_once(" WARN ")?.1.trim()));
    let line = line.ok_or_else(|| format!("nothing is loud in:\n{log}"))?;
    expect(line.contains("driver"), || line.to_owned())?;
    Ok(line.to_owned())
}

fn refuses(subject: &Subject<'_>) -> Result<String> {
    let volume = format!("{}:/opt/ml/model:ro", subject.model("digits").display());
    let options = ["--env", "PLIMSOLL_DEVICE=cuda", "--volume", &volume];
    refused(
        subject,
        &options,
        &["serve"],
        1,
        &["PLIMSOLL_DEVICE=cuda", "driver"],
    )
}

fn memory(subject: &Subject<'_>) -> Result<String> {
    const MOST_MB: f64 = 200.0;
    let container = subject.serve(&subject.model("digits"), &[])?;
    let body = request()?;
    for _ in 0..REQUESTS {
        container.invoke(&body)?;
    }
    std::thread::sleep(Duration::from_secs(1));
    let resident = resident_kb(container.process()?)? / 1e3;
    let seen = format!("{resident:.1} MB");
    expect(resident <= MOST_MB, || seen.clone())?;
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_drivers_and_tensorrts_may_be_missing() {
        let (cuda, tensorrt) = (
            "usr/lib/plimsoll/libonnxruntime_providers_cuda.so",
            "usr/lib/plimsoll/libonnxruntime_providers_tensorrt.so",
        );
        assert!(may_miss(cuda, "libcuda.so.1"));
        assert!(!may_miss(cuda, "libcudart.so.12"));
        assert!(!may_miss(cuda, "libnvinfer.so.10"));
        assert!(may_miss(tensorrt, "libnvinfer.so.10"));
        assert!(may_be_undefined(cuda, "cuModuleLoadData"));
        assert!(!may_be_undefined(cuda, "cudaMalloc"));
        assert!(!may_be_undefined(cuda, "cublasCreate_v2"));
    }
}
