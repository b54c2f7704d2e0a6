//! `plimsoll policy lint`: every rule finds its trap in one fixture and nothing in the other, the pages of
//! the documentation say what the tool says, and the command speaks to people and to machines.
//!
//! `PLIMSOLL_UPDATE_DOCS=1 cargo test -p tests --test it policy_lint` writes the pages anew.

use std::process::{Command, Output};

use scaling::document::Documents;
use scaling::lint::{lint, Context, Finding, Rule, Severity, RULES};
use serde_json::Value;

use crate::support::root;
use crate::support::server::binary;

fn fixture(rule: &Rule, which: &str) -> String {
    let file = root().join(format!("tests/data/lint/{}/{which}.json", rule.id));
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn findings(text: &str) -> Vec<Finding> {
    let documents = Documents::read(text).unwrap_or_else(|error| panic!("{error}"));
    // What a load test found of the fixtures' model.
    let context = Context {
        max_rate: Some(300.0),
        ..Context::default()
    };
    lint(&documents, &context)
}

#[test]
fn every_rule_has_a_fixture_that_fails_and_one_that_passes() {
    let mut wrong = Vec::new();
    for rule in RULES {
        let failing = findings(&fixture(rule, "fails"));
        if !failing.iter().any(|one| one.rule.id == rule.id) {
            wrong.push(format!("{} is not found: {failing:#?}", rule.id));
        }
        let passing = findings(&fixture(rule, "passes"));
        if passing
            .iter()
            .any(|one| one.rule.severity >= Severity::Warning || one.rule.id == rule.id)
        {
            wrong.push(format!("{}: the good one has {passing:#?}", rule.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let folders = std::fs::read_dir(root().join("tests/data/lint"))
        .expect("fixtures")
        .count();
    assert_eq!(folders, RULES.len(), "a fixture without a rule");
}

/// Compares a page with what it must say, or writes it.
fn page(name: &str, expected: &str) {
    let file = root().join("docs").join(name);
    if std::env::var_os("PLIMSOLL_UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(&file, expected).expect("a page");
        return;
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == expected,
        "docs/{name} does not say what the tool says; PLIMSOLL_UPDATE_DOCS=1 writes it anew"
    );
}

#[test]
fn the_page_of_the_rules_is_true() {
    let mut text = String::from(
        "# Traps in scaling policies\n\n\
         What `plimsoll policy lint` finds, each with its reason and what to write instead. An *error* is refused by AWS or never does what it says, a *warning* works otherwise than most people expect, a *note* is good to know. The example is what the tool says of `tests/data/lint/<rule>/fails.json`.\n\n\
         | rule | severity | finds |\n|---|---|---|\n",
    );
    for rule in RULES {
        text.push_str(&format!(
            "| [{0}](#{0}) | {1} | {2} |\n",
            rule.id,
            rule.severity.name(),
            rule.title
        ));
    }
    for rule in RULES {
        let found = findings(&fixture(rule, "fails"));
        let found = found
            .iter()
            .find(|one| one.rule.id == rule.id)
            .expect("found");
        text.push_str(&format!(
            "\n## {}\n\n{}. ({})\n\n**Why:** {}\n\n**Instead:** {}\n\n```text\n{}: {}\n```\n",
            rule.id,
            rule.title,
            rule.severity.name(),
            rule.reason,
            rule.fix,
            found.path,
            found.message
        ));
    }
    page("lint.md", &text);
}

fn policy(arguments: &[&str]) -> Output {
    Command::new(binary())
        .arg("policy")
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A page of the study guide: what it says, what is wrong with that, and what works.
struct Case {
    page: &'static str,
    title: &'static str,
    said: &'static str,
    document: &'static str,
    /// Arguments of `policy write` that give what works, and the words before it.
    works: &'static [(&'static str, &'static [&'static str])],
}

const GUIDE: [Case; 5] = [
    Case {
        page: "guide/example.md",
        title: "The worked example",
        said: "A variant that is kept at 50 % by the predefined metric `SageMakerVariantUtilization`, with 2 to 10 instances, a scale-in cooldown of 300 s and a scale-out cooldown of 60 s.",
        document: "docs/guide/example.json",
        works: &[
            (
                "What was meant is CPU at 50 %. The container publishes it as 0 to 100, whatever the machine:",
                &["--from", "docs/guide/example.json"],
            ),
            (
                "On a machine that is known, SageMaker's own metric does it too, on its own scale (here 8 vCPUs):",
                &["--from", "docs/guide/example.json", "--vcpus", "8"],
            ),
            (
                "CPU cannot show how much is missing. What does, with a guard against bursts:",
                &["--endpoint", "demo", "--min", "2", "--max", "10", "--metric", "OfferedLoad", "--target", "60", "--guard", "90"],
            ),
        ],
    },
    Case {
        page: "guide/cpu.md",
        title: "CPU",
        said: "Scale on the average CPU utilization of the variant, with a target of 50.",
        document: "docs/guide/cpu.json",
        works: &[
            (
                "SageMaker's metric with the machine's size, and steps for what a bounded metric cannot show:",
                &["--endpoint", "demo", "--min", "2", "--max", "10", "--metric", "/aws/sagemaker/Endpoints:CPUUtilization", "--target", "400", "--vcpus", "8", "--guard", "90"],
            ),
            (
                "The container's own, 0 to 100 of its quota on every machine:",
                &["--endpoint", "demo", "--min", "2", "--max", "10", "--metric", "CPUUtilization", "--target", "50", "--guard", "90"],
            ),
        ],
    },
    Case {
        page: "guide/gpu.md",
        title: "GPU",
        said: "Scale deep learning on P instances on GPUUtilization, with a target of 70.",
        document: "docs/guide/gpu.json",
        works: &[
            (
                "GPUUtilization is the share of time in which any kernel ran. It is at 100 long before the GPU is full, and it goes to 100 for each GPU. What the server knows of its own slots is linear in the traffic and has no bound:",
                &["--endpoint", "demo", "--min", "2", "--max", "10", "--metric", "OfferedLoad", "--target", "60", "--guard", "90"],
            ),
            (
                "For models that answer in seconds or stream, the requests in flight, by their maximum of ten seconds, only to add:",
                &["--endpoint", "demo", "--min", "2", "--max", "10", "--metric", "ConcurrentRequestsPerModel", "--target", "5", "--guard", "90"],
            ),
        ],
    },
    Case {
        page: "guide/invocations.md",
        title: "Invocations",
        said: "InvocationsPerInstance is the average number of requests an instance gets in a minute; a model that answers in 2 ms is scaled at 500.",
        document: "docs/guide/invocations.json",
        works: &[(
            "The predefined metric has the right statistic. The target is what one instance answers as promised, in a minute, times the room that a launch needs: one that a load test found good for 300 requests a second gets 300 × 60 × 0.5 = 9000. At 500 a minute an instance is idle for 98 % of the time:",
            &["--endpoint", "demo", "--min", "2", "--max", "10", "--metric", "InvocationsPerInstance", "--target", "9000", "--guard", "90"],
        )],
    },
    Case {
        page: "guide/latency.md",
        title: "Latency",
        said: "Scale out when ModelLatency is above 150 ms.",
        document: "docs/guide/latency.json",
        works: &[(
            "Track the load, which is seen before answers are late and falls as instances are added; watch the latency with an alarm that tells people, at 150000 microseconds:",
            &["--endpoint", "demo", "--min", "2", "--max", "10", "--metric", "OfferedLoad", "--target", "60", "--guard", "90"],
        )],
    },
];

#[test]
fn the_study_guides_pages_are_made_by_the_tool() {
    for case in &GUIDE {
        let document = std::fs::read_to_string(root().join(case.document)).expect("a document");
        let judged = policy(&["lint", case.document]);
        assert_eq!(judged.status.code(), Some(1), "{}", case.page);
        let mut page_text = format!(
            "# {}: as written, what is wrong, what works\n\n## As written\n\n{}\n\n```json\n{}```\n\n## What is wrong\n\n`plimsoll policy lint {}` says\n\n```text\n{}```\n\n## What works\n",
            case.title,
            case.said,
            document,
            case.document,
            text(&judged.stdout)
        );
        for (words, arguments) in case.works {
            let written = policy(&[&["write"], *arguments].concat());
            assert!(
                written.status.success(),
                "{}: {}",
                case.page,
                text(&written.stderr)
            );
            let shown: Vec<String> = arguments
                .iter()
                .map(|word| match word.contains([' ', '*', '(']) {
                    true => format!("'{word}'"),
                    false => (*word).to_owned(),
                })
                .collect();
            page_text.push_str(&format!(
                "\n{words}\n\n```sh\nplimsoll policy write {}\n```\n\n```json\n{}```\n",
                shown.join(" "),
                text(&written.stdout)
            ));
            // What is written has no trap left.
            let documents = Documents::read(&text(&written.stdout)).expect("a document");
            let left = lint(
                &documents,
                &Context {
                    vcpus: Some(8.0),
                    ..Context::default()
                },
            );
            assert!(
                left.iter().all(|one| one.rule.severity < Severity::Error),
                "{}: {left:#?}",
                case.page
            );
        }
        page(case.page, &page_text);
    }
}

#[test]
fn the_metric_math_of_the_documentation_is_written() {
    let page = std::fs::read_to_string(root().join("docs/policies.md")).expect("a page");
    let begin = page.find("plimsoll policy write --endpoint demo --min 2 --max 10 --target 60");
    let command = page[begin.expect("the command")..]
        .split("```")
        .next()
        .expect("its end");
    let command = command.replacen("plimsoll", &binary().display().to_string(), 1);
    let written = Command::new("sh")
        .args(["-c", &command])
        .output()
        .expect("it runs");
    assert!(written.status.success(), "{}", text(&written.stderr));
    let documents = Documents::read(&text(&written.stdout)).expect("a document");
    let configuration = documents.configuration().expect("a configuration");
    configuration.policies[0].rule().expect("a policy");
}

#[test]
fn findings_are_told_to_people() {
    let judged = policy(&["lint", "docs/guide/example.json"]);
    let said = text(&judged.stdout);
    assert_eq!(judged.status.code(), Some(1), "{said}");
    let first = said.lines().next().unwrap_or_default();
    assert!(first.starts_with("docs/guide/example.json:"), "{first}");
    assert!(
        first.contains("error[unknown-predefined-metric]"),
        "{first}"
    );
    assert!(
        said.contains(
            "\"SageMakerVariantUtilization\" does not exist for SageMaker. There is none for CPU."
        ),
        "{said}"
    );
    assert!(said.contains("instead: "), "{said}");
    assert!(said.trim_end().ends_with("in 1 document"), "{said}");
    // What is only good to know does not fail, unless it is asked to.
    let quiet = "tests/data/lint/slow-reaction/fails.json";
    assert_eq!(policy(&["lint", quiet]).status.code(), Some(0));
    assert_eq!(
        policy(&["lint", "--fail-on", "note", quiet]).status.code(),
        Some(1)
    );
    let warned = "tests/data/lint/cpu-scale/fails.json";
    assert_eq!(
        policy(&["lint", "--fail-on", "error", warned])
            .status
            .code(),
        Some(0)
    );
}

#[test]
fn findings_are_told_to_code_scanners() {
    let judged = policy(&[
        "lint",
        "--format",
        "sarif",
        "docs/guide/example.json",
        "docs/guide/cpu.json",
    ]);
    assert_eq!(judged.status.code(), Some(1));
    let log: Value = serde_json::from_slice(&judged.stdout).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), RULES.len());
    let results = run["results"].as_array().expect("results");
    assert!(results.len() >= 2);
    for result in results {
        let index = result["ruleIndex"].as_u64().expect("an index") as usize;
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"]
            .as_str()
            .is_some_and(|uri| uri.starts_with("docs/guide/")));
        assert!(
            place["region"]["startLine"]
                .as_u64()
                .is_some_and(|line| line > 0),
            "{result}"
        );
        assert!(
            ["note", "warning", "error"].contains(&result["level"].as_str().unwrap_or_default())
        );
    }
    let judged = policy(&["lint", "--format", "json", "docs/guide/example.json"]);
    let list: Value = serde_json::from_slice(&judged.stdout).expect("JSON");
    assert_eq!(list[0]["rule"], "unknown-predefined-metric");
}

