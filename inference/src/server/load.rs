//! From the model folder to a model in service.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scaling::catalogue::internal::Batching as Why;
use tokio::sync::oneshot;

use super::place;
use super::trial::{self, Trial};
use super::{Announcement, AtCapacity, ServeError};
use crate::config::{Batching, Config};
use crate::device::Gpus;
use crate::locate::locate;
use crate::onnx_file::{self, zipmap};
use crate::ready::Model;
use crate::runtime::capacity::{self, Most, Sharing, MOST_ROWS};
use crate::runtime::ort::{Runtime, Source};
use crate::runtime::pool::Pool;
use crate::runtime::records::{self, Dependence};
use crate::runtime::{warmup, Engine};
use crate::scheduler::{Plan, Scheduler};
use crate::telemetry::{ModelMetrics, SchedulerMetrics};

/// A model and what to say of it, or why there is none.
pub(super) type Loaded = Result<(Model, Announcement), ServeError>;

/// On a GPU every number of records that requests may share a run with is run once before the server
/// is in service, for at most so long.
const WARM_SIZES_FOR: Duration = Duration::from_secs(60);

/// Loads off the HTTP threads, which already answer `/ping`.
pub(super) fn load_on_a_thread(
    config: Config,
    metrics: (SchedulerMetrics, ModelMetrics),
    gpus: Box<dyn FnOnce() -> Gpus + Send>,
) -> Result<oneshot::Receiver<Loaded>, ServeError> {
    let (done, loaded) = oneshot::channel();
    std::thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || {
            // Nobody to tell means that the process is leaving.
            let _ = done.send(load(&config, metrics, gpus));
        })
        .map_err(|source| ServeError::System {
            what: "the loading thread",
            source,
        })?;
    Ok(loaded)
}

fn load(
    config: &Config,
    (metrics, models): (SchedulerMetrics, ModelMetrics),
    gpus: Box<dyn FnOnce() -> Gpus + Send>,
) -> Loaded {
    let begun = Instant::now();
    let file = locate(&config.model_folder)?;
    // The last line there is where the system ends the process for want of memory.
    tracing::info!("loading  {}", file.display());
    let (bytes, facts) = onnx_file::read(&file)?;
    fits(&file, facts.total_bytes, config.budget.memory_bytes)?;
    let source = Source {
        // A rewritten model is loaded from memory, where external data has no place to lie beside.
        rewritten: bytes
            .as_deref()
            .filter(|_| facts.external.is_empty())
            .and_then(zipmap::strip)
            .map(|(model, maps)| (Arc::new(model), maps)),
        file,
        facts,
    };
    drop(bytes);
    let runtime = Runtime::open(&config.onnxruntime_library)?;
    let (pool, target) = place::load(config, gpus, &runtime, &source)?;
    let Pool {
        engines,
        signature,
        intra_op_threads,
        reason,
        copy_bytes,
        warm,
        unwarmed,
    } = pool;
    let slots = engines.len();
    let nodes = engines.first().and_then(|engine| engine.nodes().cloned());
    let mut engines = engines;
    let dependence = match (engines.first_mut(), &warm) {
        _ if source.facts.has_shared_scales => Some(Dependence {
            why: Why::SharedScales,
            reason: "its quantisation takes scales over all records".to_owned(),
        }),
        (Some(engine), Some(warm)) => records::dependence(engine, &signature, warm).err(),
        _ => Some(Dependence {
            why: Why::Untried,
            reason: "no input made from the signature fits".to_owned(),
        }),
    };
    if let Some(Dependence { reason, .. }) = &dependence {
        tracing::debug!("replies are not streamed: {reason}");
    }
    let most_rows = match (&dependence, config.batching) {
        (Some(_), _) | (_, Batching::Off) => 1,
        (None, Batching::Auto) => MOST_ROWS,
        (None, Batching::UpTo(rows)) => rows.get(),
    };
    let capacity = warm.as_ref().and_then(|warm| {
        capacity::measure(&mut engines, &warm.inputs, intra_op_threads, most_rows)
    });
    let mut engines: Vec<Box<dyn Engine>> = engines
        .into_iter()
        .map(|engine| Box::new(engine) as Box<dyn Engine>)
        .collect();
    let plan = Plan {
        queue_limit: config.queue_limit,
        may_stay: !source.facts.has_control_flow,
        threads: intra_op_threads,
    };
    let mut overhead = None;
    if let (Some(warm), Some(capacity)) = (&warm, &capacity) {
        let trial = Trial {
            engines,
            plan,
            signature: &signature,
            one: &warm.inputs,
            capacity,
            cores: config.budget.cores(),
            ports: config.safe_ports.clone(),
        };
        (engines, overhead) = trial::overhead(trial)?;
    }
    let elements = warm.as_ref().map_or(0, |warm| {
        warm.inputs.iter().map(|input| input.data().len()).sum()
    });
    let sharing = match (config.batching, &dependence, &capacity) {
        (Batching::Off, ..) => Sharing::none(Why::Off, "off, as set".to_owned()),
        (_, Some(Dependence { why, reason }), _) => Sharing::none(*why, format!("off: {reason}")),
        (Batching::UpTo(rows), ..) => Sharing {
            most: Most::records(rows.get()),
            why: Why::AsSet,
            reason: format!("up to {rows} records a run, as set"),
        },
        (Batching::Auto, None, Some(capacity)) => {
            Sharing::that_pays(capacity, overhead.unwrap_or_default(), elements)
        }
        (Batching::Auto, None, None) => {
            Sharing::none(Why::Untried, "off: it could not be measured".to_owned())
        }
    }
    .limited(config.queue_limit);
    let sharing = match (config.batching, &dependence, &capacity) {
        (Batching::Off, ..) | (_, Some(_), _) | (.., None) => sharing,
        (_, None, Some(capacity)) => sharing.in_parts(capacity, elements),
    };
    let sharing = match (&target, &warm) {
        (Some(_), Some(warm)) => {
            let rows = warmup::every_size(
                &mut engines,
                &warm.inputs,
                sharing.most.rows,
                WARM_SIZES_FOR,
            );
            sharing.warmed(rows)
        }
        _ => sharing,
    };
    metrics.tell_batching(sharing.most.rows, sharing.why);
    if let Some(capacity) = &capacity {
        metrics.run_cpus.set(capacity.cpus_per_slot);
    }
    if let Some(overhead) = overhead {
        metrics.request_cpu.set(overhead.as_nanos() as f64);
    }
    let scheduler =
        Scheduler::start(engines, plan, metrics).map_err(|source| ServeError::System {
            what: "a slot's thread",
            source,
        })?;
    if let (Some(warm), Some(capacity)) = (&warm, &capacity) {
        scheduler.calibrate(capacity, &warm.inputs, sharing.most);
    }
    let has_independent_records = dependence.is_none();
    let announcement = Announcement {
        model: source.file.clone(),
        model_bytes: source.facts.total_bytes,
        signature: Arc::clone(&signature),
        slots,
        intra_op_threads,
        reason,
        run: warm.as_ref().map(|warm| warm.run),
        sharing: sharing.reason,
        at_capacity: capacity.map(|capacity| AtCapacity {
            run: capacity.up_to(sharing.most.rows),
            overhead,
        }),
        unwarmed,
        runtime_version: runtime.version().to_owned(),
        library: runtime.library().to_owned(),
        provider: Runtime::provider_name(target.as_ref()),
        device: target.map(|target| target.line),
        nodes: nodes.clone(),
        address: config.listen,
        took: begun.elapsed(),
    };
    let model = Model {
        name: model_name(&source.file),
        url: config.model_folder.display().to_string(),
        signature,
        has_independent_records,
        scheduler,
    };
    models.loaded.set(1.0);
    if let Some(nodes) = &nodes {
        models.tell_nodes(|provider| nodes.of(provider));
    }
    models.memory.set(copy_bytes as f64 * slots as f64);
    Ok((model, announcement))
}

