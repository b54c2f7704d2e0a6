//! `application/jsonlines`: one record a line, in any form that `instances` takes; blank lines are
//! skipped. A reply has one line per record, what `predictions` would hold, each ended by `\n`.

use serde_json::Deserializer;

use serde::de::DeserializeSeed;

use super::any::{Any, Context};
use super::reply;
use super::request::{Form, Request};
use super::rows::{close, open, step, Row};
use super::{exactly, without_mark};
use crate::codec::error::{misfit, unreadable};
use crate::codec::{DecodeError, Decoded, Named};
use crate::model::Signature;

/// Reads records, one a line. Sparse ones may unfold to `limit` bytes in all.
///
/// # Errors
/// [`DecodeError`], naming the line.
pub(in crate::codec) fn decode(
    body: &[u8],
    signature: &Signature,
    limit: usize,
) -> Result<Decoded, DecodeError> {
    exactly(|context| read(body, signature, context, limit))
}

fn read(
    body: &[u8],
    signature: &Signature,
    context: &Context,
    limit: usize,
) -> Result<Decoded, DecodeError> {
    let body = without_mark(body);
    let mut request = Request::new(signature, context, body.len(), limit)?;
    request.form = Some(Form::Instances);
    request.is_lines = true;
    open(&mut request);
    let mut row = 0;
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        step(&mut request, row);
        let mut deserializer = Deserializer::from_slice(line);
        let record = Row {
            request: &mut request,
            row,
        };
        let outcome = Any(record)
            .deserialize(&mut deserializer)
            .and_then(|()| deserializer.end());
        if let Err(error) = outcome {
            context.notice(&error);
            return Err(at(index + 1, context.take_fault(), &error));
        }
        row += 1;
    }
    if row == 0 {
        return Err(misfit("no records: every line is blank"));
    }
    close(&mut request, row);
    request.finish(None)
}

/// A refusal with its line.
fn at(line: usize, fault: Option<DecodeError>, error: &serde_json::Error) -> DecodeError {
    match fault {
        Some(DecodeError::Misfit(what)) => misfit(format!("line {line}: {what}")),
        Some(fault) => fault,
        // The parser counts lines too, and sees one.
        None => {
            let what = error.to_string();
            let what = what.split(" at line 1 column ").next().unwrap_or_default();
            unreadable(format!(
                "line {line} is not valid json: {what} at column {}",
                error.column()
            ))
        }
    }
}

/// Writes one line per record; outputs without a common first axis are one record.
pub(in crate::codec) fn encode(outputs: &[Named<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    match reply::common_records(outputs) {
        Some(count) => {
            for row in 0..count {
                reply::prediction(&mut out, outputs, row);
                out.push(b'\n');
            }
        }
        None => {
            reply::all(&mut out, outputs);
            out.push(b'\n');
        }
    }
    out
}
