//! `POST /invocations` and KServe's `infer`, in five steps: take in, decode, submit, encode, reply.

use std::sync::Arc;
use std::time::Instant;

use axum::http::request::Parts;
use axum::http::{header, HeaderValue, Request, StatusCode, Version};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Incoming;

use super::body::Place;
use super::encoding::Coding;
use super::error::{refusal, HttpError};
use super::headers::{self, Asked, CUSTOM_ATTRIBUTES, JSON_HEADER_SIZE};
use super::kserve::check_name;
use super::{body, pressure, reply, stream, App, Open};
use crate::clock;
use crate::codec::{self, Choice, Dialect, Encoded, Format, Intake, Setting};
use crate::ready::Model;
use crate::scheduler::{micros, Allowance};
use crate::telemetry::Level;
use crate::tensor::Value;

/// Bodies and outputs above this size are read and written off the event loop: at about 500 MB/s
/// that is when `/ping` would begin to notice.
pub const LARGE_BYTES: usize = 128 * 1024;

/// One request in the container, from its head to its reply or its caller's hanging up.
pub struct InFlight {
    concurrency: Level,
    /// When it left, if that was read; at the drop otherwise.
    left: Option<Instant>,
}

impl InFlight {
    fn enter(concurrency: &Level, arrived: Instant) -> Self {
        concurrency.rise(arrived);
        Self {
            concurrency: concurrency.clone(),
            left: None,
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let left = self.left.unwrap_or_else(clock::now);
        self.concurrency.fall(left);
    }
}

/// Which of the two routes a request came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// SageMaker's: any content type, negotiated.
    Invocations,
    /// KServe's `/v2/models/{name}/infer`: v2 JSON, with its binary extension.
    Infer {
        /// The model that the path names.
        model: String,
    },
}

/// What is answered.
enum Answer {
    /// A whole reply.
    Whole(Response),
    /// A reply whose later parts are still computed; what came of it is counted at its end.
    Parts(Response),
}

