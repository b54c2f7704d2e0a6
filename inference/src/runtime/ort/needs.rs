//! What an execution provider's library needs: the CUDA libraries, cuDNN, TensorRT.
//!
//! They are looked for beside ONNX Runtime's library first, so that an image needs no
//! `LD_LIBRARY_PATH`, and then where the system's loader looks. What is loaded here stays loaded: the
//! provider's library finds it by its name.

use std::ffi::c_int;
use std::path::Path;

use libloading::Library;

use super::elf;
use crate::device::{Found, Provider, Version};

/// Newer libraries open cuDNN by themselves when a session is made, and go on without where it is
/// missing: then a convolution fails or moves to the CPU, and nobody is told.
const CUDNN: &str = "libcudnn.so.9";
/// The driver's own, which older libraries do not name. NVML can be there without it.
const DRIVER: &str = "libcuda.so.1";

fn file_name(provider: Provider) -> &'static str {
    match provider {
        Provider::Cuda => "libonnxruntime_providers_cuda.so",
        Provider::TensorRt => "libonnxruntime_providers_tensorrt.so",
    }
}

/// Loads all that a provider needs, from beside `library` or from the system.
///
/// # Errors
/// The first thing that is missing, as one phrase.
pub(super) fn look(library: &Path, provider: Provider) -> Result<Found, String> {
    // A link, as in an image that has the library under its version's name.
    let real = library.canonicalize();
    let folder = real.as_deref().unwrap_or(library).parent();
    let folder = folder.unwrap_or(Path::new("."));
    let mut found = Found {
        library: file_name(provider).to_owned(),
        ..Found::default()
    };
    // What TensorRT does not take is CUDA's.
    let providers: &[Provider] = match provider {
        Provider::Cuda => &[Provider::Cuda],
        Provider::TensorRt => &[Provider::Cuda, Provider::TensorRt],
    };
    for &provider in providers {
        let name = file_name(provider);
        let file = folder.join(name);
        let needed = elf::needed(&file).map_err(|error| {
            format!(
                "{}: {error}; expected it beside ONNX Runtime's library, from the same package",
                file.display()
            )
        })?;
        for needed in needed {
            let loaded = load(folder, &needed, name)?;
            if needed.starts_with("libcudart.") {
                found.cuda = cuda_version(&loaded);
            }
            keep(loaded);
        }
        keep(load(folder, DRIVER, name)?);
        let cudnn = load(folder, CUDNN, name)?;
        found.cudnn = cudnn_version(&cudnn);
        keep(cudnn);
    }
    Ok(found)
}

/// A library, from the folder if it is there.
#[expect(
    unsafe_code,
    reason = "whether a library can be loaded is known only by loading it"
)]
fn load(folder: &Path, name: &str, of: &str) -> Result<Library, String> {
    let beside = folder.join(name);
    let place = match beside.exists() {
        true => beside.as_path(),
        false => Path::new(name),
    };
    // SAFETY: these are the libraries that ONNX Runtime's provider loads a moment later in this
    // process, by the same names; their initialisers run once, then or now.
    unsafe { Library::new(place) }.map_err(|error| {
        let reason = error.to_string();
        format!("{name}, which {of} needs, cannot be loaded: {reason}; expected it beside ONNX Runtime's library or in the system's library path")
    })
}

/// For as long as the process lives: a session may use it until then.
fn keep(library: Library) {
    std::mem::forget(library);
}

#[expect(
    unsafe_code,
    reason = "the version is behind a C function of the library"
)]
fn cuda_version(library: &Library) -> Option<Version> {
    type Get = unsafe extern "C" fn(*mut c_int) -> c_int;
    let mut number = 0;
    // SAFETY: the function's signature is fixed by CUDA's runtime API; it writes one int, and needs
    // no device.
    let code = unsafe { library.get::<Get>(b"cudaRuntimeGetVersion").ok()?(&mut number) };
    let number = u32::try_from(number).ok().filter(|_| code == 0)?;
    Some(Version::of_cuda(number))
}

#[expect(
    unsafe_code,
    reason = "the version is behind a C function of the library"
)]
fn cudnn_version(library: &Library) -> Option<String> {
    type Get = unsafe extern "C" fn() -> usize;
    // SAFETY: the function's signature is fixed by cuDNN's API; it returns a constant.
    let number = unsafe { library.get::<Get>(b"cudnnGetVersion").ok()?() };
    // 9.10.2 is 91002.
    Some(format!(
        "{}.{}.{}",
        number / 10_000,
        number % 10_000 / 100,
        number % 100
    ))
}
