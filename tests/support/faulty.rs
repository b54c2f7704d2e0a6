//! A stand-in for CloudWatch, or for the endpoint that gives out credentials, which misbehaves as
//! told; the whole-product tests and the bench `faults` share this file.
//!
//! Plain threads and blocking sockets: one that hangs costs nothing and hinders nobody.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What it does to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Serves it.
    None,
    /// Refuses it with this status and this name of an error.
    Answer(u16, &'static str),
    /// Takes the connection and reads nothing.
    HangAtOnce,
    /// Reads it and says nothing.
    HangAfterReading,
    /// Answers one byte a second.
    Drip,
    /// Closes after half of the reply.
    CloseMidReply,
}

/// A request, or a connection from which none was read.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// When it came.
    pub at: Instant,
    /// What was done to it.
    pub fault: Fault,
}

/// The stand-in. It ends when dropped.
pub struct Faulty {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    serve: Serve,
}

struct State {
    fault: Fault,
    ended: bool,
    arrivals: Vec<Arrival>,
}

/// What a request gets that is served.
type Serve = Box<dyn Fn() -> Vec<u8> + Send + Sync>;

impl Faulty {
    /// Takes every PutMetricData.
    pub fn cloudwatch(fault: Fault) -> Self {
        Self::cloudwatch_with(fault, String::new)
    }

    /// The same with header lines of its own, each with its end.
    pub fn cloudwatch_with(
        fault: Fault,
        headers: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        let serve = move || {
            let head = format!(
                "HTTP/1.1 200 OK\r\nsmithy-protocol: rpc-v2-cbor\r\n{}\
                 content-type: application/cbor\r\ncontent-length: 1\r\n\r\n",
                headers()
            );
            // An empty map.
            [head.as_bytes(), &[0xa0]].concat()
        };
        Self::start(fault, Box::new(serve))
    }

    /// Gives out credentials that expire after this time.
    pub fn credentials(fault: Fault, lifetime: Duration) -> Self {
        let serve = move || {
            let body = format!(
                "{{\"AccessKeyId\":\"test\",\"SecretAccessKey\":\"test\",\"Token\":\"test\",\
                 \"Expiration\":\"{}\"}}",
                timestamp(SystemTime::now() + lifetime)
            );
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        };
        Self::start(fault, Box::new(serve))
    }

    fn start(fault: Fault, serve: Serve) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of loopback");
        let address = listener.local_addr().expect("a bound socket");
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                fault,
                ended: false,
                arrivals: Vec::new(),
            }),
            changed: Condvar::new(),
            serve,
        });
        let all = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if all.state().ended {
                    return;
                }
                let shared = Arc::clone(&all);
                // A peer that leaves ends its connection, which is no failure of this one.
                std::thread::spawn(move || shared.talk(&stream).ok());
            }
        });
        Self { address, shared }
    }

    /// Base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it does from now on; connections that are held are closed.
    pub fn turn(&self, fault: Fault) {
        self.shared.state().fault = fault;
        self.shared.changed.notify_all();
    }

    /// Every request so far.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.state().arrivals.clone()
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.shared.changed.notify_all();
        // Wakes the thread that accepts.
        TcpStream::connect(self.address).ok();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrived(&self, fault: Fault) {
        let at = Instant::now();
        self.state().arrivals.push(Arrival { at, fault });
    }

    /// Waits while the fault is this one, for so long at most; true if it still is.
    fn hold(&self, fault: Fault, limit: Duration) -> bool {
        let same = |state: &mut State| state.fault == fault && !state.ended;
        let waited = self.changed.wait_timeout_while(self.state(), limit, same);
        waited.is_ok_and(|(_, waited)| waited.timed_out())
    }

    /// Requests of a connection, one after the other.
    fn talk(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let fault = self.state().fault;
            if fault == Fault::HangAtOnce {
                self.arrived(fault);
                self.hold(fault, Duration::from_secs(3600));
                return Ok(());
            }
            if !read_request(&mut reader)? {
                return Ok(());
            }
            let fault = self.state().fault;
            self.arrived(fault);
            let mut stream = stream;
            match fault {
                Fault::None => stream.write_all(&(self.serve)())?,
                Fault::Answer(status, name) => stream.write_all(&refusal(status, name))?,
                Fault::HangAtOnce | Fault::HangAfterReading => {
                    self.hold(fault, Duration::from_secs(3600));
                    return Ok(());
                }
                Fault::Drip => {
                    for byte in (self.serve)() {
                        stream.write_all(&[byte])?;
                        if !self.hold(fault, Duration::from_secs(1)) {
                            return Ok(());
                        }
                    }
                }
                Fault::CloseMidReply => {
                    let reply = (self.serve)();
                    return stream.write_all(&reply[..reply.len() / 2]);
                }
            }
        }
    }
}

/// Reads a request to its end; false if there is none.
fn read_request(reader: &mut impl BufRead) -> std::io::Result<bool> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    Ok(true)
}

/// A refusal as CloudWatch words it, in CBOR.
fn refusal(status: u16, name: &str) -> Vec<u8> {
    let mut body = vec![0xa2];
    let kind = format!("com.amazonaws.cloudwatch#{name}");
    for text in [
        "__type",
        &kind,
        "message",
        "the stand-in was told to refuse",
    ] {
        // Text of up to 255 bytes.
        body.extend([0x78, text.len() as u8]);
        body.extend(text.as_bytes());
    }
    let head = format!(
        "HTTP/1.1 {status} Refused\r\nsmithy-protocol: rpc-v2-cbor\r\n\
         content-type: application/cbor\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// A time as AWS writes it: `2026-01-31T12:00:00Z`.
fn timestamp(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    let february = 28 + u64::from(is_leap(year));
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    format!(
        "{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}Z",
        day + 1,
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}
