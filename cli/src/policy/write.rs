//! `plimsoll policy write`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use scaling::document::Documents;
use scaling::lint::{lint, Context, Severity};
use scaling::mend::mend;
use scaling::policy::{Invalid, ScalableTargetAction, ScheduledAction, SuspendedState};
use scaling::simulate::Configuration;
use scaling::write::{files, File, Guard, Intent, Output, Query, Resource, Wanted};

use super::{complain, count, print, read};

/// Writes a scalable target with its policies, alarms and scheduled actions.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write what this document meant, whatever its form: names, units and scales that cannot be are mended,
    /// each with its reason. `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["metric", "expression", "guard", "wake_up", "schedules", "suspend", "min", "max"])]
    from: Option<PathBuf>,
    /// The endpoint.
    #[arg(long, value_name = "NAME", required_unless_present_any = ["inference_component", "from"])]
    endpoint: Option<String>,
    /// Its variant.
    #[arg(long, value_name = "NAME", default_value = "AllTraffic")]
    variant: String,
    /// Scale the copies of this inference component instead.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["endpoint", "serverless", "is_async"])]
    inference_component: Option<String>,
    /// Scale the provisioned concurrency of a serverless variant.
    #[arg(long)]
    serverless: bool,
    /// The endpoint is asynchronous: it may have no instance.
    #[arg(long = "async")]
    is_async: bool,
    /// Capacity at least.
    #[arg(long, value_name = "COUNT", required_unless_present = "from")]
    min: Option<u32>,
    /// Capacity at most.
    #[arg(long, value_name = "COUNT", required_unless_present = "from")]
    max: Option<u32>,
    /// Track this metric: one of ours, one of SageMaker's, a predefined type, or NAMESPACE:NAME.
    #[arg(long, value_name = "NAME", requires = "target", group = "tracked")]
    metric: Option<String>,
    /// Track what this metric math computes, of the metrics of --query.
    #[arg(long, value_name = "MATH", requires_all = ["target", "queries"], group = "tracked")]
    expression: Option<String>,
    /// A metric of the expression: `m1=OfferedLoad:Average`, or `m2=NAMESPACE:NAME:STATISTIC`. Can be
    /// repeated.
    #[arg(long = "query", value_name = "ID=METRIC:STATISTIC", value_parser = query, requires = "expression")]
    queries: Vec<Query>,
    /// The value that is kept, in the metric's unit.
    #[arg(long, value_name = "VALUE", value_parser = number, allow_negative_numbers = true, requires = "tracked")]
    target: Option<f64>,
    /// Seconds after an addition in which only more is added.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    scale_out_cooldown: u64,
    /// Seconds after a removal in which nothing is removed.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    scale_in_cooldown: u64,
    /// Only add.
    #[arg(long)]
    disable_scale_in: bool,
    /// Guard against bursts: a step policy on an alarm above this value.
    #[arg(long, value_name = "VALUE", value_parser = number, allow_negative_numbers = true)]
    guard: Option<f64>,
    /// What the guard looks at.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "OfferedLoad",
        requires = "guard"
    )]
    guard_metric: String,
    /// Seconds of its alarm's periods, three of which must be above.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = ["10", "30", "60"], requires = "guard")]
    guard_period: String,
    /// By how far it is above, and how many percent are added then.
    #[arg(long, value_name = "ABOVE:PERCENT,…", default_value = "0:30,40:70,80:120", value_parser = steps, requires = "guard")]
    guard_steps: Steps,
    /// Seconds of the guard's cooldown.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    guard_cooldown: u64,
    /// Add the first copy when a request finds none.
    #[arg(long)]
    wake_up: bool,
    /// Set the bounds at times: `[NAME:]SCHEDULE=MIN..MAX`, such as `cron(0 8 ? * MON-FRI *)=5..`. Can be
    /// repeated.
    #[arg(long = "schedule", value_name = "SCHEDULE=MIN..MAX", value_parser = schedule)]
    schedules: Vec<ScheduledAction>,
    /// The schedules' time zone, by its IANA name; UTC if it is not said.
    #[arg(long, value_name = "ZONE", requires = "schedules")]
    timezone: Option<String>,
    /// Suspend a direction: `in`, `out` or `scheduled`. Can be repeated.
    #[arg(long, value_name = "DIRECTION", value_parser = ["in", "out", "scheduled"])]
    suspend: Vec<String>,
    /// The namespace of the container's metrics.
    #[arg(long, value_name = "NAMESPACE", default_value = "Plimsoll")]
    namespace: String,
    /// The container's name in a multi-container endpoint.
    #[arg(long, value_name = "NAME")]
    container: Option<String>,
    /// vCPUs of an instance: the scale of SageMaker's CPUUtilization.
    #[arg(long, value_name = "COUNT", value_parser = count)]
    vcpus: Option<f64>,
    /// GPUs of an instance: the scale of SageMaker's GPUUtilization.
    #[arg(long, value_name = "COUNT", value_parser = count)]
    gpus: Option<f64>,
    /// What is written: `configuration` (for simulate, lint and apply), `aws-cli`, `boto3`,
    /// `cloudformation` or `terraform`.
    #[arg(long, value_name = "FORMAT", default_value = "configuration", value_parser = output)]
    format: Output,
    /// Write files into this folder, with the permission that the container needs.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone)]
