//! `plimsoll policy write`: what it writes is what AWS takes, in every form, judged by real parts.
//!
//! The calls of the AWS CLI are held against botocore's service models, the boto3 program runs as it is
//! against moto, the template goes through cfn-lint, Terraform's JSON through the provider's schema, and all
//! forms are read back as the same configuration.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use scaling::document::Documents;
use scaling::known::{self, Known};
use scaling::policy::{Dimension, ScalingPolicy, PREDEFINED};
use scaling::simulate::Configuration;
use serde_json::{json, Value};
use tempfile::TempDir;

use crate::support::server::binary;
use crate::support::{prepared, root};

/// Something that somebody wants, and what the configuration must say for it.
struct Wish {
    name: &'static str,
    arguments: Vec<String>,
    /// JSON pointers into the configuration, and what stands there.
    says: Vec<(String, Value)>,
}

const WISHES: &str = include_str!("../data/policy_write/wishes.txt");
const REFUSED: &str = include_str!("../data/policy_write/refused.txt");

/// Lines that say something.
fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    let is_text = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
    text.lines().filter(is_text)
}

fn wishes() -> Vec<Wish> {
    let mut all: Vec<Wish> = Vec::new();
    for line in lines(WISHES) {
        if !line.starts_with(' ') {
            all.push(Wish {
                name: line,
                arguments: Vec::new(),
                says: Vec::new(),
            });
            continue;
        }
        let wish = all.last_mut().expect("a name first");
        if let Some(command) = line.trim().strip_prefix("$ ") {
            wish.arguments = words(command);
            continue;
        }
        let (pointer, expected) = line.trim().split_once(" = ").expect("a pointer = JSON");
        let pointer = match pointer.starts_with('/') {
            true => pointer.to_owned(),
            false => {
                format!("/policies/0/TargetTrackingScalingPolicyConfiguration/{pointer}")
            }
        };
        let expected = serde_json::from_str(expected).expect("JSON");
        wish.says.push((pointer, expected));
    }
    all
}

/// A command line's words: single quotes hold blanks.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in command.replace("\\n", "\n").chars() {
        match letter {
            '\'' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            _ => words.last_mut().expect("one").push(letter),
        }
    }
    words
}

#[test]
fn words_are_split_as_a_shell_does() {
    let expected = ["--a", "", "b c", "d\ne"];
    assert_eq!(words("--a '' 'b c' d\\ne"), expected);
    assert_eq!(wishes().len(), WISHES.matches("$ ").count());
}

