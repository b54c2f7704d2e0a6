//! Every metric, once: name, unit, kind, the statistic to use, meaning and source.
//!
//! The rooms that own the events register their handles under these names; the sidecar publishes
//! under these names; the tables of the README and of `docs/metrics.md` and the scaling policies are
//! checked against them. A name is spelled nowhere else.
//!
//! # What a period of each kind is
//!
//! CloudWatch's `Average` is weighted by samples, so a busy instance must not write more of them
//! than an idle one. In a full period of *n* seconds every instance writes:
//!
//! | kind | samples | Sum | Average | Minimum, Maximum |
//! |---|---|---|---|---|
//! | [`Kind::Counter`] | 1 | events of all instances | events per instance and period | least and most busy instance |
//! | [`Kind::Level`] | *n*, as a statistic set | of no use | time-weighted mean per instance | lowest one-second mean; highest level, however short |
//! | [`Kind::Reading`], [`Kind::Gauge`] | *n* less the seconds that could not be read, as Values/Counts | of no use | mean per instance | of the one-second values |
//! | [`Kind::Distribution`] | one an event, as Values/Counts | of the events' values | mean per event | exact |
//!
//! Idle writes 0 for counters, levels, `OfferedLoad`, `OldestWait` and `SlotUtilization`; a distribution without
//! events writes nothing. `OfferedLoad` and `SlotUtilization` are computed every second, so they
//! never lack a sample: that is what makes them fit for target tracking. The first period and the
//! last one of a container are shorter and weigh less by as much.
//!
//! Embedded metric format has neither counts nor statistic sets. There a level is its mean,
//! once a second, beside `<Name>Max`, and a distribution of more than 100 events is 100 quantiles
//! of equal weight beside the exact `<Name>Count` and `<Name>Sum` ([`Kind::embedded`]).

/// A unit as CloudWatch spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `Count`
    Count,
    /// `Percent`, 0–100 unless the meaning says otherwise.
    Percent,
    /// `Microseconds`
    Microseconds,
    /// `Milliseconds`
    Milliseconds,
    /// `Bytes`
    Bytes,
}

impl Unit {
    /// CloudWatch's spelling.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Percent => "Percent",
            Self::Microseconds => "Microseconds",
            Self::Milliseconds => "Milliseconds",
            Self::Bytes => "Bytes",
        }
    }
}

/// How a metric is recorded and what one period of it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Events; a period holds their number. Statistic: Sum.
    Counter,
    /// Goes up and down; a period holds the time-weighted mean and the maximum.
    Level,
    /// Every event has a value; a period holds Values and Counts, so percentiles stay true.
    Distribution,
    /// Read or computed once a second; a missing reading is missing, never 0.
    Reading,
    /// Set by its owner, read once a second; rolls up like a reading. Missing until it is first set.
    Gauge,
}

impl Kind {
    /// The name in lower case, as the documentation has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Level => "level",
            Self::Distribution => "distribution",
            Self::Reading => "reading",
            Self::Gauge => "gauge",
        }
    }

    /// What embedded metric format appends to the name for each metric that it makes of one of this
    /// kind; the first is the metric itself.
    #[must_use]
    pub fn embedded(self) -> &'static [&'static str] {
        match self {
            Self::Counter | Self::Reading | Self::Gauge => &[""],
            Self::Level => &["", EMBEDDED_MAX],
            Self::Distribution => &["", EMBEDDED_COUNT, EMBEDDED_SUM],
        }
    }
}

/// Appended to a level's name in embedded metric format: its highest value.
pub const EMBEDDED_MAX: &str = "Max";
/// Appended to a distribution's name in embedded metric format: the number of its events.
pub const EMBEDDED_COUNT: &str = "Count";
/// Appended to a distribution's name in embedded metric format: the sum of its events' values.
pub const EMBEDDED_SUM: &str = "Sum";

/// A statistic as CloudWatch spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// `Average`: of the samples, so of the mean instance.
    Average,
    /// `Maximum`
    Maximum,
    /// `Sum`
    Sum,
    /// `p99`
    P99,
}

impl Statistic {
    /// CloudWatch's spelling.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Average => "Average",
            Self::Maximum => "Maximum",
            Self::Sum => "Sum",
            Self::P99 => "p99",
        }
    }
}

