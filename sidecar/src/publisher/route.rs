//! The ways metrics can leave, and why one is taken or refused.

use std::fmt;
use std::str::FromStr;

/// What the operator asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RouteChoice {
    /// CloudWatch if it takes the metrics, else embedded metric format.
    #[default]
    Auto,
    /// CloudWatch, retried for as long as it refuses.
    CloudWatch,
    /// Embedded metric format on stdout.
    Emf,
    /// Nothing is published; the Prometheus page stays.
    None,
}

impl RouteChoice {
    /// The setting's spelling.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::CloudWatch => "cloudwatch",
            Self::Emf => "emf",
            Self::None => "none",
        }
    }
}

impl fmt::Display for RouteChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RouteChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Auto, Self::CloudWatch, Self::Emf, Self::None]
            .into_iter()
            .find(|choice| choice.name().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| {
                format!("unknown route {text:?}: expected auto, cloudwatch, emf or none")
            })
    }
}

/// The way that is taken now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Active {
    /// Nothing was tried yet.
    #[default]
    Pending,
    /// PutMetricData was accepted.
    CloudWatch,
    /// Embedded metric format on stdout.
    Emf,
    /// Nothing leaves.
    Off,
}

impl Active {
    pub(crate) const ALL: [Self; 4] = [Self::Pending, Self::CloudWatch, Self::Emf, Self::Off];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::CloudWatch => "cloudwatch",
            Self::Emf => "emf",
            Self::Off => "none",
        }
    }
}

/// Why CloudWatch did not take the metrics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no region is known (set AWS_REGION)")]
    NoRegion,
    #[error("no credentials were found ({0})")]
    NoCredentials(String),
    #[error("the credentials are not allowed cloudwatch:PutMetricData ({0})")]
    Denied(String),
    #[error("CloudWatch could not be reached ({0})")]
    Unreachable(String),
    /// Before the request began to leave.
    #[error("CloudWatch could not be reached in time")]
    Timeout,
    /// The request left, and nobody knows what became of it.
    #[error("CloudWatch's answer was lost ({0})")]
    Lost(String),
    #[error("the clock is wrong, so CloudWatch refused the signature ({0})")]
    Skewed(String),
    #[error("CloudWatch asks to send less often")]
    Throttled,
    /// An answer that CloudWatch does not give, with no sign that the data were taken.
    #[error("something else answered in CloudWatch's place ({0})")]
    Server(String),
    #[error("CloudWatch refused the data ({0})")]
    Invalid(String),
    #[error("the publisher failed ({0})")]
    Internal(String),
}

impl Refusal {
    /// True if the data have certainly not been taken, and the same attempt may succeed a little
    /// later.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::Timeout
                | Self::Skewed(_)
                | Self::Throttled
                | Self::Server(_)
        )
    }

    /// True if the data may have been taken: sent again, they might count twice.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }

    /// True if CloudWatch was asked at all.
    pub(crate) fn was_attempted(&self) -> bool {
        !matches!(self, Self::NoRegion | Self::NoCredentials(_))
    }

    /// True if no attempt with these data will ever succeed.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Invalid(_))
    }
}

/// What will be tried, for the start banner: said before anything was tried.
pub(crate) fn plan(config: &crate::Config) -> String {
    let target = || {
        let names: Vec<String> = config
            .dimensions
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        format!(
            "{} {}, every {} s",
            config.namespace,
            names.join(" "),
            config.period_secs
        )
    };
    match config.route {
        RouteChoice::None => "none: only GET /metrics".to_owned(),
        _ if config.dimensions.is_empty() => {
            "none: no dimensions are set, so no scaling metrics are published; only GET /metrics"
                .to_owned()
        }
        RouteChoice::Auto => format!(
            "auto: CloudWatch if region, credentials and cloudwatch:PutMetricData allow it, \
             else embedded metric format on stdout; {}",
            target()
        ),
        RouteChoice::CloudWatch => format!("cloudwatch: PutMetricData; {}", target()),
        RouteChoice::Emf => format!("emf: embedded metric format on stdout; {}", target()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_in_any_case_and_others_named() {
        for choice in [
            RouteChoice::Auto,
            RouteChoice::CloudWatch,
            RouteChoice::Emf,
            RouteChoice::None,
        ] {
            assert_eq!(choice.name().to_uppercase().parse(), Ok(choice));
        }
        let error = "otlp".parse::<RouteChoice>().unwrap_err();
        assert_eq!(
            error,
            "unknown route \"otlp\": expected auto, cloudwatch, emf or none"
        );
    }

    #[test]
    fn the_plan_is_one_line_and_says_when_dimensions_are_missing() {
        let mut config = crate::Config::default();
        assert!(plan(&config).contains("no dimensions"), "{}", plan(&config));
        config.dimensions = vec![("EndpointName".to_owned(), "e".to_owned())];
        for route in [RouteChoice::Auto, RouteChoice::CloudWatch, RouteChoice::Emf] {
            config.route = route;
            let line = plan(&config);
            assert!(
                line.starts_with(route.name()) && line.contains("EndpointName=e"),
                "{line}"
            );
            assert!(!line.contains('\n'));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let denied = Refusal::Denied("AccessDenied".to_owned()).to_string();
        assert!(denied.contains("cloudwatch:PutMetricData"), "{denied}");
        assert!(Refusal::NoRegion.to_string().contains("AWS_REGION"));
        assert!(!Refusal::NoRegion.may_pass() && Refusal::Throttled.may_pass());
        assert!(!Refusal::NoRegion.was_attempted() && Refusal::Throttled.was_attempted());
        let lost = Refusal::Lost("status 500".to_owned());
        assert!(lost.is_lost() && !lost.may_pass() && !lost.is_final());
    }
}
