"""Trains the churn model and writes it as ONNX: `make.py FOLDER`.

Will a subscriber leave? Invented customers with two number columns, one whole
number and two texts, one ONNX input for each column. Missing numbers are
filled in, unknown texts are ignored. A second or two; fixed seeds.
"""

import sys
from pathlib import Path

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

CITIES = ["Lisbon", "Oslo", "Turin"]
PLANS = ["basic", "family", "premium"]
NUMBERS = [0, 1, 2]
TEXTS = [3, 4]


def customers(count, rng):
    """Columns and whether the customer left: the chance falls with visits and the better plans."""
    age = rng.uniform(18, 80, count)
    fare = rng.gamma(3.0, 8.0, count)
    visits = rng.poisson(4, count)
    city = rng.integers(0, len(CITIES), count)
    plan = rng.integers(0, len(PLANS), count)
    wish = 0.09 * (fare - 24) - 0.8 * (visits - 4) - 0.02 * (age - 49) + np.array([1.2, 0.0, -1.2])[plan]
    wish += np.array([0.4, -0.4, 0.0])[city]
    left = rng.uniform(size=count) < 1 / (1 + np.exp(-2 * wish))
    age[rng.uniform(size=count) < 0.05] = np.nan
    table = np.empty((count, 5), dtype=object)
    table[:, 0], table[:, 1], table[:, 2] = age, fare, visits
    table[:, 3] = np.array(CITIES, dtype=object)[city]
    table[:, 4] = np.array(PLANS, dtype=object)[plan]
    return table, np.where(left, "churn", "stay")


def main(folder):
    rng = np.random.default_rng(7)
    train_x, train_y = customers(4000, rng)
    test_x, test_y = customers(2000, rng)
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    texts = OneHotEncoder(categories=[CITIES, PLANS], handle_unknown="ignore", sparse_output=False)
    regression = LogisticRegression(max_iter=200)
    model = make_pipeline(ColumnTransformer([("numbers", numbers, NUMBERS), ("texts", texts, TEXTS)]), regression)
    model.fit(train_x, train_y)
    print(f"churn: {model.score(test_x, test_y):.1%} of {len(test_y)} unseen customers right")
    columns = [
        ("age", FloatTensorType([None, 1])),
        ("fare", FloatTensorType([None, 1])),
        ("visits", Int64TensorType([None, 1])),
        ("city", StringTensorType([None, 1])),
        ("plan", StringTensorType([None, 1])),
    ]
    graph = convert_sklearn(model, "churn", columns, options={id(regression): {"zipmap": False}})
    (folder / "model.onnx").write_bytes(graph.SerializeToString())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
