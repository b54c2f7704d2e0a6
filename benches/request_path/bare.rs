//! Floor (b): ONNX Runtime alone, through its C interface: one session, one thread, no spinning,
//! inputs and outputs allocated once.

use std::ffi::{c_char, CStr, CString};
use std::ptr;
use std::time::{Duration, Instant};

use ort::environment::Environment;
use ort::session::Session;
use ort::sys::OrtValue;
use ort::value::{DynValue, Outlet, Tensor, TensorElementType, ValueType};
use ort::AsPointer;
use rustix::time::{clock_gettime, ClockId};

use crate::Result;

/// The word that makes this program run the model in a loop.
pub(crate) const WORD: &str = "run-bare";
/// Most runs between two looks at the clock.
const MOST_IN_A_BLOCK: u32 = 256;
/// Longest time before measuring.
const WARM_UP: Duration = Duration::from_millis(200);

/// Runs for a while and prints runs per CPU-second. Words: library, model, size of its
/// free axes, seconds.
pub(crate) fn measure(words: &[String]) -> Result<()> {
    let [library, model, free_axis, seconds] = words else {
        return Err(format!("{WORD} LIBRARY MODEL FREE-AXIS SECONDS").into());
    };
    let time = Duration::try_from_secs_f64(seconds.parse()?)?;
    let bare = Bare::open(library, model, free_axis.parse()?)?;
    // The first runs fill caches and arenas, and tell how many lie between two looks at the clock.
    let warm = Instant::now();
    let mut warmed = 0u32;
    while warmed < 3 || warmed < 10 * MOST_IN_A_BLOCK && warm.elapsed() < WARM_UP {
        bare.run()?;
        warmed += 1;
    }
    let block = (warmed / 100).clamp(1, MOST_IN_A_BLOCK);
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let mut runs = 0u64;
    while start.elapsed() < time {
        for _ in 0..block {
            bare.run()?;
        }
        runs += u64::from(block);
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

/// Name and one row of values for each port; only what the benched models have. The first axis is 1
/// where it is free, every other free one `free_axis`.
fn ports(outlets: &[Outlet], free_axis: i64) -> Result<(Vec<CString>, Vec<DynValue>)> {
    let mut names = Vec::new();
    let mut values = Vec::new();
    for outlet in outlets {
        let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
            return Err(format!("port {} is not a tensor", outlet.name()).into());
        };
        let sizes = shape.iter().enumerate();
        let shape: Vec<i64> = sizes
            .map(|(axis, size)| match (*size, axis) {
                (0.., _) => *size,
                (_, 0) => 1,
                (_, _) => free_axis,
            })
            .collect();
        let length = shape.iter().product::<i64>() as usize;
        values.push(match ty {
            TensorElementType::Float32 => {
                Tensor::from_array((shape, vec![5.0f32; length]))?.into_dyn()
            }
            TensorElementType::Int64 => Tensor::from_array((shape, vec![1i64; length]))?.into_dyn(),
            other => return Err(format!("port {} is {other}", outlet.name()).into()),
        });
        names.push(CString::new(outlet.name())?);
    }
    Ok((names, values))
}

/// A model and what the C function takes to run it, laid out once.
pub(crate) struct Bare {
    session: Session,
    inputs: (Vec<CString>, Vec<DynValue>),
    outputs: (Vec<CString>, Vec<DynValue>),
    lists: Lists,
}

/// Pointers into [`Bare`]'s own names and values.
struct Lists {
    input_names: Vec<*const c_char>,
    inputs: Vec<*const OrtValue>,
    output_names: Vec<*const c_char>,
    outputs: Vec<*mut OrtValue>,
}

impl Bare {
    pub(crate) fn open(library: &str, model: &str, free_axis: i64) -> Result<Self> {
        let environment = ort::init_from(library)?.with_telemetry(false).build()?;
        let session = open(&environment, model)?;
        let inputs = ports(session.inputs(), free_axis)?;
        let outputs = ports(session.outputs(), free_axis)?;
        // Names and values live on the heap: moving their lists does not move them.
        let lists = Lists {
            input_names: inputs.0.iter().map(|name| name.as_ptr()).collect(),
            inputs: inputs.1.iter().map(AsPointer::ptr).collect(),
            output_names: outputs.0.iter().map(|name| name.as_ptr()).collect(),
            outputs: outputs
                .1
                .iter()
                .map(|value| value.ptr().cast_mut())
                .collect(),
        };
        Ok(Self {
            session,
            inputs,
            outputs,
            lists,
        })
    }

    #[expect(
        unsafe_code,
        reason = "the floor is the C function; a safe call costs 1 µs more"
    )]
    pub(crate) fn run(&self) -> Result<()> {
        debug_assert_eq!(self.inputs.1.len(), self.lists.inputs.len());
        // The outputs are handed over as a fresh list, as the function may write to it.
        let mut outputs = [ptr::null_mut(); 8];
        let outputs = outputs
            .get_mut(..self.outputs.1.len())
            .ok_or("more than 8 outputs")?;
        outputs.copy_from_slice(&self.lists.outputs);
        // SAFETY: session, names and values are owned by `self`; the lists are as long as told;
        // every output is a value of the port's type and shape, which the function fills and
        // leaves with its owner; null run options mean the defaults. `Bare` holds raw pointers, so
        // it stays on one thread: no two runs at a time.
        let status = unsafe {
            (ort::api().Run)(
                self.session.ptr().cast_mut(),
                ptr::null(),
                self.lists.input_names.as_ptr(),
                self.lists.inputs.as_ptr(),
                self.lists.inputs.len(),
                self.lists.output_names.as_ptr(),
                self.lists.output_names.len(),
                outputs.as_mut_ptr(),
            )
        };
        if status.0.is_null() {
            return Ok(());
        }
        // SAFETY: the status is not null and is read, then released, once.
        let text = unsafe {
            let text = CStr::from_ptr((ort::api().GetErrorMessage)(status.0));
            let text = text.to_string_lossy().into_owned();
            (ort::api().ReleaseStatus)(status.0);
            text
        };
        Err(format!("ONNX Runtime: {text}").into())
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
