//! What is measured: models, settings, and how long.

use std::path::PathBuf;
use std::time::Duration;

use benches::{server, Result};

/// The models, lightest first.
const MODELS: [&str; 4] = ["digits", "boosted", "minilm", "magika"];

/// The command line.
pub(crate) struct Options {
    pub(crate) binary: Option<PathBuf>,
    /// Length of each load.
    pub(crate) load: Duration,
    models: Vec<&'static str>,
}

impl Options {
    pub(crate) fn parse(words: &[String]) -> Result<Self> {
        let mut options = Self {
            binary: None,
            load: Duration::from_millis(4_500),
            models: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                // Cargo's own word for a bench.
                "--bench" => {}
                "--quick" => options.load = Duration::from_millis(3_500),
                "--binary" => {
                    options.binary = Some(words.next().ok_or("--binary wants a path")?.into());
                }
                other => match MODELS.iter().find(|model| **model == other) {
                    Some(model) => options.models.push(model),
                    None => {
                        return Err(format!(
                            "unknown option \"{other}\", expected --quick, --binary PATH, or of {}",
                            MODELS.join(", ")
                        )
                        .into())
                    }
                },
            }
        }
        if options.models.is_empty() {
            options.models = MODELS.to_vec();
        }
        Ok(options)
    }

    /// Every combination.
    pub(crate) fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for &model in &self.models {
            for threads in [1, 2] {
                for batching in ["off", "auto"] {
                    cases.push(Case {
                        model,
                        batching,
                        threads,
                    });
                }
            }
        }
        cases
    }
}

/// One server.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) model: &'static str,
    pub(crate) batching: &'static str,
    /// Intra-op threads of its one slot.
    pub(crate) threads: usize,
}

impl Case {
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        [
            ("PLIMSOLL_BATCHING", self.batching.to_owned()),
            ("PLIMSOLL_INTRA_OP_THREADS", self.threads.to_string()),
            ("PLIMSOLL_SLOTS", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Cores that the server gets. What sends needs a core of its own for models of microseconds; beside
    /// a model of milliseconds it needs little.
    pub(crate) fn cores(&self) -> usize {
        match self.model {
            "digits" => 1,
            _ => self.threads,
        }
    }

    /// Connections that keep every slot busy, or fill the next run while one is under way; fewer than
    /// may wait.
    pub(crate) fn connections(&self) -> usize {
        match self.batching {
            "off" => 64,
            _ => 120,
        }
    }

    pub(crate) fn body(&self) -> Result<Vec<u8>> {
        server::request(self.model)
    }
}
