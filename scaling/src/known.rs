//! What is known of the metrics that a policy may name: SageMaker's and our own.
//!
//! Source: SageMaker AI Developer Guide, "Metrics for monitoring SageMaker AI with CloudWatch" (2026);
//! our own are the catalogue's.

use crate::catalogue::{Kind, Metric, Statistic};

/// How a metric answers to load and capacity: whether it can be tracked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Load of one unit of capacity: grows with the traffic without limit, and falls as capacity grows.
    Load,
    /// A share of something: it cannot pass its bound.
    Bounded(Bound),
    /// A time that somebody waits: flat, and then steep.
    Latency,
    /// Of all units together: more capacity does not lower it.
    Total,
    /// Of memory, storage, errors: it says little of load.
    Other,
}

/// The most that a share can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// 100.
    Hundred,
    /// 100 for each vCPU.
    PerVcpu,
    /// 100 for each GPU.
    PerGpu,
    /// 1.
    One,
}

/// A metric as it is published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// Its namespace; none for ours, which has whichever it is told.
    pub namespace: Option<&'static str>,
    /// Its name.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// The statistics that mean something, the one to use first; empty where all do.
    pub statistics: &'static [&'static str],
    /// Seconds that one datapoint stands for.
    pub resolution: u64,
    /// The sets of dimensions that it is published with.
    pub dimensions: &'static [&'static [&'static str]],
    /// How it answers.
    pub nature: Nature,
}

/// SageMaker's namespace of requests.
pub const REQUESTS: &str = "AWS/SageMaker";
/// …of instances.
pub const INSTANCES: &str = "/aws/sagemaker/Endpoints";
/// …of inference components.
pub const COMPONENTS: &str = "/aws/sagemaker/InferenceComponents";

const VARIANT: &[&str] = &["EndpointName", "VariantName"];
const COMPONENT: &[&str] = &["InferenceComponentName"];
const ENDPOINT: &[&str] = &["EndpointName"];
/// Of a multi-container endpoint.
const CONTAINER: &[&str] = &["EndpointName", "VariantName", "ContainerName"];
/// What is published for a container of several too.
const VARIANTS: &[&[&str]] = &[VARIANT, CONTAINER];
/// Our own sets.
pub const OURS: &[&[&str]] = &[VARIANT, CONTAINER, COMPONENT];
const EITHER: &[&[&str]] = &[VARIANT, COMPONENT, CONTAINER];

const MEAN: &[&str] = &["Average", "Maximum", "Minimum", "SampleCount", "Sum"];
const UTILIZATION: &[&str] = &["Average", "Maximum", "Minimum", "SampleCount"];

macro_rules! known {
    ($($namespace:ident $name:ident $unit:ident $nature:expr, $dimensions:expr, $resolution:literal, $statistics:expr;)+) => {
        /// SageMaker's.
        pub const AWS: &[Known] = &[$(Known {
            namespace: Some($namespace),
            name: stringify!($name),
            unit: stringify!($unit),
            statistics: $statistics,
            resolution: $resolution,
            dimensions: $dimensions,
            nature: $nature,
        },)+];
    };
}

