//! `cargo xtask sbom --debian FILE --output FILE [--gpu 12|13]`: the image's bill of materials,
//! CycloneDX 1.6.
//!
//! The build of the image runs it, because only there everything is at hand: the crates that are
//! linked into the binary, as cargo resolves them, with the checksums of `Cargo.lock`; the ONNX
//! Runtime library that lies in the store; for a GPU image the wheels of CUDA and cuDNN; and the
//! Debian packages, of which `docker/system.sh` wrote a line each. It says the same for the same
//! sources: no time, no random number.

mod crates;

use std::fs;
use std::path::Path;

use serde_json::{json, Value};

use crate::command::{cargo, quietly};
use crate::onnxruntime::{self, gpu};
use crate::store::{cannot, read_text, sha256, workspace, write, Store};
use crate::Result;
use crates::{Crate, Tree};

/// The chore.
pub fn run(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (debian, output, set) = match words.as_slice() {
        ["--debian", debian, "--output", output] => (debian, output, None),
        ["--debian", debian, "--output", output, "--gpu", major] => {
            (debian, output, Some(gpu::of(major)?))
        }
        other => {
            return Err(format!(
                "takes --debian FILE --output FILE [--gpu 12|13], found {}",
                other.join(" ")
            ))
        }
    };
    let mut tree = cargo();
    tree.args(["tree", "--locked", "--package", "plimsoll"]);
    tree.args(["--edges", "normal,no-proc-macro", "--prefix", "depth"]);
    let tree = Tree::read(&quietly(tree.args(["--format", "{p}|{l}"]))?)?;
    let lock = read_text(&workspace().join("Cargo.lock"))?;
    let mut beside = libraries(&Store::of_workspace(), set)?;
    beside.extend(packages(&read_text(Path::new(debian))?)?);
    let text = serde_json::to_string_pretty(&bill(&tree, &lock, beside))
        .map_err(|error| format!("the bill cannot be written: {error}"))?;
    write(Path::new(output), text.as_bytes())
}

/// `beside` are the parts that are no crates.
fn bill(tree: &Tree, lock: &str, beside: Vec<Value>) -> Value {
    let names = |components: &[Value]| -> Vec<Value> {
        components
            .iter()
            .map(|part| part["bom-ref"].clone())
            .collect()
    };
    let mut components: Vec<Value> = tree
        .crates
        .iter()
        .map(|(name, part)| component(name, part, crates::checksum(lock, part)))
        .collect();
    let mut root: Vec<Value> = tree.root.iter().map(|name| json!(name)).collect();
    root.extend(names(&beside));
    let mut dependencies = vec![json!({"ref": "plimsoll", "dependsOn": root})];
    for (name, part) in &tree.crates {
        dependencies.push(json!({"ref": name, "dependsOn": part.needs}));
    }
    components.extend(beside);
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "build"}],
            "component": {
                "type": "application",
                "bom-ref": "plimsoll",
                "name": "plimsoll",
                "version": env!("CARGO_PKG_VERSION"),
                "licenses": [{"expression": env!("CARGO_PKG_LICENSE")}],
            },
        },
        "components": components,
        "dependencies": dependencies,
    })
}

fn component(name: &str, part: &Crate, checksum: Option<&str>) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": name,
        "name": part.name,
        "version": part.version,
        "purl": name,
    });
    if let Some(license) = part.license() {
        component["licenses"] = json!([{"expression": license}]);
    }
    if let Some(checksum) = checksum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}

/// ONNX Runtime as it lies in the store, and what its CUDA build needs.
fn libraries(store: &Store, set: Option<&gpu::Set>) -> Result<Vec<Value>> {
    let Some(set) = set else {
        let folder = store.path(onnxruntime::NAME);
        let library = runtime(&folder, "onnxruntime", onnxruntime::VERSION)?;
        return Ok(vec![library]);
    };
    let own = &set.onnxruntime;
    let mut libraries = vec![runtime(&store.path(gpu::NAME), own.package, own.version)?];
    libraries.extend(cuda(set));
    Ok(libraries)
}

fn cuda(set: &gpu::Set) -> Vec<Value> {
    let component = |part: &gpu::Libraries| {
        let wheel = &part.wheel;
        let purl = format!("pkg:pypi/{}@{}", wheel.package, wheel.version);
        json!({
            "type": "library",
            "bom-ref": purl,
            "name": wheel.package,
            "version": wheel.version,
            "purl": purl,
            "licenses": [{"expression": "LicenseRef-NVIDIA-Proprietary"}],
            "hashes": [{"alg": "SHA-256", "content": wheel.sha256}],
            "description": format!("{} out of the wheel, whose hash this is; its licence stands in /usr/share/doc/cuda", part.files.join(", ")),
        })
    };
    set.libraries.iter().map(component).collect()
}

