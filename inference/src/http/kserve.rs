//! KServe's v2 routes beside `infer`: health, and what the model takes and gives. Clients of
//! Triton and of Kubernetes' inference services ask these before they send anything.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use serde::Serialize;

use super::error::{refusal, HttpError};
use super::{reply, App};
use crate::model::{Dim, Port};
use crate::ready::Model;

/// The version of the one model.
const VERSION: &str = "1";

/// `GET /v2`
#[derive(Serialize)]
struct Server {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 1],
}

/// `GET /v2/models/{name}`
#[derive(Serialize)]
struct Metadata<'m> {
    name: &'m str,
    versions: [&'static str; 1],
    platform: &'static str,
    inputs: Vec<Tensor<'m>>,
    outputs: Vec<Tensor<'m>>,
}

#[derive(Serialize)]
struct Tensor<'m> {
    name: &'m str,
    datatype: &'static str,
    /// Free axes are -1, as Triton has them; so is a shape that declares no rank.
    shape: Vec<i64>,
}

impl<'m> From<&'m Port> for Tensor<'m> {
    fn from(port: &'m Port) -> Self {
        let size = |dim: &Dim| match dim {
            Dim::Fixed(size) => i64::try_from(*size).unwrap_or(i64::MAX),
            Dim::Symbol(_) | Dim::Free => -1,
        };
        let (datatype, dims) = match port.tensor() {
            Some((element, dims)) => (element.v2_name(), dims),
            // Maps and sequences travel as their JSON texts.
            None => ("BYTES", None),
        };
        Self {
            name: &port.name,
            datatype,
            shape: dims.map_or_else(|| vec![-1], |dims| dims.iter().map(size).collect()),
        }
    }
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => reply(StatusCode::OK, "application/json", body),
        // Structs of texts and numbers always write.
        Err(_) => refusal(&HttpError::NotReady),
    }
}

fn empty() -> Response {
    Response::new(axum::body::Body::empty())
}

/// `GET /v2`: the server itself.
pub async fn server() -> Response {
    json(&Server {
        name: "plimsoll",
        version: env!("CARGO_PKG_VERSION"),
        extensions: ["binary_tensor_data"],
    })
}

/// `GET /v2/health/live`: whoever answers lives.
pub async fn live() -> Response {
    empty()
}

/// `GET /v2/health/ready`: as `/ping`.
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    match app.health() {
        Ok(()) => empty(),
        Err(error) => refusal(&error),
    }
}

/// The model of this name, once it is there.
fn named<'a>(app: &'a App, name: &str) -> Result<&'a Model, HttpError> {
    let model = app.model()?;
    check_name(model, name)?;
    Ok(model)
}

/// Whether this is the model that a request names.
///
/// # Errors
/// [`HttpError::UnknownModel`] with the name that there is.
pub fn check_name(model: &Model, found: &str) -> Result<(), HttpError> {
    if model.name == found {
        return Ok(());
    }
    Err(HttpError::UnknownModel {
        found: found.chars().take(64).collect(),
        expected: model.name.chars().take(64).collect(),
    })
}

/// `GET /v2/models/{name}`: what it takes and gives.
pub async fn model(State(app): State<Arc<App>>, uri: Uri) -> Response {
    match named(&app, &name_in(uri.path())) {
        Ok(model) => json(&Metadata {
            name: &model.name,
            versions: [VERSION],
            platform: "onnxruntime_onnx",
            inputs: model.signature.inputs.iter().map(Tensor::from).collect(),
            outputs: model.signature.outputs.iter().map(Tensor::from).collect(),
        }),
        Err(error) => refusal(&error),
    }
}

/// `GET /v2/models/{name}/ready`
pub async fn model_ready(State(app): State<Arc<App>>, uri: Uri) -> Response {
    match named(&app, &name_in(uri.path())).and_then(|_| app.health()) {
        Ok(()) => empty(),
        Err(error) => refusal(&error),
    }
}

/// The name in a path below `/v2/models/`, with the version where that is not the one there is.
fn name_in(path: &str) -> String {
    let below = path.strip_prefix("/v2/models/").unwrap_or_default();
    let below = below.strip_suffix("/ready").unwrap_or(below);
    match below.split_once("/versions/") {
        Some((name, VERSION)) => decoded(name),
        // A version that there is not belongs to no model's name.
        _ => decoded(below),
    }
}

/// A part of a path as the text that it stands for; what is no text stands for no model.
fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part)
        .decode_utf8_lossy()
        .into_owned()
}

/// The model's name in `/v2/models/{name}/infer` or `/v2/models/{name}/versions/{version}/infer`.
#[must_use]
pub fn infer_path(path: &str) -> Option<String> {
    let rest = path.strip_prefix("/v2/models/")?.strip_suffix("/infer")?;
    let mut parts = rest.split('/');
    parts.next().filter(|name| !name.is_empty())?;
    let is_infer = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => true,
        (Some("versions"), Some(version), None) => !version.is_empty(),
        _ => false,
    };
    is_infer.then(|| name_in(path.strip_suffix("/infer").unwrap_or(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_with_or_without_a_version() {
        let found = |path| infer_path(path);
        assert_eq!(found("/v2/models/m/infer").as_deref(), Some("m"));
        assert_eq!(found("/v2/models/m/versions/1/infer").as_deref(), Some("m"));
        let other = found("/v2/models/m/versions/3/infer");
        assert_eq!(
            other.as_deref(),
            Some("m/versions/3"),
            "there is no such version"
        );
        assert_eq!(name_in("/v2/models/m"), "m");
        assert_eq!(name_in("/v2/models/m/versions/1/ready"), "m");
        assert_eq!(found("/v2/models/a%20%C3%BC/infer").as_deref(), Some("a ü"));
        for other in [
            "/v2/models//infer",
            "/v2/models/m",
            "/v2/models/m/n/infer",
            "/v2/models/m/versions/infer",
            "/v2/models/m/versions//infer",
            "/v2/models/m/versions/1/2/infer",
            "/v2/infer",
        ] {
            assert_eq!(infer_path(other), None, "{other}");
        }
    }
}
