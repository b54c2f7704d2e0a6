//! JSON and YAML as trees.
//!
//! JSON is YAML, so one parser gives the lines of both; JSON's own says first what is wrong with it.
//! CloudFormation's short forms (`!Ref`, `!Sub`, …) become their long ones. Anchors are refused, as
//! CloudFormation does: no document unfolds to more than was written.

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::node::{Data, Node};
use crate::policy::Invalid;

/// The longest JSON, bytes: a plan of a large infrastructure.
const MOST_JSON: usize = 64 << 20;
/// The longest YAML: four times what CloudFormation takes.
const MOST_YAML: usize = 4 << 20;
/// Lists and maps in one another.
const DEEPEST: usize = 100;

/// Reads a document.
///
/// # Errors
/// What is wrong with it, and in which line.
pub(super) fn parse(text: &str) -> Result<Node, Invalid> {
    let text = text.trim_start_matches('\u{feff}');
    let is_json = text.trim_start().starts_with(['{', '[']);
    let (most, kind) = match is_json {
        true => (MOST_JSON, "JSON"),
        false => (MOST_YAML, "YAML"),
    };
    if text.len() > most {
        let megabytes = |bytes: usize| bytes as f64 / f64::from(1 << 20);
        return Err(wrong(format!(
            "{:.1} MB of {kind}; expected {} MB at most",
            megabytes(text.len()),
            megabytes(most)
        )));
    }
    if let Some(hint) = no_document(text) {
        return Err(wrong(hint));
    }
    if !is_json {
        return Builder::default().build(text);
    }
    // YAML allows more: braces without an end would be said to miss something else.
    let value: serde_json::Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(json) => {
            let mistake = || wrong(format!("is no JSON: {json}"));
            // A flow map of YAML, such as `{Ref: Name}`, begins otherwise.
            let inside = text
                .trim_start()
                .trim_start_matches(['{', '['])
                .trim_start();
            if inside.is_empty() || inside.starts_with('"') {
                return Err(mistake());
            }
            return Builder::default().build(text).map_err(|_| mistake());
        }
    };
    match Builder::default().build(text) {
        // Whatever YAML reads otherwise (a pair of surrogates) is right in JSON.
        Ok(node) if same(&node, &value) => Ok(node),
        Err(error) if error.field.ends_with(TWICE) => Err(error),
        _ => Ok(Node::from_json(&value)),
    }
}

fn same(node: &Node, value: &serde_json::Value) -> bool {
    use serde_json::Value;
    match (&node.data, value) {
        (Data::List(list), Value::Array(values)) => {
            list.len() == values.len() && list.iter().zip(values).all(|(a, b)| same(a, b))
        }
        (Data::Map(entries), Value::Object(values)) => {
            entries.len() == values.len()
                && entries
                    .iter()
                    .all(|(name, node)| values.get(name).is_some_and(|value| same(node, value)))
        }
        (Data::Number(number), Value::Number(other)) => Some(*number) == other.as_f64(),
        _ => node.to_json() == *value,
    }
}

fn wrong(reason: impl Into<String>) -> Invalid {
    Invalid::new("document", reason)
}

/// What somebody pasted that is no document, and what would be one.
fn no_document(text: &str) -> Option<String> {
    let first = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("//"))?;
    let begins = |words: &[&str]| words.iter().any(|word| first.starts_with(word));
    if text.contains("boto3") && begins(&["import ", "from ", "client", "def ", "\"\"\""])
        || text.contains("put_scaling_policy(")
    {
        return Some("is a Python program; expected the keyword arguments as JSON, such as {\"PolicyName\": …, \"PolicyType\": …}".to_owned());
    }
    if begins(&["aws ", "#!"]) {
        return Some("is a shell script; expected the JSON that its commands are given, such as the file of --cli-input-json".to_owned());
    }
    if [
        "resource \"",
        "terraform {",
        "provider \"",
        "variable \"",
        "module \"",
        "locals {",
        "data \"",
    ]
    .iter()
    .any(|word| first.starts_with(word))
    {
        return Some("is Terraform's own language; expected a plan as JSON: terraform plan -out plan, then terraform show -json plan".to_owned());
    }
    None
}

/// The end of the field of the error of a name that is used twice.
const TWICE: &str = "name";

/// Lists and maps that are not complete.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    done: Option<Node>,
}

struct Open {
    line: u32,
    tag: Option<String>,
    kind: Kind,
}

enum Kind {
    List(Vec<Node>),
    Map(Vec<(String, Node)>, Option<String>),
}

