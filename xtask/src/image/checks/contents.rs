//! What the image holds, and what it says about itself.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{expect, Check, Subject};
use crate::command::quietly;
use crate::python::python;
use crate::store::{cannot, read_text, sha256, write};
use crate::{onnxruntime, Result};

pub const ALL: &[Check] = &[
    ("at most 70 MB, by layers", size),
    ("nothing that does not belong there", files),
    ("every library that is linked is there", libraries),
    ("entry, labels and annotations", labels),
    ("bill of materials is valid and true", bill),
];

/// The Python packages that validate the bill, in the store.
pub const VALIDATOR: &str = "python-sbom";

const VALIDATE: &str = "\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(str(error) if error else 0)
";

const MOST_BYTES: u64 = 70_000_000;

const BILL: &str = "/usr/share/doc/plimsoll/sbom.cdx.json";

/// Where files of the image may lie.
const PLACES: [&str; 10] = [
    "usr/bin/plimsoll",
    "usr/lib/plimsoll/libonnxruntime.so",
    "usr/lib/locale/en_US.utf8/",
    "usr/share/doc/",
    "lib/",
    "lib64/ld-linux-",
    "etc/ssl/certs/ca-certificates.crt",
    "etc/passwd",
    "etc/group",
    "etc/nsswitch.conf",
];

/// What the engine itself lays into every container.
const ENGINES: [&str; 7] = [
    ".dockerenv",
    "dev/",
    "etc/hostname",
    "etc/hosts",
    "etc/mtab",
    "etc/resolv.conf",
    "run/",
];

fn size(subject: &Subject<'_>) -> Result<String> {
    let format = "{{.Size}}";
    let size = subject
        .engine
        .ask(&["image", "inspect", "--format", format, subject.image])?;
    let bytes: u64 = size.parse().map_err(|_| format!("{size} is no size"))?;
    let history = [
        "history",
        "--no-trunc",
        "--format",
        "{{.Size}} {{.CreatedBy}}",
    ];
    let history = subject
        .engine
        .ask(&[&history[..], &[subject.image]].concat())?;
    let layers: Vec<&str> = history
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|size| *size != "0B")
        .collect();
    let seen = format!(
        "{:.1} MB; layers, newest first: {}",
        bytes as f64 / 1e6,
        layers.join(", ")
    );
    expect(bytes <= MOST_BYTES, || seen.clone())?;
    Ok(seen)
}

fn files(subject: &Subject<'_>) -> Result<String> {
    let root = extracted(subject, ".")?;
    let listed = quietly(
        std::process::Command::new("find")
            .current_dir(&root)
            .args([".", "!", "-type", "d", "-printf", "%P\\n"]),
    )?;
    let is_of = |places: &[&str], file: &str| places.iter().any(|place| file.starts_with(place));
    let own = || listed.lines().filter(|file| !is_of(&ENGINES, file));
    let surplus: Vec<&str> = own().filter(|file| !is_of(&PLACES, file)).collect();
    expect(surplus.is_empty(), || {
        format!("found {}", surplus.join(", "))
    })?;
    Ok(format!("{} files", own().count()))
}

/// A copy of what lies below `path` in the image.
pub fn extracted(subject: &Subject<'_>, path: &str) -> Result<std::path::PathBuf> {
    let folder = subject.folder("root")?;
    let container = subject
        .engine
        .ask(&["create", "--label", "plimsoll.check", subject.image])?;
    let from = format!("{container}:/{path}");
    let copied = subject
        .engine
        .ask(&["cp", &from, &folder.display().to_string()]);
    subject.engine.ask(&["rm", &container])?;
    copied.map(|_| folder)
}

