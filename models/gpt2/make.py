"""Writes a text generator shaped like GPT-2 as ONNX: `make.py FOLDER`.

One run takes one token, or several, of each text, and the keys and values that
every layer has kept of the tokens before them; it gives scores for the token
that comes next, and keys and values with the new ones at their end. The
weights are random, from a fixed seed: the cost is that of a real model, the
text would be noise. A few seconds.
"""

import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

LAYERS = 6
HIDDEN = 512
HEADS = 8
WORDS = 8192
MOST_TOKENS = 1024
# Added to the scores of tokens that may not be seen: after softmax they are 0.
HIDDEN_SCORE = -1e4
EPSILON = 1e-5
SEED = 2019


class Graph:
    """Nodes and weights as they are added; an operator gives back its output's name."""

    def __init__(self):
        self.random = np.random.default_rng(SEED)
        self.nodes = []
        self.initializers = {}

    def keep(self, name, values):
        self.initializers.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def constant(self, values, kind=np.int64):
        values = np.asarray(values, kind)
        return self.keep(f"constant_{values.dtype}_{values.shape}_{values.ravel().tolist()}", values)

    def random_weight(self, name, *shape):
        return self.keep(name, 0.02 * self.random.standard_normal(shape, np.float32))

    def add(self, operator, *inputs, outputs=None, **attributes):
        outputs = outputs or [f"{operator}_{len(self.nodes)}"]
        self.nodes.append(helper.make_node(operator, list(inputs), outputs, **attributes))
        return outputs[0] if len(outputs) == 1 else outputs

    def dense(self, x, name, wide, narrow):
        product = self.add("MatMul", x, self.random_weight(f"{name}.weight", wide, narrow))
        return self.add("Add", product, self.keep(f"{name}.bias", np.zeros(narrow, np.float32)))

    def norm(self, x, name):
        scale = self.keep(f"{name}.weight", np.ones(HIDDEN, np.float32))
        bias = self.keep(f"{name}.bias", np.zeros(HIDDEN, np.float32))
        return self.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=EPSILON)


def count_tokens(graph):
    """How many tokens are kept, and how many there are with the new ones; each a scalar."""
    new = graph.add("Shape", "input_ids", start=1, end=2)
    kept = graph.add("Shape", "past_key_values.0.key", start=2, end=3)
    scalar = graph.constant([0])
    kept, new = graph.add("Squeeze", kept, scalar), graph.add("Squeeze", new, scalar)
    return kept, graph.add("Add", kept, new)


def hidden_scores(graph, places, total):
    """What is added to a token's scores: it may see those before it that the mask lets through."""
    every = graph.add("Range", graph.constant(0), total, graph.constant(1))
    row, column = graph.add("Unsqueeze", every, graph.constant([0])), graph.add("Unsqueeze", places, graph.constant([1]))
    later = graph.add("Unsqueeze", graph.add("Greater", row, column), graph.constant([0, 1]))
    masked = graph.add("Equal", graph.add("Unsqueeze", "attention_mask", graph.constant([1, 2])), graph.constant(0))
    unseen = graph.add("Or", later, masked)
    return graph.add("Where", unseen, graph.constant(HIDDEN_SCORE, np.float32), graph.constant(0, np.float32))


def attention(graph, x, number, hidden):
    """Each new token looks at all before it; its key and value join those that are kept."""
    names = [f"{part}_{number}" for part in ("query", "key", "value")]
    sizes = graph.constant([HIDDEN] * 3)
    parts = graph.add("Split", graph.dense(x, f"layer.{number}.all", HIDDEN, 3 * HIDDEN), sizes, outputs=names, axis=-1)
    by_head = graph.constant([0, 0, HEADS, HIDDEN // HEADS])
    query, key, value = (graph.add("Transpose", graph.add("Reshape", part, by_head), perm=[0, 2, 1, 3]) for part in parts)
    key, value = (
        graph.add("Concat", f"past_key_values.{number}.{kind}", new, outputs=[f"present.{number}.{kind}"], axis=2)
        for kind, new in (("key", key), ("value", value))
    )
    scale = graph.constant((HIDDEN // HEADS) ** -0.5, np.float32)
    scores = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 1, 3, 2]))
    scores = graph.add("Softmax", graph.add("Add", graph.add("Mul", scores, scale), hidden), axis=-1)
    seen = graph.add("Transpose", graph.add("MatMul", scores, value), perm=[0, 2, 1, 3])
    seen = graph.add("Reshape", seen, graph.constant([0, 0, HIDDEN]))
    return graph.dense(seen, f"layer.{number}.projection", HIDDEN, HIDDEN)


def layer(graph, x, number, hidden):
    """Attention and the two dense steps behind it, each with its way around."""
    x = graph.add("Add", x, attention(graph, graph.norm(x, f"layer.{number}.norm_1"), number, hidden))
    wide = graph.dense(graph.norm(x, f"layer.{number}.norm_2"), f"layer.{number}.wide", HIDDEN, 4 * HIDDEN)
    wide = graph.add("Gelu", wide, approximate="tanh")
    return graph.add("Add", x, graph.dense(wide, f"layer.{number}.narrow", 4 * HIDDEN, HIDDEN))


def generator():
    graph = Graph()
    kept, total = count_tokens(graph)
    places = graph.add("Range", kept, total, graph.constant(1))
    words = graph.random_weight("words", WORDS, HIDDEN)
    x = graph.add("Gather", words, "input_ids")
    x = graph.add("Add", x, graph.add("Gather", graph.random_weight("places", MOST_TOKENS, HIDDEN), places))
    hidden = hidden_scores(graph, places, total)
    for number in range(LAYERS):
        x = layer(graph, x, number, hidden)
    # The scores of the words come from the same table that the words went in by.
    graph.add("MatMul", graph.norm(x, "norm"), graph.add("Transpose", words, perm=[1, 0]), outputs=["logits"])

    def port(name, kind, *axes):
        return helper.make_tensor_value_info(name, kind, axes)

    def cache(name, tokens):
        names = [f"{name}.{number}.{kind}" for number in range(LAYERS) for kind in ("key", "value")]
        return [port(each, TensorProto.FLOAT, "batch", HEADS, tokens, HIDDEN // HEADS) for each in names]

    inputs = [
        port("input_ids", TensorProto.INT64, "batch", "sequence"),
        port("attention_mask", TensorProto.INT64, "batch", "total"),
        *cache("past_key_values", "past"),
    ]
    outputs = [port("logits", TensorProto.FLOAT, "batch", "sequence", WORDS), *cache("present", "total")]
    body = helper.make_graph(graph.nodes, "gpt2", inputs, outputs, list(graph.initializers.values()))
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def main(folder):
    model = generator()
    checker.check_model(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    numbers = sum(int(np.prod(weight.dims)) for weight in model.graph.initializer)
    print(f"gpt2: {len(model.graph.node)} nodes, {numbers / 1e6:.1f} million weights")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