macro_rules! catalogue {
    ($($(#[doc = $doc:literal])+ $variant:ident, $unit:ident, $kind:ident, $statistic:ident, $source:literal;)+) => {
        /// A published metric. The variant's name is the metric's name in CloudWatch.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Metric { $($(#[doc = $doc])+ $variant,)+ }

        impl Metric {
            /// Every metric, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in CloudWatch and in the `metrics` facade.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// The unit.
            #[must_use]
            pub fn unit(self) -> Unit {
                match self { $(Self::$variant => Unit::$unit,)+ }
            }

            /// How it is recorded.
            #[must_use]
            pub fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)+ }
            }

            /// The statistic to look at first, and to scale on where the metric is fit for that.
            #[must_use]
            pub fn statistic(self) -> Statistic {
                match self { $(Self::$variant => Statistic::$statistic,)+ }
            }

            /// What it is measured from, in one phrase.
            #[must_use]
            pub fn source(self) -> &'static str {
                match self { $(Self::$variant => $source,)+ }
            }

            /// What it means, in one sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)+).trim_ascii(),)+ }
            }
        }
    };
}

catalogue! {
    /// Capacity that the arrivals ask for ÷ capacity there is, the larger of slots and CPU; passes 100 without limit, rejected arrivals included.
    OfferedLoad, Percent, Reading, Average, "arrivals × expected slot time ÷ slot time there is, or their CPU time ÷ the quota";
    /// Requests in the container, queued ones included.
    Concurrency, Count, Level, Average, "its integral and maximum, kept at every change";
    /// Requests that wait for a slot.
    QueueDepth, Count, Level, Maximum, "its integral and maximum, kept at every change";
    /// Longest wait for a slot that ended or was under way in the second.
    OldestWait, Milliseconds, Reading, Maximum, "the queue's oldest request and the waits that ended";
    /// Busy slot-seconds ÷ available slot-seconds.
    SlotUtilization, Percent, Reading, Average, "integral of the slots in a run";
    /// Requests to the model that were answered, with any status.
    Invocations, Count, Counter, Sum, "counted as each request is answered";
    /// Requests refused for load: the queue was full, the deadline could not be met, or there was no room for the body.
    Rejected, Count, Counter, Sum, "counted as each request is refused";
    /// Answers with a 4xx status.
    ClientErrors, Count, Counter, Sum, "the status of each answer";
    /// Answers with a 5xx status, refusals for load and streamed replies that were cut off included.
    ServerErrors, Count, Counter, Sum, "the status of each answer";
    /// From the last byte of the request's head to the reply handed to the socket.
    RequestLatency, Microseconds, Distribution, P99, "the monotonic clock, for each answered request";
    /// Waiting for a slot.
    QueueLatency, Microseconds, Distribution, P99, "the monotonic clock, for each request that got a slot";
    /// In ONNX Runtime.
    InferenceLatency, Microseconds, Distribution, P99, "the monotonic clock: for each request, the time of the run it was in";
    /// Decoding the request and encoding the reply, and for requests that ran together the wait for one another's encoding.
    CodecLatency, Microseconds, Distribution, P99, "the monotonic clock, for each request that was decoded and answered";
    /// Requests that were answered by one model run.
    BatchSize, Count, Distribution, Average, "counted at each model run";
    /// CPU time ÷ the container's own CPU quota.
    CPUUtilization, Percent, Reading, Average, "cgroup v1 or v2; the machine's CPUs without a quota";
    /// Scheduler periods in which the container ran into its CPU quota ÷ periods in which it ran.
    CPUThrottled, Percent, Reading, Average, "cgroup v1 or v2; absent without a quota";
    /// Working set ÷ the container's memory limit.
    MemoryUtilization, Percent, Reading, Maximum, "cgroup v1 or v2; the machine's memory without a limit";
    /// NVML utilisation, mean over the visible GPUs: share of time in which any kernel ran.
    GPUUtilization, Percent, Reading, Average, "NVML; absent without a GPU";
    /// GPU memory in use ÷ GPU memory, mean over the visible GPUs.
    GPUMemoryUtilization, Percent, Reading, Maximum, "NVML; absent without a GPU";
    /// Share of time in which at least one of the server's own runs was on a GPU.
    GPUBusy, Percent, Reading, Average, "the server's own runs; absent where none is on a GPU";
    /// Models that are loaded and in service.
    ModelsLoaded, Count, Gauge, Average, "set as a model is loaded";
    /// Memory that the loaded models take in all their slots.
    ModelMemory, Bytes, Gauge, Maximum, "the memory that loading took, measured at start";
}

