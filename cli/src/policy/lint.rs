//! `plimsoll policy lint`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use scaling::document::Documents;
use scaling::lint::{lint, rule, Context, Finding, Rule, Severity, RULES};

use super::{complain, count, print, read, sarif};

/// Finds the traps in scaling documents: what the AWS CLI and the SDKs take or give as JSON,
/// CloudFormation templates, Terraform plans as JSON, scaling configurations.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Documents; `-` is standard input.
    #[arg(value_name = "FILE", required_unless_present_any = ["explain", "rules"])]
    files: Vec<PathBuf>,
    /// Judge the files together, as parts of one set-up.
    #[arg(long)]
    together: bool,
    /// How findings are printed: `human`, `sarif` or `json`.
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = ["human", "sarif", "json"])]
    format: String,
    /// Fail from this severity on: `error`, `warning` or `note`.
    #[arg(long, value_name = "SEVERITY", default_value = "warning", value_parser = severity)]
    fail_on: Severity,
    /// vCPUs of an instance: the scale of SageMaker's CPUUtilization.
    #[arg(long, value_name = "COUNT", value_parser = count)]
    vcpus: Option<f64>,
    /// GPUs of an instance: the scale of SageMaker's GPUUtilization.
    #[arg(long, value_name = "COUNT", value_parser = count)]
    gpus: Option<f64>,
    /// Requests a second that one instance answers as promised, as a load test found.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    max_rate: Option<f64>,
    /// Seconds from the decision to add an instance to its first answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    launch: u64,
    /// The variant is of an asynchronous endpoint, which may have no instance.
    #[arg(long = "async")]
    is_async: bool,
    /// Say why a rule is there and what to write instead.
    #[arg(long, value_name = "RULE")]
    explain: Option<String>,
    /// List the rules.
    #[arg(long)]
    rules: bool,
}

fn severity(text: &str) -> Result<Severity, String> {
    [Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .find(|severity| severity.name() == text)
        .ok_or_else(|| "expected error, warning or note".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text
        .parse()
        .ok()
        .filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "expected a number above zero".to_owned())
}

/// What was found in a file.
pub(super) struct Found {
    pub(super) file: String,
    pub(super) findings: Vec<Finding>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, String> {
    if let Some(id) = &args.explain {
        let rule = rule(id).ok_or_else(|| unknown(id))?;
        print(&explained(rule));
        return Ok(ExitCode::SUCCESS);
    }
    if args.rules {
        let lines = RULES.iter().map(|rule| {
            format!(
                "{:<7}  {:<36}  {}\n",
                rule.severity.name(),
                rule.id,
                rule.title
            )
        });
        print(&lines.collect::<String>());
        return Ok(ExitCode::SUCCESS);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let context = Context {
        vcpus: args.vcpus,
        gpus: args.gpus,
        max_rate: args.max_rate,
        launch_secs: args.launch,
        now: now.map(|now| now.as_secs() as i64),
        is_async: args.is_async,
    };
    let mut all = Vec::new();
    let mut unreadable = Vec::new();
    let mut joined = Documents::default();
    for file in &args.files {
        let shown = shown(file);
        let documents = read(file).and_then(|text| {
            let documents = Documents::read(&text).map_err(|error| format!("{shown}: {error}"))?;
            match documents.is_empty() {
                false => Ok(documents),
                true => Err(format!(
                    "{shown}: nothing in it scales; expected a scalable target, a policy, an alarm or a scheduled action"
                )),
            }
        });
        match documents {
            // Together, a finding's place tells its file.
            Ok(documents) if args.together => joined.join(named(documents, &shown)),
            Ok(documents) => all.push(Found {
                file: shown,
                findings: lint(&documents, &context),
            }),
            Err(why) => unreadable.push(why),
        }
    }
    if args.together && unreadable.is_empty() {
        let mut findings = lint(&joined, &context);
        for file in &args.files {
            let shown = shown(file);
            let prefix = format!("{shown}#");
            let mut own = Vec::new();
            findings.retain_mut(|finding| match finding.path.strip_prefix(&prefix) {
                Some(path) => {
                    finding.path = path.trim_start_matches('.').to_owned();
                    own.push(finding.clone());
                    false
                }
                None => true,
            });
            all.push(Found {
                file: shown,
                findings: own,
            });
        }
    }
    match args.format.as_str() {
        "sarif" => print(&sarif::document(&all)),
        "json" => print(&json(&all)),
        _ if all.is_empty() => {}
        _ => print(&human(&all)),
    }
    for why in &unreadable {
        complain(why);
    }
    if !unreadable.is_empty() {
        return Ok(ExitCode::from(crate::EXIT_USAGE));
    }
    let worst = all
        .iter()
        .flat_map(|found| &found.findings)
        .map(|one| one.rule.severity)
        .max();
    Ok(match worst.is_some_and(|worst| worst >= args.fail_on) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn shown(file: &Path) -> String {
    match file.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => file.display().to_string(),
    }
}

/// The same with the file in every path.
fn named(mut documents: Documents, file: &str) -> Documents {
    let lists = [
        &mut documents.targets,
        &mut documents.policies,
        &mut documents.alarms,
        &mut documents.scheduled,
        &mut documents.models,
        &mut documents.endpoint_configs,
    ];
    for item in lists.into_iter().flatten() {
        item.path = match item.path.is_empty() {
            true => format!("{file}#"),
            false => format!("{file}#{}", item.path),
        };
    }
    documents
}

fn unknown(id: &str) -> String {
    let near = RULES
        .iter()
        .min_by_key(|rule| strsim::levenshtein(rule.id, id));
    let hint = near.map(|rule| format!("; did you mean {}?", rule.id));
    format!(
        "--explain: {id:?} is no rule{} (--rules lists them)",
        hint.unwrap_or_default()
    )
}

fn explained(rule: &Rule) -> String {
    format!(
        "{} ({})\n\n{}.\n\nWhy: {}\n\nInstead: {}\n",
        rule.id,
        rule.severity.name(),
        rule.title,
        rule.reason,
        rule.fix
    )
}

fn human(all: &[Found]) -> String {
    let mut text = String::new();
    for found in all {
        for one in &found.findings {
            let place = match one.line {
                0 => found.file.clone(),
                line => format!("{}:{line}", found.file),
            };
            text.push_str(&format!(
                "{place}: {}[{}] {}\n    {}\n    instead: {}\n",
                one.rule.severity.name(),
                one.rule.id,
                one.path,
                one.message,
                one.rule.fix
            ));
        }
    }
    let count = |severity: Severity| {
        let findings = all.iter().flat_map(|found| &found.findings);
        findings.filter(|one| one.rule.severity == severity).count()
    };
    let plural = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let counts = [Severity::Error, Severity::Warning, Severity::Note]
        .map(|severity| plural(count(severity), severity.name()));
    text.push_str(&format!(
        "{} in {}\n",
        counts.join(", "),
        plural(all.len(), "document")
    ));
    text
}

fn json(all: &[Found]) -> String {
    let each = all.iter().flat_map(|found| {
        found.findings.iter().map(|one| {
            serde_json::json!({
                "file": found.file,
                "line": (one.line > 0).then_some(one.line),
                "path": one.path,
                "rule": one.rule.id,
                "severity": one.rule.severity.name(),
                "message": one.message,
                "fix": one.rule.fix,
            })
        })
    });
    format!("{:#}\n", each.collect::<serde_json::Value>())
}
