"""A fit changes its estimator in one step, at whatever line Ctrl-C comes."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris

import fastbp.estimators
from fastbp import MLPClassifier, MLPRegressor
from interrupts import InterruptAt, files_of

X, y = load_iris(return_X_y=True)
FILES = [path for path in files_of(fastbp.estimators) if path.endswith("base.py")]


def facts(model):
    """All attributes, as far as they can be compared."""
    state = dict(vars(model))
    state.pop("_model", None)
    optimizer = state.pop("_optimizer", None)
    random_state = state.pop("_random_state", None)
    plain = pickle.dumps(random_state), optimizer and pickle.dumps(optimizer.to_plain())
    return {name: pickle.dumps(value) for name, value in state.items()}, plain


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "model",
    [
        MLPRegressor(hidden_layer_sizes=(3,), warm_start=True, max_iter=2, random_state=0),
        MLPClassifier((3,), max_iter=2, random_state=0),
        MLPClassifier((3,), early_stopping=True, warm_start=True, max_iter=2, random_state=0),
        MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", warm_start=True, max_iter=2),
    ],
    ids=["regressor", "classifier", "early stopping", "lbfgs"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_interrupt_at_any_line_leaves_the_old_estimator_or_the_new_one(model, call):
    if call == "partial_fit" and (model.early_stopping or model.solver == "lbfgs"):
        pytest.skip("it has no partial_fit")
    before = pickle.dumps(model.fit(X, y).set_params(max_iter=3))
    old = facts(pickle.loads(before))
    after = pickle.loads(before)
    new = facts(getattr(after, call)(X, y))
    line, seen = 0, set()
    while True:
        line += 1
        model = pickle.loads(before)
        with InterruptAt(line, FILES) as tracer, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                getattr(model, call)(X, y)
            except KeyboardInterrupt:
                pass
        if tracer.raised is None:
            break
        found = facts(model)
        assert found in (old, new), tracer.raised
        seen.add(found == new)
    assert seen == {False, True}
    np.testing.assert_array_equal(model.coefs_[0], after.coefs_[0])
