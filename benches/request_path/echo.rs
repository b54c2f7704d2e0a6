//! Floor (a): hyper alone. Reads each body to its end and answers with a fixed reply, the one that
//! Plimsoll gave, so that both move the same bytes through the kernel. Given a model, it runs that
//! before each answer: floor (d), what the two floors cost when they share one core's caches.

use std::cell::OnceCell;
use std::convert::Infallible;

use benches::bare::{Axes, Bare};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderValue, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::Result;

/// The word that makes this program an echo.
pub(crate) const WORD: &str = "serve-echo";

thread_local! {
    /// The model, on the one thread that serves.
    static MODEL: OnceCell<Bare> = const { OnceCell::new() };
}

/// Serves until killed; prints its port first. Words: the file with the reply's body; then, to run
/// a model for each request, library, model and axes.
pub(crate) fn serve(words: &[String]) -> Result<()> {
    let body = Bytes::from(std::fs::read(words.first().ok_or("no reply given")?)?);
    if let [_, library, model, axes] = words {
        let bare = Bare::open(library, model, &Axes::parse(axes)?)?;
        bare.run()?;
        MODEL.with(|model| model.set(bare).ok());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let body = body.clone();
            tokio::spawn(async move {
                let answer = service_fn(move |request| reply(request, body.clone()));
                // A connection that ends badly ends; the sender counts it.
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), answer)
                    .await
                    .ok();
            });
        }
    })
}

async fn reply(
    request: Request<Incoming>,
    body: Bytes,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    request.into_body().collect().await.ok();
    let ran = MODEL.with(|model| model.get().map_or(Ok(()), Bare::run));
    let mut response = Response::new(Full::new(body));
    if ran.is_err() {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
