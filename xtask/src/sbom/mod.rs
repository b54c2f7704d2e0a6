//! `cargo xtask sbom --debian FILE --output FILE`: the image's bill of materials, CycloneDX 1.6.
//!
//! The build of the image runs it, because only there everything is at hand: the crates that are
//! linked into the binary, as cargo resolves them, with the checksums of `Cargo.lock`; the ONNX
//! Runtime library that lies in the store; and the Debian packages, of which `docker/system.sh`
//! wrote a line each. It says the same for the same sources: no time, no random number.

mod crates;

use std::fs;
use std::path::Path;

use serde_json::{json, Value};

use crate::command::{cargo, quietly};
use crate::store::{cannot, read_text, sha256, workspace, write, Store};
use crate::{onnxruntime, Result};
use crates::{Crate, Tree};

/// The chore.
pub fn run(arguments: &[String]) -> Result<()> {
    let [debian_flag, debian, output_flag, output] = arguments else {
        return Err("takes --debian FILE --output FILE".to_owned());
    };
    if debian_flag != "--debian" || output_flag != "--output" {
        return Err(format!(
            "takes --debian FILE --output FILE, found {debian_flag} and {output_flag}"
        ));
    }
    let mut tree = cargo();
    tree.args(["tree", "--locked", "--package", "plimsoll"]);
    tree.args(["--edges", "normal,no-proc-macro", "--prefix", "depth"]);
    let tree = Tree::read(&quietly(tree.args(["--format", "{p}|{l}"]))?)?;
    let lock = read_text(&workspace().join("Cargo.lock"))?;
    let bill = bill(
        &tree,
        &lock,
        library(&Store::of_workspace())?,
        &packages(&read_text(Path::new(debian))?)?,
    );
    let text = serde_json::to_string_pretty(&bill)
        .map_err(|error| format!("the bill cannot be written: {error}"))?;
    write(Path::new(output), text.as_bytes())
}

fn bill(tree: &Tree, lock: &str, library: Value, packages: &[Value]) -> Value {
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
    let beside = [std::slice::from_ref(&library), packages].concat();
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

/// ONNX Runtime as it lies in the store.
fn library(store: &Store) -> Result<Value> {
    let file = store.path(onnxruntime::NAME).join(onnxruntime::LIBRARY);
    let bytes = fs::read(&file).map_err(|error| cannot("read", &file, &error))?;
    let purl = format!("pkg:pypi/onnxruntime@{}", onnxruntime::VERSION);
    Ok(json!({
        "type": "library",
        "bom-ref": purl,
        "name": "onnxruntime",
        "version": onnxruntime::VERSION,
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
        let packages = packages("libc6\t2.36-9+deb12u14\tamd64\tglibc\n").unwrap();
        let bill = bill(&tree, lock, json!({"bom-ref": "ort"}), &packages);
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
    fn a_line_that_is_no_package_is_named() {
        assert!(packages("libc6 2.36")
            .unwrap_err()
            .starts_with("libc6 2.36: expected"));
    }
}
