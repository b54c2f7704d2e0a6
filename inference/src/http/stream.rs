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
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{header, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::error::HttpError;
use super::invocations::{off_the_loop, output_bytes, setting, InFlight};
use super::App;
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
    arrived: Instant,
    codec_time: Duration,
    in_flight: InFlight,
}

impl Stream {
    pub fn new(
        app: &Arc<App>,
        decoded: Decoded,
        parts: Parts,
        arrived: Instant,
        codec_time: Duration,
        in_flight: InFlight,
    ) -> Self {
        Self {
            app: Arc::clone(app),
            inputs: decoded.inputs,
            dialect: decoded.reply.dialect,
            parts,
            arrived,
            codec_time,
            in_flight,
        }
    }

    /// Computes the first part and answers with it; the others follow.
    ///
    /// # Errors
    /// What is wrong with the first part.
    pub async fn begin(mut self, choice: Choice) -> Result<Response, HttpError> {
        let first = match self.parts.next() {
            Some(records) => self.part(records, self.arrived).await?,
            None => Bytes::new(),
        };
        let (sender, receiver) = mpsc::channel(1);
        // There is room for it: the channel is new.
        let _ = sender.try_send(Ok(first));
        tokio::spawn(self.follow(sender));
        let mut response = Response::new(Body::new(Receiving(receiver)));
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(choice.media_type),
        );
        Ok(response)
    }

    /// Computes and sends the parts after the first, as fast as the caller reads.
    async fn follow(mut self, sender: mpsc::Sender<io::Result<Bytes>>) {
        let limit = self.app.limits.request;
        while let Some(records) = self.parts.next() {
            // The caller reads, or is gone, or holds a slot's work for longer than a request may.
            match tokio::time::timeout(limit, sender.reserve()).await {
                Ok(Ok(place)) => match self.part(records, Instant::now()).await {
                    Ok(part) => place.send(Ok(part)),
                    Err(error) => {
                        tracing::warn!("a streamed reply was cut off: {error}");
                        self.app.metrics.server_errors.increment(1);
                        place.send(Err(io::Error::other(error.to_string())));
                        break;
                    }
                },
                Ok(Err(_)) | Err(_) => break,
            }
        }
        drop(sender);
        let metrics = &self.app.metrics;
        metrics.invocations.increment(1);
        metrics.codec_latency.record(micros(self.codec_time));
        metrics
            .request_latency
            .record(micros(self.arrived.elapsed()));
        drop(self.in_flight);
        if let Some(flush) = &self.app.flush {
            flush().await;
        }
    }

    /// Runs the model on some records and writes their lines.
    async fn part(&mut self, records: Range<usize>, begun: Instant) -> Result<Bytes, HttpError> {
        let model = self.app.ready.model().ok_or(HttpError::NotReady)?;
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
            .submit(inputs, allowance, Instant::now())
            .await?;
        let setting = setting(&self.app, model);
        let encoded = off_the_loop(output_bytes(&ran.outputs), || {
            codec::encode(Format::JsonLines, &self.dialect, &ran.outputs, setting)
        })?;
        self.codec_time += ran.ended.elapsed();
        Ok(encoded.body.into())
    }
}

/// The reply's body: parts as they come; an error cuts the reply off.
struct Receiving(mpsc::Receiver<io::Result<Bytes>>);

impl hyper::body::Body for Receiving {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0
            .poll_recv(context)
            .map(|part| part.map(|part| part.map(Frame::data)))
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
