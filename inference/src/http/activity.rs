//! What a connection is doing, for whoever decides when to close it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// What one connection is doing, for whoever decides when it has been quiet for too long.
#[derive(Debug, Default)]
pub struct Activity {
    /// Requests that came in and pieces of replies that went out.
    signs: AtomicU64,
    computing: AtomicU64,
    sending: AtomicU64,
    /// Whether the last head states two lengths.
    doubtful: AtomicBool,
}

impl Activity {
    /// A request's head has come in.
    pub fn begin(&self) {
        self.signs.fetch_add(1, Ordering::Relaxed);
        self.computing.fetch_add(1, Ordering::Relaxed);
    }

    /// Its reply is there, or its caller is gone.
    pub fn end(&self) {
        self.computing.fetch_sub(1, Ordering::Relaxed);
    }

    /// The head that came in states two lengths for its body.
    pub fn doubt(&self) {
        self.doubtful.store(true, Ordering::Relaxed);
    }

    /// Whether [`Activity::doubt`] was called for this request; said once.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.doubtful.load(Ordering::Relaxed) && self.doubtful.swap(false, Ordering::Relaxed)
    }

    /// Signs of life so far.
    #[must_use]
    pub fn signs(&self) -> u64 {
        self.signs.load(Ordering::Relaxed)
    }

    /// Whether a reply is being computed.
    #[must_use]
    pub fn is_computing(&self) -> bool {
        self.computing.load(Ordering::Relaxed) > 0
    }

    /// Whether a caller is still owed something.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.is_computing() || self.sending.load(Ordering::Relaxed) > 0
    }
}

/// Ends its request when it is dropped.
pub struct Open(Arc<Activity>);

impl Open {
    /// A request's head has come in.
    pub fn begin(activity: &Arc<Activity>) -> Self {
        activity.begin();
        Self(Arc::clone(activity))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A reply that takes a while to send. Whole ones go out in pieces, so that it shows how far the
/// caller has read.
pub struct Sending {
    body: Body,
    /// What is left of a piece that the body gave.
    rest: Bytes,
    activity: Arc<Activity>,
}

/// Replies up to this size are in the socket's buffers before anybody asks.
const SENT_AT_ONCE: u64 = 64 * 1024;

impl Sending {
    /// Watches a reply, if it is worth it.
    pub fn watch(response: Response, activity: Arc<Activity>) -> Response {
        let size = response.body().size_hint().exact();
        if size.is_some_and(|size| size <= SENT_AT_ONCE) {
            return response;
        }
        activity.sending.fetch_add(1, Ordering::Relaxed);
        response.map(|body| {
            Body::new(Self {
                body,
                rest: Bytes::new(),
                activity,
            })
        })
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.activity.sending.fetch_sub(1, Ordering::Relaxed);
    }
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.activity.signs.fetch_add(1, Ordering::Relaxed);
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return other,
            }
        }
        let piece = self.rest.len().min(SENT_AT_ONCE as usize);
        let piece = self.rest.split_to(piece);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_large_reply_goes_out_in_pieces_that_are_signs_of_life() {
        let activity = Arc::new(Activity::default());
        let response = Response::new(Body::from(vec![7; 200_000]));
        let mut body = Sending::watch(response, Arc::clone(&activity)).into_body();
        assert_eq!(body.size_hint().exact(), Some(200_000));
        assert!(activity.is_busy() && !activity.is_computing());
        let mut sizes = Vec::new();
        let mut signs = 0;
        while let Some(frame) = body.frame().await {
            sizes.push(frame.unwrap().into_data().unwrap().len());
            assert!(activity.signs() > signs);
            signs = activity.signs();
        }
        assert_eq!(sizes, [65_536, 65_536, 65_536, 3_392]);
        assert!(body.is_end_stream());
        drop(body);
        assert!(!activity.is_busy());
    }

    #[tokio::test]
    async fn a_small_reply_is_left_as_it_is() {
        let activity = Arc::new(Activity::default());
        let response = Response::new(Body::from("small"));
        let body = Sending::watch(response, Arc::clone(&activity)).into_body();
        assert!(!activity.is_busy());
        assert_eq!(body.collect().await.unwrap().to_bytes(), "small");
    }
}
