//! PutMetricData through the AWS SDK. The only room that knows AWS.
//!
//! Nothing here runs on the start path: region and credentials are looked for when the first
//! period is published, on the sidecar's thread, with time limits. The SDK's own retries are off,
//! because the publisher decides when to try again: PutMetricData has no idempotency token, so what
//! may have arrived is never sent again. Whether a request has begun to leave is seen at its body
//! ([`watch`]), not guessed from the kind of error.

pub(crate) mod encode;
mod error;
pub(crate) mod retry;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_cloudwatch::config::retry::RetryConfig;
use aws_sdk_cloudwatch::config::timeout::TimeoutConfig;
use aws_sdk_cloudwatch::config::{
    ProvideCredentials, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_cloudwatch::types::Dimension;
use aws_sdk_cloudwatch::Client;
use aws_smithy_http_client::tls::{rustls_provider::CryptoMode, Provider};
use scaling::window::Period;
use tokio::task::JoinSet;

use super::route::Refusal;
use super::skew::Skew;
use super::{Cloud, Progress};
use watch::Watch;

/// Time limits of the way to CloudWatch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Finding region and credentials: the instance's metadata service may be slow to say no.
    pub(crate) connect: Duration,
    /// One call.
    pub(crate) call: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            call: Duration::from_secs(8),
        }
    }
}

/// The client, made on first use and again after a refusal that new credentials may heal.
pub(crate) struct CloudWatch {
    namespace: String,
    dimensions: Vec<Dimension>,
    region: Option<String>,
    limits: Limits,
    given: Option<SdkConfig>,
    /// What the SDK's chain found; kept while only connections are made anew.
    found: Option<SdkConfig>,
    skew: Arc<Skew>,
    client: Option<Client>,
}

impl CloudWatch {
    /// Uses the SDK's own chain for region and credentials; `region` where that knows none.
    pub(crate) fn new(
        namespace: &str,
        dimensions: &[(String, String)],
        region: Option<String>,
    ) -> Self {
        Self {
            namespace: namespace.to_owned(),
            dimensions: encode::dimensions(dimensions),
            region,
            limits: Limits::default(),
            given: None,
            found: None,
            skew: Arc::default(),
            client: None,
        }
    }

    /// Keeps the difference of the clocks in `skew`.
    pub(crate) fn with_skew(mut self, skew: Arc<Skew>) -> Self {
        self.skew = skew;
        self
    }

    #[cfg(test)]
    pub(crate) fn with_config(mut self, config: SdkConfig, limits: Limits) -> Self {
        (self.given, self.limits) = (Some(config), limits);
        self
    }

    async fn client(&mut self) -> Result<Client, Refusal> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let config = match &self.found {
            Some(config) => config.clone(),
            None => {
                let work = find(self.given.clone(), self.region.clone(), self.limits);
                self.found.insert(guarded(work).await?).clone()
            }
        };
        let limits = self.limits;
        let made = guarded(async move { Ok(client(&config, limits)) }).await?;
        Ok(self.client.insert(made).clone())
    }

    async fn send(&mut self, period: &Period, progress: &mut Progress) -> Result<(), Refusal> {
        let client = self.client().await?;
        let calls = encode::calls(encode::datums(period, &self.dimensions));
        for call in calls.into_iter().skip(progress.accepted) {
            progress.begin();
            let watch = Watch::new(progress.written(), self.skew.clone());
            let request = client.put_metric_data().namespace(&self.namespace);
            let request = request.set_metric_data(Some(call));
            let request = request.customize().interceptor(watch);
            let (limit, written) = (self.limits.call, progress.written());
            let skew = self.skew.clone();
            let sent = guarded(async move {
                let answer = tokio::time::timeout(limit, request.send()).await;
                let written = Progress::is_set(&written);
                match answer {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(error)) => {
                        let skew_secs = skew.seconds().unwrap_or_default();
                        Err(error::refusal(&error, written, skew_secs))
                    }
                    Err(_) if written => Err(Refusal::Lost("no answer in time".to_owned())),
                    Err(_) => Err(Refusal::Timeout),
                }
            });
            match sent.await {
                Err(Refusal::Internal(text)) if progress.is_written() => {
                    return Err(Refusal::Lost(text));
                }
                sent => sent?,
            }
            progress.accept();
        }
        Ok(())
    }
}

impl Cloud for CloudWatch {
    async fn put(&mut self, period: &Period, progress: &mut Progress) -> Result<(), Refusal> {
        let sent = self.send(period, progress).await;
        if matches!(
            sent,
            Err(Refusal::NoCredentials(_) | Refusal::Denied(_) | Refusal::Internal(_))
        ) {
            (self.client, self.found) = (None, None);
        }
        sent
    }

    fn reconnect(&mut self) {
        self.client = None;
    }
}

/// Runs on a task of its own, so that a panic in foreign code costs one attempt; the task ends
/// with this future.
async fn guarded<T: Send + 'static>(
    work: impl std::future::Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    let mut tasks = JoinSet::new();
    tasks.spawn(work);
    match tasks.join_next().await {
        Some(Ok(done)) => done,
        Some(Err(error)) => Err(Refusal::Internal(error.to_string())),
        None => Err(Refusal::Internal("no task".to_owned())),
    }
}

/// Region and credentials.
async fn find(
    given: Option<SdkConfig>,
    region: Option<String>,
    limits: Limits,
) -> Result<SdkConfig, Refusal> {
    let found = tokio::time::timeout(limits.connect, async {
        let config = match given {
            Some(config) => config,
            None => load(region).await,
        };
        if !has_region(&config) {
            return Err(Refusal::NoRegion);
        }
        let Some(credentials) = config.credentials_provider() else {
            return Err(Refusal::NoCredentials("none configured".to_owned()));
        };
        // Asked here once to tell "no credentials" from every other failure of a call.
        match credentials.provide_credentials().await {
            Ok(_) => Ok(config),
            Err(error) => Err(Refusal::NoCredentials(error::innermost(&error))),
        }
    });
    found.await.unwrap_or_else(|_| {
        Err(Refusal::NoCredentials(
            "no source answered in time".to_owned(),
        ))
    })
}

/// A client with connections of its own.
fn client(config: &SdkConfig, limits: Limits) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(limits.call.min(Duration::from_secs(3)))
        .operation_attempt_timeout(limits.call)
        .operation_timeout(limits.call)
        .build();
    let config = aws_sdk_cloudwatch::config::Builder::from(config)
        .http_client(http())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    Client::from_conf(config)
}

/// The SDK's chain: environment, profile (with SSO and roles), web identity, container, instance.
async fn load(region: Option<String>) -> SdkConfig {
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http())
        .load()
        .await;
    match region {
        Some(region) if !has_region(&config) => {
            config.into_builder().region(Region::new(region)).build()
        }
        _ => config,
    }
}

/// A variable that is set to nothing counts as unset, which the SDK does not think.
fn has_region(config: &SdkConfig) -> bool {
    config
        .region()
        .is_some_and(|region| !region.as_ref().is_empty())
}

/// TLS by rustls with ring; plain HTTP where the endpoint says so.
fn http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

#[cfg(test)]
mod tests;
