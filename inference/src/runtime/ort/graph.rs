//! Runs of one shape that are replayed as a CUDA graph.
//!
//! A graph is the sequence of a run's kernels with the addresses that they read and write, launched
//! at once. So inputs and outputs lie in buffers of the device that stay where they are; each run
//! copies into them and out of them. Runs of another shape are plain runs.

use std::ffi::{c_int, c_void};

use libloading::Library;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, Session};
use ort::value::{DynTensor, DynTensorValueType, TensorElementType};

use super::values::{input_value, tensor};
use crate::device::Target;
use crate::model::{Dim, Port, Signature};
use crate::tensor::{ElementType, Tensor, Value};

/// An option of a plain run on a session with graphs: neither capture nor replay one.
pub(super) const PLAIN: (&str, &str) = ("gpu_graph_id", "-1");

/// The shape of a port's tensor in every replay.
type Shape = Vec<usize>;

/// Buffers that stay, and the session's binding to them.
pub(super) struct Graph {
    binding: IoBinding,
    inputs: Vec<(Shape, DynTensor)>,
    outputs: Vec<DynTensor>,
    copies: Copies,
}

/// The shapes of a model that can be replayed: all axes fixed, but for a first one of records, which
/// is then 1.
///
/// # Errors
/// The first port that is not so, as one phrase.
pub(super) fn shapes(signature: &Signature) -> Result<[Vec<Shape>; 2], String> {
    let shape = |direction: &str, port: &Port| -> Result<Shape, String> {
        let unfit = |what: &str| {
            format!(
                "a CUDA graph takes a model whose shapes are fixed but for the number of records, and {direction} {} {what}; expected PLIMSOLL_CUDA_GRAPH=off",
                port.name
            )
        };
        match port.tensor() {
            None => Err(unfit("is no tensor")),
            Some((ElementType::String, _)) => Err(unfit("is of strings")),
            Some((_, None)) => Err(unfit("is of any shape")),
            Some((_, Some(dims))) => {
                let axes = dims.iter().enumerate();
                axes.map(|(axis, dim)| match dim {
                    Dim::Fixed(size) => Ok(*size),
                    _ if axis == 0 => Ok(1),
                    _ => Err(unfit(&format!("has a free axis {axis}"))),
                })
                .collect()
            }
        }
    };
    let all = |direction, ports: &[Port]| -> Result<Vec<Shape>, String> {
        ports.iter().map(|port| shape(direction, port)).collect()
    };
    Ok([
        all("input", &signature.inputs)?,
        all("output", &signature.outputs)?,
    ])
}

impl Graph {
    /// Buffers on the device, or in the host's memory without one. `elements` are the types of
    /// inputs and outputs.
    pub(super) fn new(
        session: &Session,
        [inputs, outputs]: [Vec<Shape>; 2],
        target: Option<&Target>,
    ) -> ort::Result<Self> {
        let device = match target {
            None => AllocationDevice::CPU,
            Some(_) => AllocationDevice::CUDA,
        };
        let index = target.map_or(0, |target| target.index as c_int);
        let memory = MemoryInfo::new(device, index, AllocatorType::Device, MemoryType::Default)?;
        let allocator = Allocator::new(session, memory)?;
        let buffer = |kind: Option<TensorElementType>, shape: &Shape| {
            let kind = kind.ok_or_else(|| ort::Error::new("a port is no tensor"))?;
            let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
            DynTensor::new(&allocator, kind, shape)
        };
        let mut binding = session.create_binding()?;
        let inputs = session
            .inputs()
            .iter()
            .zip(inputs)
            .map(|(port, shape)| {
                let held = buffer(port.dtype().tensor_type(), &shape)?;
                binding.bind_input(port.name(), &held)?;
                Ok((shape, held))
            })
            .collect::<ort::Result<Vec<_>>>()?;
        let outputs = session
            .outputs()
            .iter()
            .zip(outputs)
            .map(|(port, shape)| {
                let mut held = buffer(port.dtype().tensor_type(), &shape)?;
                binding.bind_output(port.name(), &mut held)?;
                Ok(held)
            })
            .collect::<ort::Result<Vec<_>>>()?;
        Ok(Self {
            binding,
            inputs,
            outputs,
            copies: match target {
                None => Copies::Host,
                Some(_) => Copies::cuda()?,
            },
        })
    }

