//! What is measured: models and settings.

use benches::options::Options;
use benches::{server, Result};

/// The models, lightest first.
pub(crate) const MODELS: [&str; 4] = ["digits", "boosted", "minilm", "magika"];

/// Every combination of the models that are wanted.
pub(crate) fn all(options: &Options) -> Vec<Case> {
    let mut cases = Vec::new();
    for model in MODELS.into_iter().filter(|model| options.wants(model)) {
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
