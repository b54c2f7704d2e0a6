//! The whole policy, as a table.

use super::*;

fn gpu(name: &str) -> Gpu {
    Gpu {
        name: Some(name.to_owned()),
        memory_bytes: Some(24_000_000_000),
        free_bytes: Some(20_000_000_000),
        is_slice: false,
    }
}

fn gpus(count: usize) -> Gpus {
    Gpus {
        devices: (0..count).map(|n| gpu(&format!("NVIDIA {n}"))).collect(),
        driver: Some("580.82.07".to_owned()),
        cuda: Some(Version {
            major: 13,
            minor: 0,
        }),
        absent: None,
    }
}

fn none(why: &str) -> Gpus {
    Gpus {
        absent: Some(why.to_owned()),
        ..Gpus::default()
    }
}

fn library(has_cuda: bool) -> Library {
    Library {
        name: "/lib/libonnxruntime.so (ONNX Runtime 1.31.1)".to_owned(),
        has_cuda,
        has_tensorrt: has_cuda,
    }
}

fn found(_: Provider) -> Result<Found, String> {
    Ok(Found {
        library: "libonnxruntime_providers_cuda.so".to_owned(),
        cuda: Some(Version::of_cuda(13_000)),
        cudnn: Some("9.14.0".to_owned()),
    })
}

fn missing(_: Provider) -> Result<Found, String> {
    Err("libcublasLt.so.13 is missing".to_owned())
}

/// What is expected of a choice.
enum Is<'t> {
    Gpu(u32, Provider),
    Quiet,
    /// The CPU with a loud line, or no start, that says these.
    Loud(&'t [&'t str]),
    Refused(&'t [&'t str]),
}

