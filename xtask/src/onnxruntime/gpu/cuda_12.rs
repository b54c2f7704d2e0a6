//! CUDA 12: drivers from 525 on, by its minor versions' compatibility.

use super::{Libraries, Set};
use crate::wheel::Wheel;

/// The set.
pub const SET: Set = Set {
    major: "12",
    cuda: "12.9",
    onnxruntime: Wheel {
        package: "onnxruntime-gpu",
        version: "1.26.0",
        platform: "manylinux_2_28_x86_64",
        sha256: "4fa231294c2643911d2a7d16469c4808b0bdcdc4b5f4063d3a53744ce25b683a",
    },
    libraries: &[
        Libraries {
            wheel: Wheel {
                package: "nvidia-cudnn-cu12",
                version: "9.28.0.42",
                platform: "manylinux_2_27_x86_64",
                sha256: "9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375",
            },
            folder: "nvidia/cudnn/lib",
            files: &[
                "libcudnn.so.9",
                "libcudnn_adv.so.9",
                "libcudnn_cnn.so.9",
                "libcudnn_engines_precompiled.so.9",
                "libcudnn_engines_runtime_compiled.so.9",
                "libcudnn_engines_tensor_ir.so.9",
                "libcudnn_ext.so.9",
                "libcudnn_graph.so.9",
                "libcudnn_heuristic.so.9",
                "libcudnn_ops.so.9",
            ],
            license: "nvidia_cudnn_cu12-9.28.0.42.dist-info/licenses/License.txt",
        },
        Libraries {
            wheel: Wheel {
                package: "nvidia-cublas-cu12",
                version: "12.9.3.13",
                platform: "manylinux_2_27_x86_64",
                sha256: "d7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72",
            },
            folder: "nvidia/cublas/lib",
            files: &["libcublas.so.12", "libcublasLt.so.12"],
            license: "nvidia_cublas_cu12-12.9.3.13.dist-info/licenses/License.txt",
        },
        Libraries {
            wheel: Wheel {
                package: "nvidia-cufft-cu12",
                version: "11.4.1.4",
                platform: "manylinux2014_x86_64",
                sha256: "c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28",
            },
            folder: "nvidia/cufft/lib",
            files: &["libcufft.so.11"],
            license: "nvidia_cufft_cu12-11.4.1.4.dist-info/licenses/License.txt",
        },
        Libraries {
            wheel: Wheel {
                package: "nvidia-curand-cu12",
                version: "10.3.10.19",
                platform: "manylinux_2_27_x86_64",
                sha256: "49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e",
            },
            folder: "nvidia/curand/lib",
            files: &["libcurand.so.10"],
            license: "nvidia_curand_cu12-10.3.10.19.dist-info/License.txt",
        },
        Libraries {
            wheel: Wheel {
                package: "nvidia-cuda-runtime-cu12",
                version: "12.9.79",
                platform: "manylinux2014_x86_64",
                sha256: "25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3",
            },
            folder: "nvidia/cuda_runtime/lib",
            files: &["libcudart.so.12"],
            license: "nvidia_cuda_runtime_cu12-12.9.79.dist-info/licenses/License.txt",
        },
        Libraries {
            wheel: Wheel {
                package: "nvidia-cuda-nvrtc-cu12",
                version: "12.9.86",
                platform: "manylinux2010_x86_64",
                sha256: "210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4",
            },
            folder: "nvidia/cuda_nvrtc/lib",
            files: &["libnvrtc.so.12", "libnvrtc-builtins.so.12.9"],
            license: "nvidia_cuda_nvrtc_cu12-12.9.86.dist-info/licenses/License.txt",
        },
        Libraries {
            wheel: Wheel {
                package: "nvidia-nvjitlink-cu12",
                version: "12.9.86",
                platform: "manylinux2010_x86_64",
                sha256: "e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9",
            },
            folder: "nvidia/nvjitlink/lib",
            files: &["libnvJitLink.so.12"],
            license: "nvidia_nvjitlink_cu12-12.9.86.dist-info/licenses/License.txt",
        },
    ],
};
