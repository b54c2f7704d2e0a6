//! ONNX Runtime alone, through its C interface: one session, one thread, no spinning, inputs and
//! outputs allocated once. The floor of a run.
//!
//! A bench that wants it runs itself again as a process on the core that serves: its `main` gives
//! [`child`] the words it was called with.
#![expect(
    clippy::print_stdout,
    reason = "the process says what it measured to the bench that started it"
)]

use std::ffi::{c_char, CStr, CString};
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::ptr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ort::environment::Environment;
use ort::session::Session;
use ort::sys::OrtValue;
use ort::value::{DynValue, Outlet, Tensor, TensorElementType, ValueType};
use ort::AsPointer;
use rustix::time::{clock_gettime, ClockId};

use crate::cores::Cores;
use crate::memory;
use crate::Result;

/// The words that make this program run a model: in a loop, one timed run after the other, or once.
const LOOP: &str = "run-bare";
const TIMES: &str = "time-bare";
const ONCE: &str = "run-bare-once";
/// Most runs between two looks at the clock.
const MOST_IN_A_BLOCK: u32 = 256;
/// Longest time before measuring.
const WARM_UP: Duration = Duration::from_millis(200);
/// Most outputs of a model.
const MOST_OUTPUTS: usize = 16;

/// Sizes of a model's free axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Axes {
    /// The first axis of every port.
    pub first: i64,
    /// The others.
    pub other: i64,
    /// …but for those of these names.
    pub named: Vec<(String, i64)>,
}

impl Axes {
    /// One record whose other free axes have this size.
    #[must_use]
    pub fn one_record(other: i64) -> Self {
        Self {
            first: 1,
            other,
            named: Vec::new(),
        }
    }

    /// Reads what [`fmt::Display`] writes: `8,32,total=33`.
    ///
    /// # Errors
    /// The text is something else.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = text.split(',');
        let mut number = || -> Result<i64> { Ok(parts.next().unwrap_or_default().parse()?) };
        let (first, other) = (number()?, number()?);
        let named = parts
            .map(|part| {
                let (name, size) = part.split_once('=').ok_or("an axis is NAME=SIZE")?;
                Ok((name.to_owned(), size.parse()?))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            first,
            other,
            named,
        })
    }

    fn size(&self, axis: usize, name: &str) -> i64 {
        let named = self.named.iter().find(|(known, _)| known == name);
        match (named, axis) {
            (Some((_, size)), _) => *size,
            (None, 0) => self.first,
            (None, _) => self.other,
        }
    }
}

impl fmt::Display for Axes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.first, self.other)?;
        self.named
            .iter()
            .try_for_each(|(name, size)| write!(f, ",{name}={size}"))
    }
}

/// A model, and how it is run bare.
pub struct Model<'a> {
    /// ONNX Runtime's library.
    pub library: &'a Path,
    /// The file.
    pub file: &'a Path,
    /// Sizes of its free axes.
    pub axes: Axes,
}

