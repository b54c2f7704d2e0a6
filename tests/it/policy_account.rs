//! `plimsoll policy apply` and `plimsoll policy show`, against moto's Application Auto Scaling and
//! CloudWatch: what comes to stand there is read back with boto3.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{json, Value};

use crate::support::server::binary;
use crate::support::CloudWatch;

const SCALING: &str = "application-autoscaling";
const RESOURCE: &str = "endpoint/e/variant/AllTraffic";
const DIMENSION: &str = "sagemaker:variant:DesiredInstanceCount";
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:topic";

/// A target with a tracking policy, a guard with its alarm, and a scheduled action.
fn document() -> Value {
    let dimensions = json!([
        {"Name": "EndpointName", "Value": "e"},
        {"Name": "VariantName", "Value": "AllTraffic"},
    ]);
    json!({
        "target": {
            "ServiceNamespace": "sagemaker", "ResourceId": RESOURCE, "ScalableDimension": DIMENSION,
            "MinCapacity": 1, "MaxCapacity": 8,
        },
        "policies": [
            {"PolicyName": "track", "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": 60,
                "CustomizedMetricSpecification": {
                    "Namespace": "Plimsoll", "MetricName": "OfferedLoad", "Statistic": "Average",
                    "Dimensions": dimensions,
                },
                "ScaleOutCooldown": 60,
            }},
            {"PolicyName": "guard", "PolicyType": "StepScaling", "StepScalingPolicyConfiguration": {
                "AdjustmentType": "PercentChangeInCapacity", "MinAdjustmentMagnitude": 1, "Cooldown": 120,
                "StepAdjustments": [
                    {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 40, "ScalingAdjustment": 30},
                    {"MetricIntervalLowerBound": 40, "ScalingAdjustment": 100},
                ],
            }},
        ],
        "alarms": [{
            "AlarmName": "guard", "Namespace": "Plimsoll", "MetricName": "OfferedLoad", "Statistic": "Average",
            "Dimensions": dimensions, "Period": 10, "EvaluationPeriods": 3, "DatapointsToAlarm": 3, "Threshold": 130,
            "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "notBreaching",
            "AlarmActions": ["guard"],
        }],
        "scheduled_actions": [
            {
                "ScheduledActionName": "morning", "Schedule": "cron(0 8 ? * MON-FRI *)",
                "Timezone": "Europe/Berlin", "ScalableTargetAction": {"MinCapacity": 3},
            },
            {
                "ScheduledActionName": "evening", "Schedule": "cron(0 20 ? * MON-FRI *)",
                "Timezone": "Europe/Berlin", "ScalableTargetAction": {"MinCapacity": 1},
            },
        ],
    })
}

/// A document in a file.
struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn of(document: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("scaling.json");
        std::fs::write(&path, document.to_string()).expect("it is written");
        Self {
            _folder: folder,
            path,
        }
    }

    fn name(&self) -> &str {
        self.path.to_str().expect("UTF-8")
    }
}

/// The environment of a caller whose AWS is the stand-in.
fn environment(url: &str) -> Vec<(&str, &str)> {
    vec![
        ("AWS_ENDPOINT_URL", url),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]
}

/// `plimsoll policy …`, without a terminal.
fn policy_in(environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(binary())
        .arg("policy")
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("plimsoll runs")
}

fn policy(account: &CloudWatch, arguments: &[&str]) -> Output {
    policy_in(&environment(&account.url), arguments)
}

fn apply(account: &CloudWatch, document: &Value) -> Output {
    let file = File::of(document);
    policy(account, &["apply", file.name(), "--yes"])
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Its standard output, where it left with this status.
fn left_with(status: i32, output: &Output) -> String {
    let (out, err) = (stdout(output), stderr(output));
    assert_eq!(output.status.code(), Some(status), "{out}\n{err}");
    out
}

/// What it complains of, where it left with this status.
fn complained(status: i32, output: &Output) -> String {
    left_with(status, output);
    stderr(output)
}

/// What stands, as boto3 reads it: targets, policies, alarms, scheduled actions.
struct Stands {
    targets: Value,
    policies: Value,
    alarms: Value,
    scheduled: Value,
}

fn stands(account: &CloudWatch) -> Stands {
    let service = json!({"ServiceNamespace": "sagemaker"});
    let mut answers = account.calls(&[
        (SCALING, "describe_scalable_targets", service.clone()),
        (SCALING, "describe_scaling_policies", service.clone()),
        ("cloudwatch", "describe_alarms", json!({})),
        (SCALING, "describe_scheduled_actions", service),
    ]);
    let mut take = |name: &str| answers.remove(0)[name].take();
    Stands {
        targets: take("ScalableTargets"),
        policies: take("ScalingPolicies"),
        alarms: take("MetricAlarms"),
        scheduled: take("ScheduledActions"),
    }
}

/// The element of this name.
fn named<'v>(list: &'v Value, member: &str, name: &str) -> &'v Value {
    let mut elements = list.as_array().expect("a list").iter();
    elements
        .find(|one| one[member] == name)
        .unwrap_or_else(|| panic!("{name} in {list:#}"))
}

