"""Writes the sentence encoder all-MiniLM-L6-v2 as ONNX: `make.py SAFETENSORS FOLDER`.

The weights are read from the file of the Python package, the graph is written
node by node: no deep-learning framework is needed. Six layers of BERT at 384
numbers a token, then the mean over the tokens that the mask lets through,
scaled to length 1, so that the reply is one vector a text. A few seconds.
"""

import json
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

HIDDEN = 384
HEADS = 12
# Added to the scores of tokens that the mask hides: after softmax they are 0.
HIDDEN_SCORE = -1e4
EPSILON = 1e-12
TYPES = {"F32": np.float32, "I64": np.int64}


def read_weights(path):
    """The tensors of a safetensors file, by name: a length, a table as JSON, the raw numbers."""
    data = path.read_bytes()
    table_bytes = int.from_bytes(data[:8], "little")
    table = json.loads(data[8 : 8 + table_bytes])
    raw = memoryview(data)[8 + table_bytes :]
    weights = {}
    for name, entry in table.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = np.frombuffer(raw[begin:end], TYPES[entry["dtype"]])
        weights[name.removeprefix("bert.")] = values.reshape(entry["shape"])
    return weights


class Graph:
    """Nodes and weights as they are added; an operator gives back its output's name."""

    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.initializers = {}

    def constant(self, values, name=None):
        values = np.ascontiguousarray(values)
        name = name or f"constant_{values.dtype}_{'_'.join(map(str, values.ravel().tolist()))}"
        self.initializers[name] = numpy_helper.from_array(values, name)
        return name

    def weight(self, name, transposed=False):
        values = self.weights[name]
        return self.constant(values.T if transposed else values, name)

    def add(self, operator, *inputs, output=None, **attributes):
        output = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def dense(self, x, part):
        product = self.add("MatMul", x, self.weight(f"{part}.weight", transposed=True))
        return self.add("Add", product, self.weight(f"{part}.bias"))

    def norm(self, x, part):
        scale, bias = self.weight(f"{part}.weight"), self.weight(f"{part}.bias")
        return self.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=EPSILON)


def embeddings(graph):
    """Word, kind and place of each token, added."""
    words = graph.add("Gather", graph.weight("embeddings.word_embeddings.weight"), "input_ids")
    kinds = graph.add("Gather", graph.weight("embeddings.token_type_embeddings.weight"), "token_type_ids")
    shape = graph.add("Shape", "input_ids", start=1, end=2)
    places = graph.weight("embeddings.position_embeddings.weight")
    places = graph.add("Slice", places, graph.constant(np.array([0])), shape, graph.constant(np.array([0])))
    return graph.norm(graph.add("Add", graph.add("Add", words, kinds), places), "embeddings.LayerNorm")


def layer(graph, x, number, hidden_scores):
    """Attention and the two dense steps behind it, each with its way around."""
    part = f"encoder.layer.{number}"
    by_head = graph.constant(np.array([0, 0, HEADS, HIDDEN // HEADS]))
    query, key, value = (
        graph.add("Reshape", graph.dense(x, f"{part}.attention.self.{name}"), by_head)
        for name in ("query", "key", "value")
    )
    query = graph.add("Transpose", query, perm=[0, 2, 1, 3])
    key = graph.add("Transpose", key, perm=[0, 2, 3, 1])
    value = graph.add("Transpose", value, perm=[0, 2, 1, 3])
    scale = graph.constant(np.float32((HIDDEN // HEADS) ** -0.5))
    scores = graph.add("Mul", graph.add("MatMul", query, key), scale)
    scores = graph.add("Softmax", graph.add("Add", scores, hidden_scores), axis=-1)
    seen = graph.add("Transpose", graph.add("MatMul", scores, value), perm=[0, 2, 1, 3])
    seen = graph.add("Reshape", seen, graph.constant(np.array([0, 0, HIDDEN])))
    seen = graph.dense(seen, f"{part}.attention.output.dense")
    x = graph.norm(graph.add("Add", seen, x), f"{part}.attention.output.LayerNorm")
    wide = graph.add("Gelu", graph.dense(x, f"{part}.intermediate.dense"))
    return graph.norm(graph.add("Add", graph.dense(wide, f"{part}.output.dense"), x), f"{part}.output.LayerNorm")


def encoder(weights):
    graph = Graph(weights)
    mask = graph.add("Cast", "attention_mask", to=TensorProto.FLOAT)
    one = graph.constant(np.float32(1))
    hidden = graph.add("Sub", one, graph.add("Unsqueeze", mask, graph.constant(np.array([1, 2]))))
    hidden_scores = graph.add("Mul", hidden, graph.constant(np.float32(HIDDEN_SCORE)))
    x = embeddings(graph)
    layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))
    for number in range(layers):
        x = layer(graph, x, number, hidden_scores)
    column = graph.add("Unsqueeze", mask, graph.constant(np.array([2])))
    tokens = graph.constant(np.array([1]))
    total = graph.add("ReduceSum", graph.add("Mul", x, column), tokens, keepdims=0)
    # A text whose every token is hidden gives zeros, not a division by zero.
    count = graph.add("Max", graph.add("ReduceSum", column, tokens, keepdims=0), one)
    mean = graph.add("Div", total, count)
    graph.add("LpNormalization", mean, output="sentence_embedding", axis=-1, p=2)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in names]
    output = helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", HIDDEN])
    body = helper.make_graph(graph.nodes, "minilm", inputs, [output], list(graph.initializers.values()))
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def main(safetensors, folder):
    model = encoder(read_weights(safetensors))
    checker.check_model(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    print(f"minilm: {len(model.graph.node)} nodes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
