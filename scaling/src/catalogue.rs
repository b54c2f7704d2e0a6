//! Every metric, once: name, unit, kind and meaning.
//!
//! The rooms that own the events register their handles under these names; the sidecar publishes
//! under these names; the README's table and the scaling policies are checked against them. A name
//! is spelled nowhere else.
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
//! | [`Kind::Reading`] | *n* less the seconds that could not be read, as Values/Counts | of no use | mean per instance | of the one-second values |
//! | [`Kind::Distribution`] | one an event, as Values/Counts | of the events' values | mean per event | exact |
//!
//! Idle writes 0 for counters, levels, `OfferedLoad` and `SlotUtilization`; a distribution without
//! events writes nothing. `OfferedLoad` and `SlotUtilization` are computed every second, so they
//! never lack a sample: that is what makes them fit for target tracking. The first period and the
//! last one of a container are shorter and weigh less by as much.
//!
//! Embedded metric format has neither counts nor statistic sets. There a level is its mean,
//! once a second, beside `<Name>Max`, and a distribution of more than 100 events is 100 quantiles
//! of equal weight beside the exact `<Name>Count` and `<Name>Sum`.

/// A unit as CloudWatch spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `Count`
    Count,
    /// `Percent`, 0–100 unless the meaning says otherwise.
    Percent,
    /// `Microseconds`
    Microseconds,
}

impl Unit {
    /// CloudWatch's spelling.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Percent => "Percent",
            Self::Microseconds => "Microseconds",
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
}

macro_rules! catalogue {
    ($($(#[doc = $doc:literal])+ $variant:ident, $unit:ident, $kind:ident;)+) => {
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
    OfferedLoad, Percent, Reading;
    /// Requests in the container, queued ones included.
    Concurrency, Count, Level;
    /// Requests that wait for a slot.
    QueueDepth, Count, Level;
    /// Busy slot-seconds ÷ available slot-seconds.
    SlotUtilization, Percent, Reading;
    /// Requests to the model that were answered, with any status.
    Invocations, Count, Counter;
    /// Requests refused for load: the queue was full, or the deadline could not be met.
    Rejected, Count, Counter;
    /// Answers with a 4xx status.
    ClientErrors, Count, Counter;
    /// Answers with a 5xx status, refusals for load and streamed replies that were cut off included.
    ServerErrors, Count, Counter;
    /// From the last byte of the request's head to the reply handed to the socket.
    RequestLatency, Microseconds, Distribution;
    /// Waiting for a slot.
    QueueLatency, Microseconds, Distribution;
    /// In ONNX Runtime.
    InferenceLatency, Microseconds, Distribution;
    /// Decoding the request and encoding the reply.
    CodecLatency, Microseconds, Distribution;
    /// CPU time ÷ the container's own CPU quota.
    CPUUtilization, Percent, Reading;
    /// Scheduler periods in which the container ran into its CPU quota ÷ periods in which it ran.
    CPUThrottled, Percent, Reading;
    /// Working set ÷ the container's memory limit.
    MemoryUtilization, Percent, Reading;
    /// NVML utilisation, mean over the visible GPUs: share of time in which any kernel ran.
    GPUUtilization, Percent, Reading;
    /// GPU memory in use ÷ GPU memory, mean over the visible GPUs.
    GPUMemoryUtilization, Percent, Reading;
}

/// Instruments that feed a signal and are not published themselves.
pub mod internal {
    /// Counter, nanoseconds: slot time that the arrivals ask for (Σ ŝ), rejected ones included.
    pub const OFFERED_WORK: &str = "OfferedWork";
    /// Gauge: slots, the concurrent model executions that the server is set up for.
    pub const SLOTS: &str = "Slots";
    /// Level: slots in a run right now.
    pub const BUSY_SLOTS: &str = "BusySlots";
}
