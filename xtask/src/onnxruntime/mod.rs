//! `cargo xtask onnxruntime [--gpu [12|13] | --cuda [12|13]]`: the ONNX Runtime library, out of its
//! Python wheel, at `.plimsoll/onnxruntime/libonnxruntime.so`; its CUDA build; the libraries of CUDA
//! and cuDNN that this needs ([`gpu`]).

pub mod gpu;

use crate::step::{step, Outcome};
use crate::store::Store;
use crate::wheel::Wheel;
use crate::Result;

/// Names the folder in the store.
pub const NAME: &str = "onnxruntime";

/// The library's file in it.
pub const LIBRARY: &str = "libonnxruntime.so";

/// The library's version.
pub const VERSION: &str = "1.32.0";

/// A small model that comes with the library; the fixtures use it.
pub const IRIS: &str = "logreg_iris.onnx";

const X86_64: Wheel = Wheel {
    package: "onnxruntime",
    version: VERSION,
    platform: "manylinux_2_28_x86_64",
    sha256: "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d",
};

const AARCH64: Wheel = Wheel {
    package: "onnxruntime",
    version: VERSION,
    platform: "manylinux_2_28_aarch64",
    sha256: "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c",
};

const FILES: [(&str, &str); 4] = [
    ("onnxruntime/capi/libonnxruntime.so.1.32.0", LIBRARY),
    ("onnxruntime/LICENSE", "LICENSE"),
    ("onnxruntime/ThirdPartyNotices.txt", "ThirdPartyNotices.txt"),
    ("onnxruntime/datasets/logreg_iris.onnx", IRIS),
];

/// The chore.
pub fn run(arguments: &[String]) -> Result<()> {
    let store = Store::of_workspace();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => ensure(&store),
        ["--gpu"] => gpu::ensure(&store, gpu::DEFAULT),
        ["--gpu", major] => gpu::ensure(&store, gpu::of(major)?),
        ["--cuda"] => gpu::ensure_cuda(&store, gpu::DEFAULT),
        ["--cuda", major] => gpu::ensure_cuda(&store, gpu::of(major)?),
        other => Err(format!(
            "takes nothing, --gpu [12|13] or --cuda [12|13], found {}",
            other.join(" ")
        )),
    }
}

/// Fetches the library if it is not there.
pub fn ensure(store: &Store) -> Result<()> {
    step("ONNX Runtime 1.32.0", || fetch(store))
}

fn fetch(store: &Store) -> Result<Outcome> {
    let wheel = match std::env::consts::ARCH {
        "x86_64" => X86_64,
        "aarch64" => AARCH64,
        other => {
            return Err(format!(
                "no wheel is pinned for {other}, only x86_64 and aarch64"
            ))
        }
    };
    let files = FILES
        .map(|(inside, name)| format!("{inside} {name}"))
        .join("\n");
    store.ensure(NAME, &[&wheel.recipe(), &files], |folder| {
        wheel.unpack(folder, &FILES)
    })
}
