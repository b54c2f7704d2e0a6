//! From a wish to documents that AWS takes: the AWS CLI's, a boto3 script, CloudFormation, Terraform.
//!
//! Names, units, statistics and dimensions come from the catalogue and from what is [`crate::known`] of
//! SageMaker's metrics, so that they cannot differ from what is published.

mod api;
mod boto3;
mod cloudformation;
mod iam;
mod intent;
mod terraform;

use std::collections::HashSet;

use crate::policy::Invalid;
use crate::simulate::Configuration;

pub use intent::{Guard, Intent, Query, Resource, Wanted};

/// How documents are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// One file that `simulate`, `lint` and `apply` read.
    Configuration,
    /// A file for each call, for `--cli-input-json`, and the commands.
    AwsCli,
    /// A Python program.
    Boto3,
    /// A template, in YAML.
    CloudFormation,
    /// Terraform's JSON syntax.
    Terraform,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, without a folder.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Writes a configuration whose target has its names; the first file is the one to begin with.
///
/// # Errors
/// A target without names, or two policies, alarms or actions with one name.
pub fn files(configuration: &Configuration, output: Output) -> Result<Vec<File>, Invalid> {
    let target = &configuration.target;
    for (field, value) in [
        ("ResourceId", &target.resource_id),
        ("ScalableDimension", &target.scalable_dimension),
    ] {
        if value.is_none() {
            return Err(Invalid::new(
                format!("target.{field}"),
                "is missing; expected the target's name",
            ));
        }
    }
    let policies = configuration.policies.iter().map(|one| &one.policy_name);
    let alarms = configuration.alarms.iter().map(|one| &one.alarm_name);
    let scheduled = configuration.scheduled_actions.iter();
    once("PolicyName", policies)?;
    once("AlarmName", alarms)?;
    once(
        "ScheduledActionName",
        scheduled.map(|one| &one.scheduled_action_name),
    )?;
    let mut files = match output {
        Output::Configuration => vec![File {
            name: "scaling.json".to_owned(),
            text: api::pretty(&api::members(configuration)),
        }],
        Output::AwsCli => api::files(configuration),
        Output::Boto3 => vec![boto3::file(configuration)],
        Output::CloudFormation => vec![cloudformation::file(configuration)],
        Output::Terraform => vec![terraform::file(configuration)],
    };
    files.extend(iam::file(configuration));
    Ok(files)
}

/// AWS keeps the last of two with one name.
fn once<'c>(field: &str, names: impl Iterator<Item = &'c String>) -> Result<(), Invalid> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(Invalid::new(field, format!("{name:?} is used twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
