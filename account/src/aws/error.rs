//! The one table from the SDK's errors to ours.

use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};

use super::CALL;
use crate::Error;

/// Names of refused permission.
const DENIED: [&str; 4] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "NotAuthorized",
];
/// …of an identity that is not accepted; some come with status 400…
const CREDENTIALS: [&str; 9] = [
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];
/// …of a signature whose time is not…
const CLOCK: [&str; 3] = [
    "RequestExpired",
    "RequestTimeTooSkewed",
    "RequestInTheFuture",
];
/// …and what AWS says of a signature that is bad only because of its time.
const CLOCK_WORDS: [&str; 2] = ["signature expired", "signature not yet current"];
/// Names of "too often"; they come with status 400.
const THROTTLED: [&str; 5] = [
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
];

/// What a failed call means.
pub(super) fn error<E>(action: &'static str, error: &SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let timeout = Error::Timeout {
        action,
        seconds: CALL.as_secs(),
    };
    match error {
        SdkError::TimeoutError(_) => timeout,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => timeout,
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => {
            let why = innermost(error);
            match why.to_ascii_lowercase().contains("credential") {
                true => Error::NoCredentials(why),
                false => Error::Unreachable { action, why },
            }
        }
        SdkError::ServiceError(answer) => of_answer(
            action,
            answer.raw().status().as_u16(),
            answer.err().code().unwrap_or_default(),
            answer.err().message().unwrap_or_default(),
        ),
        _ => Error::Other {
            action,
            why: format!("the answer makes no sense: {}", innermost(error)),
        },
    }
}

/// What AWS's answer means: `code` is the error's name, empty where it gave none.
fn of_answer(action: &'static str, status: u16, code: &str, message: &str) -> Error {
    let lower = message.to_ascii_lowercase();
    let is_of_time = CLOCK.contains(&code) || CLOCK_WORDS.iter().any(|words| lower.contains(words));
    let name = code.to_owned();
    let code = match code {
        "" => format!("status {status}"),
        code => code.to_owned(),
    };
    let message = match message {
        "" => "without a reason".to_owned(),
        message => message.to_owned(),
    };
    let name = name.as_str();
    if is_of_time {
        Error::Clock { code, message }
    } else if DENIED.contains(&name) {
        Error::Denied {
            action,
            code,
            message,
        }
    } else if CREDENTIALS.contains(&name) {
        Error::Credentials { code, message }
    } else if THROTTLED.contains(&name) || status == 429 {
        Error::Throttled {
            action,
            code,
            message,
        }
    } else if matches!(status, 401 | 403) {
        Error::Denied {
            action,
            code,
            message,
        }
    } else if status >= 500 {
        Error::Server {
            action,
            code,
            message,
        }
    } else {
        Error::Refused {
            action,
            code,
            message,
        }
    }
}

/// The cause at the bottom: the sentence that says what happened.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTION: &str = "application-autoscaling:PutScalingPolicy";

    #[test]
    fn answers_are_told_apart_by_name_status_and_words() {
        let cases = [
            (
                400,
                "AccessDeniedException",
                "no",
                "PutScalingPolicy is denied (AccessDeniedException: no)",
            ),
            (403, "", "", "is denied (status 403: without a reason)"),
            (
                400,
                "ExpiredTokenException",
                "old",
                "does not accept the credentials (ExpiredTokenException: old)",
            ),
            (
                403,
                "InvalidSignatureException",
                "Signature expired: a is now earlier than b",
                "clock is wrong",
            ),
            (
                403,
                "InvalidSignatureException",
                "does not match",
                "does not accept the credentials",
            ),
            (403, "RequestTimeTooSkewed", "", "clock is wrong"),
            (
                400,
                "ThrottlingException",
                "Rate exceeded",
                "is throttled (ThrottlingException: Rate exceeded)",
            ),
            (429, "", "", "is throttled (status 429: without a reason)"),
            (
                400,
                "ValidationException",
                "min over max",
                "is refused (ValidationException: min over max)",
            ),
            (
                400,
                "LimitExceededException",
                "50",
                "is refused (LimitExceededException: 50)",
            ),
            (
                500,
                "InternalServiceException",
                "x",
                "failed at AWS (InternalServiceException: x)",
            ),
        ];
        for (status, code, message, expected) in cases {
            let said = of_answer(ACTION, status, code, message).to_string();
            assert!(said.contains(expected), "{status} {code}: {said}");
        }
    }
}
