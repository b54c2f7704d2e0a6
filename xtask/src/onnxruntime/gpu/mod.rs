//! ONNX Runtime's CUDA build at `.plimsoll/onnxruntime-gpu/`, and the libraries of CUDA and cuDNN at
//! `.plimsoll/cuda/`: one set for CUDA 12 and one for CUDA 13.
//!
//! ONNX Runtime 1.26 is the last whose wheel is built with CUDA 12, and what is built with CUDA 12
//! runs under every driver from 525 on; CUDA 13 needs 580. docker/README.md says which drivers there
//! are on SageMaker, and so why 12 is the default.

mod cuda_12;
mod cuda_13;

use super::LIBRARY;
use crate::step::{step, Outcome};
use crate::store::Store;
use crate::wheel::Wheel;
use crate::Result;

/// Names the folder of the CUDA build in the store.
pub const NAME: &str = "onnxruntime-gpu";

/// Names the folder of the CUDA libraries in the store.
pub const CUDA: &str = "cuda";

/// The libraries beside ONNX Runtime's own, which it loads when a session asks for their provider.
const PROVIDERS: [&str; 3] = [
    "libonnxruntime_providers_shared.so",
    "libonnxruntime_providers_cuda.so",
    "libonnxruntime_providers_tensorrt.so",
];

/// What runs a model with one major version of CUDA.
pub struct Set {
    /// The major version, which names the set.
    pub major: &'static str,
    /// CUDA's version.
    pub cuda: &'static str,
    /// ONNX Runtime's CUDA build.
    pub onnxruntime: Wheel,
    /// The libraries that its providers need, without the driver's.
    pub libraries: &'static [Libraries],
}

/// Shared libraries out of one wheel.
pub struct Libraries {
    /// The wheel.
    pub wheel: Wheel,
    /// Their folder inside.
    folder: &'static str,
    /// Those that are taken: no static ones, no headers, no front ends to what is not used.
    pub files: &'static [&'static str],
    /// Where their licence stands inside.
    license: &'static str,
}

/// The set that runs under most drivers.
pub const DEFAULT: &Set = &cuda_12::SET;

/// The set of a major version.
pub fn of(major: &str) -> Result<&'static Set> {
    [&cuda_12::SET, &cuda_13::SET]
        .into_iter()
        .find(|set| set.major == major)
        .ok_or_else(|| format!("no libraries are pinned for CUDA {major}, only for 12 and 13"))
}

/// Whether wheels are pinned for this machine.
pub fn is_for_this_machine() -> bool {
    std::env::consts::ARCH == "x86_64"
}

/// Fetches ONNX Runtime's CUDA build if it is not there.
pub fn ensure(store: &Store, set: &Set) -> Result<()> {
    let wheel = &set.onnxruntime;
    let name = format!("ONNX Runtime {} for CUDA {}", wheel.version, set.major);
    step(&name, || {
        let inside = format!("onnxruntime/capi/libonnxruntime.so.{}", wheel.version);
        let mut files = vec![(inside, LIBRARY.to_owned())];
        files.extend(PROVIDERS.map(|name| (format!("onnxruntime/capi/{name}"), name.to_owned())));
        let papers = ["LICENSE", "ThirdPartyNotices.txt"];
        files.extend(papers.map(|name| (format!("onnxruntime/{name}"), name.to_owned())));
        fetch(store, NAME, &[(wheel, files)])
    })
}

/// Fetches the libraries of CUDA and cuDNN if they are not there: two gigabytes.
pub fn ensure_cuda(store: &Store, set: &Set) -> Result<()> {
    step(&format!("CUDA {} and cuDNN", set.cuda), || {
        let parts: Vec<_> = set.libraries.iter().map(Libraries::part).collect();
        fetch(store, CUDA, &parts)
    })
}

/// A wheel, and each path inside with the name to give it.
type Part<'w> = (&'w Wheel, Vec<(String, String)>);

fn fetch(store: &Store, name: &str, parts: &[Part<'_>]) -> Result<Outcome> {
    if !is_for_this_machine() {
        let here = std::env::consts::ARCH;
        return Err(format!("no wheel is pinned for {here}, only for x86_64"));
    }
    let recipe: Vec<String> = parts
        .iter()
        .map(|(wheel, files)| format!("{} {files:?}", wheel.recipe()))
        .collect();
    let recipe: Vec<&str> = recipe.iter().map(String::as_str).collect();
    store.ensure(name, &recipe, |folder| {
        parts.iter().try_for_each(|(wheel, files)| {
            let files: Vec<(&str, &str)> = files
                .iter()
                .map(|(inside, name)| (inside.as_str(), name.as_str()))
                .collect();
            wheel.unpack(folder, &files)
        })
    })
}

impl Libraries {
    fn part(&self) -> Part<'_> {
        let of_folder = |name: &&str| (format!("{}/{name}", self.folder), (*name).to_owned());
        let mut files: Vec<_> = self.files.iter().map(of_folder).collect();
        let license = format!("{}.txt", self.wheel.package);
        files.push((self.license.to_owned(), license));
        (&self.wheel, files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_is_not_pinned_is_refused_with_those_that_are() {
        assert_eq!(of("13").map(|set| set.major), Ok("13"));
        let error = of("11").map(|set| set.major).unwrap_err();
        assert_eq!(
            error,
            "no libraries are pinned for CUDA 11, only for 12 and 13"
        );
    }

    #[test]
    fn the_page_about_the_image_has_these_versions() {
        let page = crate::store::workspace().join("docker/README.md");
        let page = crate::store::read_text(&page).unwrap();
        for set in [&cuda_12::SET, &cuda_13::SET] {
            let cudnn = set.libraries[0].wheel.version;
            let cudnn: Vec<&str> = cudnn.splitn(3, '.').take(2).collect();
            let versions = format!("{}, {}", set.cuda, cudnn.join("."));
            for part in [set.onnxruntime.version, &versions] {
                assert!(page.contains(part), "docker/README.md lacks {part}");
            }
        }
    }

    #[test]
    fn no_two_wheels_give_a_file_of_one_name() {
        for set in [&cuda_12::SET, &cuda_13::SET] {
            let parts = set.libraries.iter().flat_map(|library| library.part().1);
            let mut names: Vec<String> = parts.map(|(_, name)| name).collect();
            let all = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), all, "CUDA {}", set.major);
        }
    }
}
