//! A look into the ONNX file before ONNX Runtime gets it.
//!
//! Three things are wanted that the runtime's API does not give, or gives too late: a plain reason
//! where the file is no model or its external data is missing, which ports declare no rank, and
//! `ZipMap` nodes, which are taken out (see [`zipmap`]). Nothing here decides whether a model is
//! valid: that is the runtime's word.

pub mod zipmap;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

pub use zipmap::ZipMap;

use crate::access::advice;
use crate::wire::{fields, Malformed};

/// Why a file is not worth giving to the runtime.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("{file} cannot be read: {source}{}", advice(.file, .source))]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is something else, or damaged.
    #[error("{file} is not an ONNX model: {reason}")]
    NotAModel {
        /// The file.
        file: PathBuf,
        /// What it looks like.
        reason: String,
    },
    /// External data that is missing or too short.
    #[error("{file} keeps weights in the external file {location}, {reason}")]
    ExternalData {
        /// The model.
        file: PathBuf,
        /// The location that the model names.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What the file says about itself.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Opset versions by domain; the standard domain is the empty name.
    pub opsets: Vec<(String, u64)>,
    /// Names of graph inputs and outputs whose type declares no shape at all.
    pub rankless: BTreeSet<String>,
    /// External data files by the location that the model names, with the bytes that it needs of each.
    pub external: BTreeMap<String, u64>,
    /// Whether the graph has a loop or a branch, so that a run's time depends on the values it gets.
    pub has_control_flow: bool,
    /// Whether an operator takes its scale over all values of a run, so that records of one run
    /// change one another's replies; taken to be so where the file was not read.
    pub has_shared_scales: bool,
    /// Bytes of the model and its external data files.
    pub total_bytes: u64,
}

/// Files above this size are left to the runtime unread: they would cost their size in memory for
/// a moment, and classifiers with a `ZipMap` are far smaller.
const READ_UP_TO: u64 = 128 * 1024 * 1024;

/// Reads the file and its facts; checks that its external data is there. Of a very large file only
/// the size is known, and no bytes are returned.
///
/// # Errors
/// [`FileError`] with the file's name and a reason.
pub fn read(file: &Path) -> Result<(Option<Vec<u8>>, Facts), FileError> {
    let unreadable = |source| FileError::Read {
        file: file.to_owned(),
        source,
    };
    let metadata = std::fs::metadata(file).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(FileError::NotAModel {
            file: file.to_owned(),
            reason: "it is no regular file".to_owned(),
        });
    }
    let total_bytes = metadata.len();
    if total_bytes > READ_UP_TO {
        let facts = Facts {
            total_bytes,
            has_shared_scales: true,
            ..Facts::default()
        };
        return Ok((None, facts));
    }
    let bytes = std::fs::read(file).map_err(unreadable)?;
    let not_a_model = |reason: String| FileError::NotAModel {
        file: file.to_owned(),
        reason,
    };
    if let Some(reason) = looks_like(&bytes) {
        return Err(not_a_model(reason));
    }
    let mut facts = facts(&bytes).map_err(|Malformed| {
        not_a_model(format!(
            "its protobuf cannot be read to the end; it is cut off or damaged ({} bytes)",
            bytes.len()
        ))
    })?;
    facts.total_bytes = bytes.len() as u64;
    for (location, needed) in &facts.external {
        facts.total_bytes += check_external(file, location, *needed)?;
    }
    Ok((Some(bytes), facts))
}

/// A reason why these bytes are no ONNX model, for the mistakes that people make.
fn looks_like(bytes: &[u8]) -> Option<String> {
    let text = bytes.trim_ascii_start();
    let reason = if bytes.is_empty() {
        "the file is empty"
    } else if text.starts_with(b"<") {
        "it looks like an HTML or XML page (a download that failed?)"
    } else if bytes.starts_with(b"version https://git-lfs") {
        "it is a Git LFS pointer; fetch the real file with git lfs pull"
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        "it is a gzip archive; unpack it first"
    } else if bytes.starts_with(b"PK\x03\x04") {
        "it is a zip archive (a PyTorch or Keras file?)"
    } else if text.starts_with(b"{") {
        "it looks like JSON"
    } else {
        return None;
    };
    Some(reason.to_owned())
}

fn facts(model: &[u8]) -> Result<Facts, Malformed> {
    let mut facts = Facts::default();
    let mut graph_seen = false;
    for field in fields(model) {
        let field = field?;
        match field.number {
            8 => {
                let (mut domain, mut version) = (String::new(), 0);
                for part in fields(field.bytes()) {
                    let part = part?;
                    match part.number {
                        1 => domain = part.text(),
                        2 => version = part.number_value(),
                        _ => {}
                    }
                }
                facts.opsets.push((domain, version));
            }
            7 => {
                graph_seen = true;
                graph_facts(field.bytes(), &mut facts)?;
            }
            _ => {}
        }
    }
    // A message without a graph is how random bytes look when they happen to parse.
    if graph_seen {
        Ok(facts)
    } else {
        Err(Malformed)
    }
}

/// Operators whose body runs as often as the values say.
const CONTROL_FLOW: [&[u8]; 4] = [b"Loop", b"Scan", b"If", b"SequenceMap"];

/// Operators that quantise what they get by its largest and smallest value.
const SHARED_SCALES: [&[u8]; 3] = [
    b"DynamicQuantizeLinear",
    b"DynamicQuantizeLSTM",
    b"DynamicQuantizeMatMul",
];

