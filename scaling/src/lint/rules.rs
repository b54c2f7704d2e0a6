//! Every rule: what it finds, why that is a trap, and what to write instead.

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, and there is something to know.
    Note,
    /// It works otherwise than most people expect.
    Warning,
    /// AWS refuses it, or it never does what it says.
    Error,
}

impl Severity {
    /// As SARIF calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, for ever.
    pub id: &'static str,
    /// How bad what it finds is.
    pub severity: Severity,
    /// What it finds, in one line.
    pub title: &'static str,
    /// Why that is a trap.
    pub reason: &'static str,
    /// What to write instead.
    pub fix: &'static str,
}

/// The rule of this id.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.id == id)
}

macro_rules! rules {
    ($($name:ident $severity:ident $id:literal $title:literal $reason:literal $fix:literal)+) => {
        $(pub(super) const $name: &Rule = &Rule {
            id: $id,
            severity: Severity::$severity,
            title: $title,
            reason: $reason,
            fix: $fix,
        };)+
        /// All of them, in the order of the documentation.
        pub const RULES: &[&Rule] = &[$($name,)+];
    };
}

rules! {
    REFUSED Error "refused-by-aws"
        "A field that the API refuses"
        "Application Auto Scaling and CloudWatch refuse unknown fields, missing ones, values out of their enumerations and bounds, and steps with gaps or overlaps. What is refused is not there."
        "Write the field as the API has it; the message says what was expected."
    UNKNOWN_PREDEFINED Error "unknown-predefined-metric"
        "A predefined metric that does not exist for SageMaker"
        "There are five predefined metrics for SageMaker, and none is CPU, GPU, memory or latency. `SageMakerVariantUtilization`, which study guides name, is not among them; PutScalingPolicy refuses it. The names of other services, such as `ECSServiceAverageCPUUtilization`, do not work either."
        "For CPU take a CustomizedMetricSpecification on `/aws/sagemaker/Endpoints` `CPUUtilization` with a target of percent × vCPUs, or better the load that the server itself knows: `OfferedLoad`."
    PREDEFINED_TARGET Error "predefined-metric-of-other-target"
        "A predefined metric that belongs to another kind of target"
        "`…PerCopy` metrics exist for inference components, `…Variant…` metrics for variants, and provisioned concurrency for serverless variants. On another target there is no data, and the policy never acts."
        "Take the predefined metric of the target's own kind."
    RESOURCE_LABEL Error "resource-label"
        "A ResourceLabel"
        "ResourceLabel names a target group of a load balancer. SageMaker's predefined metrics have none, and the policy is refused."
        "Leave it out."
    PERIOD Error "period-in-target-tracking"
        "A Period in a target-tracking policy"
        "Application Auto Scaling's customized metric has no Period (EC2 Auto Scaling's has): it is evaluated on whole minutes. The field is refused, and a faster reaction is not to be had this way."
        "Leave it out. For a reaction within half a minute add a step policy with an alarm of your own with a period of 10 seconds."
    STATISTIC Error "invalid-statistic"
        "A statistic that does not exist there"
        "The short form of a customized metric takes Average, Minimum, Maximum, SampleCount and Sum. Percentiles are only for `Metrics[].MetricStat.Stat` and for an alarm's ExtendedStatistic."
        "Take one of the five, or write the metric as an element of `Metrics`."
    MATH Error "invalid-metric-math"
        "Metric math that cannot be one series"
        "Exactly one element returns data, every id begins with a lower-case letter and is used once, an expression yields one series of at most ten metrics."
        "Mark the expression, and only that, with `\"ReturnData\": true`."
    SPARSE_MATH Warning "sparse-metric-math"
        "Metric math on a metric that has gaps"
        "Requests and errors write nothing while there are none. An expression over a missing value is missing: the low alarm has no data and capacity never falls."
        "Put the metric into `FILL(m1, 0)`."
    MIN_OVER_MAX Error "min-over-max"
        "A least capacity above the largest"
        "RegisterScalableTarget and PutScheduledAction refuse it."
        "Exchange the two."
    ZERO_MINIMUM Error "zero-minimum"
        "A real-time variant with a least capacity of 0"
        "A real-time variant cannot have fewer than one instance. Scaling to zero is for asynchronous endpoints and for inference components on instances that are managed to zero."
        "Take 1, or move the model to an inference component."
    PREDICTIVE Error "predictive-scaling"
        "Predictive scaling"
        "The policy type exists, and for ECS only."
        "For a peak that comes every day write a scheduled action."
    SAME_METRIC Error "same-metric-twice"
        "Two target-tracking policies on one metric"
        "Each target-tracking policy of a target must track a metric of its own; the second is refused."
        "Keep one of them, or let the second be a step policy."
    SCHEDULE Error "invalid-schedule"
        "A schedule that cannot be read, or never comes"
        "A cron expression has six fields and a `?` for the day of month or the day of week. A time zone is an IANA name, and not for a rate. A day such as 31 February never comes."
        "Write `at(yyyy-mm-ddThh:mm:ss)`, `rate(5 minutes)` or `cron(0 8 ? * MON-FRI *)`."
    NO_RETURN Warning "schedule-without-return"
        "A schedule that raises the least capacity for ever"
        "A scheduled action sets the bounds, and they stay until something else sets them. After the first morning the night has as many instances."
        "A second action that sets MinCapacity back."
    RESOURCE Error "resource-id"
        "A target that does not fit SageMaker's naming"
        "ServiceNamespace is `sagemaker`; a variant is `endpoint/<endpoint>/variant/<variant>`, an inference component `inference-component/<name>`, and the ScalableDimension must be that of the same kind. Anything else is refused, or registers what does not exist."
        "Write the three as one of the three kinds has them."
    MANAGED_ALARM Warning "managed-alarm"
        "An alarm that belongs to a target-tracking policy"
        "Alarms named `TargetTracking-…` are made, changed and removed by Application Auto Scaling. What is changed in them is undone or breaks the policy."
        "Leave them out of your documents."
    BURSTABLE Error "burstable-instance"
        "A scaled variant on burstable instances"
        "Variants on T2 instances cannot be scaled automatically."
        "Take an instance of another family, such as ml.c6i or ml.m6i."
    UNKNOWN_METRIC Error "unknown-metric"
        "A metric that nobody publishes"
        "CloudWatch takes any name. A policy on a metric that does not exist stays at INSUFFICIENT_DATA for ever, and nothing says so. Names are case-sensitive."
        "Write the name as it is published."
    NAMESPACE Error "wrong-namespace"
        "A metric in a namespace that does not have it"
        "Requests are in `AWS/SageMaker`, the use of instances in `/aws/sagemaker/Endpoints` (leading slash, lower case, plural), that of components in `/aws/sagemaker/InferenceComponents`. A mistake is silent: there is no data."
        "Write the namespace that has the metric."
    DIMENSIONS Error "wrong-dimensions"
        "Dimensions with which the metric is not published"
        "A metric is found only under exactly the dimensions with which it is published: one too few, or one too many, is another metric, which does not exist."
        "Write exactly the published set."
    OTHER_ENDPOINT Warning "metric-of-other-endpoint"
        "A metric of another endpoint than the one that is scaled"
        "The dimensions name another endpoint, variant or component than the target. The policy would scale one by the load of another."
        "Write the target's own names."
    PER_INSTANCE Error "metric-of-one-instance"
        "A metric of one instance"
        "With the dimension InstanceId, ContainerId or AcceleratorId the metric is that of one machine, which is gone one day, and the load of the others is not seen."
        "Leave the dimension out: the mean over all instances is published without it."
    UNIT Error "wrong-unit"
        "A unit in which the metric is not published"
        "CloudWatch converts nothing. A unit that differs from the published one selects nothing, and there is no data."
        "Leave Unit out, or write the published one."
    WRONG_STATISTIC Error "wrong-statistic"
        "A statistic that means nothing for the metric"
        "InvocationsPerInstance is a Sum of 1 ÷ instances for each request: its Average is about 1 ÷ instances, whatever the traffic. Concurrency at 10 s has a minimum and a maximum only. The Sum of a percentage counts samples: it doubles when the fleet doubles, so that scaling out calls for more."
        "Take the statistic that the message names."
    ASYNC Error "asynchronous-without-invocations"
        "A metric that asynchronous endpoints do not have"
        "Asynchronous endpoints publish their backlog, and neither Invocations nor InvocationsPerInstance."
        "`ApproximateBacklogSizePerInstance` in `AWS/SageMaker`, with the dimension EndpointName alone."
    NORMALIZED Warning "normalized-without-components"
        "A normalized metric on a variant"
        "`…Normalized` metrics are published only for endpoints that host inference components. On a plain variant there is no data."
        "Take the plain metric with a target of percent × vCPUs, or the container's own `CPUUtilization`, which is 0 to 100."
    OTEL Error "prometheus-metric"
        "A Prometheus name in a policy"
        "What SageMaker scrapes from `/metrics`, and what is sent by OTLP, is asked for by PromQL. It is no classic metric: no alarm of Application Auto Scaling sees it."
        "Name the metric that is published to CloudWatch, such as `OfferedLoad`."
    CPU_SCALE Warning "cpu-scale"
        "A CPU or GPU target on the scale of one core"
        "SageMaker's CPUUtilization is the sum over the cores, 0 to 100 × vCPUs; GPUUtilization 0 to 100 × GPUs. On 8 vCPUs a target of 50 is 6 % of the machine: the fleet runs to its maximum and stays there."
        "Multiply by the number of vCPUs or GPUs, or track a metric that is 0 to 100 on every machine."
    BOUNDED Warning "bounded-metric"
        "A metric that cannot show how much is missing"
        "The new capacity is capacity × metric ÷ target. A share cannot pass 100, so one round grows the fleet by at most 100 ÷ target, and a round is three minutes of alarm, a launch and a cooldown. A load without a bound gets there in one."
        "Track `OfferedLoad` or InvocationsPerInstance, or add a step policy that adds more at once."
    BEYOND_BOUND Error "target-out-of-reach"
        "A target that the metric can never pass"
        "The high alarm needs the metric above the target. A share that ends at 100 is never above 100."
        "Take a target below the bound; 50 to 70 percent leaves time for a launch."
    FRACTION Error "percent-or-fraction"
        "A share on the other scale"
        "The utilization of provisioned concurrency is a fraction from 0 to 1; every other utilization is in percent. 70 of a fraction is never reached; 0.7 percent is always passed."
        "Write 0.7 for the fraction, 70 for percent."
    HEAD_ROOM Warning "no-head-room"
        "A target that leaves no room for a launch"
        "Between the first datapoint above the target and the first answer of a new instance pass some eight minutes. What the traffic grows by meanwhile has to fit above the target: at 90 percent, growth of a ninth fills the instances."
        "Divide what an instance can take by the growth within a launch: 50 to 70 percent where nobody knows it. `plimsoll simulate` tries targets on your own traffic."
    GPU_TIME Warning "gpu-is-time"
        "GPU utilization taken for load"
        "NVML's utilization, which SageMaker publishes, is the share of time in which any kernel ran, not the share of the GPU that is in use. It stands at 100 long before the throughput has peaked, and batching makes it fall as load grows."
        "Track `OfferedLoad`, or the requests in flight."
    SPINNING Note "spinning-threads"
        "CPU, whose threads may spin"
        "ONNX Runtime's threads spin while they wait, by default: the CPU then shows how recent the last request is, not how much there is to do. This server has that switched off; others have not."
        "Switch spinning off (session.intra_op.allow_spinning = 0), or track the load."
    INVOCATIONS Warning "invocations-target"
        "A target of invocations far from what an instance can do"
        "InvocationsPerInstance counts a minute, not a second. A target above what an instance answers is never kept; one far below it pays for idle instances: 500 a minute of 2 ms each are 1.7 % of one core."
        "What one instance answers as promised (a load test's requests a second) × 60 × 0.5, or the share that the growth within a launch allows."
    LATENCY Warning "latency-tracked"
        "Latency as the tracked metric"
        "Latency is flat until the instances are full and then explodes; more instances never push it below the service time, and twice the latency does not mean half the capacity. The arithmetic of target tracking does not hold for it, and it is seen only when answers are late already."
        "Track the load, and watch the latency with an alarm that tells people."
    MICROSECONDS Error "microseconds"
        "A latency in milliseconds"
        "SageMaker's latencies, and ours, are in microseconds: 150 ms is 150000. A threshold of 150 is passed by every request."
        "Multiply by 1000."
    NOT_PROPORTIONAL Error "not-proportional"
        "A metric that more capacity does not lower"
        "Target tracking needs a metric that falls as capacity grows. A total over the fleet, memory, errors or a cache's hits do not: the fleet grows to its maximum, or never moves."
        "Track the load of one instance: `OfferedLoad`, InvocationsPerInstance, or the backlog of one instance."
    MAXIMUM Note "maximum-of-concurrency"
        "Concurrency is compared by its maximum"
        "The 10 s concurrency metrics have no average. The alarm looks at the Maximum, which is 1.4 to 10 times the mean that a load test or Little's law gives. With an unbounded queue it also counts what waits, and asks again for capacity that is on its way."
        "Set the target from measured maxima near saturation, bound the queue (PLIMSOLL_QUEUE_LIMIT), and consider DisableScaleIn with another policy for scaling in."
    COOLDOWN Warning "cooldown"
        "A cooldown that does not fit the launch"
        "A cooldown begins when the change is complete. A short scale-in cooldown removes instances faster than they can be had back; a long scale-out cooldown holds back every growth that is not larger than the last."
        "60 to 120 seconds for scaling out, 300 or more for scaling in."
    NO_GUARD Note "slow-reaction"
        "Nothing reacts within three minutes"
        "A one-minute metric needs three datapoints above the target and a minute until it is visible; then a launch follows. A burst that is faster meets the capacity that is there."
        "Add a step policy with an alarm of 10 s on `OfferedLoad`, and bound the queue; or raise the least capacity."
    SMALL_STEPS Warning "small-steps"
        "Steps that take a dozen launches to the top"
        "While an instance launches the endpoint is updating, and nothing further is added. A policy that adds one at a time needs a launch and a cooldown for each."
        "Percent of the capacity (PercentChangeInCapacity 30 to 120), or steps that add more the further the metric is above."
    NEVER_IN Warning "never-scales-in"
        "Nothing ever removes capacity"
        "Every policy has DisableScaleIn, and no step policy removes anything: after the first peak the fleet stays large."
        "Let one policy scale in."
    SUSPENDED Warning "suspended"
        "Scaling that is suspended"
        "A suspended direction does nothing, and nothing that was missed is made up for."
        "Leave SuspendedState out when it is no longer meant."
    FIXED Warning "fixed-capacity"
        "A least capacity equal to the largest"
        "There is nothing to scale between: every decision ends at AlreadyAtMaxCapacity or AlreadyAtMinCapacity."
        "Raise MaxCapacity."
    STEP_IN Warning "step-scale-in"
        "A step policy that removes, beside target tracking"
        "Scaling in waits until all target-tracking policies are ready for it; a step policy's does not. The two work against one another: one removes what the other adds."
        "Let target tracking scale in, and the step policy only add."
    HIGH_RESOLUTION Error "high-resolution-alarm"
        "An alarm of 10 or 30 seconds on a metric of minutes"
        "SageMaker's metrics are written once a minute (concurrency every ten seconds). An alarm of a shorter period finds most of its periods empty."
        "Take a period of 60, or a metric that is published in high resolution, such as `OfferedLoad`."
    MISSING_DATA Warning "missing-data"
        "Missing data that changes the capacity"
        "With `breaching`, the alarm fires when the metric stops: a failed publisher scales the fleet to its maximum, or, where the policy removes, to its minimum. Missing data is no load and no idleness."
        "Take `notBreaching` for an alarm that adds, `missing` for one that removes."
    NO_ALARM Error "step-without-alarm"
        "A step policy that no alarm calls"
        "A step policy has no alarms of its own: without one that names its ARN in AlarmActions it never acts."
        "Write the alarm beside it."
    STEPS Error "steps-out-of-reach"
        "Steps on the other side of the threshold"
        "Bounds are offsets from the alarm's threshold. An alarm that fires above it needs steps from 0 upwards, one that fires below it steps up to 0. Otherwise no step fits and nothing happens."
        "Begin the steps at 0 on the side on which the alarm fires."
    WAKE_UP Error "wake-up-threshold"
        "A wake-up that one request does not reach"
        "The first request to an endpoint without capacity is one failure. `GreaterThanThreshold` 1 needs two in a minute; AWS's printed example has it."
        "`GreaterThanOrEqualToThreshold` 1, Sum, 60 s, 1 of 1."
    NO_WAKE_UP Warning "no-wake-up"
        "Nothing wakes it from zero"
        "With no copy in service there is no load to track, and 0 × anything is 0: target tracking cannot leave zero. Requests fail until something else adds a copy."
        "A step policy ChangeInCapacity +1 with an alarm on `NoCapacityInvocationFailures`."
    DISABLED Warning "alarm-actions-disabled"
        "An alarm whose actions are switched off"
        "With ActionsEnabled false the alarm changes its state and calls nobody."
        "Leave ActionsEnabled out."
    ROUTING Note "random-routing"
        "Requests that find an instance by chance"
        "Without a RoutingConfig requests go to a random instance: at the same mean some queue while others idle, and what a load test found on one instance is too good for a fleet."
        "RoutingConfig: RoutingStrategy LEAST_OUTSTANDING_REQUESTS."
    TWO_MODELS Error "two-models-one-metric"
        "Two variants that write into one metric"
        "The names of the metrics' dimensions are environment variables of the SageMaker Model. Two variants with one Model, or two Models with the same names, write into one metric: each is scaled by the mean of both."
        "One Model for each variant, each with its own PLIMSOLL_VARIANT_NAME."
    RESERVED Error "reserved-namespace"
        "A namespace that only AWS may write to"
        "PutMetricData refuses namespaces that begin with `AWS/`, for the whole call."
        "Take another, such as `Plimsoll`."
    ISOLATED Error "isolated-container"
        "PutMetricData from an isolated container"
        "With EnableNetworkIsolation the container can call no AWS API. Only its output and the scrape of `/metrics` leave it."
        "PLIMSOLL_METRICS_ROUTE `emf` or `auto`."
    ELSEWHERE Error "published-elsewhere"
        "A policy on a metric that its container publishes elsewhere"
        "Namespace, endpoint and variant in the Model's environment differ from those of the policy, the metric is not among PLIMSOLL_METRICS, or it is published by the minute and the alarm looks every ten seconds. There is no data."
        "Write the same names in both."
}
