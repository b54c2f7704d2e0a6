//! The port and its connections: taken, kept while they are used, closed when quiet or leaving.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::threads::Spread;
use super::ServeError;
use crate::http::{Activity, App, Framed, Routes};

/// Connections that may wait to be accepted: the platform wants each accepted within 250 ms.
const BACKLOG: i32 = 1024;
/// A connection is closed after two windows without a request, 80 to 160 seconds: the platform
/// reuses connections, and wants idle ones kept for 60 s.
const QUIET_WINDOW: Duration = Duration::from_secs(40);
/// How often accept is tried again when the process has no file descriptor left.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Whether requests are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    Draining,
}

/// Waits until the server drains. A sender that is gone means the same.
async fn draining(phases: &mut watch::Receiver<Phase>) {
    let _ = phases.wait_for(|phase| *phase == Phase::Draining).await;
}

/// Opens the port.
pub(super) fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServeError> {
    let open = || -> io::Result<(TcpListener, SocketAddr)> {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        // A restarted server finds its port again although old connections linger.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let listener = TcpListener::from_std(socket.into())?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    open().map_err(|source| ServeError::Listen { address, source })
}

/// Takes connections until the server drains. Every connection holds a clone of `open`.
pub(super) async fn accept(
    listener: TcpListener,
    app: Arc<App>,
    spread: Spread,
    mut phases: watch::Receiver<Phase>,
    open: mpsc::Sender<()>,
) {
    let routes = Routes::new(app);
    loop {
        let stream = tokio::select! {
            // Off this thread's poller: another's will watch it.
            accepted = listener.accept() => match accepted.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) => stream,
                Err(error) => {
                    // Out of file descriptors, or a connection that died in the backlog.
                    tracing::debug!("accept failed: {error}");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                    continue;
                }
            },
            () = draining(&mut phases) => return,
        };
        spread.spawn(connection(
            stream,
            routes.clone(),
            phases.clone(),
            open.clone(),
        ));
    }
}

async fn connection(
    stream: std::net::TcpStream,
    routes: Routes,
    mut phases: watch::Receiver<Phase>,
    _open: mpsc::Sender<()>,
) {
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!("a connection could not be watched: {error}");
            return;
        }
    };
    // Replies are written whole; waiting for more of them only adds delay.
    let _ = stream.set_nodelay(true);
    let activity = Arc::new(Activity::default());
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(
        TokioIo::new(Framed::new(stream, &activity)),
        routes.counted_by(&activity),
    );
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = draining(&mut phases) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                ended = connection.as_mut() => ended,
                // Half a head, or nothing: nobody is owed a reply.
                () = without_a_request(&activity) => return,
            }
        }
        () = quiet(&activity) => return,
    };
    if let Err(error) = ended {
        tracing::trace!("connection ended: {error}");
    }
}

/// Waits until a connection has owed nobody a reply for a moment.
async fn without_a_request(activity: &Activity) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if !activity.is_busy() {
            return;
        }
    }
}

/// Waits until a connection has shown no sign of life for two whole windows: it is idle, its head
/// drips in to hold us, or its caller does not read the reply. While a reply is computed nothing is
/// expected of it. One timer a connection; hyper's own would be set and taken back at every
/// request.
async fn quiet(activity: &Activity) {
    let mut seen = None;
    let mut quiet_windows = 0;
    while quiet_windows < 2 {
        tokio::time::sleep(QUIET_WINDOW).await;
        let signs = activity.signs();
        if seen == Some(signs) && !activity.is_computing() {
            quiet_windows += 1;
        } else {
            quiet_windows = 0;
        }
        seen = Some(signs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_kept_for_80_seconds_and_then_closed() {
        let activity = Activity::default();
        let begun = tokio::time::Instant::now();
        activity.begin();
        activity.end();
        quiet(&activity).await;
        let kept = begun.elapsed();
        assert!((80..=160).contains(&kept.as_secs()), "{kept:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_reads_slowly_is_waited_for_and_one_who_does_not_is_not() {
        let activity = Arc::new(Activity::default());
        let reading = async {
            for _ in 0..20 {
                tokio::time::sleep(QUIET_WINDOW).await;
                activity.begin();
                activity.end();
            }
        };
        let begun = tokio::time::Instant::now();
        tokio::join!(reading, quiet(&activity));
        assert!(begun.elapsed() > 20 * QUIET_WINDOW, "{:?}", begun.elapsed());
        assert!(begun.elapsed() < 24 * QUIET_WINDOW, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_with_an_open_request_is_not_closed() {
        let activity = Activity::default();
        activity.begin();
        let hour = Duration::from_secs(3600);
        assert!(tokio::time::timeout(hour, quiet(&activity)).await.is_err());
        activity.end();
        assert!(tokio::time::timeout(hour, quiet(&activity)).await.is_ok());
    }
}