#[test]
fn rules_are_explained() {
    let explained = policy(&["lint", "--explain", "bounded-metric"]);
    assert!(explained.status.success());
    assert!(
        text(&explained.stdout).contains("Why: The new capacity is capacity × metric ÷ target.")
    );
    let listed = text(&policy(&["lint", "--rules"]).stdout);
    assert_eq!(listed.lines().count(), RULES.len());
    let unknown = policy(&["lint", "--explain", "cpu-scal"]);
    assert_eq!(unknown.status.code(), Some(64));
    assert!(text(&unknown.stderr).contains("did you mean cpu-scale?"));
}

#[test]
fn what_cannot_be_read_is_one_sentence_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let large = [b"Resources:\n  A: ".as_slice(), &vec![b'x'; 10 << 20]].concat();
    for (name, content, expected) in [
        (
            "half.json",
            b"{\"PolicyName\": \"a\"".as_slice(),
            "EOF while parsing",
        ),
        (
            "half.yaml",
            b"Resources:\n  A:\n    Type: AWS::ApplicationAutoScaling::ScalingPolicy\n",
            "the template may be cut off",
        ),
        (
            "large.yaml",
            &large,
            "10.0 MB of YAML; expected 4 MB at most",
        ),
        ("bytes.json", &[0xff, 0xfe, 0x00], "is no UTF-8"),
        ("empty.json", b"", "is empty"),
        (
            "other.yaml",
            b"Resources:\n  A:\n    Type: AWS::S3::Bucket\n",
            "nothing in it scales",
        ),
        (
            "main.tf",
            b"resource \"aws_appautoscaling_policy\" \"p\" {}\n",
            "terraform show -json",
        ),
    ] {
        let path = file(name, content);
        let judged = policy(&["lint", &path]);
        let said = text(&judged.stderr);
        assert_eq!(judged.status.code(), Some(64), "{name}: {said}");
        assert_eq!(said.lines().count(), 1, "{name}: {said}");
        assert!(
            said.contains(expected) && said.contains(name),
            "{name}: {said}"
        );
    }
    let missing = policy(&["lint", "there/is/none.json"]);
    assert_eq!(missing.status.code(), Some(64));
    assert!(text(&missing.stderr).contains("there/is/none.json: cannot be read"));
}

