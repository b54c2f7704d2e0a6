"""Makes the request and reply pairs of tests/data: `pairs.py SERVER`, from the workspace's root.

    PYTHONPATH=.plimsoll/python-models python3 tests/support/pairs.py target/debug/plimsoll

Requests are written by the libraries that clients use: NumPy, SciPy, Google's protobuf, Python's
json, csv and struct. SERVER is started on each model and asked; what it sends is read by the same
libraries and compared with what the model means, computed here by NumPy. Only then are its bytes
kept. The same server makes the same files again.

`FOLDER/CASE.request` and `FOLDER/CASE.reply` are the bodies, `pairs.json` says the rest. The folder
is the request's type.
"""

import csv
import io
import json
import math
import os
import re
import struct
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import ml_dtypes
import numpy as np
import scipy.sparse
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"

TYPES = {
    "json": "application/json",
    "jsonlines": "application/jsonlines",
    "csv": "text/csv",
    "npy": "application/x-npy",
    "npz": "application/x-npz",
    "recordio": "application/x-recordio-protobuf",
    "triton": "application/vnd.sagemaker-triton.binary+json",
    "octets": "application/octet-stream",
}

f32, f64, f16, i32, i64 = np.float32, np.float64, np.float16, np.int32, np.int64

# === what the models mean ===


def words(*texts):
    """An array of strings; NumPy's own would cut closing zeros."""
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array


def zipmap(x):
    first, second = f64(x[:, 0]) + x[:, 1], f64(x[:, 2]) + x[:, 3]
    label = words(*("back" if b > a else "front" for a, b in zip(first, second)))
    share = 1 / (1 + np.exp(second - first))
    return {"label": label, "scores": [{"front": f32(s), "back": f32(1 - s)} for s in share]}


def divide(a, b):
    with np.errstate(all="ignore"):
        return {"quotient": a / b}


def add_f16(a, b):
    with np.errstate(all="ignore"):
        return {"sum": a + b}


def churn(age, fare, visits, city, plan):
    """Its known reply: models/churn/reply.json."""
    known = json.loads((ROOT / "models/churn/reply.json").read_text())["predictions"]
    return {"label": words(*(row["label"] for row in known)), "probabilities": None}


MODELS = {
    "fixtures/sum4": lambda x: {"y": x.sum(axis=1, keepdims=True)},
    "fixtures/mix": lambda a, b: {"s": f32(a) + b, "d": f32(a) - b},
    "fixtures/str": lambda text: {"same": text},
    "fixtures/concat": lambda prefix, text: {"joined": words(*(prefix[0] + t for t in text))},
    "fixtures/not": lambda flag: {"negated": ~flag},
    "fixtures/div": divide,
    "fixtures/add_f16": add_f16,
    "fixtures/bf16": lambda wide, back: {"narrow": wide.astype(ml_dtypes.bfloat16), "forth": f32(back)},
    "fixtures/scalar": lambda a, b: {"product": np.asarray(a * b)},
    "fixtures/gather": lambda index: {"picked": f32([0.5, 1.5, 2.5, 3.5, 4.5])[index]},
    "fixtures/echo": lambda **inputs: {f"{name}_out": inputs[name] for name in ECHO},
    "fixtures/zipmap": zipmap,
    "models/churn": churn,
}

# The inputs of the models, where a case names none of its own.
X = f32([[1, 2, 3, 4], [5.5, -6, 7.25, 8]])
Y_SPARSE = f32([[0, 1.5, 0, 0], [-2, 0, 0, 4], [0, 0, 0, 0]])
MIX = {"a": i64([[1, 2], [-3, 4]]), "b": f32([[0.5, 0.25], [1.5, -8]])}
TEXTS = words("a", "ü 🦀", "", 'say "no", or\nnot')
DIV = {"a": f32([0, 1, -1, 1, -0.0]), "b": f32([0, 0, 0, 4, 2])}
EQUAL_AND_CLEAR = f32([[1, 2, 2, 1], [0, 0, 300, 0], [150, 150, 0, 0]])
ECHO = {
    "i8": np.int8([-128, 127]), "i16": np.int16([-32768, 32767]), "i32": i32([-(2**31), 2**31 - 1]),
    "i64": i64([-(2**63), 2**63 - 1]), "u8": np.uint8([0, 255]), "u16": np.uint16([0, 65535]),
    "u32": np.uint32([0, 2**32 - 1]), "u64": np.uint64([0, 2**64 - 1]), "f16": f16([0.5, 65504]),
    "bf16": np.array([0.5, -2.5], dtype=ml_dtypes.bfloat16), "f32": f32([0.1, -3.4028235e38]),
    "f64": f64([0.1, 5e-324]), "bool": np.array([True, False]), "string": words("", 'ü 🦀 "quoted"\n'),
}  # fmt: skip

V2 = {
    "bool": "BOOL", "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64", "uint8": "UINT8",
    "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "float16": "FP16", "bfloat16": "BF16",
    "float32": "FP32", "float64": "FP64", "object": "BYTES",
}  # fmt: skip