/// Serves one request and counts it. `open` ends when its reply is computed.
pub async fn invocations(
    app: &Arc<App>,
    request: Request<Incoming>,
    route: Route,
    open: Open,
) -> Response {
    let arrived = clock::now();
    let metrics = &app.metrics;
    let in_flight = InFlight::enter(&metrics.concurrency, arrived);
    let (head, incoming) = request.into_parts();
    let custom_attributes = head.headers.get(CUSTOM_ATTRIBUTES).cloned();
    let mut incoming = Some(incoming);
    // Until here is done with the request, its body included; a streamed reply takes it over.
    let mut taken = Some(Taken {
        arrived,
        in_flight,
        _open: open,
    });
    let answered = answer(app, &head, &mut incoming, arrived, &route, &mut taken).await;
    let (mut response, is_whole) = match answered {
        Ok(Answer::Whole(response)) => (response, true),
        Ok(Answer::Parts(response)) => (response, false),
        Err(error) => {
            // Refused by its head: many clients look for the answer only after they have sent the
            // body, those excepted who wait for permission.
            match incoming.take() {
                Some(body) if !head.headers.contains_key(header::EXPECT) => {
                    body::discard(body).await;
                }
                _ => {}
            }
            let response = refusal(&error);
            if response.status().is_client_error() {
                metrics.client_errors.increment(1);
            } else {
                metrics.server_errors.increment(1);
                if matches!(error, HttpError::NoRoom { .. }) {
                    metrics.rejected.increment(1);
                }
                if let Some(work) = error.work_before() {
                    pressure::refused(work);
                }
                tracing::debug!(status = response.status().as_u16(), "{error}");
            }
            (response, true)
        }
    };
    if let Some(value) = custom_attributes.filter(headers::is_attributes) {
        response.headers_mut().insert(CUSTOM_ATTRIBUTES, value);
    }
    if app.ready.is_leaving() {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if is_whole {
        let replied = match &mut taken {
            Some(Taken { in_flight, .. }) => *in_flight.left.get_or_insert_with(clock::now),
            None => clock::now(),
        };
        metrics.invocations.increment(1);
        let took = replied.saturating_duration_since(arrived);
        metrics.request_latency.record(micros(took));
        if let Some(flush) = &app.flush {
            flush().await;
            // It is here until its metrics have left.
            if let Some(taken) = &mut taken {
                taken.in_flight.left = None;
            }
        }
    }
    response
}

/// What is held for a request until its reply is computed.
pub struct Taken {
    pub arrived: Instant,
    in_flight: InFlight,
    pub _open: Open,
}

async fn answer(
    app: &Arc<App>,
    head: &Parts,
    incoming: &mut Option<Incoming>,
    arrived: Instant,
    route: &Route,
    taken: &mut Option<Taken>,
) -> Result<Answer, HttpError> {
    let model = app.model()?;
    if let Route::Infer { model: found } = route {
        check_name(model, found)?;
    }
    let asked = Asked::read(&head.headers, app.limits.header_bytes)?;
    if let Some(id) = asked.inference_id {
        tracing::debug!(inference_id = ?id.chars().take(64).collect::<String>(), "invocation");
    }
    let intake = Intake {
        content_type: match route {
            Route::Invocations => asked.content_type,
            // KServe's servers look at the other header alone.
            Route::Infer { .. } => Some(Format::Json.media_type()),
        },
        json_header_size: asked.json_header_size,
        unpacked_limit: app.limits.unpacked_bytes,
    };
    let (body, place, taken_in) = take_in(app, &asked, &intake, incoming, arrived).await?;
    if body.is_empty() && app.batch && !model.signature.inputs.is_empty() {
        let mut nothing = reply(StatusCode::NO_CONTENT, "application/json", Vec::new());
        nothing.headers_mut().remove(header::CONTENT_TYPE);
        return Ok(Answer::Whole(nothing));
    }

    let unfolds = codec::may_unfold(&intake) || codec::may_be_sparse(&intake, &body);
    let size = if unfolds { usize::MAX } else { body.len() };
    let (decoded, place) = if size > LARGE_BYTES {
        let content_type = intake.content_type.map(str::to_owned);
        let json_header_size = intake.json_header_size.map(str::to_owned);
        let unpacked_limit = intake.unpacked_limit;
        let signature = Arc::clone(&model.signature);
        // Its place is taken for as long as the body is there, whether or not the caller is.
        elsewhere(move || {
            let intake = Intake {
                content_type: content_type.as_deref(),
                json_header_size: json_header_size.as_deref(),
                unpacked_limit,
            };
            (codec::decode(intake, body, &signature), place)
        })
        .await
    } else {
        (codec::decode(intake, body, &model.signature), place)
    };
    let decoded = decoded?;
    let choice = match route {
        Route::Invocations => codec::negotiate(
            asked.accept.as_deref(),
            app.default_accept.as_deref(),
            &decoded.reply,
            &model.signature,
        )?,
        Route::Infer { .. } if !matches!(decoded.reply.dialect, Dialect::V2(_)) => {
            return Err(HttpError::NotV2);
        }
        Route::Infer { .. } => codec::negotiate(None, None, &decoded.reply, &model.signature)?,
    };
    let coding = Coding::accepted(asked.accept_encoding.as_deref());
    let decoded_at = clock::now();

    // HTTP/1.0 has no chunks: there a reply that was cut off would look whole.
    let parts = match head.version {
        Version::HTTP_11 => stream::parts(app, model, choice, &decoded.inputs),
        _ => None,
    };
    if let Some((parts, taken)) = parts.and_then(|parts| Some((parts, taken.take()?))) {
        let intake_time = decoded_at.duration_since(taken_in);
        let stream = stream::Stream::new(app, decoded, parts, intake_time, (taken, place));
        return stream.begin(choice).await.map(Answer::Parts);
    }

    let allowance = Allowance {
        arrived,
        limit: app.limits.request,
    };
    let ran = model
        .scheduler
        .submit(decoded.inputs, allowance, decoded_at)
        .await?;

    let (dialect, outputs) = (decoded.reply.dialect, ran.outputs);
    let output_bytes = output_bytes(&outputs);
    let encode = move |app: &App, model: &Model, route: &Route| {
        let encoded = codec::encode(choice.format, &dialect, &outputs, setting(app, model))?;
        Ok::<_, HttpError>(written(route, choice, encoded, coding))
    };
    let response = if output_bytes > LARGE_BYTES {
        let (app, route) = (Arc::clone(app), route.clone());
        elsewhere(move || encode(&app, app.model()?, &route)).await?
    } else {
        encode(app, model, route)?
    };
    // The reply is there: one look at the clock ends both the encoding and the request.
    let encoded_at = clock::now();
    let codec_time = decoded_at.saturating_duration_since(taken_in)
        + encoded_at.saturating_duration_since(ran.ended);
    app.metrics.codec_latency.record(micros(codec_time));
    if let Some(taken) = taken {
        taken.in_flight.left = Some(encoded_at);
    }
    drop(place);
    Ok(Answer::Whole(response))
}

/// The body as it was before compression, its place in the room of all bodies, and when it was
/// there: with the head, unless it had to be waited for.
async fn take_in(
    app: &App,
    asked: &Asked<'_>,
    intake: &Intake<'_>,
    incoming: &mut Option<Incoming>,
    arrived: Instant,
) -> Result<(Bytes, Place, Instant), HttpError> {
    let coding = Coding::of(asked.content_encoding)?;
    let Some(incoming) = incoming.take() else {
        return Ok((Bytes::new(), Place::default(), arrived));
    };
    let offset = codec::data_offset(intake);
    let (body, mut place, has_waited) =
        body::collect(app, asked, incoming, arrived, offset).await?;
    let taken_in = if has_waited { clock::now() } else { arrived };
    let body = match coding {
        // Few bytes may stand for many.
        Some(coding) => {
            let limit = app.limits.unpacked_bytes;
            let (whole, held) = elsewhere(move || (coding.decompress(&body, limit), place)).await;
            place = held;
            let whole = whole?;
            place.grow(&app.room, whole.len())?;
            whole
        }
        None => body,
    };
    Ok((body, place, taken_in))
}

/// How this model's replies are written here.
pub fn setting<'m>(app: &App, model: &'m Model) -> Setting<'m> {
    Setting {
        signature: &model.signature,
        model_name: &model.name,
        ends_with_newline: app.batch,
    }
}

