//! The routes. With [`server`](crate::server), the only room that knows axum and status codes.

mod activity;
mod body;
mod encoding;
mod error;
mod framing;
mod headers;
mod invocations;
mod kserve;
mod pressure;
mod scrape;
mod stream;
mod transform;

use std::convert::Infallible;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{header, HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{any, get};
use axum::Router;
use hyper::body::Incoming;
use tower::ServiceExt;

use crate::config::Transform;
use crate::ready::{Model, Ready};
use crate::telemetry::HttpMetrics;
pub use activity::Activity;
use activity::{Open, Sending};
pub use body::Room;
use error::{refusal, HttpError};
pub use framing::Framed;
pub use invocations::elsewhere;
use invocations::{invocations, Route};
pub use pressure::before_waiting;
pub use scrape::PageFormat;

/// How much of everything is taken.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest request body in bytes, as it is sent.
    pub request_bytes: usize,
    /// The most bytes that it may unfold to.
    pub unpacked_bytes: usize,
    /// The most bytes of a request's headers.
    pub header_bytes: usize,
    /// How long a request may take, or each part of a streamed reply.
    pub request: Duration,
    /// Records in each part of a streamed reply; `None` streams nothing.
    pub stream_records: Option<NonZeroUsize>,
}

/// Sees the metrics off; to be awaited before a reply leaves.
pub type Flush = Arc<dyn Fn() -> FlushFuture + Send + Sync>;

/// Done when they have left.
pub type FlushFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the routes need.
pub struct App {
    /// The model, once it is there.
    pub ready: Ready,
    /// How much of everything is taken.
    pub limits: Limits,
    /// Response type when `Accept` is missing or `*/*`.
    pub default_accept: Option<String>,
    /// Whether this is a batch transform job.
    pub batch: bool,
    /// What that job was told.
    pub transform: Transform,
    /// The Prometheus page; must answer at once.
    pub page: Arc<dyn Fn(PageFormat) -> String + Send + Sync>,
    /// Set at the first `/ping` that is answered with 200.
    pub first_good_ping: Arc<AtomicBool>,
    /// Where timers may stand still between requests: sees the metrics off with each reply.
    pub flush: Option<Flush>,
    /// What all request bodies together may take.
    pub room: Room,
    /// Handles of this room.
    pub metrics: HttpMetrics,
}

impl App {
    /// The one model.
    fn model(&self) -> Result<&Model, HttpError> {
        if self.ready.is_multi_model() {
            return Err(HttpError::MultiModel(
                "this is a multi-model container without a model: \
                 models cannot be loaded by this version",
            ));
        }
        self.ready.model().ok_or(HttpError::NotReady)
    }

    /// Whether a request would be answered now.
    fn health(&self) -> Result<(), HttpError> {
        if self.ready.is_leaving() {
            return Err(HttpError::Leaving);
        }
        if self.ready.is_multi_model() {
            return Ok(());
        }
        let model = self.model()?;
        if let Some(reason) = model.scheduler.lost_device() {
            return Err(HttpError::DeviceLost(reason));
        }
        match model.scheduler.stuck(self.limits.request) {
            Some(since) => Err(HttpError::Stuck(since)),
            None => Ok(()),
        }
    }
}

/// Every route of the server, as hyper calls it.
///
/// `POST /invocations` does not go through the router: matching a path and boxing what comes of it
/// takes longer than a small model. Every other method of it does, to be told what is allowed.
#[derive(Clone)]
pub struct Routes {
    app: Arc<App>,
    router: Router,
    activity: Arc<Activity>,
}

impl Routes {
    /// The routes over this state.
    pub fn new(app: Arc<App>) -> Self {
        Self {
            router: router(Arc::clone(&app)),
            app,
            activity: Arc::default(),
        }
    }

    /// The same routes for a connection of its own.
    #[must_use]
    pub fn counted_by(mut self, activity: &Arc<Activity>) -> Self {
        self.activity = Arc::clone(activity);
        self
    }
}

