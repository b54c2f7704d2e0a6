"""Three content types, written and read without any code of the server.

A format turns arrays by name into the headers and the body of a request, and
a reply into arrays by name. What the reply says is taken strictly: a datatype
that is not the data's, or a byte too many, is an error.
"""

import io
import json
import math
import struct
from email.message import Message

import ml_dtypes
import numpy as np

NUMPY = ("bool", "float16", "float32", "float64") + tuple(
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
)
# `object` is what numpy calls an array of texts.
TEXT = "object"
DATATYPES = {
    "BOOL": np.dtype(bool), "BYTES": np.dtype(object), "BF16": np.dtype(ml_dtypes.bfloat16),
    "FP16": np.dtype(np.float16), "FP32": np.dtype(np.float32), "FP64": np.dtype(np.float64),
    **{f"{sign.upper()}INT{bits}": np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
}  # fmt: skip
DATATYPE_OF = {dtype: name for name, dtype in DATATYPES.items()}
FLOATS = ("BF16", "FP16", "FP32", "FP64")


class BadReply(Exception):
    """A reply that cannot be read."""


class Npz:
    """`application/x-npz`: numpy's own archive, a member for each input."""

    media = "application/x-npz"
    carried = (*NUMPY, TEXT)

    def encode(self, arrays):
        # Texts have a type of their own in files, <U; the one in memory would need pickle.
        members = {name: array.astype(str) if array.dtype == object else array for name, array in arrays.items()}
        body = io.BytesIO()
        np.savez(body, **members)
        return {"Content-Type": self.media, "Accept": self.media}, body.getvalue()

    def decode(self, _, body):
        with np.load(io.BytesIO(body), allow_pickle=False) as archive:
            members = {name: archive[name] for name in archive.files}
        return {name: array.astype(object) if array.dtype.kind == "U" else array for name, array in members.items()}


class V2:
    """`application/json`: KServe v2. JSON has no NaN and no infinities: null and texts stand for them."""

    media = "application/json"
    carried = (*NUMPY, TEXT, "bfloat16")

    def encode(self, arrays):
        body = {"inputs": [self.entry(name, array) for name, array in arrays.items()]}
        return {"Content-Type": self.media, "Accept": self.media}, json.dumps(body, allow_nan=False).encode()

    def entry(self, name, array):
        datatype = DATATYPE_OF[array.dtype]
        if datatype in FLOATS:
            data = [written(number) for number in array.astype(np.float64).reshape(-1).tolist()]
        else:
            data = array.reshape(-1).tolist()
        return {"name": name, "shape": list(array.shape), "datatype": datatype, "data": data}

    def decode(self, _, body):
        reply = json.loads(body, parse_constant=no_json)
        return {entry["name"]: self.array(entry) for entry in reply["outputs"]}

    def array(self, entry):
        datatype, shape = entry["datatype"], entry["shape"]
        data = list(flat(entry["data"]))
        if datatype in FLOATS:
            data = [read(item) for item in data]
        else:
            kind = {"BOOL": bool, "BYTES": str}.get(datatype, int)
            if strange := [item for item in data if type(item) is not kind]:
                raise BadReply(f"{strange[0]!r} among {datatype}")
        return np.array(data, dtype=DATATYPES[datatype]).reshape(shape)


class Triton:
    """Triton's binary type: v2 without `data`, and after it the tensors as they lie in memory."""

    media = "application/vnd.sagemaker-triton.binary+json"
    carried = (*NUMPY, TEXT, "bfloat16")

    def encode(self, arrays):
        tensors = {name: self.tensor(array) for name, array in arrays.items()}
        inputs = [
            {
                "name": name,
                "shape": list(array.shape),
                "datatype": DATATYPE_OF[array.dtype],
                "parameters": {"binary_data_size": len(tensors[name])},
            }
            for name, array in arrays.items()
        ]
        head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
        return {"Content-Type": f"{self.media};json-header-size={len(head)}"}, head + b"".join(tensors.values())

    def tensor(self, array):
        if array.dtype == object:
            texts = [text.encode() for text in array.reshape(-1)]
            return b"".join(struct.pack("<I", len(text)) + text for text in texts)
        return np.ascontiguousarray(array).tobytes()

    def decode(self, content_type, body):
        size = content_type.get_param("json-header-size")
        if size is None:
            raise BadReply("no json-header-size")
        head, rest = json.loads(body[: int(size)], parse_constant=no_json), body[int(size) :]
        arrays = {}
        for entry in head["outputs"]:
            count = entry["parameters"]["binary_data_size"]
            tensor, rest = rest[:count], rest[count:]
            if len(tensor) < count:
                raise BadReply(f"{count} bytes announced, {len(tensor)} there")
            arrays[entry["name"]] = self.array(entry, tensor)
        if rest:
            raise BadReply(f"{len(rest)} bytes after the last tensor")
        return arrays

    def array(self, entry, tensor):
        datatype, shape = entry["datatype"], entry["shape"]
        if datatype == "BYTES":
            return np.array(list(texts(tensor)), dtype=object).reshape(shape)
        if datatype == "BOOL" and not set(tensor) <= {0, 1}:
            raise BadReply("a BOOL that is neither 0 nor 1")
        return np.frombuffer(tensor, DATATYPES[datatype]).reshape(shape)


ALL = {"npz": Npz(), "v2": V2(), "triton": Triton()}


def media_type(header):
    """A `Content-Type`, parsed by the standard library."""
    message = Message()
    message["Content-Type"] = header or ""
    return message


def written(number):
    if math.isnan(number):
        return None
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return number


def read(item):
    if item is None:
        return math.nan
    if item in ("Infinity", "-Infinity"):
        return float(item)
    if type(item) not in (int, float):
        raise BadReply(f"{item!r} among floats")
    return float(item)


def no_json(constant):
    raise BadReply(f"{constant} is no JSON")


def flat(data):
    for item in data:
        if isinstance(item, list):
            yield from flat(item)
        else:
            yield item


def texts(tensor):
    at = 0
    while at < len(tensor):
        (count,) = struct.unpack_from("<I", tensor, at)
        at += 4 + count
        if at > len(tensor):
            raise BadReply("a text longer than its tensor")
        yield tensor[at - count : at].decode()
