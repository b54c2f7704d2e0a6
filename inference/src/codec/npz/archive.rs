//! The zip archive: what it holds, and one member's bytes at a time.
//!
//! Nothing that the archive says about itself is trusted with memory. The number of members is
//! bounded before the directory is read, sizes are charged to the [`Budget`] before a byte is
//! unpacked, a member that unpacks to more or less than it says is refused, and so are members that
//! overlap, local headers that contradict the directory and bytes behind the archive. A stored
//! member stays where it is.

use std::io::{Cursor, Read};

use bytes::Bytes;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::codec::budget::Budget;
use crate::codec::error::{quoted, unreadable};
use crate::codec::DecodeError;

/// Members that an archive may hold beyond those that a model can use, so that each surplus one can
/// be named; every member costs more memory than it takes in the body.
const SURPLUS_LIMIT: usize = 1000;

/// Deflate makes at most this many bytes of one.
const DEFLATE_FACTOR: u64 = 1032;

/// An archive in a body.
pub(super) struct Archive {
    body: Bytes,
    zip: ZipArchive<Cursor<Bytes>>,
    /// Ordered by name.
    members: Vec<Member>,
}

/// One entry of the archive's directory.
struct Member {
    name: String,
    /// Position in the directory.
    index: usize,
    stored: bool,
    /// Bytes in the body, and unpacked.
    packed: u64,
    size: u64,
}

impl Archive {
    /// Reads the directory. `wanted` is the number of members that the model can use at most.
    ///
    /// # Errors
    /// [`DecodeError::Unreadable`]: no archive, a damaged or contradictory one, a member that is
    /// encrypted, packed by another method than deflate, or there twice.
    pub(super) fn open(body: &Bytes, wanted: usize) -> Result<Self, DecodeError> {
        let invalid =
            |what: String| unreadable(format!("body is not a readable npz archive: {what}"));
        let end = End::find(body).map_err(|what| invalid(what.to_owned()))?;
        let most = wanted.saturating_add(SURPLUS_LIMIT);
        if end.members > most {
            return Err(invalid(format!(
                "it holds {} members, more than {most}",
                end.members
            )));
        }
        let config = Config {
            archive_offset: ArchiveOffset::Known(0),
        };
        let mut zip = ZipArchive::with_config(config, Cursor::new(body.clone()))
            .map_err(|error| invalid(reason(error)))?;
        let mut members: Vec<Member> = Vec::with_capacity(zip.len());
        for index in 0..zip.len() {
            let entry = zip
                .by_index_data(index)
                .map_err(|error| invalid(reason(error)))?;
            let name = entry
                .name()
                .map_err(|error| invalid(reason(error)))?
                .into_owned();
            let refuse = |what: &str| Err(invalid(format!("member {} {what}", quoted(&name))));
            if entry.encrypted() {
                return refuse("is encrypted");
            }
            let stored = match entry.compression() {
                CompressionMethod::Stored => true,
                CompressionMethod::Deflated => false,
                other => {
                    return refuse(&format!(
                        "is packed by method {other}, which is neither stored nor deflated"
                    ));
                }
            };
            members.push(Member {
                index,
                stored,
                packed: entry.compressed_size(),
                size: entry.size(),
                name,
            });
        }
        // Names that differ in bytes may still be the same text.
        members.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let twice = members.windows(2).find_map(|pair| match pair {
            [a, b] if a.name == b.name => Some(quoted(&a.name)),
            _ => None,
        });
        if let Some(name) = twice {
            return Err(invalid(format!("member {name} is there twice")));
        }
        if zip.has_duplicate_names() {
            return Err(invalid("a member is there twice".to_owned()));
        }
        zip.validate_header_consistency()
            .map_err(|error| invalid(reason(error)))?;
        Ok(Self {
            body: body.clone(),
            zip,
            members,
        })
    }

