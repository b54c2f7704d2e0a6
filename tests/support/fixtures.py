"""Writes the tests' small ONNX models: `fixtures.py FOLDER IRIS`.

Each goes into a folder of its own, FOLDER/NAME/model.onnx, so that the folder
can stand in for /opt/ml/model. IRIS is the `logreg_iris.onnx` that comes with
ONNX Runtime. What each model is for stands in its function's doc line;
`N` is a free batch axis, `?` a free size.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, external_data_helper, helper, numpy_helper

F32, F64, F16, BF16 = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16
I32, I64, BOOL, STRING = TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING
TYPES = {
    "i8": TensorProto.INT8, "i16": TensorProto.INT16, "i32": I32, "i64": I64,
    "u8": TensorProto.UINT8, "u16": TensorProto.UINT16, "u32": TensorProto.UINT32, "u64": TensorProto.UINT64,
    "f16": F16, "bf16": BF16, "f32": F32, "f64": F64, "bool": BOOL, "string": STRING,
}  # fmt: skip

node = helper.make_node


def port(name, kind, shape):
    """An input or output; `shape` None leaves even the rank open."""
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, values, kind=np.float32):
    return numpy_helper.from_array(np.array(values, dtype=kind), name)


def model(nodes, inputs, outputs, constants=(), opset=20, domains=("ai.onnx.ml",)):
    """A model with IR version 10; unchecked, because some are meant to be wrong."""
    graph = helper.make_graph(nodes, "fixture", inputs, outputs, initializer=list(constants))
    imports = [helper.make_opsetid("", opset)]
    imports += [helper.make_opsetid(domain, 3 if domain == "ai.onnx.ml" else 1) for domain in domains]
    return helper.make_model(graph, opset_imports=imports, ir_version=10, producer_name="fixtures")


# === what the conformance cases speak of ===


def sum4():
    """x f32 [N,4] → y f32 [N,1], the sum of the row"""
    nodes = [node("ReduceSum", ["x", "axis"], ["y"], keepdims=1)]
    return model(nodes, [port("x", F32, ["N", 4])], [port("y", F32, ["N", 1])], [constant("axis", [1], np.int64)])


def mix():
    """a i64 [N,2], b f32 [N,2] → s = a+b, d = a−b, both f32 [N,2]"""
    nodes = [
        node("Cast", ["a"], ["a_float"], to=F32),
        node("Add", ["a_float", "b"], ["s"]),
        node("Sub", ["a_float", "b"], ["d"]),
    ]
    inputs = [port("a", I64, ["N", 2]), port("b", F32, ["N", 2])]
    return model(nodes, inputs, [port("s", F32, ["N", 2]), port("d", F32, ["N", 2])])


def str_():
    """text string [N] → same string [N], unchanged"""
    return model([node("Identity", ["text"], ["same"])], [port("text", STRING, ["N"])], [port("same", STRING, ["N"])])


# === awkward signatures and values ===


def scalar():
    """a, b f64 [] → product f64 []: rank 0 is not [1]"""
    inputs = [port("a", F64, []), port("b", F64, [])]
    return model([node("Mul", ["a", "b"], ["product"])], inputs, [port("product", F64, [])])


def not_():
    """flag bool [N] → negated bool [N]; N may be 0"""
    return model([node("Not", ["flag"], ["negated"])], [port("flag", BOOL, ["N"])], [port("negated", BOOL, ["N"])])


def add_f16():
    """a, b f16 [N] → sum f16 [N]: 65504 + 65504 is infinite"""
    inputs = [port("a", F16, ["N"]), port("b", F16, ["N"])]
    return model([node("Add", ["a", "b"], ["sum"])], inputs, [port("sum", F16, ["N"])])


def div():
    """a, b f32 [N] → quotient f32 [N]: 0/0 and 1/0 are no JSON numbers"""
    inputs = [port("a", F32, ["N"]), port("b", F32, ["N"])]
    return model([node("Div", ["a", "b"], ["quotient"])], inputs, [port("quotient", F32, ["N"])])


def cast():
    """x f32 [N] → eleven outputs [N] named after their type: i8 … u64, f64, bool, string"""
    kinds = {name: kind for name, kind in TYPES.items() if name not in ("f16", "bf16", "f32")}
    nodes = [node("Cast", ["x"], [name], to=kind) for name, kind in kinds.items()]
    return model(nodes, [port("x", F32, ["N"])], [port(name, kind, ["N"]) for name, kind in kinds.items()])


def echo():
    """fourteen inputs [N] named after their type → the same as NAME_out"""
    nodes = [node("Identity", [name], [f"{name}_out"]) for name in TYPES]
    outputs = [port(f"{name}_out", kind, ["N"]) for name, kind in TYPES.items()]
    return model(nodes, [port(name, kind, ["N"]) for name, kind in TYPES.items()], outputs)


def bf16():
    """wide f32 [N] → narrow bf16 [N], the same cut to 8 bits; back bf16 [N] → forth f32 [N]"""
    nodes = [node("Cast", ["wide"], ["narrow"], to=BF16), node("Cast", ["back"], ["forth"], to=F32)]
    inputs = [port("wide", F32, ["N"]), port("back", BF16, ["N"])]
    return model(nodes, inputs, [port("narrow", BF16, ["N"]), port("forth", F32, ["N"])])


def rank():
    """x f32 of any rank → shape i64 [rank], flat f32 [?,?]"""
    nodes = [node("Shape", ["x"], ["shape"]), node("Flatten", ["x"], ["flat"], axis=0)]
    outputs = [port("shape", I64, ["rank"]), port("flat", F32, [None, None])]
    return model(nodes, [port("x", F32, None)], outputs)


def no_input():
    """no input → answer i64 [1], always 42"""
    value = numpy_helper.from_array(np.array([42], dtype=np.int64))
    return model([node("Constant", [], ["answer"], value=value)], [], [port("answer", I64, [1])])


def sequence():
    """x f32 [N,2] → pieces seq(f32): rows in groups of two, the last group may have one"""
    two = constant("two", 2, np.int64)
    pieces = helper.make_tensor_sequence_value_info("pieces", F32, None)
    return model([node("SplitToSequence", ["x", "two"], ["pieces"], axis=0)], [port("x", F32, ["N", 2])], [pieces], [two])


def optional():
    """x f32 [N] → maybe optional(f32 [N])"""
    inner = helper.make_tensor_type_proto(F32, ["N"])
    maybe = helper.make_value_info("maybe", helper.make_optional_type_proto(inner))
    return model([node("Optional", ["x"], ["maybe"])], [port("x", F32, ["N"])], [maybe])


def concat():
    """prefix string [1], text string [N] → joined string [N]"""
    inputs = [port("prefix", STRING, [1]), port("text", STRING, ["N"])]
    return model([node("StringConcat", ["prefix", "text"], ["joined"])], inputs, [port("joined", STRING, ["N"])])


def gather():
    """index i64 [N] → picked f32 [N] out of five; an index beyond 4 fails while the graph runs"""
    table = constant("table", [0.5, 1.5, 2.5, 3.5, 4.5])
    nodes = [node("Gather", ["table", "index"], ["picked"], axis=0)]
    return model(nodes, [port("index", I64, ["N"])], [port("picked", F32, ["N"])], [table])


def zipmap():
    """x f32 [N,4] → label string [N], scores seq(map(string, f32)): the larger of x0+x1 and x2+x3 wins"""
    labels = ["front", "back"]
    classifier = node(
        "LinearClassifier", ["x"], ["label", "raw"], domain="ai.onnx.ml", classlabels_strings=labels,
        coefficients=[1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0], intercepts=[0.0, 0.0], multi_class=1,
        post_transform="SOFTMAX",
    )  # fmt: skip
    zipped = node("ZipMap", ["raw"], ["scores"], domain="ai.onnx.ml", classlabels_strings=labels)
    score = helper.make_tensor_type_proto(F32, [])
    scores = helper.make_sequence_type_proto(helper.make_map_type_proto(STRING, score))
    outputs = [port("label", STRING, ["N"]), helper.make_value_info("scores", scores)]
    return model([classifier, zipped], [port("x", F32, ["N", 4])], outputs)


def overridable():
    """x f32 [N], and scale = 2, shift = 1, f32 [1], which a caller may override → y = x·scale + shift"""
    inputs = [port("x", F32, ["N"]), port("scale", F32, [1]), port("shift", F32, [1])]
    nodes = [node("Mul", ["x", "scale"], ["scaled"]), node("Add", ["scaled", "shift"], ["y"])]
    return model(nodes, inputs, [port("y", F32, ["N"])], [constant("scale", [2.0]), constant("shift", [1.0])])


def expand():
    """x f32 [1] → y f32 [2000000]: a reply far larger than its request"""
    shape = constant("shape", [2_000_000], np.int64)
    return model([node("Expand", ["x", "shape"], ["y"])], [port("x", F32, [1])], [port("y", F32, [2_000_000])], [shape])


def through():
    """x f32 [N] → y = −x, and x itself: an output that is an input"""
    nodes = [node("Neg", ["x"], ["y"])]
    return model(nodes, [port("x", F32, ["N"])], [port("y", F32, ["N"]), port("x", F32, ["N"])])


def odd_names():
    """ports named like real exports: `x.1`, `onnx::Flatten_0` → `4195`, `{"1": "one"}`, all f32 [N]"""
    inputs = [port("x.1", F32, ["N"]), port("onnx::Flatten_0", F32, ["N"])]
    nodes = [node("Add", ["x.1", "onnx::Flatten_0"], ["4195"]), node("Sub", ["x.1", "onnx::Flatten_0"], ['{"1": "one"}'])]
    return model(nodes, inputs, [port("4195", F32, ["N"]), port('{"1": "one"}', F32, ["N"])])


# === models that take their time ===


def busy(rounds):
    """sum4 that first multiplies 512 by 512 matrices, one after the other.

    `rounds` None takes their number from the first value of the request: the
    tests choose how long a run takes, and the warm-up on zeros is quick.
    """
    body = helper.make_graph(
        [node("MatMul", ["before", "before"], ["after"]), node("Identity", ["go"], ["still_go"])],
        "round",
        [port("round", I64, []), port("go", BOOL, []), port("before", F32, [512, 512])],
        [port("still_go", BOOL, []), port("after", F32, [512, 512])],
    )
    constants = [
        constant("axis", [1], np.int64), constant("zero", 0.0), constant("square", [512, 512], np.int64),
        constant("go_on", True, np.bool_),
    ]  # fmt: skip
    if rounds is None:
        constants += [constant("first", [0], np.int64), constant("scalar", [], np.int64)]
        count = [
            node("Flatten", ["x"], ["flat"], axis=0),
            node("Gather", ["flat", "first"], ["start"], axis=1),
            node("Cast", ["start"], ["whole"], to=I64),
            node("Reshape", ["whole", "scalar"], ["rounds"]),
        ]
    else:
        constants.append(constant("rounds", rounds, np.int64))
        count = []
    # The matrices hold zeros made from the input, so that nothing can be
    # computed at load and the reply stays the sum of the row.
    nodes = [
        *count,
        node("ReduceSum", ["x", "axis"], ["sum"], keepdims=1),
        node("ReduceSum", ["x"], ["total"], keepdims=0),
        node("Mul", ["total", "zero"], ["nothing"]),
        node("Expand", ["nothing", "square"], ["matrix"]),
        node("Loop", ["rounds", "go_on", "matrix"], ["worked"], body=body),
        node("ReduceSum", ["worked"], ["still_nothing"], keepdims=0),
        node("Add", ["sum", "still_nothing"], ["y"]),
    ]
    return model(nodes, [port("x", F32, ["N", 4])], [port("y", F32, ["N", 1])], constants)


def total():
    """x f32 [N] → sum f32 [1]: takes a body of any size and answers a few bytes"""
    nodes = [node("ReduceSum", ["x", "axis"], ["sum"], keepdims=1)]
    return model(nodes, [port("x", F32, ["N"])], [port("sum", F32, [1])], [constant("axis", [0], np.int64)])


def heavy():
    """x f32 [N,4] → y f32 [N,1], the sum of the row; about 100 million multiplications for each record"""
    # The vectors hold zeros made from the row, so that nothing can be computed at load.
    count = 400
    nodes = [
        node("ReduceSum", ["x", "axis"], ["sum"], keepdims=1),
        node("Mul", ["sum", "zero"], ["nothing"]),
        node("MatMul", ["nothing", "widen"], ["vector_0"]),
        *(node("MatMul", [f"vector_{i}", "square"], [f"vector_{i + 1}"]) for i in range(count)),
        node("ReduceSum", [f"vector_{count}", "axis"], ["still_nothing"], keepdims=1),
        node("Add", ["sum", "still_nothing"], ["y"]),
    ]
    constants = [
        constant("axis", [1], np.int64), constant("zero", [0.0]),
        constant("widen", np.ones((1, 512))), constant("square", np.full((512, 512), 0.001)),
    ]  # fmt: skip
    return model(nodes, [port("x", F32, ["N", 4])], [port("y", F32, ["N", 1])], constants)


# === models that must be refused ===


def unknown(operator, domain=""):
    """one node that no ONNX Runtime knows"""
    nodes = [node(operator, ["x"], ["y"], domain=domain)]
    return model(nodes, [port("x", F32, ["N"])], [port("y", F32, ["N"])], domains=[domain] if domain else [])


def table_outside(path, length=4096):
    """x f32 [N] → y = x + a table of 1024 ones that lies in a file beside the model"""
    table = constant("table", np.ones(1024))
    external_data_helper.set_external_data(table, path, 0, length)
    table.ClearField("raw_data")
    nodes = [node("ReduceSum", ["table"], ["total"], keepdims=0), node("Add", ["x", "total"], ["y"])]
    return model(nodes, [port("x", F32, ["N"])], [port("y", F32, ["N"])], [table])


def write_broken(folder, whole):
    """Files that are no model, and folders without exactly one."""
    half = whole[: len(whole) // 2]
    page = b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n"
    for name, content in {"broken_empty": b"", "broken_html": page, "broken_half": half}.items():
        write_bytes(folder, name, content)
    (folder / "no_model").mkdir()
    for copy in ("first.onnx", "second.onnx"):
        write_bytes(folder, "two_models", whole, copy)


def write_bytes(folder, name, content, file="model.onnx"):
    (folder / name).mkdir(exist_ok=True)
    (folder / name / file).write_bytes(content)


def main(folder, iris):
    ones = np.ones(1024, dtype=np.float32).tobytes()
    models = {
        "sum4": sum4(), "mix": mix(), "str": str_(), "scalar": scalar(), "not": not_(), "add_f16": add_f16(),
        "div": div(), "cast": cast(), "echo": echo(), "bf16": bf16(), "rank": rank(), "no_input": no_input(),
        "sequence": sequence(), "optional": optional(), "concat": concat(), "gather": gather(), "zipmap": zipmap(),
        "overridable": overridable(), "expand": expand(), "odd_names": odd_names(), "through": through(),
        "total": total(), "heavy": heavy(), "busy": busy(None), "slow": busy(40), "brief": busy(2), "slower": busy(300), "external": table_outside("table.bin"),
        "broken_domain": unknown("Mystery", "com.example"), "broken_operator": unknown("Frobnicate"),
        "broken_extension": unknown("StringUpper", "ai.onnx.contrib"),
        "broken_opset": model([node("Abs", ["x"], ["y"])], [port("x", F32, ["N"])], [port("y", F32, ["N"])], opset=99),
        "broken_external_missing": table_outside("table.bin"), "broken_external_short": table_outside("table.bin"),
        "broken_external_outside": table_outside("../sum4/model.onnx", 16),
    }  # fmt: skip
    for name, content in models.items():
        write_bytes(folder, name, content.SerializeToString())
    write_bytes(folder, "external", ones, "table.bin")
    write_bytes(folder, "broken_external_short", ones[:100], "table.bin")
    write_broken(folder, models["mix"].SerializeToString())
    (folder / "iris").mkdir()
    shutil.copy(iris, folder / "iris" / "model.onnx")
    print(f"fixtures: {len(list(folder.iterdir()))} model folders")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
