"""What the servers in Python do with a model: rows of JSON to arrays, one run, arrays by name.

    onnx_model.py MODEL BODY

prints the numbers that ONNX Runtime answers to the rows of a body with, outputs
one after the other, as a JSON list: what a server's reply is held against.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


class OnnxModel:
    """A session with one thread, as every server here has one core."""

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = {port.name: TYPES[port.type] for port in self.session.get_inputs()}
        self.outputs = [port.name for port in self.session.get_outputs()]

    def read(self, instances):
        """Arrays by input: a row is a list where there is one input, else an object."""
        if len(self.inputs) == 1:
            ((name, kind),) = self.inputs.items()
            return {name: np.array(instances, kind)}
        return {name: np.array([row[name] for row in instances], kind) for name, kind in self.inputs.items()}

    def run(self, arrays):
        """Arrays by output."""
        return dict(zip(self.outputs, self.session.run(None, arrays)))


def main(model, body):
    model = OnnxModel(model)
    outputs = model.run(model.read(json.loads(Path(body).read_bytes())["instances"]))
    print(json.dumps([float(number) for array in outputs.values() for number in array.ravel()]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
