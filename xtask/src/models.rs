//! `cargo xtask models [NAME…]`: the demo models, each at
//! `.plimsoll/models/NAME/model.onnx` with its `plimsoll.toml` beside it.
//!
//! magika is fetched; digits and churn are trained by `models/NAME/make.py`.

use std::path::Path;

use crate::command::quietly;
use crate::python::{packages, python};
use crate::step::{step, Outcome};
use crate::store::{copy, read_text, workspace, Store};
use crate::wheel::Wheel;
use crate::Result;

/// The Python packages that make models, in the store.
pub const PACKAGES: &str = "python-models";

/// Every demo model.
pub const ALL: [&str; 3] = ["magika", "digits", "churn"];

const MAGIKA: Wheel = Wheel {
    package: "magika",
    version: "1.0.3",
    platform: "any",
    sha256: "938d8e033953f2ddeb8c35dc423aa289ca116bfa7a71a778f6e77460f9025803",
};

const MAGIKA_FILES: [(&str, &str); 2] = [
    ("magika/models/standard_v3_3/model.onnx", "model.onnx"),
    (
        "magika/models/standard_v3_3/config.min.json",
        "config.min.json",
    ),
];

/// The chore.
pub fn run(names: &[String]) -> Result<()> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let wanted = if names.is_empty() {
        &ALL[..]
    } else {
        &names[..]
    };
    ensure(&Store::of_workspace(), wanted)
}

/// Fetches or makes the models `names` that are not there.
pub fn ensure(store: &Store, names: &[&str]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !ALL.contains(name)) {
        return Err(format!(
            "no model is called {unknown}, there are {}",
            ALL.join(", ")
        ));
    }
    if names.iter().any(|name| *name != "magika") {
        ensure_packages(store)?;
    }
    names.iter().try_for_each(|name| {
        step(&format!("model {name}"), || match *name {
            "magika" => fetch_magika(store),
            trained => train(store, trained),
        })
    })
}

/// Installs the Python packages that make models if they are not there.
pub fn ensure_packages(store: &Store) -> Result<()> {
    step("Python packages that make models", || {
        packages(store, PACKAGES, "models/requirements.txt")
    })
}

fn fetch_magika(store: &Store) -> Result<Outcome> {
    let settings = workspace().join("models/magika/plimsoll.toml");
    store.ensure(
        "models/magika",
        &[&MAGIKA.recipe(), &read_text(&settings)?],
        |folder| {
            MAGIKA.unpack(folder, &MAGIKA_FILES)?;
            copy(&settings, &folder.join("plimsoll.toml"))
        },
    )
}

fn train(store: &Store, name: &str) -> Result<Outcome> {
    let home = workspace().join("models").join(name);
    let settings = home.join("plimsoll.toml");
    let recipe = [
        read_text(&home.join("make.py"))?,
        read_text(&workspace().join("models/requirements.txt"))?,
        read_text(&settings)?,
    ];
    store.ensure(
        &format!("models/{name}"),
        &recipe.each_ref().map(String::as_str),
        |folder| {
            run_script(store, &home.join("make.py"), &[folder])?;
            copy(&settings, &folder.join("plimsoll.toml"))
        },
    )
}

/// Runs a script with the packages that make models.
pub fn run_script(store: &Store, script: &Path, arguments: &[&Path]) -> Result<()> {
    quietly(
        python(Some(&store.path(PACKAGES)))
            .arg(script)
            .args(arguments),
    )
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_model_is_refused_with_the_names_there_are() {
        let error = ensure(&Store::of_workspace(), &["mnist"]).unwrap_err();
        assert_eq!(
            error,
            "no model is called mnist, there are magika, digits, churn"
        );
    }

    #[test]
    fn every_model_has_its_papers() {
        for name in ALL {
            let home = workspace().join("models").join(name);
            for file in ["README.md", "plimsoll.toml", "request.json", "reply.json"] {
                assert!(home.join(file).is_file(), "models/{name}/{file}");
            }
        }
    }
}
