//! What a failed run says of the memory and of the device. Text in, kind out.

use super::reason::last_cause;
use super::RunError;

/// CUDA's errors (`cudaError_t`) after which a context, or the device, cannot be used again: every
/// further call gives them back.
const LOST: [u32; 21] = [
    // The driver is going, or there is no such device any more.
    4, 46, 100, 101, 201, 709, 802, 803, // ECC, NVLink and other hardware errors.
    214, 220, 226, 714, 721,
    // What a kernel did: access, time limit, assert, instruction, alignment, address, counter, launch.
    700, 702, 710, 715, 716, 717, 718, 719,
];
/// It says as little as it can, and comes again like the others.
const UNKNOWN: u32 = 999;

/// The same where there is no number.
const LOST_WORDS: [&str; 8] = [
    "illegal memory access",
    "unspecified launch failure",
    "device-side assert",
    "misaligned address",
    "uncorrectable ecc",
    "fallen off the bus",
    "device is lost",
    "context is destroyed",
];

const MEMORY_WORDS: [&str; 7] = [
    "bad_alloc",
    "failed to allocate memory",
    "out of memory",
    "smaller than requested bytes",
    "status_alloc_failed",
    "allocation_failed",
    "cuda failure 2:",
];

/// The error of a run that failed with this message.
pub(super) fn run_error(message: &str, is_on_gpu: bool) -> RunError {
    let lower = message.to_ascii_lowercase();
    if is_on_gpu && is_lost(&lower) {
        return RunError::DeviceLost(device_cause(message));
    }
    let is_memory = MEMORY_WORDS.iter().any(|word| lower.contains(word));
    let cause = match is_on_gpu {
        true => device_cause(message),
        false => last_cause(message),
    };
    match is_memory {
        true => RunError::OutOfMemory(cause),
        false => RunError::Failed(cause),
    }
}

/// Whether a message is one of memory.
pub(super) fn is_out_of_memory(message: &str) -> bool {
    matches!(run_error(message, true), RunError::OutOfMemory(_))
}

fn is_lost(lower: &str) -> bool {
    match number(lower) {
        Some(number) => number == UNKNOWN || LOST.contains(&number),
        None => LOST_WORDS.iter().any(|word| lower.contains(word)),
    }
}

/// The number of CUDA's own error.
fn number(lower: &str) -> Option<u32> {
    let (_, rest) = lower.split_once("cuda failure ")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest.get(..digits)?.parse().ok()
}

/// `CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=… ; file=…` up to
/// where the machine's and the source's names begin.
fn device_cause(message: &str) -> String {
    for kind in ["CUDA failure ", "CUBLAS failure ", "CUDNN failure "] {
        if let Some(at) = message.find(kind) {
            let text = message.get(at..).unwrap_or_default();
            let end = text.find([';', '\n']).unwrap_or(text.len());
            return text.get(..end).unwrap_or_default().trim().to_owned();
        }
    }
    last_cause(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuda(number: u32, text: &str) -> String {
        format!("Non-zero status code returned while running Conv node. Name:'c' Status Message: /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:129 std::conditional_t<…> onnxruntime::CudaCall(…) CUDA failure {number}: {text} ; GPU=0 ; hostname=ip-10-0-0-7 ; file=/onnxruntime_src/x.cc ; line=42 ; expr=cudaStreamSynchronize(stream); ")
    }

    #[test]
    fn a_device_that_cannot_be_used_again_is_told_from_one_that_is_full() {
        for (message, expected) in [
            (
                cuda(700, "an illegal memory access was encountered"),
                RunError::DeviceLost(
                    "CUDA failure 700: an illegal memory access was encountered".to_owned(),
                ),
            ),
            (
                cuda(719, "unspecified launch failure"),
                RunError::DeviceLost("CUDA failure 719: unspecified launch failure".to_owned()),
            ),
            (
                cuda(999, "unknown error"),
                RunError::DeviceLost("CUDA failure 999: unknown error".to_owned()),
            ),
            (
                cuda(2, "out of memory"),
                RunError::OutOfMemory("CUDA failure 2: out of memory".to_owned()),
            ),
            (
                cuda(1, "invalid argument"),
                RunError::Failed("CUDA failure 1: invalid argument".to_owned()),
            ),
            (
                "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=h".to_owned(),
                RunError::OutOfMemory("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED".to_owned()),
            ),
        ] {
            assert_eq!(run_error(&message, true), expected);
        }
        let arena = "Failed to allocate memory for requested buffer of size 4294967296";
        assert!(is_out_of_memory(arena));
        let arena = "Available memory of 100 is smaller than requested bytes of 4096";
        assert!(is_out_of_memory(arena));
        let words = "the GPU has fallen off the bus";
        assert!(matches!(run_error(words, true), RunError::DeviceLost(_)));
    }

    #[test]
    fn nothing_is_lost_on_a_cpu_and_no_name_of_the_machine_is_told() {
        let message = cuda(700, "an illegal memory access was encountered");
        assert!(matches!(run_error(&message, false), RunError::Failed(_)));
        for number in LOST {
            let RunError::DeviceLost(cause) = run_error(&cuda(number, "text"), true) else {
                panic!("{number} is not lost");
            };
            assert!(
                !cause.contains("hostname") && !cause.contains("/onnx"),
                "{cause}"
            );
        }
    }
}
