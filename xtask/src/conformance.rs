//! `cargo xtask conformance`: ONNX's own operator cases through the server, in
//! every content type that can carry them.
//!
//! `tests/support/conformance/` does the work, in Python, so that nothing of
//! ours reads what we wrote. A case counts if plain ONNX Runtime passes it; the
//! cases and that floor are made once, into `.plimsoll/conformance/`.
//! `PLIMSOLL_BINARY` names another binary than the one built here.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{aloud, quietly};
use crate::python::{packages, python};
use crate::step::{step, Outcome};
use crate::store::{read_text, workspace, Store};
use crate::{binary, onnxruntime, Result};

/// The Python packages it needs, in the store.
const PACKAGES: &str = "python-conformance";
const REQUIREMENTS: &str = "tests/support/requirements-conformance.txt";
/// The scripts, run as one program.
const SCRIPTS: &str = "tests/support/conformance";
/// Names the cases that `cargo xtask test` runs.
const SAMPLE: &str = "tests/data/conformance_sample.txt";

/// In the store.
const CASES: &str = "conformance/cases";
const LOCALE: &str = "conformance/locale";
const FLOOR: &str = "conformance/floor";
const SAMPLE_FLOOR: &str = "conformance/floor-sample";

/// The chore.
pub fn run(arguments: &[String]) -> Result<()> {
    let wanted = parse(arguments)?;
    let store = Store::of_workspace();
    onnxruntime::ensure(&store)?;
    let floor = if wanted.sample {
        ensure_sample(&store)?;
        SAMPLE_FLOOR
    } else {
        ensure_cases(&store)?;
        ensure_floor(&store, FLOOR, None)?;
        FLOOR
    };
    test(&store)?;
    let binary = match std::env::var_os("PLIMSOLL_BINARY") {
        Some(path) => std::path::absolute(&path)
            .map_err(|error| format!("PLIMSOLL_BINARY={}: {error}", path.display()))?,
        None => binary::development()?,
    };
    let mut run = script(&store, "run");
    run.arg(store.path(CASES))
        .arg(store.path(floor))
        .arg(binary)
        .arg(store.path(onnxruntime::NAME).join("libonnxruntime.so"))
        .args(&wanted.arguments);
    if wanted.sample {
        run.args(["--sample", SAMPLE]);
    }
    aloud(&mut run).map_err(|_| "not every case came back right".to_owned())
}

/// What was asked for; `arguments` are for the script.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    sample: bool,
    arguments: Vec<String>,
}

fn parse(arguments: &[String]) -> Result<Wanted> {
    let mut wanted = Wanted::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--sample" => wanted.sample = true,
            "--filter" | "--format" | "--jobs" => {
                let value = rest
                    .next()
                    .ok_or_else(|| format!("{argument} takes a value"))?;
                let known = match argument.as_str() {
                    "--format" => ["npz", "v2", "triton"].contains(&value.as_str()),
                    "--jobs" => value.parse().is_ok_and(|jobs: usize| jobs > 0),
                    _ => true,
                };
                if !known {
                    return Err(format!("{argument} {value}: no such thing"));
                }
                wanted.arguments.extend([argument.clone(), value.clone()]);
            }
            surplus => {
                return Err(format!(
                    "takes --filter TEXT, --format npz|v2|triton, --jobs N and --sample, found {surplus}"
                ))
            }
        }
    }
    Ok(wanted)
}

/// Makes what the sample needs if it is not there: all cases, which takes
/// seconds, but the floor of the sample's alone.
pub fn ensure_sample(store: &Store) -> Result<()> {
    ensure_cases(store)?;
    ensure_floor(store, SAMPLE_FLOOR, Some(SAMPLE))
}

/// Runs the scripts' own tests.
pub fn test(store: &Store) -> Result<()> {
    step("tests of the conformance scripts", || {
        let mut tests = python(Some(&store.path(PACKAGES)));
        tests.args(["-m", "unittest", "discover", "--buffer"]);
        tests.args(["--start-directory", SCRIPTS]);
        quietly(&mut tests).map(|_| Outcome::Made)
    })
}

