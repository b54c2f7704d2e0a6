//! Where the model runs: on a GPU, on the CPU, or nowhere. The policy is [`crate::device`]'s; here it
//! meets the library, the model and what the device says to both.

use super::ServeError;
use crate::config::{Config, Device};
use crate::device::{choose, Choice, DeviceError, Gpus, Nodes, Target, Wanted};
use crate::runtime::ort::{Runtime, Source};
use crate::runtime::pool::{self, Pool};

/// Loads the model where it can run.
pub(super) fn load(
    config: &Config,
    gpus: impl FnOnce() -> Gpus,
    runtime: &Runtime,
    source: &Source,
) -> Result<(Pool, Option<Target>), ServeError> {
    let Device {
        wanted,
        memory_limit,
        cuda_graph,
        ..
    } = &config.device;
    let wanted = *wanted;
    let library = runtime.facts();
    // Who wants the CPU does not wake the driver.
    let gpus = match wanted {
        Wanted::Cpu => Gpus::default(),
        _ => gpus(),
    };
    let choice = choose(wanted, &library, &gpus, *memory_limit, |provider| {
        runtime.look(provider)
    })?;
    let target = match choice {
        Choice::Gpu(target) => Target {
            has_graph: *cuda_graph,
            ..target
        },
        Choice::Cpu(reason) => {
            if let Some(reason) = reason {
                on_cpu(&reason);
            }
            return Ok((pool::load(runtime, source, &config.budget, None)?, None));
        }
    };
    let why_not = match pool::load(runtime, source, &config.budget, Some(&target)) {
        Ok(pool) => match nobody_there(&pool, &target) {
            None => return Ok((pool, Some(target))),
            Some(reason) if wanted == Wanted::Auto => reason,
            Some(reason) => return Err(DeviceError { wanted, reason }.into()),
        },
        Err(error) if wanted == Wanted::Auto && error.is_of_the_device() => error.to_string(),
        Err(error) => return Err(error.into()),
    };
    on_cpu(&why_not);
    Ok((pool::load(runtime, source, &config.budget, None)?, None))
}

fn on_cpu(reason: &str) {
    tracing::warn!("device   the CPU, and no GPU: {reason}");
}

/// Why the GPU would have nothing to do with this model; where it would have little, that is said.
fn nobody_there(pool: &Pool, target: &Target) -> Option<String> {
    let nodes = pool.engines.first()?.nodes()?;
    if nodes.on_cpu() == nodes.total() {
        return Some(format!(
            "the GPU can run none of the model's {} ({}); expected cpu or auto for it",
            nodes.line(),
            nodes.operators_on_cpu()
        ));
    }
    if nodes.are_mostly_on_cpu() {
        tracing::warn!("{}", mostly_on_cpu(nodes, target));
    } else if nodes.on_cpu() > 0 {
        tracing::info!("device   on the CPU stay {}", nodes.operators_on_cpu());
    }
    None
}

fn mostly_on_cpu(nodes: &Nodes, target: &Target) -> String {
    format!(
        "device   {} of the model's {} nodes run on the CPU and not on cuda:{}, which has no kernels for them: {}; each change of the device copies tensors",
        nodes.on_cpu(),
        nodes.total(),
        target.index,
        nodes.operators_on_cpu()
    )
}