/// Every member of `wanted` is in `found`, with the same value; numbers count as numbers.
fn has(found: &Value, wanted: &Value) {
    match wanted {
        Value::Object(members) => members
            .iter()
            .for_each(|(name, value)| has(&found[name], value)),
        Value::Array(values) => {
            assert_eq!(
                found.as_array().map(Vec::len),
                Some(values.len()),
                "{found} for {wanted}"
            );
            values
                .iter()
                .enumerate()
                .for_each(|(at, value)| has(&found[at], value));
        }
        Value::Number(_) => assert_eq!(found.as_f64(), wanted.as_f64()),
        _ => assert_eq!(found, wanted),
    }
}

/// Operations that change something, so far.
fn writes(account: &CloudWatch) -> Vec<String> {
    let captured = account.captured();
    let names = captured["operations"].as_array().expect("a list").iter();
    let names = names.map(|name| name.as_str().expect("a name").to_owned());
    names
        .filter(|name| name.starts_with("Put") || name.starts_with("Register"))
        .collect()
}

const ALL_WRITES: [&str; 6] = [
    "RegisterScalableTarget",
    "PutScalingPolicy",
    "PutScalingPolicy",
    "PutMetricAlarm",
    "PutScheduledAction",
    "PutScheduledAction",
];

#[test]
fn a_document_is_applied_and_then_there_is_nothing_to_do() {
    let account = CloudWatch::start();
    let wanted = document();
    let file = File::of(&wanted);
    let said = left_with(1, &policy(&account, &["apply", file.name(), "--dry-run"]));
    for line in [
        "eu-west-1: endpoint/e/variant/AllTraffic, sagemaker:variant:DesiredInstanceCount",
        "create  target endpoint/e/variant/AllTraffic",
        "create  policy track",
        "create  policy guard",
        "create  alarm guard",
        "create  scheduled action morning",
        "6 changes would be applied",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert_eq!(
        writes(&account),
        Vec::<String>::new(),
        "--dry-run changes nothing"
    );

    let said = left_with(0, &apply(&account, &wanted));
    assert!(
        said.contains("created target endpoint/e/variant/AllTraffic\ncreated policy track"),
        "{said}"
    );
    assert_eq!(writes(&account), ALL_WRITES);
    let stands_now = stands(&account);
    has(&stands_now.targets[0], &wanted["target"]);
    for policy in wanted["policies"].as_array().expect("policies") {
        let name = policy["PolicyName"].as_str().expect("a name");
        has(named(&stands_now.policies, "PolicyName", name), policy);
    }
    has(&stands_now.scheduled, &wanted["scheduled_actions"]);
    let mut alarm = wanted["alarms"][0].clone();
    alarm["AlarmActions"] =
        json!([named(&stands_now.policies, "PolicyName", "guard")["PolicyARN"]]);
    has(&stands_now.alarms[0], &alarm);

    let said = left_with(0, &apply(&account, &wanted));
    assert!(
        said.ends_with("nothing to do: what stands is what the document says\n"),
        "{said}"
    );
    assert_eq!(
        left_with(0, &policy(&account, &["apply", file.name(), "--dry-run"])),
        said
    );
    assert_eq!(writes(&account), ALL_WRITES, "nothing is put twice");
}

#[test]
fn an_update_shows_before_and_after_and_touches_nothing_else() {
    let account = CloudWatch::start();
    left_with(0, &apply(&account, &document()));
    let mut wanted = document();
    wanted["target"]["MaxCapacity"] = json!(12);
    wanted["policies"][0]["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] = json!(72.5);
    wanted["alarms"][0]["Threshold"] = json!(120);
    wanted["scheduled_actions"][0]["ScalableTargetAction"] =
        json!({"MinCapacity": 4, "MaxCapacity": 12});
    let said = left_with(0, &apply(&account, &wanted));
    for line in [
        "update  target endpoint/e/variant/AllTraffic\n            MaxCapacity: 8 → 12\n",
        "update  policy track\n            TargetTrackingScalingPolicyConfiguration.TargetValue: 60 → 72.5\n",
        "keep    policy guard\n",
        "update  alarm guard\n            Threshold: 130 → 120\n",
        "ScalableTargetAction.MinCapacity: 3 → 4\n",
        "ScalableTargetAction.MaxCapacity: nothing → 12\n",
        "updated alarm guard\n",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert_eq!(
        writes(&account).len(),
        ALL_WRITES.len() + 4,
        "the guard is as it was"
    );
    let stands_now = stands(&account);
    assert_eq!(stands_now.targets[0]["MaxCapacity"], 12);
    assert_eq!(stands_now.alarms[0]["Threshold"], 120.0);
    let track = named(&stands_now.policies, "PolicyName", "track");
    has(track, &wanted["policies"][0]);
    left_with(0, &apply(&account, &wanted));
    assert_eq!(writes(&account).len(), ALL_WRITES.len() + 4);
}

/// moto gives a policy another ARN when it is put again, as AWS does when one was deleted between.
#[test]
fn an_alarm_follows_its_policy() {
    let account = CloudWatch::start();
    left_with(0, &apply(&account, &document()));
    let mut wanted = document();
    wanted["policies"][1]["StepScalingPolicyConfiguration"]["Cooldown"] = json!(60);
    let said = left_with(0, &apply(&account, &wanted));
    assert!(
        said.contains("updated policy guard\nupdated alarm guard\n"),
        "{said}"
    );
    let stands_now = stands(&account);
    let arn = &named(&stands_now.policies, "PolicyName", "guard")["PolicyARN"];
    assert_eq!(stands_now.alarms[0]["AlarmActions"], json!([arn]));
    let said = left_with(0, &apply(&account, &wanted));
    assert!(said.contains("nothing to do"), "{said}");
}

/// A policy as somebody else would put it.
fn foreign(name: &str) -> Value {
    json!({
        "PolicyName": name, "PolicyType": "StepScaling",
        "ServiceNamespace": "sagemaker", "ResourceId": RESOURCE, "ScalableDimension": DIMENSION,
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    })
}

#[test]
fn what_others_made_is_left_alone() {
    let account = CloudWatch::start();
    left_with(0, &apply(&account, &document()));
    let policy_arn = account.calls(&[(SCALING, "put_scaling_policy", foreign("foreign"))])[0]
        ["PolicyARN"]
        .clone();
    let guard = stands(&account).alarms[0].clone();
    let arn = guard["AlarmActions"][0].clone();
    let alarm = |name: &str, actions: Value| {
        json!({
            "AlarmName": name, "Namespace": "AWS/SageMaker", "MetricName": "Invocations", "Statistic": "Sum",
            "Period": 60, "EvaluationPeriods": 1, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold",
            "AlarmActions": actions, "OKActions": [TOPIC],
        })
    };
    account.calls(&[
        ("cloudwatch", "put_metric_alarm", alarm("foreign", json!([policy_arn]))),
        ("cloudwatch", "put_metric_alarm", alarm("elsewhere", json!([TOPIC]))),
        // The guard's own alarm, to which somebody added a topic.
        ("cloudwatch", "put_metric_alarm", alarm("guard", json!([arn, TOPIC]))),
        (SCALING, "put_scheduled_action", json!({
            "ScheduledActionName": "foreign", "Schedule": "rate(1 day)",
            "ServiceNamespace": "sagemaker", "ResourceId": RESOURCE, "ScalableDimension": DIMENSION,
            "ScalableTargetAction": {"MaxCapacity": 20},
        })),
    ]);
    let said = left_with(0, &apply(&account, &document()));
    for line in [
        "update  alarm guard",
        "Namespace: \"AWS/SageMaker\" → \"Plimsoll\"",
        "left    policy foreign: stands and is not in the document; it is left alone",
        "left    alarm foreign: stands",
        "left    scheduled action foreign: stands",
        "left    action of alarm guard arn:aws:sns:eu-west-1:123456789012:topic: stands",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert!(!said.contains("elsewhere"), "{said}");
    let stands_now = stands(&account);
    has(
        named(&stands_now.policies, "PolicyName", "foreign"),
        &foreign("foreign"),
    );
    has(
        named(&stands_now.alarms, "AlarmName", "foreign"),
        &alarm("foreign", json!([policy_arn])),
    );
    let guard = named(&stands_now.alarms, "AlarmName", "guard");
    assert_eq!(guard["Namespace"], "Plimsoll");
    let actions: BTreeSet<&str> = guard["AlarmActions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(
        actions,
        BTreeSet::from([arn.as_str().expect("an ARN"), TOPIC])
    );
    assert_eq!(guard["OKActions"], json!([TOPIC]));
    named(&stands_now.scheduled, "ScheduledActionName", "foreign");
}

#[test]
fn every_page_of_what_stands_is_read() {
    let account = CloudWatch::start();
    left_with(0, &apply(&account, &document()));
    // moto gives a hundred at a time.
    let names: Vec<String> = (0..120).map(|at| format!("foreign-{at}")).collect();
    let puts: Vec<(&str, &str, Value)> = names
        .iter()
        .map(|name| (SCALING, "put_scaling_policy", foreign(name)))
        .collect();
    account.calls(&puts);
    let said = left_with(0, &apply(&account, &document()));
    for name in names {
        assert!(
            said.contains(&format!("left    policy {name}:")),
            "{name} in {said}"
        );
    }
}

#[test]
fn a_failure_in_the_middle_says_what_stands_and_what_was_not_tried() {
    let account = CloudWatch::start();
    account.fault_of("PutMetricAlarm", "denied");
    let output = apply(&account, &document());
    assert_eq!(
        complained(1, &output),
        "plimsoll policy: alarm guard failed: cloudwatch:PutMetricAlarm is denied (AccessDeniedException: \
         the caller may not perform this operation); expected credentials with this permission; applied before it: \
         target endpoint/e/variant/AllTraffic, policy track, policy guard; not tried: scheduled action morning, scheduled action evening\n"
    );
    assert!(
        stdout(&output).ends_with("created policy guard\n"),
        "{}",
        stdout(&output)
    );
    let stands_now = stands(&account);
    assert_eq!(stands_now.policies.as_array().map(Vec::len), Some(2));
    assert_eq!(
        (stands_now.alarms, stands_now.scheduled),
        (json!([]), json!([]))
    );
    account.fault_of("PutMetricAlarm", "ok");
    let said = left_with(0, &apply(&account, &document()));
    assert!(
        said.contains("keep    policy guard\n  create  alarm guard"),
        "{said}"
    );
    assert!(
        said.ends_with("created alarm guard\ncreated scheduled action morning\ncreated scheduled action evening\n"),
        "{said}"
    );
}

#[test]
fn each_refusal_is_one_sentence_with_awss_own_words() {
    let account = CloudWatch::start();
    let cases = [
        (
            "denied",
            "application-autoscaling:RegisterScalableTarget is denied (AccessDeniedException: the caller may not \
             perform this operation)",
        ),
        ("throttle", "application-autoscaling:RegisterScalableTarget is throttled (ThrottlingException: Rate exceeded), also when tried again"),
        ("invalid", "application-autoscaling:RegisterScalableTarget is refused (ValidationException: the service stand-in was told to refuse)"),
        ("expired", "AWS does not accept the credentials (ExpiredTokenException: The security token included in the request is expired)"),
        ("skewed", "AWS does not accept the time of the signature (InvalidSignatureException: Signature expired"),
        ("500", "application-autoscaling:RegisterScalableTarget failed at AWS (InternalServiceFault: the service stand-in was told to fail); it may have been done"),
    ];
    for (mode, expected) in cases {
        account.fault_of("RegisterScalableTarget", mode);
        let said = complained(1, &apply(&account, &document()));
        assert!(said.contains(expected), "{mode}: {said}");
        assert!(
            said.contains("applied before it: nothing; not tried: policy track, policy guard,"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let tries = writes(&account).len();
    assert!(
        tries > cases.len(),
        "what is throttled is tried again: {tries}"
    );
    assert_eq!(stands(&account).targets, json!([]));
}

#[test]
fn what_cannot_be_read_stops_before_anything_is_put() {
    let account = CloudWatch::start();
    account.fault_of("DescribeAlarms", "denied");
    let said = complained(1, &apply(&account, &document()));
    assert!(
        said.starts_with("plimsoll policy: cloudwatch:DescribeAlarms is denied"),
        "{said}"
    );
    assert_eq!(writes(&account), Vec::<String>::new());
}

#[test]
fn an_endpoint_that_hangs_is_given_up() {
    let account = CloudWatch::start();
    account.fault_of("DescribeScalableTargets", "hang");
    let begun = Instant::now();
    let said = complained(1, &apply(&account, &document()));
    let expected = "plimsoll policy: application-autoscaling:DescribeScalableTargets was not answered within 10 s\n";
    assert_eq!(said, expected);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn without_region_credentials_or_network_one_sentence_says_so() {
    let file = File::of(&document());
    let apply = ["apply", file.name(), "--yes"];
    let closed = "http://127.0.0.1:9";
    let without = |names: &[&str]| {
        let all = environment(closed).into_iter();
        all.filter(|(name, _)| !names.contains(name))
            .collect::<Vec<_>>()
    };
    let said = complained(1, &policy_in(&without(&["AWS_REGION"]), &apply));
    assert_eq!(
        said,
        "plimsoll policy: no AWS region is known: set AWS_REGION, name a profile that has one in AWS_PROFILE, \
         or say --region\n"
    );
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let said = complained(1, &policy_in(&without(&keys), &apply));
    assert!(
        said.starts_with("plimsoll policy: no AWS credentials are found ("),
        "{said}"
    );
    assert!(
        said.ends_with(
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile in AWS_PROFILE\n"
        ),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    let said = complained(1, &policy_in(&without(&[]), &apply));
    assert!(
        said.starts_with("plimsoll policy: application-autoscaling:DescribeScalableTargets cannot be asked: AWS's endpoint is not reached ("),
        "{said}"
    );
    // A region that is said goes before the environment's.
    let account = CloudWatch::start();
    let said = left_with(
        1,
        &policy(
            &account,
            &["apply", file.name(), "--dry-run", "--region", "us-east-2"],
        ),
    );
    assert!(said.starts_with("us-east-2: "), "{said}");
}

#[test]
fn without_a_terminal_nothing_is_applied_that_was_not_agreed_to() {
    let account = CloudWatch::start();
    let file = File::of(&document());
    let said = complained(64, &policy(&account, &["apply", file.name()]));
    assert_eq!(
        said,
        "plimsoll policy: there is no terminal to ask on; expected --yes to apply without asking, or --dry-run to look\n"
    );
    assert_eq!(account.captured()["operations"], json!([]));
}

/// `plimsoll policy apply FILE` on a terminal of its own, where somebody answers.
fn answered(account: &CloudWatch, file: &File, answer: &str) -> Output {
    const ON_A_TERMINAL: &str =
        "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let mut child = Command::new("python3")
        .args(["-c", ON_A_TERMINAL])
        .arg(binary())
        .args(["policy", "apply", file.name()])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .envs(environment(&account.url))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    use std::io::Write as _;
    let mut stdin = child.stdin.take().expect("piped");
    stdin
        .write_all(format!("{answer}\n").as_bytes())
        .expect("it reads");
    // An end of the input would be taken for the end of the terminal.
    let output = child.wait_with_output().expect("it ends");
    drop(stdin);
    output
}

#[test]
fn on_a_terminal_it_asks() {
    let account = CloudWatch::start();
    let file = File::of(&document());
    let said = left_with(1, &answered(&account, &file, "n"));
    assert!(said.contains("Apply these 6 changes? [y/N]"), "{said}");
    assert!(said.contains("nothing is applied"), "{said}");
    assert_eq!(writes(&account), Vec::<String>::new());
    let said = left_with(0, &answered(&account, &file, "y"));
    assert!(said.contains("created scheduled action morning"), "{said}");
    assert_eq!(writes(&account), ALL_WRITES);
}

#[test]
fn a_document_that_would_not_work_is_refused_before_aws_is_asked() {
    let account = CloudWatch::start();
    let mut backwards = document();
    backwards["target"]["MinCapacity"] = json!(9);
    let mut simulated = document();
    simulated["scheduled_actions"][0] = json!({
        "ScheduledActionName": "morning", "at": 60, "ScalableTargetAction": {"MinCapacity": 3},
    });
    let mut elsewhere = document();
    elsewhere["policies"][0]["ResourceId"] = json!("endpoint/other/variant/AllTraffic");
    let template = json!({"Resources": {
        "Target": {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": {
            "ServiceNamespace": "sagemaker", "ScalableDimension": DIMENSION, "MinCapacity": 1, "MaxCapacity": 2,
            "ResourceId": {"Fn::Sub": "endpoint/${Endpoint}/variant/AllTraffic"},
        }},
    }});
    for (document, expected) in [
        (backwards, "nothing is applied: it would not work"),
        (elsewhere, "endpoint/other/variant/AllTraffic"),
        (simulated, "Schedule"),
        (template, "endpoint/${Endpoint}/variant/AllTraffic is known only to the deployment; expected its value"),
    ] {
        let said = complained(64, &apply(&account, &document));
        assert!(said.contains(expected), "{expected} in {said}");
    }
    let said = complained(64, &policy(&account, &["apply", "/no/such/file", "--yes"]));
    assert!(said.contains("/no/such/file: cannot be read"), "{said}");
    assert_eq!(writes(&account), Vec::<String>::new());
}

/// What somebody's template says is applied with the actions that are nothing to a simulation.
#[test]
fn an_alarm_is_applied_with_all_whom_it_calls() {
    let account = CloudWatch::start();
    let mut wanted = document();
    wanted["alarms"][0]["AlarmActions"] = json!(["guard", TOPIC]);
    wanted["alarms"][0]["OKActions"] = json!([TOPIC]);
    left_with(0, &apply(&account, &wanted));
    let alarm = stands(&account).alarms[0].clone();
    assert_eq!(
        alarm["AlarmActions"].as_array().map(Vec::len),
        Some(2),
        "{alarm}"
    );
    assert_eq!(alarm["AlarmActions"][1], TOPIC);
    assert_eq!(alarm["OKActions"], json!([TOPIC]));
    let said = left_with(0, &apply(&account, &wanted));
    assert!(
        said.contains("nothing to do") && !said.contains("left "),
        "{said}"
    );
}

/// The long forms: metric math in a policy and in an alarm, a percentile, times, a suspended direction.
#[test]
fn every_member_comes_back_as_it_was_put() {
    let account = CloudWatch::start();
    let mut wanted = document();
    wanted["target"]["SuspendedState"] = json!({
        "DynamicScalingInSuspended": true, "DynamicScalingOutSuspended": false, "ScheduledScalingSuspended": false,
    });
    let dimensions = wanted["alarms"][0]["Dimensions"].clone();
    let metric =
        |name: &str| json!({"Namespace": "Plimsoll", "MetricName": name, "Dimensions": dimensions});
    let tracking = &mut wanted["policies"][0]["TargetTrackingScalingPolicyConfiguration"];
    tracking["DisableScaleIn"] = json!(true);
    tracking["CustomizedMetricSpecification"] = json!({"Metrics": [
        {"Id": "m1", "MetricStat": {"Metric": metric("Concurrency"), "Stat": "Average", "Unit": "Count"}, "ReturnData": false},
        {"Id": "m2", "MetricStat": {"Metric": metric("Invocations"), "Stat": "SampleCount"}, "ReturnData": false},
        {"Id": "e1", "Expression": "100 * FILL(m1, 0) / m2", "Label": "load", "ReturnData": true},
    ]});
    wanted["policies"][1]["StepScalingPolicyConfiguration"]["MetricAggregationType"] =
        json!("Maximum");
    let percentile = json!({
        "AlarmName": "slow", "AlarmDescription": "p99", "ActionsEnabled": false, "Namespace": "Plimsoll", "Dimensions": dimensions,
        "MetricName": "RequestLatency", "ExtendedStatistic": "p99", "Unit": "Microseconds", "Period": 60,
        "EvaluationPeriods": 5, "DatapointsToAlarm": 3, "Threshold": 2e6, "TreatMissingData": "ignore",
        "ComparisonOperator": "GreaterThanOrEqualToThreshold", "AlarmActions": ["guard"],
        "InsufficientDataActions": [TOPIC],
    });
    let math = json!({
        "AlarmName": "math", "EvaluationPeriods": 1, "Threshold": 1.5, "ComparisonOperator": "GreaterThanThreshold",
        "Metrics": [
            {"Id": "m1", "MetricStat": {"Metric": metric("Concurrency"), "Stat": "Maximum", "Period": 60}, "ReturnData": false},
            {"Id": "e1", "Expression": "m1 / 4", "ReturnData": true},
        ],
        "AlarmActions": ["guard"],
    });
    wanted["alarms"] = json!([percentile, math]);
    wanted["scheduled_actions"][0]["StartTime"] = json!("2037-01-31T08:00:00Z");
    wanted["scheduled_actions"][0]["EndTime"] = json!("2038-01-31T09:00:00+01:00");
    left_with(0, &apply(&account, &wanted));
    let stands_now = stands(&account);
    has(&stands_now.targets[0], &wanted["target"]);
    for policy in wanted["policies"].as_array().expect("policies") {
        let name = policy["PolicyName"].as_str().expect("a name");
        has(named(&stands_now.policies, "PolicyName", name), policy);
    }
    let guard = named(&stands_now.policies, "PolicyName", "guard")["PolicyARN"].clone();
    for mut alarm in [percentile, math] {
        alarm["AlarmActions"] = json!([guard]);
        let name = alarm["AlarmName"].as_str().expect("a name");
        has(named(&stands_now.alarms, "AlarmName", name), &alarm);
    }
    assert_eq!(
        stands_now.scheduled[0]["EndTime"],
        "2038-01-31T08:00:00+00:00"
    );
    let said = left_with(0, &apply(&account, &wanted));
    assert!(said.contains("nothing to do"), "{said}");
    let shown = left_with(0, &show(&account, &["--json"]));
    let said = left_with(
        0,
        &policy(
            &account,
            &[
                "apply",
                File::of(&serde_json::from_str(&shown).expect("JSON")).name(),
                "--dry-run",
            ],
        ),
    );
    assert!(said.contains("nothing to do"), "{said}");
}

fn show(account: &CloudWatch, more: &[&str]) -> Output {
    let arguments = [&["show", "--endpoint", "e"], more].concat();
    policy(account, &arguments)
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
}

/// A call of `put_metric_data` with one value and how often it came, so many minutes ago.
fn datum(
    namespace: &str,
    name: &str,
    endpoint: &str,
    minutes_ago: u64,
    value: f64,
    times: f64,
) -> (&'static str, &'static str, Value) {
    let at = now() / 60 * 60 - 60 * minutes_ago;
    let call = json!({"Namespace": namespace, "MetricData": [{
        "MetricName": name, "Timestamp": at, "Unit": "Percent", "Values": [value], "Counts": [times],
        "Dimensions": [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "AllTraffic"}],
    }]});
    ("cloudwatch", "put_metric_data", call)
}

#[test]
fn show_tells_what_stands_and_which_metrics_have_no_data() {
    let account = CloudWatch::start();
    left_with(0, &apply(&account, &document()));
    let said = left_with(0, &show(&account, &[]));
    for line in [
        "eu-west-1: endpoint/e/variant/AllTraffic, sagemaker:variant:DesiredInstanceCount\nMinCapacity 1, MaxCapacity 8\n",
        "keeps Average of Plimsoll OfferedLoad {EndpointName=e, VariantName=AllTraffic} at 60; cooldowns 60 s out, 300 s in\n",
        "steps beyond the threshold 0..40: +30 %, 40..: +100 %; cooldown 120 s\n",
        "> 130, 3 of 3 datapoints of 10 s\n",
        "morning: cron(0 8 ? * MON-FRI *) Europe/Berlin sets 3..\n",
        "60 s (of policy track)\n    no data: no metric has this name in this namespace\n",
        "10 s (of alarm guard)\n    no data: no metric has this name in this namespace\n",
        // moto has none.
        "not read\n  activities: application-autoscaling:DescribeScalingActivities is refused (UnknownOperationException: \
         moto has no DescribeScalingActivities)\n",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    account.calls(&[
        datum("Plimsoll", "OfferedLoad", "other", 3, 50.0, 60.0),
        datum("Plimsoll", "Concurrency", "e", 3, 50.0, 60.0),
    ]);
    let said = left_with(0, &show(&account, &[]));
    let expected = "no data: it is published with {EndpointName=other, VariantName=AllTraffic}";
    assert_eq!(said.matches(expected).count(), 2, "{said}");
    // An hour ago is too long ago.
    account.calls(&[datum("Plimsoll", "OfferedLoad", "e", 60, 50.0, 60.0)]);
    let said = left_with(0, &show(&account, &[]));
    assert_eq!(
        said.matches("no data: it is published, but nothing came of late")
            .count(),
        2,
        "{said}"
    );
}

#[test]
fn show_tells_of_data_in_another_unit() {
    let account = CloudWatch::start();
    let mut wanted = document();
    wanted["alarms"][0]["Unit"] = json!("Percent");
    left_with(0, &apply(&account, &wanted));
    let (service, operation, mut call) = datum("Plimsoll", "OfferedLoad", "e", 3, 50.0, 60.0);
    call["MetricData"][0]["Unit"] = json!("Count");
    account.calls(&[(service, operation, call)]);
    let said = left_with(0, &show(&account, &[]));
    assert!(
        said.contains("in Percent, 10 s (of alarm guard)\n    no data: it is published in Count\n"),
        "{said}"
    );
    assert!(
        said.contains("(of policy track)\n    1 datapoint, the newest 50 of "),
        "{said}"
    );
}

#[test]
fn show_compares_samples_with_instances() {
    let account = CloudWatch::start();
    left_with(0, &apply(&account, &document()));
    let mut calls = Vec::new();
    for ago in 3..8 {
        calls.push(datum(
            "Plimsoll",
            "OfferedLoad",
            "e",
            ago,
            60.0 + ago as f64,
            240.0,
        ));
        calls.push(datum(
            "/aws/sagemaker/Endpoints",
            "CPUUtilization",
            "e",
            ago,
            150.0,
            4.0,
        ));
    }
    account.calls(&calls);
    let said = left_with(0, &show(&account, &[]));
    assert!(said.contains("5 datapoints, the newest 63 of "), "{said}");
    assert!(
        said.contains("240 samples from 4 instances in the minute of "),
        "{said}"
    );
    assert!(said.contains(": 60 each\n"), "{said}");
    assert_eq!(
        said.matches("samples from").count(),
        1,
        "once for a metric: {said}"
    );
    // One of four instances falls silent.
    account.calls(&[
        datum("Plimsoll", "OfferedLoad", "e", 2, 70.0, 180.0),
        datum(
            "/aws/sagemaker/Endpoints",
            "CPUUtilization",
            "e",
            2,
            150.0,
            4.0,
        ),
    ]);
    let said = left_with(0, &show(&account, &[]));
    assert!(
        said.contains(
            ": 45.0 each, and 60 were expected: who writes less weighs less in Average\n"
        ),
        "{said}"
    );
}

#[test]
fn show_tells_what_the_target_did_and_how_its_alarms_are() {
    let account = CloudWatch::start();
    left_with(0, &apply(&account, &document()));
    let track = named(&stands(&account).policies, "PolicyName", "track")["PolicyARN"].clone();
    let managed = "TargetTracking-endpoint/e/variant/AllTraffic-AlarmHigh-1";
    account.calls(&[
        ("cloudwatch", "put_metric_alarm", json!({
            "AlarmName": managed, "Namespace": "Plimsoll", "MetricName": "OfferedLoad", "Statistic": "Average",
            "Period": 60, "EvaluationPeriods": 3, "Threshold": 60, "ComparisonOperator": "GreaterThanThreshold",
            "AlarmActions": [format!("{}:createdBy/1", track.as_str().expect("an ARN"))],
        })),
        ("cloudwatch", "set_alarm_state", json!({
            "AlarmName": managed, "StateValue": "ALARM", "StateReason": "three above", "StateReasonData": "{}",
        })),
    ]);
    let activity = |seconds: u64, status: &str, description: &str| {
        json!({
            "ActivityId": "1", "ServiceNamespace": "sagemaker", "ResourceId": RESOURCE, "ScalableDimension": DIMENSION,
            "Description": description, "Cause": "monitor alarm", "StartTime": seconds, "StatusCode": status,
        })
    };
    let mut kept = activity(1_800_000_000, "Failed", "Attempting to scale");
    kept["NotScaledReasons"] =
        json!([{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 8, "CurrentCapacity": 8}]);
    let done = activity(
        1_800_000_060,
        "Successful",
        "Setting desired instance count to 8.",
    );
    account.answer(
        "DescribeScalingActivities",
        &json!({"ScalingActivities": [kept, done]}),
    );
    let said = left_with(0, &show(&account, &[]));
    let expected = [
        "alarms of target tracking\n  TargetTracking-endpoint/e/variant/AllTraffic-AlarmHigh-1\n    ALARM since ",
        "activities, the newest first\n  2027-01-15T08:01:00Z Successful: Setting desired instance count to 8.\n    monitor alarm\n  \
         2027-01-15T08:00:00Z Failed: Attempting to scale\n    not scaled: AlreadyAtMaxCapacity (max 8, current 8)\n    monitor alarm\n",
    ];
    for lines in expected {
        assert!(said.contains(lines), "{lines} in {said}");
    }
    assert!(!said.contains("not read"), "{said}");
    // Nobody else may change target tracking's alarms: they are no part of the difference.
    let said = left_with(0, &apply(&account, &document()));
    assert!(
        said.contains("nothing to do") && !said.contains("left "),
        "{said}"
    );
}

#[test]
fn what_show_prints_as_json_is_linted_simulated_and_applied() {
    let account = CloudWatch::start();
    left_with(0, &apply(&account, &document()));
    account.calls(&[datum("Plimsoll", "OfferedLoad", "e", 3, 61.0, 60.0)]);
    let shown = left_with(0, &show(&account, &["--json"]));
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    has(&shown["target"], &document()["target"]);
    has(&shown["policies"], &document()["policies"]);
    assert_eq!(shown["alarms"][0]["StateValue"], "OK");
    let metric = &shown["seen"]["metrics"][0];
    assert_eq!(metric["data"]["points"]["newest"], 61.0, "{shown:#}");
    assert_eq!(metric["samples"], "no_common_minute");
    assert_eq!(
        shown["seen"]["unread"].as_array().map(Vec::len),
        Some(1),
        "{shown:#}"
    );
    let file = File::of(&shown);
    left_with(0, &policy(&account, &["lint", file.name()]));
    let configuration =
        scaling::simulate::Configuration::parse(&shown.to_string()).expect("a configuration");
    assert_eq!(configuration.alarms[0].alarm_actions, ["guard"]);
    let said = left_with(0, &policy(&account, &["apply", file.name(), "--dry-run"]));
    assert!(said.contains("nothing to do"), "{said}");
}

/// moto knows no inference components: what AWS says of one is given by hand.
#[test]
fn show_knows_inference_components() {
    let account = CloudWatch::start();
    let names = json!({
        "ServiceNamespace": "sagemaker", "ResourceId": "inference-component/c",
        "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount", "CreationTime": 1_800_000_000,
    });
    let with = |more: Value| {
        let mut all = names.clone();
        let members = all.as_object_mut().expect("a map");
        members.extend(more.as_object().expect("a map").clone());
        all
    };
    let target = with(
        json!({"MinCapacity": 0, "MaxCapacity": 4, "RoleARN": "role", "SuspendedState": {
            "DynamicScalingInSuspended": true, "DynamicScalingOutSuspended": false, "ScheduledScalingSuspended": true,
        }}),
    );
    let policy_of_it = with(json!({
        "PolicyARN": "arn", "PolicyName": "copies", "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 5, "DisableScaleIn": true,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerInferenceComponentInvocationsPerCopy"}},
    }));
    let foreseeing = with(
        json!({"PolicyARN": "arn", "PolicyName": "forecast", "PolicyType": "PredictiveScaling"}),
    );
    account.answer(
        "DescribeScalableTargets",
        &json!({"ScalableTargets": [target]}),
    );
    account.answer(
        "DescribeScalingPolicies",
        &json!({"ScalingPolicies": [policy_of_it, foreseeing]}),
    );
    let said = left_with(
        0,
        &policy(&account, &["show", "--inference-component", "c"]),
    );
    for line in [
        "eu-west-1: inference-component/c, sagemaker:inference-component:DesiredCopyCount\n",
        "MinCapacity 0, MaxCapacity 4\nsuspended: scale-in, scheduled actions\n",
        "keeps SageMakerInferenceComponentInvocationsPerCopy at 5; cooldowns 300 s out, 300 s in; never scales in\n",
        "Sum of AWS/SageMaker InvocationsPerCopy {InferenceComponentName=c}, 60 s (of policy copies)\n    no data",
        "policy forecast: has PolicyType PredictiveScaling, which no scaling document has\n",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
}

#[test]
fn show_fails_where_there_is_no_target_or_it_cannot_be_read() {
    let account = CloudWatch::start();
    let said = complained(1, &show(&account, &[]));
    assert_eq!(
        said,
        "plimsoll policy: endpoint/e/variant/AllTraffic is no scalable target with \
         sagemaker:variant:DesiredInstanceCount in eu-west-1: nothing is registered there\n"
    );
    account.fault_of("DescribeScalableTargets", "denied");
    let said = complained(1, &show(&account, &["--json"]));
    assert!(
        said.contains("application-autoscaling:DescribeScalableTargets is denied"),
        "{said}"
    );
    account.fault_of("DescribeScalableTargets", "ok");
    left_with(0, &apply(&account, &document()));
    for operation in ["DescribeScalingPolicies", "DescribeScheduledActions"] {
        account.fault_of(operation, "denied");
    }
    let said = left_with(0, &show(&account, &[]));
    for line in [
        "policies: application-autoscaling:DescribeScalingPolicies is denied",
        "scheduled actions: application-autoscaling:DescribeScheduledActions is denied",
        "MinCapacity 1, MaxCapacity 8",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    let usage = policy(&account, &["show"]);
    assert_eq!(usage.status.code(), Some(64));
}
