//! What the image holds, and what it says about itself.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::super::Kind;
use super::{cuda, expect, Check, Subject};
use crate::child::output;
use crate::command::{cannot_start, captured, quietly};
use crate::python::python;
use crate::store::{read_text, sha256_of, write};
use crate::{onnxruntime, Result};

pub const ALL: &[Check] = &[
    ("no larger than it may be, by layers", size),
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

/// Of the CPU image, and of those with CUDA.
const MOST_BYTES: u64 = 70_000_000;
const MOST_BYTES_CUDA: u64 = 3_200_000_000;

const BILL: &str = "usr/share/doc/plimsoll/sbom.cdx.json";
const LIBRARY: &str = "usr/lib/plimsoll/libonnxruntime.so";

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

/// Where those of a GPU image may lie beside.
const PLACES_CUDA: [&str; 4] = [
    "usr/lib/x86_64-linux-gnu/lib",
    "usr/lib/plimsoll/libonnxruntime_providers_",
    "etc/debian_version",
    "etc/ld.so.conf",
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
    let most = match subject.kind {
        Kind::Cpu => MOST_BYTES,
        Kind::Gpu(_) => MOST_BYTES_CUDA,
    };
    expect(bytes <= most, || seen.clone())?;
    Ok(seen)
}

fn files(subject: &Subject<'_>) -> Result<String> {
    let listed = listed(subject)?;
    let is_of = |places: &[&str], file: &str| places.iter().any(|place| file.starts_with(place));
    let more = match subject.kind {
        Kind::Cpu => &[][..],
        Kind::Gpu(_) => &PLACES_CUDA,
    };
    let belongs = |file: &str| is_of(&PLACES, file) || is_of(more, file);
    let surplus: Vec<&String> = listed.iter().filter(|file| !belongs(file)).collect();
    expect(surplus.is_empty(), || format!("found {surplus:?}"))?;
    Ok(format!("{} files", listed.len()))
}

/// The image's files, as paths from the root.
pub fn listed(subject: &Subject<'_>) -> Result<Vec<String>> {
    let container = created(subject)?;
    let mut export = subject.engine.command(&["export", &container]);
    let listed = export
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_start(&export, &error))
        .and_then(|mut export| {
            let mut tar = Command::new("tar");
            if let Some(archive) = export.stdout.take() {
                tar.stdin(archive);
            }
            let list = output(tar.arg("-t").stdout(Stdio::piped()))?;
            let whole = export.wait().is_ok_and(|status| status.success());
            expect(whole && list.status.success(), || {
                "the engine cannot export it".to_owned()
            })?;
            Ok(String::from_utf8_lossy(&list.stdout).into_owned())
        });
    subject.engine.ask(&["rm", &container])?;
    let own =
        |file: &&str| !file.ends_with('/') && !ENGINES.iter().any(|place| file.starts_with(place));
    Ok(listed?.lines().filter(own).map(str::to_owned).collect())
}

fn created(subject: &Subject<'_>) -> Result<String> {
    subject
        .engine
        .ask(&["create", "--label", "plimsoll.check", subject.image])
}

/// A fresh folder with copies of what lies at `paths` in the image.
pub fn extracted(subject: &Subject<'_>, paths: &[&str]) -> Result<PathBuf> {
    let folder = subject.folder("root")?;
    let container = created(subject)?;
    let to = folder.display().to_string();
    let copied = paths.iter().try_for_each(|path| {
        let from = format!("{container}:/{path}");
        subject.engine.ask(&["cp", &from, &to]).map(drop)
    });
    subject.engine.ask(&["rm", &container])?;
    copied.map(|()| folder)
}

fn libraries(subject: &Subject<'_>) -> Result<String> {
    let mut resolved = 0;
    let listed = listed(subject)?;
    let ours = ["usr/bin/plimsoll", "usr/lib/plimsoll/", cuda::FOLDER];
    for file in listed
        .iter()
        .filter(|file| ours.iter().any(|place| file.starts_with(place)))
    {
        let list = linked(subject, file, &[])?;
        let missing = list
            .lines()
            .filter_map(|line| Some(line.split_once(" => not found")?.0.trim()));
        let missing: Vec<&str> = missing.collect();
        let surplus = missing.iter().find(|name| !cuda::may_miss(file, name));
        expect(surplus.is_none(), || format!("{file} misses {surplus:?}"))?;
        let undefined = list.lines().filter_map(|line| {
            let (_, symbol) = line.split_once("undefined symbol: ")?;
            symbol.split_whitespace().next()
        });
        let surplus: Vec<&str> = undefined
            .filter(|symbol| !cuda::may_be_undefined(file, symbol))
            .collect();
        expect(surplus.is_empty(), || format!("{file} misses {surplus:?}"))?;
        resolved += list.matches(" => /").count();
    }
    Ok(format!("{resolved} resolved, and every symbol"))
}