struct Steps(Vec<(f64, i32)>);

fn number(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "expected a number".to_owned())
}

fn output(text: &str) -> Result<Output, String> {
    match text {
        "configuration" => Ok(Output::Configuration),
        "aws-cli" => Ok(Output::AwsCli),
        "boto3" => Ok(Output::Boto3),
        "cloudformation" => Ok(Output::CloudFormation),
        "terraform" => Ok(Output::Terraform),
        _ => Err("expected configuration, aws-cli, boto3, cloudformation or terraform".to_owned()),
    }
}

fn query(text: &str) -> Result<Query, String> {
    let expected = "expected ID=METRIC:STATISTIC, such as m1=OfferedLoad:Average";
    let (id, rest) = text.split_once('=').ok_or(expected)?;
    let (metric, stat) = rest.rsplit_once(':').ok_or(expected)?;
    if [id, metric, stat].iter().any(|part| part.trim().is_empty()) {
        return Err(expected.to_owned());
    }
    Ok(Query {
        id: id.trim().to_owned(),
        metric: metric.trim().to_owned(),
        stat: stat.trim().to_owned(),
    })
}

fn steps(text: &str) -> Result<Steps, String> {
    let each = text.split(',').map(|step| {
        let (from, percent) = step.split_once(':')?;
        Some((from.trim().parse().ok()?, percent.trim().parse().ok()?))
    });
    each.collect::<Option<Vec<_>>>()
        .filter(|steps| steps.iter().all(|(from, _): &(f64, i32)| from.is_finite()))
        .map(Steps)
        .ok_or_else(|| "expected ABOVE:PERCENT,…, such as 0:30,40:70".to_owned())
}

fn schedule(text: &str) -> Result<ScheduledAction, String> {
    let expected = "expected [NAME:]SCHEDULE=MIN..MAX, such as cron(0 8 ? * MON-FRI *)=5..20";
    let (schedule, bounds) = text.rsplit_once('=').ok_or(expected)?;
    let (min, max) = bounds.split_once("..").ok_or(expected)?;
    let bound = |text: &str| match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| expected),
    };
    let before = schedule.split('(').next().unwrap_or_default();
    let (name, schedule) = match before.split_once(':') {
        Some((name, _)) => (name, schedule.get(name.len() + 1..).unwrap_or_default()),
        None => ("", schedule),
    };
    Ok(ScheduledAction {
        service_namespace: None,
        scheduled_action_name: name.trim().to_owned(),
        resource_id: None,
        scalable_dimension: None,
        schedule: Some(schedule.trim().to_owned()),
        at: None,
        timezone: None,
        start_time: None,
        end_time: None,
        scalable_target_action: ScalableTargetAction {
            min_capacity: bound(min)?,
            max_capacity: bound(max)?,
        },
    })
}

