//! One session, and its runs.

use std::sync::Arc;

use ort::session::{RunOptions, Session, SessionInputValue};

use super::bare::Bare;
use super::graph::{self, Graph};
use super::ports::{carried, port_type};
use super::usual::Usual;
use super::values::{apart, input_value, output_value, refuse_nul, tensor, zipped};
use super::{nodes, provider, LoadError, Source};
use crate::device::{Nodes, Target};
use crate::model::{Port, PortType, Signature};
use crate::onnx_file::ZipMap;
use crate::runtime::warmup::spread;
use crate::runtime::{faults, Engine, RunError};
use crate::tensor::{ElementType, Keys, Tensor, Value};

/// An option of a run: at its end, memory that nothing of it uses any more goes back to the system,
/// or to the device.
const GIVE_BACK: &str = "memory.enable_memory_arena_shrinkage";

/// The first runs capture the graph; those behind them replay it.
const REPLAYS: usize = 4;

/// One ONNX Runtime session.
pub struct OrtEngine {
    session: Session,
    usual: Usual,
    /// Runs what is plain numbers.
    bare: Option<Bare>,
    /// How large runs are run.
    giving_back: RunOptions,
    /// Replayed where a run has its shape.
    graph: Option<Graph>,
    /// How the other runs are run beside a graph.
    plain: Option<RunOptions>,
    signature: Arc<Signature>,
    /// Per output: the keys of the maps that its scores stand for.
    maps: Vec<Option<Arc<Keys>>>,
    nodes: Option<Nodes>,
    is_on_gpu: bool,
    /// What a run met after which the device cannot be used again: it is not touched any more.
    lost: Option<RunError>,
}

impl OrtEngine {
    pub(super) fn new(
        session: Session,
        options: Options,
        source: &Source,
        target: Option<&Target>,
    ) -> Result<Self, LoadError> {
        let zip_maps: &[ZipMap] = source.rewritten.as_ref().map_or(&[], |(_, maps)| maps);
        let rankless = |name: &str| source.facts.rankless.contains(name);
        let inputs: Vec<Port> = session
            .inputs()
            .iter()
            .map(|outlet| Port {
                name: outlet.name().to_owned(),
                kind: port_type(outlet.dtype(), rankless(outlet.name())),
            })
            .collect();
        let mut maps = Vec::new();
        let outputs: Vec<Port> = session
            .outputs()
            .iter()
            .map(|outlet| {
                let zip = zip_maps.iter().find(|map| map.scores == outlet.name());
                maps.push(zip.map(|map| Arc::clone(&map.keys)));
                match zip {
                    Some(map) => Port {
                        name: map.output.clone(),
                        kind: PortType::Sequence(Box::new(PortType::Map {
                            key: match *map.keys {
                                Keys::Int64(_) => ElementType::Int64,
                                Keys::String(_) => ElementType::String,
                            },
                            value: ElementType::Float32,
                        })),
                    },
                    None => Port {
                        name: outlet.name().to_owned(),
                        kind: port_type(outlet.dtype(), rankless(outlet.name())),
                    },
                }
            })
            .collect();
        let unfit = |direction, port: &Port, also| LoadError::Port {
            file: source.file.clone(),
            direction,
            port: port.to_string(),
            also,
        };
        if let Some(port) = inputs.iter().find(|port| port.tensor().is_none()) {
            return Err(unfit("input", port, ""));
        }
        if let Some(port) = outputs.iter().find(|port| !carried(&port.kind)) {
            return Err(unfit("output", port, ", a sequence or a map"));
        }
        let signature = Arc::new(Signature { inputs, outputs });
        let mut graph = None;
        if target.is_some_and(|target| target.has_graph) {
            let unfit = |reason| LoadError::Graph {
                file: source.file.clone(),
                reason,
            };
            let shapes = graph::shapes(&signature).map_err(unfit)?;
            let made = Graph::new(&session, shapes, target);
            graph = Some(made.map_err(|error| unfit(error.message().to_owned()))?);
        }
        Ok(Self {
            nodes: nodes::assigned(&session),
            is_on_gpu: target.is_some(),
            lost: None,
            bare: Bare::of(&session).filter(|_| target.is_none()),
            session,
            usual: Usual::default(),
            giving_back: options.giving_back,
            plain: options.plain,
            graph,
            signature,
            maps,
        })
    }

    /// What the model takes and gives.
    #[must_use]
    pub fn signature(&self) -> &Arc<Signature> {
        &self.signature
    }

    /// Which provider runs its nodes; `None` where the runtime does not tell.
    #[must_use]
    pub fn nodes(&self) -> Option<&Nodes> {
        self.nodes.as_ref()
    }

