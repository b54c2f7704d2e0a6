//! One kept-alive connection: writes a request, reads its reply, and knows whether it may be used
//! again.

use std::io;
use std::net::SocketAddr;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::load::LoadError;
use crate::reply::{self, Head, Kept, Malformed};
use crate::target::{Request, Target};

/// Room for a small reply in one read.
const READ_BYTES: usize = 16 * 1024;

/// One reply, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// `Content-Type`, when given.
    pub content_type: Option<String>,
    /// The body, transfer coding removed.
    pub body: Vec<u8>,
}

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error("connection lost before the reply was complete: {0}")]
    Closed(io::Error),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
    reusable: bool,
    kept: Kept,
}

/// Looks the host up; the first address is taken, as all connections should reach one server.
pub(crate) async fn resolve(target: &Target) -> Result<SocketAddr, LoadError> {
    let failed = |source| LoadError::Resolve {
        host: target.host().to_owned(),
        source,
    };
    let found = tokio::net::lookup_host((target.host(), target.port()))
        .await
        .map_err(failed)?;
    let none = || failed(io::Error::new(io::ErrorKind::NotFound, "no address"));
    found.into_iter().next().ok_or_else(none)
}

impl Connection {
    /// Opens a connection; `keep` bytes of each reply's body are kept.
    pub(crate) async fn open(address: SocketAddr, keep: usize) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: BytesMut::with_capacity(READ_BYTES),
            reusable: true,
            kept: Kept {
                bytes: Vec::new(),
                limit: keep,
            },
        })
    }

    /// Whether the next request may be sent here: the last reply allows it, and the server has
    /// neither closed nor said anything unasked meanwhile.
    pub(crate) fn usable(&self) -> bool {
        let quiet = |read: io::Result<usize>| {
            read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        };
        self.reusable && self.buffer.is_empty() && quiet(self.stream.try_read(&mut [0]))
    }

    /// The first bytes of the last reply's body.
    pub(crate) fn kept(&self) -> &[u8] {
        &self.kept.bytes
    }

    /// Sends `request` and reads its reply to the end. After an error, or when the future is
    /// dropped, the connection is not usable any more.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Head, ExchangeError> {
        self.reusable = false;
        self.kept.bytes.clear();
        // A server may refuse a body before it has read it all, and close: its answer counts.
        let written = self.stream.write_all(request).await;
        let mut head = loop {
            match self.read().await {
                Ok(0) => return Err(closed(written, io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) => return Err(closed(written, error)),
            }
            if let Some(head) = reply::head(&mut self.buffer)? {
                break head;
            }
        };
        while !head.body.advance(&mut self.buffer, &mut self.kept)? {
            let until_close = head.body == reply::Body::UntilClose;
            match self.read().await {
                Ok(0) if until_close => break,
                Ok(0) => return Err(closed(Ok(()), io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) => return Err(closed(Ok(()), error)),
            }
        }
        self.reusable = head.reusable && written.is_ok();
        Ok(head)
    }

    async fn read(&mut self) -> io::Result<usize> {
        if self.buffer.is_empty() {
            self.buffer.clear();
        }
        self.buffer.reserve(READ_BYTES);
        self.stream.read_buf(&mut self.buffer).await
    }
}

/// The earlier of two failures is the cause.
fn closed(written: io::Result<()>, read: io::Error) -> ExchangeError {
    ExchangeError::Closed(written.err().unwrap_or(read))
}

/// Sends one request over a fresh connection and gives the whole reply.
///
/// # Errors
/// [`LoadError`] when the host is unknown, the connection refused, or the reply cut or unreadable.
pub async fn once(request: &Request) -> Result<Reply, LoadError> {
    let address = resolve(request.target()).await?;
    let mut connection = Connection::open(address, usize::MAX)
        .await
        .map_err(|source| LoadError::Connect { address, source })?;
    let head = connection
        .exchange(request.wire())
        .await
        .map_err(|error| LoadError::Exchange {
            address,
            reason: error.to_string(),
        })?;
    Ok(Reply {
        status: head.status,
        content_type: head.content_type,
        body: std::mem::take(&mut connection.kept.bytes),
    })
}
