"""SHA-256 of 300 products, functions, losses, steps and fits, to compare platforms by.

    python tests/bits.py          # a line for each, of the fastbp that is imported

Where multiply and add are one instruction, the lines are the same on every platform. So only what
the core computes is hashed, and inputs are made of random bits by exact operations: sums and
functions of NumPy differ between platforms. lbfgs is SciPy's, and not here. `make test-arm64`
compares.
"""

import hashlib
import sys
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tools")]

import digests  # noqa: E402

import fastbp  # noqa: E402
from fastbp.kernels import core  # noqa: E402
from problems import DTYPES, LOSSES, Problem, rule_of  # noqa: E402

FORMS = ("nn", "nt", "tn")
# The last few columns, and what is copied, in blocks; see tests/kernels/test_matmul.py.
SHAPES = (
    *((5, n, 70) for n in (1, 2, 3, 4, 10, 17, 18, 19, 20, 33, 36)),
    (1, 20, 65),
    (1, 100, 784),
    (9, 50, 64),
    (7, 100, 515),
    (130, 530, 300),
)
FUNCTIONS = (
    *("abs", "sign", "relu", "sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "sinh", "cosh"),
    *("tanh", "sigmoid", "softplus", "erf", "reciprocal"),
)
FITS = 60  # of those of tools/digests.py
FITTED = ("coefs_", "intercepts_", "loss_curve_")


def coarse(x):
    """x in steps of 2^-10: what is left of the numbers that a library's functions made."""
    return np.round(np.asarray(x, float) * 1024) / 1024


def uniform(rng, shape, dtype, low=-2.0, high=2.0):
    """Numbers of random bits."""
    return coarse(low + (high - low) * rng.random_sample(shape)).astype(dtype)


def of_functions(dtype) -> Iterator[tuple]:
    """Elementary functions and activations with slopes and gradients, near zero and far from it."""
    rng = np.random.RandomState(1)
    wide = np.concatenate([uniform(rng, 3000, dtype), uniform(rng, 3001, dtype, -90, 90)])
    for name in FUNCTIONS:
        x = abs(wide) + dtype(2.0**-20) if name == "reciprocal" else wide.copy()
        core.kernel_elementary(name, x)
        yield f"function {name}", x
    for name, code in core.ACTIVATIONS.items():
        a, s, delta = wide.copy(), np.ones_like(wide), wide[::-1].copy()
        core.kernel_activate(code, a, s)
        core.kernel_activate_gradient(code, delta, a, s)
        yield f"activation {name}", a, s, delta
    for name, code in core.LINKS.items():
        z, widths = wide[: 6000 // 12 * 12].reshape(-1, 12).copy(), np.array([1.0, 3, 4, 4])
        core.kernel_link(code, z, widths if name == "grouped_softmax" else None)
        yield f"link {name}", z


def of_products(dtype) -> Iterator[tuple]:
    """Products of all forms, and some that leave out zeros."""
    for (m, n, k), form, zeros in product(SHAPES, FORMS, (False, True)):
        if zeros and (form == "nt" or m < 5):
            continue
        rng = np.random.RandomState(m + 7 * n + 49 * k)
        a = uniform(rng, (k, m) if form == "tn" else (m, k), dtype)
        b = uniform(rng, (n, k) if form == "nt" else (k, n), dtype)
        if zeros:
            a[rng.random_sample(a.shape) < 0.7] = 0
        c, bias = uniform(rng, (m, n), dtype), uniform(rng, n, dtype)
        scratch = np.zeros(core.matmul_scratch(form, m, n, k, zeros), dtype)
        add = form == "tn" and k % 2 == 1
        core.kernel_matmul(a, b, c, form, scratch, bias if form == "nn" else None, add, zeros)
        yield f"product {form} {m} {n} {k}{' zeros' if zeros else ''}", c


def of_losses(dtype) -> Iterator[tuple]:
    """Loss and gradient of a network for each loss, with the activations in turn."""
    for k, loss in enumerate(LOSSES):
        activation = [*core.ACTIVATIONS][k % len(core.ACTIVATIONS)]
        problem = Problem(activation, loss, dtype, n=70, hidden=(20, 17), sparse=k % 2 == 1)
        problem.network.params[:] = coarse(problem.network.params)
        x = problem.x if isinstance(problem.x, np.ndarray) else problem.x.data
        x[...] = coarse(x)
        problem.y[...] = coarse(problem.y)
        if problem.y.min() > 0:  # targets that have to stay so
            problem.y[...] += dtype(1 / 1024)
        yield f"loss {loss}", *map(np.asarray, problem.loss_gradient(chunk=32))


def of_steps(dtype) -> Iterator[tuple]:
    """A few steps of each optimizer."""
    constants: dict[str, dict] = {"plain": {}, "all": dict(weight_decay=0.01)}
    for (kind, given), name in product(constants.items(), core.OPTIMIZERS):
        rng = np.random.RandomState(2)
        w, state = uniform(rng, 1001, dtype), np.zeros((core.STATE_ROWS[name], 1001), dtype)
        rule = rule_of(name, **given)
        for step in (1, 2, 3):
            rate = core.kernel_rate(rule, 0.01, step)
            core.kernel_step(w, uniform(rng, 1001, dtype), state, rule, rate, 0.1, 0.25)
        yield f"steps of {name}, {kind}", w, state


def of_fits() -> Iterator[tuple]:
    """Weights, curve and predictions of fits by sgd and adam."""
    chosen = [
        configuration
        for configuration in digests.configurations()
        if configuration.parameters.get("solver") != "lbfgs"
        and not configuration.parameters.get("early_stopping")  # whose score is NumPy's
        and configuration.call in ("fit", "weights", "zero weights", "warm start", "partial_fit")
    ]
    for configuration in chosen[:: len(chosen) // FITS][:FITS]:
        kind, parameters, dtype, sparse, call = configuration
        X, y = digests.data(kind, dtype, False)
        X = coarse(X).astype(dtype)
        if y.dtype.kind == "f":
            y = coarse(y) + 1 / 1024 * (kind == "positive")
        if sparse:
            X = digests.scipy.sparse.csr_matrix(X)
        defaults = dict(hidden_layer_sizes=(20, 17), max_iter=3, random_state=3, n_threads=1)
        given = {name: digests.resolve(value) for name, value in parameters.items()}
        estimator = fastbp.MLPRegressor if kind in digests.REAL else fastbp.MLPClassifier
        model = digests.train(estimator(**{**defaults, **given}), X, y, call, kind)
        facts = [np.asarray(fact) for name in FITTED for fact in getattr(model, name)]
        found = model.predict(X) if kind in digests.REAL else model.predict_proba(X)
        yield f"fit {configuration}", *facts, found


def lines() -> Iterator[str]:
    """A hash and a name a line."""
    made: list = [
        (np.dtype(dtype), found)
        for kind in (of_functions, of_products, of_losses, of_steps)
        for dtype in DTYPES
        for found in kind(dtype)
    ]
    for dtype, (name, *arrays) in [*made, *(("", found) for found in of_fits())]:
        total = hashlib.sha256()
        for array in arrays:  # the NaN of a processor may have a sign
            total.update(np.where(np.isnan(array), np.nan, array).astype(array.dtype).tobytes())
        yield f"{total.hexdigest()}  {name} {dtype}".rstrip()


def main() -> None:
    warnings.simplefilter("ignore")  # of fits that have not converged
    for line in lines():
        print(line, flush=True)


if __name__ == "__main__":
    main()
