//! Requests that state the length of their body twice, with `Content-Length` and with
//! `Transfer-Encoding`. Two servers that believe different ones see different requests in the same
//! bytes, so they are refused. hyper believes the chunks and hides the length; this is a look at the
//! heads as they come off the socket.
//!
//! A head that comes in while another request is served is not looked at: behind a doubtful request
//! hyper closes the connection anyway.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Activity;

/// Heads that come in pieces are put together up to this size; hyper refuses longer ones.
const LONGEST_HEAD: usize = 512 * 1024;

/// A connection whose heads are looked at.
pub struct Framed<S> {
    stream: S,
    activity: Arc<Activity>,
    /// The beginning of a head whose end has not come yet.
    begun: Vec<u8>,
    /// The connection's signs of life when that began.
    requests: u64,
}

impl<S> Framed<S> {
    /// Looks at the heads of `stream` on behalf of `activity`.
    pub fn new(stream: S, activity: &Arc<Activity>) -> Self {
        Self {
            stream,
            activity: Arc::clone(activity),
            begun: Vec::new(),
            requests: 0,
        }
    }

    fn look(&mut self, bytes: &[u8]) {
        // A request has begun since: what is left here was its head, or came before it.
        let requests = self.activity.signs();
        if requests != self.requests {
            self.requests = requests;
            self.begun.clear();
        }
        if self.begun.is_empty() {
            match end_of_head(bytes) {
                Some(end) => self.judge(bytes.get(..end).unwrap_or_default()),
                None => self.begun.extend_from_slice(bytes),
            }
            return;
        }
        // The end may lie across the border.
        let from = self.begun.len().saturating_sub(3);
        self.begun.extend_from_slice(bytes);
        match end_of_head(self.begun.get(from..).unwrap_or_default()) {
            Some(end) => {
                let head = std::mem::take(&mut self.begun);
                self.judge(head.get(..from + end).unwrap_or_default());
            }
            None if self.begun.len() > LONGEST_HEAD => self.begun = Vec::new(),
            None => {}
        }
    }

    fn judge(&self, head: &[u8]) {
        if has_two_lengths(head) {
            self.activity.doubt();
        }
    }
}

/// Where a head ends: before an empty line, after lines that end with or without a `\r`, as hyper
/// takes them.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', bytes)
        .find(|end| matches!(bytes.get(end + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..])))
}

/// Whether a head has both headers.
fn has_two_lengths(head: &[u8]) -> bool {
    let (mut length, mut coding) = (false, false);
    for end in memchr::memchr_iter(b'\n', head) {
        let line = head.get(end + 1..).unwrap_or_default();
        match line.first() {
            Some(b'c' | b'C') => length |= is_header(line, b"content-length"),
            Some(b't' | b'T') => coding |= is_header(line, b"transfer-encoding"),
            _ => {}
        }
    }
    length && coding
}

fn is_header(line: &[u8], name: &[u8]) -> bool {
    line.split_at_checked(name.len())
        .is_some_and(|(found, rest)| found.eq_ignore_ascii_case(name) && rest.starts_with(b":"))
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if !self.activity.is_computing() {
            self.look(buffer.filled().get(before..).unwrap_or_default());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX: y\r\nCONTENT-LENGTH: 3";

    #[test]
    fn both_lengths_are_seen_in_either_order_and_any_case() {
        assert!(has_two_lengths(BOTH.as_bytes()));
        let other = "POST / HTTP/1.1\r\ncontent-length:3\r\ntransfer-encoding:chunked";
        assert!(has_two_lengths(other.as_bytes()));
        for one in [
            "POST / HTTP/1.1\r\nContent-Length: 3",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked",
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nX: Transfer-Encoding: chunked",
            "POST / HTTP/1.1\r\nContent-Lengthy: 3\r\nTransfer-Encoding: chunked",
            "",
        ] {
            assert!(!has_two_lengths(one.as_bytes()), "{one}");
        }
    }

    #[test]
    fn a_head_in_pieces_is_put_together_and_bodies_are_left_alone() {
        let whole = format!("{BOTH}\r\n\r\n0\r\n\r\n");
        for cut in 1..whole.len() {
            let activity = Arc::new(Activity::default());
            let mut framed = Framed::new((), &activity);
            let (first, second) = whole.as_bytes().split_at(cut);
            framed.look(first);
            // A body's bytes come only once its head is whole, when its request is served.
            if cut < BOTH.len() + 4 {
                framed.look(second);
            }
            assert!(activity.is_doubtful(), "cut at {cut}");
            assert!(!activity.is_doubtful(), "said once");
            assert!(framed.begun.is_empty());
        }
        let activity = Arc::new(Activity::default());
        let mut framed = Framed::new((), &activity);
        // Bare line ends are taken too, and what they end is no part of the next head.
        framed.look(b"POST / HTTP/1.1\nContent-Length: 11\n\n[[1,2,3,4]]");
        activity.begin();
        activity.end();
        framed.look(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert!(!activity.is_doubtful());
        framed.look(b"GET / HTTP/1.1\r\n\r\nTransfer-Encoding: x\r\nContent-Length: 1\r\n\r\n");
        assert!(!activity.is_doubtful());
    }
}
