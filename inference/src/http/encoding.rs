//! Content encodings: gzip and deflate, in and out.
//!
//! What a body decompresses to is bounded while it is decompressed: a thousand bytes can stand for
//! a million.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::Compression;

use super::error::HttpError;

/// Replies below this size travel as they are: a compressed one would hardly be smaller.
const WORTH_COMPRESSING: usize = 1024;
/// The fastest level: a reply is read once.
const LEVEL: Compression = Compression::new(1);
/// How much is decompressed at a time.
const STEP: usize = 64 * 1024;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Deflate,
}

impl Coding {
    /// The name in headers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// What `Content-Encoding` names; `None` for a body as it is.
    ///
    /// # Errors
    /// [`HttpError::ContentEncoding`] for every other encoding, and for several.
    pub fn of(content_encoding: Option<&str>) -> Result<Option<Self>, HttpError> {
        let Some(name) = content_encoding.map(str::trim) else {
            return Ok(None);
        };
        if name.is_empty() || name.eq_ignore_ascii_case("identity") {
            Ok(None)
        } else if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            Ok(Some(Self::Gzip))
        } else if name.eq_ignore_ascii_case("deflate") {
            Ok(Some(Self::Deflate))
        } else {
            Err(HttpError::ContentEncoding(name.chars().take(64).collect()))
        }
    }

    /// The one that `Accept-Encoding` likes best, if it names any and does not like the body as it is
    /// better; a wildcard names none.
    #[must_use]
    pub fn accepted(accept_encoding: Option<&str>) -> Option<Self> {
        let mut best: Option<(f32, Option<Self>)> = None;
        for entry in accept_encoding?.split(',') {
            let mut parts = entry.split(';');
            let Ok(coding) = Self::of(parts.next()) else {
                continue;
            };
            let weight = parts
                .filter_map(|part| part.split_once('='))
                .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
                .map_or(Some(1.0), |(_, weight)| weight.trim().parse::<f32>().ok());
            let Some(weight) = weight.filter(|weight| *weight > 0.0) else {
                continue;
            };
            if best.is_none_or(|(known, _)| weight > known) {
                best = Some((weight, coding));
            }
        }
        best.and_then(|(_, coding)| coding)
    }

    /// The body that was compressed, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`HttpError::Compressed`] for a body that is damaged, cut off or followed by something else;
    /// [`HttpError::Unpacked`] above the limit.
    pub fn decompress(self, body: &Bytes, limit: usize) -> Result<Bytes, HttpError> {
        let mut rest: &[u8] = body;
        let whole = match self {
            Self::Gzip => {
                // Members that follow one another are one body, as RFC 1952 has it.
                self.read(MultiGzDecoder::new(&mut rest), limit)?
            }
            Self::Deflate if is_zlib(body) => self.read(ZlibDecoder::new(&mut rest), limit)?,
            // Some clients send the bare stream under this name.
            Self::Deflate => self.read(DeflateDecoder::new(&mut rest), limit)?,
        };
        if rest.is_empty() {
            Ok(whole.into())
        } else {
            Err(self.damaged(&format!("{} bytes follow its end", rest.len())))
        }
    }

    fn read(self, mut decoder: impl Read, limit: usize) -> Result<Vec<u8>, HttpError> {
        let mut whole = Vec::new();
        let mut filled = 0;
        loop {
            // A read may bring little (a gzip body can have a million members), so room that is there
            // is filled before more is made.
            if filled == whole.len() {
                // One byte beyond the limit tells that there is more.
                let most = limit.saturating_add(1) - filled;
                whole.resize(filled + STEP.max(filled).min(most), 0);
            }
            let room = whole.get_mut(filled..).unwrap_or_default();
            match decoder.read(room) {
                Ok(0) => {
                    whole.truncate(filled);
                    return Ok(whole);
                }
                Ok(read) => filled += read,
                Err(error) => return Err(self.damaged(&error.to_string())),
            }
            if filled > limit {
                return Err(HttpError::Unpacked { limit });
            }
        }
    }

    #[cold]
    fn damaged(self, what: &str) -> HttpError {
        HttpError::Compressed {
            coding: self.name(),
            what: what.to_owned(),
        }
    }

    /// A reply's body compressed, where that is worth it.
    #[must_use]
    pub fn compress(self, body: &[u8]) -> Option<Vec<u8>> {
        use std::io::Write;
        if body.len() < WORTH_COMPRESSING {
            return None;
        }
        let room = Vec::with_capacity(body.len() / 4);
        let written = match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(room, LEVEL);
                encoder.write_all(body).and_then(|()| encoder.finish())
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(room, LEVEL);
                encoder.write_all(body).and_then(|()| encoder.finish())
            }
        };
        // Writing into memory does not fail; if it did, the plain body is as good.
        written.ok().filter(|written| written.len() < body.len())
    }
}

