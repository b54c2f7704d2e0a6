//! The command line that the benches of a server share: `--quick`, `--binary PATH`, and names of what
//! to measure.

use std::path::PathBuf;

use crate::{server, Result};

/// A part of a bench: its name, and what measures it.
pub type Part<B> = (&'static str, fn(&B) -> Result<()>);

/// What was asked for.
#[derive(Debug, Default, PartialEq)]
pub struct Options {
    /// A shorter version, for a first look.
    pub quick: bool,
    /// The server to measure in place of the one that is built.
    pub binary: Option<PathBuf>,
    /// What was named; everything where nothing was.
    names: Vec<&'static str>,
}

impl Options {
    /// Reads the words behind the program's name; `known` are the names of what can be measured.
    ///
    /// # Errors
    /// A word that is neither an option nor known, with what was expected; `--binary` without a path.
    pub fn parse(words: &[String], known: &[&'static str]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                // Cargo's own word for a bench.
                "--bench" => {}
                "--quick" => options.quick = true,
                "--binary" => {
                    options.binary = Some(words.next().ok_or("--binary wants a path")?.into());
                }
                other => match known.iter().find(|name| **name == other) {
                    Some(name) => options.names.push(name),
                    None => return Err(unknown(other, known).into()),
                },
            }
        }
        Ok(options)
    }

    /// Whether this was named, or nothing was.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.contains(&name)
    }

    /// Measures those parts that are wanted, one after the other, each below its name.
    ///
    /// # Errors
    /// That of the first part that fails.
    #[expect(clippy::print_stdout, reason = "a bench speaks to the terminal")]
    pub fn measure<B>(&self, bench: &B, parts: &[Part<B>]) -> Result<()> {
        for (name, part) in parts {
            if self.wants(name) {
                println!();
                println!("{name}");
                part(bench)?;
            }
        }
        Ok(())
    }

    /// The server to measure: the one that was named, or the one that ships, built.
    ///
    /// # Errors
    /// It does not build.
    pub fn server(&self) -> Result<PathBuf> {
        match &self.binary {
            Some(path) => Ok(path.clone()),
            None => server::build(),
        }
    }
}

fn unknown(word: &str, known: &[&str]) -> String {
    match known {
        [] => format!("unknown option \"{word}\", expected --quick or --binary PATH"),
        names => format!(
            "unknown option \"{word}\", expected --quick, --binary PATH, or of {}",
            names.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 2] = ["digits", "minilm"];

    fn parse(words: &[&str]) -> std::result::Result<Options, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Options::parse(&words, &KNOWN).map_err(|error| error.to_string())
    }

    #[test]
    fn everything_is_wanted_until_something_is_named() {
        let all = parse(&["--bench"]).unwrap();
        assert_eq!(all, Options::default());
        assert!(all.wants("digits") && all.wants("minilm"));
        let some = parse(&["minilm", "--quick", "--binary", "a/b", "--bench"]).unwrap();
        assert!(some.quick && some.wants("minilm") && !some.wants("digits"));
        assert_eq!(some.server().unwrap(), PathBuf::from("a/b"));
    }

    #[test]
    fn an_unknown_word_is_refused_with_what_was_expected() {
        assert_eq!(
            parse(&["digit"]).unwrap_err(),
            "unknown option \"digit\", expected --quick, --binary PATH, or of digits, minilm"
        );
        assert_eq!(
            Options::parse(&["x".to_owned()], &[])
                .unwrap_err()
                .to_string(),
            "unknown option \"x\", expected --quick or --binary PATH"
        );
        assert_eq!(parse(&["--binary"]).unwrap_err(), "--binary wants a path");
    }
}
