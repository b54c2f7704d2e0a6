//! Floor (b): ONNX Runtime alone, through its C interface: one session, one thread, no spinning,
//! inputs and outputs allocated once.

use std::ffi::{c_char, CString};
use std::ptr;
use std::time::{Duration, Instant};

use ort::environment::Environment;
use ort::session::Session;
use ort::sys::{OrtSession, OrtValue};
use ort::value::{DynValue, Outlet, Tensor, TensorElementType, ValueType};
use ort::AsPointer;
use rustix::time::{clock_gettime, ClockId};

use crate::Result;

/// The word that makes this program run the model in a loop.
pub(crate) const WORD: &str = "run-bare";
/// Runs between two looks at the clock.
const BLOCK: u32 = 256;

/// Runs for a while and prints runs per CPU-second. Words: library, model, seconds.
pub(crate) fn measure(words: &[String]) -> Result<()> {
    let [library, model, seconds] = words else {
        return Err(format!("{WORD} LIBRARY MODEL SECONDS").into());
    };
    let time = Duration::try_from_secs_f64(seconds.parse()?)?;
    let environment = ort::init_from(library)?.with_telemetry(false).build()?;
    let mut session = open(&environment, model)?;
    let (input_names, inputs) = ports(session.inputs())?;
    let (output_names, outputs) = ports(session.outputs())?;
    let bare = Bare {
        session: session.ptr_mut(),
        input_names: input_names.iter().map(|name| name.as_ptr()).collect(),
        inputs: inputs.iter().map(AsPointer::ptr).collect(),
        output_names: output_names.iter().map(|name| name.as_ptr()).collect(),
        outputs: outputs.iter().map(|value| value.ptr().cast_mut()).collect(),
    };
    for _ in 0..10 * BLOCK {
        run(&bare)?;
    }
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let mut runs = 0u64;
    while start.elapsed() < time {
        for _ in 0..BLOCK {
            run(&bare)?;
        }
        runs += u64::from(BLOCK);
    }
    println!("{}", runs as f64 / (cpu_seconds() - cpu));
    Ok(())
}

fn open(environment: &Environment, model: &str) -> ort::Result<Session> {
    Session::builder(environment)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .commit_from_file(model)
}

/// Name and one row of values for each port; only what the benched models have.
fn ports(outlets: &[Outlet]) -> Result<(Vec<CString>, Vec<DynValue>)> {
    let mut names = Vec::new();
    let mut values = Vec::new();
    for outlet in outlets {
        let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
            return Err(format!("port {} is not a tensor", outlet.name()).into());
        };
        let shape: Vec<i64> = shape.iter().map(|size| (*size).max(1)).collect();
        let length = shape.iter().product::<i64>() as usize;
        values.push(match ty {
            TensorElementType::Float32 => {
                Tensor::from_array((shape, vec![5.0f32; length]))?.into_dyn()
            }
            TensorElementType::Int64 => Tensor::from_array((shape, vec![5i64; length]))?.into_dyn(),
            other => return Err(format!("port {} is {other}", outlet.name()).into()),
        });
        names.push(CString::new(outlet.name())?);
    }
    Ok((names, values))
}

/// What the C function takes, laid out once.
struct Bare {
    session: *mut OrtSession,
    input_names: Vec<*const c_char>,
    inputs: Vec<*const OrtValue>,
    output_names: Vec<*const c_char>,
    outputs: Vec<*mut OrtValue>,
}

#[expect(
    unsafe_code,
    reason = "the floor is the C function itself; a safe call costs 1 µs more"
)]
fn run(bare: &Bare) -> Result<()> {
    // The outputs are handed over as a fresh list of pointers, as the function may write to it.
    let mut outputs = [ptr::null_mut(); 8];
    let outputs = outputs
        .get_mut(..bare.outputs.len())
        .ok_or("more than 8 outputs")?;
    outputs.copy_from_slice(&bare.outputs);
    // SAFETY: session, names and values are owned by the caller and outlive the call; the lists
    // are as long as told; every output is a value of the port's type and shape, which the
    // function fills and leaves with its owner; null run options mean the defaults.
    let status = unsafe {
        (ort::api().Run)(
            bare.session,
            ptr::null(),
            bare.input_names.as_ptr(),
            bare.inputs.as_ptr(),
            bare.inputs.len(),
            bare.output_names.as_ptr(),
            bare.output_names.len(),
            outputs.as_mut_ptr(),
        )
    };
    if status.0.is_null() {
        return Ok(());
    }
    // SAFETY: the status is not null and is read, then released, once.
    let text = unsafe {
        let text = std::ffi::CStr::from_ptr((ort::api().GetErrorMessage)(status.0));
        let text = text.to_string_lossy().into_owned();
        (ort::api().ReleaseStatus)(status.0);
        text
    };
    Err(format!("ONNX Runtime: {text}").into())
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
