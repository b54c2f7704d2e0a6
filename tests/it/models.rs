//! The demo models answer their known request with their known reply.

use serde_json::Value;

use crate::support::{prepared, root, Server};

/// Scores may differ this much between processors and builds of the training libraries.
const TOLERANCE: f64 = 0.02;
/// What is not trained but computed from fixed weights differs less.
const FIXED_WEIGHTS_TOLERANCE: f64 = 0.001;

fn pair(name: &str) -> (Value, Value) {
    let read = |file: &str| {
        let path = root().join("models").join(name).join(file);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    (read("request.json"), read("reply.json"))
}

/// Equal, but for numbers that are a little off.
fn alike(found: &Value, expected: &Value, tolerance: f64) -> bool {
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
            (a.as_f64().unwrap() - b.as_f64().unwrap()).abs() <= tolerance
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b, tolerance))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| alike(a, b, tolerance)))
        }
        (a, b) => a == b,
    }
}

fn answers_as_known(name: &str) {
    answers_within(name, TOLERANCE);
}

fn answers_within(name: &str, tolerance: f64) {
    let (request, reply) = pair(name);
    let server = Server::on_folder(&prepared("models").join(name)).ready();
    let found = server.ask(&request);
    assert!(alike(&found, &reply, tolerance), "{name}: {found}");
}

#[test]
fn magika_knows_a_file_by_its_bytes() {
    answers_as_known("magika");
}

#[test]
fn digits_reads_a_drawn_figure() {
    answers_as_known("digits");
}

#[test]
fn churn_takes_named_columns_of_numbers_and_strings() {
    answers_as_known("churn");
}

/// One of the benches' models, which are not made for the tests.
fn answers_within_if_made(name: &str, tolerance: f64) {
    let is_made = root().join(".plimsoll/models").join(name).is_dir();
    if is_made {
        answers_within(name, tolerance);
    } else {
        println!("SKIPPED: `cargo xtask models {name}` makes the model");
    }
}

#[test]
fn boosted_tells_the_kind_of_a_row() {
    answers_within_if_made("boosted", TOLERANCE);
}

#[test]
fn minilm_turns_a_text_into_a_vector() {
    answers_within_if_made("minilm", FIXED_WEIGHTS_TOLERANCE);
}

#[test]
fn ask_tells_what_a_file_is() {
    let server = Server::on_folder(&prepared("models/magika")).ready();
    let ask = |file: &str| {
        let output = std::process::Command::new("python3")
            .arg(root().join("models/magika/ask.py"))
            .args(["--url", &format!("{}/invocations", server.url)])
            .arg(root().join(file))
            .output()
            .expect("python3 runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for (file, label) in [
        ("inference/src/server/mod.rs", "rust"),
        ("models/magika/ask.py", "python"),
    ] {
        let answer = ask(file);
        assert!(answer.contains(label), "{file}: {answer}");
    }
}
