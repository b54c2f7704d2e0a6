//! The options that a session on a GPU gets.

use ort::ep::{
    ArbitrarilyConfigurableExecutionProvider, ExecutionProviderDispatch, TensorRT, CUDA,
};

use crate::device::{Provider, Target};

/// A provider's option and its value, as ONNX Runtime has them.
type Setting = (&'static str, String);

/// Of the CUDA provider. Each session has a stream of its own by default.
fn cuda(target: &Target) -> Vec<Setting> {
    let mut settings = vec![
        ("device_id", target.index.to_string()),
        // Doubling the arena at each step would run into the limit with half of it unused.
        ("arena_extend_strategy", "kSameAsRequested".to_owned()),
        // Trying every algorithm at each new batch size takes seconds a layer.
        ("cudnn_conv_algo_search", "HEURISTIC".to_owned()),
    ];
    if let Some(bytes) = target.memory_limit {
        settings.push(("gpu_mem_limit", bytes.to_string()));
    }
    if target.has_graph {
        settings.push(("enable_cuda_graph", "1".to_owned()));
    }
    settings
}

fn tensorrt(target: &Target) -> Vec<Setting> {
    vec![("device_id", target.index.to_string())]
}

fn with<P: ArbitrarilyConfigurableExecutionProvider>(provider: P, settings: Vec<Setting>) -> P {
    settings
        .into_iter()
        .fold(provider, |provider, (name, value)| {
            provider.with_arbitrary_config(name, value)
        })
}

/// The providers of a session, best first. One that fails to register is an error: left alone, the
/// session would run on the CPU.
pub(super) fn providers(target: &Target) -> Vec<ExecutionProviderDispatch> {
    let own = with(CUDA::default(), cuda(target)).build();
    let mut providers = vec![own.error_on_failure()];
    if target.provider == Provider::TensorRt {
        let first = with(TensorRT::default(), tensorrt(target)).build();
        providers.insert(0, first.error_on_failure());
    }
    providers
}

/// ONNX Runtime's name for it.
pub(super) fn name(provider: Provider) -> &'static str {
    match provider {
        Provider::Cuda => "CUDAExecutionProvider",
        Provider::TensorRt => "TensorrtExecutionProvider",
    }
}

/// The arenas that large runs give back.
pub(super) fn arenas(target: Option<&Target>) -> String {
    match target {
        None => "cpu:0".to_owned(),
        Some(target) => format!("cpu:0;gpu:{}", target.index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Gpu;

    fn target(provider: Provider, memory_limit: Option<u64>) -> Target {
        Target {
            provider,
            index: 3,
            gpu: Gpu::default(),
            line: String::new(),
            memory_limit,
            has_graph: false,
        }
    }

    #[test]
    fn a_session_is_told_its_device_and_how_much_of_it_it_may_take() {
        let settings = cuda(&target(Provider::Cuda, Some(17_000)));
        let value = |name| {
            let found = settings.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(value("device_id"), Some("3"));
        assert_eq!(value("gpu_mem_limit"), Some("17000"));
        assert_eq!(value("arena_extend_strategy"), Some("kSameAsRequested"));
        assert_eq!(value("cudnn_conv_algo_search"), Some("HEURISTIC"));
        let unknown = cuda(&target(Provider::Cuda, None));
        let has = |name| unknown.iter().any(|(known, _)| *known == name);
        assert!(!has("gpu_mem_limit") && !has("enable_cuda_graph"));
        let graph = cuda(&Target {
            has_graph: true,
            ..target(Provider::Cuda, None)
        });
        assert!(graph.contains(&("enable_cuda_graph", "1".to_owned())));
    }

    #[test]
    fn tensorrt_has_cuda_behind_it() {
        let names = |provider| -> Vec<&str> {
            let providers = providers(&target(provider, None));
            providers.iter().map(|provider| provider.name()).collect()
        };
        assert_eq!(names(Provider::Cuda), [name(Provider::Cuda)]);
        assert_eq!(
            names(Provider::TensorRt),
            [name(Provider::TensorRt), name(Provider::Cuda)]
        );
    }

    #[test]
    fn a_large_run_gives_device_memory_back_too() {
        assert_eq!(arenas(None), "cpu:0");
        let target = target(Provider::Cuda, None);
        assert_eq!(arenas(Some(&target)), "cpu:0;gpu:3");
    }
}
