//! Runs of plain numbers on the host, by ONNX Runtime's own functions.
//!
//! What the `ort` crate keeps of each value (its type, names of axes, a place in memory, an allocator)
//! is asked of the runtime anew in every run. For a model of microseconds that is a third of the run, so
//! runs that need none of it go past the crate. Whatever is not plain declines: strings, sequences and
//! maps, empty axes, and devices.

use std::ffi::{c_char, c_void, CString};
use std::ptr::{self, NonNull};

use ort::memory::MemoryInfo;
use ort::session::{RunOptions, Session};
use ort::sys::OrtValue;
use ort::value::{DynTensorValueType, DynValue, TensorElementType};
use ort::AsPointer;

use half::{bf16, f16};

use super::ports::element_type;
use super::values::{self, COPY_UP_TO};
use crate::each_type;
use crate::tensor::{Data, ElementType, Tensor};

/// What every run of a session takes, laid out once.
pub(super) struct Bare {
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// Where inputs lie: in the host's memory.
    host: MemoryInfo<'static>,
}

struct Port {
    name: CString,
    element: ElementType,
}

impl Bare {
    /// `None` where a port is no tensor of numbers.
    pub(super) fn of(session: &Session) -> Option<Self> {
        let port = |name: &str, kind: Option<TensorElementType>| {
            let element = element_type(kind?).filter(|element| *element != ElementType::String)?;
            let name = CString::new(name).ok()?;
            Some(Port { name, element })
        };
        let ports = |outlets: &[ort::value::Outlet]| {
            let ports = outlets
                .iter()
                .map(|outlet| port(outlet.name(), outlet.dtype().tensor_type()));
            ports.collect::<Option<Vec<_>>>()
        };
        Some(Self {
            inputs: ports(session.inputs())?,
            outputs: ports(session.outputs())?,
            host: MemoryInfo::default(),
        })
    }

    /// Whether it can run these.
    pub(super) fn fits(&self, inputs: &[Tensor]) -> bool {
        let fits = |(port, input): (&Port, &Tensor)| {
            port.element == input.data().element_type() && !input.shape().contains(&0)
        };
        inputs.len() == self.inputs.len() && self.inputs.iter().zip(inputs).all(fits)
    }

    /// Runs what [`Bare::fits`]; the outputs in the model's order.
    #[expect(unsafe_code, reason = "the run is a function of C")]
    pub(super) fn run(
        &self,
        session: &mut Session,
        options: Option<&RunOptions>,
        inputs: &[Tensor],
    ) -> ort::Result<Vec<Tensor>> {
        let given: Vec<Held> = inputs
            .iter()
            .map(|input| self.lent(input))
            .collect::<ort::Result<_>>()?;
        let values: Vec<*const OrtValue> = given.iter().map(|held| held.0.cast_const()).collect();
        let mut outputs: Vec<Held> = self.outputs.iter().map(|_| Held(ptr::null_mut())).collect();
        let options = options.map_or(ptr::null(), AsPointer::ptr);
        // SAFETY: names and values are as many as said and outlive the call; each output is null, so
        // that the runtime allocates it, and a `Held` is a pointer and nothing else. The session is
        // lent to this run alone.
        let status = unsafe {
            (ort::api().Run)(
                session.ptr().cast_mut(),
                options,
                names(&self.inputs).as_ptr(),
                values.as_ptr(),
                values.len(),
                names(&self.outputs).as_ptr(),
                outputs.len(),
                outputs.as_mut_ptr().cast(),
            )
        };
        done(status)?;
        outputs
            .into_iter()
            .map(|output| taken(output, session))
            .collect()
    }

    /// A tensor of numbers as a value of the runtime, in place.
    #[expect(unsafe_code, reason = "the value is made by a function of C")]
    fn lent(&self, tensor: &Tensor) -> ort::Result<Held> {
        let shape: Vec<i64> = tensor.shape().iter().map(|&size| size as i64).collect();
        let kind = code(tensor.data().element_type());
        let (data, bytes) = each_type!(tensor.data(), buffer => {
            (buffer.as_ptr().cast::<c_void>(), size_of_val(&**buffer))
        });
        let mut held = Held(ptr::null_mut());
        // SAFETY: the elements are numbers of this type, as many as the shape says, which is what a
        // `Tensor` is; the value is gone before the run returns, and the runtime only reads inputs.
        let status = unsafe {
            (ort::api().CreateTensorWithDataAsOrtValue)(
                self.host.ptr(),
                data.cast_mut(),
                bytes,
                shape.as_ptr(),
                shape.len(),
                kind.into(),
                &mut held.0,
            )
        };
        done(status)?;
        Ok(held)
    }
}

