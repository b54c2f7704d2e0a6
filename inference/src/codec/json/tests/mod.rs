//! Requests and replies in every JSON dialect, and every refusal with its text.

mod lines;
mod numbers;
mod refusals;
mod replies;
mod requests;
mod swift;

use crate::codec::tests::{read_as, v2, write_as};
use crate::codec::{DecodeError, Decoded, Dialect, Format};
use crate::model::Signature;
use crate::tensor::Value;

/// Reads a JSON body.
fn read(body: &str, signature: &Signature) -> Result<Decoded, DecodeError> {
    let body = bytes::Bytes::copy_from_slice(body.as_bytes());
    read_as(Some("application/json"), body, signature)
}

/// Reads a JSON body that has to be refused; gives the text.
fn refusal(body: &str, signature: &Signature) -> String {
    match read(body, signature) {
        Err(error) => error.to_string(),
        Ok(decoded) => panic!("{body} was accepted: {decoded:?}"),
    }
}

/// Writes a JSON reply of a model called `m`.
fn write(dialect: &Dialect, outputs: &[Value], signature: &Signature) -> String {
    let reply = write_as(Format::Json, dialect, outputs, signature).unwrap();
    let text = String::from_utf8(reply).unwrap();
    // Whatever is written is JSON.
    serde_json::from_str::<serde_json::Value>(&text).unwrap();
    text
}
