//! Outputs → an npz archive.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::codec::npy;
use crate::codec::{EncodeError, Named};

/// Writes every output as a stored member `NAME.npy`.
///
/// # Errors
/// [`EncodeError::NotCarried`] where an output is no tensor of a type that npy knows.
pub(in crate::codec) fn encode(outputs: &[Named<'_>]) -> Result<Vec<u8>, EncodeError> {
    archive(outputs).map_err(|what| {
        EncodeError::NotCarried(format!("application/x-npz cannot carry this reply: {what}"))
    })
}

fn archive(outputs: &[Named<'_>]) -> Result<Vec<u8>, String> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for output in outputs {
        let file = npy::file(output)?;
        let refuse = |error: &dyn std::fmt::Display| {
            format!(
                "output {} does not go into an archive: {error}",
                output.name
            )
        };
        // The same reply is the same bytes, whenever it is written.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .large_file(u32::try_from(file.len()).is_err());
        zip.start_file(format!("{}.npy", output.name), options)
            .map_err(|error| refuse(&error))?;
        zip.write_all(&file).map_err(|error| refuse(&error))?;
    }
    let archive = zip.finish().map_err(|error| error.to_string())?;
    Ok(archive.into_inner())
}
