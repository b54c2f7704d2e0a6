//! What can go wrong between here and the account: one sentence each.

use scaling::policy::Invalid;

/// Why a call did not do what it should. `action` is the permission that the call needs, such as
/// `application-autoscaling:PutScalingPolicy`; `code` and `message` are AWS's own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing says in which region.
    #[error("no AWS region is known: set AWS_REGION, name a profile that has one in AWS_PROFILE, or say --region")]
    NoRegion,
    /// The SDK's chain found none.
    #[error("no AWS credentials are found ({0}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile in AWS_PROFILE")]
    NoCredentials(String),
    /// What is asked for cannot be applied.
    #[error("{0}")]
    Document(Invalid),
    /// Nothing is registered under these names.
    #[error("{resource} is no scalable target with {dimension} in {region}: nothing is registered there")]
    NoTarget {
        /// `ResourceId`.
        resource: String,
        /// `ScalableDimension`.
        dimension: String,
        /// The region.
        region: String,
    },
    /// The caller has no permission.
    #[error("{action} is denied ({code}: {message}); expected credentials with this permission")]
    Denied {
        /// The permission.
        action: &'static str,
        /// AWS's name of it.
        code: String,
        /// AWS's sentence.
        message: String,
    },
    /// AWS does not know the caller, or no longer.
    #[error(
        "AWS does not accept the credentials ({code}: {message}); expected a valid key or session"
    )]
    Credentials {
        /// AWS's name of it.
        code: String,
        /// AWS's sentence.
        message: String,
    },
    /// This machine's time is not AWS's.
    #[error("AWS does not accept the time of the signature ({code}: {message}); this machine's clock is wrong")]
    Clock {
        /// AWS's name of it.
        code: String,
        /// AWS's sentence.
        message: String,
    },
    /// Too often, also when tried again.
    #[error("{action} is throttled ({code}: {message}), also when tried again; try later")]
    Throttled {
        /// The permission.
        action: &'static str,
        /// AWS's name of it.
        code: String,
        /// AWS's sentence.
        message: String,
    },
    /// AWS took it for wrong.
    #[error("{action} is refused ({code}: {message})")]
    Refused {
        /// The permission.
        action: &'static str,
        /// AWS's name of it.
        code: String,
        /// AWS's sentence.
        message: String,
    },
    /// AWS broke.
    #[error("{action} failed at AWS ({code}: {message}){}", perhaps(action))]
    Server {
        /// The permission.
        action: &'static str,
        /// AWS's name of it.
        code: String,
        /// AWS's sentence.
        message: String,
    },
    /// No answer in time.
    #[error("{action} was not answered within {seconds} s{}", perhaps(action))]
    Timeout {
        /// The permission.
        action: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// Nobody answers there.
    #[error("{action} cannot be asked: AWS's endpoint is not reached ({why})")]
    Unreachable {
        /// The permission.
        action: &'static str,
        /// What the network says.
        why: String,
    },
    /// An answer that makes no sense, or a request that cannot be made.
    #[error("{action}: {why}")]
    Other {
        /// The permission.
        action: &'static str,
        /// What was wrong.
        why: String,
    },
}

/// A call that changes something and fails without a word may have changed it.
fn perhaps(action: &str) -> &'static str {
    let is_reading = [":Describe", ":Get", ":List"]
        .iter()
        .any(|verb| action.contains(verb));
    match is_reading {
        true => "",
        false => "; it may have been done all the same",
    }
}

/// A change that failed among others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{failed} failed: {error}; {}; {}",
    listed("applied before it", done),
    listed("not tried", not_tried)
)]
pub struct Stopped {
    /// What was made and stands.
    pub done: Vec<String>,
    /// What failed…
    pub failed: String,
    /// …and why.
    pub error: Error,
    /// What would have come after it.
    pub not_tried: Vec<String>,
}

fn listed(what: &str, names: &[String]) -> String {
    match names {
        [] => format!("{what}: nothing"),
        names => format!("{what}: {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_tells_what_stands_what_failed_and_what_was_not_tried() {
        let stopped = Stopped {
            done: vec!["target endpoint/e/variant/v".to_owned()],
            failed: "policy track".to_owned(),
            error: Error::Refused {
                action: "application-autoscaling:PutScalingPolicy",
                code: "ValidationException".to_owned(),
                message: "no".to_owned(),
            },
            not_tried: Vec::new(),
        };
        assert_eq!(
            stopped.to_string(),
            "policy track failed: application-autoscaling:PutScalingPolicy is refused (ValidationException: no); \
             applied before it: target endpoint/e/variant/v; not tried: nothing"
        );
    }
}