#[test]
fn every_wish_meets_every_machine() {
    use Is::{Loud, Quiet, Refused};
    type Look = fn(Provider) -> Result<Found, String>;
    let no_driver = none("there is no NVIDIA driver");
    let hidden = none("CUDA_VISIBLE_DEVICES=-1 hides every GPU");
    let mismatch = none("the driver refuses: RM detects a driver/library version mismatch");
    let old = Gpus {
        driver: Some("535.1".to_owned()),
        cuda: Some(Version::of_cuda(12_020)),
        ..gpus(1)
    };
    let unknown = Gpus {
        cuda: None,
        ..gpus(1)
    };
    let newer_minor = Gpus {
        cuda: Some(Version::of_cuda(13_010)),
        ..gpus(1)
    };
    let cuda = Is::Gpu(0, Provider::Cuda);
    let built_without = ["is built without CUDA", "onnxruntime-gpu"];
    let rows: [(&str, bool, &Gpus, Look, Is<'_>); 27] = [
        ("cpu", true, &gpus(1), found, Quiet),
        ("cpu", false, &no_driver, missing, Quiet),
        ("auto", false, &no_driver, missing, Quiet),
        ("auto", false, &hidden, missing, Quiet),
        ("auto", false, &gpus(1), missing, Loud(&built_without)),
        ("auto", true, &gpus(1), found, Is::Gpu(0, Provider::Cuda)),
        ("auto", true, &gpus(2), found, Is::Gpu(0, Provider::Cuda)),
        (
            "auto",
            true,
            &no_driver,
            missing,
            Loud(&["no NVIDIA driver", "--gpus all"]),
        ),
        (
            "auto",
            true,
            &hidden,
            found,
            Loud(&["CUDA_VISIBLE_DEVICES=-1"]),
        ),
        ("auto", true, &mismatch, found, Loud(&["version mismatch"])),
        (
            "auto",
            true,
            &gpus(1),
            missing,
            Loud(&["libcublasLt.so.13"]),
        ),
        (
            "auto",
            true,
            &old,
            found,
            Loud(&["535.1", "CUDA 12.2", "13.0", "InferenceAmiVersion"]),
        ),
        ("auto", true, &unknown, found, cuda),
        (
            "auto",
            true,
            &newer_minor,
            found,
            Is::Gpu(0, Provider::Cuda),
        ),
        ("cuda", true, &gpus(1), found, Is::Gpu(0, Provider::Cuda)),
        ("cuda", false, &gpus(1), found, Refused(&built_without)),
        ("cuda", false, &no_driver, missing, Refused(&built_without)),
        (
            "cuda",
            true,
            &no_driver,
            missing,
            Refused(&["no NVIDIA driver"]),
        ),
        (
            "cuda",
            true,
            &hidden,
            found,
            Refused(&["CUDA_VISIBLE_DEVICES=-1"]),
        ),
        (
            "cuda",
            true,
            &mismatch,
            found,
            Refused(&["version mismatch"]),
        ),
        (
            "cuda",
            true,
            &gpus(1),
            missing,
            Refused(&["libcublasLt.so.13"]),
        ),
        (
            "cuda",
            true,
            &old,
            found,
            Refused(&["535.1", "CUDA 12.2", "13.0"]),
        ),
        ("cuda:1", true, &gpus(2), found, Is::Gpu(1, Provider::Cuda)),
        (
            "cuda:9",
            true,
            &gpus(1),
            found,
            Refused(&[
                "PLIMSOLL_DEVICE=cuda:9: there is no GPU 9; expected 0",
                "NVIDIA 0",
            ]),
        ),
        (
            "cuda:2",
            true,
            &gpus(2),
            found,
            Refused(&["a number from 0 to 1"]),
        ),
        (
            "tensorrt",
            true,
            &gpus(1),
            found,
            Is::Gpu(0, Provider::TensorRt),
        ),
        (
            "tensorrt:0",
            false,
            &gpus(1),
            found,
            Refused(&["is built without TensorRT"]),
        ),
    ];
    for (row, (wanted, has_cuda, gpus, look, expected)) in rows.into_iter().enumerate() {
        let wanted: Wanted = wanted.parse().unwrap();
        let chosen = choose(wanted, &library(has_cuda), gpus, None, look);
        let says = |text: &str, words: &[&str]| {
            for word in words {
                assert!(text.contains(word), "{row}: {text} lacks {word}");
            }
            assert!(
                !text.contains('\n') && text.contains("expected") | text.contains("missing"),
                "{text}"
            );
        };
        match (expected, chosen) {
            (Quiet, Ok(Choice::Cpu(None))) => {}
            (Is::Gpu(index, provider), Ok(Choice::Gpu(target))) => {
                assert_eq!((target.index, target.provider), (index, provider), "{row}");
            }
            (Loud(words), Ok(Choice::Cpu(Some(line)))) => says(&line, words),
            (Refused(words), Err(error)) => says(&error.to_string(), words),
            (_, chosen) => panic!("{row}: {wanted}: {chosen:?}"),
        }
    }
}

#[test]
fn the_libraries_are_looked_at_only_for_a_device_that_is_there() {
    for (has_cuda, gpus) in [(true, none("none")), (false, gpus(1))] {
        let wanted = Wanted::Auto;
        let chosen = choose(wanted, &library(has_cuda), &gpus, None, |_| {
            panic!("looked")
        });
        assert!(matches!(chosen, Ok(Choice::Cpu(_))), "{chosen:?}");
    }
}

#[test]
fn an_arena_gets_most_of_what_is_free_or_what_the_user_says() {
    let limit = |gpus: &Gpus, set| match choose(Wanted::Auto, &library(true), gpus, set, found) {
        Ok(Choice::Gpu(target)) => target.memory_limit,
        other => panic!("{other:?}"),
    };
    assert_eq!(limit(&gpus(1), None), Some(17_000_000_000));
    assert_eq!(limit(&gpus(1), Some(1_000)), Some(1_000));
    let mut unknown = gpus(1);
    unknown.devices[0].free_bytes = None;
    assert_eq!(limit(&unknown, None), None);
}

#[test]
fn the_start_names_device_driver_and_libraries() {
    let Ok(Choice::Gpu(target)) = choose(Wanted::Auto, &library(true), &gpus(1), None, found)
    else {
        panic!("no GPU");
    };
    assert_eq!(
        target.line,
        "cuda:0, NVIDIA 0, 20000 of 24000 MB free; driver 580.82.07 for CUDA 13.0, CUDA runtime 13.0, cuDNN 9.14.0, libonnxruntime_providers_cuda.so"
    );
}

#[test]
fn a_wish_is_read_and_written_the_same_way() {
    for text in [
        "auto",
        "cpu",
        "cuda",
        "cuda:0",
        "cuda:15",
        "tensorrt",
        "tensorrt:1",
    ] {
        let wanted: Wanted = text.parse().unwrap();
        assert_eq!(wanted.to_string(), text);
    }
    for text in [
        "",
        "gpu",
        "CUDA",
        "cuda:",
        "cuda:-1",
        "cuda:+1",
        "cuda:x",
        "cuda:0:1",
        "cpu:0",
        "auto:0",
        "cuda:99999999999",
        "tensorrt:",
        "rocm",
    ] {
        assert_eq!(text.parse::<Wanted>(), Err(EXPECTED), "{text}");
    }
}
