//! Takes a request's body in, up to the limit and the deadline.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::error::HttpError;
use super::headers::Asked;
use super::App;

/// Every element type is aligned here.
const ALIGNMENT: usize = 64;

/// The whole body. One that came in one piece is not copied; one that came in several is laid out so
/// that its byte `aligned_at` is aligned for any element.
///
/// # Errors
/// [`HttpError::TooLarge`], [`HttpError::BodyCutOff`] or [`HttpError::BodyTooSlow`].
pub async fn collect(
    app: &App,
    asked: &Asked<'_>,
    mut body: Incoming,
    arrived: Instant,
    aligned_at: usize,
) -> Result<Bytes, HttpError> {
    let limit = app.limits.request_bytes;
    let too_large = || HttpError::TooLarge { limit };
    let declared = asked.content_length;
    if declared.is_some_and(|length| length > limit) {
        // A client that waits for permission gets the refusal instead, and sends nothing.
        if !asked.expects_continue {
            discard(body).await;
        }
        return Err(too_large());
    }
    let deadline = arrived + app.limits.request;
    let mut whole: Option<Bytes> = None;
    let mut pieces = Pieces::default();
    loop {
        let frame = tokio::time::timeout_at(deadline.into(), body.frame())
            .await
            .map_err(|_| HttpError::BodyTooSlow(app.limits.request))?;
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
                    let room = declared.unwrap_or(0).max(first.len() + data.len());
                    pieces = Pieces::with_room(room, aligned_at);
                    pieces.append(&first);
                }
                pieces.append(&data);
            }
        }
    }
    Ok(whole.unwrap_or_else(|| pieces.join()))
}

/// A body that came in several pieces.
#[derive(Default)]
struct Pieces {
    bytes: BytesMut,
    /// Bytes before the body, that align what is in it.
    padding: usize,
}

impl Pieces {
    fn with_room(room: usize, aligned_at: usize) -> Self {
        let mut bytes = BytesMut::with_capacity(room.saturating_add(ALIGNMENT));
        let at = (bytes.as_ptr() as usize).wrapping_add(aligned_at) % ALIGNMENT;
        let padding = (ALIGNMENT - at) % ALIGNMENT;
        bytes.resize(padding, 0);
        Self { bytes, padding }
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.padding
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn append(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
    }

    fn join(self) -> Bytes {
        self.bytes.freeze().slice(self.padding..)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_laid_out_for_what_is_inside_them() {
        for aligned_at in [0, 1, 63, 64, 1000] {
            let mut pieces = Pieces::with_room(2000, aligned_at);
            assert!(pieces.is_empty());
            pieces.append(&[1; 1500]);
            pieces.append(&[2; 500]);
            assert_eq!(pieces.len(), 2000);
            let body = pieces.join();
            assert_eq!(body.len(), 2000);
            assert_eq!((body.as_ptr() as usize + aligned_at) % ALIGNMENT, 0);
        }
        assert_eq!(Pieces::default().join(), Bytes::new());
    }
}