/// A value of the runtime's, or null. Released when dropped.
#[repr(transparent)]
struct Held(*mut OrtValue);

impl Drop for Held {
    #[expect(unsafe_code, reason = "a value of C is to be released by hand")]
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: it is this one's own, and is not used again.
            unsafe { (ort::api().ReleaseValue)(self.0) };
        }
    }
}

fn names(ports: &[Port]) -> Vec<*const c_char> {
    ports.iter().map(|port| port.name.as_ptr()).collect()
}

#[expect(unsafe_code, reason = "a status is to be released by hand")]
fn done(status: ort::sys::OrtStatusPtr) -> ort::Result<()> {
    // SAFETY: the status is what a function of the runtime has just returned.
    unsafe { ort::Error::result_from_status(status) }
}

/// An output as a tensor: copied where it is short, in the runtime's buffer otherwise.
#[expect(unsafe_code, reason = "the output is looked at by functions of C")]
fn taken(mut output: Held, session: &Session) -> ort::Result<Tensor> {
    let api = ort::api();
    let (kind, shape) = described(&output)?;
    let count = shape.iter().product::<usize>();
    if count > COPY_UP_TO {
        let pointer = std::mem::replace(&mut output.0, ptr::null_mut());
        let pointer = NonNull::new(pointer).ok_or_else(|| ort::Error::new("no output"))?;
        // SAFETY: the value is a tensor of this session, and nobody else's any more.
        let value = unsafe { DynValue::from_ptr(pointer, Some(session.allocator())) };
        return values::tensor(value.downcast::<DynTensorValueType>()?);
    }
    let mut data = ptr::null_mut();
    // SAFETY: the value is a tensor, and the out-pointer is valid.
    done(unsafe { (api.GetTensorMutableData)(output.0, &mut data) })?;
    /// # Safety
    /// `data` points at `count` elements of this type, or there are none.
    unsafe fn copy<T: Copy>(data: *const c_void, count: usize) -> Vec<T> {
        match count {
            0 => Vec::new(),
            // SAFETY: as above; the runtime aligns what it allocates for any element.
            _ => unsafe { std::slice::from_raw_parts(data.cast::<T>(), count) }.to_vec(),
        }
    }
    // SAFETY: the type is the one that the runtime says, and so is the number of elements.
    let data = unsafe {
        match kind {
            TensorElementType::Bool => Data::Bool(copy(data, count).into()),
            TensorElementType::Int8 => Data::Int8(copy(data, count).into()),
            TensorElementType::Int16 => Data::Int16(copy(data, count).into()),
            TensorElementType::Int32 => Data::Int32(copy(data, count).into()),
            TensorElementType::Int64 => Data::Int64(copy(data, count).into()),
            TensorElementType::Uint8 => Data::Uint8(copy(data, count).into()),
            TensorElementType::Uint16 => Data::Uint16(copy(data, count).into()),
            TensorElementType::Uint32 => Data::Uint32(copy(data, count).into()),
            TensorElementType::Uint64 => Data::Uint64(copy(data, count).into()),
            TensorElementType::Float16 => Data::Float16(copy::<f16>(data, count).into()),
            TensorElementType::Bfloat16 => Data::BFloat16(copy::<bf16>(data, count).into()),
            TensorElementType::Float32 => Data::Float32(copy(data, count).into()),
            TensorElementType::Float64 => Data::Float64(copy(data, count).into()),
            other => return Err(values::uncarried(other)),
        }
    };
    Tensor::new(shape, data).map_err(|error| ort::Error::new(error.to_string()))
}

/// Element type and shape of a tensor.
#[expect(unsafe_code, reason = "they are behind functions of C")]
fn described(tensor: &Held) -> ort::Result<(TensorElementType, Vec<usize>)> {
    /// Released when dropped.
    struct Info(*mut ort::sys::OrtTensorTypeAndShapeInfo);
    impl Drop for Info {
        fn drop(&mut self) {
            // SAFETY: it is this one's own, and is not used again; releasing null does nothing.
            unsafe { (ort::api().ReleaseTensorTypeAndShapeInfo)(self.0) };
        }
    }
    let api = ort::api();
    let mut info = Info(ptr::null_mut());
    let mut kind = ort::sys::ONNXTensorElementDataType::ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    let mut rank = 0;
    // SAFETY: the value is an output of a run that went well, each out-pointer is valid, and `sizes` has
    // room for as many as it is said to.
    let sizes = unsafe {
        done((api.GetTensorTypeAndShape)(tensor.0, &mut info.0))?;
        done((api.GetTensorElementType)(info.0, &mut kind))?;
        done((api.GetDimensionsCount)(info.0, &mut rank))?;
        let mut sizes = vec![0_i64; rank];
        done((api.GetDimensions)(info.0, sizes.as_mut_ptr(), rank))?;
        sizes
    };
    let shape = sizes
        .into_iter()
        .map(|size| usize::try_from(size).unwrap_or(0));
    Ok((kind.into(), shape.collect()))
}

