//! `plimsoll policy apply`.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use account::{Account, Act, Change, Difference, Error, Field, Standing};
use scaling::document::{Data, Documents, Item, Node};
use scaling::lint::{lint, Context, Severity};
use scaling::simulate::Configuration;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{complain, print, read};

/// Makes an AWS account have what a document says: shows the difference, asks, and puts target, policies,
/// alarms and scheduled actions. Nothing is deleted, and what the document does not name is left alone.
///
/// The exit status is 0 where it was done or there was nothing to do, 1 where --dry-run finds changes, where
/// the answer was no, and where AWS refuses something, 64 where the document makes no sense.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The document; `-` is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The AWS region; that of the environment or of the profile if it is not said.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Do not ask.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// vCPUs of an instance: the scale of SageMaker's CPUUtilization.
    #[arg(long, value_name = "COUNT", value_parser = super::count)]
    vcpus: Option<f64>,
    /// The variant is of an asynchronous endpoint, which may have no instance.
    #[arg(long = "async")]
    is_async: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, String> {
    if !args.yes && !args.dry_run && !std::io::stdin().is_terminal() {
        return Err(
            "there is no terminal to ask on; expected --yes to apply without asking, or --dry-run to look"
                .to_owned(),
        );
    }
    let wanted = document(args)?;
    let runtime = runtime()?;
    let compared = runtime.block_on(async {
        let account = Account::connect(args.region.as_deref()).await?;
        let (standing, difference) = account.compare(&wanted).await?;
        Ok::<_, Error>((account, standing, difference))
    });
    let (account, standing, difference) = match compared {
        Ok(compared) => compared,
        Err(Error::Document(invalid)) => return Err(format!("{}: {invalid}", shown(&args.file))),
        Err(error) => {
            complain(&error.to_string());
            return Ok(ExitCode::FAILURE);
        }
    };
    print(&described(&difference, account.region()));
    let due = difference.due().count();
    if due == 0 {
        print("nothing to do: what stands is what the document says\n");
        return Ok(ExitCode::SUCCESS);
    }
    if args.dry_run {
        print(&format!("{} would be applied\n", changes(due)));
        return Ok(ExitCode::FAILURE);
    }
    if !args.yes && !agreed(due) {
        complain("nothing is applied");
        return Ok(ExitCode::FAILURE);
    }
    Ok(apply(&runtime, &account, &difference, &standing))
}

/// A runtime for a few calls, one after the other.
pub(super) fn runtime() -> Result<Runtime, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(|error| format!("no runtime can be started: {error}"))
}

