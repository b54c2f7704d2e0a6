//! The crates that are linked into the binary, as `cargo tree` lists them.

use std::collections::{BTreeMap, BTreeSet};

use crate::Result;

/// One crate from a registry.
#[derive(Debug, PartialEq, Eq)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What its manifest says, as it stands there.
    license: String,
    /// The package URLs of the crates that it needs.
    pub needs: BTreeSet<String>,
}

impl Crate {
    /// The SPDX expression, if the manifest has one; an old form separates by slashes.
    pub fn license(&self) -> Option<String> {
        let spaced = self.license.replace('/', " OR ");
        let words: Vec<&str> = spaced.split_whitespace().collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

/// What the binary is linked from.
#[derive(Debug, PartialEq, Eq)]
pub struct Tree {
    /// By package URL.
    pub crates: BTreeMap<String, Crate>,
    /// What the workspace's own crates need.
    pub root: BTreeSet<String>,
}

impl Tree {
    /// Reads lines of depth, package and license, such as `2tokio v1.54.1|MIT (*)`. The crates of
    /// the workspace, which have a path, count as one.
    pub fn read(lines: &str) -> Result<Self> {
        let mut tree = Self {
            crates: BTreeMap::new(),
            root: BTreeSet::new(),
        };
        // The package URLs above the line, none for the workspace's own.
        let mut above: Vec<Option<String>> = Vec::new();
        for line in lines.lines() {
            let (depth, part, is_own) = read_line(line)
                .ok_or_else(|| format!("{line}: expected a line of `cargo tree`"))?;
            above.truncate(depth);
            let url = (!is_own).then(|| format!("pkg:cargo/{}@{}", part.name, part.version));
            if let Some(url) = &url {
                let needs = match above.last().cloned().flatten() {
                    Some(parent) => tree.crates.get_mut(&parent).map(|parent| &mut parent.needs),
                    None => Some(&mut tree.root),
                };
                if let Some(needs) = needs {
                    needs.insert(url.clone());
                }
                tree.crates.entry(url.clone()).or_insert(part);
            }
            above.push(url);
        }
        Ok(tree)
    }
}

fn read_line(line: &str) -> Option<(usize, Crate, bool)> {
    let name_at = line.find(|c: char| !c.is_ascii_digit())?;
    let (depth, rest) = line.split_at(name_at);
    let (package, license) = rest.split_once('|')?;
    let mut words = package.split(' ');
    let part = Crate {
        name: words.next()?.to_owned(),
        version: words.next()?.strip_prefix('v')?.to_owned(),
        license: license.trim_end_matches(" (*)").to_owned(),
        needs: BTreeSet::new(),
    };
    let is_own = words.next().is_some_and(|path| path.starts_with("(/"));
    Some((depth.parse().ok()?, part, is_own))
}

/// The SHA-256 of a crate's archive, by `Cargo.lock`.
pub fn checksum<'l>(lock: &'l str, part: &Crate) -> Option<&'l str> {
    let head = format!("name = \"{}\"\nversion = \"{}\"\n", part.name, part.version);
    let (_, rest) = lock.split_once(&head)?;
    let (entry, _) = rest.split_once("\n\n").unwrap_or((rest, ""));
    let line = entry
        .lines()
        .find_map(|line| line.strip_prefix("checksum = \""))?;
    line.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_is_listed_again_keeps_what_it_needs() {
        let tree = Tree::read(
            "0plimsoll v0.1.0 (/src/cli)|Apache-2.0\n1a v1.0.0|MIT\n2b v2.0.0|MIT\n\
             1c v3.0.0|\n2a v1.0.0|MIT (*)\n",
        )
        .unwrap();
        let needs = |name: &str| tree.crates[name].needs.iter().cloned().collect::<Vec<_>>();
        assert_eq!(needs("pkg:cargo/a@1.0.0"), ["pkg:cargo/b@2.0.0"]);
        assert_eq!(needs("pkg:cargo/c@3.0.0"), ["pkg:cargo/a@1.0.0"]);
        assert_eq!(tree.crates["pkg:cargo/c@3.0.0"].license(), None);
        assert_eq!(tree.root.len(), 2);
    }

    #[test]
    fn what_cargo_tree_does_not_print_is_refused() {
        assert!(Tree::read("error: no").unwrap_err().contains("error: no"));
    }

    #[test]
    fn a_checksum_is_that_of_the_very_version() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"old\"\n\n\
                    [[package]]\nname = \"a\"\nversion = \"2.0.0\"\ndependencies = []\n\n\
                    [[package]]\nname = \"b\"\nversion = \"1.0.0\"\nchecksum = \"other\"\n";
        let part = |version: &str| Crate {
            name: "a".to_owned(),
            version: version.to_owned(),
            license: String::new(),
            needs: BTreeSet::new(),
        };
        assert_eq!(checksum(lock, &part("1.0.0")), Some("old"));
        assert_eq!(checksum(lock, &part("2.0.0")), None);
    }
}