/// What the image's loader says of a file's libraries and symbols, in a container with these options.
pub fn linked(subject: &Subject<'_>, file: &str, options: &[&str]) -> Result<String> {
    let loader = match std::env::consts::ARCH {
        "aarch64" => "/lib/ld-linux-aarch64.so.1",
        _ => "/lib64/ld-linux-x86-64.so.2",
    };
    let mut run = vec!["run", "--rm", "--entrypoint", loader];
    for trace in ["LD_TRACE_LOADED_OBJECTS=1", "LD_WARN=1", "LD_BIND_NOW=1"] {
        run.extend(["--env", trace]);
    }
    let file = format!("/{file}");
    let run = [&run[..], options, &[subject.image, &file]].concat();
    let said = captured(&mut subject.engine.command(&run))?;
    let list = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    expect(said.status.success(), || list.clone())?;
    Ok(list)
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
    let license = env!("CARGO_PKG_LICENSE");
    match subject.kind {
        Kind::Cpu => exactly(&oci("licenses"), license.into())?,
        Kind::Gpu(set) => {
            let both = format!("{license} AND LicenseRef-NVIDIA-Proprietary");
            exactly(&oci("licenses"), both.into())?;
            exactly(&label("plimsoll.cuda"), set.major.into())?;
            let environment = config["Env"].to_string();
            for toolkits in [
                "NVIDIA_VISIBLE_DEVICES=all",
                "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
            ] {
                expect(environment.contains(toolkits), || {
                    format!("no {toolkits} in {environment}")
                })?;
            }
        }
    }
    let multi = config.pointer(&capability("multi-models")).is_some();
    let revision = config.pointer(&oci("revision")).and_then(Value::as_str);
    Ok(format!(
        "revision {:.12}, multi-models {}",
        revision.unwrap_or("absent"),
        if multi { "said" } else { "not said" }
    ))
}

fn bill(subject: &Subject<'_>) -> Result<String> {
    let root = extracted(subject, &[BILL, LIBRARY])?;
    let file = root.join("sbom.cdx.json");
    let script = subject.store.path("image/validate.py");
    write(&script, VALIDATE.as_bytes())?;
    let mut validate = python(Some(&subject.store.path(VALIDATOR)));
    quietly(validate.arg(&script).arg(&file))?;

    let bill: Value = serde_json::from_str(&read_text(&file)?).map_err(|e| e.to_string())?;
    let parts = bill["components"]
        .as_array()
        .ok_or("it has no components")?;
    let (package, wheels, debs) = match subject.kind {
        Kind::Cpu => (onnxruntime::NAME, 0, 5),
        Kind::Gpu(set) => (set.onnxruntime.package, set.libraries.len(), 6),
    };
    let library = parts.iter().find(|part| part["name"] == package);
    let library = library.ok_or("ONNX Runtime is not in it")?;
    let hash = sha256_of(&root.join(onnxruntime::LIBRARY))?;
    let said = &library["hashes"][0]["content"];
    expect(*said == *hash, || {
        format!("the library's SHA-256 is {hash}, not {said}")
    })?;
    let of = |kind: &str| {
        let head = format!("pkg:{kind}/");
        let is_of = |part: &&Value| part["purl"].as_str().is_some_and(|p| p.starts_with(&head));
        parts.iter().filter(is_of).count()
    };
    let (crates, python, packages) = (of("cargo"), of("pypi"), of("deb"));
    let seen = format!(
        "{crates} crates, ONNX Runtime {}, {} libraries out of other wheels, {packages} Debian packages",
        library["version"].as_str().unwrap_or_default(),
        python - 1
    );
    expect(
        crates > 100 && python == 1 + wheels && packages == debs,
        || seen.clone(),
    )?;
    Ok(seen)
}
