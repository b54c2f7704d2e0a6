//! Ten seconds of a fleet, and the metrics that AWS and the sidecar make of them.

use std::collections::VecDeque;

use super::latencies::Latencies;
use crate::policy::MetricStat;

/// Seconds in a bucket: the shortest period of an alarm.
pub const BUCKET_SECS: u64 = 10;

/// Readings of the instances: one each.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Readings {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Readings {
    /// A reading that stands for `weight` instances, or for a part of one.
    pub(super) fn add(&mut self, reading: f64, weight: f64) {
        self.merge(&Self {
            count: weight,
            sum: reading * weight,
            least: reading,
            most: reading,
        });
    }

    fn merge(&mut self, other: &Self) {
        if other.count <= 0.0 {
            return;
        }
        match self.count > 0.0 {
            true => {
                self.least = self.least.min(other.least);
                self.most = self.most.max(other.most);
            }
            false => (self.least, self.most) = (other.least, other.most),
        }
        self.count += other.count;
        self.sum += other.sum;
    }

    fn times(mut self, factor: f64) -> Self {
        self.sum *= factor;
        self.least *= factor;
        self.most *= factor;
        self
    }

    fn value(&self, stat: &str) -> Option<f64> {
        if self.count <= 0.0 {
            return None;
        }
        match stat {
            "Average" => Some(self.sum / self.count),
            "Sum" => Some(self.sum),
            "Minimum" => Some(self.least),
            "Maximum" => Some(self.most),
            "SampleCount" => Some(self.count),
            _ => None,
        }
    }
}

/// Ten seconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Bucket {
    /// In service: instances times seconds.
    pub(super) instance_secs: f64,
    /// Requests that came to an instance, repeated ones too.
    pub(super) invocations: f64,
    /// Each of them ÷ the instances there were.
    pub(super) per_instance: f64,
    /// Refused, because a queue was full.
    pub(super) rejected: f64,
    /// Not answered in time, or lost with their instance.
    pub(super) failed: f64,
    /// Came while no instance was in service.
    pub(super) no_capacity: f64,
    /// Microseconds in the container, of the answered ones.
    pub(super) latency: Latencies,
    /// Of each instance, for the period.
    pub(super) offered_load: Readings,
    pub(super) slot_utilization: Readings,
    /// Percent of all CPUs of the instance.
    pub(super) cpu: Readings,
    /// Percent of the time in which a run was in flight.
    pub(super) gpu: Readings,
    /// The mean of the period, and the largest of any moment.
    pub(super) concurrency: Readings,
    pub(super) queue: Readings,
}

impl Bucket {
    fn merge(&mut self, other: &Self) {
        self.instance_secs += other.instance_secs;
        self.invocations += other.invocations;
        self.per_instance += other.per_instance;
        self.rejected += other.rejected;
        self.failed += other.failed;
        self.no_capacity += other.no_capacity;
        self.latency.merge(&other.latency);
        self.offered_load.merge(&other.offered_load);
        self.slot_utilization.merge(&other.slot_utilization);
        self.cpu.merge(&other.cpu);
        self.gpu.merge(&other.gpu);
        self.concurrency.merge(&other.concurrency);
        self.queue.merge(&other.queue);
    }
}

/// SageMaker's scales.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scales {
    pub(super) vcpus: f64,
    pub(super) gpus: f64,
}

/// A metric of a fleet: its namespace, its name.
enum Known {
    InvocationsPerInstance,
    Count(fn(&Bucket) -> f64),
    Latency,
    Gauge(fn(&Bucket, Scales) -> Readings),
}

/// What a fleet publishes: namespace (none for the sidecar's own, which is the user's to choose) and name.
pub const METRICS: [(Option<&str>, &str); 21] = [
    (Some("AWS/SageMaker"), "InvocationsPerInstance"),
    (Some("AWS/SageMaker"), "InvocationsPerCopy"),
    (Some("AWS/SageMaker"), "Invocations"),
    (Some("AWS/SageMaker"), "Invocation5XXErrors"),
    (Some("AWS/SageMaker"), "NoCapacityInvocationFailures"),
    (Some("AWS/SageMaker"), "ConcurrentRequestsPerModel"),
    (Some("AWS/SageMaker"), "ConcurrentRequestsPerCopy"),
    (Some("AWS/SageMaker"), "ModelLatency"),
    (Some("/aws/sagemaker/Endpoints"), "CPUUtilization"),
    (Some("/aws/sagemaker/Endpoints"), "CPUUtilizationNormalized"),
    (Some("/aws/sagemaker/Endpoints"), "GPUUtilization"),
    (Some("/aws/sagemaker/Endpoints"), "GPUUtilizationNormalized"),
    (None, "OfferedLoad"),
    (None, "Concurrency"),
    (None, "QueueDepth"),
    (None, "SlotUtilization"),
    (None, "Invocations"),
    (None, "Rejected"),
    (None, "RequestLatency"),
    (None, "CPUUtilization"),
    (None, "GPUUtilization"),
];

/// Namespaces of AWS's own begin so.
const AWS: [&str; 2] = ["AWS/", "/aws/"];

