//! A floor: hyper alone. Reads each body to its end and answers with a fixed reply, the one that
//! Plimsoll gave, so that both move the same bytes through the kernel. Given a model, it runs that
//! before each answer: what the two floors cost when they share one core's caches. On several threads
//! each has a runtime of its own, and connections go to one after the other.

use std::cell::OnceCell;
use std::convert::Infallible;
use std::future::pending;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderValue, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use probe::{Reply, Target};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::bare::{Axes, Bare, Model};
use crate::served::Body;
use crate::server::Child;
use crate::Result;

/// The word that makes a bench an echo.
pub const WORD: &str = "serve-echo";

thread_local! {
    /// The model, on each thread that serves.
    static MODEL: OnceCell<Bare> = const { OnceCell::new() };
}

/// An echo to be started.
pub struct Echo<'a> {
    /// What it answers with.
    pub reply: &'a Reply,
    /// Threads that serve.
    pub threads: usize,
    /// What it runs before each answer.
    pub model: Option<&'a Model<'a>>,
    /// Where the reply is laid for it.
    pub scratch: &'a Path,
}

impl Echo<'_> {
    /// Starts it out of this very program, bound to wherever this thread is bound to; gone when
    /// dropped.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(&self) -> Result<Child> {
        let body = &self.reply.body;
        let file = self.scratch.join(format!("reply-{}", body.len()));
        std::fs::write(&file, body)?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg(WORD)
            .arg(file)
            .arg(self.threads.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(model) = self.model {
            command
                .args([model.library, model.file])
                .arg(model.axes.to_string());
        }
        let mut process = command.spawn()?;
        let output = process.stdout.take().ok_or("the echo has no output")?;
        // Killed with the child from here on, whatever it says.
        let mut child = Child::new(process, 0);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let port = line.trim().parse().map_err(|_| "the echo did not start")?;
        child.listens_on(port);
        Ok(child)
    }
}

/// An echo, and the request that asks it.
pub struct Asked {
    /// The process.
    pub child: Child,
    /// The request.
    pub request: probe::Request,
}

impl Asked {
    /// An echo that is sent this.
    ///
    /// # Errors
    /// The body's headers cannot be sent.
    pub fn of(child: Child, body: &Body) -> Result<Self> {
        let target = Target::parse(&format!("http://127.0.0.1:{}/invocations", child.port()))?;
        Ok(Self {
            request: body.sent_to(&target)?,
            child,
        })
    }
}

/// What this program does where its first word is [`WORD`]: serves until killed; prints its port
/// first. `None` otherwise.
pub fn child(words: &[String]) -> Option<Result<()>> {
    let (word, words) = words.split_first()?;
    (word == WORD).then(|| serve(words))
}

/// Words: the file with the reply's body; threads; then, to run a model for each request, library,
/// model and axes.
#[expect(clippy::print_stdout, reason = "whoever started it waits for its port")]
fn serve(words: &[String]) -> Result<()> {
    let [file, threads, model @ ..] = words else {
        return Err("an echo wants a reply and a number of threads".into());
    };
    let body = Bytes::from(std::fs::read(file)?);
    let threads: Vec<Handle> = (0..threads.parse()?)
        .map(|_| serving_thread(model))
        .collect::<Result<_>>()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    for thread in threads.iter().cycle() {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let body = body.clone();
        thread.spawn(async move {
            let Ok(stream) = TcpStream::from_std(stream) else {
                return;
            };
            let answer = service_fn(move |request| reply(request, body.clone()));
            // A connection that ends badly ends; the sender counts it.
            http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await
                .ok();
        });
    }
    Ok(())
}

/// A thread with a runtime of its own, once it has loaded the model.
fn serving_thread(model: &[String]) -> Result<Handle> {
    let model = model.to_vec();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let begun = || -> Result<_> {
            if let [library, model, axes] = model.as_slice() {
                let bare = Bare::open(library, model, &Axes::parse(axes)?)?;
                bare.run()?;
                MODEL.with(|model| model.set(bare).ok());
            }
            Ok(tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?)
        };
        match begun() {
            Ok(runtime) => {
                tell.send(Ok(runtime.handle().clone())).ok();
                runtime.block_on(pending::<()>());
            }
            Err(error) => {
                tell.send(Err(error.to_string())).ok();
            }
        }
    });
    Ok(told.recv()??)
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