pub(super) fn run(args: &Args) -> Result<ExitCode, String> {
    args.place()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let context = Context {
        now: now.map(|now| now.as_secs() as i64),
        vcpus: args.vcpus,
        gpus: args.gpus,
        is_async: args.is_async,
        ..Context::default()
    };
    let configuration = match &args.from {
        Some(file) => args.meant(file, &context)?,
        None => args
            .intent()?
            .configuration()
            .map_err(|error| error.to_string())?,
    };
    judge(&configuration, &context)?;
    let files = files(&configuration, args.format).map_err(|error| error.to_string())?;
    match &args.out {
        Some(folder) => write(folder, &files)?,
        None => {
            if let Some(file) = files.first() {
                print(&file.text);
            }
            if files.len() > 1 {
                complain("note: the container's role must allow cloudwatch:PutMetricData in the metric's namespace (--out writes the statement beside)");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The same judge as for what others write.
fn judge(configuration: &Configuration, context: &Context) -> Result<(), String> {
    let written = serde_json::to_string(configuration).map_err(|error| error.to_string())?;
    let documents = Documents::read(&written).map_err(|error| error.to_string())?;
    let mut is_refused = false;
    for finding in lint(&documents, context) {
        let severity = finding.rule.severity;
        is_refused |= severity == Severity::Error;
        complain(&format!(
            "{}[{}] {}: {}",
            severity.name(),
            finding.rule.id,
            finding.path,
            finding.message
        ));
    }
    match is_refused {
        true => Err("nothing is written: it would not work".to_owned()),
        false => Ok(()),
    }
}

fn write(folder: &Path, files: &[File]) -> Result<(), String> {
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("{}: cannot be made: {error}", folder.display()))?;
    for file in files {
        let path = folder.join(&file.name);
        std::fs::write(&path, &file.text)
            .map_err(|error| format!("{}: cannot be written: {error}", path.display()))?;
        print(&format!("{}\n", path.display()));
    }
    Ok(())
}

impl Args {
    /// Whether there is a place to write to.
    fn place(&self) -> Result<(), String> {
        match &self.out {
            Some(folder) if folder.exists() && !folder.is_dir() => Err(format!(
                "{}: is a file; expected a folder",
                folder.display()
            )),
            None if self.format == Output::AwsCli => Err(
                "--format aws-cli writes a file for each call; expected --out FOLDER".to_owned(),
            ),
            _ => Ok(()),
        }
    }

    /// What is scaled, where the arguments say it.
    fn resource(&self) -> Option<Resource> {
        let variant = self.variant.clone();
        match (&self.inference_component, &self.endpoint) {
            (Some(name), _) => Some(Resource::Component { name: name.clone() }),
            (None, Some(endpoint)) if self.serverless => Some(Resource::Serverless {
                endpoint: endpoint.clone(),
                variant,
            }),
            (None, Some(endpoint)) => Some(Resource::Variant {
                endpoint: endpoint.clone(),
                variant,
            }),
            (None, None) => None,
        }
    }

    /// A document, mended and with the names of its target.
    fn meant(&self, file: &Path, context: &Context) -> Result<Configuration, String> {
        let wrong = |error: Invalid| format!("{}: {error}", file.display());
        let mut documents = Documents::read(&read(file)?).map_err(wrong)?;
        if let Some(resource) = self.resource() {
            documents.name_target(&resource.id(), resource.scalable());
        }
        for change in mend(&mut documents, context) {
            complain(&format!(
                "mended[{}] {}: {}",
                change.rule, change.path, change.what
            ));
        }
        let mut configuration = documents.configuration().map_err(wrong)?;
        configuration.name_all();
        let target = &configuration.target;
        if target.resource_id.is_none() || target.scalable_dimension.is_none() {
            return Err(format!(
                "{}: does not say what it scales; expected --endpoint or --inference-component",
                file.display()
            ));
        }
        Ok(configuration)
    }

    fn intent(&self) -> Result<Intent, String> {
        let resource = self
            .resource()
            .ok_or("expected --endpoint or --inference-component")?;
        let wanted = match (&self.metric, &self.expression) {
            (Some(metric), _) => Some(Wanted::Metric(metric.clone())),
            (None, Some(expression)) => {
                Some(Wanted::Expression(expression.clone(), self.queries.clone()))
            }
            (None, None) => None,
        };
        let is_suspended = |direction: &str| self.suspend.iter().any(|one| one == direction);
        let scheduled = self.schedules.iter().enumerate().map(|(at, action)| {
            let mut action = action.clone();
            if action.scheduled_action_name.is_empty() {
                action.scheduled_action_name = format!("schedule-{}", at + 1);
            }
            let is_rate = action
                .schedule
                .as_deref()
                .is_some_and(|text| text.starts_with("rate"));
            action.timezone = self.timezone.clone().filter(|_| !is_rate);
            action
        });
        Ok(Intent {
            resource,
            min: self.min.unwrap_or_default(),
            max: self.max.unwrap_or_default(),
            tracked: wanted.zip(self.target),
            scale_out_cooldown: Some(self.scale_out_cooldown),
            scale_in_cooldown: Some(self.scale_in_cooldown),
            disable_scale_in: self.disable_scale_in,
            guard: self.guard.map(|threshold| Guard {
                metric: self.guard_metric.clone(),
                threshold,
                period: self.guard_period.parse().unwrap_or(10),
                steps: self.guard_steps.0.clone(),
                cooldown: self.guard_cooldown,
            }),
            wake_up: self.wake_up,
            scheduled: scheduled.collect(),
            suspended: SuspendedState {
                dynamic_scaling_in_suspended: is_suspended("in"),
                dynamic_scaling_out_suspended: is_suspended("out"),
                scheduled_scaling_suspended: is_suspended("scheduled"),
            },
            namespace: self.namespace.clone(),
            container: self.container.clone(),
        })
    }
}
