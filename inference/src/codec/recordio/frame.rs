//! Records in a body: magic number, length, payload, padding.

use crate::codec::error::unreadable;
use crate::codec::DecodeError;

/// What every record begins with.
const MAGIC: u32 = 0xced7_230a;

/// The upper bits of the length say whether the record goes on in the next one.
const LENGTH_BITS: u32 = 29;

/// Records begin at multiples of this.
const ALIGNMENT: usize = 4;

/// One record's payload and where it stands, for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) payload: &'a [u8],
}

/// Splits a body into its records.
pub(super) fn records(body: &[u8]) -> Records<'_> {
    Records {
        body,
        rest: body,
        number: 0,
    }
}

/// The records of a body, in order; ends with the first error.
pub(super) struct Records<'a> {
    body: &'a [u8],
    rest: &'a [u8],
    number: usize,
}

impl<'a> Records<'a> {
    fn read(&mut self) -> Result<Record<'a>, String> {
        let at = self.body.len() - self.rest.len();
        let number = self.number;
        let cut = || format!("record {number} at byte {at} is cut off");
        let (magic, rest) = self.rest.split_first_chunk().ok_or_else(cut)?;
        let magic = u32::from_le_bytes(*magic);
        if magic != MAGIC {
            return Err(format!(
                "record {number} at byte {at} begins with {magic:#010x} where {MAGIC:#010x} is expected"
            ));
        }
        let (length, rest) = rest.split_first_chunk().ok_or_else(cut)?;
        let length = u32::from_le_bytes(*length);
        if length >> LENGTH_BITS != 0 {
            return Err(format!(
                "record {number} at byte {at} is one part of several, which are not joined here"
            ));
        }
        let length = length as usize;
        let (payload, rest) = rest.split_at_checked(length).ok_or_else(|| {
            format!(
                "record {number} at byte {at} is cut off: it says {length} bytes, {} follow",
                rest.len()
            )
        })?;
        let padding = length.next_multiple_of(ALIGNMENT) - length;
        self.rest = rest.get(padding..).unwrap_or_default();
        Ok(Record { number, payload })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        self.number += 1;
        let record = self.read();
        if record.is_err() {
            self.rest = &[];
        }
        Some(record.map_err(|what| unreadable(format!("body is no recordio: {what}"))))
    }
}

/// Appends a record.
///
/// # Errors
/// The reason where it is longer than the format can say.
pub(super) fn put(out: &mut Vec<u8>, payload: &[u8]) -> Result<(), String> {
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|length| length >> LENGTH_BITS == 0)
        .ok_or_else(|| {
            format!(
                "a row takes {} bytes, more than a record holds",
                payload.len()
            )
        })?;
    out.extend_from_slice(&MAGIC.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(payload);
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    Ok(())
}
