//! `plimsoll.toml` beside the model.

use std::collections::BTreeMap;
use std::path::Path;

use super::{known, PREFIX, TABLE};

/// One sentence about a name that means nothing, with the nearest one that does.
pub(super) fn unknown(what: &str, name: &str, names: impl Iterator<Item = String>) -> String {
    match nearest(name, names) {
        Some(nearest) => format!("{name}: unknown {what}; did you mean {nearest}?"),
        None => format!("{name}: unknown {what}; the README lists them all"),
    }
}

/// The one of `names` that is written most like `name`, if any is much like it.
pub(super) fn nearest(name: &str, names: impl Iterator<Item = String>) -> Option<String> {
    names
        .map(|candidate| (strsim::damerau_levenshtein(name, &candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().min(name.len()) / 3)
        .min()
        .map(|(_, nearest)| nearest)
}

/// The file's settings by environment name; what is wrong with the others goes to `wrong`.
pub(super) fn settings_file(file: &Path, wrong: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        // A model folder that is not there is reported when the model is looked for.
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            return settings
        }
        // So is one that cannot be read.
        Err(_)
            if file
                .parent()
                .is_some_and(|folder| folder.read_dir().is_err()) =>
        {
            return settings
        }
        Err(error) => {
            let advice = inference::access::advice(file, &error);
            wrong.push(format!("{}: {error}{advice}", file.display()));
            return settings;
        }
    };
    let table: toml::Table = match text.parse::<toml::Table>() {
        Ok(table) => table,
        Err(error) => {
            let line = error
                .span()
                .map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            wrong.push(format!(
                "{}: line {line}: {}",
                file.display(),
                error.message()
            ));
            return settings;
        }
    };
    for (key, value) in table {
        let name = format!("{PREFIX}{}", key.to_uppercase());
        let kind = value.type_str();
        let value = match value {
            toml::Value::String(value) => Some(value),
            toml::Value::Integer(value) => Some(value.to_string()),
            toml::Value::Float(value) => Some(value.to_string()),
            toml::Value::Boolean(value) => Some(value.to_string()),
            _ => None,
        };
        let file = file.display();
        match value {
            _ if !known(&name) || key != key.to_lowercase() => {
                let keys = TABLE
                    .iter()
                    .filter_map(|row| Some(row.name.strip_prefix(PREFIX)?.to_lowercase()));
                wrong.push(format!("{file}: {}", unknown("setting", &key, keys)));
            }
            None => wrong.push(format!(
                "{file}: {key} is of type {kind}: expected a string, a number or a boolean"
            )),
            Some(value) => {
                settings.insert(name, value);
            }
        }
    }
    settings
}