fn graph_facts(graph: &[u8], facts: &mut Facts) -> Result<(), Malformed> {
    for field in fields(graph) {
        let field = field?;
        match field.number {
            1 => {
                for part in fields(field.bytes()) {
                    let part = part?;
                    if part.number == 4 {
                        facts.has_control_flow |= CONTROL_FLOW.contains(&part.bytes());
                        facts.has_shared_scales |= SHARED_SCALES.contains(&part.bytes());
                    }
                }
            }
            5 => external_location(field.bytes(), &mut facts.external)?,
            11 | 12 => {
                let (mut name, mut rankless) = (String::new(), false);
                for part in fields(field.bytes()) {
                    let part = part?;
                    match part.number {
                        1 => name = part.text(),
                        // TypeProto.tensor_type without a shape.
                        2 => {
                            for kind in fields(part.bytes()) {
                                let kind = kind?;
                                if kind.number == 1 {
                                    rankless = !fields(kind.bytes())
                                        .any(|f| f.is_ok_and(|f| f.number == 2));
                                }
                            }
                        }
                        _ => {}
                    }
                }
                if rankless {
                    facts.rankless.insert(name);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn external_location(tensor: &[u8], external: &mut BTreeMap<String, u64>) -> Result<(), Malformed> {
    let (mut location, mut offset, mut length) = (None, 0u64, 0u64);
    for field in fields(tensor) {
        let field = field?;
        if field.number != 13 {
            continue;
        }
        let (mut key, mut value) = (String::new(), String::new());
        for part in fields(field.bytes()) {
            let part = part?;
            match part.number {
                1 => key = part.text(),
                2 => value = part.text(),
                _ => {}
            }
        }
        match key.as_str() {
            "location" => location = Some(value),
            "offset" => offset = value.parse().unwrap_or(0),
            "length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    if let Some(location) = location {
        let needed = external.entry(location).or_default();
        *needed = (*needed).max(offset.saturating_add(length));
    }
    Ok(())
}

/// Bytes of an external file, if it is where the model says and can be opened.
fn check_external(file: &Path, location: &str, needed: u64) -> Result<u64, FileError> {
    let wrong = |reason: String| FileError::ExternalData {
        file: file.to_owned(),
        location: location.to_owned(),
        reason,
    };
    let relative = Path::new(location);
    let stays_inside = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !stays_inside {
        return Err(wrong(
            "which lies outside the model's folder; expected a relative path without ..".to_owned(),
        ));
    }
    let path = file.parent().unwrap_or(Path::new(".")).join(relative);
    let data = std::fs::File::open(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            wrong("which is missing; expected it beside the model".to_owned())
        }
        std::io::ErrorKind::PermissionDenied => wrong(
            "which this user may not read (some exporters write it with mode 0600; chmod a+r it before packing)"
                .to_owned(),
        ),
        _ => wrong(format!("which cannot be opened: {error}")),
    })?;
    let size = data
        .metadata()
        .map_err(|error| wrong(format!("whose size cannot be read: {error}")))?
        .len();
    if size < needed {
        return Err(wrong(format!(
            "which has {size} bytes; expected at least {needed} (a copy that was cut off?)"
        )));
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{put_bytes, put_varint};

    fn model(initializer: &[u8]) -> Vec<u8> {
        let mut graph = Vec::new();
        put_bytes(&mut graph, 5, initializer);
        let mut value = Vec::new();
        put_bytes(&mut value, 1, b"x");
        // tensor_type { elem_type: 1 }, without a shape
        put_bytes(&mut value, 2, &[0x0a, 2, 0x08, 1]);
        put_bytes(&mut graph, 11, &value);
        let mut model = Vec::new();
        put_varint(&mut model, 1 << 3);
        put_varint(&mut model, 8);
        put_bytes(&mut model, 7, &graph);
        put_bytes(&mut model, 8, &[0x10, 17]);
        model
    }

    fn external(location: &[u8]) -> Vec<u8> {
        let mut entry = Vec::new();
        put_bytes(&mut entry, 1, b"location");
        put_bytes(&mut entry, 2, location);
        let mut tensor = Vec::new();
        put_bytes(&mut tensor, 13, &entry);
        tensor
    }

    fn read_error(bytes: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("model.onnx");
        std::fs::write(&file, bytes).unwrap();
        read(&file).unwrap_err().to_string()
    }

    #[test]
    fn tells_the_opset_and_ports_without_a_rank() {
        let facts = facts(&model(b"")).unwrap();
        assert_eq!(facts.opsets, [(String::new(), 17)]);
        assert!(facts.rankless.contains("x"));
    }

    #[test]
    fn says_what_a_file_is_that_is_no_model() {
        let whole = model(b"");
        for (bytes, expected) in [
            (&b""[..], "empty"),
            (b"<!DOCTYPE html>", "HTML"),
            (b"version https://git-lfs.github.com/spec/v1", "LFS"),
            (b"PK\x03\x04", "zip"),
            (&[0x1f, 0x8b, 8], "gzip"),
            (&whole[..whole.len() - 3], "cut off"),
            (b"random words", "cut off or damaged"),
        ] {
            let message = read_error(bytes);
            assert!(message.contains(expected), "{expected}: {message}");
            assert!(message.contains("model.onnx"), "{message}");
        }
    }

    #[test]
    fn names_external_data_that_is_missing_or_escapes() {
        let missing = read_error(&model(&external(b"weights.bin")));
        assert!(
            missing.contains("weights.bin, which is missing"),
            "{missing}"
        );
        for location in [&b"../outside.bin"[..], b"/etc/passwd"] {
            let escapes = read_error(&model(&external(location)));
            assert!(escapes.contains("outside the model's folder"), "{escapes}");
        }
    }
}