    /// Whether a run of these is one of the graph's.
    pub(super) fn fits(&self, inputs: &[Tensor]) -> bool {
        let same = |(input, (shape, _)): (&Tensor, &(Shape, DynTensor))| input.shape() == shape;
        inputs.len() == self.inputs.len() && inputs.iter().zip(&self.inputs).all(same)
    }

    /// Copies in, runs, copies out.
    pub(super) fn run(
        &mut self,
        session: &mut Session,
        inputs: &[Tensor],
    ) -> ort::Result<Vec<Value>> {
        for (input, (_, held)) in inputs.iter().zip(&mut self.inputs) {
            let given = input_value(input)?;
            let given = given.view().downcast::<DynTensorValueType>()?;
            self.copies
                .copy(held.data_ptr_mut(), given.data_ptr(), input.bytes())?;
        }
        session.run_binding(&self.binding)?;
        let host = Allocator::default();
        let take = |held: &DynTensor| {
            let mut own = DynTensor::new(&host, *held.data_type(), held.shape().clone())?;
            let bytes = held.size().unwrap_or(0);
            self.copies
                .copy(own.data_ptr_mut(), held.data_ptr(), bytes)?;
            tensor(own).map(Value::Tensor)
        };
        self.outputs.iter().map(take).collect()
    }
}

/// How far a replay may be from a plain run, which may choose other kernels.
const TOLERANCE: f64 = 1e-2;

/// Whether two runs' outputs are the same but for rounding.
pub(super) fn are_alike(plain: &[Value], replayed: &[Value]) -> bool {
    let near = |a: &f64, b: &f64| {
        a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= TOLERANCE * (1.0 + a.abs())
    };
    let alike = |(plain, replayed): (&Value, &Value)| match (plain, replayed) {
        (Value::Tensor(plain), Value::Tensor(replayed)) => {
            plain.shape() == replayed.shape()
                && match (plain.data().floats(), replayed.data().floats()) {
                    (Some(a), Some(b)) => a.iter().zip(&b).all(|(a, b)| near(a, b)),
                    _ => plain.data() == replayed.data(),
                }
        }
        _ => false,
    };
    plain.len() == replayed.len() && plain.iter().zip(replayed).all(alike)
}

type Memcpy = unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int;
type Synchronize = unsafe extern "C" fn() -> c_int;

/// `cudaMemcpyDefault`: where the addresses lie is told by themselves.
const BY_ADDRESS: c_int = 4;

/// What copies between the host and the buffers.
enum Copies {
    Host,
    Cuda {
        memcpy: Memcpy,
        synchronize: Synchronize,
    },
}

impl Copies {
    /// Of the CUDA runtime that the provider uses, which is loaded already.
    #[expect(unsafe_code, reason = "the CUDA runtime is a C library")]
    fn cuda() -> ort::Result<Self> {
        let missing = |_| ort::Error::new("the CUDA runtime has no cudaMemcpy");
        for name in ["libcudart.so.13", "libcudart.so.12"] {
            // SAFETY: only a library that is in the process already is taken, whose initialisers have
            // run; the functions' signatures are fixed by CUDA's runtime API, and the library is
            // never closed.
            unsafe {
                let Ok(library) = loaded(name) else { continue };
                let memcpy = *library.get::<Memcpy>(b"cudaMemcpy").map_err(missing)?;
                let synchronize = *library
                    .get::<Synchronize>(b"cudaDeviceSynchronize")
                    .map_err(missing)?;
                std::mem::forget(library);
                return Ok(Self::Cuda {
                    memcpy,
                    synchronize,
                });
            }
        }
        Err(ort::Error::new("the CUDA runtime is not loaded"))
    }

    #[expect(unsafe_code, reason = "the buffers are the device's")]
    fn copy(&self, to: *mut c_void, from: *const c_void, bytes: usize) -> ort::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let code = match self {
            Self::Host => {
                // SAFETY: both are tensors of as many bytes, of the same type and shape, and two.
                unsafe { std::ptr::copy_nonoverlapping(from.cast::<u8>(), to.cast::<u8>(), bytes) };
                0
            }
            Self::Cuda {
                memcpy,
                synchronize,
            } => {
                // SAFETY: as above, on either side. A copy from pageable memory may still be on its
                // way when the call returns, and the session's stream does not wait for it.
                unsafe {
                    match memcpy(to, from, bytes, BY_ADDRESS) {
                        0 => synchronize(),
                        code => code,
                    }
                }
            }
        };
        match code {
            0 => Ok(()),
            code => Err(ort::Error::new(format!(
                "CUDA failure {code}: a copy between host and device failed"
            ))),
        }
    }
}

