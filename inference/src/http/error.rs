//! The one table from errors to status codes, and what a refusal looks like:
//! `{"error":"…","code":400}`, at most 2000 bytes, no paths of the build, no stack trace.

use std::time::Duration;

use axum::http::{header, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;

use super::reply;
use crate::codec::{DecodeError, EncodeError, NotAcceptable};
use crate::runtime::RunError;
use crate::scheduler::SubmitError;

/// The platform relays 2048 characters of an error; this is the body's part of them.
const MAX_ERROR_BYTES: usize = 2000;

/// Everything that is answered with something else than 200.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("the model is still loading")]
    NotReady,
    #[error("the server is shutting down")]
    Leaving,
    #[error("every slot has been stuck in a run for {}; this instance cannot answer any more", whole_seconds(.0))]
    Stuck(Duration),
    #[error("the GPU is lost: {0}; this instance cannot answer any more")]
    DeviceLost(String),
    #[error(
        "{method} {path} is not served here; expected POST /invocations, GET /ping, GET /metrics, GET /execution-parameters or the KServe v2 routes below /v2"
    )]
    NotFound { method: Method, path: String },
    #[error("there is no model {found:?} here; expected {expected:?}")]
    UnknownModel { found: String, expected: String },
    #[error("{0}")]
    MultiModel(&'static str),
    #[error("method {method} is not allowed here; expected {allow}")]
    MethodNotAllowed { method: Method, allow: &'static str },
    #[error("the request body is larger than the limit of {limit} bytes (SAGEMAKER_MAX_REQUEST_SIZE or SAGEMAKER_MAX_PAYLOAD_IN_MB sets it)")]
    TooLarge { limit: usize },
    #[error("the request body is larger than what all bodies together may take, {limit} bytes (PLIMSOLL_MAX_BODIES_MB sets it)")]
    NeverFits { limit: usize },
    #[error("there is no room for the request body beside those of other requests: together they may take {limit} bytes (PLIMSOLL_MAX_BODIES_MB sets it)")]
    NoRoom { limit: usize },
    #[error("the request body ended before it was complete")]
    BodyCutOff,
    #[error("the request body did not arrive within {} s (SAGEMAKER_MODEL_SERVER_TIMEOUT sets the limit)", .0.as_secs_f64())]
    BodyTooSlow(Duration),
    #[error("the request body is not whole {coding}: {what}")]
    Compressed { coding: &'static str, what: String },
    #[error("the request body is larger than {limit} bytes once unpacked (PLIMSOLL_MAX_UNPACKED_MB sets the limit)")]
    Unpacked { limit: usize },
    #[error("header {name} is not text")]
    Header { name: HeaderName },
    #[error("header {name} stands twice with different values; expected once")]
    HeaderTwice { name: HeaderName },
    #[error("the request has both content-length and transfer-encoding; expected one of them")]
    TwoLengths,
    #[error("transfer encoding {0:?} is not supported; expected chunked alone")]
    TransferEncoding(String),
    #[error("next_page_token {0:?} belongs to no list; there is one page")]
    PageToken(String),
    #[error("the request's headers take {bytes} bytes, more than the limit of {limit} (PLIMSOLL_MAX_HEADER_BYTES sets it)")]
    HeadersTooLarge { bytes: usize, limit: usize },
    #[error("header x-amzn-sagemaker-custom-attributes has {bytes} bytes, or one that is no visible ascii character; expected at most {limit} of these")]
    CustomAttributes { bytes: usize, limit: usize },
    #[error("sessions are not kept here, every request is answered by itself; expected a request without x-amzn-sagemaker-session-id: NEW_SESSION")]
    Session,
    #[error("content encoding {0:?} is not supported; expected one of gzip, deflate, identity")]
    ContentEncoding(String),
    #[error("expected a kserve v2 request: {{\"inputs\":[{{\"name\",\"shape\",\"datatype\",\"data\"}}]}}")]
    NotV2,
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    NotAcceptable(#[from] NotAcceptable),
    #[error(transparent)]
    Submit(#[from] SubmitError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl From<&HttpError> for StatusCode {
    fn from(error: &HttpError) -> Self {
        match error {
            HttpError::NotReady
            | HttpError::Leaving
            | HttpError::Stuck(_)
            | HttpError::DeviceLost(_)
            | HttpError::NoRoom { .. } => Self::SERVICE_UNAVAILABLE,
            HttpError::NotFound { .. } | HttpError::UnknownModel { .. } => Self::NOT_FOUND,
            HttpError::MethodNotAllowed { .. } => Self::METHOD_NOT_ALLOWED,
            HttpError::TooLarge { .. }
            | HttpError::Unpacked { .. }
            | HttpError::NeverFits { .. } => Self::PAYLOAD_TOO_LARGE,
            HttpError::HeadersTooLarge { .. } => Self::REQUEST_HEADER_FIELDS_TOO_LARGE,
            HttpError::BodyCutOff
            | HttpError::Compressed { .. }
            | HttpError::Header { .. }
            | HttpError::HeaderTwice { .. }
            | HttpError::TwoLengths
            | HttpError::TransferEncoding(_)
            | HttpError::PageToken(_)
            | HttpError::CustomAttributes { .. }
            | HttpError::Session
            | HttpError::MultiModel(_)
            | HttpError::NotV2 => Self::BAD_REQUEST,
            HttpError::BodyTooSlow(_) => Self::REQUEST_TIMEOUT,
            HttpError::ContentEncoding(_) => Self::UNSUPPORTED_MEDIA_TYPE,
            HttpError::Decode(
                DecodeError::UnknownContentType { .. } | DecodeError::MissingContentType,
            ) => Self::UNSUPPORTED_MEDIA_TYPE,
            HttpError::Decode(_) => Self::BAD_REQUEST,
            // The reply's type could not be known to fail before the outputs were there.
            HttpError::NotAcceptable(_) | HttpError::Encode(EncodeError::NotCarried(_)) => {
                Self::NOT_ACCEPTABLE
            }
            HttpError::Encode(EncodeError::OutputCount { .. }) => Self::INTERNAL_SERVER_ERROR,
            HttpError::Submit(error) => match error {
                SubmitError::QueueFull { .. }
                | SubmitError::Hopeless { .. }
                | SubmitError::Leaving => Self::SERVICE_UNAVAILABLE,
                SubmitError::TimedOut(_) => Self::GATEWAY_TIMEOUT,
                SubmitError::Run(RunError::Unfit(_)) => Self::BAD_REQUEST,
                // 507 is the platform's sign to evict a model, which a single model has no use for.
                SubmitError::Run(RunError::OutOfMemory(_) | RunError::DeviceLost(_)) => {
                    Self::SERVICE_UNAVAILABLE
                }
                SubmitError::Run(RunError::Failed(_) | RunError::Panicked) => {
                    Self::INTERNAL_SERVER_ERROR
                }
            },
        }
    }
}

impl HttpError {
    /// How much work is before whoever was refused because the server is full.
    pub fn work_before(&self) -> Option<Duration> {
        match self {
            Self::Submit(SubmitError::QueueFull { retry_after, .. }) => Some(*retry_after),
            Self::Submit(SubmitError::Hopeless { wait, .. }) => Some(*wait),
            _ => None,
        }
    }
}

fn whole_seconds(duration: &Duration) -> String {
    format!("{} s", duration.as_secs())
}

/// When a caller may try again.
fn retry_after(error: &HttpError) -> Option<Duration> {
    match error {
        HttpError::NotReady
        | HttpError::Leaving
        | HttpError::Stuck(_)
        | HttpError::NoRoom { .. } => Some(Duration::from_secs(1)),
        HttpError::Submit(SubmitError::QueueFull { retry_after, .. }) => Some(*retry_after),
        HttpError::Submit(SubmitError::Hopeless { wait, .. }) => Some(*wait),
        HttpError::Submit(SubmitError::Leaving | SubmitError::Run(RunError::OutOfMemory(_))) => {
            Some(Duration::from_secs(1))
        }
        _ => None,
    }
}

/// The body of a refusal, whose text is cut to so many bytes.
fn written(text: &str, most: usize, status: StatusCode) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Refusal<'t> {
        error: &'t str,
        code: u16,
    }
    let end = (0..=most.min(text.len())).rfind(|&end| text.is_char_boundary(end));
    let cut = end.and_then(|end| text.get(..end)).unwrap_or_default();
    let shortened;
    let error = if cut.len() < text.len() {
        shortened = format!("{cut}…");
        &shortened
    } else {
        cut
    };
    let mut body = Vec::with_capacity(error.len() + 32);
    let refusal = Refusal {
        error,
        code: status.as_u16(),
    };
    let written = serde_json::to_writer(&mut body, &refusal);
    debug_assert!(written.is_ok(), "a struct of text and number always writes");
    body
}

/// The response to a request that is refused or failed.
pub fn refusal(error: &HttpError) -> Response {
    let status = StatusCode::from(error);
    let text = error.to_string();
    // Escapes can make a text six times as long as it is.
    let body = (0..)
        .map(|halvings| written(&text, MAX_ERROR_BYTES >> halvings, status))
        .find(|body| body.len() <= MAX_ERROR_BYTES)
        .unwrap_or_default();
    let mut response = reply(status, "application/json", body);
    if let Some(after) = retry_after(error) {
        // Whole seconds, at least one: zero would mean at once, into the same queue.
        let seconds = after.as_secs_f64().ceil().clamp(1.0, 60.0) as u64;
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if matches!(
        error,
        HttpError::TooLarge { .. }
            | HttpError::NeverFits { .. }
            | HttpError::BodyCutOff
            | HttpError::BodyTooSlow(_)
            | HttpError::TwoLengths
            | HttpError::TransferEncoding(_)
            | HttpError::HeadersTooLarge { .. }
    ) {
        // What is left of the body is not read.
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn refusals_are_short_json_that_name_the_status() {
        for long in ["ü\n", "\u{1}", "a", "🦀"] {
            let long = HttpError::Decode(DecodeError::Unreadable(long.repeat(4000)));
            let response = refusal(&long);
            assert_eq!(response.status(), StatusCode::BAD_REQUEST);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert!((500..=2000).contains(&body.len()), "{}", body.len());
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(json["code"], 400);
        }
        let body = written("short", 2000, StatusCode::BAD_REQUEST);
        assert_eq!(body, b"{\"error\":\"short\",\"code\":400}");
    }

    #[test]
    fn load_is_503_with_retry_after() {
        let full = HttpError::Submit(SubmitError::QueueFull {
            limit: 4,
            retry_after: Duration::from_millis(3200),
        });
        let response = refusal(&full);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "4");
    }
}
