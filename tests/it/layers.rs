//! Who may import whom. The rules are those of `docs/architecture.md`; a line that breaks one is
//! named with the rule.

use std::path::{Path, PathBuf};

use crate::support::root;

/// Source files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

/// Lines of code that mention `path::`, comments left out.
fn mentions(file: &Path, module: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("a source file");
    let wanted = format!("{module}::");
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"))
        .filter(|line| {
            line.match_indices(&wanted).any(|(at, _)| {
                // `foo::` but neither `my_foo::` nor `other::foo::`.
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            }) || line
                .strip_prefix("use ")
                .is_some_and(|path| path.trim_end_matches(';') == module)
        })
        .map(str::to_owned)
        .collect()
}

/// Fails for every file below `folder`, but for `except`, that mentions one of `modules`.
fn nobody_mentions(folder: &str, modules: &[&str], except: &[&str], rule: &str) {
    let root = root();
    let mut broken = Vec::new();
    for file in sources(&root.join(folder)) {
        let name = file
            .strip_prefix(&root)
            .expect("inside")
            .display()
            .to_string();
        let is_test = name.ends_with("tests.rs") || name.contains("_tests.rs");
        if is_test || except.iter().any(|e| name.starts_with(e)) {
            continue;
        }
        for module in modules {
            for line in mentions(&file, module) {
                broken.push(format!("{name}: {line}"));
            }
        }
    }
    assert!(broken.is_empty(), "{rule}, but\n{}", broken.join("\n"));
}

#[test]
fn scaling_imports_nothing_of_ours_and_is_pure() {
    nobody_mentions(
        "scaling/src",
        &[
            "inference",
            "sidecar",
            "probe",
            "plimsoll",
            "tokio",
            "std::fs",
            "std::net",
            "std::io",
            "std::env",
            "std::thread",
        ],
        &[],
        "scaling imports nothing of ours and does no I/O",
    );
    nobody_mentions(
        "scaling/src",
        &["Instant", "SystemTime"],
        &[],
        "scaling reads no clock",
    );
}

#[test]
fn server_and_sidecar_do_not_know_each_other() {
    nobody_mentions(
        "inference/src",
        &["sidecar", "probe", "plimsoll"],
        &[],
        "inference → scaling only",
    );
    nobody_mentions(
        "sidecar/src",
        &["inference", "probe", "plimsoll"],
        &[],
        "sidecar → scaling only",
    );
    nobody_mentions(
        "probe/src",
        &["inference", "sidecar", "plimsoll"],
        &[],
        "probe → scaling only",
    );
}

#[test]
fn the_account_is_known_to_the_policy_commands_alone() {
    nobody_mentions(
        "account/src",
        &["inference", "sidecar", "probe", "plimsoll"],
        &[],
        "account → scaling only",
    );
    for folder in ["inference/src", "sidecar/src", "scaling/src", "probe/src"] {
        nobody_mentions(folder, &["account"], &[], "cli → account only");
    }
    nobody_mentions(
        "cli/src",
        &["account"],
        &["cli/src/policy/apply.rs", "cli/src/policy/show"],
        "only policy apply and policy show know the account",
    );
}

#[test]
fn each_foreign_vocabulary_stays_in_its_room() {
    let http = ["inference/src/http/", "inference/src/server/connections.rs"];
    nobody_mentions(
        "inference/src",
        &["axum", "hyper", "hyper_util"],
        &http,
        "only http knows axum and hyper",
    );
    let ort = ["inference/src/runtime/ort/"];
    nobody_mentions(
        "inference/src",
        &["ort"],
        &ort,
        "only runtime/ort knows ONNX Runtime",
    );
    let aws = ["sidecar/src/publisher/cloudwatch/"];
    nobody_mentions(
        "sidecar/src",
        &[
            "aws_config",
            "aws_sdk_cloudwatch",
            "aws_smithy_http_client",
            "aws_smithy_types",
        ],
        &aws,
        "only publisher/cloudwatch knows AWS",
    );
    nobody_mentions(
        "account/src",
        &[
            "aws_config",
            "aws_sdk_applicationautoscaling",
            "aws_sdk_cloudwatch",
            "aws_smithy_http_client",
            "aws_smithy_types",
        ],
        &["account/src/aws/"],
        "of account, only aws knows AWS",
    );
    let gpu = ["sidecar/src/sources/gpu/nvml.rs"];
    nobody_mentions(
        "sidecar/src",
        &["nvml_wrapper"],
        &gpu,
        "only sources/gpu/nvml.rs knows NVML",
    );
    let host = ["sidecar/src/sources/host.rs"];
    nobody_mentions(
        "sidecar/src",
        &["sysinfo"],
        &host,
        "only sources/host.rs knows sysinfo",
    );
}

#[test]
fn rooms_of_the_server_import_one_way() {
    let rule = "http → codec, scheduler → runtime → model, tensor";
    nobody_mentions(
        "inference/src/codec",
        &[
            "crate::http",
            "crate::scheduler",
            "crate::runtime",
            "crate::server",
        ],
        &[],
        rule,
    );
    nobody_mentions(
        "inference/src/scheduler",
        &["crate::http", "crate::codec", "crate::server"],
        &[],
        rule,
    );
    nobody_mentions(
        "inference/src/runtime",
        &[
            "crate::http",
            "crate::codec",
            "crate::scheduler",
            "crate::server",
        ],
        &[],
        rule,
    );
}

#[test]
fn the_environment_is_read_in_one_place() {
    for folder in [
        "account/src",
        "inference/src",
        "sidecar/src",
        "scaling/src",
        "probe/src",
        "cli/src",
    ] {
        nobody_mentions(
            folder,
            &["std::env", "env"],
            &[
                "cli/src/settings/",
                // The command line, and one switch that the library wants set.
                "cli/src/main.rs",
                "inference/src/runtime/ort/",
            ],
            "only cli/src/settings/ reads the environment",
        );
    }
}