/// A library that is in the process already.
///
/// # Safety
/// As of [`Library::new`]; no initialiser runs.
#[expect(unsafe_code, reason = "the process's libraries are the loader's")]
unsafe fn loaded(name: &str) -> Result<Library, libloading::Error> {
    use libloading::os::unix::{Library as Unix, RTLD_LAZY};
    const NOLOAD: c_int = libc::RTLD_NOLOAD;
    // SAFETY: nothing is loaded.
    unsafe { Unix::open(Some(name), RTLD_LAZY | NOLOAD) }.map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PortType;
    use crate::runtime::ort::prepared;
    use crate::tensor::Data;

    fn port(dims: Option<Vec<Dim>>, element: ElementType) -> Port {
        Port {
            name: "x".to_owned(),
            kind: PortType::Tensor { element, dims },
        }
    }

    #[test]
    fn shapes_are_fixed_but_for_the_number_of_records() {
        let of = |dims, element| {
            let signature = Signature {
                inputs: vec![port(dims, element)],
                outputs: vec![port(Some(vec![Dim::Free]), ElementType::Float32)],
            };
            shapes(&signature)
        };
        let symbol = || Dim::Symbol("n".to_owned());
        let float = ElementType::Float16;
        assert_eq!(
            of(Some(vec![symbol(), Dim::Fixed(4)]), float).unwrap(),
            [vec![vec![1, 4]], vec![vec![1]]]
        );
        assert_eq!(
            of(Some(vec![Dim::Fixed(8), Dim::Fixed(4)]), float).unwrap()[0],
            [[8, 4]]
        );
        for (dims, element, expected) in [
            (
                Some(vec![Dim::Fixed(1), symbol()]),
                float,
                "input x has a free axis 1",
            ),
            (None, float, "is of any shape"),
            (Some(vec![Dim::Free]), ElementType::String, "is of strings"),
        ] {
            let refused = of(dims, element).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
            assert!(
                refused.contains("expected PLIMSOLL_CUDA_GRAPH=off"),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_replay_may_round_otherwise_and_nothing_else() {
        let of = |values: &[f32]| {
            let data = Data::Float32(values.to_vec().into());
            vec![Value::Tensor(
                Tensor::new(vec![values.len()], data).unwrap(),
            )]
        };
        assert!(are_alike(&of(&[1.0, f32::NAN]), &of(&[1.001, f32::NAN])));
        assert!(!are_alike(&of(&[1.0]), &of(&[1.1])));
        assert!(!are_alike(&of(&[1.0]), &of(&[1.0, 1.0])));
        assert!(!are_alike(&of(&[1.0]), &[]));
    }

    /// The buffers and the binding, with the host as the device.
    #[test]
    fn a_run_through_buffers_that_stay_gives_what_a_plain_run_gives() {
        let mut engine = prepared::engine("sum4");
        let shapes = shapes(engine.signature()).unwrap();
        let session = engine.session();
        let mut graph = Graph::new(session, shapes, None).unwrap();
        let row = |shape: &[usize], values: &[f32]| {
            [Tensor::new(shape.to_vec(), Data::Float32(values.to_vec().into())).unwrap()]
        };
        for (values, sum) in [([1., 2., 3., 4.], 10.), ([0.5; 4], 2.), ([-1.; 4], -4.)] {
            let inputs = row(&[1, 4], &values);
            assert!(graph.fits(&inputs));
            let outputs = graph.run(session, &inputs).unwrap();
            let sum = Tensor::new(vec![1, 1], Data::Float32(vec![sum].into())).unwrap();
            assert_eq!(outputs, [Value::Tensor(sum)]);
        }
        assert!(!graph.fits(&row(&[2, 4], &[0.; 8])));
        assert!(!graph.fits(&[]));
    }
}
