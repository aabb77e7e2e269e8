"""Make the model files of tests/files/format_1, and what their models predict.

    python make_fixtures.py format_1        # once for each format

Predictions are kept for each kind of arithmetic: with fused multiply-adds (v3, v4) and without
(baseline, with FASTBP_ISA=baseline FASTBP_MATMUL=native). Files that are there are kept.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np

from fastbp import MLPClassifier, MLPRegressor
from fastbp import graph as fg
from fastbp.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from fastbp.kernels import backend, core
from fastbp.schedules import Cosine
from fastbp.tabular import TabularMLPClassifier, TabularMLPRegressor

# Numbers that are the same on all machines: eighths, exact in float32.
X = ((np.arange(60)[:, None] * np.array([3, 5, 7, 11]) % 17) - 8) / 8.0
Y = np.arange(60) % 3
T = X[:, 0] * X[:, 1]
TABLE = [
    [float(a), "ab"[k % 2], None if k % 7 == 0 else float(k % 5)] for k, a in enumerate(X[:, 0])
]
SMALL = dict(hidden_layer_sizes=(6,), max_iter=3, random_state=0)
TABULAR = dict(hidden_layer_sizes=(6,), max_iter=3, n_members=2, random_state=0, n_bins=4)
MODELS = {
    "classifier": lambda: MLPClassifier(**SMALL).fit(X, np.array(["a", "b", "c"])[Y]),
    "binary_lbfgs": lambda: MLPClassifier(**SMALL, solver="lbfgs").fit(X, Y > 1),
    "multilabel": lambda: MLPClassifier(**SMALL).fit(X, np.stack([Y > 0, Y > 1], 1).astype(int)),
    "several_targets": lambda: MLPClassifier(**SMALL).fit(X, np.stack([Y, Y % 2], 1)),
    "regressor": lambda: MLPRegressor(
        **SMALL,
        activation=lambda z: z * fg.sigmoid(z),
        loss=lambda raw, y: fg.log(fg.cosh(raw - y)),
        learning_rate=Cosine(warmup=0.1),
    ).fit(X.astype(np.float32), T),
    "gaussian_stopped": lambda: MLPRegressor(
        **SMALL, early_stopping=True, alpha=0.5, n_iter_no_change=np.inf
    ).fit(X, np.stack([T, -T], 1)),
    "ensemble_classifier": lambda: MLPEnsembleClassifier(
        MLPClassifier(**SMALL), n_members=2, random_state=1
    ).fit(X, Y),
    "ensemble_regressor": lambda: MLPEnsembleRegressor(
        MLPRegressor(**SMALL), n_members=2, random_state=1
    ).fit(X, T),
    "tabular_classifier": lambda: TabularMLPClassifier(**TABULAR).fit(TABLE, Y),
    "tabular_regressor": lambda: TabularMLPRegressor(**TABULAR).fit(TABLE, T),
}


def arithmetic():
    """What decides the last bits of predictions, in one word; None where SciPy's BLAS does."""
    has_fma = core.BACKENDS[0] == "native"
    return None if backend != "native" else "fused" if has_fma else "not fused"


def predictions(model):
    """What a model predicts, as hexadecimal digits of the numbers."""
    rows = TABLE if "Tabular" in type(model).__name__ else X
    name = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    name = "predict_members" if rows is TABLE else name  # NumPy's exp has other bits elsewhere
    found = getattr(model, name)(rows)
    parts = found if isinstance(found, list) else [found]
    if rows is TABLE:
        parts = [part[:, :8] for part in parts]
    return [f"{part.dtype.str}:{part[:8].tobytes().hex()}" for part in parts]


def main():
    import fastbp

    folder = Path(__file__).parent / sys.argv[1]
    folder.mkdir(exist_ok=True)
    warnings.simplefilter("ignore")
    for name, make in MODELS.items():
        path = folder / f"{name}.safetensors"
        if not path.exists():
            make().save(path)
        known = path.with_suffix(".json")
        found = json.loads(known.read_text()) if known.exists() else {}
        found[arithmetic()] = predictions(fastbp.load(path))
        known.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