/// A model that is larger than all the memory there is would end the process in the midst of its
/// load, by the system's hand and without a word.
fn fits(file: &Path, bytes: u64, limit: Option<u64>) -> Result<(), ServeError> {
    match limit {
        Some(limit) if bytes > limit => Err(ServeError::Memory {
            file: file.to_owned(),
            bytes,
            limit,
        }),
        _ => Ok(()),
    }
}

/// `…/iris.onnx` is `iris`; `…/iris/3/model.onnx` is `iris`; a bare `model.onnx` is `model`.
fn model_name(file: &Path) -> String {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy());
    let version = file.parent().and_then(Path::file_name);
    let numeric = |name: &std::ffi::OsStr| {
        name.to_str()
            .is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()))
    };
    if stem.as_deref() == Some("model") && version.is_some_and(numeric) {
        if let Some(name) = file
            .parent()
            .and_then(Path::parent)
            .and_then(Path::file_name)
        {
            return name.to_string_lossy().into_owned();
        }
    }
    stem.map_or_else(|| "model".to_owned(), |stem| stem.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_larger_than_the_memory_is_refused_with_both_sizes() {
        let file = Path::new("/opt/ml/model/model.onnx");
        assert!(fits(file, 64_000_000, Some(64_000_000)).is_ok());
        assert!(fits(file, u64::MAX, None).is_ok());
        let error = fits(file, 200_000_000, Some(64_000_000)).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("200 MB") && said.contains("64 MB"), "{said}");
    }

    #[test]
    fn models_are_named_by_file_or_versioned_folder() {
        for (file, name) in [
            ("/opt/ml/model/model.onnx", "model"),
            ("/opt/ml/model/iris.onnx", "iris"),
            ("/opt/ml/model/iris/3/model.onnx", "iris"),
        ] {
            assert_eq!(model_name(Path::new(file)), name);
        }
    }
}
