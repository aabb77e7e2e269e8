"""200 random models, run by ONNX Runtime beside `predict`. `make test-onnx` runs this."""

from dataclasses import dataclass
from typing import Any

import formulas
import numpy as np
import pytest
from onnx_runs import MOST, assert_predicts, gap, rows, run, table, target_of

from fastbp import MLPClassifier, MLPRegressor
from fastbp.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from fastbp.kernels import core
from fastbp.tabular import TabularMLPClassifier, TabularMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
TARGETS = ("two", "strings", "five", "indicators", "several", "soft")
LOSSES = ("squared_error", "huber", "log_cosh", "quantile", "gaussian", "poisson", "gamma")


@dataclass
class Case:
    """A fitted model, and rows or a table in three times the range of the training data."""

    model: Any
    far: Any
    most: float
    has_std: bool


def labels_of(kind, number, random):
    """Labels of the numbers 0 to 4."""
    return {
        "two": number > 2,
        "strings": np.array(["a", "b", "c", "ä", "e"])[number],
        "five": 10 * number - 7,
        "indicators": np.eye(5, dtype=int)[number] | (random.rand(len(number), 5) < 0.2),
        "several": np.column_stack([number, number > 2, number % 3]),
        "soft": (np.eye(5)[number] + 0.1) / 1.5,
    }[kind]


def activation_of(random):
    """A name, or a traced function."""
    names = [*core.ACTIVATIONS, *formulas.ONE]
    name = names[random.randint(len(names))]
    return name if name in core.ACTIVATIONS else formulas.ONE[name]


def network_of(random):
    """Random parameters of a network."""
    hidden = tuple(random.randint(1, 40, size=random.randint(0, 4)).tolist())
    activation = activation_of(random)
    if hidden and random.rand() < 0.3:
        activation = [activation_of(random) for _ in hidden]
    return dict(hidden_layer_sizes=hidden, activation=activation, random_state=0)


def plain_case(random, seed):
    """A network or an ensemble of networks, in float32 or float64."""
    dtype = (np.float32, np.float64)[seed % 2]
    X, far = rows(dtype, features=random.randint(1, 30), seed=seed)
    signal = (X @ random.randn(X.shape[1]) / X.shape[1] ** 0.5).astype(np.float64)
    parameters = dict(network_of(random), max_iter=int(random.randint(1, 40)))
    n_members = random.randint(2, 5) if random.rand() < 0.3 else 0
    if random.rand() < 0.5:
        number = np.digitize(signal, [-1, -0.3, 0.3, 1])
        y = labels_of(TARGETS[random.randint(len(TARGETS))], number, random)
        model, has_std = MLPClassifier(**parameters), False
        if n_members:
            model = MLPEnsembleClassifier(model, n_members=n_members, random_state=0)
    else:
        loss = LOSSES[random.randint(len(LOSSES))]
        y = np.exp(signal / 4) if loss in ("poisson", "gamma") else np.sin(signal)
        if random.rand() < 0.3:
            y = np.column_stack([y, y / 2])
        quantile = [0.1, 0.5, 0.9] if loss == "quantile" else 0.5
        model = MLPRegressor(loss, quantile=quantile, **parameters)
        has_std = loss == "gaussian" or n_members > 0
        if n_members:
            model = MLPEnsembleRegressor(model, n_members=n_members, random_state=0)
    return Case(model.fit(X, y), far, MOST[X.dtype], has_std)


def tabular_case(random, seed):
    """A tabular model, with missing values, unseen categories, bools and strings."""
    frame, far = table(200, seed), table(400, seed + 1000, spread=3.0, unseen=True)
    n_columns = random.randint(1, frame.shape[1] + 1)
    chosen = frame.columns[random.permutation(frame.shape[1])[:n_columns]]
    target, n_members = target_of(frame, seed), int(random.randint(1, 4))
    common = dict(
        hidden_layer_sizes=(int(random.randint(1, 40)),),
        max_iter=int(random.randint(1, 8)),
        n_bins=[0, 3, 16][random.randint(3)],
        n_members=n_members,
        random_state=0,
    )
    if random.rand() < 0.5:
        kind = TARGETS[random.randint(3)]
        y = labels_of(kind, np.digitize(target, [-1, -0.3, 0.3, 1]), random)
        model, has_std = TabularMLPClassifier(calibrate=bool(random.rand() < 0.5), **common), False
    else:
        loss = ("auto", "gaussian", "quantile", "huber", "poisson")[random.randint(5)]
        y = np.exp(target / 4) if loss == "poisson" else target
        quantile = [0.9, 0.5, 0.1] if loss == "quantile" else 0.5
        model, has_std = TabularMLPRegressor(loss=loss, quantile=quantile, **common), True
    return Case(model.fit(frame[chosen], y), far[chosen], 1e-6, has_std)


def limit_of(case):
    """The largest difference that is allowed.

    Predictions that are exponentials multiply the rounding errors of float32 by raw predictions of
    any size, in `predict` as well. There it is three times what `predict` errs, if that is more.
    """
    members = getattr(case.model, "estimators_", [case.model])
    if case.most != 1e-6 or getattr(members[0], "out_activation_", "") != "exp":
        return case.most
    exact = case.model.predict(case.far.astype(np.float64))  # by the same weights
    return max(case.most, 3 * gap(case.model.predict(case.far), exact))


@pytest.mark.parametrize("seed", range(200))
def test_random_model(seed):
    random = np.random.RandomState(seed)
    case = (tabular_case if seed % 4 == 3 else plain_case)(random, seed)
    found, most = run(case.model, case.far), limit_of(case)
    assert_predicts(found, case.model, case.far, most)
    assert ("std" in found) == case.has_std
    if case.has_std:
        mean, std = case.model.predict(case.far, return_std=True)
        assert gap(found["std"], std, mean) <= most
