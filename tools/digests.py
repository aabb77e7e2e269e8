"""Whether fits of this fastbp give the same bits as those of another build, in 389 configurations.

    python tools/digests.py --against FOLDER    # beside the build installed in FOLDER
    python tools/digests.py                     # print the digests of the fastbp that is imported

Compares at each instruction-set level of this CPU, with matrix products by BLAS and by the tiles,
and prints the configurations that differ and the number of those that are equal. A digest is the
SHA-256 of weights, curves, counters, predictions, warnings and the numbers of `inspection` and
`check_gradient`. Only public names are used, so that older revisions can be compared too; `make
digests REV=...` builds one.
"""

import argparse
import hashlib
import itertools
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from levels import levels

SOLVERS = ("sgd", "adam", "lbfgs")
DTYPES = (np.float64, np.float32)
ACTIVATIONS = (
    "identity",
    "logistic",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "softplus",
    "hard_sigmoid",
    "step",
    "gelu",
    "gelu_tanh",
    "silu",
    "mish",
    "own silu",
    "own kink",
    "list",
)
REGRESSION_LOSSES = (
    "squared_error",
    "absolute_error",
    "huber",
    "quantile",
    "log_cosh",
    "poisson",
    "gamma",
    "tweedie",
    "own",
)
MODES: dict[str, dict[str, Any]] = {
    "plain": {},
    "batch 1": dict(batch_size=1, max_iter=2),
    "batch 7": dict(batch_size=7),
    "one batch": dict(batch_size=240),
    "unshuffled": dict(shuffle=False),
    "early stopping": dict(early_stopping=True, max_iter=12, n_iter_no_change=2),
    "no patience": dict(tol=0.5, n_iter_no_change=1, max_iter=30),
    "invscaling": dict(learning_rate="invscaling", power_t=0.3),
    "adaptive": dict(learning_rate="adaptive", tol=0.5, n_iter_no_change=1, max_iter=30),
    "heavy alpha": dict(alpha=1.0),
    "no alpha": dict(alpha=0.0),
    "no momentum": dict(momentum=0.0),
    "plain momentum": dict(nesterovs_momentum=False),
    "betas": dict(beta_1=0.5, beta_2=0.9, epsilon=1e-3),
    "init he": dict(init="he_uniform"),
    "init lecun": dict(init="lecun_uniform"),
    "linear": dict(hidden_layer_sizes=()),
    "deep": dict(hidden_layer_sizes=(5,) * 6),
    "wide": dict(hidden_layer_sizes=(300, 70), batch_size=128, max_iter=2),
}
CALLS = (
    "fit",
    "weights",
    "zero weights",
    "X_val",
    "X_val early",
    "warm start",
    "partial_fit",
    "fit then partial_fit",
    "solver changed",
)
REAL = ("number", "numbers", "positive", "share")  # kinds of targets for a regressor
ATTRIBUTES = (
    "loss_",
    "best_loss_",
    "loss_curve_",
    "validation_scores_",
    "t_",
    "n_iter_",
    "validation_loss_curve_",
    "best_validation_score_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
)
STATISTICS = ("mean", "std", "saturated", "dead", "delta_rms", "gradient_rms", "update_ratio")


class Configuration(NamedTuple):
    """A fit: which data, which parameters, which calls."""

    kind: str  # of the targets
    parameters: dict[str, Any]
    dtype: type
    sparse: bool
    call: str

    def __str__(self) -> str:
        parameters = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        layout = "CSR" if self.sparse else "dense"
        return f"{self.kind}, {parameters}, {self.dtype.__name__}, {layout}, {self.call}"


def configurations() -> Iterator[Configuration]:
    """All configurations, in a fixed order. Lengths of names serve as arbitrary fixed choices."""
    yield from grids()
    yield from modes_and_calls()
    rng = np.random.RandomState(11)
    for _ in range(80):
        kind = ("number", "numbers", "binary", "classes", "labels", "multilabel")[rng.randint(6)]
        mode = [*MODES.values()][rng.randint(len(MODES))]
        solver = SOLVERS[rng.randint(3)]
        activation = ACTIVATIONS[rng.randint(len(ACTIVATIONS) - 1)]
        call = CALLS[rng.randint(len(CALLS) - 1)]
        parameters = dict(mode, solver=solver, activation=activation)
        dtype, sparse = DTYPES[rng.randint(2)], rng.rand() < 0.3
        yield Configuration(kind, parameters, dtype, sparse, call)


