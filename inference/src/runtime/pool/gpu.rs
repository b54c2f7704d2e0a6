//! How many sessions on one GPU.
//!
//! One feeds the device well where its kernels fill it; a second one brings more where they leave it
//! idle between launches. Whether it does is measured, on the device. More than two are for the user
//! to ask for: each takes the model's memory again.

use std::time::Duration;

use super::{joint_gain, plural, Budget, Pool, TRIES, WORTH_A_SESSION};
use crate::device::Target;
use crate::runtime::ort::{LoadError, OrtEngine, Runtime, Source};
use crate::runtime::warmup::{warm_up, Warm};
use crate::runtime::{Engine, RunError};
use crate::tensor::Tensor;

/// Sessions on a GPU, and why so many.
struct Sessions<E, S> {
    engines: Vec<E>,
    signature: S,
    reason: String,
    warm: Result<Warm, Option<RunError>>,
}

/// Loads and warms up as many copies on the device as the memory and the measurement ask for.
pub(super) fn load(
    runtime: &Runtime,
    source: &Source,
    budget: &Budget,
    target: &Target,
) -> Result<Pool, LoadError> {
    // The GPU does the work; one thread launches it.
    let threads = budget.intra_op_threads.map_or(1, |threads| threads.get());
    let bytes = source.facts.total_bytes;
    let mut sessions = sessions(
        budget,
        target,
        bytes,
        |target| runtime.load(source, threads, Some(target)),
        |engine: &mut OrtEngine| {
            let signature = engine.signature().clone();
            let warm = warm_up(engine, &signature);
            (signature, warm)
        },
    )?;
    // Served unwarmed, it would say on `/ping` that all is well.
    if let Err(Some(error @ (RunError::DeviceLost(_) | RunError::OutOfMemory(_)))) = &sessions.warm
    {
        return Err(LoadError::Device {
            file: source.file.clone(),
            device: target.to_string(),
            reason: error.to_string(),
        });
    }
    if target.has_graph {
        let refused = |reason| LoadError::Graph {
            file: source.file.clone(),
            reason,
        };
        let warm = sessions.warm.as_ref().map_err(|_| {
            refused("no input made from the signature fits, by which a CUDA graph would be proven; expected PLIMSOLL_CUDA_GRAPH=off".to_owned())
        })?;
        for engine in &mut sessions.engines {
            engine.prove_graph(&warm.inputs).map_err(refused)?;
        }
    }
    let (warm, unwarmed) = super::warmed(sessions.warm);
    Ok(Pool {
        engines: sessions.engines,
        signature: sessions.signature,
        intra_op_threads: threads,
        reason: sessions.reason,
        copy_bytes: bytes,
        warm,
        unwarmed,
    })
}

/// `warm` gives the model's signature and the first runs' outcome.
fn sessions<E: Engine, S>(
    budget: &Budget,
    target: &Target,
    model_bytes: u64,
    mut load: impl FnMut(&Target) -> Result<E, LoadError>,
    warm: impl FnOnce(&mut E) -> (S, Result<Warm, Option<RunError>>),
) -> Result<Sessions<E, S>, LoadError> {
    let slots = budget.slots.map_or(1, |slots| slots.get());
    let mut first = load(&share(target, slots))?;
    let (signature, warm) = warm(&mut first);
    let mut engines = vec![first];
    let inputs: &[Tensor] = warm.as_ref().map_or(&[], |warm| &warm.inputs);
    let device = format!("cuda:{}", target.index);
    if budget.slots.is_some() {
        while engines.len() < slots {
            let mut engine = load(&share(target, slots))?;
            warm_further(&mut engine, inputs);
            engines.push(engine);
        }
        let reason = format!("set by the user, on {device}");
        return Ok(Sessions {
            engines,
            signature,
            reason,
            warm,
        });
    }
    let reason = match &warm {
        Err(_) => format!("{device}; one session, its cost could not be measured"),
        Ok(_) if !is_room_for_two(target, model_bytes) => {
            format!("{device}; one session, the memory has no room for two")
        }
        Ok(warm) => second(&mut engines, target, warm.run, inputs, &mut load, &device)?,
    };
    Ok(Sessions {
        engines,
        signature,
        reason,
        warm,
    })
}

