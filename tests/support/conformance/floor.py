"""The floor: which cases plain ONNX Runtime passes, without any server.

A case below it says nothing about the server, and is skipped with the reason.
"""

import ctypes
import json

import compare
import numpy as np
import onnxruntime
import workers
from onnx import TensorProto, helper

FLOOR = "floor.json"
# Packed into less than a byte: the binding has no arrays of these, and no format carries them.
PACKED = ("int4", "uint4", "int2", "uint2", "float4_e2m1fn")
# No type of numpy's own: these go in and out as bits.
EXTENDED = ("bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu")


def measure(cases, folder, names, jobs):
    """Writes the verdict on each of `names` to `folder`/floor.json: null, or why it is below."""
    verdicts = workers.run(names, jobs, ["floor-worker", str(cases), str(folder)])
    (folder / FLOOR).write_text(json.dumps(verdicts, indent=1))


def load(folder):
    """The verdicts that `measure` wrote."""
    return json.loads((folder / FLOOR).read_text())


def verdict(case):
    """None if plain ONNX Runtime passes it, else the reason."""
    for inputs, outputs in case.sets:
        dtypes = {array.dtype.name for array in arrays([*inputs, *outputs])}
        if packed := sorted(dtypes.intersection(PACKED)):
            return f"not measured, {packed[0]}"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(case.model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - the binding raises a class of its own per status
        return reason(error, "does not load")
    for inputs, expected in case.sets:
        try:
            found = run(session, case, inputs, expected)
        except Exception as error:  # noqa: BLE001 - as above
            return reason(error, "does not run")
        if compare.outputs(case, expected, found):
            return "differs in value"
    return None


def reason(error, otherwise):
    text = str(error)
    if "NOT_IMPLEMENTED" in text:
        return "no kernel"
    if "is not a registered function/op" in text or "No Op registered" in text or "Unrecognized" in text:
        return "unknown operator"
    if "locale" in text:
        return "the locale en_US.UTF-8 is missing on this machine"
    return otherwise


def arrays(values):
    for value in values:
        if isinstance(value, list):
            yield from arrays(value)
        elif value is not None:
            yield value


def run(session, case, inputs, expected):
    names = [name for name, _ in case.inputs]
    feeds = dict(zip(names, inputs))
    if not any(array.dtype.name in EXTENDED for array in arrays([*inputs, *expected])):
        return [plain(value) for value in session.run(None, feeds)]
    feeds = {name: ort_value(array) for name, array in feeds.items()}
    return [array_of(value) for value in session.run_with_ort_values([name for name, _ in case.outputs], feeds)]


def plain(value):
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value if value is None else np.asarray(value)


def ort_value(array):
    if array.dtype.name not in EXTENDED:
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)
    bits = np.ascontiguousarray(array).view(np.uint8 if array.itemsize == 1 else np.uint16)
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(bits.reshape(array.shape), kind)


def array_of(value):
    kind = value.element_type()
    if kind == TensorProto.STRING:
        return value.numpy()
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    if dtype.name not in EXTENDED:
        return value.numpy()
    content = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return np.frombuffer(content, dtype).reshape(value.shape())