fn ensure_cases(store: &Store) -> Result<()> {
    step("Python packages of the conformance cases", || {
        packages(store, PACKAGES, REQUIREMENTS)
    })?;
    step("ONNX's operator cases", || {
        store.ensure(CASES, &[&recipe(&["cases.py"])?], |folder| {
            quietly(script(store, "collect").arg(folder)).map(drop)
        })
    })?;
    if let Err(error) = step("locale en_US.UTF-8", || make_locale(store)) {
        println!("  {error}");
        println!(
            "  StringNormalizer needs it; its cases are skipped unless the machine has that \
             locale (on Debian and Ubuntu: apt-get install locales)"
        );
    }
    Ok(())
}

/// ONNX Runtime's `StringNormalizer` does not load without this locale, which
/// small machines lack; made in the store, it needs no right to install.
fn make_locale(store: &Store) -> Result<Outcome> {
    let arguments = [
        "--no-archive",
        "--inputfile=en_US",
        "--charmap=UTF-8",
        "en_US.UTF-8",
    ];
    store.ensure(LOCALE, &arguments, |folder| {
        let (options, name) = arguments.split_at(3);
        let mut localedef = Command::new("localedef");
        quietly(localedef.args(options).arg(folder.join(name[0]))).map(drop)
    })
}

fn ensure_floor(store: &Store, name: &str, sample: Option<&str>) -> Result<()> {
    let locale = locale(store).map_or("the machine's locales", |_| "our locale");
    let names = sample.map_or_else(
        || Ok(String::new()),
        |file| read_text(&workspace().join(file)),
    );
    let scripts = recipe(&["cases.py", "compare.py", "floor.py"])?;
    let what = match sample {
        None => "what plain ONNX Runtime passes",
        Some(_) => "what plain ONNX Runtime passes of the sample",
    };
    step(what, || {
        store.ensure(name, &[&scripts, &names?, locale], |folder| {
            let mut floor = script(store, "floor");
            floor.arg(store.path(CASES)).arg(folder);
            if let Some(file) = sample {
                floor.args(["--sample", file]);
            }
            quietly(&mut floor).map(drop)
        })
    })
}

/// The text of what decides: packages and scripts.
fn recipe(scripts: &[&str]) -> Result<String> {
    let mut text = read_text(&workspace().join(REQUIREMENTS))?;
    for script in scripts {
        text += &read_text(&workspace().join(SCRIPTS).join(script))?;
    }
    Ok(text)
}

/// The scripts with their packages, and with the locale if it could be made.
fn script(store: &Store, chore: &str) -> Command {
    let mut command = python(Some(&store.path(PACKAGES)));
    command.arg(Path::new(SCRIPTS)).arg(chore);
    if let Some(locale) = locale(store) {
        command.env("LOCPATH", locale);
    }
    command
}

fn locale(store: &Store) -> Option<PathBuf> {
    Some(store.path(LOCALE)).filter(|folder| folder.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Wanted> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&arguments)
    }

    #[test]
    fn the_sample_is_ours_and_the_rest_is_the_scripts() {
        let wanted = parsed("--filter lstm --sample --format v2").unwrap();
        assert!(wanted.sample);
        assert_eq!(
            wanted.arguments,
            ["--filter", "lstm", "--format", "v2"].map(str::to_owned)
        );
        assert_eq!(parsed(""), Ok(Wanted::default()));
    }

    #[test]
    fn wrong_arguments_are_refused_before_anything_is_made() {
        assert_eq!(
            parsed("--format csv").unwrap_err(),
            "--format csv: no such thing"
        );
        assert!(parsed("--jobs 0").is_err());
        assert!(parsed("--filter").unwrap_err().contains("takes a value"));
        assert!(parsed("--all").unwrap_err().contains("--all"));
    }
}
