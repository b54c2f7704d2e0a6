//! Where the load goes and what each request says: parsed and checked once, before the first byte.

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Uri};

/// An `http://` address, split into what a socket and a request line need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    authority: String,
    host: String,
    port: u16,
    path: String,
}

/// Why an address or a header cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The text is not an address with a scheme and a host.
    #[error("\"{0}\" is not an address, expected http://HOST[:PORT]/PATH")]
    NotAnAddress(String),
    /// TLS is not spoken.
    #[error(
        "\"{0}\" wants https, expected http: the cost of TLS would be counted as the server's; \
         point at the container's own port"
    )]
    Https(String),
    /// The scheme is neither `http` nor `https`.
    #[error("scheme \"{0}\" is unknown, expected http")]
    Scheme(String),
    /// The address carries a user or password.
    #[error("an address with a user name is not supported, expected http://HOST[:PORT]/PATH")]
    UserInfo,
    /// The method is not an HTTP token.
    #[error("method \"{0}\" is not a valid HTTP method")]
    Method(String),
    /// The header cannot be sent.
    #[error("header \"{0}\" has a name or value that HTTP does not allow")]
    Header(String),
}

impl Target {
    /// Reads an address such as `http://127.0.0.1:8080/invocations`. A missing port is 80, a
    /// missing path `/`.
    ///
    /// # Errors
    /// [`TargetError`], naming what was given.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let bad = || TargetError::NotAnAddress(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| bad())?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(TargetError::Https(text.to_owned())),
            Some(other) => return Err(TargetError::Scheme(other.to_owned())),
            None => return Err(bad()),
        }
        let authority = uri.authority().ok_or_else(bad)?;
        if authority.as_str().contains('@') {
            return Err(TargetError::UserInfo);
        }
        let port_text = authority
            .as_str()
            .rsplit_once(':')
            .filter(|(_, port)| !port.contains(']'));
        if authority.host().is_empty() || (port_text.is_some() && authority.port_u16().is_none()) {
            return Err(bad());
        }
        Ok(Self {
            authority: authority.as_str().to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
        })
    }

    /// Name or address of the host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// One request, ready to be written as often as needed: head and body in one piece.
#[derive(Debug, Clone)]
pub struct Request {
    target: Target,
    wire: Bytes,
}

impl Request {
    /// Composes the request. `Host` and `Content-Length` are added; the body may be empty.
    ///
    /// # Errors
    /// [`TargetError::Method`] or [`TargetError::Header`] for what HTTP does not allow.
    pub fn new(
        method: &str,
        target: &Target,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Self, TargetError> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| TargetError::Method(method.into()))?;
        let mut wire = Vec::with_capacity(256 + body.len());
        let head = format!(
            "{method} {} HTTP/1.1\r\nhost: {}\r\n",
            target.path, target.authority
        );
        wire.extend_from_slice(head.as_bytes());
        for (name, value) in headers {
            let bad = || TargetError::Header((*name).to_owned());
            let name: HeaderName = name.parse().map_err(|_| bad())?;
            let value: HeaderValue = value.parse().map_err(|_| bad())?;
            wire.extend_from_slice(name.as_str().as_bytes());
            wire.extend_from_slice(b": ");
            wire.extend_from_slice(value.as_bytes());
            wire.extend_from_slice(b"\r\n");
        }
        if method != Method::GET || !body.is_empty() {
            wire.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        wire.extend_from_slice(b"\r\n");
        wire.extend_from_slice(body);
        Ok(Self {
            target: target.clone(),
            wire: wire.into(),
        })
    }

    /// A `GET` without body.
    ///
    /// # Errors
    /// As [`Request::new`].
    pub fn get(target: &Target, headers: &[(&str, &str)]) -> Result<Self, TargetError> {
        Self::new("GET", target, headers, b"")
    }

    /// A `POST` of `body`.
    ///
    /// # Errors
    /// As [`Request::new`].
    pub fn post(
        target: &Target,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Self, TargetError> {
        Self::new("POST", target, headers, body)
    }

    /// Where it goes.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn wire(&self) -> &Bytes {
        &self.wire
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_into_host_port_and_path() {
        let target = Target::parse("http://localhost:8080/invocations?x=1").unwrap();
        assert_eq!((target.host(), target.port()), ("localhost", 8080));
        assert_eq!(target.path, "/invocations?x=1");
        let bare = Target::parse("http://10.0.0.1").unwrap();
        assert_eq!((bare.port(), bare.path.as_str()), (80, "/"));
        let six = Target::parse("http://[::1]:9000/ping").unwrap();
        assert_eq!((six.host(), six.port()), ("::1", 9000));
        assert_eq!(Target::parse("http://[::1]/ping").unwrap().port(), 80);
    }

    #[test]
    fn what_is_no_plain_http_address_is_refused_by_name() {
        let refused = |text: &str| Target::parse(text).unwrap_err().to_string();
        assert!(refused("https://a.example/").contains("TLS"));
        assert!(refused("ftp://a.example/").contains("\"ftp\""));
        assert!(refused("localhost:8080").contains("localhost:8080"));
        assert!(refused("/invocations").contains("/invocations"));
        assert!(refused("").contains("expected http://"));
        assert!(refused("http://me:secret@host/").contains("user name"));
        assert!(!refused("http://me:secret@host/").contains("secret"));
        assert!(refused("http://host:99999/").contains("99999"));
        assert!(refused("http://host:/").contains("host:"));
    }

    #[test]
    fn a_request_is_written_whole() {
        let target = Target::parse("http://h:1/invocations").unwrap();
        let request = Request::post(&target, &[("Content-Type", "text/csv")], b"1,2").unwrap();
        assert_eq!(
            request.wire().as_ref(),
            b"POST /invocations HTTP/1.1\r\nhost: h:1\r\ncontent-type: text/csv\r\n\
              content-length: 3\r\n\r\n1,2"
        );
        let get = Request::get(&target, &[]).unwrap();
        assert_eq!(
            get.wire().as_ref(),
            b"GET /invocations HTTP/1.1\r\nhost: h:1\r\n\r\n"
        );
    }

    #[test]
    fn a_header_that_would_break_the_request_is_refused() {
        let target = Target::parse("http://h:1/").unwrap();
        for header in [("a b", "x"), ("accept", "x\r\ny: z"), ("", "x")] {
            let error = Request::post(&target, &[header], b"").unwrap_err();
            assert_eq!(error, TargetError::Header(header.0.to_owned()));
        }
        assert!(Request::new("GE T", &target, &[], b"").is_err());
    }
}
