//! What a slot owns: something that runs a model.

use crate::tensor::{Tensor, Value};

/// One loaded copy of a model. `run` wants `&mut self`, because ONNX Runtime's allocators and
/// statistics are not safe to share: a slot owns its engine while it runs.
pub trait Engine: Send {
    /// Runs the model once.
    ///
    /// `inputs` are in the signature's order and conform to it; the outputs come in the
    /// signature's order.
    ///
    /// # Errors
    /// [`RunError`] when the model itself fails on these values.
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Value>, RunError>;

    /// Whether its runs are on a GPU.
    fn is_on_gpu(&self) -> bool {
        false
    }
}

/// A run that failed inside the model: the server's fault or the model's, never the codec's.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum RunError {
    /// The runtime refused or failed; the text is its last cause, without source paths.
    #[error("the model failed on this input: {0}")]
    Failed(String),
    /// A value that no model can be given, known only to the runtime.
    #[error("input {0}")]
    Unfit(String),
    /// The runtime could not get memory for this run.
    #[error("not enough memory to run the model on this input: {0}")]
    OutOfMemory(String),
    /// The GPU, or this process's hold on it, is gone: no later run will succeed.
    #[error("the GPU is lost: {0}; this process cannot use it again")]
    DeviceLost(String),
    /// The run panicked; the next one is not affected.
    #[error("the model run was aborted by an internal error")]
    Panicked,
}