/// The runtime's word for it.
fn code(element: ElementType) -> TensorElementType {
    match element {
        ElementType::Bool => TensorElementType::Bool,
        ElementType::Int8 => TensorElementType::Int8,
        ElementType::Int16 => TensorElementType::Int16,
        ElementType::Int32 => TensorElementType::Int32,
        ElementType::Int64 => TensorElementType::Int64,
        ElementType::Uint8 => TensorElementType::Uint8,
        ElementType::Uint16 => TensorElementType::Uint16,
        ElementType::Uint32 => TensorElementType::Uint32,
        ElementType::Uint64 => TensorElementType::Uint64,
        ElementType::Float16 => TensorElementType::Float16,
        ElementType::BFloat16 => TensorElementType::Bfloat16,
        ElementType::Float32 => TensorElementType::Float32,
        ElementType::Float64 => TensorElementType::Float64,
        ElementType::String => TensorElementType::String,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::ort::prepared;
    use crate::runtime::warmup::{spread, warm_up};
    use crate::runtime::Engine;
    use crate::tensor::Value;

    /// More records than outputs that are copied have elements.
    const MANY: usize = COPY_UP_TO + 1;

    #[test]
    fn bare_runs_give_and_refuse_what_the_crate_does() {
        let mut elements = Vec::new();
        let (mut count, mut refused, mut large) = (0, 0, 0);
        for fixture in [
            "add_f16", "bf16", "concat", "div", "expand", "gather", "mix", "not", "rank", "scalar",
            "sum4",
        ] {
            let mut engine = prepared::engine(fixture);
            // Of strings.
            if !engine.set_bare(true) {
                continue;
            }
            count += 1;
            let signature = std::sync::Arc::clone(engine.signature());
            let warm = warm_up(&mut engine, &signature);
            let one = warm
                .unwrap_or_else(|error| panic!("{fixture}: {error:?}"))
                .inputs;
            // One more axis than there are.
            let unfit = one.iter().map(|tensor| {
                let shape = [&[1], tensor.shape()].concat();
                let data = match tensor.data() {
                    Data::Float32(numbers) => Data::Float32(numbers.to_vec().into()),
                    Data::Int64(numbers) => Data::Int64(numbers.to_vec().into()),
                    _ => return None,
                };
                Tensor::new(shape, data).ok()
            });
            let unfit = unfit.collect::<Option<Vec<_>>>();
            let inputs = [spread(&one, 1), spread(&one, 3), spread(&one, MANY), unfit];
            for inputs in inputs.iter().flatten().chain([&one]) {
                engine.set_bare(true);
                assert!(engine.fits_bare(inputs), "{fixture}");
                let bare = engine.run(inputs);
                engine.set_bare(false);
                assert_eq!(bare, engine.run(inputs), "{fixture}");
                match bare {
                    Err(_) => refused += 1,
                    Ok(outputs) => {
                        for output in outputs {
                            let Value::Tensor(output) = output else {
                                panic!("{fixture}: {output:?}");
                            };
                            elements.push(output.data().element_type());
                            large += usize::from(output.data().len() > COPY_UP_TO);
                        }
                    }
                }
            }
        }
        for element in [
            ElementType::Float16,
            ElementType::BFloat16,
            ElementType::Bool,
            ElementType::Int64,
            ElementType::Float32,
        ] {
            assert!(elements.contains(&element), "{element:?}: {elements:?}");
        }
        assert!(
            count > 7 && refused > 2 && large > 2,
            "{count} {refused} {large}"
        );
    }

    #[test]
    fn an_output_that_is_an_input_has_memory_of_its_own() {
        let mut engine = prepared::engine("through");
        for is_bare in [true, false] {
            engine.set_bare(is_bare);
            let inputs = [Tensor::new(vec![MANY], Data::Float32(vec![1.0; MANY].into())).unwrap()];
            let start =
                |tensor: &Tensor| each_type!(tensor.data(), buffer => buffer.as_ptr().addr());
            for output in engine.run(&inputs).unwrap() {
                let Value::Tensor(output) = output else {
                    panic!("{output:?}");
                };
                assert_ne!(start(&output), start(&inputs[0]), "{is_bare}");
            }
        }
    }
}
