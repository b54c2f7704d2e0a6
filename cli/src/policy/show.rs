//! `plimsoll policy show`.

mod page;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use account::{Account, Error, Names, Seen};
use scaling::write::Resource;
use serde_json::json;

use super::apply::runtime;
use super::{complain, print};

/// Shows what an AWS account has for one scalable target: bounds, policies, alarms with their states,
/// scheduled actions, the last activities, and whether the metrics that they go by have data.
///
/// The exit status is 0, or 1 where there is no such target or it cannot be read.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The endpoint.
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "inference_component"
    )]
    endpoint: Option<String>,
    /// Its variant.
    #[arg(long, value_name = "NAME", default_value = "AllTraffic")]
    variant: String,
    /// The provisioned concurrency of a serverless variant, in place of instances.
    #[arg(long)]
    serverless: bool,
    /// The copies of this inference component instead.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["endpoint", "serverless"])]
    inference_component: Option<String>,
    /// The AWS region; that of the environment or of the profile if it is not said.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Print one JSON document, which `policy lint` and `simulate` read too.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, String> {
    let names = Names::to(&args.resource()?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs() as i64);
    let seen = runtime()?.block_on(async {
        let account = Account::connect(args.region.as_deref()).await?;
        let seen = account.see(&names, now).await?;
        Ok::<_, Error>((account.region().to_owned(), seen))
    });
    match seen {
        Ok((_, seen)) if args.json => print(&document(&seen)),
        Ok((region, seen)) => print(&page::page(&region, &names, &seen)),
        Err(error) => {
            complain(&error.to_string());
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn resource(&self) -> Result<Resource, String> {
        let variant = self.variant.clone();
        match (&self.inference_component, &self.endpoint) {
            (Some(name), _) => Ok(Resource::Component { name: name.clone() }),
            (None, Some(endpoint)) if self.serverless => Ok(Resource::Serverless {
                endpoint: endpoint.clone(),
                variant,
            }),
            (None, Some(endpoint)) => Ok(Resource::Variant {
                endpoint: endpoint.clone(),
                variant,
            }),
            (None, None) => Err("expected --endpoint or --inference-component".to_owned()),
        }
    }
}

/// A scaling configuration, and beside it what is none.
fn document(seen: &Seen) -> String {
    let standing = &seen.standing;
    let cannot = standing.unread.iter().map(page::unread);
    let cannot: Vec<String> = cannot.chain(seen.unread.iter().cloned()).collect();
    let value = json!({
        "target": standing.target,
        "policies": standing.policies,
        "alarms": standing.alarms,
        "scheduled_actions": standing.scheduled_actions,
        "seen": {
            "managed_alarms": standing.managed,
            "activities": seen.activities,
            "metrics": seen.metrics,
            "unread": cannot,
        },
    });
    format!("{value:#}\n")
}