fn write<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    Command::new(binary())
        .args(["policy", "write"])
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("plimsoll runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Every wish in one format, each in a folder of its name.
fn written(format: &str) -> (TempDir, Vec<PathBuf>) {
    let home = tempfile::tempdir().expect("a folder");
    let folders = wishes().into_iter().map(|wish| {
        let folder = home.path().join(wish.name);
        let mut words = wish.arguments;
        words.extend(["--format".to_owned(), format.to_owned()]);
        words.extend(["--out".to_owned(), folder.display().to_string()]);
        let output = write(words);
        let why = text(&output.stderr);
        assert!(output.status.success(), "{} as {format}: {why}", wish.name);
        folder
    });
    let folders = folders.collect();
    (home, folders)
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// What a wish is, as `plimsoll policy write` says it on stdout.
fn configuration(wish: &Wish) -> Configuration {
    let output = write(&wish.arguments);
    assert!(
        output.status.success(),
        "{}: {}",
        wish.name,
        text(&output.stderr)
    );
    Configuration::parse(&text(&output.stdout))
        .unwrap_or_else(|error| panic!("{}: {error}", wish.name))
}

/// A script of `tests/support` with packages of the store.
fn python(script: &Path, packages: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .arg(script)
        .env("PYTHONPATH", prepared(packages))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn support(script: &str) -> PathBuf {
    root().join("tests/support").join(script)
}

/// Runs a judge, which says what is wrong.
fn judged(command: &mut Command) -> String {
    let output = command.output().expect("python3 runs");
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "\n{said}");
    said
}

#[test]
fn every_wish_becomes_what_it_says() {
    for wish in wishes() {
        let output = write(&wish.arguments);
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(!wish.says.is_empty(), "{}", wish.name);
        for (pointer, expected) in &wish.says {
            let found = found.pointer(pointer).unwrap_or(&Value::Null);
            let is_same = holds(found, expected) && holds(expected, found);
            assert!(is_same, "{}: {pointer}: {found}", wish.name);
        }
    }
}

#[test]
fn the_calls_are_those_of_the_service_models() {
    let (_home, folders) = written("aws-cli");
    judged(python(&support("check_documents.py"), "python-cloudwatch").args(&folders));
    // The judge judges: a change that AWS would refuse is found.
    let file = folders[0].join("register-scalable-target.json");
    let broken = read(&file).replace("\"MinCapacity\": 1", "\"MinCapacity\": 9");
    std::fs::write(&file, broken).expect("a file");
    let mut judge = python(&support("check_documents.py"), "python-cloudwatch");
    let output = judge.arg(&folders[0]).output().expect("python3 runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("MinCapacity: 9 is above MaxCapacity, 8"));
}

#[test]
fn the_template_is_clean() {
    let (_home, folders) = written("cloudformation");
    let script = prepared("python-cfn-lint").join("bin/cfn-lint");
    let files = folders.iter().map(|folder| folder.join("scaling.yaml"));
    let said = judged(
        python(&script, "python-cfn-lint")
            .args(["--regions", "eu-west-1", "--include-checks", "I"])
            .args(["--non-zero-exit-code", "informational", "--template"])
            .args(files),
    );
    assert_eq!(said, "");
}

#[test]
fn terraform_takes_its_json_by_the_providers_schema() {
    let (_home, folders) = written("terraform");
    let files = folders.iter().map(|folder| folder.join("scaling.tf.json"));
    judged(python(&support("check_terraform.py"), "python-cloudwatch").args(files));
}

/// Whether everything that was put is there; AWS adds what it knows besides.
fn holds(found: &Value, put: &Value) -> bool {
    match (found, put) {
        (Value::Object(found), Value::Object(put)) => put
            .iter()
            .all(|(name, put)| found.get(name).is_some_and(|found| holds(found, put))),
        (Value::Array(found), Value::Array(put)) => {
            found.len() == put.len() && found.iter().zip(put).all(|(found, put)| holds(found, put))
        }
        (Value::Number(found), Value::Number(put)) => found.as_f64() == put.as_f64(),
        _ => found == put,
    }
}

/// Each that was put is there, by its name, and none besides.
fn same(wish: &str, found: &Value, put: &Value, name: &str) {
    let (found, put) = (found.as_array(), put.as_array());
    let (found, put) = (found.expect("a list"), put.expect("a list"));
    assert_eq!(found.len(), put.len(), "{wish}: {found:#?}");
    for put in put {
        let there = found.iter().find(|one| one[name] == put[name]);
        let there = there.unwrap_or_else(|| panic!("{wish}: {} is missing", put[name]));
        assert!(holds(there, put), "{wish}: {there:#} is not {put:#}");
    }
}

#[test]
fn the_program_runs_as_it_is_and_leaves_what_was_wished() {
    let (_home, folders) = written("boto3");
    let mut run = python(&support("run_boto3.py"), "python-cloudwatch");
    let output = run.args(&folders).output().expect("python3 runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for (wish, folder) in wishes().into_iter().zip(&folders) {
        let found = &found[folder.display().to_string()];
        let put = serde_json::to_value(configuration(&wish)).expect("JSON");
        let none = json!([]);
        let of = |kind: &str| put.get(kind).unwrap_or(&none).clone();
        let name = wish.name;
        same(
            name,
            &found["targets"],
            &json!([put["target"]]),
            "ResourceId",
        );
        same(name, &found["policies"], &of("policies"), "PolicyName");
        let actions = of("scheduled_actions");
        same(
            name,
            &found["scheduled_actions"],
            &actions,
            "ScheduledActionName",
        );
        // An alarm calls its policy by the ARN that AWS gave it.
        let arn = |policy: &Value| {
            let mut there = found["policies"].as_array().into_iter().flatten();
            let there = there.find(|one| one["PolicyName"] == *policy);
            there.expect("the policy")["PolicyARN"].clone()
        };
        let mut alarms = of("alarms");
        for alarm in alarms.as_array_mut().into_iter().flatten() {
            let actions = alarm["AlarmActions"].as_array().expect("actions");
            alarm["AlarmActions"] = actions.iter().map(arn).collect();
        }
        same(name, &found["alarms"], &alarms, "AlarmName");
    }
}

/// Without what a form has by reference, and in an order.
fn plain(mut configuration: Configuration) -> Configuration {
    for policy in &mut configuration.policies {
        policy.service_namespace = None;
        policy.resource_id = None;
        policy.scalable_dimension = None;
        for list in dimensions_of(policy) {
            list.sort_by(|one, other| one.name.cmp(&other.name));
        }
    }
    for action in &mut configuration.scheduled_actions {
        action.service_namespace = None;
        action.resource_id = None;
        action.scalable_dimension = None;
    }
    for alarm in &mut configuration.alarms {
        alarm
            .dimensions
            .sort_by(|one, other| one.name.cmp(&other.name));
    }
    let Configuration {
        policies,
        alarms,
        scheduled_actions,
        ..
    } = &mut configuration;
    policies.sort_by(|one, other| one.policy_name.cmp(&other.policy_name));
    alarms.sort_by(|one, other| one.alarm_name.cmp(&other.alarm_name));
    scheduled_actions
        .sort_by(|one, other| one.scheduled_action_name.cmp(&other.scheduled_action_name));
    configuration
}

fn dimensions_of(policy: &mut ScalingPolicy) -> Vec<&mut Vec<Dimension>> {
    let tracking = policy.target_tracking.as_mut();
    let Some(customized) = tracking.and_then(|tracking| tracking.customized.as_mut()) else {
        return Vec::new();
    };
    let queried = customized.metrics.iter_mut();
    let queried =
        queried.filter_map(|query| Some(&mut query.metric_stat.as_mut()?.metric.dimensions));
    std::iter::once(&mut customized.dimensions)
        .chain(queried)
        .collect()
}

#[test]
fn every_form_is_read_back_as_the_same() {
    let wishes = wishes().into_iter();
    let expected: Vec<Configuration> = wishes.map(|wish| plain(configuration(&wish))).collect();
    for (format, file) in [
        ("configuration", "scaling.json"),
        ("cloudformation", "scaling.yaml"),
        ("terraform", "scaling.tf.json"),
    ] {
        let (_home, folders) = written(format);
        for (folder, expected) in folders.iter().zip(&expected) {
            let file = folder.join(file);
            let found = Documents::read(&read(&file)).and_then(|read| read.configuration());
            let found = found.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert_eq!(plain(found), *expected, "{}", file.display());
        }
    }
    // The calls one by one; what an alarm calls is known when the policy is there.
    let (_home, folders) = written("aws-cli");
    for (folder, expected) in folders.iter().zip(&expected) {
        let mut documents = Documents::default();
        let files = std::fs::read_dir(folder).expect("a folder").flatten();
        for file in files.map(|entry| entry.path()) {
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name.starts_with("put-") || name.starts_with("register-") {
                let read = Documents::read(&read(&file));
                documents.join(read.unwrap_or_else(|error| panic!("{name}: {error}")));
            }
        }
        assert_eq!(
            documents.alarms.len(),
            expected.alarms.len(),
            "{}",
            folder.display()
        );
        let mut found = documents.configuration().expect("a configuration");
        found.alarms.clone_from(&expected.alarms);
        assert_eq!(plain(found), *expected, "{}", folder.display());
    }
}

/// A metric that a configuration names: namespace, name, dimensions, statistic, unit and period.
struct Named {
    namespace: String,
    name: String,
    dimensions: Vec<Dimension>,
    statistic: String,
    unit: Option<String>,
    period: u64,
}

/// Every metric that is named, but for the predefined ones.
fn named(configuration: &Configuration) -> Vec<Named> {
    let mut all = Vec::new();
    for policy in &configuration.policies {
        let customized = policy
            .target_tracking
            .as_ref()
            .and_then(|one| one.customized.as_ref());
        let Some(customized) = customized else {
            continue;
        };
        if let Some(name) = &customized.metric_name {
            all.push(Named {
                namespace: customized.namespace.clone().expect("a namespace"),
                name: name.clone(),
                dimensions: customized.dimensions.clone(),
                statistic: customized.statistic.clone().expect("a statistic"),
                unit: customized.unit.clone(),
                period: 60,
            });
        }
        for stat in customized
            .metrics
            .iter()
            .filter_map(|query| query.metric_stat.as_ref())
        {
            all.push(Named {
                namespace: stat.metric.namespace.clone().expect("a namespace"),
                name: stat.metric.name.clone(),
                dimensions: stat.metric.dimensions.clone(),
                statistic: stat.stat.clone(),
                unit: stat.unit.clone(),
                period: 60,
            });
        }
    }
    for alarm in &configuration.alarms {
        all.push(Named {
            namespace: alarm.namespace.clone().expect("a namespace"),
            name: alarm.metric_name.clone().expect("a metric"),
            dimensions: alarm.dimensions.clone(),
            statistic: alarm.statistic.clone().expect("a statistic"),
            unit: alarm.unit.clone(),
            period: alarm.period.expect("a period"),
        });
    }
    all
}

/// What a dimension must be for the resource that is scaled.
fn dimension_value<'c>(configuration: &'c Configuration, name: &str) -> Option<&'c str> {
    let resource = configuration.target.resource_id.as_deref()?;
    let parts: Vec<&str> = resource.split('/').collect();
    match (name, parts.as_slice()) {
        ("EndpointName", [_, endpoint, ..]) => Some(endpoint),
        ("VariantName", [_, _, _, variant]) => Some(variant),
        ("InferenceComponentName", [_, component]) => Some(component),
        ("ContainerName", _) => Some("first"),
        _ => None,
    }
}

#[test]
fn every_metric_is_named_as_it_is_published() {
    for wish in wishes() {
        let configuration = configuration(&wish);
        let metrics = named(&configuration);
        for metric in &metrics {
            let Known {
                unit,
                statistics,
                resolution,
                dimensions,
                ..
            } = known::find(&metric.namespace, &metric.name)
                .unwrap_or_else(|| panic!("{}: {}", wish.name, metric.name));
            let what = format!("{}: {}", wish.name, metric.name);
            let names: Vec<&str> = metric
                .dimensions
                .iter()
                .map(|one| one.name.as_str())
                .collect();
            assert!(dimensions.contains(&names.as_slice()), "{what}: {names:?}");
            for dimension in &metric.dimensions {
                let expected = dimension_value(&configuration, &dimension.name);
                assert_eq!(Some(dimension.value.as_str()), expected, "{what}");
            }
            let is_known = statistics.is_empty() || statistics.contains(&metric.statistic.as_str());
            assert!(is_known, "{what}: {}", metric.statistic);
            assert!(
                metric.unit.as_deref().is_none_or(|given| given == unit),
                "{what}: {:?}",
                metric.unit
            );
            assert_eq!(metric.period % resolution, 0, "{what}: {} s", metric.period);
        }
        let predefined = configuration.policies.iter().filter_map(|policy| {
            let tracking = policy.target_tracking.as_ref()?;
            Some(&tracking.predefined.as_ref()?.predefined_metric_type)
        });
        for name in predefined {
            assert!(PREDEFINED.iter().any(|known| known.name == *name), "{name}");
        }
        let are_customized = configuration.policies.iter().filter(|policy| {
            let tracking = policy.target_tracking.as_ref();
            tracking.is_some_and(|tracking| tracking.customized.is_some())
        });
        let alarms = configuration.alarms.len();
        assert!(
            metrics.len() >= are_customized.count() + alarms,
            "{}",
            wish.name
        );
    }
}

#[test]
fn the_permission_goes_with_the_containers_own_metrics() {
    let (_home, folders) = written("configuration");
    for (wish, folder) in wishes().into_iter().zip(&folders) {
        let ours = named(&configuration(&wish));
        let ours = ours.iter().find(|metric| !known::is_aws(&metric.namespace));
        let file = folder.join("container-permissions.json");
        assert_eq!(file.exists(), ours.is_some(), "{}", wish.name);
        if let Some(ours) = ours {
            let found: Value = serde_json::from_str(&read(&file)).expect("JSON");
            let expected = json!({"StringEquals": {"cloudwatch:namespace": ours.namespace}});
            assert_eq!(
                found["Statement"][0]["Condition"], expected,
                "{}",
                wish.name
            );
        }
    }
}

#[test]
fn what_the_container_must_be_told_stands_in_every_document_for_people() {
    let wish = wishes().into_iter().find(|wish| wish.name == "container");
    let wish = wish.expect("the wish");
    for format in ["boto3", "cloudformation", "terraform"] {
        let mut words = wish.arguments.clone();
        words.extend(["--format".to_owned(), format.to_owned()]);
        let output = write(words);
        let document = text(&output.stdout);
        for needed in [
            "PLIMSOLL_NAMESPACE=Plimsoll",
            "PLIMSOLL_ENDPOINT_NAME=shop-1",
            "PLIMSOLL_VARIANT_NAME=AllTraffic",
            "PLIMSOLL_CONTAINER_NAME=first",
            "cloudwatch:PutMetricData",
        ] {
            assert!(document.contains(needed), "{format}: {needed}");
        }
    }
}

/// Exit status 64, a sentence with these words, no panic, and nothing written.
fn refused(command: &str, expected: &str) {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("out");
    let mut words = words(command);
    words.extend(["--out".to_owned(), folder.display().to_string()]);
    let output = write(&words);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{words:?}: {said}");
    assert!(
        said.contains(expected),
        "{words:?}: {said}\nlacks {expected}"
    );
    assert!(
        output.stdout.is_empty(),
        "{words:?}: {}",
        text(&output.stdout)
    );
    assert!(!folder.exists(), "{words:?} is written");
    // One sentence for each thing that is wrong, or the command line's own message with its hints.
    let is_command_line = said.starts_with("error: ");
    let is_ours = said
        .lines()
        .all(|line| line.starts_with("plimsoll policy: "));
    assert!(is_command_line || is_ours, "{words:?}: {said}");
    assert!(!said.contains("panicked"), "{words:?}: {said}");
}

#[test]
fn what_makes_no_sense_is_refused_and_nothing_is_written() {
    let mut command = "";
    for line in lines(REFUSED) {
        match line.strip_prefix("$ ") {
            Some(next) => command = next,
            None => refused(command, line.trim()),
        }
    }
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("file");
    std::fs::write(&file, "mine").expect("a file");
    let path = file.display().to_string();
    let said = |more: &[&str]| {
        let wish = "--endpoint shop-1 --min 1 --max 8 --metric OfferedLoad --target 70";
        let mut words = words(wish);
        words.extend(more.iter().map(|word| (*word).to_owned()));
        let output = write(words);
        assert_eq!(output.status.code(), Some(64), "{more:?}");
        assert!(output.stdout.is_empty());
        text(&output.stderr)
    };
    let expected = format!("plimsoll policy: {path}: is a file; expected a folder\n");
    assert_eq!(said(&["--out", &path]), expected);
    assert_eq!(read(&file), "mine");
    assert_eq!(
        said(&["--format", "aws-cli"]),
        "plimsoll policy: --format aws-cli writes a file for each call; expected --out FOLDER\n"
    );
}