known! {
    REQUESTS Invocations None Nature::Total, VARIANTS, 60, &["Sum", "SampleCount"];
    REQUESTS InvocationsPerInstance None Nature::Load, VARIANTS, 60, &["Sum"];
    REQUESTS InvocationsPerCopy None Nature::Load, &[COMPONENT], 60, &["Sum"];
    REQUESTS ConcurrentRequestsPerModel Count Nature::Load, EITHER, 10, &["Maximum", "Minimum"];
    REQUESTS ConcurrentRequestsPerCopy Count Nature::Load, &[COMPONENT], 10, &["Maximum", "Minimum"];
    REQUESTS ModelLatency Microseconds Nature::Latency, EITHER, 60, &[];
    REQUESTS OverheadLatency Microseconds Nature::Latency, EITHER, 60, MEAN;
    REQUESTS FirstChunkLatency Microseconds Nature::Latency, EITHER, 60, &[];
    REQUESTS FirstChunkModelLatency Microseconds Nature::Latency, EITHER, 60, &[];
    REQUESTS FirstChunkOverheadLatency Microseconds Nature::Latency, EITHER, 60, &[];
    REQUESTS MidStreamErrors None Nature::Other, EITHER, 60, &["Sum", "Average"];
    REQUESTS Invocation4XXErrors None Nature::Other, EITHER, 60, &["Sum", "Average"];
    REQUESTS Invocation5XXErrors None Nature::Other, EITHER, 60, &["Sum", "Average"];
    REQUESTS InvocationModelErrors None Nature::Other, EITHER, 60, &["Sum", "Average"];
    REQUESTS NoCapacityInvocationFailures Count Nature::Other, &[COMPONENT], 60, &["Sum"];
    REQUESTS ModelLoadingWaitTime Microseconds Nature::Latency, &[VARIANT], 60, MEAN;
    REQUESTS ModelDownloadingTime Microseconds Nature::Latency, &[VARIANT], 60, MEAN;
    REQUESTS ModelLoadingTime Microseconds Nature::Latency, &[VARIANT], 60, MEAN;
    REQUESTS ModelUnloadingTime Microseconds Nature::Latency, &[VARIANT], 60, MEAN;
    REQUESTS ModelCacheHit None Nature::Other, &[VARIANT], 60, &["Average", "Sum", "SampleCount"];
    REQUESTS ApproximateBacklogSize Count Nature::Total, &[ENDPOINT], 60, MEAN;
    REQUESTS ApproximateBacklogSizePerInstance Count Nature::Load, &[ENDPOINT], 60, MEAN;
    REQUESTS ApproximateAgeOfOldestRequest Seconds Nature::Latency, &[ENDPOINT], 60, MEAN;
    REQUESTS HasBacklogWithoutCapacity Count Nature::Other, &[ENDPOINT], 60, MEAN;
    REQUESTS ServerlessProvisionedConcurrencyUtilization None Nature::Bounded(Bound::One), &[VARIANT], 60, &["Maximum", "Average", "Minimum"];
    REQUESTS ServerlessProvisionedConcurrencySpilloverInvocations Count Nature::Total, &[VARIANT], 60, MEAN;
    REQUESTS ModelSetupTime Microseconds Nature::Latency, &[VARIANT], 60, &[];
    INSTANCES CPUUtilization Percent Nature::Bounded(Bound::PerVcpu), VARIANTS, 60, UTILIZATION;
    INSTANCES GPUUtilization Percent Nature::Bounded(Bound::PerGpu), &[VARIANT], 60, UTILIZATION;
    INSTANCES CPUUtilizationNormalized Percent Nature::Bounded(Bound::Hundred), EITHER, 60, UTILIZATION;
    INSTANCES GPUUtilizationNormalized Percent Nature::Bounded(Bound::Hundred), EITHER, 60, UTILIZATION;
    INSTANCES MemoryUtilization Percent Nature::Other, VARIANTS, 60, UTILIZATION;
    INSTANCES MemoryUtilizationNormalized Percent Nature::Other, EITHER, 60, UTILIZATION;
    INSTANCES GPUMemoryUtilization Percent Nature::Other, &[VARIANT], 60, UTILIZATION;
    INSTANCES GPUMemoryUtilizationNormalized Percent Nature::Other, EITHER, 60, UTILIZATION;
    INSTANCES DiskUtilization Percent Nature::Other, &[VARIANT], 60, UTILIZATION;
    INSTANCES CPUReservation Percent Nature::Other, &[VARIANT], 60, UTILIZATION;
    INSTANCES GPUReservation Percent Nature::Other, &[VARIANT], 60, UTILIZATION;
    INSTANCES MemoryReservation Percent Nature::Other, &[VARIANT], 60, UTILIZATION;
    INSTANCES LoadedModelCount None Nature::Other, &[VARIANT], 60, MEAN;
    COMPONENTS CPUUtilizationNormalized Percent Nature::Bounded(Bound::Hundred), &[COMPONENT], 60, UTILIZATION;
    COMPONENTS GPUUtilizationNormalized Percent Nature::Bounded(Bound::Hundred), &[COMPONENT], 60, UTILIZATION;
    COMPONENTS MemoryUtilizationNormalized Percent Nature::Other, &[COMPONENT], 60, UTILIZATION;
    COMPONENTS GPUMemoryUtilizationNormalized Percent Nature::Other, &[COMPONENT], 60, UTILIZATION;
}

/// Our own metric, as a policy sees it.
#[must_use]
pub fn ours(metric: Metric) -> Known {
    let nature = match metric {
        Metric::OfferedLoad | Metric::Concurrency => Nature::Load,
        Metric::SlotUtilization
        | Metric::CPUUtilization
        | Metric::GPUUtilization
        | Metric::GPUBusy => Nature::Bounded(Bound::Hundred),
        Metric::OldestWait
        | Metric::RequestLatency
        | Metric::QueueLatency
        | Metric::InferenceLatency
        | Metric::CodecLatency => Nature::Latency,
        Metric::Invocations => Nature::Total,
        Metric::QueueDepth
        | Metric::Rejected
        | Metric::ClientErrors
        | Metric::ServerErrors
        | Metric::BatchSize
        | Metric::CPUThrottled
        | Metric::MemoryUtilization
        | Metric::GPUMemoryUtilization
        | Metric::ModelsLoaded
        | Metric::ModelMemory => Nature::Other,
    };
    let statistics: &[&str] = match (metric.kind(), metric.statistic()) {
        (Kind::Counter, _) => &["Sum", "Average", "Maximum", "Minimum"],
        (Kind::Distribution, _) => &[],
        (_, Statistic::Maximum) => &["Maximum", "Average", "Minimum"],
        _ => &["Average", "Maximum", "Minimum"],
    };
    Known {
        namespace: None,
        name: metric.name(),
        unit: metric.unit().name(),
        statistics,
        // In high resolution, as is the default.
        resolution: 1,
        dimensions: OURS,
        nature,
    }
}

/// Whether a namespace is one of AWS's.
#[must_use]
pub fn is_aws(namespace: &str) -> bool {
    let lower = namespace.to_ascii_lowercase();
    lower.starts_with("aws/") || lower.starts_with("/aws/")
}

/// The metric of this name in this namespace; ours for any namespace that is not AWS's.
#[must_use]
pub fn find(namespace: &str, name: &str) -> Option<Known> {
    if is_aws(namespace) {
        let is_same = |known: &&Known| known.namespace == Some(namespace) && known.name == name;
        return AWS.iter().find(is_same).copied();
    }
    let metric = Metric::ALL.iter().find(|metric| metric.name() == name);
    metric.map(|metric| ours(*metric))
}
