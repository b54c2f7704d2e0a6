//! Where an HTTP/1.1 reply begins and ends. Pure: bytes in, progress out; nothing is read here.

use bytes::{Buf, BytesMut};

/// Headers of one reply at most; more is refused.
const MAX_HEADERS: usize = 96;
/// Bytes of a head, or of a chunk's size line, at most.
const MAX_LINE: usize = 64 * 1024;

/// The head of a final reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// The connection may carry another request.
    pub(crate) reusable: bool,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Body,
}

/// How the rest of the body is delimited.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// This many bytes are still to come.
    Length(u64),
    /// Chunked transfer coding.
    Chunked(Chunk),
    /// Until the server closes.
    UntilClose,
}

/// The place inside a chunked body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    Size,
    Data(u64),
    DataEnd,
    Trailer,
}

/// The bytes are not an HTTP/1.1 reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unreadable reply: {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// What is kept of a body.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The first bytes.
    pub(crate) bytes: Vec<u8>,
    /// How many are wanted.
    pub(crate) limit: usize,
}

impl Kept {
    fn add(&mut self, data: &[u8]) {
        let room = self.limit - self.bytes.len();
        self.bytes
            .extend_from_slice(data.get(..room).unwrap_or(data));
    }
}

/// Takes the head off `buffer` once it is complete; `None` while it is not. Interim replies (1xx)
/// are dropped.
pub(crate) fn head(buffer: &mut BytesMut) -> Result<Option<Head>, Malformed> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut reply = httparse::Response::new(&mut headers);
        let length = match reply.parse(buffer) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if buffer.len() > MAX_LINE => {
                return Err(Malformed("head longer than 64 KiB"));
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Malformed("too many headers")),
            Err(_) => return Err(Malformed("not an HTTP/1.1 head")),
        };
        let status = reply.code.ok_or(Malformed("no status"))?;
        if (100..200).contains(&status) && status != 101 {
            buffer.advance(length);
            continue;
        }
        let found = describe(status, reply.version == Some(1), reply.headers)?;
        buffer.advance(length);
        return Ok(Some(found));
    }
}

fn describe(
    status: u16,
    version_1_1: bool,
    headers: &[httparse::Header<'_>],
) -> Result<Head, Malformed> {
    let mut reusable = version_1_1;
    let mut length = None;
    let mut chunked = None;
    let mut content_type = None;
    for header in headers {
        let name = header.name;
        if name.eq_ignore_ascii_case("content-length") {
            let value = std::str::from_utf8(header.value).ok().map(str::trim);
            let digits = value.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let value: u64 = digits
                .and_then(|text| text.parse().ok())
                .ok_or(Malformed("content-length"))?;
            if length.is_some_and(|before| before != value) {
                return Err(Malformed("two different content-lengths"));
            }
            length = Some(value);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = Some(last_token_is(header.value, "chunked"));
        } else if name.eq_ignore_ascii_case("connection") {
            if has_token(header.value, "close") {
                reusable = false;
            } else if has_token(header.value, "keep-alive") {
                reusable = true;
            }
        } else if name.eq_ignore_ascii_case("content-type") {
            content_type = Some(String::from_utf8_lossy(header.value).into_owned());
        }
    }
    let body = match (status, chunked, length) {
        (101, ..) => return Err(Malformed("a switch of protocol that nobody asked for")),
        (204 | 304, ..) => Body::Length(0),
        (_, Some(true), _) => Body::Chunked(Chunk::Size),
        (_, None, Some(length)) => Body::Length(length),
        (_, Some(false), _) | (_, None, None) => Body::UntilClose,
    };
    reusable &= body != Body::UntilClose;
    Ok(Head {
        status,
        reusable,
        content_type,
        body,
    })
}

fn tokens(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn has_token(value: &[u8], wanted: &str) -> bool {
    tokens(value).any(|token| token.eq_ignore_ascii_case(wanted.as_bytes()))
}

fn last_token_is(value: &[u8], wanted: &str) -> bool {
    tokens(value)
        .next_back()
        .is_some_and(|token| token.eq_ignore_ascii_case(wanted.as_bytes()))
}

impl Body {
    /// Takes what belongs to the body off `buffer`; true when the body is complete.
    pub(crate) fn advance(
        &mut self,
        buffer: &mut BytesMut,
        kept: &mut Kept,
    ) -> Result<bool, Malformed> {
        match self {
            Self::Length(left) => {
                take(left, buffer, kept);
                Ok(*left == 0)
            }
            Self::UntilClose => {
                let mut endless = u64::MAX;
                take(&mut endless, buffer, kept);
                Ok(false)
            }
            Self::Chunked(chunk) => chunk.advance(buffer, kept),
        }
    }
}

impl Chunk {
    fn advance(&mut self, buffer: &mut BytesMut, kept: &mut Kept) -> Result<bool, Malformed> {
        loop {
            match self {
                Self::Size => {
                    let Some(line) = line(buffer)? else {
                        return Ok(false);
                    };
                    let digits = line
                        .as_ref()
                        .split(|byte| *byte == b';')
                        .next()
                        .unwrap_or_default();
                    let size = std::str::from_utf8(digits.trim_ascii())
                        .ok()
                        .filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))
                        .and_then(|text| u64::from_str_radix(text, 16).ok())
                        .ok_or(Malformed("chunk size"))?;
                    *self = if size == 0 {
                        Self::Trailer
                    } else {
                        Self::Data(size)
                    };
                }
                Self::Data(left) => {
                    take(left, buffer, kept);
                    if *left > 0 {
                        return Ok(false);
                    }
                    *self = Self::DataEnd;
                }
                Self::DataEnd => match line(buffer)? {
                    None => return Ok(false),
                    Some(rest) if rest.is_empty() => *self = Self::Size,
                    Some(_) => return Err(Malformed("chunk longer than its size")),
                },
                Self::Trailer => match line(buffer)? {
                    None => return Ok(false),
                    Some(end) if end.is_empty() => return Ok(true),
                    Some(_) => {}
                },
            }
        }
    }
}

