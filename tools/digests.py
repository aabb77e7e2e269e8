"""SHA-256 of what fits give, for 389 configurations: whether two builds have equal numbers.

    python tools/digests.py                     # of the fastbp that is imported
    python tools/digests.py --against FOLDER    # beside the build installed in FOLDER

`make digests REV=...` builds another revision and compares it with the working tree, at every
instruction-set level and with both ways of matrix products that this CPU has. Weights, curves,
counters, predictions, warnings and the numbers of `inspection` and `check_gradient` are hashed.
"""

import argparse
import hashlib
import itertools
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse

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
MODES = {
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


def functions(name):
    """The value of a parameter: names of own functions stand for the functions."""
    from fastbp import graph as fg

    return {
        "own silu": lambda z: z * fg.sigmoid(z),
        "own kink": lambda z: fg.where(z > 0, z, fg.tanh(z) * 0.5),
        "list": ["tanh", lambda z: fg.maximum(z, 0.1 * z)],
        "own": lambda raw, y: fg.log(fg.cosh(raw - y)) + 0.1 * abs(raw - y),
        "own classes": lambda raw, y: fg.logsumexp(raw) - fg.sum(raw * y),
    }.get(name, name)


def data(kind, dtype, sparse):
    """X and y of a kind of targets."""
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


def configurations():
    """(estimator, parameters, kind of targets, dtype, sparse, call) of all, in a fixed order."""
    for activation, solver, dtype in itertools.product(ACTIVATIONS, SOLVERS, DTYPES):
        kind = "classes" if len(activation) % 2 else "number"
        yield kind, dict(activation=activation, solver=solver), dtype, len(solver) % 2, "fit"
    for loss, solver, dtype in itertools.product(REGRESSION_LOSSES, SOLVERS, DTYPES):
        kind = "positive" if loss in ("poisson", "gamma", "tweedie") else "numbers"
        parameters = dict(loss=loss, solver=solver)
        if loss == "quantile":
            parameters["quantile"] = [0.1, 0.5, 0.9]
        yield kind, parameters, dtype, dtype == np.float32, "X_val"
    for link, loss in itertools.product(
        ("logistic", "softplus", "exp"), ("squared_error", "huber")
    ):
        yield "share", dict(loss=loss, out_activation=link), np.float64, False, "fit"
    for kind, loss, solver in itertools.product(
        ("binary", "classes", "labels", "multilabel"),
        ("log_loss", "squared_error", "own classes"),
        SOLVERS,
    ):
        yield kind, dict(loss=loss, solver=solver), np.float64, solver == "sgd", "fit"
    for (mode, parameters), solver in itertools.product(MODES.items(), SOLVERS):
        kind = "number" if len(mode) % 2 else "labels"
        yield kind, dict(parameters, solver=solver), np.float64, len(mode) % 3 == 0, "fit"
    for call, solver, kind in itertools.product(CALLS, SOLVERS, ("number", "classes")):
        yield kind, dict(solver=solver), DTYPES[len(call) % 2], len(call) % 3 == 0, call
    rng = np.random.RandomState(11)
    for _ in range(80):
        kind = ("number", "numbers", "binary", "classes", "labels", "multilabel")[rng.randint(6)]
        mode = [*MODES.values()][rng.randint(len(MODES))]
        solver = SOLVERS[rng.randint(3)]
        activation = ACTIVATIONS[rng.randint(len(ACTIVATIONS) - 1)]
        call = CALLS[rng.randint(len(CALLS) - 1)]
        yield (
            kind,
            dict(mode, solver=solver, activation=activation),
            DTYPES[rng.randint(2)],
            rng.rand() < 0.3,
            call,
        )


def train(model, X, y, call, kind):
    """Call the model's methods as `call` says."""
    n = X.shape[0]
    weight = np.arange(n) % 4 + 0.5
    classes = (
        {}
        if kind in ("number", "numbers", "positive", "share")
        else dict(classes=np.unique(y) if kind != "multilabel" else np.arange(3))
    )
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
    for part in (slice(0, 100), slice(100, 120), slice(60, 240)):
        model.partial_fit(X[part], y[part], **classes)
        classes = {}
    return model


def facts(model, X, y):
    """All numbers that the fitted model has and gives."""
    from fastbp import check_gradient, inspection

    for name in ("coefs_", "intercepts_"):
        yield from getattr(model, name)
    for name in (
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
    ):
        yield getattr(model, name, "none")
    yield model.predict(X)
    yield model.predict(X[:1])
    if hasattr(model, "predict_proba"):
        yield model.predict_log_proba(X)
    yield model.score(X, y)
    yield from inspection.activations(model, X[:9])
    yield inspection.input_gradients(model, X[:9])
    statistics = inspection.layer_statistics(model, X, y)
    yield from (getattr(statistics, name) for name in statistics.NUMBERS)
    if sum(w.size for w in model.coefs_) < 400:
        check = check_gradient(model, X[:60], y[:60], n_directions=2, random_state=0)
        yield check.max_error
        yield from (part for layer in check.analytic for part in layer)


def digest(kind, parameters, dtype, sparse, call, n_threads):
    """SHA-256 of what one configuration gives."""
    import fastbp

    is_regression = kind in ("number", "numbers", "positive", "share")
    Estimator = fastbp.MLPRegressor if is_regression else fastbp.MLPClassifier
    parameters = {
        name: functions(value) if isinstance(value, str) else value
        for name, value in parameters.items()
    }
    defaults = dict(
        hidden_layer_sizes=(9, 6),
        max_iter=5,
        random_state=3,
        n_threads=n_threads,
        learning_rate_init=0.01,
    )
    model = Estimator(**{**defaults, **parameters})
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
            print(error, file=sys.stderr)
    for warning in caught:
        total.update(str(warning.message).encode())
    return total.hexdigest()


def run():
    """Print a line for each configuration and number of threads."""
    for k, (kind, parameters, dtype, sparse, call) in enumerate(configurations()):
        told = ", ".join(f"{name}={value}" for name, value in parameters.items())
        name = f"{k:3} {kind}, {told}, {np.dtype(dtype)}, {'CSR' if sparse else 'dense'}, {call}"
        for n_threads in (1, 2):
            if n_threads == 2 and k % 3:
                continue
            print(
                f"{digest(kind, parameters, dtype, sparse, call, n_threads)}  {name}, "
                f"{n_threads} threads",
                flush=True,
            )


def builds():
    """(level, way of products) of all that the installed fastbp runs here."""
    found = []
    for level in ("baseline", "v3", "v4"):
        for way in ("blas", "native"):
            environment = dict(os.environ, FASTBP_ISA=level, FASTBP_MATMUL=way)
            done = subprocess.run(
                [sys.executable, "-c", "from fastbp import MLPRegressor"],
                env=environment,
                capture_output=True,
                check=False,
            )
            if done.returncode == 0:
                found.append((level, way))
    return found


def lines(level, way, path=None):
    """What this script prints for a build, in a process of its own."""
    environment = dict(os.environ, FASTBP_ISA=level, FASTBP_MATMUL=way)
    if path:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, __file__, "--run"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="where another build is installed")
    parser.add_argument("--run", action="store_true", help="print the digests of this very process")
    options = parser.parse_args()
    if options.run:
        run()
        return
    differ = 0
    for level, way in builds():
        print(f"== {level}, {way}", flush=True)
        ours = lines(level, way)
        if not options.against:
            print(*ours, sep="\n")
            continue
        theirs = lines(level, way, options.against.resolve())
        if len(ours) != len(theirs):
            sys.exit("the two builds ran different configurations")
        bad = [new for new, old in zip(ours, theirs, strict=True) if new != old]
        print(*bad, f"{len(ours) - len(bad)} of {len(ours)} are equal", sep="\n")
        differ += len(bad)
    sys.exit(differ != 0)


if __name__ == "__main__":
    main()