# === Google's protobuf, with the schema of aialgs.data.Record ===


def record_class():
    file = descriptor_pb2.FileDescriptorProto(name="record.proto", package="aialgs.data", syntax="proto2")
    kind = descriptor_pb2.FieldDescriptorProto

    def message(name, *fields, into=file.message_type):
        made = into.add(name=name)
        for number, label, field_name, field_type in fields:
            field = made.field.add(name=field_name, number=number, label=label)
            if isinstance(field_type, str):
                field.type, field.type_name = kind.TYPE_MESSAGE, f".aialgs.data.{field_type}"
            else:
                field.type = field_type
                field.options.packed = label == kind.LABEL_REPEATED and field_type != kind.TYPE_BYTES
        return made

    one, many = kind.LABEL_OPTIONAL, kind.LABEL_REPEATED
    numbers = {"Float32Tensor": kind.TYPE_FLOAT, "Float64Tensor": kind.TYPE_DOUBLE, "Int32Tensor": kind.TYPE_INT32}
    for name, element in numbers.items():
        message(
            name, (1, many, "values", element), (2, many, "keys", kind.TYPE_UINT64), (3, many, "shape", kind.TYPE_UINT64)
        )
    message("Bytes", (1, many, "value", kind.TYPE_BYTES), (2, one, "content_type", kind.TYPE_STRING))
    value = message(
        "Value", (2, one, "float32_tensor", "Float32Tensor"), (3, one, "float64_tensor", "Float64Tensor"),
        (7, one, "int32_tensor", "Int32Tensor"), (9, one, "bytes", "Bytes"),
    )  # fmt: skip
    value.oneof_decl.add(name="value")
    for field in value.field:
        field.oneof_index = 0
    record = message(
        "Record", (1, many, "features", "Record.FeaturesEntry"), (2, many, "label", "Record.LabelEntry"),
        (3, one, "uid", kind.TYPE_STRING), (4, one, "metadata", kind.TYPE_STRING),
        (5, one, "configuration", kind.TYPE_STRING),
    )  # fmt: skip
    for entry in ("FeaturesEntry", "LabelEntry"):
        made = message(entry, (1, one, "key", kind.TYPE_STRING), (2, one, "value", "Value"), into=record.nested_type)
        made.options.map_entry = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("aialgs.data.Record"))


Record = record_class()
MAGIC = 0xCED7230A


def frame(payload):
    return struct.pack("<II", MAGIC, len(payload)) + payload + bytes(-len(payload) % 4)


def recordio(*rows):
    """A record per row: an object of arrays by feature; a sparse one as (values, keys, shape)."""
    body = b""
    for row in rows:
        record = Record()
        for name, array in row.items():
            values, keys, shape = array if isinstance(array, tuple) else (array, [], [])
            feature = record.features[name]
            if values.dtype == object:
                feature.bytes.value.extend(text.encode() for text in values)
                continue
            kind = {"float32": "float32_tensor", "float64": "float64_tensor", "int32": "int32_tensor"}
            tensor = getattr(feature, kind[values.dtype.name])
            tensor.values.extend(values.tolist())
            tensor.keys.extend(keys)
            tensor.shape.extend(shape)
        body += frame(record.SerializeToString(deterministic=True))
    return body


def sparse_row(row):
    (keys,) = np.nonzero(row)
    return row[keys], keys.tolist(), list(row.shape)


# === requests ===


def to_json(value):
    return json.dumps(value, ensure_ascii=False).encode()


def to_lines(records, end="\n"):
    return "".join(json.dumps(record, ensure_ascii=False) + end for record in records).encode()


def to_csv(rows, end="\n", **options):
    out = io.StringIO()
    csv.writer(out, lineterminator=end, **options).writerows(rows)
    return out.getvalue().encode()


def to_npy(array, version=None):
    out = io.BytesIO()
    if version:
        np.lib.format.write_array(out, array, version=version, allow_pickle=False)
    else:
        np.save(out, array, allow_pickle=False)
    return out.getvalue()


def to_npz(*unnamed, save=np.savez, **named):
    out = io.BytesIO()
    save(out, *unnamed, **named)
    return out.getvalue()


def to_sparse(matrix, compressed=True):
    out = io.BytesIO()
    scipy.sparse.save_npz(out, matrix, compressed=compressed)
    return out.getvalue()


def plain(array):
    """As JSON numbers and strings, row-major."""
    return [value.item() if isinstance(value, np.generic) else value for value in array.astype(array_type(array)).ravel()]


def array_type(array):
    return f32 if array.dtype.name == "bfloat16" else array.dtype


def raw(array):
    if array.dtype == object:
        return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in array.ravel())
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def v2_input(name, array, **also):
    return {"name": name, "shape": list(array.shape), "datatype": V2[array.dtype.name], **also}


def v2(inputs, nested=False, **also):
    """A KServe v2 request whose data stand in its JSON."""

    def data(array):
        return array.tolist() if nested else plain(array)

    return to_json({**also, "inputs": [v2_input(name, array, data=data(array)) for name, array in inputs.items()]})


