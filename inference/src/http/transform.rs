//! `GET /execution-parameters`: what batch transform may send at a time.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::error::{refusal, HttpError};
use super::{reply, App};
use crate::config::Transform;

/// What the platform takes where nobody says.
const DEFAULT_PAYLOAD_MB: usize = 6;
/// The platform's bound of the payload, and of payload × concurrency.
const MOST_MB: usize = 100;

/// The platform's names. The strategy is said only where the job itself has set it: the platform
/// wants `MULTI_RECORD`, and its own SDK's local mode fails on that spelling; both take silence.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    max_concurrent_transforms: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_strategy: Option<&'static str>,
    #[serde(rename = "MaxPayloadInMB")]
    max_payload_in_mb: usize,
}

/// Parameters for a server of so many slots.
fn parameters(transform: &Transform, slots: usize) -> Parameters {
    let payload = match transform.max_payload_mb {
        None => DEFAULT_PAYLOAD_MB,
        // No limit; the platform's own is the largest number there is.
        Some(0) => MOST_MB,
        Some(mb) => mb.min(MOST_MB),
    };
    let concurrent = transform.max_concurrent.unwrap_or(slots);
    Parameters {
        max_concurrent_transforms: concurrent.clamp(1, MOST_MB / payload),
        batch_strategy: transform.strategy,
        max_payload_in_mb: payload,
    }
}

/// Answers once the model is there: its slots are the concurrency.
pub async fn execution_parameters(State(app): State<Arc<App>>) -> Response {
    let model = match app.model() {
        Ok(model) => model,
        Err(error) => return refusal(&error),
    };
    match serde_json::to_vec(&parameters(&app.transform, model.scheduler.slots())) {
        Ok(body) => reply(StatusCode::OK, "application/json", body),
        // A struct of numbers and a text always writes.
        Err(_) => refusal(&HttpError::NotReady),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_times_concurrency_stays_within_the_platforms_bound() {
        let transform = |max_payload_mb, max_concurrent| Transform {
            max_concurrent,
            strategy: None,
            max_payload_mb,
        };
        for (payload, concurrent, slots, expected) in [
            (None, None, 2, (2, 6)),
            (None, None, 64, (16, 6)),
            (Some(0), None, 8, (1, 100)),
            (Some(50), None, 8, (2, 50)),
            (Some(1000), Some(4), 8, (1, 100)),
            (Some(1), Some(300), 8, (100, 1)),
            (Some(6), Some(3), 8, (3, 6)),
        ] {
            let found = parameters(&transform(payload, concurrent), slots);
            assert_eq!(
                (found.max_concurrent_transforms, found.max_payload_in_mb),
                expected,
                "{payload:?} {concurrent:?} {slots}"
            );
        }
    }

    #[test]
    fn the_names_are_the_platforms() {
        let mut transform = Transform::default();
        let text =
            |transform: &Transform| serde_json::to_string(&parameters(transform, 1)).unwrap();
        assert_eq!(
            text(&transform),
            "{\"MaxConcurrentTransforms\":1,\"MaxPayloadInMB\":6}"
        );
        transform.strategy = Some("MULTI_RECORD");
        assert_eq!(
            text(&transform),
            "{\"MaxConcurrentTransforms\":1,\"BatchStrategy\":\"MULTI_RECORD\",\"MaxPayloadInMB\":6}"
        );
    }
}