fn runtime(folder: &Path, package: &str, version: &str) -> Result<Value> {
    let file = folder.join(onnxruntime::LIBRARY);
    let bytes = fs::read(&file).map_err(|error| cannot("read", &file, &error))?;
    let purl = format!("pkg:pypi/{package}@{version}");
    Ok(json!({
        "type": "library",
        "bom-ref": purl,
        "name": package,
        "version": version,
        "purl": purl,
        "licenses": [{"expression": "MIT"}],
        "hashes": [{"alg": "SHA-256", "content": sha256(&bytes)}],
        "description": "libonnxruntime.so out of the wheel; what is linked into it stands in ThirdPartyNotices.txt beside this file's folder",
    }))
}

/// The Debian packages, from lines of name, version, architecture and source package.
fn packages(list: &str) -> Result<Vec<Value>> {
    list.lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [name, version, architecture, source] = fields.as_slice() else {
                return Err(format!(
                    "{line}: expected a package's name, version, architecture and source"
                ));
            };
            let escaped = |text: &str| text.replace('+', "%2B").replace(':', "%3A");
            let purl = format!(
                "pkg:deb/debian/{}@{}?arch={architecture}&distro=debian-12",
                escaped(name),
                escaped(version)
            );
            Ok(json!({
                "type": "library",
                "bom-ref": purl,
                "name": name,
                "version": version,
                "purl": purl,
                "properties": [{"name": "debian:source", "value": source}],
            }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bill_names_each_part_once_and_what_it_needs() {
        let tree = Tree::read(
            "0plimsoll v0.1.0 (/src/cli)|Apache-2.0\n1inference v0.1.0 (/src/inference)|Apache-2.0\n\
             2tokio v1.2.3|MIT\n3bytes v1.0.0|MIT / Apache-2.0\n1bytes v1.0.0|MIT / Apache-2.0 (*)\n",
        )
        .unwrap();
        let lock = "[[package]]\nname = \"tokio\"\nversion = \"1.2.3\"\n\
                    source = \"registry\"\nchecksum = \"abc\"\n";
        let mut beside = vec![json!({"bom-ref": "ort"})];
        beside.extend(packages("libc6\t2.36-9+deb12u14\tamd64\tglibc\n").unwrap());
        let bill = bill(&tree, lock, beside);
        let libc = "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12";
        let (bytes, tokio) = ("pkg:cargo/bytes@1.0.0", "pkg:cargo/tokio@1.2.3");
        let refs: Vec<&Value> = bill["components"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| &part["bom-ref"])
            .collect();
        assert_eq!(refs, [bytes, tokio, "ort", libc]);
        assert_eq!(
            bill["components"][0]["licenses"][0]["expression"],
            "MIT OR Apache-2.0"
        );
        assert_eq!(bill["components"][1]["hashes"][0]["content"], "abc");
        // The workspace's own crates are the application itself.
        assert_eq!(
            bill["dependencies"][0],
            json!({"ref": "plimsoll", "dependsOn": [bytes, tokio, "ort", libc]})
        );
        assert_eq!(
            bill["dependencies"][2],
            json!({"ref": tokio, "dependsOn": [bytes]})
        );
    }

    #[test]
    fn the_gpu_images_libraries_are_named_with_the_hash_of_their_wheel() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join(onnxruntime::LIBRARY), b"test").unwrap();
        let set = gpu::DEFAULT;
        let own = runtime(folder.path(), set.onnxruntime.package, "1").unwrap();
        assert_eq!(own["purl"], "pkg:pypi/onnxruntime-gpu@1");
        assert_eq!(own["hashes"][0]["content"], sha256(b"test"));
        let cuda = cuda(set);
        let names: Vec<&Value> = cuda.iter().map(|part| &part["name"]).collect();
        assert!(names.contains(&&json!("nvidia-cudnn-cu12")), "{names:?}");
        assert_eq!(
            cuda[0]["hashes"][0]["content"],
            set.libraries[0].wheel.sha256
        );
    }

    #[test]
    fn a_line_that_is_no_package_is_named() {
        assert!(packages("libc6 2.36")
            .unwrap_err()
            .starts_with("libc6 2.36: expected"));
    }
}