impl Model<'_> {
    /// Runs it in a process of its own, on the core that serves, for `time`: runs per CPU-second.
    ///
    /// # Errors
    /// The process does not run it.
    pub fn runs_per_cpu_second(&self, cores: &Cores, time: Duration) -> Result<f64> {
        let said = self.run(cores, LOOP, time)?;
        let last = said.lines().last().unwrap_or_default();
        last.parse()
            .map_err(|_| format!("bare ONNX Runtime did not run: {last}").into())
    }

    /// The same, each run by itself: seconds that it took.
    ///
    /// # Errors
    /// The process does not run it.
    pub fn run_times(&self, cores: &Cores, time: Duration) -> Result<Vec<f64>> {
        let said = self.run(cores, TIMES, time)?;
        let times: std::result::Result<Vec<f64>, _> = said.lines().map(str::parse).collect();
        match times {
            Ok(times) if !times.is_empty() => Ok(times),
            _ => Err(format!("bare ONNX Runtime did not run: {said}").into()),
        }
    }

    /// Runs it once: bytes that memory grew by at most, input and outputs included.
    ///
    /// # Errors
    /// The process does not run it.
    pub fn memory_of_a_run(&self, cores: &Cores) -> Result<u64> {
        let said = self.run(cores, ONCE, Duration::ZERO)?;
        said.trim()
            .parse()
            .map_err(|_| format!("bare ONNX Runtime did not run: {said}").into())
    }

    fn run(&self, cores: &Cores, word: &str, time: Duration) -> Result<String> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg(word)
            .args([self.library, self.file])
            .arg(self.axes.to_string())
            .arg(time.as_secs_f64().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let child = cores.serving(|| Ok(command.spawn()?))?;
        let output = child.wait_with_output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// What the process does that these words start; none where they ask for something else.
#[must_use]
pub fn child(words: &[String]) -> Option<Result<()>> {
    let (word, words) = words.split_first()?;
    let does: fn(&[String]) -> Result<()> = match word.as_str() {
        LOOP => measure,
        TIMES => time,
        ONCE => once,
        _ => return None,
    };
    Some(does(words))
}

fn opened(words: &[String]) -> Result<(Bare, Duration)> {
    let [library, model, axes, seconds] = words else {
        return Err("expected LIBRARY MODEL AXES SECONDS".into());
    };
    let time = Duration::try_from_secs_f64(seconds.parse()?)?;
    Ok((Bare::open(library, model, &Axes::parse(axes)?)?, time))
}

/// Prints runs per CPU-second.
fn measure(words: &[String]) -> Result<()> {
    let (bare, time) = opened(words)?;
    let block = (bare.warm_up()? / 100).clamp(1, MOST_IN_A_BLOCK);
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

/// Prints the seconds of each run, a line each.
fn time(words: &[String]) -> Result<()> {
    let (bare, time) = opened(words)?;
    bare.warm_up()?;
    let mut times = Vec::new();
    let start = Instant::now();
    let mut last = start;
    while last - start < time {
        bare.run()?;
        let now = Instant::now();
        times.push(now - last);
        last = now;
    }
    let mut text = String::new();
    for time in times {
        text.push_str(&format!("{}\n", time.as_secs_f64()));
    }
    print!("{text}");
    Ok(())
}

/// Prints the bytes that one run took, beyond what a run of one record left behind.
fn once(words: &[String]) -> Result<()> {
    let [library, model, axes, _] = words else {
        return Err("expected LIBRARY MODEL AXES SECONDS".into());
    };
    let axes = Axes::parse(axes)?;
    let session = open(environment(library)?, model)?;
    let one = Axes {
        first: 1,
        ..axes.clone()
    };
    let bare = Bare::laid_out(session, &one)?;
    bare.run()?;
    let process = std::process::id();
    let before = memory::resident_bytes(process)?;
    memory::forget_peak(process)?;
    Bare::laid_out(bare.session, &axes)?.run()?;
    println!("{}", memory::peak_bytes(process)?.saturating_sub(before));
    Ok(())
}

/// The one that a process may have: made by the first who asks, before any other does.
fn environment(library: &str) -> Result<&'static Environment> {
    static MADE: OnceLock<Environment> = OnceLock::new();
    if let Some(made) = MADE.get() {
        return Ok(made);
    }
    let made = ort::init_from(library)?.with_telemetry(false).build()?;
    Ok(MADE.get_or_init(|| made))
}

fn open(environment: &Environment, model: &str) -> ort::Result<Session> {
    Session::builder(environment)?
        .with_intra_threads(1)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?
        .commit_from_file(model)
}

/// Name and values for each port; only what the benched models have.
fn ports(outlets: &[Outlet], axes: &Axes) -> Result<(Vec<CString>, Vec<DynValue>)> {
    let mut names = Vec::new();
    let mut values = Vec::new();
    for outlet in outlets {
        let ValueType::Tensor {
            ty,
            shape,
            dimension_symbols,
        } = outlet.dtype()
        else {
            return Err(format!("port {} is not a tensor", outlet.name()).into());
        };
        let sizes = shape.iter().zip(dimension_symbols.iter()).enumerate();
        let shape: Vec<i64> = sizes
            .map(|(axis, (size, name))| match *size {
                0.. => *size,
                _ => axes.size(axis, name),
            })
            .collect();
        let length = shape.iter().product::<i64>() as usize;
        values.push(match ty {
            TensorElementType::Float32 => {
                Tensor::from_array((shape, vec![5.0f32; length]))?.into_dyn()
            }
            TensorElementType::Int32 => Tensor::from_array((shape, vec![1i32; length]))?.into_dyn(),
            TensorElementType::Int64 => Tensor::from_array((shape, vec![1i64; length]))?.into_dyn(),
            other => return Err(format!("port {} is {other}", outlet.name()).into()),
        });
        names.push(CString::new(outlet.name())?);
    }
    Ok((names, values))
}

/// A model and what the C function takes to run it, laid out once.
pub struct Bare {
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
    /// Loads the model and lays out what it takes.
    ///
    /// # Errors
    /// ONNX Runtime refuses, or the model has a port of a kind that no benched model has.
    pub fn open(library: &str, model: &str, axes: &Axes) -> Result<Self> {
        Self::laid_out(open(environment(library)?, model)?, axes)
    }

    fn laid_out(session: Session, axes: &Axes) -> Result<Self> {
        let inputs = ports(session.inputs(), axes)?;
        let outputs = ports(session.outputs(), axes)?;
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

    /// The first runs, which fill caches and arenas; how many there were.
    fn warm_up(&self) -> Result<u32> {
        let begun = Instant::now();
        let mut runs = 0u32;
        while runs < 3 || runs < 10 * MOST_IN_A_BLOCK && begun.elapsed() < WARM_UP {
            self.run()?;
            runs += 1;
        }
        Ok(runs)
    }

    /// One run.
    ///
    /// # Errors
    /// What ONNX Runtime says.
    #[expect(
        unsafe_code,
        reason = "the floor is the C function; a safe call costs 1 µs more"
    )]
    pub fn run(&self) -> Result<()> {
        debug_assert_eq!(self.inputs.1.len(), self.lists.inputs.len());
        // The outputs are handed over as a fresh list, as the function may write to it.
        let mut outputs = [ptr::null_mut(); MOST_OUTPUTS];
        let outputs = outputs
            .get_mut(..self.outputs.1.len())
            .ok_or("more outputs than there is room for")?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_read_as_they_are_written() {
        let axes = Axes {
            first: 8,
            other: 32,
            named: vec![("total".to_owned(), 33)],
        };
        assert_eq!(axes.to_string(), "8,32,total=33");
        assert_eq!(Axes::parse(&axes.to_string()).unwrap(), axes);
        assert_eq!(Axes::parse("1,16").unwrap(), Axes::one_record(16));
        assert_eq!(
            [
                axes.size(0, ""),
                axes.size(1, "past"),
                axes.size(1, "total")
            ],
            [8, 32, 33]
        );
        assert!(Axes::parse("8").is_err() && Axes::parse("8,32,total").is_err());
    }
}