/// Moves up to `left` bytes out of `buffer`.
fn take(left: &mut u64, buffer: &mut BytesMut, kept: &mut Kept) {
    let count = usize::try_from(*left)
        .unwrap_or(usize::MAX)
        .min(buffer.len());
    kept.add(&buffer[..count]);
    buffer.advance(count);
    *left -= count as u64;
}

/// Takes one line, without its end; `None` while it is incomplete.
fn line(buffer: &mut BytesMut) -> Result<Option<BytesMut>, Malformed> {
    let Some(end) = buffer.iter().position(|byte| *byte == b'\n') else {
        let too_long = buffer.len() > MAX_LINE;
        return if too_long {
            Err(Malformed("line longer than 64 KiB"))
        } else {
            Ok(None)
        };
    };
    let mut line = buffer.split_to(end + 1);
    line.truncate(end);
    if line.last() == Some(&b'\r') {
        line.truncate(end - 1);
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `wire` in pieces of `step` bytes: status, reusable, body and what was left over.
    fn read(wire: &[u8], step: usize) -> Result<(u16, bool, Vec<u8>, usize), Malformed> {
        let mut buffer = BytesMut::new();
        let mut kept = Kept {
            bytes: Vec::new(),
            limit: 1000,
        };
        let mut found: Option<Head> = None;
        let mut done = false;
        for piece in wire.chunks(step) {
            buffer.extend_from_slice(piece);
            if found.is_none() {
                found = head(&mut buffer)?;
            }
            if let (Some(head), false) = (&mut found, done) {
                done = head.body.advance(&mut buffer, &mut kept)?;
            }
        }
        let head = found.ok_or(Malformed("test: no head"))?;
        if !done && head.body != Body::UntilClose {
            return Err(Malformed("test: not complete"));
        }
        Ok((head.status, head.reusable, kept.bytes, buffer.len()))
    }

    #[test]
    fn a_reply_is_read_the_same_in_any_pieces() {
        let cases: [(&[u8], _); 7] = [
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                (200, true, "hello"),
            ),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n\
                  5;a=b\r\nhello\r\n00A\r\n, 23456789\r\n0\r\nx-sum: 1\r\n\r\n",
                (200, true, "hello, 23456789"),
            ),
            (
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\
                  Connection: x, Close\r\n\r\n",
                (503, false, ""),
            ),
            (
                b"HTTP/1.1 204 No Content\r\ncontent-length: 9\r\n\r\n",
                (204, true, ""),
            ),
            (
                b"HTTP/1.0 200 OK\r\n\r\nall of it",
                (200, false, "all of it"),
            ),
            (
                b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
                (200, true, "ok"),
            ),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n\
                  1\nx\n0\n\n",
                (200, true, "x"),
            ),
        ];
        for (wire, (status, reusable, body)) in cases {
            for step in [1, 2, 7, 10_000] {
                let got = read(wire, step).unwrap();
                assert_eq!(
                    got,
                    (status, reusable, body.as_bytes().to_vec(), 0),
                    "step {step}"
                );
            }
        }
    }

    #[test]
    fn bytes_after_the_reply_are_left_for_the_caller_to_see() {
        let wire = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokEXTRA";
        assert_eq!(read(wire, 1000).unwrap().3, 5);
    }

    #[test]
    fn only_the_wanted_part_of_a_body_is_kept() {
        let mut kept = Kept {
            bytes: Vec::new(),
            limit: 3,
        };
        let mut buffer = BytesMut::from(&b"hello"[..]);
        assert!(Body::Length(5).advance(&mut buffer, &mut kept).unwrap());
        assert_eq!(kept.bytes, b"hel");
    }

    #[test]
    fn what_is_not_a_reply_is_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(70_000));
        let cases: [&[u8]; 9] = [
            b"SSH-2.0-OpenSSH\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
            long.as_bytes(),
        ];
        for wire in cases {
            let shown = String::from_utf8_lossy(&wire[..wire.len().min(60)]).into_owned();
            let error = read(wire, 1000).expect_err(&shown);
            assert!(!error.0.starts_with("test:"), "{shown}: {error}");
        }
    }
}