/// A reply's head and body.
fn written(route: &Route, choice: Choice, encoded: Encoded, coding: Option<Coding>) -> Response {
    let Encoded {
        mut body,
        json_header_size,
    } = encoded;
    let compressed = coding.and_then(|coding| Some((coding, coding.compress(&body)?)));
    let encoding = compressed.map(|(coding, smaller)| {
        body = smaller;
        coding.name()
    });
    let mut response = reply(StatusCode::OK, choice.media_type, body);
    let headers = response.headers_mut();
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    match (json_header_size, route) {
        (None, _) => {}
        (Some(size), Route::Infer { .. }) => {
            let octets = HeaderValue::from_static(Format::Octets.media_type());
            headers.insert(header::CONTENT_TYPE, octets);
            headers.insert(JSON_HEADER_SIZE, HeaderValue::from(size));
        }
        (Some(size), Route::Invocations) => {
            let content_type = format!("{};json-header-size={size}", choice.media_type);
            // Letters, digits and punctuation of ASCII.
            if let Ok(content_type) = HeaderValue::from_str(&content_type) {
                headers.insert(header::CONTENT_TYPE, content_type);
            }
        }
    }
    response
}

/// Works on another thread, while the tasks of this one go on. Work that was begun goes on to its end
/// also where nobody waits for it any more.
pub async fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // This thread ends, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// About how many bytes of elements there are to write.
pub fn output_bytes(outputs: &[Value]) -> usize {
    outputs
        .iter()
        .map(|output| match output {
            Value::Tensor(tensor) | Value::Maps { values: tensor, .. } => tensor.bytes(),
            Value::Sequence(members) => output_bytes(members),
            Value::Map { values, .. } => values.data().len() * 16 + values.bytes(),
            Value::Absent => 0,
        })
        .sum()
}
