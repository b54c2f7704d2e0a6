"""Trains the boosted trees and writes them as ONNX: `make.py FOLDER`.

Which of three kinds is a row of forty numbers? XGBoost, 400 rounds of one tree
for each kind, behind a scaler and all squares and products of the columns: the
wide step, not the trees, is where a run's time goes. Invented rows; a fixed
seed, one thread; some ten seconds.
"""

import sys
from pathlib import Path

import numpy as np
from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
from skl2onnx import to_onnx, update_registered_converter
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from xgboost import XGBClassifier

COLUMNS = 40
ROUNDS = 400
# The opsets that the converter of the trees is written for.
OPSETS = {"": 18, "ai.onnx.ml": 3}


def rows(count, rng):
    """Columns and kinds: products of columns decide, so the wide step is worth its time."""
    x = rng.normal(size=(count, COLUMNS)).astype(np.float32)
    first = x[:, 0] * x[:, 1] + 0.5 * x[:, 2]
    second = x[:, 3] * x[:, 4] - 0.5 * x[:, 5] ** 2
    noise = rng.normal(scale=0.2, size=(count, 3))
    return x, (np.stack([first, second, np.zeros(count)], axis=1) + noise).argmax(axis=1)


def main(folder):
    rng = np.random.default_rng(5)
    train_x, train_y = rows(1500, rng)
    test_x, test_y = rows(1000, rng)
    trees = XGBClassifier(
        n_estimators=ROUNDS, max_depth=3, colsample_bytree=0.2, max_bin=32, n_jobs=1, random_state=5
    )
    model = make_pipeline(StandardScaler(), PolynomialFeatures(degree=2, include_bias=False), trees)
    model.fit(train_x, train_y)
    print(f"boosted: {model.score(test_x, test_y):.1%} of {len(test_y)} unseen rows right")
    update_registered_converter(
        XGBClassifier,
        "XGBoostXGBClassifier",
        calculate_linear_classifier_output_shapes,
        convert_xgboost,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
    )
    options = {id(trees): {"zipmap": False}}
    graph = to_onnx(model, train_x[:1], options=options, target_opset=OPSETS)
    (folder / "model.onnx").write_bytes(graph.SerializeToString())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
