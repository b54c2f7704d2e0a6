"""The models that are measured, where they lie, and one row for each as a request body."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
STORE = ROOT / ".plimsoll"
PLACE = STORE / "peers"
# Tokens of minilm's text.
TOKENS = 32


class Wrong(Exception):
    """What stops the run, as one sentence."""


class Model(NamedTuple):
    """A model ready to be served."""

    name: str
    # The folder that stands for /opt/ml.
    base: Path
    # One row as `{"instances": [...]}`.
    rows: Path
    # The same row as a request of the V2 protocol.
    v2: Path

    @property
    def file(self):
        return self.base / "model" / "model.onnx"


def request_of_store(name):
    """The rows of a demo model's known request."""
    return json.loads((ROOT / "models" / name / "request.json").read_bytes())["instances"]


def iris_row():
    return [5.1, 3.5, 1.4, 0.2]


def minilm_row():
    """The known texts' tokens, again and again, between the two tokens that open and close a text."""
    first, last = 101, 102
    known = [token for row in request_of_store("minilm") for token in row["input_ids"]]
    known = [token for token in known if token not in (0, first, last)]
    middle = [known[place % len(known)] for place in range(TOKENS - 2)]
    return {"input_ids": [first, *middle, last], "attention_mask": [1] * TOKENS, "token_type_ids": [0] * TOKENS}


# Name -> its row, and the V2 protocol's type of its inputs; an only input is named X.
MODELS = {
    "iris": (iris_row, "FP32"),
    "digits": (lambda: request_of_store("digits")[0], "FP32"),
    "boosted": (lambda: request_of_store("boosted")[0], "FP32"),
    "minilm": (minilm_row, "INT64"),
}


def v2_request(row, datatype):
    """A row as a request of the V2 protocol."""
    columns = row if isinstance(row, dict) else {"X": row}
    return {
        "inputs": [
            {"name": name, "datatype": datatype, "shape": [1, len(values)], "data": values}
            for name, values in columns.items()
        ]
    }


def make_iris(path):
    """Trains the model with the packages that make the demo models."""
    packages = STORE / "python-models"
    if not packages.is_dir():
        raise Wrong(f"{packages} is missing, it makes the iris model: run `cargo xtask models digits`")
    command = [sys.executable, str(Path(__file__).with_name("make_iris.py")), str(path)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(packages)}, capture_output=True, text=True)
    if done.returncode != 0:
        raise Wrong(f"the iris model could not be made: {done.stderr.strip().splitlines()[-1:]}")


def prepare(name):
    """Lays a model out as SageMaker does, with its bodies beside it."""
    row, datatype = MODELS[name]
    base = PLACE / "served" / name
    (base / "model").mkdir(parents=True, exist_ok=True)
    model = Model(name, base, base / "rows.json", base / "v2.json")
    if name == "iris":
        if not model.file.is_file():
            make_iris(model.file)
    else:
        stored = STORE / "models" / name / "model.onnx"
        if not stored.is_file():
            raise Wrong(f"{stored} is missing: run `cargo xtask models {name}`")
        shutil.copyfile(stored, model.file)
    for path, document in ((model.rows, {"instances": [row()]}), (model.v2, v2_request(row(), datatype))):
        path.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
    return model
