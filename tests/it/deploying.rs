//! `docker/README.md` and `docker/sagemaker.yaml`: what they tell people to do is done here, against
//! moto, and they say the same as one another and as `plimsoll policy write`.

mod gpu;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use plimsoll::settings;
use scaling::document::Documents;
use serde_json::{json, Value};

use crate::support::server::binary;
use crate::support::{prepared, root, CloudWatch};

const PAGE: &str = "docker/README.md";
const TEMPLATE: &str = "docker/sagemaker.yaml";
const SCALING: &str = "application-autoscaling";
/// What the page and the template scale by default.
const WRITE: &str = "--endpoint demo --min 2 --max 10 --metric OfferedLoad --target 60 --guard 90";
/// The names that stand for a network of the reader's own.
const NETWORK: [&str; 4] = [
    "subnet-0123456789abcdef0",
    "subnet-0123456789abcdef1",
    "sg-0123456789abcdef0",
    "vpc-0123456789abcdef0",
];

fn read(file: &str) -> String {
    let path = root().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The page's blocks in a language, joined.
fn blocks(language: &str) -> String {
    let page = read(PAGE);
    let begin = format!("```{language}\n");
    let blocks = page.split(&begin).skip(1);
    let blocks = blocks.map(|rest| rest.split_once("```\n").expect("its end").0);
    blocks.collect::<Vec<_>>().join("\n")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Its standard output, where it went well.
fn well(output: &Output) -> String {
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    said
}

fn python(script: &str, packages: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .arg(script)
        .current_dir(root())
        .env("PYTHONPATH", prepared(packages))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// The environment of somebody whose AWS is the stand-in.
fn environment(account: &CloudWatch) -> [(&str, &str); 8] {
    [
        ("AWS_ENDPOINT_URL", &account.url),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]
}

/// `plimsoll` with these words.
fn plimsoll(account: &CloudWatch, words: &str) -> Output {
    Command::new(binary())
        .args(words.split_whitespace())
        .envs(environment(account))
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .expect("plimsoll runs")
}

/// The page's program with the names of a network that moto has.
fn program(account: &CloudWatch) -> String {
    let found = account.calls(&[
        ("ec2", "describe_subnets", json!({})),
        ("ec2", "describe_security_groups", json!({})),
    ]);
    let subnets = &found[0]["Subnets"];
    let there = [
        &subnets[0]["SubnetId"],
        &subnets[1]["SubnetId"],
        &found[1]["SecurityGroups"][0]["GroupId"],
        &subnets[0]["VpcId"],
    ];
    let mut program = blocks("python");
    for (name, there) in NETWORK.iter().zip(there) {
        assert!(program.contains(name), "{name}");
        program = program.replace(name, there.as_str().expect("a name"));
    }
    program
}

/// Runs a program of the page; what it called, and what is wrong with that.
fn ran(account: &CloudWatch, program: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("page.py");
    std::fs::write(&file, program).expect("it is written");
    let mut run = python("tests/support/run_page.py", "python-cloudwatch");
    let output = run.arg(&file).envs(environment(account)).output();
    serde_json::from_str(&well(&output.expect("python3 runs"))).expect("JSON")
}

/// The parameters of the calls of one operation.
fn called<'v>(ran: &'v Value, operation: &str) -> Vec<&'v Value> {
    let calls = ran["calls"].as_array().expect("a list").iter();
    calls
        .filter(|call| call[1] == operation)
        .map(|call| &call[2])
        .collect()
}

/// Every name in a Model's environment is a setting that there is.
fn are_settings(environment: &Value) {
    let known: BTreeSet<&str> = settings::TABLE.iter().map(|row| row.name).collect();
    let names = environment.as_object().expect("a map").keys();
    for name in names {
        assert!(known.contains(name.as_str()), "{name}");
    }
}

#[test]
fn the_python_blocks_run_as_they_are() {
    let account = CloudWatch::start();
    let program = program(&account);
    let found = ran(&account, &program);
    assert_eq!(found["violations"], json!([]));
    let models = called(&found, "CreateModel");
    for model in &models {
        are_settings(&model["PrimaryContainer"]["Environment"]);
    }
    let names: Vec<&str> = models
        .iter()
        .map(|model| model["ModelName"].as_str().expect("a name"))
        .collect();
    let kinds = [
        "AllTraffic",
        "vpc",
        "isolated",
        "gpu",
        "serverless",
        "async",
        "blue",
        "green",
    ];
    assert_eq!(names, kinds.map(|kind| format!("demo-{kind}")));
    assert_eq!(models[2]["EnableNetworkIsolation"], true);
    // No two of them write into one metric: each variant has its own name.
    let variant =
        |at: usize| &models[at]["PrimaryContainer"]["Environment"]["PLIMSOLL_VARIANT_NAME"];
    assert_eq!((variant(6), variant(7)), (&json!("blue"), &json!("green")));
    let configured = called(&found, "CreateEndpointConfig");
    assert_eq!(
        configured[0]["MetricsConfig"]["EnableDetailedObservability"],
        true
    );
    let stands = account.calls(&[
        (
            "sagemaker",
            "describe_endpoint",
            json!({"EndpointName": "demo"}),
        ),
        ("sagemaker", "list_models", json!({})),
    ]);
    assert_eq!(stands[0]["EndpointStatus"], "InService");
    assert_eq!(
        stands[1]["Models"].as_array().map(Vec::len),
        Some(kinds.len())
    );
    assert_eq!(called(&found, "InvokeEndpoint").len(), 1);

    // The judge judges: what AWS would refuse is found.
    let other = CloudWatch::start();
    let wrong = self::program(&other).replace("\"MaxConcurrency\": 5", "\"MaxConcurrency\": 500");
    let violations = ran(&other, &wrong)["violations"].to_string();
    assert!(
        violations.contains("MaxConcurrency: 500 is more than"),
        "{violations}"
    );
}

#[test]
fn the_aws_commands_name_what_there_is() {
    let judged = |commands: &str| {
        let mut child = python("tests/support/check_commands.py", "python-cloudwatch")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 runs");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(commands.as_bytes()).expect("it reads");
        drop(stdin);
        child.wait_with_output().expect("it ends")
    };
    let said = well(&judged(&blocks("sh")));
    assert!(said.ends_with("6 commands\n"), "{said}");
    let wrong = judged("aws ecr create-repository --repository plimsoll\naws ecr make\n");
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stdout).contains("there is no --repository\n"));
}

