//! Finds the one model under the model folder, and says why where there is none or more than one.
//!
//! Accepted layouts: `model.onnx` at the root; exactly one `*.onnx` anywhere below it; or
//! `<name>/<version>/model.onnx` with numeric versions of one name, of which the highest is taken.
//! Names that begin with a dot are skipped, as AWS's own servers do. Links are followed, and a file
//! that several of them lead to counts once. Nothing is ever written.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::access::advice;

/// Deeper folders are not searched: an archive unpacked by the platform is shallow.
const MAX_DEPTH: usize = 6;
/// More entries than this are not a model folder.
const MAX_ENTRIES: usize = 10_000;

/// Why no model could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// The folder is not there or cannot be read.
    #[error("model folder {folder}: {source}{}; expected the unpacked model archive there (docker run --volume FOLDER:/opt/ml/model:ro mounts one, SAGEMAKER_BASE_DIR replaces /opt/ml)", advice(.folder, .source))]
    Folder {
        /// The folder that was looked at.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No `.onnx` file.
    #[error("no model: no *.onnx file under {folder}{found}; expected model.onnx, exactly one *.onnx, or <name>/<version>/model.onnx")]
    None {
        /// The folder that was searched.
        folder: PathBuf,
        /// What was there instead, for the message.
        found: String,
    },
    /// More than one `.onnx` file and no rule that prefers one.
    #[error("{} models under {folder}: {}; expected exactly one *.onnx, or one of them named model.onnx at the top", .files.len(), list(.files))]
    Several {
        /// The folder that was searched.
        folder: PathBuf,
        /// The candidates, relative to the folder.
        files: Vec<PathBuf>,
    },
}

fn list(files: &[PathBuf]) -> String {
    let mut names: Vec<_> = files
        .iter()
        .take(5)
        .map(|file| file.display().to_string())
        .collect();
    if files.len() > names.len() {
        names.push("…".to_owned());
    }
    names.join(", ")
}

/// The path of the one model under `folder`.
///
/// # Errors
/// [`LocateError`] when the folder cannot be read, or holds no model, or several.
pub fn locate(folder: &Path) -> Result<PathBuf, LocateError> {
    let unreadable = |source| LocateError::Folder {
        folder: folder.to_owned(),
        source,
    };
    fs::read_dir(folder).map_err(unreadable)?;
    let top = folder.join("model.onnx");
    if top.is_file() {
        return Ok(top);
    }

    let mut search = Search::default();
    search.walk(folder, 0);
    let Search {
        mut found,
        others,
        unreadable,
        ..
    } = search;
    found.sort();
    if found.len() > 1 {
        once_each(&mut found);
    }
    if found.len() > 1 {
        if let Some(newest) = newest_version(folder, &found) {
            return Ok(newest);
        }
        let files = found
            .iter()
            .map(|file| file.strip_prefix(folder).unwrap_or(file).to_owned())
            .collect();
        return Err(LocateError::Several {
            folder: folder.to_owned(),
            files,
        });
    }
    if let Some(model) = found.pop() {
        return Ok(model);
    }
    if let Some((folder, source)) = unreadable {
        return Err(LocateError::Folder { folder, source });
    }
    Err(LocateError::None {
        folder: folder.to_owned(),
        found: if others.is_empty() {
            " (it is empty)".to_owned()
        } else {
            format!(" (found {})", others.join(", "))
        },
    })
}

/// Keeps the shortest of the paths that lead to one file, or to one link that leads nowhere.
fn once_each(found: &mut Vec<PathBuf>) {
    found.sort_by_key(|path| (path.components().count(), path.clone()));
    let mut seen = BTreeSet::new();
    found.retain(|path| seen.insert(end_of(path)));
    found.sort();
}

/// The file that a path leads to; where it leads nowhere, the link in its folder.
fn end_of(path: &Path) -> PathBuf {
    let link = || {
        let folder = path.parent()?.canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    };
    path.canonicalize()
        .ok()
        .or_else(link)
        .unwrap_or_else(|| path.to_owned())
}

