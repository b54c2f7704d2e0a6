"""ONNX's own operator cases: a model, inputs, and the outputs they must give.

They come from the package `onnx`: its node cases, made by code, and the
models in its folder `backend/test/data`. Each goes into a folder of its own,
with `model.onnx` and the recorded tensors beside it.
"""

import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner

DATA = Path(onnx.__file__).parent / "backend/test/data"
RECORD = "recorded.pickle"


@dataclass
class Case:
    """`inputs` and `outputs` hold name and kind (`tensor`, `sequence`, `optional`, …);
    `sets` hold the values of each in that order: an array, a list, or None."""

    rtol: float
    atol: float
    inputs: list
    outputs: list
    sets: list
    folder: Path | None = None

    @property
    def model(self):
        return self.folder / "model.onnx"


def names(folder):
    """Every case in `folder`, in order."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def load(folder, name):
    """One case. The pickle is our own, written by `collect`."""
    with (folder / name / RECORD).open("rb") as file:
        case = pickle.load(file)
    case.folder = folder / name
    return case


def collect(folder):
    """Writes every case into `folder`."""
    # Some cases divide by zero on purpose while they are made.
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    kinds = ["node"] + sorted(path.name for path in DATA.iterdir() if path.name != "light")
    for kind in kinds:
        for test in load_model_tests(kind=kind):
            write(folder / test.name, *read(test, kind))


def read(test, kind):
    """A case of ONNX's: its model as bytes, and what was recorded."""
    if kind == "node":
        return test.model.SerializeToString(), case(test, test.model, test.data_sets)
    path = Path(test.model_dir) / "model.onnx" if test.url is None else light(test.url)
    content = path.read_bytes()
    model = onnx.load_from_string(content)
    sets = [made(model, path)] if test.url else [stored(model, at) for at in sorted(path.parent.glob("test_data_set*"))]
    return content, case(test, model, sets)


def light(url):
    """A large model without its weights, which lies in the package for all that it has a URL."""
    return DATA / url.removeprefix("onnx/backend/test/data/")


def case(test, model, sets):
    """What was recorded, as arrays."""
    sets = [([value(item) for item in inputs], [value(item) for item in outputs]) for inputs, outputs in sets]
    inputs = model.graph.input if test.url is None else fed(model)
    return Case(test.rtol, test.atol, ports(inputs[: len(sets[0][0])]), ports(model.graph.output), sets)


def fed(model):
    """The inputs that are no weights."""
    weights = {weight.name for weight in model.graph.initializer}
    return [port for port in model.graph.input if port.name not in weights]


def ports(infos):
    return [(info.name, info.type.WhichOneof("value").removesuffix("_type")) for info in infos]


def value(item):
    """An array for whatever a case holds in place of one."""
    if isinstance(item, onnx.TensorProto):
        item = numpy_helper.to_array(item)
    if item is None:
        return None
    if isinstance(item, (list, tuple)):
        return [value(each) for each in item]
    array = np.asarray(item)
    if array.dtype.kind in "OUS":
        texts = [text.decode() if isinstance(text, bytes) else str(text) for text in array.reshape(-1)]
        array = np.array(texts, dtype=object).reshape(array.shape)
    return array


def stored(model, folder):
    """The values of a `test_data_set`; inputs without a file have a default."""
    given = len(list(folder.glob("input_*.pb")))
    inputs = [parsed(port.type, folder / f"input_{at}.pb") for at, port in enumerate(model.graph.input[:given])]
    outputs = [parsed(port.type, folder / f"output_{at}.pb") for at, port in enumerate(model.graph.output)]
    return inputs, outputs


def parsed(kind, file):
    if kind.HasField("sequence_type"):
        return numpy_helper.to_list(onnx.SequenceProto.FromString(file.read_bytes()))
    return onnx.TensorProto.FromString(file.read_bytes())


def made(model, path):
    """The large models come without inputs: ONNX's own runner makes them so."""
    inputs = [Runner.generate_dummy_data(port) for port in fed(model)]
    outputs = [
        onnx.load_tensor(path.with_name(f"{path.stem}_output_{index}.pb")) for index in range(len(model.graph.output))
    ]
    return inputs, outputs


def write(folder, model, recorded):
    if folder.exists():
        raise FileExistsError(f"two cases are called {folder.name}")
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model)
    with (folder / RECORD).open("wb") as file:
        pickle.dump(recorded, file, protocol=5)
