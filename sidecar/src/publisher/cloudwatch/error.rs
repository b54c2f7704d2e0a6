//! The one table from the SDK's errors to a [`Refusal`].

use std::error::Error;

use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatch::operation::put_metric_data::PutMetricDataError;

use crate::publisher::route::Refusal;

/// Names of refused permission or identity; some come with status 400.
const DENIED: [&str; 8] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "ExpiredToken",
    "ExpiredTokenException",
    "SignatureDoesNotMatch",
];
/// Names of "too often"; they come with status 400.
const THROTTLED: [&str; 4] = [
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
];

/// What a failed call means.
pub(crate) fn refusal(error: &SdkError<PutMetricDataError>) -> Refusal {
    match error {
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
        ),
        _ => Refusal::Server(innermost(error)),
    }
}

/// What CloudWatch's answer means: `code` is the error's name, empty where it gave none.
fn of_answer(status: u16, code: &str) -> Refusal {
    let said = || {
        if code.is_empty() {
            format!("status {status}")
        } else {
            code.to_owned()
        }
    };
    match status {
        _ if DENIED.contains(&code) => Refusal::Denied(said()),
        _ if THROTTLED.contains(&code) => Refusal::Throttled,
        429 => Refusal::Throttled,
        401 | 403 => Refusal::Denied(said()),
        400 | 413 => Refusal::Invalid(said()),
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
                Refusal::Server(said("InternalServiceFault")),
            ),
            (503, "", Refusal::Server(said("status 503"))),
            (404, "", Refusal::Server(said("status 404"))),
        ];
        for (status, code, expected) in cases {
            assert_eq!(of_answer(status, code), expected, "{status} {code}");
        }
    }
}