/// Tries a second session beside the first; why there are as many as there are then.
fn second<E: Engine>(
    engines: &mut Vec<E>,
    target: &Target,
    alone: Duration,
    inputs: &[Tensor],
    load: &mut impl FnMut(&Target) -> Result<E, LoadError>,
    device: &str,
) -> Result<String, LoadError> {
    let half = share(target, 2);
    match load(&half) {
        Ok(mut engine) => {
            warm_further(&mut engine, inputs);
            engines.push(engine);
        }
        Err(error) if error.is_of_the_device() => {
            return Ok(format!("{device}; one session, a second does not fit"));
        }
        Err(error) => return Err(error),
    }
    // The best of a few tries: a busy neighbour can only make two look worse than they are.
    let gain = (0..TRIES)
        .map(|_| joint_gain(engines, inputs, alone))
        .fold(0.0, f64::max);
    if gain < WORTH_A_SESSION {
        engines.truncate(1);
        return Ok(format!(
            "{device}; a second session brings only {gain:.2} times the throughput"
        ));
    }
    // The first may take all that there is so far.
    engines.remove(0);
    let mut engine = load(&half)?;
    warm_further(&mut engine, inputs);
    engines.push(engine);
    Ok(format!(
        "{device}; {} do {gain:.1} times the work of one",
        plural(2, "session")
    ))
}

/// The target with a share of its memory.
fn share(target: &Target, sessions: usize) -> Target {
    let limit = target.memory_limit;
    Target {
        memory_limit: limit.map(|bytes| bytes / sessions.max(1) as u64),
        ..target.clone()
    }
}

/// Beside the model a run takes memory too.
fn is_room_for_two(target: &Target, model_bytes: u64) -> bool {
    let limit = target.memory_limit;
    limit.is_none_or(|limit| model_bytes.saturating_mul(2) <= limit / 2)
}

fn warm_further(engine: &mut impl Engine, inputs: &[Tensor]) {
    if inputs.is_empty() {
        return;
    }
    if let Err(error) = engine.run(inputs) {
        tracing::warn!("warm-up of a further session failed: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::device::{Gpu, Provider};
    use crate::tensor::{Data, Value};

    /// An engine on a device that one run at a time may use, or several.
    struct OnGpu(Arc<Mutex<()>>);

    impl Engine for OnGpu {
        fn run(&mut self, _: &[Tensor]) -> Result<Vec<Value>, RunError> {
            let _turn = self.0.lock().unwrap();
            std::thread::sleep(Duration::from_millis(2));
            Ok(vec![])
        }

        fn is_on_gpu(&self) -> bool {
            true
        }
    }

    fn target(memory_limit: Option<u64>) -> Target {
        Target {
            provider: Provider::Cuda,
            index: 1,
            gpu: Gpu::default(),
            line: String::new(),
            memory_limit,
            has_graph: false,
        }
    }

    /// How many sessions there are, why, and the limits that were loaded with.
    fn made(
        slots: Option<usize>,
        limit: Option<u64>,
        is_shared: bool,
    ) -> (usize, String, Vec<u64>) {
        let budget = Budget {
            slots: slots.and_then(NonZeroUsize::new),
            ..Budget::default()
        };
        let lock = Arc::new(Mutex::new(()));
        let mut limits = Vec::new();
        let input = Tensor::new(vec![1, 1], Data::Float32(vec![1.0].into())).unwrap();
        let made = sessions(
            &budget,
            &target(limit),
            1_000,
            |target| {
                limits.push(target.memory_limit.unwrap_or(0));
                let own = Arc::new(Mutex::new(()));
                Ok(OnGpu(match is_shared {
                    true => Arc::clone(&lock),
                    false => own,
                }))
            },
            |_| {
                let warm = Warm {
                    inputs: vec![input],
                    run: Duration::from_millis(2),
                };
                ((), Ok(warm))
            },
        )
        .unwrap();
        (made.engines.len(), made.reason, limits)
    }

    #[test]
    fn a_second_session_stays_where_it_brings_more_and_the_memory_is_divided() {
        let (sessions, reason, limits) = made(None, Some(100_000), false);
        assert_eq!(sessions, 2, "{reason}");
        assert!(reason.starts_with("cuda:1; 2 sessions do "), "{reason}");
        // The first was loaded again with its half.
        assert_eq!(limits, [100_000, 50_000, 50_000]);
    }

    #[test]
    fn one_session_is_enough_where_the_device_is_full_with_it() {
        let (sessions, reason, _) = made(None, Some(100_000), true);
        assert_eq!(sessions, 1);
        assert!(reason.contains("brings only"), "{reason}");
        let (sessions, reason, limits) = made(None, Some(3_000), false);
        assert_eq!((sessions, limits), (1, vec![3_000]));
        assert!(reason.contains("no room for two"), "{reason}");
    }

    #[test]
    fn the_users_number_is_taken() {
        let (sessions, reason, limits) = made(Some(3), Some(90_000), true);
        assert_eq!((sessions, limits), (3, vec![30_000; 3]));
        assert_eq!(reason, "set by the user, on cuda:1");
        let (sessions, _, limits) = made(Some(1), None, false);
        assert_eq!((sessions, limits), (1, vec![0]));
    }
}
