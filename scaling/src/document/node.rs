//! A document as a tree that knows its lines.

use serde_json::{Map, Number, Value};

/// A value of a document, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub data: Data,
    /// The line it begins in, from 1; 0 where nobody knows.
    pub line: u32,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
    /// Values in order.
    List(Vec<Node>),
    /// Values by name, in order.
    Map(Vec<(String, Node)>),
    /// What is known only when it is deployed.
    Later(Later),
}

/// A value that only the deployment knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Later {
    /// What is known of it, with `${…}` for what is not.
    pub text: String,
    /// The parts of the document that it is made of.
    pub to: Vec<String>,
}

const NOTHING: Node = Node {
    data: Data::Null,
    line: 0,
};

impl Node {
    /// A value that stands nowhere.
    #[must_use]
    pub fn new(data: Data) -> Self {
        Self { data, line: 0 }
    }

    /// A text that stands nowhere.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Data::Text(text.into()))
    }

    /// The value of this name; nothing where there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &Self {
        self.entries()
            .iter()
            .find(|(key, _)| key == name)
            .map_or(&NOTHING, |(_, node)| node)
    }

    /// The value at the end of these names, with dots between them.
    #[must_use]
    pub fn at(&self, path: &str) -> &Self {
        path.split('.').fold(self, |node, name| node.get(name))
    }

    /// The value at the end of a path such as `Metrics[0].Stat`, to be changed; none where there is none.
    pub fn at_mut(&mut self, path: &str) -> Option<&mut Self> {
        let mut node = self;
        for step in path.split('.').filter(|step| !step.is_empty()) {
            let mut parts = step.split('[');
            let name = parts.next().unwrap_or_default();
            if let Data::Map(entries) = &mut node.data {
                node = &mut entries.iter_mut().find(|(key, _)| key == name)?.1;
            } else {
                return None;
            }
            for index in parts {
                let index: usize = index.strip_suffix(']')?.parse().ok()?;
                let Data::List(list) = &mut node.data else {
                    return None;
                };
                node = list.get_mut(index)?;
            }
        }
        Some(node)
    }

    /// Sets a member of a map; of anything else nothing.
    pub fn set(&mut self, name: &str, value: Self) {
        let Data::Map(entries) = &mut self.data else {
            return;
        };
        match entries.iter_mut().find(|(key, _)| key == name) {
            Some((_, node)) => *node = value,
            None => entries.push((name.to_owned(), value)),
        }
    }

    /// Takes a member of a map away.
    pub fn remove(&mut self, name: &str) {
        if let Data::Map(entries) = &mut self.data {
            entries.retain(|(key, _)| key != name);
        }
    }

    /// Whether there is something.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.data != Data::Null
    }

    /// Names and values of a map; of anything else none.
    #[must_use]
    pub fn entries(&self) -> &[(String, Self)] {
        match &self.data {
            Data::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The values of a list; of anything else none.
    #[must_use]
    pub fn list(&self) -> &[Self] {
        match &self.data {
            Data::List(list) => list,
            _ => &[],
        }
    }

    /// A text that is known.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A text, with `${…}` for what is not known.
    #[must_use]
    pub fn as_pattern(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            Data::Later(later) => Some(&later.text),
            _ => None,
        }
    }

    /// A number, or a text that is one.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match &self.data {
            Data::Number(number) => Some(*number),
            Data::Text(text) => text.trim().parse().ok().filter(|n: &f64| n.is_finite()),
            _ => None,
        }
    }

    /// Yes or no, or a text that is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match &self.data {
            Data::Bool(is) => Some(*is),
            Data::Text(text) => text.to_ascii_lowercase().parse().ok(),
            _ => None,
        }
    }

    /// The parts of the document that a value refers to.
    #[must_use]
    pub fn refers_to(&self) -> &[String] {
        match &self.data {
            Data::Later(later) => &later.to,
            _ => &[],
        }
    }

    /// What kind of value it is, for a person.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "a yes or no",
            Data::Number(_) => "a number",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
            Data::Later(_) => "a value of the deployment",
        }
    }

    /// The same as JSON; what only the deployment knows as text.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(is) => Value::Bool(*is),
            Data::Number(number) => json_number(*number),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(list) => list.iter().map(Self::to_json).collect(),
            Data::Map(entries) => {
                let entries = entries.iter();
                let entries = entries.map(|(name, node)| (name.clone(), node.to_json()));
                Value::Object(entries.collect::<Map<_, _>>())
            }
            Data::Later(later) => Value::String(later.text.clone()),
        }
    }

    /// From JSON, whose lines nobody knows.
    #[must_use]
    pub fn from_json(value: &Value) -> Self {
        Self::new(match value {
            Value::Null => Data::Null,
            Value::Bool(is) => Data::Bool(*is),
            Value::Number(number) => Data::Number(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => Data::Text(text.clone()),
            Value::Array(list) => Data::List(list.iter().map(Self::from_json).collect()),
            Value::Object(entries) => Data::Map(
                entries
                    .iter()
                    .map(|(name, value)| (name.clone(), Self::from_json(value)))
                    .collect(),
            ),
        })
    }
}

/// A whole number without a fraction.
fn json_number(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}