impl hyper::service::Service<Request<Incoming>> for Routes {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let activity = Arc::clone(&self.activity);
        let open = Open::begin(&activity);
        if activity.is_doubtful() {
            return Box::pin(async move {
                let _open = open;
                Ok(refusal(&HttpError::TwoLengths))
            });
        }
        let path = request.uri().path();
        let route = match *request.method() {
            Method::POST if path == "/invocations" => Some(Route::Invocations),
            Method::POST => kserve::infer_path(path).map(|model| Route::Infer { model }),
            _ => None,
        };
        if let Some(route) = route {
            let app = Arc::clone(&self.app);
            return Box::pin(async move {
                let response = invocations(&app, request, route, open).await;
                Ok(Sending::watch(response, activity))
            });
        }
        let router = self.router.clone();
        Box::pin(async move {
            let _open = open;
            // Nobody here reads a body. A caller who sends one all the same may not look for the
            // answer before it is sent.
            let (head, incoming) = request.into_parts();
            if !head.headers.contains_key(header::EXPECT) {
                body::discard(incoming).await;
            }
            let response = router
                .oneshot(Request::from_parts(head, Body::empty()))
                .await?;
            Ok(Sending::watch(response, activity))
        })
    }
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/invocations", any(method_not_allowed))
        .route("/ping", get(ping).post(ping))
        .route("/metrics", get(scrape::metrics))
        .route(
            "/execution-parameters",
            get(transform::execution_parameters),
        )
        .route("/models", any(models))
        .route("/v2", get(kserve::server))
        .route("/v2/health/live", get(kserve::live))
        .route("/v2/health/ready", get(kserve::ready))
        .route("/v2/models/{name}", get(kserve::model))
        .route("/v2/models/{name}/ready", get(kserve::model_ready))
        .route("/v2/models/{name}/infer", any(method_not_allowed))
        .route("/v2/models/{name}/versions/{version}", get(kserve::model))
        .route(
            "/v2/models/{name}/versions/{version}/ready",
            get(kserve::model_ready),
        )
        .route(
            "/v2/models/{name}/versions/{version}/infer",
            any(method_not_allowed),
        )
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app)
}

/// 200 with an empty body once `/invocations` works; 503 with the reason before, when leaving, when
/// no run comes back any more, and when the GPU is lost.
async fn ping(State(app): State<Arc<App>>) -> Response {
    if let Err(error) = app.health() {
        return refusal(&error);
    }
    if !app.first_good_ping.load(Ordering::Relaxed) {
        app.first_good_ping.store(true, Ordering::Relaxed);
    }
    Response::new(Body::empty())
}

/// `GET /models`: the one model; none yet in multi-model mode, where the platform asks for the list
/// as often as for `/ping`.
async fn models(State(app): State<Arc<App>>, method: Method, uri: Uri) -> Response {
    // Nothing is loaded or unloaded here.
    if method != Method::GET {
        return not_found(method, uri).await;
    }
    let token = uri.query().unwrap_or_default().split('&').find_map(|pair| {
        pair.strip_prefix("next_page_token=")
            .map(|token| token.chars().take(64).collect())
    });
    if let Some(token) = token {
        return refusal(&HttpError::PageToken(token));
    }
    #[derive(serde::Serialize)]
    struct Entry<'m> {
        #[serde(rename = "modelName")]
        name: &'m str,
        #[serde(rename = "modelUrl")]
        url: &'m str,
    }
    #[derive(serde::Serialize)]
    struct List<'m> {
        models: Vec<Entry<'m>>,
    }
    let entry = app.ready.model().map(|model| Entry {
        name: &model.name,
        url: &model.url,
    });
    let list = List {
        models: entry.into_iter().collect(),
    };
    match serde_json::to_vec(&list) {
        Ok(body) => reply(StatusCode::OK, "application/json", body),
        // Structs of texts always write.
        Err(_) => refusal(&HttpError::NotReady),
    }
}

async fn not_found(method: Method, uri: Uri) -> Response {
    refusal(&HttpError::NotFound {
        method,
        path: uri.path().chars().take(200).collect(),
    })
}

async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let allow = match uri.path() {
        "/invocations" => "POST",
        "/ping" => "GET, POST",
        path if kserve::infer_path(path).is_some() => "POST",
        _ => "GET",
    };
    let mut response = refusal(&HttpError::MethodNotAllowed { method, allow });
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

/// A reply body of a known type.
fn reply(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
pub(crate) mod device_tests;
#[cfg(test)]
mod measured_tests;
