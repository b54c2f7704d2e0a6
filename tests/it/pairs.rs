//! Known requests get their known replies, byte for byte, in every content type.
//!
//! The bodies lie in `tests/data/FOLDER/CASE.request` and `.reply`, a folder per type of request;
//! `pairs.json` says which model is asked and in which words. `tests/support/pairs.py` makes them:
//! the requests by the libraries that clients use, the replies only after they were read by those and
//! found right.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use inference::codec::Format;
use serde_json::Value;

use crate::support::{prepared, root, Server};

/// A line of the table.
#[derive(Debug)]
struct Pair {
    /// `FOLDER/CASE`
    name: String,
    model: String,
    content_type: String,
    accept: Option<String>,
    status: u64,
    reply_type: String,
}

impl Pair {
    fn file(&self, end: &str) -> PathBuf {
        data().join(format!("{}.{end}", self.name))
    }

    fn bytes(&self, end: &str) -> Vec<u8> {
        let path = self.file(end);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

fn data() -> PathBuf {
    root().join("tests/data")
}

fn pairs() -> Vec<Pair> {
    let text = std::fs::read_to_string(data().join("pairs.json")).expect("the table");
    let rows: Vec<Value> = serde_json::from_str(&text).expect("a list of rows");
    let text = |row: &Value, key: &str| row[key].as_str().map(str::to_owned);
    rows.iter()
        .map(|row| {
            let needed = |key| text(row, key).unwrap_or_else(|| panic!("{row} lacks {key}"));
            Pair {
                name: needed("pair"),
                model: needed("model"),
                content_type: needed("content_type"),
                accept: text(row, "accept"),
                status: row["status"].as_u64().expect("a status"),
                reply_type: needed("reply_type"),
            }
        })
        .collect()
}

/// The format that a header names.
fn format(header: &str) -> Format {
    let essence = header.split(';').next().unwrap_or_default();
    Format::ALL
        .into_iter()
        .find(|format| format.media_types().contains(&essence))
        .unwrap_or_else(|| panic!("{header} is no format"))
}

/// The folder of its requests. A new format has no pairs until it has a folder here.
fn folder(format: Format) -> &'static str {
    match format {
        Format::Json => "json",
        Format::JsonLines => "jsonlines",
        Format::Csv => "csv",
        Format::Npy => "npy",
        Format::Npz => "npz",
        Format::RecordIo => "recordio",
        Format::Triton => "triton",
        Format::Octets => "octets",
    }
}

#[test]
fn every_request_gets_its_reply() {
    let mut by_model = BTreeMap::<String, Vec<Pair>>::new();
    for pair in pairs() {
        by_model.entry(pair.model.clone()).or_default().push(pair);
    }
    let mut wrong = Vec::new();
    for (model, pairs) in by_model {
        let server = Server::on_folder(&prepared(&model)).ready();
        for pair in pairs {
            let mut headers = vec![("Content-Type", pair.content_type.as_str())];
            headers.extend(pair.accept.as_deref().map(|accept| ("Accept", accept)));
            let reply = server.send("POST", "/invocations", &headers, &pair.bytes("request"));
            let expected = pair.bytes("reply");
            let reply_type = reply.header("Content-Type").unwrap_or_default();
            let same = u64::from(reply.status) == pair.status
                && reply_type == pair.reply_type
                && reply.body == expected;
            if !same {
                wrong.push(format!(
                    "{} on {model}: {} {reply_type} {:?}\n  in place of {} {} {:?}",
                    pair.name,
                    reply.status,
                    reply.text(),
                    pair.status,
                    pair.reply_type,
                    String::from_utf8_lossy(&expected),
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_format_is_answered_in_every_format() {
    let pairs = pairs();
    let crossed: BTreeSet<_> = pairs
        .iter()
        .map(|pair| {
            let taken = folder(format(&pair.content_type));
            assert!(
                pair.name.starts_with(&format!("{taken}/")),
                "{} lies in another folder than {taken}/",
                pair.name
            );
            (taken, folder(format(&pair.reply_type)))
        })
        .collect();
    for taken in Format::ALL {
        for given in Format::ALL {
            // sum4 has one input and one output of numbers, which every format carries.
            assert!(
                crossed.contains(&(folder(taken), folder(given))),
                "no pair of {taken:?} answered in {given:?}"
            );
        }
    }
}

#[test]
fn the_table_and_the_files_agree() {
    let pairs = pairs();
    let listed: BTreeSet<PathBuf> = pairs
        .iter()
        .flat_map(|pair| [pair.file("request"), pair.file("reply")])
        .collect();
    assert_eq!(listed.len(), 2 * pairs.len(), "a pair is listed twice");
    let folders = Format::ALL.map(|format| data().join(folder(format)));
    let found: BTreeSet<PathBuf> = folders.iter().flat_map(|folder| files(folder)).collect();
    assert_eq!(found, listed);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect()
}
