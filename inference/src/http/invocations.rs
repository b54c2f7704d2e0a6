//! `POST /invocations`, in five steps: take in, decode, submit, encode, reply.

use std::time::Instant;

use axum::http::{header, HeaderMap, HeaderName, Request, StatusCode};
use axum::response::Response;
use hyper::body::Incoming;
use metrics::Gauge;

use super::error::{refusal, HttpError};
use super::{body, reply, App};
use crate::codec;
use crate::scheduler::{micros, Allowance};
use crate::tensor::Value;

const CUSTOM_ATTRIBUTES: HeaderName = HeaderName::from_static("x-amzn-sagemaker-custom-attributes");

/// Bodies and outputs above this size are read and written off the event loop: at about 500 MB/s
/// that is when `/ping` would begin to notice.
const LARGE_BYTES: usize = 128 * 1024;

/// One request in the container, from its head to its reply or its caller's hanging up.
struct InFlight<'a>(&'a Gauge);

impl<'a> InFlight<'a> {
    fn enter(gauge: &'a Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// Serves one request and counts it.
pub async fn invocations(app: &App, request: Request<Incoming>) -> Response {
    let arrived = Instant::now();
    let metrics = &app.metrics;
    let _in_flight = InFlight::enter(&metrics.concurrency);
    let custom_attributes = request.headers().get(CUSTOM_ATTRIBUTES).cloned();
    let mut response = match answer(app, request, arrived).await {
        Ok(response) => response,
        Err(error) => {
            let response = refusal(&error);
            if response.status().is_client_error() {
                metrics.client_errors.increment(1);
            } else {
                metrics.server_errors.increment(1);
                tracing::debug!(status = response.status().as_u16(), "{error}");
            }
            response
        }
    };
    if let Some(value) = custom_attributes {
        response.headers_mut().insert(CUSTOM_ATTRIBUTES, value);
    }
    if app.ready.is_leaving() {
        response.headers_mut().insert(
            header::CONNECTION,
            axum::http::HeaderValue::from_static("close"),
        );
    }
    metrics.invocations.increment(1);
    metrics.request_latency.record(micros(arrived.elapsed()));
    response
}

async fn answer(
    app: &App,
    request: Request<Incoming>,
    arrived: Instant,
) -> Result<Response, HttpError> {
    let model = app.ready.model().ok_or(HttpError::NotReady)?;
    let (head, body) = request.into_parts();
    let encoding = text(&head.headers, header::CONTENT_ENCODING, "content-encoding")?;
    if let Some(encoding) = encoding.filter(|e| !e.eq_ignore_ascii_case("identity")) {
        let encoding = encoding.chars().take(64).collect();
        return Err(HttpError::ContentEncoding(encoding));
    }
    let body = body::collect(app, &head.headers, body, arrived).await?;
    let taken_in = Instant::now();

    let content_type = text(&head.headers, header::CONTENT_TYPE, "content-type")?;
    let size = body.len();
    let decoded = off_the_loop(size, || {
        codec::decode(codec::Intake::of(content_type), body, &model.signature)
    })?;
    let accept = text(&head.headers, header::ACCEPT, "accept")?;
    let choice = codec::negotiate(
        accept,
        app.default_accept.as_deref(),
        &decoded.reply,
        &model.signature,
    )?;
    let decoded_at = Instant::now();

    let allowance = Allowance {
        arrived,
        limit: app.request_limit,
    };
    let ran = model
        .scheduler
        .submit(decoded.inputs, allowance, decoded_at)
        .await?;

    let dialect = &decoded.reply.dialect;
    let bytes = off_the_loop(output_bytes(&ran.outputs), || {
        codec::encode(
            choice.format,
            dialect,
            &ran.outputs,
            codec::Setting {
                signature: &model.signature,
                model_name: &model.name,
                ends_with_newline: false,
            },
        )
    })?
    .body;
    let codec_time = decoded_at.duration_since(taken_in) + ran.ended.elapsed();
    app.metrics.codec_latency.record(micros(codec_time));
    Ok(reply(StatusCode::OK, choice.media_type, bytes))
}

/// A header as text; absent is fine.
fn text<'h>(
    headers: &'h HeaderMap,
    header: HeaderName,
    name: &'static str,
) -> Result<Option<&'h str>, HttpError> {
    headers
        .get(header)
        .map(|value| value.to_str().map_err(|_| HttpError::Header { name }))
        .transpose()
}

/// Runs codec work; large work so that other requests of this thread go on meanwhile.
fn off_the_loop<T>(size: usize, work: impl FnOnce() -> T) -> T {
    if size > LARGE_BYTES {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

/// About how many bytes of elements there are to write.
fn output_bytes(outputs: &[Value]) -> usize {
    outputs
        .iter()
        .map(|output| match output {
            Value::Tensor(tensor) | Value::Maps { values: tensor, .. } => {
                tensor.data().len() * tensor.element_type().size().unwrap_or(16)
            }
            Value::Sequence(members) => output_bytes(members),
            Value::Map { values, .. } => values.data().len() * 16,
            Value::Absent => 0,
        })
        .sum()
}
