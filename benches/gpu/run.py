"""Plimsoll on a GPU beside plain ONNX Runtime on it, at equal batch.

    pip install onnxruntime-gpu==1.26.0 numpy
    cargo build --release -p plimsoll && cargo xtask onnxruntime --gpu
    python3 benches/gpu/run.py .plimsoll/models/resnet50 .plimsoll/models/minilm

For each model and each batch (1, 8, 32 records a request) both answer in turns, five times each, and
the table shows the medians of records a second: ONNX Runtime in a loop of `run`, with one thread;
Plimsoll asked with npz bodies over as many connections as keep a slot busy, its own batching off. The
goal is 0.9. `--device cpu` compares on the CPU, to see that the script works. It has not been run on a
GPU yet.
"""

import argparse
import http.client
import io
import os
import re
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import onnxruntime

ROOT = Path(__file__).resolve().parents[2]
CONNECTIONS = 4
TYPES = {"float": "f4", "float16": "f2", "double": "f8", "int64": "i8", "int32": "i4", "bool": "?", "uint8": "u1"}


def made(session, records, length):
    """Inputs of so many records: ones for whole numbers, which are indices and masks, else noise."""
    noise, inputs = np.random.default_rng(0), {}
    for port in session.get_inputs():
        kind = np.dtype(TYPES[re.fullmatch(r"tensor\((\w+)\)", port.type)[1]])
        free = [records] + [length] * len(port.shape)
        shape = [size if isinstance(size, int) else free[axis] for axis, size in enumerate(port.shape)]
        values = noise.standard_normal(shape) if kind.kind == "f" else np.ones(shape)
        inputs[port.name] = values.astype(kind)
    return inputs


def per_second(records, seconds, run):
    """Records a second of `run`, which is called until the time is over."""
    runs, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        run()
        runs += 1
    return records * runs / (time.perf_counter() - begun)


class Server:
    def __init__(self, binary, library, folder, device):
        self.base = tempfile.TemporaryDirectory()
        os.symlink(folder.resolve(), Path(self.base.name) / "model")
        settings = {
            "SAGEMAKER_BASE_DIR": self.base.name,
            "SAGEMAKER_BIND_TO_PORT": "0",
            "PLIMSOLL_DEVICE": device,
            "PLIMSOLL_BATCHING": "off",
            "PLIMSOLL_METRICS_ROUTE": "none",
            "PLIMSOLL_ONNXRUNTIME_LIBRARY": str(library),
        }
        self.process = subprocess.Popen(
            [binary, "serve"], env=os.environ | settings, stderr=subprocess.PIPE, text=True
        )
        log = []
        for line in self.process.stderr:
            log.append(line)
            if " ready " in line:
                self.port = int(re.search(r"0\.0\.0\.0:(\d+)", line)[1])
                break
        else:
            raise SystemExit("".join(log))
        print(*[line.split("INFO ")[-1].rstrip() for line in log if "runtime" in line or "device" in line], sep="\n")
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def ask(self, body, records, seconds):
        """Records a second over all connections."""
        rates = []

        def caller():
            connection = http.client.HTTPConnection("127.0.0.1", self.port)

            def request():
                headers = {"Content-Type": "application/x-npz", "Accept": "application/x-npz"}
                connection.request("POST", "/invocations", body, headers)
                reply = connection.getresponse()
                text = reply.read()
                if reply.status != 200:
                    raise SystemExit(f"{reply.status}: {text[:300]}")

            rates.append(per_second(records, seconds, request))

        callers = [threading.Thread(target=caller) for _ in range(CONNECTIONS)]
        for one in callers:
            one.start()
        for one in callers:
            one.join()
        return sum(rates)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.base.cleanup()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, help="folders with a model.onnx")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--binary", default=ROOT / "target/release/plimsoll")
    parser.add_argument("--library", default=ROOT / ".plimsoll/onnxruntime-gpu/libonnxruntime.so")
    parser.add_argument("--batches", default="1,8,32")
    parser.add_argument("--length", type=int, default=32, help="of free axes that are not the records'")
    parser.add_argument("--seconds", type=float, default=2.0)
    given = parser.parse_args()
    provider = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}[given.device]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    print(f"ONNX Runtime {onnxruntime.__version__} on {given.device}")
    rows = []
    for folder in given.models:
        session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=[provider])
        if provider not in session.get_providers():
            raise SystemExit(f"ONNX Runtime has no {provider} here")
        server = Server(given.binary, given.library, folder, given.device)
        for records in map(int, given.batches.split(",")):
            inputs = made(session, records, given.length)
            body = io.BytesIO()
            np.savez(body, **inputs)
            own, plain = [], []
            for _ in range(5):
                plain.append(per_second(records, given.seconds, lambda: session.run(None, inputs)))
                own.append(server.ask(body.getvalue(), records, given.seconds))
            plain, own = statistics.median(plain), statistics.median(own)
            rows.append((folder.name, records, plain, own, own / plain))
        server.stop()
    print("| model | records a run | ONNX Runtime, records/s | Plimsoll, records/s | ratio |\n|---|---|---|---|---|")
    for name, records, plain, own, ratio in rows:
        print(f"| {name} | {records} | {plain:.1f} | {own:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
