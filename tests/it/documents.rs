//! The README's tables match the code, and its commands are the ones that run.

use plimsoll::settings;
use scaling::catalogue::Metric;

use crate::support::root;

fn read(file: &str) -> String {
    let path = root().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_setting_is_in_the_readme_as_it_is_in_the_code() {
    let readme = read("README.md");
    for row in settings::TABLE {
        let default = match row.default {
            "" => String::new(),
            default => format!("`{default}`"),
        };
        let line =
            format!("| `{}` | {default} | {} |", row.name, row.meaning).replace("|  |", "| |");
        assert!(readme.contains(&line), "README.md lacks the line\n{line}");
    }
    let (_, table) = readme.split_once("<!-- settings -->").expect("the table");
    let (table, _) = table.split_once("<!-- end -->").expect("its end");
    let documented = table.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(documented, settings::TABLE.len(), "settings in README.md");
}

#[test]
fn every_metric_is_in_the_readme_as_it_is_in_the_code() {
    let readme = read("README.md");
    for metric in Metric::ALL {
        let line = format!(
            "| `{}` | {} | {} |",
            metric.name(),
            metric.unit().name(),
            metric.meaning()
        );
        assert!(readme.contains(&line), "README.md lacks the line\n{line}");
    }
}

#[test]
fn every_metric_is_in_the_documents_table_as_it_is_in_the_code() {
    let text = read("docs/metrics.md");
    let (_, table) = text.split_once("<!-- metrics -->").expect("the table");
    let (table, _) = table.split_once("<!-- end -->").expect("its end");
    let found: Vec<&str> = table.trim().lines().skip(2).collect();
    let expected: Vec<String> = Metric::ALL
        .iter()
        .map(|metric| {
            format!(
                "| `{}` | {} | {} | {} | {} | {} |",
                metric.name(),
                metric.unit().name(),
                metric.kind().name(),
                metric.statistic().name(),
                metric.meaning(),
                metric.source()
            )
        })
        .collect();
    assert_eq!(found, expected);
    for metric in Metric::ALL {
        for suffix in metric.kind().embedded() {
            let name = format!("`<Name>{suffix}`");
            assert!(text.contains(&name), "docs/metrics.md lacks {name}");
        }
    }
    for dimension in [
        "EndpointName",
        "VariantName",
        "ContainerName",
        "InferenceComponentName",
    ] {
        assert!(text.contains(&format!("`{dimension}`")), "{dimension}");
    }
}

#[test]
fn ci_runs_the_command_that_the_readme_names() {
    let readme = read("README.md");
    for command in ["cargo xtask demo", "cargo xtask test"] {
        assert!(readme.contains(command), "{command}");
    }
    let ci = read(".ci/run");
    for command in ["cargo xtask test", "cargo fmt", "cargo clippy", "cargo doc"] {
        assert!(ci.contains(command), "{command}");
    }
}

#[test]
fn every_folder_is_on_the_readmes_map() {
    let readme = read("README.md");
    for entry in std::fs::read_dir(root()).expect("the workspace").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let hidden = name.starts_with('.') || name == "target";
        if entry.path().is_dir() && !hidden {
            assert!(
                readme.contains(&format!("`{name}/`")),
                "README.md's map lacks {name}/"
            );
        }
    }
}
