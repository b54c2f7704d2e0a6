"""Trains the iris model and writes it as ONNX: `make_iris.py FILE`.

A logistic regression, 4 inputs and 3 classes: a model of which a run costs next
to nothing, so that all that is measured is the server. A second; no seed needed.
"""

import sys
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


def main(path):
    sizes, labels = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=1000).fit(sizes, labels)
    # One array of probabilities, not a list of maps: cheaper for every server.
    graph = to_onnx(model, sizes[:1].astype(np.float32), options={"zipmap": False})
    path.write_bytes(graph.SerializeToString())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
