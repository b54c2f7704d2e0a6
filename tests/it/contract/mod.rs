//! The numbered cases of the contract between SageMaker and a container: one test each, named by
//! its number, over HTTP to a running `plimsoll serve`.

mod accept;
mod batch;
mod containers;
mod dialects;
mod large;
mod metrics;
mod ping;
mod process;
mod protocol;
mod streaming;
mod types;

use std::collections::BTreeMap;

use crate::support::root;

const CASES: std::ops::RangeInclusive<u32> = 1..=134;

/// Cases without a test, and why.
fn excluded(case: u32) -> Option<&'static str> {
    match case {
        90..=107 => Some("loading and unloading models is not served yet"),
        122 => Some("no WebSocket is offered: case 123 holds instead"),
        134 => Some("metrics of single models come with loading and unloading them"),
        _ => None,
    }
}

/// The case of a test: 24 for `fn case_024_…`.
fn case_of(line: &str) -> Option<u32> {
    let (number, rest) = line.trim().strip_prefix("fn case_")?.split_at_checked(3)?;
    rest.starts_with('_').then(|| number.parse().ok())?
}

#[test]
fn every_case_has_its_test() {
    let mut tests: BTreeMap<u32, usize> = BTreeMap::new();
    let folder = root().join("tests/it/contract");
    for file in std::fs::read_dir(folder).expect("the cases").flatten() {
        let text = std::fs::read_to_string(file.path()).expect("a source file");
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2) {
            if let Some(case) = case_of(pair[1]) {
                assert_eq!(pair[0].trim(), "#[test]", "{}", pair[1]);
                *tests.entry(case).or_default() += 1;
            }
        }
    }
    let wrong: Vec<String> = CASES
        .filter_map(|case| {
            let tests = tests.remove(&case).unwrap_or(0);
            match (tests, excluded(case)) {
                (1, None) | (0, Some(_)) => None,
                (0, None) => Some(format!("case {case} has no test")),
                (_, Some(why)) => Some(format!("case {case} has a test, although {why}")),
                (n, None) => Some(format!("case {case} has {n} tests")),
            }
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tests.is_empty(), "no such cases: {tests:?}");
}