impl Builder {
    fn build(mut self, text: &str) -> Result<Node, Invalid> {
        let mut documents = 0;
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| {
                Invalid::new(
                    format!(
                        "line {}, column {}",
                        error.marker().line(),
                        error.marker().col() + 1
                    ),
                    format!("is no YAML: {}", error.info()),
                )
            })?;
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(at(span, "a second document begins; expected one"));
                    }
                }
                Event::Alias(_) => return Err(at(
                    span,
                    "an alias (*name); expected the value itself: CloudFormation takes no aliases",
                )),
                Event::Scalar(text, style, _, tag) => {
                    let data = scalar(&text, style);
                    let node = Node {
                        data,
                        line: line(span),
                    };
                    self.add(tagged(node, tag.map(|tag| name(&tag))), span)?;
                }
                Event::SequenceStart(_, tag) => {
                    let tag = tag.map(|tag| name(&tag));
                    self.begin(Kind::List(Vec::new()), tag, span)?;
                }
                Event::MappingStart(_, tag) => {
                    let tag = tag.map(|tag| name(&tag));
                    self.begin(Kind::Map(Vec::new(), None), tag, span)?;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some(open) = self.open.pop() {
                        let data = match open.kind {
                            Kind::List(list) => Data::List(list),
                            Kind::Map(entries, _) => Data::Map(entries),
                        };
                        let node = Node {
                            data,
                            line: open.line,
                        };
                        self.add(tagged(node, open.tag), span)?;
                    }
                }
                _ => {}
            }
        }
        self.done
            .ok_or_else(|| wrong("is empty; expected JSON or YAML"))
    }

    fn begin(&mut self, kind: Kind, tag: Option<String>, span: Span) -> Result<(), Invalid> {
        if self.open.len() >= DEEPEST {
            return Err(at(
                span,
                format!("more than {DEEPEST} lists and maps in one another"),
            ));
        }
        self.open.push(Open {
            line: line(span),
            tag,
            kind,
        });
        Ok(())
    }

    fn add(&mut self, node: Node, span: Span) -> Result<(), Invalid> {
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.done = Some(node),
            Some(Kind::List(list)) => list.push(node),
            Some(Kind::Map(entries, key @ None)) => {
                let name = match &node.data {
                    Data::Text(text) => text.clone(),
                    Data::Number(_) | Data::Bool(_) | Data::Null => node.to_json().to_string(),
                    _ => {
                        return Err(at(
                            span,
                            format!("{} as a name; expected a text", node.kind()),
                        ))
                    }
                };
                if entries.iter().any(|(other, _)| *other == name) {
                    return Err(Invalid::new(
                        format!("line {}, {TWICE}", line(span)),
                        format!("{name:?} is used twice; expected once"),
                    ));
                }
                *key = Some(name);
            }
            Some(Kind::Map(entries, key)) => entries.extend(key.take().map(|name| (name, node))),
        }
        Ok(())
    }
}

fn line(span: Span) -> u32 {
    u32::try_from(span.start.line()).unwrap_or(u32::MAX)
}

fn at(span: Span, reason: impl Into<String>) -> Invalid {
    Invalid::new(format!("line {}", line(span)), reason)
}

/// `Ref` of `!Ref`.
fn name(tag: &Tag) -> String {
    match tag.handle.as_str() {
        "!" => tag.suffix.clone(),
        _ => String::new(),
    }
}

/// A short form as the long one.
fn tagged(node: Node, tag: Option<String>) -> Node {
    let Some(tag) = tag.filter(|tag| !tag.is_empty()) else {
        return node;
    };
    let long = match tag.as_str() {
        "Ref" | "Condition" => tag,
        _ => format!("Fn::{tag}"),
    };
    let line = node.line;
    // `!GetAtt Thing.Arn` is a list in the long form.
    let node = match (&node.data, long.as_str()) {
        (Data::Text(text), "Fn::GetAtt") => {
            let parts = text.splitn(2, '.').map(Node::text).collect();
            Node {
                data: Data::List(parts),
                line,
            }
        }
        _ => node,
    };
    Node {
        data: Data::Map(vec![(long, node)]),
        line,
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Data {
    if style != ScalarStyle::Plain {
        return Data::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Data::Null,
        "true" | "True" | "TRUE" => return Data::Bool(true),
        "false" | "False" | "FALSE" => return Data::Bool(false),
        _ => {}
    }
    let begins_as_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    match text.parse::<f64>() {
        Ok(number) if begins_as_number && number.is_finite() => Data::Number(number),
        _ => Data::Text(text.to_owned()),
    }
}