fn known(metric: &MetricStat) -> Option<Known> {
    let namespace = metric.namespace.as_deref();
    let is_aws = namespace.is_some_and(|name| AWS.iter().any(|own| name.starts_with(own)));
    let is_there = METRICS.iter().any(|(own, name)| {
        *name == metric.name
            && match own {
                Some(own) => namespace.is_none_or(|namespace| namespace == *own),
                None => !is_aws,
            }
    });
    if !is_there {
        return None;
    }
    Some(match metric.name.as_str() {
        "InvocationsPerInstance" | "InvocationsPerCopy" => Known::InvocationsPerInstance,
        "Invocations" => Known::Count(|bucket| bucket.invocations),
        "Rejected" => Known::Count(|bucket| bucket.rejected),
        "Invocation5XXErrors" => Known::Count(|bucket| bucket.rejected + bucket.failed),
        "NoCapacityInvocationFailures" => Known::Count(|bucket| bucket.no_capacity),
        "ModelLatency" | "RequestLatency" => Known::Latency,
        "ConcurrentRequestsPerModel" | "ConcurrentRequestsPerCopy" | "Concurrency" => {
            Known::Gauge(|bucket, _| bucket.concurrency)
        }
        "QueueDepth" => Known::Gauge(|bucket, _| bucket.queue),
        "SlotUtilization" => Known::Gauge(|bucket, _| bucket.slot_utilization),
        "OfferedLoad" => Known::Gauge(|bucket, _| bucket.offered_load),
        "CPUUtilization" if is_aws => Known::Gauge(|bucket, scales| bucket.cpu.times(scales.vcpus)),
        "CPUUtilization" | "CPUUtilizationNormalized" => Known::Gauge(|bucket, _| bucket.cpu),
        "GPUUtilization" if is_aws => Known::Gauge(|bucket, scales| bucket.gpu.times(scales.gpus)),
        _ => Known::Gauge(|bucket, _| bucket.gpu),
    })
}

/// Whether a fleet publishes it, and with this statistic.
pub(super) fn is_known(metric: &MetricStat) -> bool {
    let is_percentile = percentile(&metric.stat).is_some();
    match known(metric) {
        Some(Known::Latency) => is_percentile || is_one_of_five(&metric.stat),
        Some(_) => is_one_of_five(&metric.stat),
        None => false,
    }
}

fn is_one_of_five(stat: &str) -> bool {
    let one = Readings {
        count: 1.0,
        ..Readings::default()
    };
    one.value(stat).is_some()
}

/// `p99` as 0.99.
fn percentile(stat: &str) -> Option<f64> {
    let percent: f64 = stat.strip_prefix('p')?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

/// The newest buckets, as long as a metric may be asked for.
#[derive(Debug, Clone)]
pub(super) struct Recent {
    buckets: VecDeque<Bucket>,
    keep: usize,
    /// Seconds at which the newest ends.
    end: u64,
    scales: Scales,
}

impl Recent {
    pub(super) fn new(longest_secs: u64, scales: Scales) -> Self {
        let keep = longest_secs.div_ceil(BUCKET_SECS).max(1);
        Self {
            buckets: VecDeque::new(),
            keep: usize::try_from(keep).unwrap_or(usize::MAX),
            end: 0,
            scales,
        }
    }

    pub(super) fn push(&mut self, bucket: Bucket) {
        if self.buckets.len() == self.keep {
            self.buckets.pop_front();
        }
        self.buckets.push_back(bucket);
        self.end += BUCKET_SECS;
    }

    /// A metric over a period that has ended.
    pub(super) fn value(&self, metric: &MetricStat, start: u64, end: u64) -> Option<f64> {
        self.found(metric, start, end)
            .filter(|value| value.is_finite())
    }

    fn found(&self, metric: &MetricStat, start: u64, end: u64) -> Option<f64> {
        let known = known(metric)?;
        let mut all = Bucket::default();
        let newest = self.buckets.iter().rev();
        let ends = (0..).map(|back| self.end.saturating_sub(back * BUCKET_SECS));
        for (bucket, bucket_end) in newest.zip(ends) {
            if bucket_end <= end && bucket_end > start {
                all.merge(bucket);
            }
        }
        let has_capacity = all.instance_secs > 0.0;
        let sum = |sum: f64, samples: f64| {
            let readings = Readings {
                count: samples,
                sum,
                least: 1.0,
                most: 1.0,
            };
            readings.value(&metric.stat)
        };
        match known {
            // Each request counts with 1 ÷ instances; none where nothing is in service.
            Known::InvocationsPerInstance if has_capacity => match metric.stat.as_str() {
                "Sum" => Some(all.per_instance),
                stat => Readings {
                    count: all.invocations,
                    sum: all.per_instance,
                    least: 0.0,
                    most: 1.0,
                }
                .value(stat),
            },
            Known::InvocationsPerInstance => None,
            Known::Count(of) if metric.stat == "Sum" => {
                (has_capacity || of(&all) > 0.0).then(|| of(&all))
            }
            Known::Count(of) => sum(of(&all), of(&all)),
            Known::Latency => match percentile(&metric.stat) {
                Some(quantile) => all.latency.quantile(quantile),
                None => all.latency.readings().value(&metric.stat),
            },
            Known::Gauge(of) => of(&all, self.scales).value(&metric.stat),
        }
    }
}