#[test]
fn several_files_are_one_set_up_where_that_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let good: Value = serde_json::from_str(&fixture(RULES[0], "passes")).expect("JSON");
    let mut files = Vec::new();
    for (name, part) in [
        ("target.json", &good["target"]),
        ("load.json", &good["policies"][0]),
        ("guard.json", &good["policies"][1]),
        ("alarm.json", &good["alarms"][0]),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, part.to_string()).expect("a file");
        files.push(path.display().to_string());
    }
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let together = policy(
        &[
            &["lint", "--together", "--fail-on", "note"],
            files.as_slice(),
        ]
        .concat(),
    );
    assert!(together.status.success(), "{}", text(&together.stdout));
    let without_alarm = policy(&[&["lint", "--together"], &files[..3]].concat());
    let said = text(&without_alarm.stdout);
    assert!(said.contains("step-without-alarm"), "{said}");
    assert!(said.contains("guard.json"), "{said}");
}

#[test]
fn a_foreign_document_is_simulated_as_it_stands() {
    let folder = tempfile::tempdir().expect("a folder");
    let profile = folder.path().join("profile.json");
    let of_instance = r#"{"slots": 2, "classes": [{"name": "all", "share": 1, "mean_ms": 400}]}"#;
    std::fs::write(&profile, of_instance).expect("a file");
    let template = root().join("tests/data/lint/published-elsewhere/passes.json");
    let simulated = Command::new(binary())
        .args([
            "simulate", "--slo-ms", "2000", "--phases", "1", "--seeds", "1", "--mode", "fluid",
        ])
        .arg("--trace")
        .arg(root().join("cli/src/simulate/demo/trace.csv"))
        .arg("--profile")
        .arg(&profile)
        .arg("--policy")
        .arg(template)
        .output()
        .expect("it runs");
    let said = text(&simulated.stdout);
    assert!(
        matches!(simulated.status.code(), Some(0 | 1)),
        "{said}{}",
        text(&simulated.stderr)
    );
    assert!(said.contains("passes"), "{said}");
}