def to_triton(inputs, in_json=(), **also):
    """Content type and body of a request with binary tensors, but for those named."""
    entries, behind = [], b""
    for name, array in inputs.items():
        if name in in_json:
            entries.append(v2_input(name, array, data=plain(array)))
            continue
        entries.append(v2_input(name, array, parameters={"binary_data_size": len(raw(array))}))
        behind += raw(array)
    head = to_json({**also, "inputs": entries})
    return f"{TYPES['triton']};json-header-size={len(head)}", head + behind


# === reading replies ===


def rows_of(outputs):
    """What each record gave."""
    count = len(next(iter(outputs.values())))
    records = [{name: one(value, i) for name, value in outputs.items()} for i in range(count)]
    return [next(iter(record.values())) if len(record) == 1 else record for record in records]


def one(value, i):
    return value[i] if isinstance(value, list) or value.dtype == object and value.ndim == 1 else np.asarray(value[i])


def whole(outputs):
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs


def check(found, expected):
    """Fails where parsed JSON is not this."""
    if isinstance(expected, dict):
        assert isinstance(found, dict) and list(found) == list(expected), (found, expected)
        for name in expected:
            check(found[name], expected[name])
    elif isinstance(expected, list):
        assert isinstance(found, list) and len(found) == len(expected), (found, expected)
        for pair in zip(found, expected):
            check(*pair)
    elif isinstance(expected, (np.ndarray, np.generic)):
        same(of_json(found, np.asarray(expected)), np.asarray(expected))
    else:
        assert found == expected, (found, expected)