fn apply(
    runtime: &Runtime,
    account: &Account,
    difference: &Difference,
    standing: &Standing,
) -> ExitCode {
    let mut told = |change: &Change| {
        let done = match change.act {
            Act::Create => "created",
            Act::Update(_) | Act::Keep => "updated",
        };
        print(&format!("{done} {}\n", change.title()));
    };
    match runtime.block_on(account.apply(difference, standing, &mut told)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(stopped) => {
            complain(&stopped.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Reads the document and judges it as `lint` does.
fn document(args: &Args) -> Result<Configuration, String> {
    let shown = shown(&args.file);
    let text = read(&args.file)?;
    let documents = Documents::read(&text).map_err(|error| format!("{shown}: {error}"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let context = Context {
        vcpus: args.vcpus,
        now: now.map(|now| now.as_secs() as i64),
        is_async: args.is_async,
        ..Context::default()
    };
    let mut is_refused = false;
    for finding in lint(&documents, &context) {
        let severity = finding.rule.severity;
        if severity == Severity::Note {
            continue;
        }
        is_refused |= severity == Severity::Error;
        let place = match finding.line {
            0 => shown.clone(),
            line => format!("{shown}:{line}"),
        };
        complain(&format!(
            "{place}: {}[{}] {}: {}",
            severity.name(),
            finding.rule.id,
            finding.path,
            finding.message
        ));
    }
    if is_refused {
        return Err(format!("{shown}: nothing is applied: it would not work"));
    }
    let configuration = documents
        .configuration()
        .map_err(|error| format!("{shown}: {error}"))?;
    for item in &documents.alarms {
        let alarms = &configuration.alarms;
        if !alarms.iter().any(|alarm| alarm.alarm_name == item.name()) {
            let name = item.name();
            complain(&format!(
                "{shown}: alarm {name} calls no policy of the document; it is not applied"
            ));
        }
    }
    complete(configuration, &documents).map_err(|why| format!("{shown}: {why}"))
}

/// What an account wants beside what a simulation does: every value, and whom alarms call beside the
/// policies.
fn complete(
    mut configuration: Configuration,
    documents: &Documents,
) -> Result<Configuration, String> {
    for item in documents.items() {
        if let Some((path, text)) = later(item) {
            return Err(format!(
                "{path}: {text} is known only to the deployment; expected its value"
            ));
        }
    }
    // The target has the names; a reference to it is none.
    let is_reference = |name: &mut String| name.contains("${");
    for policy in &mut configuration.policies {
        policy.service_namespace.take_if(is_reference);
        policy.resource_id.take_if(is_reference);
        policy.scalable_dimension.take_if(is_reference);
    }
    for alarm in &mut configuration.alarms {
        let item = documents
            .alarms
            .iter()
            .find(|item| item.name() == alarm.alarm_name);
        let actions = item.map(|item| item.node.get("AlarmActions").list());
        for action in actions.unwrap_or_default() {
            let is_policy = documents
                .policies
                .iter()
                .any(|policy| policy.is_called_by(action));
            if let Some(arn) = action.as_text().filter(|_| !is_policy) {
                alarm.alarm_actions.push(arn.to_owned());
            }
        }
    }
    Ok(configuration)
}

/// What of a call only the deployment knows; what refers to the call's own target or policies is known.
fn later(item: &Item) -> Option<(String, &str)> {
    const REFERENCES: [&str; 5] = [
        "AlarmActions",
        "ScalingTargetId",
        "ServiceNamespace",
        "ResourceId",
        "ScalableDimension",
    ];
    let is_target = item.node.get("MinCapacity").is_some();
    let members = item.node.entries().iter();
    let mut members = members.filter(|(name, _)| is_target || !REFERENCES.contains(&name.as_str()));
    members.find_map(|(name, node)| {
        let text = first_later(node)?;
        let path = match item.path.is_empty() {
            true => name.clone(),
            false => format!("{}.{name}", item.path),
        };
        Some((path, text))
    })
}

fn first_later(node: &Node) -> Option<&str> {
    match &node.data {
        Data::Later(later) => Some(&later.text),
        Data::List(list) => list.iter().find_map(first_later),
        Data::Map(entries) => entries.iter().find_map(|(_, node)| first_later(node)),
        _ => None,
    }
}

fn shown(file: &Path) -> String {
    match file.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => file.display().to_string(),
    }
}

fn changes(count: usize) -> String {
    match count {
        1 => "1 change".to_owned(),
        count => format!("{count} changes"),
    }
}

/// Asks on the terminal.
fn agreed(due: usize) -> bool {
    let these = match due {
        1 => "this change".to_owned(),
        due => format!("these {due} changes"),
    };
    print(&format!("Apply {these}? [y/N] "));
    std::io::stdout().flush().ok();
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

fn described(difference: &Difference, region: &str) -> String {
    let names = &difference.names;
    let mut text = format!(
        "{region}: {}, {}\n",
        names.resource_id, names.scalable_dimension
    );
    for change in &difference.changes {
        let act = match &change.act {
            Act::Create => "create",
            Act::Update(_) => "update",
            Act::Keep => "keep",
        };
        text.push_str(&format!("  {act:<7} {}\n", change.title()));
        if let Act::Update(fields) = &change.act {
            text.extend(fields.iter().map(field));
        }
    }
    for left in &difference.left {
        text.push_str(&format!(
            "  left    {} {}: stands and is not in the document; it is left alone\n",
            left.kind, left.name
        ));
    }
    text
}

fn field(field: &Field) -> String {
    let value = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), plain);
    format!(
        "            {}: {} → {}\n",
        field.path,
        value(&field.before),
        value(&field.after)
    )
}

/// JSON with whole numbers as such.
fn plain(value: &Value) -> String {
    match value.as_f64() {
        Some(number) => number.to_string(),
        None => value.to_string(),
    }
}
