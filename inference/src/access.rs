//! What to do where the system refuses a file: the sentence's end, for the mistakes that people
//! make with mounts.

use std::io::{Error, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Advice that follows what the system said, with the semicolon before it; empty where there is none.
#[must_use]
pub fn advice(path: &Path, error: &Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => format!(
            "; this process is {}, expected files and folders that it may read (chmod -R a+rX)",
            user()
        ),
        ErrorKind::NotFound => path.read_link().map_or_else(
            |_| String::new(),
            |target| {
                format!(
                    "; it is a link to {}, which is not here: expected the file itself, or a mount that holds both",
                    target.display()
                )
            },
        ),
        _ => String::new(),
    }
}

fn user() -> String {
    Path::new("/proc/self").metadata().map_or_else(
        |_| "another user".to_owned(),
        |metadata| format!("user {}", metadata.uid()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_named_with_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("model.onnx");
        std::os::unix::fs::symlink("../blobs/3f2a", &link).unwrap();
        let error = std::fs::metadata(&link).unwrap_err();
        let advice = advice(&link, &error);
        assert!(advice.contains("a link to ../blobs/3f2a"), "{advice}");
    }

    #[test]
    fn a_refusal_says_who_asked() {
        let error = Error::from(ErrorKind::PermissionDenied);
        let advice = advice(Path::new("/opt/ml/model"), &error);
        assert!(advice.contains("this process is user "), "{advice}");
        let other = Error::from(ErrorKind::NotADirectory);
        assert_eq!(super::advice(Path::new("/opt/ml/model"), &other), "");
    }
}