#[derive(Default)]
struct Search {
    found: Vec<PathBuf>,
    /// A few other names, for the message when there is no model.
    others: Vec<String>,
    /// The first folder below that could not be read.
    unreadable: Option<(PathBuf, io::Error)>,
    entries: usize,
}

impl Search {
    fn walk(&mut self, folder: &Path, depth: usize) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.unreadable.get_or_insert((folder.to_owned(), error));
                return;
            }
        };
        for entry in entries.flatten() {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return;
            }
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            // Follows links: model caches use them, and the folder is the deployer's own.
            let path = entry.path();
            if path.is_dir() {
                if depth + 1 < MAX_DEPTH {
                    self.walk(&path, depth + 1);
                }
            } else if path
                .extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("onnx"))
            {
                self.found.push(path);
            } else if self.others.len() < 5 {
                self.others.push(name.into_owned());
            }
        }
    }
}

/// With `<name>/<version>/model.onnx` for one name and numeric versions: the highest version.
fn newest_version(folder: &Path, files: &[PathBuf]) -> Option<PathBuf> {
    let mut best: Option<(u64, &PathBuf)> = None;
    let mut one_name = None;
    for file in files {
        let parts: Vec<_> = file.strip_prefix(folder).ok()?.iter().collect();
        let [name, version, leaf] = parts.as_slice() else {
            return None;
        };
        if *leaf != "model.onnx" || *one_name.get_or_insert(*name) != *name {
            return None;
        }
        let version: u64 = version.to_str()?.parse().ok()?;
        if best.is_none_or(|(highest, _)| version > highest) {
            best = Some((version, file));
        }
    }
    best.map(|(_, file)| file.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        dir
    }

    fn found(files: &[&str]) -> Result<String, String> {
        let dir = tree(files);
        locate(dir.path())
            .map(|p| p.strip_prefix(dir.path()).unwrap().display().to_string())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn takes_the_layouts_of_the_contract() {
        for (files, expected) in [
            (&["model.onnx"][..], "model.onnx"),
            (&["model.onnx", "other.onnx"], "model.onnx"),
            (&["net.onnx", "vocab.txt", ".hidden.onnx"], "net.onnx"),
            (&["m/1/model.onnx"], "m/1/model.onnx"),
            (&["m/2/model.onnx", "m/10/model.onnx"], "m/10/model.onnx"),
            (&["deep/er/NET.ONNX"], "deep/er/NET.ONNX"),
        ] {
            assert_eq!(found(files).as_deref(), Ok(expected), "{files:?}");
        }
    }

    #[test]
    fn a_file_that_several_links_lead_to_is_one_model() {
        let dir = tree(&["blobs/net.onnx"]);
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, dir.path().join(name)).unwrap();
        };
        link("blobs/net.onnx", "latest.onnx");
        // A folder that holds itself.
        link(".", "self");
        assert_eq!(locate(dir.path()).unwrap(), dir.path().join("latest.onnx"));
        // A link that leads nowhere is a model that is missing, not one that never was.
        link("../elsewhere/other.onnx", "other.onnx");
        let error = locate(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("2 models") && error.contains("other.onnx"),
            "{error}"
        );
    }

    #[test]
    fn names_what_is_wrong() {
        let none = found(&["weights.bin"]).unwrap_err();
        assert!(
            none.contains("no *.onnx file") && none.contains("weights.bin"),
            "{none}"
        );
        let empty = found(&[]).unwrap_err();
        assert!(empty.contains("it is empty"), "{empty}");
        let two = found(&["a.onnx", "b.onnx"]).unwrap_err();
        assert!(
            two.contains("2 models") && two.contains("a.onnx, b.onnx"),
            "{two}"
        );
        let names = found(&["a/1/model.onnx", "b/1/model.onnx"]).unwrap_err();
        assert!(names.contains("2 models"), "{names}");
        let missing = locate(Path::new("/nonexistent/model"))
            .unwrap_err()
            .to_string();
        assert!(missing.contains("/nonexistent/model"), "{missing}");
    }
}