def of_json(found, like):
    """Nested lists as an array, after a look at the kind of their members."""
    special = {None: math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
    kinds = {"f": float, "V": float, "i": int, "u": int, "b": bool, "O": str}

    def value(member):
        if isinstance(member, list):
            return [value(inner) for inner in member]
        if like.dtype.kind in "fV" and not isinstance(member, float):
            return special[member]
        assert type(member) is kinds[like.dtype.kind], (member, like.dtype)
        return member

    return np.array(value(found), dtype=like.dtype)


def same(found, expected):
    """Fails where arrays differ in type, shape or any element; NaN equals NaN, -0.0 only itself."""
    if found.dtype.kind == "U":
        found = found.astype(object)
    assert found.dtype == expected.dtype, (found.dtype, expected.dtype)
    assert found.shape == expected.shape, (found.shape, expected.shape)
    equal = found == expected
    if expected.dtype.kind in "fV":
        found, expected = found.astype(f64), expected.astype(f64)
        equal &= np.signbit(found) == np.signbit(expected)
        equal |= np.isnan(found) & np.isnan(expected)
    assert np.all(equal), (found, expected)


def check_bare(_, body, outputs):
    check(json.loads(body), whole(outputs))


def check_rows(_, body, outputs):
    check(json.loads(body), {"predictions": rows_of(outputs)})


def check_columns(_, body, outputs):
    check(json.loads(body), {"outputs": whole(outputs)})


def check_lines(_, body, outputs):
    assert body.endswith(b"\n")
    check([json.loads(line) for line in body.decode().removesuffix("\n").split("\n")], rows_of(outputs))


def check_csv(_, body, outputs):
    expected = []
    for i in range(len(next(iter(outputs.values())))):
        cells = (list(v[i].values()) if isinstance(v, list) else np.ravel(v[i]) for v in outputs.values())
        expected.append([cell for group in cells for cell in group])
    found = list(csv.reader(io.StringIO(body.decode(), newline="")))
    assert len(found) == len(expected), found
    for cells, values in zip(found, expected):
        assert len(cells) == len(values), (cells, values)
        for cell, value in zip(cells, values):
            if isinstance(value, str):
                assert cell == value
            elif isinstance(value, np.bool_):
                assert cell == str(bool(value)).lower()
            else:
                same(np.asarray(value.dtype.type(cell)), np.asarray(value))


def check_npy(_, body, outputs):
    same(np.load(io.BytesIO(body), allow_pickle=False), whole(outputs))


def check_npz(_, body, outputs):
    with np.load(io.BytesIO(body), allow_pickle=False) as archive:
        assert archive.files == list(outputs), archive.files
        for name, expected in outputs.items():
            same(archive[name], expected)


def check_recordio(_, body, outputs):
    records = []
    while body:
        magic, length = struct.unpack_from("<II", body)
        assert magic == MAGIC
        records.append(Record.FromString(body[8 : 8 + length]))
        body = body[8 + length + -length % 4 :]
    rows = len(next(iter(outputs.values())))
    assert len(records) == rows
    for i, record in enumerate(records):
        assert not record.features
        assert set(record.label) == (set(outputs) if len(outputs) > 1 else {"values"})
        for name, expected in outputs.items():
            value = record.label[name if len(outputs) > 1 else "values"]
            expected = np.ravel(expected[i : i + 1])
            if expected.dtype == object:
                assert [text.decode() for text in value.bytes.value] == list(expected)
                continue
            kind, wire = ("int32_tensor", i32) if expected.dtype.kind in "iub" else ("float32_tensor", f32)
            kind, wire = ("float64_tensor", f64) if expected.dtype == f64 else (kind, wire)
            assert value.WhichOneof("value") == kind
            same(np.array(getattr(value, kind).values, dtype=wire), expected.astype(wire))


def check_octets(_, body, outputs):
    expected = whole(outputs)
    same(np.frombuffer(body, dtype=expected.dtype.newbyteorder("<")).reshape(expected.shape), expected)


def check_v2(id=None, binary=()):
    """A v2 reply, whose outputs are binary where named."""

    def checked(content_type, body, outputs):
        size = re.fullmatch(r".*;json-header-size=(\d+)", content_type)
        assert bool(size) == bool(binary), content_type
        head, behind = (body[: int(size[1])], body[int(size[1]) :]) if size else (body, b"")
        reply = json.loads(head)
        assert list(reply) == ["model_name", "model_version", *(["id"] if id else []), "outputs"], reply
        assert reply.get("id") == id
        assert [entry["name"] for entry in reply["outputs"]] == list(outputs), reply
        for entry, expected in zip(reply["outputs"], outputs.values()):
            if isinstance(expected, list):
                # v2 has no maps: each is a string of JSON.
                check([json.loads(text) for text in entry["data"]], expected)
                assert entry["datatype"] == "BYTES" and entry["shape"] == [len(expected)]
                continue
            assert entry["datatype"] == V2[expected.dtype.name] and entry["shape"] == list(expected.shape), entry
            if entry["name"] not in binary:
                check(entry["data"], expected.ravel())
                continue
            length = entry["parameters"]["binary_data_size"]
            found, behind = behind[:length], behind[length:]
            if expected.dtype == object:
                assert found == raw(expected)
            else:
                same(np.frombuffer(found, dtype=expected.dtype).reshape(expected.shape), expected)
        assert not behind

    return checked


CHECKS = {
    "json": check_bare, "jsonlines": check_lines, "csv": check_csv, "npy": check_npy, "npz": check_npz,
    "recordio": check_recordio, "triton": check_v2(binary=["y"]), "octets": check_octets,
}  # fmt: skip

# === the pairs ===


class Pair:
    """A request and how its reply is judged."""

    def __init__(self, name, model, inputs, request, reads, accept=None, outputs=None, to=None):
        """`request` is a body, or content type and body; `outputs` are those asked for; `to` is the
        reply's type, the request's own where left out."""
        self.folder = name.split("/")[0]
        self.name, self.model, self.reads, self.accept = name, model, reads, accept
        self.content_type, self.body = request if isinstance(request, tuple) else (TYPES[self.folder], request)
        every = MODELS[model](**inputs)
        self.outputs = {output: every[output] for output in outputs or every}
        self.reply_type = TYPES[to or self.folder]

    def ask(self, url):
        headers = {"Content-Type": self.content_type, **({"Accept": self.accept} if self.accept else {})}
        request = urllib.request.Request(f"{url}/invocations", self.body, headers)
        try:
            with urllib.request.urlopen(request) as response:
                status, reply_type, reply = response.status, response.headers["Content-Type"], response.read()
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{self.name}: {error.code} {error.read().decode()}")
        try:
            assert status == 200
            assert reply_type.split(";")[0] == self.reply_type, reply_type
            self.reads(reply_type, reply, self.outputs)
        except Exception:
            print(f"{self.name}: {reply_type}: {reply!r}")
            raise
        for end, body in (("request", self.body), ("reply", reply)):
            path = DATA / f"{self.name}.{end}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        row = {"pair": self.name, "model": self.model, "content_type": self.content_type, "accept": self.accept}
        return {**row, "status": status, "reply_type": reply_type}


def crossed():
    """sum4 in every type, answered in every type."""
    requests = {
        "json": to_json(X.tolist()),
        "jsonlines": to_lines(X.tolist()),
        "csv": to_csv(X.tolist()),
        "npy": to_npy(X),
        "npz": to_npz(x=X),
        "recordio": recordio(*({"values": row} for row in X)),
        "triton": to_triton({"x": X}),
        "octets": raw(X),
    }
    for taken, request in requests.items():
        for given, media_type in TYPES.items():
            # JSON takes the form that belongs to the request.
            forms = {"jsonlines": check_rows, "triton": check_v2()} if given == "json" else {}
            reads = forms.get(taken, CHECKS[given])
            yield Pair(f"{taken}/to_{given}", "fixtures/sum4", {"x": X}, request, reads, media_type, to=given)


def json_pairs():
    sum4, mix = ("fixtures/sum4", {"x": X}), ("fixtures/mix", MIX)
    keys = {"a": MIX["a"].tolist(), "b": MIX["b"].tolist()}
    objects = [{"a": a, "b": b} for a, b in zip(keys["a"], keys["b"])]
    rows = X.tolist()
    clear = {"x": EQUAL_AND_CLEAR}
    yield Pair("json/bare", *sum4, to_json(rows), check_bare)
    yield Pair("json/bare_charset", *sum4, ("application/json; charset=utf-8", to_json(rows)), check_bare)
    yield Pair("json/bare_accept_list", *sum4, to_json(rows), check_csv, "text/csv, application/json", to="csv")
    yield Pair("json/bare_maps", "fixtures/zipmap", clear, to_json(EQUAL_AND_CLEAR.tolist()), check_bare)
    yield Pair("json/instances_rows", *sum4, to_json({"instances": rows}), check_rows)
    yield Pair("json/instances_objects", *mix, to_json({"instances": objects}), check_rows)
    features = [{"features": row} for row in rows]
    yield Pair("json/instances_features", *sum4, to_json({"instances": features}), check_rows)
    values = [{"data": {"features": {"values": row}}} for row in rows]
    yield Pair("json/instances_data_features_values", *sum4, to_json({"instances": values}), check_rows)
    flat = [{"features": a + b} for a, b in zip(keys["a"], keys["b"])]
    yield Pair("json/instances_features_of_two_inputs", *mix, to_json({"instances": flat}), check_rows)
    sparse = []
    for row in Y_SPARSE:
        values, keys_, shape = sparse_row(row)
        sparse.append({"data": {"features": {"keys": keys_, "shape": shape, "values": values.tolist()}}})
    body = to_json({"instances": sparse})
    yield Pair("json/instances_sparse", "fixtures/sum4", {"x": Y_SPARSE}, body, check_rows)
    body = to_json({"instances": list(TEXTS)})
    yield Pair("json/instances_strings", "fixtures/str", {"text": TEXTS}, body, check_rows)
    body = to_json({"instances": EQUAL_AND_CLEAR.tolist()})
    yield Pair("json/instances_maps", "fixtures/zipmap", clear, body, check_rows)
    body = to_json({"signature_name": "serving_default", "instances": rows})
    yield Pair("json/instances_signature_name", *sum4, body, check_rows)
    yield Pair("json/inputs_named", *mix, to_json({"inputs": keys}), check_columns)
    yield Pair("json/inputs_unnamed", *sum4, to_json({"inputs": rows}), check_columns)
    body = to_json({"inputs": {name: array.tolist() for name, array in DIV.items()}})
    yield Pair("json/inputs_not_finite", "fixtures/div", DIV, body, check_columns)
    scalars = {"a": f64(1.5), "b": f64(-3)}
    body = to_json({"inputs": {"a": 1.5, "b": -3}})
    yield Pair("json/inputs_scalars", "fixtures/scalar", scalars, body, check_columns)
    yield Pair("json/v2_flat", *sum4, v2({"x": X}), check_v2())
    yield Pair("json/v2_nested", *sum4, v2({"x": X}, nested=True), check_v2())
    yield Pair("json/v2_id", *sum4, v2({"x": X}, id="q1"), check_v2(id="q1"))
    yield Pair("json/v2_two_inputs", *mix, v2(MIX), check_v2())
    asked = v2(MIX, outputs=[{"name": "d"}])
    yield Pair("json/v2_one_output", *mix, asked, check_v2(), outputs=["d"])
    asked = v2(MIX, outputs=[{"name": "d"}, {"name": "s"}])
    yield Pair("json/v2_outputs_in_order", *mix, asked, check_v2(), outputs=["d", "s"])
    yield Pair("json/v2_one_output_to_npy", *mix, v2(MIX, outputs=[{"name": "s"}]), check_npy, TYPES["npy"], ["s"], "npy")
    yield Pair("json/v2_strings", "fixtures/str", {"text": TEXTS}, v2({"text": TEXTS}), check_v2())
    yield Pair("json/v2_every_type", "fixtures/echo", ECHO, v2(ECHO), check_v2())
    every = check_v2(binary=[f"{name}_out" for name in ECHO])
    yield Pair("json/v2_every_type_to_triton", "fixtures/echo", ECHO, v2(ECHO), every, TYPES["triton"], to="triton")
    yield Pair("json/v2_maps", "fixtures/zipmap", clear, v2({"x": EQUAL_AND_CLEAR}), check_v2())
    body = v2({"x": X}, parameters={"binary_data_output": True})
    yield Pair("json/v2_binary_wanted", *sum4, body, check_v2(binary=["y"]), to="triton")
    body = to_json({"instances": EQUAL_AND_CLEAR.tolist()})
    yield Pair("json/maps_to_csv", "fixtures/zipmap", clear, body, check_csv, TYPES["csv"], to="csv")
    yield Pair("json/maps_to_jsonlines", "fixtures/zipmap", clear, body, check_lines, TYPES["jsonlines"], to="jsonlines")
    customers = json.loads((ROOT / "models/churn/request.json").read_text())["instances"]
    kinds = {"age": f32, "fare": f32, "visits": i64, "city": object, "plan": object}
    columns = {name: np.array([[row[name]] for row in customers], dtype=kind) for name, kind in kinds.items()}
    asked = v2(columns, outputs=[{"name": "label"}])
    yield Pair("json/v2_columns_of_a_table", "models/churn", columns, asked, check_v2(), outputs=["label"])


def jsonlines_pairs():
    sum4, rows = ("fixtures/sum4", {"x": X}), X.tolist()
    yield Pair("jsonlines/rows", *sum4, to_lines(rows), check_lines)
    yield Pair("jsonlines/no_closing_newline", *sum4, to_lines(rows).rstrip(b"\n"), check_lines)
    yield Pair("jsonlines/blank_lines", *sum4, b"\n" + to_lines(rows, "\r\n\r\n"), check_lines)
    yield Pair("jsonlines/features", *sum4, to_lines({"features": row} for row in rows), check_lines)
    values = ({"data": {"features": {"values": row}}} for row in rows)
    yield Pair("jsonlines/data_features_values", *sum4, to_lines(values), check_lines)
    body = to_lines([rows[0], {"features": rows[1]}])
    yield Pair("jsonlines/mixed_forms", *sum4, body, check_lines)
    objects = to_lines({"a": a, "b": b} for a, b in zip(MIX["a"].tolist(), MIX["b"].tolist()))
    yield Pair("jsonlines/objects", "fixtures/mix", MIX, objects, check_lines)
    yield Pair("jsonlines/strings", "fixtures/str", {"text": TEXTS}, to_lines(TEXTS), check_lines)
    body = to_lines({"a": a, "b": b} for a, b in zip(DIV["a"].tolist(), DIV["b"].tolist()))
    yield Pair("jsonlines/not_finite", "fixtures/div", DIV, body, check_lines)
    ndjson = Pair(
        "jsonlines/ndjson", *sum4, ("application/x-ndjson", to_lines(rows)), check_lines, "application/x-ndjson"
    )
    ndjson.reply_type = "application/x-ndjson"
    yield ndjson


def csv_pairs():
    sum4, mix, rows = ("fixtures/sum4", {"x": X}), ("fixtures/mix", MIX), X.tolist()
    both = np.hstack([MIX["a"].astype(object), MIX["b"]]).tolist()
    yield Pair("csv/rows", *sum4, to_csv(rows), check_csv)
    yield Pair("csv/crlf", *sum4, to_csv(rows, "\r\n"), check_csv)
    yield Pair("csv/no_closing_newline", *sum4, to_csv(rows).rstrip(b"\n"), check_csv)
    yield Pair("csv/one_row", "fixtures/sum4", {"x": X[:1]}, to_csv(rows[:1]), check_csv)
    yield Pair("csv/label_size", *sum4, ("text/csv; label_size=0", to_csv(rows)), check_csv)
    yield Pair("csv/quoted_numbers", *sum4, to_csv(rows, quoting=csv.QUOTE_ALL), check_csv)
    empty = f32([[1, np.nan, 3, 4], [5, 6, 7, 8]])
    body = to_csv([["" if math.isnan(cell) else cell for cell in row] for row in empty.tolist()])
    yield Pair("csv/empty_cell", "fixtures/sum4", {"x": empty}, body, check_csv)
    yield Pair("csv/empty_cell_to_json", "fixtures/sum4", {"x": empty}, body, check_bare, TYPES["json"], to="json")
    yield Pair("csv/two_inputs", *mix, to_csv(both), check_csv)
    yield Pair("csv/two_inputs_to_npz", *mix, to_csv(both), check_npz, TYPES["npz"], to="npz")
    yield Pair("csv/two_inputs_to_recordio", *mix, to_csv(both), check_recordio, TYPES["recordio"], to="recordio")
    yield Pair("csv/strings", "fixtures/str", {"text": TEXTS}, to_csv([text] for text in TEXTS), check_csv)
    yield Pair("csv/not_finite", "fixtures/div", DIV, to_csv(zip(*(v.tolist() for v in DIV.values()))), check_csv)
    flags = np.array([True, False, True])
    yield Pair("csv/bools", "fixtures/not", {"flag": flags}, b"true\nFalse\n1\n", check_csv)
    clear = {"x": EQUAL_AND_CLEAR}
    yield Pair("csv/maps", "fixtures/zipmap", clear, to_csv(EQUAL_AND_CLEAR.tolist()), check_csv)


def npy_pairs():
    x = {"x": X}
    for kind in ("f2", "f4", "f8"):
        yield Pair(f"npy/{kind}", "fixtures/sum4", x, to_npy(X.astype("<" + kind)), check_npy)
    yield Pair("npy/big_endian", "fixtures/sum4", x, to_npy(X.astype(">f4")), check_npy)
    yield Pair("npy/fortran_order", "fixtures/sum4", x, to_npy(np.asfortranarray(X)), check_npy)
    yield Pair("npy/header_version_2", "fixtures/sum4", x, to_npy(X, (2, 0)), check_npy)
    yield Pair("npy/header_version_3", "fixtures/sum4", x, to_npy(X, (3, 0)), check_npy)
    index = i64([4, 0, 2])
    for kind in ("|i1", "<i2", ">i4", "<i8", "|u1", "<u8"):
        name = f"npy/{'big_endian_' if kind[0] == '>' else ''}{kind[1:]}"
        yield Pair(name, "fixtures/gather", {"index": index}, to_npy(index.astype(kind)), check_npy)
    flags = np.array([True, False, True])
    yield Pair("npy/bools", "fixtures/not", {"flag": flags}, to_npy(flags), check_npy)
    yield Pair("npy/strings", "fixtures/str", {"text": TEXTS}, to_npy(TEXTS.astype(str)), check_npy)
    yield Pair("npy/big_endian_strings", "fixtures/str", {"text": TEXTS}, to_npy(TEXTS.astype(">U16")), check_npy)
    clear = {"x": EQUAL_AND_CLEAR}
    yield Pair("npy/maps", "fixtures/zipmap", clear, to_npy(EQUAL_AND_CLEAR), check_bare, to="json")


def npz_pairs():
    x, mix = {"x": X}, ("fixtures/mix", MIX)
    yield Pair("npz/named", *mix, to_npz(**MIX), check_npz)
    yield Pair("npz/compressed", *mix, to_npz(save=np.savez_compressed, **MIX), check_npz)
    yield Pair("npz/other_order_and_types", *mix, to_npz(b=MIX["b"].astype(">f8"), a=np.asfortranarray(MIX["a"])), check_npz)
    yield Pair("npz/two_inputs_to_json", *mix, to_npz(**MIX), check_bare, TYPES["json"], to="json")
    yield Pair("npz/unnamed", "fixtures/sum4", x, to_npz(X), check_npz)
    yield Pair("npz/strings", "fixtures/str", {"text": TEXTS}, to_npz(text=TEXTS.astype(str)), check_npz)
    yield Pair("npz/not_finite", "fixtures/div", DIV, to_npz(**DIV), check_npz)
    matrix = {"x": Y_SPARSE}
    for kind in ("csr", "csc", "coo", "bsr", "dia"):
        sparse = getattr(scipy.sparse, f"{kind}_matrix")(Y_SPARSE)
        yield Pair(f"npz/scipy_{kind}", "fixtures/sum4", matrix, to_sparse(sparse), check_npz)
    sparse = scipy.sparse.csr_array(Y_SPARSE.astype(f64))
    yield Pair("npz/scipy_csr_array_stored", "fixtures/sum4", matrix, to_sparse(sparse, compressed=False), check_npz)


def recordio_pairs():
    x, mix = ("fixtures/sum4", {"x": X}), ("fixtures/mix", MIX)
    yield Pair("recordio/dense", *x, recordio(*({"values": row} for row in X)), check_recordio)
    yield Pair("recordio/dense_f64", *x, recordio(*({"values": f64(row)} for row in X)), check_recordio)
    whole_numbers = i32([[1, -2, 3, 4], [5, 6, 7, -(2**20)]])
    rows = recordio(*({"values": row} for row in whole_numbers))
    yield Pair("recordio/dense_i32", "fixtures/sum4", {"x": f32(whole_numbers)}, rows, check_recordio)
    yield Pair("recordio/dense_with_shape", *x, recordio(*({"values": (row, [], [4])} for row in X)), check_recordio)
    yield Pair("recordio/named", *x, recordio(*({"x": row} for row in X)), check_recordio)
    sparse = recordio(*({"values": sparse_row(row)} for row in Y_SPARSE))
    yield Pair("recordio/sparse", "fixtures/sum4", {"x": Y_SPARSE}, sparse, check_recordio)
    features = [{"a": i32(a), "b": b} for a, b in zip(MIX["a"], MIX["b"])]
    yield Pair("recordio/several_features", *mix, recordio(*features), check_recordio)
    yield Pair("recordio/several_features_to_json", *mix, recordio(*features), check_bare, TYPES["json"], to="json")
    flat = [{"values": np.hstack([f32(a), b])} for a, b in zip(MIX["a"], MIX["b"])]
    yield Pair("recordio/one_flat_feature", *mix, recordio(*flat), check_recordio)
    texts = recordio(*({"values": words(text)} for text in TEXTS))
    yield Pair("recordio/strings", "fixtures/str", {"text": TEXTS}, texts, check_recordio)
    rows = recordio(*({"a": f32([a]), "b": f32([b])} for a, b in zip(*DIV.values())))
    yield Pair("recordio/not_finite", "fixtures/div", DIV, rows, check_recordio)
    flags = np.array([True, False])
    rows = recordio(*({"values": i32([flag])} for flag in flags))
    yield Pair("recordio/bools", "fixtures/not", {"flag": flags}, rows, check_recordio)


def triton_pairs():
    x, mix = ("fixtures/sum4", {"x": X}), ("fixtures/mix", MIX)
    wanted = {"parameters": {"binary_data_output": True}}
    yield Pair("triton/binary_in_and_out", *x, to_triton({"x": X}, id="q1", **wanted), check_v2("q1", ["y"]))
    yield Pair("triton/binary_in", *x, to_triton({"x": X}), check_v2(), to="json")
    asked = [{"name": "d", "parameters": {"binary_data": True}}, {"name": "s"}]
    body = to_triton(MIX, in_json=["a"], outputs=asked)
    yield Pair("triton/mixed", *mix, body, check_v2(binary=["d"]), outputs=["d", "s"])
    texts = {"text": TEXTS}
    yield Pair("triton/strings", "fixtures/str", texts, to_triton(texts, **wanted), check_v2(binary=["same"]))
    flags = {"flag": np.array([True, False, True])}
    yield Pair("triton/bools", "fixtures/not", flags, to_triton(flags, **wanted), check_v2(binary=["negated"]))
    halves = {"a": f16([0.5, 65504, -0.0]), "b": f16([0.25, 65504, 0])}
    yield Pair("triton/f16", "fixtures/add_f16", halves, to_triton(halves, **wanted), check_v2(binary=["sum"]))
    brains = {"wide": f32([1.5, -3e38]), "back": np.array([0.5, 1e-30], dtype=ml_dtypes.bfloat16)}
    both = check_v2(binary=["narrow", "forth"])
    yield Pair("triton/bf16", "fixtures/bf16", brains, to_triton(brains, **wanted), both)
    every = check_v2(binary=[f"{name}_out" for name in ECHO])
    yield Pair("triton/every_type", "fixtures/echo", ECHO, to_triton(ECHO, **wanted), every)
    bare = (f"{TYPES['triton']};json-header-size=0", raw(X))
    yield Pair("triton/nothing_but_data", *x, bare, check_v2(), TYPES["json"], to="json")
    yield Pair("triton/no_header_size", *x, v2({"x": X}, **wanted), check_v2(binary=["y"]))
    yield Pair("triton/to_csv_of_two", *mix, to_triton(MIX), check_csv, TYPES["csv"], to="csv")


def octets_pairs():
    index = i64([4, 0, 2])
    yield Pair("octets/f32", "fixtures/sum4", {"x": X}, raw(X), check_bare, to="json")
    yield Pair("octets/i64", "fixtures/gather", {"index": index}, raw(index), check_bare, to="json")
    yield Pair("octets/i64_to_octets", "fixtures/gather", {"index": index}, raw(index), check_octets, TYPES["octets"])
    flags = np.array([True, False, True])
    yield Pair("octets/bools", "fixtures/not", {"flag": flags}, raw(flags), check_octets, TYPES["octets"])
    text = words("ü 🦀, as it is\n")
    yield Pair("octets/text", "fixtures/str", {"text": text}, text[0].encode(), check_bare, to="json")
    content_type, body = to_triton({"x": X}, parameters={"binary_data_output": True})
    content_type = content_type.replace(TYPES["triton"], TYPES["octets"])
    yield Pair("octets/triton_by_header_size", "fixtures/sum4", {"x": X}, (content_type, body), check_v2(binary=["y"]), to="triton")


def every_pair():
    groups = (
        crossed, json_pairs, jsonlines_pairs, csv_pairs, npy_pairs, npz_pairs, recordio_pairs, triton_pairs, octets_pairs,
    )  # fmt: skip
    order = list(TYPES)
    return sorted((pair for group in groups for pair in group()), key=lambda pair: order.index(pair.folder))


# === the server ===


class Server:
    def __init__(self, binary, model):
        self.base = tempfile.TemporaryDirectory()
        os.symlink(ROOT / ".plimsoll" / model, Path(self.base.name) / "model")
        env = {
            "PATH": "/usr/bin:/bin", "SAGEMAKER_BASE_DIR": self.base.name, "SAGEMAKER_BIND_TO_PORT": "0",
            "PLIMSOLL_ONNXRUNTIME_LIBRARY": str(ROOT / ".plimsoll/onnxruntime/libonnxruntime.so"),
            "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip
        command = [binary, "serve"]
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        for line in self.process.stderr:
            if port := re.search(r"0\.0\.0\.0:(\d+)", line):
                return f"http://127.0.0.1:{port[1]}"
        raise SystemExit("the server left before it was ready")

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        self.base.cleanup()


def main(binary):
    pairs = every_pair()
    names = [pair.name for pair in pairs]
    assert len(set(names)) == len(names), "two pairs of one name"
    rows = {}
    for model in MODELS:
        with Server(binary, model) as url:
            rows |= {pair.name: pair.ask(url) for pair in pairs if pair.model == model}
    for path in [*DATA.glob("*/*.request"), *DATA.glob("*/*.reply")]:
        if f"{path.parent.name}/{path.stem}" not in rows:
            path.unlink()
    lines = (json.dumps({key: value for key, value in rows[name].items() if value is not None}) for name in names)
    (DATA / "pairs.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(f"pairs: {len(rows)}")


if __name__ == "__main__":
    main(sys.argv[1])
