//! Takes a request's body in, up to the limit and the deadline.

use std::time::{Duration, Instant};

use axum::http::{header, HeaderMap};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::error::HttpError;
use super::App;

/// The whole body. One that came in one piece is not copied.
///
/// # Errors
/// [`HttpError::TooLarge`], [`HttpError::BodyCutOff`] or [`HttpError::BodyTooSlow`].
pub async fn collect(
    app: &App,
    headers: &HeaderMap,
    mut body: Incoming,
    arrived: Instant,
) -> Result<Bytes, HttpError> {
    let limit = app.max_request_bytes;
    let too_large = || HttpError::TooLarge { limit };
    let declared: Option<usize> = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok());
    if declared.is_some_and(|length| length > limit) {
        // A client that waits for permission gets the refusal instead, and sends nothing.
        if !headers.contains_key(header::EXPECT) {
            discard(body).await;
        }
        return Err(too_large());
    }
    let deadline = arrived + app.request_limit;
    let mut whole: Option<Bytes> = None;
    let mut pieces = BytesMut::new();
    loop {
        let frame = tokio::time::timeout_at(deadline.into(), body.frame())
            .await
            .map_err(|_| HttpError::BodyTooSlow(app.request_limit))?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| HttpError::BodyCutOff)?.into_data() else {
            // Trailers.
            continue;
        };
        if pieces.len() + whole.as_ref().map_or(0, Bytes::len) + data.len() > limit {
            discard(body).await;
            return Err(too_large());
        }
        match whole.take() {
            None if pieces.is_empty() => whole = Some(data),
            first => {
                if let Some(first) = first {
                    // Reserved pages that no byte is written to cost nothing, so a caller who
                    // declares more than is sent gains nothing.
                    pieces.reserve(declared.unwrap_or(0).max(first.len() + data.len()));
                    pieces.extend_from_slice(&first);
                }
                pieces.extend_from_slice(&data);
            }
        }
    }
    Ok(whole.unwrap_or_else(|| pieces.freeze()))
}

/// How long, and how much, of a refused body is still taken from its sender. Many clients read the
/// reply only after they have sent everything; a closed socket would hide it from them.
const DISCARD_FOR: Duration = Duration::from_secs(5);
const DISCARD_UP_TO: usize = 1 << 30;

/// Reads what is left of a body and keeps none of it.
async fn discard(mut body: Incoming) {
    let all = async {
        let mut discarded = 0;
        while let Some(Ok(frame)) = body.frame().await {
            discarded += frame.data_ref().map_or(0, Bytes::len);
            if discarded > DISCARD_UP_TO {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DISCARD_FOR, all).await;
}
