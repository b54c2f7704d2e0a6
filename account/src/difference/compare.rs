//! Two documents in their normal form, field by field.

use serde_json::Value;

use super::{Act, Field};

/// What is to be done for the one to become the other.
pub(super) fn act(before: &Value, after: &Value) -> Act {
    let mut fields = Vec::new();
    compare("", Some(before), Some(after), &mut fields);
    match fields.is_empty() {
        true => Act::Keep,
        false => Act::Update(fields),
    }
}

/// Adds every field in which the two differ.
fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, fields: &mut Vec<Field>) {
    if before == after {
        return;
    }
    let inside = |name: &str| match path.is_empty() {
        true => name.to_owned(),
        false => format!("{path}.{name}"),
    };
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(added) {
                compare(&inside(name), old.get(name), new.get(name), fields);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) if old.len() == new.len() => {
            for (at, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}[{at}]"), Some(old), Some(new), fields);
            }
        }
        _ => fields.push(Field {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}
