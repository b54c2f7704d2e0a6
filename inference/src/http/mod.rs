//! The routes. With [`server`](crate::server), the only room that knows axum and status codes.

mod body;
mod error;
mod invocations;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{header, HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::Router;
use hyper::body::Incoming;
use tower::ServiceExt;

use crate::ready::Ready;
use crate::telemetry::HttpMetrics;
use error::{refusal, HttpError};

/// What the routes need.
pub struct App {
    /// The model, once it is there.
    pub ready: Ready,
    /// Largest request body in bytes.
    pub max_request_bytes: usize,
    /// How long a request may take.
    pub request_limit: Duration,
    /// Response type when `Accept` is missing or `*/*`.
    pub default_accept: Option<String>,
    /// The Prometheus page; must answer at once.
    pub page: Arc<dyn Fn() -> String + Send + Sync>,
    /// Set at the first `/ping` that is answered with 200.
    pub first_good_ping: Arc<AtomicBool>,
    /// Handles of this room.
    pub metrics: HttpMetrics,
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

/// What one connection is doing, for whoever decides when it has been quiet for too long.
#[derive(Debug, Default)]
pub struct Activity {
    heads: AtomicU64,
    open: AtomicU64,
}

impl Activity {
    /// A request's head has come in.
    pub fn begin(&self) {
        self.heads.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Its reply is there, or its caller is gone.
    pub fn end(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests so far.
    #[must_use]
    pub fn heads(&self) -> u64 {
        self.heads.load(Ordering::Relaxed)
    }

    /// Whether a request is being served.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }
}

/// Ends its request when it is dropped.
struct Open(Arc<Activity>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.end();
    }
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
        self.activity.begin();
        let open = Open(Arc::clone(&self.activity));
        if request.method() == Method::POST && request.uri().path() == "/invocations" {
            let app = Arc::clone(&self.app);
            return Box::pin(async move {
                let _open = open;
                Ok(invocations::invocations(&app, request).await)
            });
        }
        let answer = self.router.clone().oneshot(request);
        Box::pin(async move {
            let _open = open;
            answer.await
        })
    }
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/invocations", any(method_not_allowed))
        .route("/ping", get(ping).post(ping))
        .route("/metrics", get(metrics))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app)
}

/// 200 with an empty body once `/invocations` works; 503 with the reason before, and when leaving.
async fn ping(State(app): State<Arc<App>>) -> Response {
    if app.ready.is_leaving() {
        return refusal(&HttpError::Leaving);
    }
    if app.ready.model().is_none() {
        return refusal(&HttpError::NotReady);
    }
    if !app.first_good_ping.load(Ordering::Relaxed) {
        app.first_good_ping.store(true, Ordering::Relaxed);
    }
    Response::new(Body::empty())
}

/// Prometheus text; also while the model loads.
async fn metrics(State(app): State<Arc<App>>) -> Response {
    const PROMETHEUS_TEXT: HeaderValue =
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], (app.page)()).into_response()
}

async fn not_found(method: Method, uri: axum::http::Uri) -> Response {
    refusal(&HttpError::NotFound {
        method,
        path: uri.path().chars().take(200).collect(),
    })
}

async fn method_not_allowed(method: Method, uri: axum::http::Uri) -> Response {
    let allow = match uri.path() {
        "/invocations" => "POST",
        "/metrics" => "GET",
        _ => "GET, POST",
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