    /// The members' names, in alphabetical order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.name.as_str())
    }

    /// Whether there is a member of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &str) -> Option<&Member> {
        let members = &self.members;
        let at = members.binary_search_by(|member| member.name.as_str().cmp(name));
        members.get(at.ok()?)
    }

    /// A member's bytes: those of the body where it is stored, unpacked within `budget` where it
    /// is not. `None` where there is no such member.
    ///
    /// # Errors
    /// [`DecodeError`]: damaged, longer or shorter than it says, or too much for the budget.
    pub(super) fn unpack(
        &mut self,
        name: &str,
        budget: &mut Budget,
    ) -> Result<Option<Bytes>, DecodeError> {
        let Some(&Member {
            index,
            stored,
            packed,
            size,
            ..
        }) = self.find(name)
        else {
            return Ok(None);
        };
        let what = || format!("member {}", quoted(name));
        let damaged = |why: String| unreadable(format!("{} cannot be unpacked: {why}", what()));
        let mut file = self
            .zip
            .by_index(index)
            .map_err(|error| damaged(reason(error)))?;
        if stored {
            let at = file.data_start().and_then(|at| usize::try_from(at).ok());
            let range = at.and_then(|at| {
                let size = usize::try_from(packed).ok()?;
                Some(at..at.checked_add(size)?)
            });
            let range = range
                .filter(|range| size == packed && range.end <= self.body.len())
                .ok_or_else(|| damaged("its sizes do not agree".to_owned()))?;
            // Reading to the end compares the checksum.
            std::io::copy(&mut file, &mut std::io::sink())
                .map_err(|error| damaged(error.to_string()))?;
            return Ok(Some(self.body.slice(range)));
        }
        let room = usize::try_from(size).unwrap_or(usize::MAX);
        budget.charge(room, what)?;
        if size / DEFLATE_FACTOR > packed {
            return Err(damaged(format!(
                "it claims {size} bytes, more than its {packed} bytes can hold"
            )));
        }
        let mut bytes = vec![0; room];
        file.read_exact(&mut bytes)
            .map_err(|error| damaged(error.to_string()))?;
        // One step further: nothing may follow, and the end is where the checksum is compared.
        match file.read(&mut [0]) {
            Ok(0) => Ok(Some(Bytes::from(bytes))),
            Ok(_) => Err(damaged("it is longer than it says".to_owned())),
            Err(error) => Err(damaged(error.to_string())),
        }
    }
}

/// What the reader of archives says, without its preface and without the caller's words.
fn reason(error: ZipError) -> String {
    match error {
        ZipError::InvalidArchive(text) => match text.split_once(" for '") {
            Some((text, _)) => text.to_owned(),
            None => text.into_owned(),
        },
        ZipError::UnsupportedArchive(text) => text.to_owned(),
        other => other.to_string(),
    }
}

/// The record that ends an archive.
struct End {
    members: usize,
}

impl End {
    const MAGIC: &'static [u8] = b"PK\x05\x06";
    const ENTRY_MAGIC: &'static [u8] = b"PK\x01\x02";
    const LEN: usize = 22;

    /// Finds the record and checks that the directory stands right before it and the body ends with
    /// it: then there is no other that a reader could take.
    fn find(body: &[u8]) -> Result<Self, &'static str> {
        const NONE: &str = "it does not end as a zip archive";
        let tail_at = body.len().saturating_sub(Self::LEN + usize::from(u16::MAX));
        let tail = body.get(tail_at..).unwrap_or_default();
        let at = memchr::memmem::rfind(tail, Self::MAGIC).ok_or(NONE)? + tail_at;
        let record = body.get(at..).unwrap_or_default();
        if record.len() < Self::LEN {
            return Err(NONE);
        }
        let short = |at: usize| match record.get(at..at + 2) {
            Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
            _ => 0,
        };
        let long = |at: usize| short(at) | short(at + 2) << 16;
        if record.len() != Self::LEN + short(20) {
            return Err("bytes follow its end, or its end is cut off");
        }
        if (short(4), short(6)) != (0, 0) || short(8) != short(10) {
            return Err("it is one part of several");
        }
        let (members, size, start) = (short(10), long(12), long(16));
        if members == 0xffff || size == 0xffff_ffff || start == 0xffff_ffff {
            return Err("it is of the kind for more than 65534 members or 4 GB");
        }
        let directory = body.get(start..at).unwrap_or_default();
        if start.checked_add(size) != Some(at)
            || (members > 0 && !directory.starts_with(Self::ENTRY_MAGIC))
        {
            return Err("its directory is not where it says");
        }
        Ok(Self { members })
    }
}
