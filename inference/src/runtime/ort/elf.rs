//! What a shared library needs, read from its file: so that the first one that is missing can be
//! named before anything is loaded.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Program headers and dynamic entries of more bytes than this are no library's.
const MOST_BYTES: u64 = 1 << 20;
/// No library's name is longer.
const MOST_NAME: u64 = 256;

const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const NEEDED: u64 = 1;
const STRING_TABLE: u64 = 5;

/// A part of the file that is mapped.
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    bytes: u64,
}

/// The libraries that this one names, in its order: of 64-bit little-endian ELF, which is what every
/// machine with an NVIDIA GPU runs.
///
/// # Errors
/// Where the file cannot be read, or is none such.
pub(super) fn needed(file: &Path) -> io::Result<Vec<String>> {
    let mut file = File::open(file)?;
    let head = read(&mut file, 0, 64)?;
    if head.get(..6) != Some(b"\x7fELF\x02\x01") {
        return Err(no_library());
    }
    let (table, size, count) = (u64_at(&head, 32)?, u16_at(&head, 54)?, u16_at(&head, 56)?);
    let headers = read(&mut file, table, u64::from(size) * u64::from(count))?;
    let segments = headers
        .chunks_exact(usize::from(size).max(1))
        .map(|header| {
            Ok(Segment {
                kind: u32_at(header, 0)?,
                offset: u64_at(header, 8)?,
                address: u64_at(header, 16)?,
                bytes: u64_at(header, 32)?,
            })
        })
        .collect::<io::Result<Vec<Segment>>>()?;
    let Some(dynamic) = segments.iter().find(|segment| segment.kind == DYNAMIC) else {
        return Ok(Vec::new());
    };
    let entries = read(&mut file, dynamic.offset, dynamic.bytes)?
        .chunks_exact(16)
        .map(|entry| Ok((u64_at(entry, 0)?, u64_at(entry, 8)?)))
        .collect::<io::Result<Vec<(u64, u64)>>>()?;
    let strings = entries.iter().find(|(tag, _)| *tag == STRING_TABLE);
    let (_, address) = strings.ok_or_else(no_library)?;
    let holds = |segment: &&Segment| {
        segment.kind == LOAD
            && address
                .checked_sub(segment.address)
                .is_some_and(|at| at < segment.bytes)
    };
    let segment = segments.iter().find(holds).ok_or_else(no_library)?;
    let strings = segment.offset + (address - segment.address);
    entries
        .iter()
        .filter(|(tag, _)| *tag == NEEDED)
        .map(|(_, at)| name(&mut file, strings.saturating_add(*at)))
        .collect()
}

fn name(file: &mut File, at: u64) -> io::Result<String> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    Read::by_ref(file).take(MOST_NAME).read_to_end(&mut bytes)?;
    let end = bytes.iter().position(|byte| *byte == 0);
    let name = bytes.get(..end.ok_or_else(no_library)?).unwrap_or_default();
    String::from_utf8(name.to_vec()).map_err(|_| no_library())
}

fn read(file: &mut File, at: u64, bytes: u64) -> io::Result<Vec<u8>> {
    if bytes > MOST_BYTES {
        return Err(no_library());
    }
    file.seek(SeekFrom::Start(at))?;
    let mut read = vec![0; bytes as usize];
    file.read_exact(&mut read)?;
    Ok(read)
}

fn no_library() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "it is no shared library of this kind of machine",
    )
}

fn at<const N: usize>(bytes: &[u8], begin: usize) -> io::Result<[u8; N]> {
    let found = bytes.get(begin..begin + N);
    found
        .and_then(|found| found.try_into().ok())
        .ok_or_else(no_library)
}

fn u16_at(bytes: &[u8], begin: usize) -> io::Result<u16> {
    at(bytes, begin).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], begin: usize) -> io::Result<u32> {
    at(bytes, begin).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], begin: usize) -> io::Result<u64> {
    at(bytes, begin).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_names_what_it_needs_and_a_text_needs_nothing() {
        let own = needed(Path::new("/proc/self/exe")).unwrap();
        assert!(
            own.iter().any(|name| name.starts_with("libc.so")),
            "{own:?}"
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lib.so");
        for text in [
            &b""[..],
            b"no library",
            b"\x7fELF\x02\x01 and then nothing that was ever an ELF header, for sixty-four bytes",
            &[0xff; 200],
        ] {
            std::fs::write(&file, text).unwrap();
            assert!(needed(&file).is_err(), "{text:?}");
        }
        // Whatever is cut off of one, or torn in it, is an error or a shorter list, and no panic.
        let mut bytes = std::fs::read("/proc/self/exe").unwrap();
        bytes.truncate(4096);
        for cut in [64, 65, 120, 500, 4000] {
            std::fs::write(&file, &bytes[..cut]).unwrap();
            let _ = needed(&file);
        }
        for torn in 16..64 {
            let mut other = bytes.clone();
            other[torn] = 0xff;
            std::fs::write(&file, other).unwrap();
            let _ = needed(&file);
        }
    }
}
