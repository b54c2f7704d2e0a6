//! The `.plimsoll/` folder: what was fetched or made, each in a folder of its
//! own with the recipe it was made by.
//!
//! A folder appears whole or not at all: it is built beside its place and
//! renamed. One chore builds at a time; a second one waits at the lock.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::step::Outcome;
use crate::Result;

/// Names the recipe inside a made folder.
const RECIPE: &str = ".recipe";

/// The folder that holds everything fetched or made.
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store of this workspace.
    pub fn of_workspace() -> Self {
        Self {
            root: workspace().join(".plimsoll"),
        }
    }

    /// Where `name` lies, made or not.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Sees to it that the folder `name` holds what `recipe` says; `build`
    /// gets an empty folder to fill when it does not.
    ///
    /// `recipe` is everything that the content depends on: versions, hashes,
    /// the text of scripts. A change of it builds anew.
    pub fn ensure(
        &self,
        name: &str,
        recipe: &[&str],
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Outcome> {
        let done = self.path(name);
        let partial = self.path(&format!("{name}.partial"));
        create_dir(done.parent().unwrap_or(&self.root))?;
        let lock_path = self.path("lock");
        let lock =
            File::create(&lock_path).map_err(|error| cannot("create", &lock_path, &error))?;
        lock.lock()
            .map_err(|error| cannot("lock", &lock_path, &error))?;

        let recipe = fingerprint(recipe);
        if fs::read_to_string(done.join(RECIPE)).is_ok_and(|found| found == recipe) {
            return Ok(Outcome::Present);
        }
        remove_dir(&partial)?;
        create_dir(&partial)?;
        build(&partial)?;
        write(&partial.join(RECIPE), recipe.as_bytes())?;
        remove_dir(&done)?;
        fs::rename(&partial, &done).map_err(|error| cannot("put in place", &done, &error))?;
        Ok(Outcome::Made)
    }
}

/// The root folder of the workspace.
pub fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// SHA-256 of a file, which may be larger than the memory.
pub fn sha256_of(path: &Path) -> Result<String> {
    let unreadable = |error| cannot("read", path, &error);
    let mut file = File::open(path).map_err(unreadable)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        match file.read(&mut chunk).map_err(unreadable)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            read => hash.update(&chunk[..read]),
        }
    }
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn fingerprint(recipe: &[&str]) -> String {
    // The length keeps ["ab", "c"] and ["a", "bc"] apart.
    let parts: String = recipe
        .iter()
        .map(|part| format!("{} {part}\n", part.len()))
        .collect();
    sha256(parts.as_bytes())
}

/// Reads a text file of the workspace.
pub fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| cannot("read", path, &error))
}

/// Writes a file.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|error| cannot("write", path, &error))
}

/// Copies a file.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(drop)
        .map_err(|error| cannot("copy", from, &error))
}

/// Creates a folder and its parents.
pub fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| cannot("create", path, &error))
}

/// Removes a folder with all that is in it, if it is there.
pub fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(cannot("remove", path, &error))
        }
        _ => Ok(()),
    }
}

/// The message for a file that cannot be handled.
pub fn cannot(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store {
            root: folder.path().join("store"),
        };
        (folder, store)
    }

    #[test]
    fn builds_once_for_one_recipe() {
        let (_folder, store) = store();
        let build = |to: &Path| write(&to.join("file"), b"first");
        assert_eq!(store.ensure("models/a", &["1"], build), Ok(Outcome::Made));
        let again = |_: &Path| Err("built twice".to_owned());
        assert_eq!(
            store.ensure("models/a", &["1"], again),
            Ok(Outcome::Present)
        );
    }

    #[test]
    fn builds_anew_when_the_recipe_changes() {
        let (_folder, store) = store();
        store
            .ensure("a", &["1"], |to| write(&to.join("old"), b""))
            .unwrap();
        store
            .ensure("a", &["2"], |to| write(&to.join("new"), b""))
            .unwrap();
        assert!(store.path("a").join("new").exists());
        assert!(!store.path("a").join("old").exists());
    }

    #[test]
    fn a_failed_build_leaves_the_old_folder_in_place() {
        let (_folder, store) = store();
        store
            .ensure("a", &["1"], |to| write(&to.join("old"), b""))
            .unwrap();
        let failed = store.ensure("a", &["2"], |_| Err("no network".to_owned()));
        assert_eq!(failed, Err("no network".to_owned()));
        assert!(store.path("a").join("old").exists());
    }

    #[test]
    fn where_a_recipe_is_cut_matters() {
        assert_ne!(fingerprint(&["ab", "c"]), fingerprint(&["a", "bc"]));
    }
}