def grids() -> Iterator[Configuration]:
    """Each activation, loss and link with each solver."""
    for activation, solver, dtype in itertools.product(ACTIVATIONS, SOLVERS, DTYPES):
        kind = "classes" if len(activation) % 2 else "number"
        parameters: dict[str, Any] = dict(activation=activation, solver=solver)
        yield Configuration(kind, parameters, dtype, len(solver) % 2 == 1, "fit")
    for loss, solver, dtype in itertools.product(REGRESSION_LOSSES, SOLVERS, DTYPES):
        kind = "positive" if loss in ("poisson", "gamma", "tweedie") else "numbers"
        parameters = dict(loss=loss, solver=solver)
        if loss == "quantile":
            parameters["quantile"] = [0.1, 0.5, 0.9]
        yield Configuration(kind, parameters, dtype, dtype is np.float32, "X_val")
    for link, loss in itertools.product(
        ("logistic", "softplus", "exp"), ("squared_error", "huber")
    ):
        parameters = dict(loss=loss, out_activation=link)
        yield Configuration("share", parameters, np.float64, False, "fit")
    for kind, loss, solver in itertools.product(
        ("binary", "classes", "labels", "multilabel"),
        ("log_loss", "squared_error", "own classes"),
        SOLVERS,
    ):
        parameters = dict(loss=loss, solver=solver)
        yield Configuration(kind, parameters, np.float64, solver == "sgd", "fit")


def modes_and_calls() -> Iterator[Configuration]:
    """Each mode of training and each sequence of calls with each solver."""
    for (mode, parameters), solver in itertools.product(MODES.items(), SOLVERS):
        kind = "number" if len(mode) % 2 else "labels"
        parameters = dict(parameters, solver=solver)
        yield Configuration(kind, parameters, np.float64, len(mode) % 3 == 0, "fit")
    for call, solver, kind in itertools.product(CALLS, SOLVERS, ("number", "classes")):
        dtype, sparse = DTYPES[len(call) % 2], len(call) % 3 == 0
        yield Configuration(kind, dict(solver=solver), dtype, sparse, call)


def resolve(value):
    """The value of a parameter, with a user's function in place of its name."""
    if not isinstance(value, str):
        return value
    from fastbp import graph as fg

    return {
        "own silu": lambda z: z * fg.sigmoid(z),
        "own kink": lambda z: fg.where(z > 0, z, fg.tanh(z) * 0.5),
        "list": ["tanh", lambda z: fg.maximum(z, 0.1 * z)],
        "own": lambda raw, y: fg.log(fg.cosh(raw - y)) + 0.1 * abs(raw - y),
        "own classes": lambda raw, y: fg.logsumexp(raw) - fg.sum(raw * y),
    }.get(value, value)


def data(kind, dtype, sparse):
    """X and y with targets of a kind."""
    rng = np.random.RandomState(7)
    X = rng.randn(240, 11) * (rng.rand(240, 11) < 0.6)
    signal = X[:, 0] + np.sin(2 * X[:, 1]) + X[:, 2] * X[:, 3] + 0.1 * rng.randn(240)
    y = {
        "number": signal,
        "numbers": np.stack([signal, X[:, 4] ** 2], axis=1),
        "positive": np.exp(signal / 3),
        "share": 1 / (1 + np.exp(-signal)),
        "binary": (signal > 0).astype(int),
        "classes": np.digitize(signal, [-1, 0.5, 1.5]),
        "labels": np.array(["a", "b", "c"])[np.digitize(signal, [-0.5, 1])],
        "multilabel": np.stack([signal > 0, X[:, 0] > 0, X[:, 1] > 0], axis=1).astype(int),
    }[kind]
    X = X.astype(dtype)
    return scipy.sparse.csr_matrix(X) if sparse else X, y