fn libraries(subject: &Subject<'_>) -> Result<String> {
    let loader = match std::env::consts::ARCH {
        "aarch64" => "/lib/ld-linux-aarch64.so.1",
        _ => "/lib64/ld-linux-x86-64.so.2",
    };
    let mut resolved = 0;
    for file in ["/usr/bin/plimsoll", "/usr/lib/plimsoll/libonnxruntime.so"] {
        let list = [
            "run",
            "--rm",
            "--entrypoint",
            loader,
            subject.image,
            "--list",
            file,
        ];
        let list = subject.engine.ask(&list)?;
        let missing = list.lines().find(|line| line.contains("not found"));
        expect(missing.is_none(), || {
            format!("{file}: {}", missing.unwrap_or_default())
        })?;
        resolved += list.lines().count();
    }
    Ok(format!("{resolved} resolved"))
}

fn labels(subject: &Subject<'_>) -> Result<String> {
    let format = "{{json .Config}}";
    let config = subject
        .engine
        .ask(&["image", "inspect", "--format", format, subject.image])?;
    let config: Value = serde_json::from_str(&config).map_err(|error| error.to_string())?;
    let exactly = |path: &str, expected: Value| {
        let found = config.pointer(path).unwrap_or(&Value::Null);
        expect(*found == expected, || {
            format!("{path} is {found}, expected {expected}")
        })
    };
    exactly("/Entrypoint", serde_json::json!(["/usr/bin/plimsoll"]))?;
    exactly("/Cmd", serde_json::json!(["serve"]))?;
    let label = |name: &str| format!("/Labels/{name}");
    let capability = |name: &str| label(&format!("com.amazonaws.sagemaker.capabilities.{name}"));
    exactly(&capability("accept-bind-to-port"), "true".into())?;
    exactly(&capability("bidirectional-streaming"), Value::Null)?;
    let oci = |name: &str| label(&format!("org.opencontainers.image.{name}"));
    exactly(&oci("title"), "plimsoll".into())?;
    exactly(&oci("version"), env!("CARGO_PKG_VERSION").into())?;
    exactly(&oci("licenses"), env!("CARGO_PKG_LICENSE").into())?;
    let multi = config.pointer(&capability("multi-models")).is_some();
    let revision = config.pointer(&oci("revision")).and_then(Value::as_str);
    Ok(format!(
        "revision {:.12}, multi-models {}",
        revision.unwrap_or("absent"),
        if multi { "said" } else { "not said" }
    ))
}

fn bill(subject: &Subject<'_>) -> Result<String> {
    let root = extracted(subject, "usr")?;
    let file = root.join(BILL.trim_start_matches('/'));
    let script = subject.store.path("image/validate.py");
    write(&script, VALIDATE.as_bytes())?;
    let mut validate = python(Some(&subject.store.path(VALIDATOR)));
    quietly(validate.arg(&script).arg(&file))?;

    let bill: Value = serde_json::from_str(&read_text(&file)?).map_err(|e| e.to_string())?;
    let parts = bill["components"]
        .as_array()
        .ok_or("it has no components")?;
    let library = parts.iter().find(|part| part["name"] == "onnxruntime");
    let library = library.ok_or("ONNX Runtime is not in it")?;
    let hash = hash_of(&root.join("usr/lib/plimsoll").join(onnxruntime::LIBRARY))?;
    let said = &library["hashes"][0]["content"];
    expect(*said == *hash, || {
        format!("the library's SHA-256 is {hash}, not {said}")
    })?;
    let of = |kind: &str| {
        let head = format!("pkg:{kind}/");
        let is_of = |part: &&Value| part["purl"].as_str().is_some_and(|p| p.starts_with(&head));
        parts.iter().filter(is_of).count()
    };
    let (crates, packages) = (of("cargo"), of("deb"));
    expect(crates > 100 && packages == 5, || {
        format!("{crates} crates and {packages} Debian packages")
    })?;
    Ok(format!(
        "{crates} crates, ONNX Runtime {}, {packages} Debian packages",
        library["version"].as_str().unwrap_or_default()
    ))
}

fn hash_of(file: &Path) -> Result<String> {
    let bytes = fs::read(file).map_err(|error| cannot("read", file, &error))?;
    Ok(sha256(&bytes))
}
