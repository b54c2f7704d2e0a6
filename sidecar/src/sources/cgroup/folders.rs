//! Where a controller's files are, from `/proc/self/mountinfo` and `/proc/self/cgroup`.

use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

impl Version {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V1 => "cgroup v1",
            Self::V2 => "cgroup v2",
        }
    }
}

/// One controller's folders, the process's own first, the mount's root last.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    pub(super) version: Version,
    pub(super) paths: Vec<PathBuf>,
    /// The process sits in the machine's root group: its use is the machine's, not the container's.
    pub(super) is_machine: bool,
    top: PathBuf,
}

impl Folders {
    /// Finds a controller of this version.
    pub(super) fn find(
        root: &Path,
        mounts: &str,
        groups: &str,
        version: Version,
        controller: &str,
    ) -> Option<Self> {
        let names = |list: &str| list.split(',').any(|name| name == controller);
        let group = groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (id, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            let found = match version {
                Version::V1 => names(controllers),
                Version::V2 => id == "0" && controllers.is_empty(),
            };
            found.then_some(path)
        })?;
        let (mount_root, point) = mounts.lines().find_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let mut right = right.split(' ');
            let (kind, options) = (right.next()?, right.nth(1).unwrap_or_default());
            let found = match version {
                Version::V1 => kind == "cgroup" && names(options),
                Version::V2 => kind == "cgroup2",
            };
            let mut left = left.split(' ').skip(3);
            found.then_some((plain(left.next()?), plain(left.next()?)))
        })?;
        let top = root.join(point.trim_start_matches('/'));
        let own = Path::new(group)
            .strip_prefix(&mount_root)
            .ok()
            .filter(|path| !path.components().any(|part| part.as_os_str() == ".."))
            .map(|path| top.join(path))
            .filter(|path| path.is_dir())
            .unwrap_or_else(|| top.clone());
        let has = |file| top.join(file).exists();
        // In a cgroup namespace every path is `/`, the container's too: the files tell them apart.
        let is_root = match version {
            // Only the machine's root group has this file.
            Version::V1 => has("release_agent"),
            // Only the machine's root group has none of these.
            Version::V2 => !["cgroup.type", "cpu.max", "memory.max"]
                .into_iter()
                .any(has),
        };
        let paths = own.ancestors().take_while(|path| path.starts_with(&top));
        Some(Self {
            version,
            paths: paths.map(Path::to_owned).collect(),
            is_machine: own == top && is_root,
            top,
        })
    }

    pub(super) fn own(&self) -> Option<&Path> {
        self.paths.first().map(PathBuf::as_path)
    }

    /// The folder of another controller that is the same group as this one of ours.
    pub(super) fn same_group<'a>(&self, ours: &Path, other: &'a Self) -> Option<&'a Path> {
        let group = ours.strip_prefix(&self.top).ok()?;
        let same = |path: &&PathBuf| path.strip_prefix(&other.top).is_ok_and(|it| it == group);
        other.paths.iter().find(same).map(PathBuf::as_path)
    }
}

/// Undoes mountinfo's writing of blanks and backslashes as `\040` and the like.
fn plain(path: &str) -> String {
    if !path.contains('\\') {
        return path.to_owned();
    }
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(path.to_owned(), |path, (written, meant)| {
        path.replace(written, meant)
    })
}