    /// Shows that the graph, if there is one, gives what plain runs give, for a record that the model
    /// accepts and for another one.
    ///
    /// # Errors
    /// Why it does not, as one phrase.
    pub fn prove_graph(&mut self, one: &[Tensor]) -> Result<(), String> {
        if self.graph.is_none() {
            return Ok(());
        }
        for inputs in [spread(one, 1).as_deref().unwrap_or(one), one] {
            let plain = self.run_plain(inputs);
            let plain = plain.map_err(|error| self.failed(&error).to_string())?;
            for _ in 0..REPLAYS {
                let replayed = self.run(inputs).map_err(|error| error.to_string())?;
                if !graph::are_alike(&plain, &replayed) {
                    return Err("a CUDA graph gives other outputs than plain runs of this model; expected PLIMSOLL_CUDA_GRAPH=off".to_owned());
                }
            }
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Whether what is plain is run past the crate, where the model is; gives whether it is.
    #[cfg(test)]
    pub(super) fn set_bare(&mut self, is_bare: bool) -> bool {
        self.bare = Bare::of(&self.session).filter(|_| is_bare);
        self.bare.is_some()
    }

    #[cfg(test)]
    pub(super) fn fits_bare(&self, inputs: &[Tensor]) -> bool {
        self.bare.as_ref().is_some_and(|bare| bare.fits(inputs))
    }

    /// Errors inside `If`, `Loop` or `LSTM` arrive as nested lines: the caller gets the last cause,
    /// the log the rest. Source paths and C++ names of the runtime are nobody's business.
    fn failed(&mut self, error: &ort::Error) -> RunError {
        let message = error.message();
        tracing::debug!(target: "onnxruntime", "run failed: {message}");
        let error = faults::run_error(message, self.is_on_gpu);
        if matches!(error, RunError::DeviceLost(_)) {
            self.lost = Some(error.clone());
        }
        error
    }
}

/// How runs are run.
pub(super) struct Options {
    giving_back: RunOptions,
    plain: Option<RunOptions>,
}

impl Options {
    pub(super) fn new(target: Option<&Target>) -> ort::Result<Self> {
        let has_graph = target.is_some_and(|target| target.has_graph);
        let plain = || -> ort::Result<RunOptions> {
            let mut options = RunOptions::new()?;
            if has_graph {
                options.set(graph::PLAIN.0, graph::PLAIN.1)?;
            }
            Ok(options)
        };
        let mut giving_back = plain()?;
        giving_back.set(GIVE_BACK, provider::arenas(target))?;
        Ok(Self {
            giving_back,
            plain: has_graph.then(plain).transpose()?,
        })
    }
}

impl Engine for OrtEngine {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Value>, RunError> {
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        for (port, tensor) in self.signature.inputs.iter().zip(inputs) {
            refuse_nul(port, tensor)?;
        }
        self.try_run(inputs).map_err(|error| self.failed(&error))
    }

    fn is_on_gpu(&self) -> bool {
        self.is_on_gpu
    }
}

impl OrtEngine {
    fn try_run(&mut self, inputs: &[Tensor]) -> ort::Result<Vec<Value>> {
        match &mut self.graph {
            Some(graph) if graph.fits(inputs) => graph.run(&mut self.session, inputs),
            _ => self.run_plain(inputs),
        }
    }

    fn run_plain(&mut self, inputs: &[Tensor]) -> ort::Result<Vec<Value>> {
        let bytes = inputs.iter().map(Tensor::bytes).sum();
        let is_large = self.usual.is_passed_by(bytes);
        let giving_back = is_large.then_some(&self.giving_back);
        let options = giving_back.or(self.plain.as_ref());
        let given = |(value, map): (Tensor, &Option<Arc<Keys>>)| match map {
            Some(keys) => zipped(value, keys),
            None => apart(Value::Tensor(value), inputs),
        };
        if let Some(bare) = self.bare.as_ref().filter(|bare| bare.fits(inputs)) {
            let outputs = bare.run(&mut self.session, options, inputs)?;
            return outputs.into_iter().zip(&self.maps).map(given).collect();
        }
        let mut values: Vec<SessionInputValue<'_>> = Vec::with_capacity(inputs.len());
        for tensor in inputs {
            values.push(input_value(tensor)?);
        }
        let outputs = match options {
            Some(options) => self.session.run_with_options(values.as_slice(), options),
            None => self.session.run(values.as_slice()),
        }?;
        outputs
            .into_iter()
            .zip(&self.maps)
            .map(|((_, value), map)| match map {
                Some(_) => given((tensor(value.downcast()?)?, map)),
                None => output_value(value).and_then(|value| apart(value, inputs)),
            })
            .collect()
    }
}