#[test]
fn the_plimsoll_commands_run() {
    let account = CloudWatch::start();
    let folder = tempfile::tempdir().expect("a folder");
    let bin = binary().parent().expect("a folder").display().to_string();
    let blocks = blocks("sh");
    let commands: Vec<&str> = blocks
        .lines()
        .filter(|line| line.starts_with("plimsoll "))
        .collect();
    assert_eq!(commands.len(), 6, "{commands:#?}");
    for command in commands {
        // Nobody is there to be asked.
        let command = command.replace(
            "policy apply scaling.json",
            "policy apply scaling.json --yes",
        );
        let output = Command::new("sh")
            .args(["-e", "-c", &command])
            .current_dir(folder.path())
            .envs(environment(&account))
            .env("PATH", format!("{bin}:/usr/bin:/bin"))
            .stdin(Stdio::null())
            .output()
            .expect("sh runs");
        let why = text(&output.stderr);
        assert!(output.status.success(), "{command}: {why}");
    }
    let stands = account.calls(&[(
        SCALING,
        "describe_scaling_policies",
        json!({"ServiceNamespace": "sagemaker"}),
    )]);
    let policies = stands[0]["ScalingPolicies"]
        .as_array()
        .expect("a list")
        .iter();
    let names: BTreeSet<&str> = policies
        .filter_map(|one| one["PolicyName"].as_str())
        .collect();
    let expected = ["demo-AllTraffic-OfferedLoad", "demo-AllTraffic-guard"];
    assert_eq!(names, BTreeSet::from(expected));

    // The image's own tool reads what it applies from its standard input.
    let written = well(&plimsoll(&account, &format!("policy write {WRITE}")));
    let mut child = Command::new(binary())
        .args(["policy", "apply", "-", "--yes"])
        .envs(environment(&account))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("plimsoll runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(written.as_bytes()).expect("it reads");
    drop(stdin);
    let said = well(&child.wait_with_output().expect("it ends"));
    assert!(said.contains("nothing to do"), "{said}");
}

#[test]
fn the_template_is_clean() {
    let script = prepared("python-cfn-lint").join("bin/cfn-lint");
    let mut lint = python(script.to_str().expect("UTF-8"), "python-cfn-lint");
    lint.args(["--regions", "eu-west-1", "--include-checks", "I"])
        .args(["--non-zero-exit-code", "informational"])
        .args(["--template", TEMPLATE]);
    assert_eq!(well(&lint.output().expect("python3 runs")), "");
    let account = CloudWatch::start();
    let said = well(&plimsoll(
        &account,
        &format!("policy lint --fail-on note {TEMPLATE}"),
    ));
    assert!(
        said.ends_with("0 errors, 0 warnings, 0 notes in 1 document\n"),
        "{said}"
    );
}

#[test]
fn the_template_scales_as_policy_write_says() {
    let account = CloudWatch::start();
    let written = well(&plimsoll(&account, &format!("policy write {WRITE}")));
    let meant = well(&plimsoll(
        &account,
        &format!("policy write --from {TEMPLATE}"),
    ));
    assert_eq!(meant, written);
    assert!(blocks("sh").contains(&format!("plimsoll policy write {WRITE} > scaling.json")));
    // Where the template is applied without CloudFormation, nothing is left to do for the other.
    well(&plimsoll(
        &account,
        &format!("policy apply {TEMPLATE} --yes"),
    ));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("scaling.json");
    std::fs::write(&file, written).expect("it is written");
    let again = format!("policy apply --dry-run {}", file.display());
    let said = well(&plimsoll(&account, &again));
    assert!(said.contains("nothing to do"), "{said}");
}

/// moto makes no alarms of templates, so they are put one by one, which botocore's validation sees.
#[test]
fn the_templates_alarms_are_taken() {
    let account = CloudWatch::start();
    let documents = Documents::read(&read(TEMPLATE)).expect("a template");
    let mut calls = Vec::new();
    for alarm in &documents.alarms {
        let mut call = alarm.node.to_json();
        // Whom it calls is known when the stack stands.
        call["AlarmActions"] = json!(["arn:aws:sns:eu-west-1:123456789012:topic"]);
        calls.push(("cloudwatch", "put_metric_alarm", call));
    }
    calls.push(("cloudwatch", "describe_alarms", json!({})));
    let answers = account.calls(&calls);
    let stands = answers.last().expect("an answer")["MetricAlarms"].clone();
    let stands = stands.as_array().expect("a list");
    let of = |name: &str| {
        let mut found = stands.iter();
        let found = found.find(|alarm| alarm["AlarmName"] == format!("demo-AllTraffic-{name}"));
        found.unwrap_or_else(|| panic!("no {name}"))
    };
    assert_eq!(stands.len(), 4);
    assert_eq!(of("guard")["Period"], 10);
    assert_eq!(of("slow")["ExtendedStatistic"], "p99");
    assert_eq!(of("slow")["Threshold"], 500_000.0);
    assert_eq!(of("failing")["Namespace"], "AWS/SageMaker");
    // Only missing data sets this one off: no load is below zero.
    let silent = of("silent");
    assert_eq!(silent["TreatMissingData"], "breaching");
    assert_eq!(silent["Threshold"], 0.0);
    assert_eq!(silent["ComparisonOperator"], "LessThanThreshold");
}

/// Without the version that IAM's grammar gives every document.
fn statements(document: &Value) -> Value {
    let document = match document {
        // moto keeps a template's document as Python writes a dictionary.
        Value::String(text) => serde_json::from_str(&text.replace('\'', "\"")).expect("JSON"),
        other => other.clone(),
    };
    document["Statement"].clone()
}

#[test]
fn the_template_makes_what_the_page_makes() {
    let page = CloudWatch::start();
    let found = ran(&page, &program(&page));
    let stack = CloudWatch::start();
    let bucket = "plimsoll-123456789012-eu-west-1";
    stack.calls(&[(
        "cloudformation",
        "create_stack",
        json!({
            "StackName": "demo", "TemplateBody": read(TEMPLATE), "Capabilities": ["CAPABILITY_IAM"],
            "Parameters": [{"ParameterKey": "ModelBucket", "ParameterValue": bucket}],
        }),
    )]);
    let stands = stack.calls(&[
        (
            "cloudformation",
            "describe_stacks",
            json!({"StackName": "demo"}),
        ),
        ("iam", "list_roles", json!({})),
        ("sagemaker", "list_models", json!({})),
        ("sagemaker", "list_endpoints", json!({})),
        ("sagemaker", "list_endpoint_configs", json!({})),
    ]);
    assert_eq!(stands[0]["Stacks"][0]["StackStatus"], "CREATE_COMPLETE");
    let role = &stands[1]["Roles"][0];
    let model = stands[2]["Models"][0]["ModelName"].clone();
    let configured = stands[4]["EndpointConfigs"][0]["EndpointConfigName"].clone();
    assert_eq!(stands[3]["Endpoints"][0]["EndpointStatus"], "InService");
    let details = stack.calls(&[
        (
            "iam",
            "get_role_policy",
            json!({"RoleName": role["RoleName"], "PolicyName": "endpoint"}),
        ),
        ("sagemaker", "describe_model", json!({"ModelName": model})),
        (
            "sagemaker",
            "describe_endpoint_config",
            json!({"EndpointConfigName": configured}),
        ),
    ]);

    let permissions = &called(&found, "PutRolePolicy")[0]["PolicyDocument"];
    assert_eq!(
        statements(&details[0]["PolicyDocument"]),
        statements(permissions)
    );
    let trust = &called(&found, "CreateRole")[0]["AssumeRolePolicyDocument"];
    assert_eq!(
        statements(&role["AssumeRolePolicyDocument"]),
        statements(trust)
    );

    let container = &called(&found, "CreateModel")[0]["PrimaryContainer"];
    are_settings(&details[1]["PrimaryContainer"]["Environment"]);
    for member in ["Image", "ModelDataUrl", "Environment"] {
        assert_eq!(
            details[1]["PrimaryContainer"][member], container[member],
            "{member}"
        );
    }
    assert_eq!(details[1]["ExecutionRoleArn"], role["Arn"]);

    let mut variant = details[2]["ProductionVariants"][0].clone();
    assert_eq!(variant["ModelName"], model);
    let mut wanted = called(&found, "CreateEndpointConfig")[0]["ProductionVariants"][0].clone();
    for one in [&mut variant, &mut wanted] {
        one["ModelName"] = Value::Null;
        // moto keeps the template's numbers as texts.
        for number in [
            "InitialInstanceCount",
            "InitialVariantWeight",
            "ContainerStartupHealthCheckTimeoutInSeconds",
        ] {
            let value = one[number]
                .as_str()
                .and_then(|text| text.parse::<f64>().ok());
            one[number] = json!(value.or(one[number].as_f64()));
        }
    }
    assert_eq!(variant, wanted);
}
