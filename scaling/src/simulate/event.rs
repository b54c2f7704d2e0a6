//! What happened, one event at a time.

use serde::{Deserialize, Serialize};

use super::alarm::State;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Seconds from the beginning.
    pub t: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// An activity that changes the capacity.
    Capacity {
        /// Capacity before.
        from: u32,
        /// Capacity after.
        to: u32,
        /// The policy or the scheduled action that asked for it.
        policy: String,
        /// How far it is.
        status: Status,
    },
    /// An alarm changed its state.
    Alarm {
        /// Its name; of target tracking's own, the policy's with `-AlarmHigh` or `-AlarmLow`.
        alarm: String,
        /// The policy that it belongs to, or those that it calls.
        policy: String,
        /// The state before.
        from: State,
        /// The state after.
        state: State,
    },
    /// A policy wanted another capacity and did not get it.
    NotScaled {
        /// The policy, or the scheduled action.
        policy: String,
        /// Why.
        reason: Reason,
    },
}

/// `StatusCode` of an activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Decided; it takes its time.
    InProgress,
    /// In service, or gone.
    Successful,
}

/// Why nothing was done. Those in capitals are `NotScaledReasons` codes of AWS's; for the others there
/// is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Without what it would remove, the metric would be above the target.
    AutoScalingAnticipatedFlapping,
    /// An activity is in progress.
    TargetServicePutResourceAsUnscalable,
    /// There is no more.
    AlreadyAtMaxCapacity,
    /// There is no less.
    AlreadyAtMinCapacity,
    /// It is what was asked for.
    AlreadyAtDesiredCapacity,
    /// A cooldown has not passed.
    #[serde(rename = "cooldown")]
    Cooldown,
    /// Another policy of target tracking does not agree to remove.
    #[serde(rename = "not_ready")]
    NotReady,
    /// The direction is suspended.
    #[serde(rename = "suspended")]
    Suspended,
}
