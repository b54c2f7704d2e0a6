//! The one table from the SDK's errors to a [`Refusal`].

use std::error::Error;

use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatch::operation::put_metric_data::PutMetricDataError;

use crate::publisher::route::Refusal;

/// Names of refused permission or identity; some come with status 400.
const DENIED: [&str; 10] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "ExpiredToken",
    "ExpiredTokenException",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "AuthFailure",
];
/// Names of "too often"; they come with status 400.
const THROTTLED: [&str; 4] = [
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
];

/// Names of a signature whose time CloudWatch does not accept…
const SKEWED: [&str; 2] = ["RequestTimeTooSkewed", "RequestExpired"];
/// …and of a bad signature, which is one of time where the clocks are far apart.
const BAD_SIGNATURE: [&str; 3] = [
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "AuthFailure",
];
/// Clocks that are so far apart spoil a signature; the SDK corrects the next one from here on.
const FAR_APART_SECS: f64 = 240.0;

/// What a failed call means. `written`: the request had begun to leave, so that CloudWatch may have
/// it; `skew_secs`: how far the clocks are apart.
pub(crate) fn refusal(
    error: &SdkError<PutMetricDataError>,
    written: bool,
    skew_secs: f64,
) -> Refusal {
    match error {
        SdkError::TimeoutError(_) if written => Refusal::Lost("no answer in time".to_owned()),
        SdkError::DispatchFailure(_) if written => Refusal::Lost(innermost(error)),
        SdkError::TimeoutError(_) => Refusal::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => Refusal::Timeout,
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => {
            let chain = chain(error);
            let text = chain.last().cloned().unwrap_or_default();
            if chain
                .iter()
                .any(|part| part.to_ascii_lowercase().contains("credential"))
            {
                Refusal::NoCredentials(text)
            } else if matches!(error, SdkError::ConstructionFailure(_)) {
                Refusal::Invalid(text)
            } else {
                Refusal::Unreachable(text)
            }
        }
        SdkError::ServiceError(answer) => of_answer(
            answer.raw().status().as_u16(),
            answer.err().code().unwrap_or_default(),
            skew_secs,
        ),
        // An answer came, and makes no sense.
        _ => Refusal::Lost(innermost(error)),
    }
}

/// What CloudWatch's answer means: `code` is the error's name, empty where it gave none.
fn of_answer(status: u16, code: &str, skew_secs: f64) -> Refusal {
    let said = || {
        if code.is_empty() {
            format!("status {status}")
        } else {
            code.to_owned()
        }
    };
    let far_apart = skew_secs.abs() >= FAR_APART_SECS;
    match status {
        _ if SKEWED.contains(&code) => Refusal::Skewed(said()),
        _ if BAD_SIGNATURE.contains(&code) && far_apart => Refusal::Skewed(said()),
        _ if DENIED.contains(&code) => Refusal::Denied(said()),
        _ if THROTTLED.contains(&code) => Refusal::Throttled,
        429 => Refusal::Throttled,
        401 | 403 => Refusal::Denied(said()),
        400 | 413 => Refusal::Invalid(said()),
        // It may have failed after it took the data.
        500.. => Refusal::Lost(said()),
        _ => Refusal::Server(said()),
    }
}

/// The cause at the bottom: the sentence that says what happened.
pub(crate) fn innermost(error: &dyn Error) -> String {
    chain(error).pop().unwrap_or_default()
}

fn chain(error: &dyn Error) -> Vec<String> {
    let mut all = vec![error.to_string()];
    let mut next = error.source();
    while let Some(error) = next {
        all.push(error.to_string());
        next = error.source();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_by_name_and_status() {
        let said = |text: &str| text.to_owned();
        let cases = [
            (403, "AccessDenied", Refusal::Denied(said("AccessDenied"))),
            (400, "ExpiredToken", Refusal::Denied(said("ExpiredToken"))),
            (403, "", Refusal::Denied(said("status 403"))),
            (400, "Throttling", Refusal::Throttled),
            (429, "", Refusal::Throttled),
            (
                400,
                "InvalidParameterValue",
                Refusal::Invalid(said("InvalidParameterValue")),
            ),
            (413, "", Refusal::Invalid(said("status 413"))),
            (
                500,
                "InternalServiceFault",
                Refusal::Lost(said("InternalServiceFault")),
            ),
            (503, "", Refusal::Lost(said("status 503"))),
            (503, "ThrottlingException", Refusal::Throttled),
            (404, "", Refusal::Server(said("status 404"))),
        ];
        for (status, code, expected) in cases {
            assert_eq!(of_answer(status, code, 0.0), expected, "{status} {code}");
        }
    }

    #[test]
    fn a_bad_signature_is_the_clocks_fault_only_where_the_clocks_are_far_apart() {
        let name = "InvalidSignatureException";
        let near = of_answer(403, name, 30.0);
        assert!(matches!(near, Refusal::Denied(_)), "{near:?}");
        for skew in [-300.0, 300.0] {
            let far = of_answer(403, name, skew);
            assert!(
                matches!(far, Refusal::Skewed(_)) && far.may_pass(),
                "{far:?}"
            );
        }
        let named = of_answer(403, "RequestTimeTooSkewed", 0.0);
        assert!(matches!(named, Refusal::Skewed(_)), "{named:?}");
    }
}
