"""What the tests of the runtime share: predictors through files, comparisons to the bit."""

import io

import numpy as np

from fastbp import runtime

PACKAGES = ("sklearn", "scipy", "joblib", "threadpoolctl", "pandas")


def load(model, **options):
    """The predictor of a model, through a file."""
    file = io.BytesIO()
    model.save(file)
    file.seek(0)
    return runtime.load(file, **options)


def assert_same(ours, theirs):
    if isinstance(theirs, list | tuple):
        assert type(ours) is type(theirs) and len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
        return
    assert type(ours) is np.ndarray
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    if ours.dtype.kind == "O":
        assert ours.tolist() == theirs.tolist()
    else:
        assert ours.tobytes() == theirs.tobytes()


def assert_same_predictions(predictor, model, x):
    assert_same(predictor.predict(x), model.predict(x))
    if hasattr(model, "classes_"):
        assert_same(predictor.predict_proba(x), model.predict_proba(x))
    elif getattr(model, "loss", None) == "gaussian":
        assert_same(predictor.predict(x, return_std=True), model.predict(x, return_std=True))
