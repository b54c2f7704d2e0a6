//! The header of an npy file: magic, version, length, and a Python dictionary of exactly three
//! keys. Read strictly; its length is bounded before it is looked at.

use crate::codec::conform::MOST_AXES;

/// The first six bytes.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// NumPy's own limit is 10,000; nothing that is read here needs a hundredth of this.
const LONGEST: usize = 1 << 16;

/// Kinds of element that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Signed,
    Unsigned,
    Float,
    /// UTF-32 code points, padded with zeros.
    Text,
    /// Bytes, padded with zeros.
    Bytes,
}

/// A parsed `descr`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dtype {
    pub(super) kind: Kind,
    /// Bytes of one element.
    pub(super) size: usize,
    pub(super) big_endian: bool,
    /// As written, for messages.
    pub(super) name: String,
}

/// What the header says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) dtype: Dtype,
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
    /// Where the elements begin.
    pub(super) data_at: usize,
}

/// Parses the header at the start of a body.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(body: &[u8]) -> Result<Header, String> {
    let preamble = body
        .strip_prefix(MAGIC)
        .ok_or("it does not begin as an npy file")?;
    let cut_off = "it ends inside its header";
    let (version, rest) = preamble.split_first_chunk::<2>().ok_or(cut_off)?;
    let (length, before) = match version {
        [1, 0] => {
            let (length, _) = rest.split_first_chunk::<2>().ok_or(cut_off)?;
            (usize::from(u16::from_le_bytes(*length)), 10)
        }
        [2 | 3, 0] => {
            let (length, _) = rest.split_first_chunk::<4>().ok_or(cut_off)?;
            (u32::from_le_bytes(*length) as usize, 12)
        }
        [major, minor] => return Err(format!("its version {major}.{minor} is unknown")),
    };
    if length > LONGEST {
        return Err(format!(
            "its header of {length} bytes is longer than {LONGEST}"
        ));
    }
    let data_at = before + length;
    let text = body.get(before..data_at).ok_or(cut_off)?;
    let text = std::str::from_utf8(text).map_err(|_| MALFORMED)?;
    let mut parser = Parser { rest: text };
    let (descr, fortran, shape) = parser.dictionary()?;
    Ok(Header {
        dtype: dtype(descr)?,
        fortran,
        shape,
        data_at,
    })
}

const MALFORMED: &str = "its header is malformed";

fn dtype(descr: &str) -> Result<Dtype, String> {
    let name = crate::codec::error::quoted(descr);
    let unknown = || format!("its dtype {name} cannot be read");
    let (order, kind) = match descr.as_bytes() {
        [order @ (b'<' | b'>' | b'=' | b'|'), kind, ..] => (*order, *kind),
        _ => return Err(unknown()),
    };
    let width = descr.get(2..).unwrap_or_default();
    // Python's parser would take a sign or spaces here.
    let width = match width.bytes().all(|b| b.is_ascii_digit()) {
        true => width.parse::<usize>().ok(),
        false => None,
    };
    let (kind, size) = match (kind, width) {
        (b'O', _) => return Err("it holds python objects, which are refused".to_owned()),
        (b'b', Some(1)) => (Kind::Bool, 1),
        (b'i', Some(size @ (1 | 2 | 4 | 8))) => (Kind::Signed, size),
        (b'u', Some(size @ (1 | 2 | 4 | 8))) => (Kind::Unsigned, size),
        (b'f', Some(size @ (2 | 4 | 8))) => (Kind::Float, size),
        (b'S', Some(size @ 1..)) => (Kind::Bytes, size),
        (b'U', Some(width @ 1..)) => (Kind::Text, width.checked_mul(4).ok_or_else(unknown)?),
        _ => return Err(unknown()),
    };
    Ok(Dtype {
        kind,
        size,
        big_endian: order == b'>',
        name,
    })
}

/// The few forms of Python literals that NumPy writes.
struct Parser<'t> {
    rest: &'t str,
}

impl<'t> Parser<'t> {
    fn dictionary(&mut self) -> Result<(&'t str, bool, Vec<usize>), String> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.expect("{")?;
        while !self.take("}") {
            let key = self.string()?;
            self.expect(":")?;
            let again = match key {
                "descr" => {
                    if self.rest.trim_start().starts_with(['[', '(']) {
                        return Err("it holds structures, which cannot be read".to_owned());
                    }
                    descr.replace(self.string()?).is_some()
                }
                "fortran_order" => fortran.replace(self.boolean()?).is_some(),
                "shape" => shape.replace(self.tuple()?).is_some(),
                _ => true,
            };
            if again {
                return Err(MALFORMED.to_owned());
            }
            if !self.take(",") {
                self.expect("}")?;
                break;
            }
        }
        match (descr, fortran, shape) {
            (Some(descr), Some(fortran), Some(shape)) if self.rest.trim().is_empty() => {
                Ok((descr, fortran, shape))
            }
            _ => Err(MALFORMED.to_owned()),
        }
    }

    fn take(&mut self, token: &str) -> bool {
        match self.rest.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        match self.take(token) {
            true => Ok(()),
            false => Err(MALFORMED.to_owned()),
        }
    }

    fn string(&mut self) -> Result<&'t str, String> {
        let quote = if self.take("'") {
            '\''
        } else {
            self.expect("\"")?;
            '"'
        };
        let (text, rest) = self.rest.split_once(quote).ok_or(MALFORMED)?;
        self.rest = rest;
        Ok(text)
    }

    fn boolean(&mut self) -> Result<bool, String> {
        if self.take("True") {
            return Ok(true);
        }
        self.expect("False").map(|()| false)
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        let mut sizes = Vec::new();
        self.expect("(")?;
        while !self.take(")") {
            let digits = self.rest.trim_start();
            let end = digits
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(digits.len());
            if sizes.len() == MOST_AXES {
                return Err(format!("its shape has more than {MOST_AXES} axes"));
            }
            sizes.push(digits[..end].parse().map_err(|_| MALFORMED)?);
            self.rest = &digits[end..];
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(sizes)
    }
}
