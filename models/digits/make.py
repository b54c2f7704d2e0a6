"""Trains the digits model and writes it as ONNX: `make.py FOLDER`.

A small neural network (64 inputs, 64 hidden units, 10 classes) on the 8 by 8
figures that scikit-learn carries. A few seconds; fixed seeds.
"""

import sys
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler


def main(folder):
    pixels, labels = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(pixels, labels, test_size=0.25, random_state=7)
    network = MLPClassifier(hidden_layer_sizes=(64,), max_iter=400, tol=1e-3, random_state=7)
    model = make_pipeline(MaxAbsScaler(), network).fit(train_x, train_y)
    print(f"digits: {model.score(test_x, test_y):.1%} of {len(test_y)} unseen figures right")
    # One array of probabilities, not a list of maps: cheaper for every caller.
    graph = to_onnx(model, pixels[:1].astype(np.float32), options={id(network): {"zipmap": False}})
    (folder / "model.onnx").write_bytes(graph.SerializeToString())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
