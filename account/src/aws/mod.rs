//! The only room that knows the AWS SDK: two clients, and what they say in our words.

mod activity;
mod alarm;
mod error;
mod metric;
mod policy;
mod schedule;
mod target;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_applicationautoscaling::config::{ProvideCredentials, SharedHttpClient};
use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};
use aws_smithy_http_client::tls::{rustls_provider::CryptoMode, Provider};
use serde::de::DeserializeOwned;
use serde::Serialize;
use serde_json::Value;

use crate::{Change, Document, Error, Names};

/// One call, with all the SDK's tries.
const CALL: Duration = Duration::from_secs(10);
/// Making a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Finding credentials: the instance's metadata service may be slow to say no.
const FIND: Duration = Duration::from_secs(10);

/// Clients of the two services.
#[derive(Debug)]
pub(crate) struct Clients {
    scaling: aws_sdk_applicationautoscaling::Client,
    cloudwatch: aws_sdk_cloudwatch::Client,
    region: String,
}

impl Clients {
    /// Finds region and credentials by the SDK's own chain.
    pub(crate) async fn connect(region: Option<&str>) -> Result<Self, Error> {
        // The instance's metadata service may be asked for the region too, and is slow to say no.
        let loaded = tokio::time::timeout(FIND, load(region)).await;
        let config = loaded.map_err(|_| Error::NoRegion)?;
        // A variable that is set to nothing counts as unset, which the SDK does not think.
        let region = config.region().map(|region| region.as_ref().to_owned());
        let region = region.filter(|region| !region.is_empty());
        let region = region.ok_or(Error::NoRegion)?;
        credentials(&config).await?;
        Ok(Self {
            scaling: aws_sdk_applicationautoscaling::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
            region,
        })
    }

    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// Makes one change. A policy's ARN goes into `arns`, where alarms find it.
    pub(crate) async fn put(
        &self,
        names: &Names,
        change: &Change,
        arns: &mut BTreeMap<String, String>,
    ) -> Result<(), Error> {
        match &change.document {
            Document::Target(target) => self.put_target(names, target).await,
            Document::Policy(policy) => {
                let arn = self.put_policy(names, policy).await?;
                arns.insert(policy.policy_name.clone(), arn);
                Ok(())
            }
            Document::Alarm(alarm) => self.put_alarm(alarm, arns).await,
            Document::ScheduledAction(action) => self.put_scheduled_action(names, action).await,
        }
    }
}

async fn load(region: Option<&str>) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_timeout(CALL)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http())
        .timeout_config(timeouts);
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    loader.load().await
}

/// Asked for once here, to tell "no credentials" from every other failure of a call.
async fn credentials(config: &SdkConfig) -> Result<(), Error> {
    let none = |why: &str| Error::NoCredentials(why.to_owned());
    let provider = config.credentials_provider();
    let provider = provider.ok_or_else(|| none("no source is configured"))?;
    match tokio::time::timeout(FIND, provider.provide_credentials()).await {
        Ok(Ok(_)) => Ok(()),
        // The SDK's sentence goes on for a line on each source that it tried.
        Ok(Err(error)) => {
            let why = error::innermost(&error);
            let why = why.lines().next().unwrap_or_default();
            Err(none(why.trim_end_matches(". Attempted:")))
        }
        Err(_) => Err(none("no source answered in time")),
    }
}

/// TLS by rustls with ring; plain HTTP where the endpoint says so.
fn http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

fn service(names: &Names) -> ServiceNamespace {
    ServiceNamespace::from(names.service_namespace.as_str())
}

fn dimension(names: &Names) -> ScalableDimension {
    ScalableDimension::from(names.scalable_dimension.as_str())
}

/// A number as the API has it.
fn whole(action: &'static str, field: &str, value: u64) -> Result<i32, Error> {
    i32::try_from(value).map_err(|_| Error::Other {
        action,
        why: format!("{field} is {value}; expected at most {}", i32::MAX),
    })
}

/// The API's spelling of one of our choices.
fn spelled(choice: &impl Serialize) -> String {
    match serde_json::to_value(choice) {
        Ok(Value::String(text)) => text,
        _ => String::new(),
    }
}

/// Our choice of this spelling.
fn choice<T: DeserializeOwned>(member: &str, text: &str) -> Result<T, String> {
    serde_json::from_value(Value::from(text))
        .map_err(|_| format!("has {member} {text}, which no scaling document has"))
}

/// A count that is never below zero.
fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}