/// Whether a body begins with zlib's two bytes, which every deflate body should.
fn is_zlib(body: &[u8]) -> bool {
    match body {
        [method, flags, ..] => {
            method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)).is_multiple_of(31)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated() -> Vec<u8> {
        b"[[1,2,3,4]]\n".repeat(1000)
    }

    #[test]
    fn bodies_come_back_from_both_encodings() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let packed = Bytes::from(coding.compress(&repeated()).unwrap());
            assert!(packed.len() < 1000);
            assert_eq!(coding.decompress(&packed, 12_000).unwrap(), repeated());
            assert!(coding.compress(b"short").is_none());
        }
        let two = [0, 1]
            .map(|_| Coding::Gzip.compress(&repeated()).unwrap())
            .concat();
        assert_eq!(
            Coding::Gzip.decompress(&two.into(), 24_000).unwrap(),
            repeated().repeat(2)
        );
        let mut bare = flate2::write::DeflateEncoder::new(Vec::new(), LEVEL);
        std::io::Write::write_all(&mut bare, b"[[1,2,3,4]]").unwrap();
        let bare = Bytes::from(bare.finish().unwrap());
        assert_eq!(
            Coding::Deflate.decompress(&bare, 100).unwrap(),
            &b"[[1,2,3,4]]"[..]
        );
    }

    #[test]
    fn a_thousand_members_are_read_as_fast_as_one() {
        let member = |bytes: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), LEVEL);
            std::io::Write::write_all(&mut encoder, bytes).unwrap();
            encoder.finish().unwrap()
        };
        let mut body = member(&vec![0; 1 << 24]);
        body.extend(member(b"x").repeat(10_000));
        let begun = std::time::Instant::now();
        let whole = Coding::Gzip.decompress(&body.into(), 1 << 25).unwrap();
        assert_eq!(whole.len(), (1 << 24) + 10_000);
        // Zeroing the room for every member again would take minutes.
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let bomb = Bytes::from(coding.compress(&vec![0; 1 << 24]).unwrap());
            assert!(bomb.len() < 1 << 18);
            let error = coding.decompress(&bomb, 1 << 20).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the request body is larger than 1048576 bytes once unpacked \
                 (PLIMSOLL_MAX_UNPACKED_MB sets the limit)"
            );
            assert!(coding.decompress(&bomb, (1 << 24) - 1).is_err());
            assert_eq!(coding.decompress(&bomb, 1 << 24).unwrap().len(), 1 << 24);
        }
    }

    #[test]
    fn damage_is_refused_wherever_it_is() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let good = coding.compress(&repeated()).unwrap();
            for cut in 0..good.len() {
                let cut = Bytes::copy_from_slice(&good[..cut]);
                // An empty body is refused by the codec, not here.
                let refused = coding.decompress(&cut, 1 << 20).is_err();
                assert!(refused || cut.is_empty(), "{coding:?} cut at {}", cut.len());
            }
            let mut followed = good.clone();
            followed.extend_from_slice(b"junk");
            assert!(coding.decompress(&followed.into(), 1 << 20).is_err());
            let text = coding
                .decompress(&Bytes::from_static(b"[[1,2,3,4]]"), 1 << 20)
                .unwrap_err()
                .to_string();
            let start = format!("the request body is not whole {}: ", coding.name());
            assert!(text.starts_with(&start), "{text}");
        }
    }

    #[test]
    fn encodings_are_named_in_any_case() {
        assert_eq!(Coding::of(Some("GZip")).unwrap(), Some(Coding::Gzip));
        assert_eq!(Coding::of(Some("identity")).unwrap(), None);
        for other in ["br", "gzip, gzip", "zstd"] {
            let text = Coding::of(Some(other)).unwrap_err().to_string();
            assert!(
                text.contains(other) && text.contains("gzip, deflate"),
                "{text}"
            );
        }
        for (accept, coding) in [
            ("gzip, deflate, br", Some(Coding::Gzip)),
            ("deflate;q=0.9, gzip;q=0.5", Some(Coding::Deflate)),
            ("gzip;q=0", None),
            ("*", None),
            ("identity", None),
            ("identity, gzip;q=0.1", None),
            ("gzip;Q=0", None),
            ("gzip; q = 0.5, deflate;q=x", Some(Coding::Gzip)),
            ("br", None),
        ] {
            assert_eq!(Coding::accepted(Some(accept)), coding, "{accept}");
        }
    }
}
