//! What the image promises, each tried on the image itself: what it holds, how it starts, under
//! whom and under what limits it serves, and what it says where it cannot.

mod contents;
mod cuda;
mod limits;
mod refusals;
mod serving;

use std::path::{Path, PathBuf};

use super::container::{sweep, Container};
use super::engine::Engine;
use super::Kind;
use crate::store::{copy, create_dir, remove_dir, Store};
use crate::{fixtures, models, onnxruntime, python, Result};

/// The image under test, and what the checks need beside it.
pub struct Subject<'s> {
    pub engine: Engine,
    pub image: &'s str,
    pub kind: Kind,
    pub store: &'s Store,
}

impl Subject<'_> {
    /// The folder of a demo model.
    pub fn model(&self, name: &str) -> PathBuf {
        self.store.path("models").join(name)
    }

    /// A fresh folder for one check.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.store.path("image").join(name);
        remove_dir(&folder)?;
        create_dir(&folder)?;
        Ok(folder)
    }

    /// A fresh folder that holds the digits model as `model.onnx`.
    pub fn folder_with_model(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder(name)?;
        copy(
            &self.model("digits").join("model.onnx"),
            &folder.join("model.onnx"),
        )?;
        Ok(folder)
    }

    /// A server on a model, ready.
    pub fn serve(&self, model: &Path, options: &[&str]) -> Result<Container> {
        Container::serve(self.engine, self.image, model, options)
    }

    /// A container with other arguments, or other mounts.
    pub fn start(&self, options: &[&str], arguments: &[&str]) -> Result<Container> {
        Container::start(self.engine, self.image, options, arguments)
    }
}

/// One promise: how it is called, and what gives back what was seen or what was wrong.
type Check = (&'static str, fn(&Subject<'_>) -> Result<String>);

/// Runs them all and prints a line each.
pub fn run(engine: Engine, kind: Kind, store: &Store) -> Result<()> {
    onnxruntime::ensure(store)?;
    models::ensure(store, &["digits"])?;
    fixtures::ensure(store)?;
    crate::step::step("validator of bills of materials", || {
        python::packages(store, contents::VALIDATOR, "docker/requirements.txt")
    })?;
    sweep(engine)?;
    let image = &kind.tag();
    let subject = Subject {
        engine,
        image,
        kind,
        store,
    };
    println!("\nChecking {image}");
    let own = match kind {
        Kind::Cpu => limits::ALL,
        Kind::Gpu(_) => cuda::ALL,
    };
    let all = [contents::ALL, serving::ALL, own, refusals::ALL].concat();
    let mut failed = 0;
    for (name, check) in &all {
        match check(&subject) {
            Ok(seen) => println!("  ok      {name:<44} {seen}"),
            Err(why) => {
                failed += 1;
                println!("  FAILED  {name:<44} {why}");
            }
        }
    }
    println!("\n{} passed, {failed} failed", all.len() - failed);
    if failed > 0 {
        return Err(format!("{image} breaks {failed} of its promises"));
    }
    Ok(())
}

/// Fails with `why` unless `holds`.
fn expect(holds: bool, why: impl FnOnce() -> String) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(why())
    }
}