def train(model, X, y, call, kind):
    """Fit the model by the methods that `call` names."""
    n = X.shape[0]
    weight = np.arange(n) % 4 + 0.5
    if call == "fit":
        return model.fit(X, y)
    if call == "weights":
        return model.fit(X, y, sample_weight=weight)
    if call == "zero weights":
        model.set_params(shuffle=False, batch_size=40)
        return model.fit(X, y, sample_weight=weight * (np.arange(n) // 40 % 2))
    if call.startswith("X_val"):
        model.set_params(early_stopping=call == "X_val early")
        return model.fit(
            X[:180], y[:180], X_val=X[180:], y_val=y[180:], sample_weight_val=weight[180:]
        )
    if call == "warm start":
        model.set_params(warm_start=True)
        return model.fit(X, y).fit(X, y)
    if call == "solver changed":
        model.set_params(warm_start=True).fit(X, y)
        return model.set_params(solver="adam" if model.solver == "lbfgs" else "lbfgs").fit(X, y)
    if model.solver == "lbfgs":
        return model.fit(X, y)
    model.set_params(early_stopping=False)
    if call == "fit then partial_fit":
        return model.fit(X, y).partial_fit(X[:100], y[:100]).partial_fit(X[50:], y[50:])
    classes = np.arange(3) if kind == "multilabel" else np.unique(y)
    first = {} if kind in REAL else {"classes": classes}
    model.partial_fit(X[:100], y[:100], **first)
    return model.partial_fit(X[100:120], y[100:120]).partial_fit(X[60:], y[60:])


def facts(model, X, y):
    """All numbers that the fitted model has and gives."""
    from fastbp import check_gradient, inspection

    yield from model.coefs_
    yield from model.intercepts_
    for name in ATTRIBUTES:
        yield getattr(model, name, "none")
    yield model.predict(X)
    yield model.predict(X[:1])
    if hasattr(model, "predict_proba"):
        yield model.predict_log_proba(X)
    yield model.score(X, y)
    yield from inspection.activations(model, X[:9])
    yield inspection.input_gradients(model, X[:9])
    statistics = inspection.layer_statistics(model, X, y)
    for name in STATISTICS:
        yield getattr(statistics, name)
    if sum(w.size for w in model.coefs_) < 400:
        check = check_gradient(model, X[:60], y[:60], n_directions=2, random_state=0)
        yield check.max_error
        for layer in check.analytic:
            yield from layer


def digest(configuration: Configuration, n_threads: int) -> str:
    """The SHA-256 of a fit; of its message where it raises an error."""
    import fastbp

    kind, parameters, dtype, sparse, call = configuration
    parameters = {
        "hidden_layer_sizes": (9, 6),
        "max_iter": 5,
        "random_state": 3,
        "learning_rate_init": 0.01,
        "n_threads": n_threads,
        **{name: resolve(value) for name, value in parameters.items()},
    }
    model = (fastbp.MLPRegressor if kind in REAL else fastbp.MLPClassifier)(**parameters)
    X, y = data(kind, dtype, sparse)
    total = hashlib.sha256()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            train(model, X, y, call, kind)
            for fact in facts(model, X, y):
                array = np.asarray(fact)
                total.update(f"{array.dtype} {array.shape}".encode())
                total.update(str(fact).encode() if array.dtype.kind in "OU" else array.tobytes())
        except ValueError as error:
            total.update(str(error).encode())
    for warning in caught:
        total.update(str(warning.message).encode())
    return total.hexdigest()


def print_digests() -> None:
    """The folder of the package, then a line for each configuration with one thread, and for each
    third one with two."""
    import fastbp

    print(Path(fastbp.__file__).resolve().parent)
    for k, configuration in enumerate(configurations()):
        for n_threads in (1, 2) if k % 3 == 0 else (1,):
            found = digest(configuration, n_threads)
            print(f"{found}  {k:3} {configuration}, {n_threads} threads", flush=True)


def read_digests(level: str, way: str, path: Path | None = None) -> list[str]:
    """The printed lines of a process with this level and way of matrix products."""
    environment = dict(os.environ, FASTBP_ISA=level, FASTBP_MATMUL=way)
    if path:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, __file__]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"no digests of {path or 'the installed fastbp'} at {level}, {way}")
    folder, *lines = done.stdout.splitlines()
    if path and not Path(folder).is_relative_to(path.resolve()):
        sys.exit(f"there is no fastbp in {path}: {folder} was imported")
    return lines


def compare(path: Path) -> bool:
    """Whether all digests are equal; prints those that are not."""
    equal = True
    for level, way in itertools.product(levels(), ("blas", "native")):
        ours, theirs = read_digests(level, way), read_digests(level, way, path)
        differ = [new for new, old in zip(ours, theirs, strict=True) if new != old]
        print(f"{level}, {way}: {len(ours) - len(differ)} of {len(ours)} are equal", flush=True)
        for line in differ:
            print(f"    {line.split('  ', 1)[1]}", flush=True)
        equal = equal and not differ
    return equal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="where another build is installed")
    options = parser.parse_args()
    if options.against is None:
        print_digests()
    elif not compare(options.against.resolve()):
        sys.exit(1)


if __name__ == "__main__":
    main()