/// Instruments that feed a signal and are not published themselves.
pub mod internal {
    /// Counter, nanoseconds: slot time that the arrivals ask for (Σ ŝ), rejected ones included.
    pub const OFFERED_WORK: &str = "OfferedWork";
    /// Counter, nanoseconds: CPU time that the arrivals' runs ask for; of each thread of a run.
    pub const OFFERED_CPU: &str = "OfferedCPU";
    /// Counter, nanoseconds: CPU time of the runs that ended; the time that passed where that is not
    /// known.
    pub const RUN_TIME: &str = "RunTime";
    /// Counter, nanoseconds: the part of [`RUN_TIME`] of runs that could have held more requests, or came
    /// in a smaller wake-up of their thread than a full one has.
    pub const PARTIAL_TIME: &str = "PartialTime";
    /// Gauge: CPUs that a slot uses while it runs, as warm-up measured.
    pub const RUN_CPUS: &str = "RunCPUs";
    /// Gauge, nanoseconds: CPU time of a request beside its run, as warm-up measured.
    pub const REQUEST_CPU: &str = "RequestCPU";
    /// Gauge, nanoseconds: slot time that the waiting requests ask for.
    pub const QUEUED_WORK: &str = "QueuedWork";
    /// Gauge: slots, the concurrent model executions that the server is set up for.
    pub const SLOTS: &str = "Slots";
    /// Counter, nanoseconds: slot time of the runs that ended on an HTTP thread. They take microseconds, and
    /// there are so many of them that two threads would quarrel over [`BUSY_SLOTS`].
    pub const INLINE_TIME: &str = "InlineTime";
    /// Level: slots in a run of their own threads right now.
    pub const BUSY_SLOTS: &str = "BusySlots";
    /// Gauge, microseconds since the recorder's epoch: when the wait of the queue's oldest request
    /// began; 0 while nobody waits.
    pub const OLDEST_SINCE: &str = "OldestSince";
    /// Gauge: slots whose runs are on a GPU.
    pub const GPU_SLOTS: &str = "GPUSlots";
    /// Gauges: the model's nodes that an execution provider runs, by ONNX Runtime's name for it.
    pub const NODES: [(&str, &str); 3] = [
        ("CPUExecutionProvider", "NodesOnCPU"),
        ("CUDAExecutionProvider", "NodesOnCUDA"),
        ("TensorrtExecutionProvider", "NodesOnTensorRT"),
    ];
    /// Gauge: the most records of several requests that share a run; 1 where none do.
    pub const BATCH_ROWS: &str = "BatchRows";
    /// Gauge: why, as a place in [`Batching::ALL`].
    pub const BATCHING: &str = "Batching";

    /// Why requests share runs, or why they do not.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Batching {
        /// It was measured to pay.
        Pays,
        /// The user has set a number.
        AsSet,
        /// The user has switched it off.
        Off,
        /// It was measured not to pay.
        NotWorth,
        /// An input or output has no free first axis for records.
        FixedAxis,
        /// The graph quantises by scales that it takes over all records of a run.
        SharedScales,
        /// Records of one run change one another's answers, as along an axis of time.
        Dependent,
        /// No synthetic records could be tried.
        Untried,
    }

    impl Batching {
        /// Every reason, in the order of the gauge.
        pub const ALL: [Self; 8] = [
            Self::Pays,
            Self::AsSet,
            Self::Off,
            Self::NotWorth,
            Self::FixedAxis,
            Self::SharedScales,
            Self::Dependent,
            Self::Untried,
        ];

        /// As a label's value.
        #[must_use]
        pub fn name(self) -> &'static str {
            match self {
                Self::Pays => "pays",
                Self::AsSet => "as_set",
                Self::Off => "off_as_set",
                Self::NotWorth => "not_worth_it",
                Self::FixedAxis => "no_axis_of_records",
                Self::SharedScales => "scales_over_all_records",
                Self::Dependent => "records_depend_on_one_another",
                Self::Untried => "could_not_be_tried",
            }
        }
    }

    /// Level: 1 while at least one run is on a GPU.
    pub const GPU_RUNS: &str = "GPURuns";
}
