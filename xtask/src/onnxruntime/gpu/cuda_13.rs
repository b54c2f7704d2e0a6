//! CUDA 13: drivers from 580 on.

use super::{Libraries, Set};
use crate::wheel::Wheel;

/// The set.
pub const SET: Set = Set {
    major: "13",
    cuda: "13.5",
    onnxruntime: Wheel {
        package: "onnxruntime-gpu",
        version: "1.31.1",
        platform: "manylinux_2_28_x86_64",
        sha256: "e26c475fe361b2015f45b4b824bd13f0bb20204e59b62814e6f0acd5f3d491a6",
    },
    libraries: &[
        Libraries {
            wheel: Wheel {
                package: "nvidia-cudnn-cu13",
                version: "9.28.1.4",
                platform: "manylinux_2_27_x86_64",
                sha256: "a54f205b1db1f2895d99f398754db1369816f0569dd459731f925635cf7b65ec",
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
            license: "nvidia_cudnn_cu13-9.28.1.4.dist-info/licenses/License.txt",
        },
        Libraries {
            wheel: Wheel {
                package: "nvidia-cublas",
                version: "13.10.0.20",
                platform: "manylinux1_x86_64",
                sha256: "dcc6d63884c53d07e267ce7e6feac17b2538cebaafec5db865736c3e28e4dc84",
            },
            folder: "nvidia/cu13/lib",
            files: &["libcublas.so.13", "libcublasLt.so.13"],
            license: "nvidia_cublas-13.10.0.20.dist-info/licenses/License.txt",
        },
        Libraries {
            wheel: Wheel {
                package: "nvidia-cufft",
                version: "12.5.0.14",
                platform: "manylinux2014_x86_64",
                sha256: "b8be26837a5abad2b5b74f3e92dd29f622a42934b355be0961a48712cbba23ad",
            },
            folder: "nvidia/cu13/lib",
            files: &["libcufft.so.12"],
            license: "nvidia_cufft-12.5.0.14.dist-info/licenses/License.txt",
        },
        Libraries {
            wheel: Wheel {
                package: "nvidia-curand",
                version: "10.4.5.25",
                platform: "manylinux_2_27_x86_64",
                sha256: "22bb226a857e5888fe6b54ae465fc4371296bcff13a35f79e19691bcf454f529",
            },
            folder: "nvidia/cu13/lib",
            files: &["libcurand.so.10"],
            license: "nvidia_curand-10.4.5.25.dist-info/licenses/License.txt",
        },
        Libraries {
            wheel: Wheel {
                package: "nvidia-cuda-runtime",
                version: "13.5.37",
                platform: "manylinux2014_x86_64",
                sha256: "df2b79a8852f10d1fef8c848489c49eebb5754051bf870202a862831412b179d",
            },
            folder: "nvidia/cu13/lib",
            files: &["libcudart.so.13"],
            license: "nvidia_cuda_runtime-13.5.37.dist-info/licenses/License.txt",
        },
        Libraries {
            wheel: Wheel {
                package: "nvidia-cuda-nvrtc",
                version: "13.5.37",
                platform: "manylinux2010_x86_64",
                sha256: "86b4d68058807988b7d9af5b44917a0601e9c337f35ccd657bfb3c759ff8d8bc",
            },
            folder: "nvidia/cu13/lib",
            files: &["libnvrtc.so.13", "libnvrtc-builtins.so.13.5"],
            license: "nvidia_cuda_nvrtc-13.5.37.dist-info/licenses/License.txt",
        },
        Libraries {
            wheel: Wheel {
                package: "nvidia-nvjitlink",
                version: "13.5.37",
                platform: "manylinux2010_x86_64",
                sha256: "280d7cb9649704145f074b8dbde500de04ce02d0872e066e20a83c17bcaa93eb",
            },
            folder: "nvidia/cu13/lib",
            files: &["libnvJitLink.so.13"],
            license: "nvidia_nvjitlink-13.5.37.dist-info/licenses/License.txt",
        },
    ],
};
