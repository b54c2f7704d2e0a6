//! Streamed replies: JSON Lines of many records, answered part by part.
//!
//! The first part is computed before the status line is sent, so that what is wrong with a request
//! is still a 4xx or 5xx. What fails later can only be told by closing the connection before the
//! reply is whole, and is counted as our error. Parts are computed one ahead of what the caller has
//! read, no further.

use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{header, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::body::Place;
use super::error::HttpError;
use super::invocations::{elsewhere, output_bytes, setting, Taken, LARGE_BYTES};
use super::App;
use crate::clock;
use crate::codec::{self, Choice, Decoded, Dialect, Format};
use crate::model::Batch;
use crate::ready::Model;
use crate::scheduler::{micros, Allowance};
use crate::tensor::Tensor;

/// The parts of a request, as ranges of records.
pub struct Parts {
    records: usize,
    each: NonZeroUsize,
    next: usize,
}

impl Iterator for Parts {
    type Item = Range<usize>;
    fn next(&mut self) -> Option<Range<usize>> {
        let begin = self.next;
        self.next = self.records.min(begin.saturating_add(self.each.get()));
        (begin < self.next).then_some(begin..self.next)
    }
}

/// How a reply is parted; `None` for one that is answered whole: its caller did not ask for lines,
/// it has few records, or the records of this model depend on one another.
pub fn parts(app: &App, model: &Model, choice: Choice, inputs: &[Tensor]) -> Option<Parts> {
    let each = app.limits.stream_records?;
    let wanted = choice.format == Format::JsonLines && choice.is_named && !app.batch;
    if !wanted || !model.has_independent_records || model.signature.batch() != Batch::Free {
        return None;
    }
    let records = inputs.first().map(Tensor::rows)?;
    let same = inputs.iter().all(|input| input.rows() == records);
    (same && records > each.get()).then_some(Parts {
        records,
        each,
        next: 0,
    })
}

/// One request whose reply is computed part by part.
pub struct Stream {
    app: Arc<App>,
    inputs: Vec<Tensor>,
    dialect: Dialect,
    parts: Parts,
    codec_time: Duration,
    taken: Taken,
    /// The request's body, which inputs may still lie in.
    _place: Place,
}

impl Stream {
    pub fn new(
        app: &Arc<App>,
        decoded: Decoded,
        parts: Parts,
        codec_time: Duration,
        (taken, place): (Taken, Place),
    ) -> Self {
        Self {
            app: Arc::clone(app),
            inputs: decoded.inputs,
            dialect: decoded.reply.dialect,
            parts,
            codec_time,
            taken,
            _place: place,
        }
    }

    /// Computes the first part and answers with it; the others follow.
    ///
    /// # Errors
    /// What is wrong with the first part.
    pub async fn begin(mut self, choice: Choice) -> Result<Response, HttpError> {
        let first = match self.parts.next() {
            Some(records) => self.part(records, self.taken.arrived).await?,
            None => Bytes::new(),
        };
        let (sender, receiver) = mpsc::channel(1);
        // There is room for it: the channel is new.
        let _ = sender.try_send(first);
        let is_whole = Arc::new(AtomicBool::new(false));
        tokio::spawn(self.follow(sender, Arc::clone(&is_whole)));
        let mut response = Response::new(Body::new(Receiving {
            parts: receiver,
            is_whole,
        }));
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(choice.media_type),
        );
        Ok(response)
    }

    /// Computes and sends the parts after the first, as fast as the caller reads. Only a reply that
    /// `is_whole` ends well.
    async fn follow(mut self, sender: mpsc::Sender<Bytes>, is_whole: Arc<AtomicBool>) {
        let outcome = self.send(&sender).await;
        is_whole.store(outcome.is_ok(), Ordering::Release);
        drop(sender);
        let metrics = &self.app.metrics;
        match outcome {
            Ok(()) | Err(Cut::Gone) => {}
            Err(cut) => {
                tracing::warn!("a streamed reply was cut off: {cut}");
                metrics.server_errors.increment(1);
            }
        }
        metrics.invocations.increment(1);
        metrics.codec_latency.record(micros(self.codec_time));
        let took = clock::now().saturating_duration_since(self.taken.arrived);
        metrics.request_latency.record(micros(took));
        let flush = self.app.flush.clone();
        drop(self);
        if let Some(flush) = flush {
            flush().await;
        }
    }

    async fn send(&mut self, sender: &mpsc::Sender<Bytes>) -> Result<(), Cut> {
        let limit = self.app.limits.request;
        while let Some(records) = self.parts.next() {
            let place = tokio::time::timeout(limit, sender.reserve())
                .await
                .map_err(|_| Cut::NotRead(limit))?
                .map_err(|_| Cut::Gone)?;
            let part = self.part(records, clock::now()).await?;
            place.send(part);
        }
        Ok(())
    }

    /// Runs the model on some records and writes their lines.
    async fn part(&mut self, records: Range<usize>, begun: Instant) -> Result<Bytes, HttpError> {
        let model = self.app.model()?;
        let inputs = self
            .inputs
            .iter()
            .map(|input| input.slice_rows(records.clone()))
            .collect();
        let allowance = Allowance {
            arrived: begun,
            limit: self.app.limits.request,
        };
        let ran = model
            .scheduler
            .submit(inputs, allowance, clock::now())
            .await?;
        let (dialect, outputs) = (self.dialect.clone(), ran.outputs);
        let is_large = output_bytes(&outputs) > LARGE_BYTES;
        let encode = move |app: &App, model: &Model| {
            codec::encode(Format::JsonLines, &dialect, &outputs, setting(app, model))
        };
        let encoded = if is_large {
            let app = Arc::clone(&self.app);
            elsewhere(move || Ok::<_, HttpError>(encode(&app, app.model()?)?)).await?
        } else {
            encode(&self.app, model)?
        };
        self.codec_time += clock::now().saturating_duration_since(ran.ended);
        Ok(encoded.body.into())
    }
}

/// Why a streamed reply ends before it is whole.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("the caller hung up")]
    Gone,
    #[error("the caller read nothing for {0:?}")]
    NotRead(Duration),
    #[error(transparent)]
    Part(#[from] HttpError),
}

/// The reply's body: parts as they come. An end without the last part is an error, which closes the
/// connection before the reply looks whole.
struct Receiving {
    parts: mpsc::Receiver<Bytes>,
    is_whole: Arc<AtomicBool>,
}

impl hyper::body::Body for Receiving {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.parts.poll_recv(context).map(|part| match part {
            Some(part) => Some(Ok(Frame::data(part))),
            None if self.is_whole.load(Ordering::Acquire) => None,
            None => Some(Err(io::Error::other("the reply was cut off"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_every_record_once() {
        let cut = |records, each| {
            let each = NonZeroUsize::new(each).unwrap();
            let parts = Parts {
                records,
                each,
                next: 0,
            };
            parts.collect::<Vec<_>>()
        };
        assert_eq!(cut(5, 2), [0..2, 2..4, 4..5]);
        assert_eq!(cut(4, 2), [0..2, 2..4]);
        assert_eq!(cut(3, 2).len(), 2);
        assert!(cut(0, 2).is_empty());
    }
}
