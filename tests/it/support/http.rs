//! HTTP over a plain socket, for what a client library hides or would not send.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::server::Reply;
use super::Server;

/// The bytes of `POST /invocations` with this body and its length.
pub fn post(content_type: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    post_with(&[("Content-Type", content_type)], body)
}

/// The bytes of `POST /invocations` with these headers, this body and its length.
pub fn post_with(headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len().to_string();
    let mut request = head(&[headers, &[("Content-Length", &length)]].concat());
    request.extend_from_slice(body);
    request
}

/// The bytes of `POST /invocations` in chunks of these contents, with the last one.
pub fn post_chunked(content_type: &str, chunks: &[&[u8]]) -> Vec<u8> {
    let mut request = head(&[
        ("Content-Type", content_type),
        ("Transfer-Encoding", "chunked"),
    ]);
    for chunk in chunks {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

/// The head of `POST /invocations` with these headers.
pub fn head(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = b"POST /invocations HTTP/1.1\r\nHost: a\r\n".to_vec();
    for (name, value) in headers {
        head.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// One connection.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub fn open(server: &Server) -> Self {
        Self {
            stream: BufReader::new(server.connect()),
        }
    }

    /// How long a read may wait.
    pub fn patience(&self, limit: Duration) {
        let set = self.stream.get_ref().set_read_timeout(Some(limit));
        set.expect("a timeout");
    }

    /// A second handle, to write from another thread.
    pub fn writer(&self) -> TcpStream {
        self.stream.get_ref().try_clone().expect("a handle")
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("sent");
    }

    /// Sends as much as the server takes: it may refuse and close before it has all.
    pub fn send_what_is_taken(&mut self, bytes: &[u8]) {
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// Says that no more will come.
    pub fn end_of_requests(&self) {
        let ended = self.stream.get_ref().shutdown(std::net::Shutdown::Write);
        ended.expect("shut down");
    }

    /// Sends a request and reads its reply.
    pub fn ask(&mut self, request: &[u8]) -> Reply {
        self.send(request);
        self.reply().expect("a reply")
    }

    /// The next reply, whole; none if the server closes the connection instead.
    pub fn reply(&mut self) -> Option<Reply> {
        let mut reply = self.reply_head()?;
        if reply.status == 100 {
            return self.reply();
        }
        if let Some(length) = reply.header("content-length") {
            reply.body = vec![0; length.parse().expect("a length")];
            self.stream.read_exact(&mut reply.body).ok()?;
        } else if reply.header("transfer-encoding") == Some("chunked") {
            loop {
                let chunk = self.chunk()?;
                if chunk.is_empty() {
                    break;
                }
                reply.body.extend_from_slice(&chunk);
            }
        }
        Some(reply)
    }

    /// So many more bytes, or as many as come.
    pub fn rest(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut part = self.stream.by_ref().take(count as u64);
        let _ = part.read_to_end(&mut bytes);
        bytes
    }

    /// The next reply without its body; none if the server closes the connection instead.
    pub fn reply_head(&mut self) -> Option<Reply> {
        let status_line = self.line()?;
        let mut words = status_line.split(' ');
        assert_eq!(words.next(), Some("HTTP/1.1"), "{status_line:?}");
        let status = words.next().and_then(|code| code.parse().ok());
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').expect("a header");
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Some(Reply {
            status: status.expect("a status"),
            headers,
            body: Vec::new(),
        })
    }

    /// The next chunk of a chunked body: empty for the final one, none if the server closes the
    /// connection instead.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.line()?;
        let size = usize::from_str_radix(&size, 16).expect("a chunk's size");
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk).ok()?;
        assert!(chunk.ends_with(b"\r\n"), "a chunk ends with a line end");
        chunk.truncate(size);
        Some(chunk)
    }

    /// Whether the server has closed the connection, in order or not, within the patience.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.fill_buf() {
            Ok(rest) => rest.is_empty(),
            Err(error) => !matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            ),
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(n) if n > 0 && line.ends_with('\n') => {
                line.truncate(line.trim_end_matches(['\r', '\n']).len());
                Some(line)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) =>
            {
                panic!("the server neither answers nor closes")
            }
            _ => None,
        }
    }
}
