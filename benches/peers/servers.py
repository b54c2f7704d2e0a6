"""Plimsoll and its peers: how each is started, asked, and what of it is installed."""

import json
import os
import random
import shutil
import socket
from pathlib import Path
from typing import NamedTuple

import environments
from models import STORE, Wrong

HERE = Path(__file__).resolve().parent
PORTS = range(18000, 28000)


class Launch(NamedTuple):
    """What a server needs to be started."""

    # The peer's virtual environment, or plimsoll's binary.
    place: Path
    model: object
    # For logs and settings; empty at each start.
    scratch: Path
    port: int

    def tool(self, name):
        return self.place / "bin" / name

    def python(self, **settings):
        """The environment of a server in Python; one core, so one thread."""
        path = f"{self.place / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        own = {"PATH": path, "PYTHONPATH": HERE, "OPENBLAS_NUM_THREADS": 1}
        return own | {"TMPDIR": self.scratch, "MODEL_FILE": self.model.file} | settings


class Peer(NamedTuple):
    """A server to measure."""

    name: str
    # What it is called in the table.
    title: str
    # Packages whose versions are told.
    packages: tuple
    # Launch -> command, environment
    start: object
    # Seconds of load before anything is measured.
    warm_up: int = 4
    # Where requests go, with the model's name.
    path: str = "/invocations"
    v2: bool = False
    java: bool = False

    def body(self, model):
        return model.v2 if self.v2 else model.rows

    def install(self):
        """Its folder, its versions as text, its size in bytes: with Java, without Python, which all of them need."""
        java = java_home() if self.java else None
        folder = environments.install(self.name)
        found = environments.packages(folder)
        versions = [f"{package} {found[package]}" for package in self.packages]
        size = environments.size(folder)
        if java is not None:
            size += environments.size(java)
            versions.append(f"Java {java_version(java)}")
        return folder, ", ".join(versions), size


def free_port():
    """A port that nobody listens on; below the ephemeral ones, which multi-model-server refuses."""
    for port in random.sample(PORTS, 100):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Wrong(f"no port from {PORTS.start} to {PORTS.stop - 1} is free, of 100 that were tried")


def java_home():
    """The folder of the Java that PATH leads to."""
    java = shutil.which("java")
    if java is None:
        raise Wrong("multi-model-server needs Java, and no `java` is on the PATH: install a JRE, 8 or later")
    return Path(java).resolve().parents[1]


def java_version(home):
    """As the file `release` of every Java has it."""
    for line in (home / "release").read_text(encoding="utf-8").splitlines():
        if line.startswith("JAVA_VERSION="):
            return line.partition("=")[2].strip('"')
    raise Wrong(f"{home / 'release'} does not say which Java it is")


def plimsoll(launch):
    settings = {
        "SAGEMAKER_BASE_DIR": launch.model.base,
        "SAGEMAKER_BIND_TO_PORT": launch.port,
        "PLIMSOLL_ONNXRUNTIME_LIBRARY": STORE / "onnxruntime" / "libonnxruntime.so",
    }
    return [launch.place, "serve"], settings


def fastapi(launch):
    command = [launch.tool("uvicorn"), "serve_fastapi:app", "--host", "127.0.0.1", "--port", launch.port]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return command, launch.python()


def litserve(launch):
    return [launch.tool("python"), HERE / "serve_litserve.py", launch.port], launch.python()


def bentoml(launch):
    command = [launch.tool("bentoml"), "serve", "serve_bentoml:Onnx", "--working-dir", HERE]
    command += ["--host", "127.0.0.1", "--port", launch.port]
    return command, launch.python(BENTOML_HOME=launch.scratch / "bentoml", BENTOML_DO_NOT_TRACK="true")


def mlserver(launch):
    settings = {
        "host": "127.0.0.1",
        "http_port": launch.port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        # No access log, no second process, no compression of replies of some hundred bytes.
        "debug": False,
        "parallel_workers": 0,
        "gzip_enabled": False,
    }
    model = {
        "name": launch.model.name,
        "implementation": "serve_mlserver.OnnxRuntime",
        "parameters": {"uri": str(launch.model.file)},
    }
    for name, document in (("settings.json", settings), ("model-settings.json", model)):
        (launch.scratch / name).write_text(json.dumps(document), encoding="utf-8")
    return [launch.tool("mlserver"), "start", launch.scratch], launch.python()


def multi_model_server(launch):
    config = launch.scratch / "mms.properties"
    command = [launch.tool("python"), HERE / "serve_sagemaker.py", config, HERE / "log4j2.xml"]
    return command, launch.python(
        SAGEMAKER_BASE_DIR=launch.model.base,
        SAGEMAKER_BIND_TO_PORT=launch.port,
        SAGEMAKER_PROGRAM="serve_sagemaker.py",
        SAGEMAKER_MODEL_SERVER_WORKERS=1,
    )


PEERS = {
    peer.name: peer
    for peer in (
        Peer("fastapi", "FastAPI, tuned", ("fastapi", "uvicorn"), fastapi),
        Peer(
            "multi-model-server",
            "multi-model-server, AWS' toolkit",
            ("multi-model-server", "sagemaker_inference"),
            multi_model_server,
            # Java compiles what is called often: its first half minute is slower by half.
            warm_up=28,
            java=True,
        ),
        Peer("mlserver", "MLServer", ("mlserver",), mlserver, path="/v2/models/{model}/infer", v2=True),
        Peer("litserve", "LitServe", ("litserve",), litserve),
        Peer("bentoml", "BentoML", ("bentoml",), bentoml),
    )
}
