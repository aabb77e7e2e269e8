"""fastbp compared with scikit-learn on generated configurations, in float64.

A configuration is an estimator's parameters, a data set and a plan (one fit, several warm fits, a
series of partial_fits). Both packages run it. Then everything that a user can see of the training
is compared: loss curve, validation scores, predictions, n_iter_, t_ and the warnings.

The rule: gap = max |a - b| / (|a| + 1e-3) is at most 1e-9 for sgd and adam and 1e-5 for lbfgs, and
n_iter_ is the same. A configuration counts only if scikit-learn agrees with itself to 1e-11 after
X is changed by a relative 1e-15. The others are chaotic: no two programs can agree on them.

    python tests/estimators/parity.py              every configuration
    python tests/estimators/parity.py --part 2/8   the second of eight interleaved parts
    python tests/estimators/parity.py --only 17    one configuration, with its parameters

Not generated, because fastbp differs on purpose (docs/differences.md): multi-output squared error
with lbfgs, divergence with early stopping, and batches whose weights are all zero. In no
configuration does a Poisson mean underflow to 0 or a row of weight 0 overflow.
"""

import argparse
import inspect
import sys
import warnings
from dataclasses import dataclass, field
from functools import cache, partial
from types import SimpleNamespace

import numpy as np
import scipy.sparse as sp
import sklearn.neural_network
from sklearn import datasets
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

import fastbp

N_CONFIGURATIONS = 700
LIMITS = {"sgd": 1e-9, "adam": 1e-9, "lbfgs": 1e-5}
CHAOTIC = 1e-11
PERTURBATION = 1e-15
N_PREDICTED = 200  # rows whose prediction is compared after every step of the plan


# ---- data -------------------------------------------------------------------------------------


def _synthetic_classification(n_classes, n_samples, n_features):
    X, y = datasets.make_classification(
        n_samples, n_features, n_informative=4, n_classes=n_classes, random_state=0
    )
    return X, y


def _multilabel():
    return datasets.make_multilabel_classification(
        150, 12, n_classes=4, n_labels=2, return_indicator=True, random_state=0
    )


def _digits(divisor):
    X, y = datasets.load_digits(return_X_y=True)
    return X[:300] / divisor, y[:300]


def _two_irises():
    X, y = datasets.load_iris(return_X_y=True)
    return X[50:], y[50:]


def _scaled(load):
    X, y = load(return_X_y=True)
    return scale(X), y


def _diabetes_scaled():
    X, y = datasets.load_diabetes(return_X_y=True)
    return scale(X), scale(y)


def _regression(n_targets, n_samples=130):
    X, y = datasets.make_regression(
        n_samples, 7, n_targets=n_targets, noise=5.0, bias=3.0, random_state=0
    )
    return X, scale(y)


def _one_feature():
    X = np.linspace(-2, 2, 60).reshape(-1, 1)
    return X, np.sin(2 * X[:, 0])


def _sparse_regression():
    rng = np.random.RandomState(0)
    X = sp.random(160, 40, density=0.15, random_state=rng).toarray()
    return X, X @ rng.normal(size=40) + 0.1 * rng.normal(size=160)


def _sparse_binary():
    X, y = _sparse_regression()
    return X, (y > np.median(y)).astype(int)


def _counts(n_outputs, scale_X):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(140, 5))
    rate = np.exp(X @ rng.uniform(-0.5, 0.5, size=(5, n_outputs)) + 0.5)
    y = rng.poisson(rate).astype(float)
    return X * scale_X, y[:, 0] if n_outputs == 1 else y


# name: (function that loads it, whether the features or the target are far from unit scale)
DATA = {
    "iris": (partial(datasets.load_iris, return_X_y=True), False),
    "wine-raw": (partial(datasets.load_wine, return_X_y=True), True),
    "wine": (partial(_scaled, datasets.load_wine), False),
    "digits-raw": (partial(_digits, 1.0), True),
    "digits": (partial(_digits, 16.0), False),
    "five-classes": (partial(_synthetic_classification, 5, 160, 150), False),  # several slices
    "cancer-raw": (partial(datasets.load_breast_cancer, return_X_y=True), True),
    "cancer": (partial(_scaled, datasets.load_breast_cancer), False),
    "two-irises": (_two_irises, False),
    "two-classes": (partial(_synthetic_classification, 2, 90, 6), False),
    "sparse-binary": (_sparse_binary, False),
    "multilabel": (_multilabel, True),
    "multilabel-scaled": (lambda: (scale(_multilabel()[0]), _multilabel()[1]), False),
    "diabetes-raw": (partial(datasets.load_diabetes, return_X_y=True), True),
    "diabetes": (_diabetes_scaled, False),
    "regression": (partial(_regression, 1), False),
    "sparse-regression": (_sparse_regression, False),
    "one-feature": (_one_feature, False),
    "three-targets": (partial(_regression, 3), False),
    "linnerud-raw": (partial(datasets.load_linnerud, return_X_y=True), True),
    "linnerud": (lambda: tuple(map(scale, datasets.load_linnerud(return_X_y=True))), False),
    "counts": (partial(_counts, 1, 1.0), False),
    "counts-raw": (partial(_counts, 1, 10.0), True),
    "two-counts": (partial(_counts, 2, 1.0), False),
}

# loss: (estimator, data sets)
TASKS = {
    "multinomial": (
        "MLPClassifier",
        ["iris", "wine-raw", "wine", "digits-raw", "digits", "five-classes"],
    ),
    "binary": (
        "MLPClassifier",
        ["cancer-raw", "cancer", "two-irises", "two-classes", "sparse-binary"],
    ),
    "multilabel": ("MLPClassifier", ["multilabel", "multilabel-scaled"]),
    "squared": (
        "MLPRegressor",
        ["diabetes-raw", "diabetes", "regression", "sparse-regression", "one-feature"],
    ),
    "squared-multi": ("MLPRegressor", ["three-targets", "linnerud-raw", "linnerud"]),
    "poisson": ("MLPRegressor", ["counts", "counts-raw", "two-counts"]),
    "raw": ("MLPClassifier", ["wine-raw", "cancer-raw"]),
}


@cache
def load(name):
    X, y = DATA[name][0]()
    return np.ascontiguousarray(X, dtype=np.float64), y


# ---- configurations ---------------------------------------------------------------------------


@dataclass
class Configuration:
    number: int
    estimator: str  # class name
    task: str
    data: str
    params: dict
    plan: str  # fit, refit, warm, switch, partial, fit-partial
    n_steps: int
    layout: str  # dense, csr, csc, unsorted
    weights: str  # none, positive, zeros
    labels: str  # int, str, far (integers that are not 0..k-1)
    instance: bool  # whether random_state is a RandomState instance and not a seed
    changes: list = field(default_factory=list)  # set_params before each step

    def __str__(self):
        p = self.params
        words = [f"{self.number:03d}", p["solver"], self.task, self.data, p["activation"]]
        words.append(self.plan + (str(self.n_steps) if self.n_steps > 1 else ""))
        words += [w for w in (self.layout, self.labels) if w not in ("dense", "int")]
        words += ["weights" if self.weights == "positive" else "zero-weights"] * (
            self.weights != "none"
        )
        words += [p["learning_rate"]] * (p["learning_rate"] != "constant")
        words += ["early-stopping"] * p["early_stopping"]
        return "-".join(words)


def _pick(rng, *choices):
    return choices[rng.randint(len(choices))]


def _batch_size(rng, n_samples):
    """'auto', a size that divides n_samples or not, n_samples, or more; 1 only for small data."""
    sizes = ["auto", "auto", "auto", 16, 32, 37, 50, n_samples, n_samples + 10]
    if n_samples <= 200:
        sizes += [7, 10]
    if n_samples <= 130:
        sizes += [1]
    return _pick(rng, *sizes)


def _smallest_batch(n_samples, batch_size):
    batch_size = min(n_samples, 200 if batch_size == "auto" else batch_size)
    return min(batch_size, n_samples % batch_size or batch_size)


def _stochastic_params(rng, solver, task, raw, plan):
    early_stopping = plan in ("fit", "refit", "warm") and rng.rand() < 0.35
    if solver == "sgd":
        rates = [1e-5, 1e-4, 1e-3, 1e-2] if raw else [1e-3, 1e-2, 0.05, 0.2]
    else:
        rates = [1e-4, 1e-3, 1e-2] if raw else [1e-3, 1e-2, 0.1]
    if early_stopping:  # no rate that could diverge
        rates = rates[: 1 if task == "poisson" else 2]
    params = dict(
        learning_rate_init=_pick(rng, *rates),
        learning_rate=_pick(rng, "constant", "constant", "invscaling", "adaptive", "adaptive"),
        shuffle=bool(rng.rand() < 0.8),
        max_iter=_pick(rng, 20, 20, 20, 12, 5),
        tol=_pick(rng, 1e-4, 1e-4, 0.0, 1e-2, 0.1),
        n_iter_no_change=_pick(rng, 10, 5, 3, 1, np.inf),
        early_stopping=early_stopping,
        validation_fraction=_pick(rng, 0.1, 0.25),
    )
    if solver == "sgd":
        params.update(
            momentum=_pick(rng, 0.9, 0.9, 0.5, 0.0, 0.99),
            nesterovs_momentum=bool(rng.rand() < 0.6),
            power_t=_pick(rng, 0.5, 0.25, 1.0),
        )
    else:
        params.update(
            beta_1=_pick(rng, 0.9, 0.9, 0.5, 0.0),
            beta_2=_pick(rng, 0.999, 0.999, 0.9),
            epsilon=_pick(rng, 1e-8, 1e-8, 1e-3),
        )
    return params


def _lbfgs_params(rng):
    return dict(
        learning_rate="constant",
        early_stopping=False,
        max_iter=_pick(rng, 5, 10, 20, 50),
        max_fun=_pick(rng, 15000, 15000, 15000, 8),
        tol=_pick(rng, 1e-4, 1e-4, 1e-2, 0.0),
    )


def generate(number):
    """The configuration of a number, which is the only source of randomness."""
    rng = np.random.RandomState(7000 + number)
    solver = ["sgd", "adam", "sgd", "lbfgs", "adam"][number % 5]
    task = list(TASKS)[number % 7]
    if solver == "lbfgs" and task == "squared-multi":
        task = "squared"
    estimator, names = TASKS[task]
    data = _pick(rng, *names)
    raw = DATA[data][1]
    n_samples = load(data)[0].shape[0]

    if solver == "lbfgs":
        plan = _pick(rng, "fit", "fit", "fit", "warm")
        params = _lbfgs_params(rng)
    else:
        plan = _pick(
            rng, *["fit"] * 7, "refit", "warm", "warm", "switch", *["partial"] * 3, "fit-partial"
        )
        params = _stochastic_params(rng, solver, task, raw, plan)
    n_steps = {
        "fit": 1,
        "refit": 2,
        "warm": _pick(rng, 2, 3),
        "switch": 2,
        "partial": _pick(rng, 6, 12),
        "fit-partial": 6,
    }[plan]
    changes = [{}] * n_steps
    if plan == "switch":
        changes = [{}, {"solver": "adam" if solver == "sgd" else "sgd"}]
    elif plan == "warm" and rng.rand() < 0.5:
        changes = [{}] * (n_steps - 1) + [_pick(rng, {"max_iter": 4}, {"alpha": 0.1})]

    n_batched = n_samples // 3 if "partial" in plan else n_samples
    batch_size = _batch_size(rng, n_batched)
    params.update(
        solver=solver,
        activation=_pick(rng, "identity", "logistic", "tanh", "relu"),
        hidden_layer_sizes=_pick(
            rng,
            *[(10,), 7, 1, (16,), (30,), (100,), (9, 5), [12, 6], (33, 17), ()],
            *[(8, 7, 6), (5, 6, 4, 5, 3)],
        ),
        alpha=_pick(rng, 1e-4, 1e-4, 0.0, 1e-2, 1.0, 20.0),
        batch_size=batch_size,
        warm_start=plan in ("warm", "switch"),
        random_state=int(rng.randint(1000)),
    )
    if task == "poisson":
        params["loss"] = "poisson"

    weights = _pick(rng, "none", "none", "positive", "zeros")
    held_out = params.get("validation_fraction", 0) if params["early_stopping"] else 0
    n_trained = n_batched - int(np.ceil(held_out * n_batched))
    if weights == "zeros" and _smallest_batch(n_trained, batch_size) < 8:
        weights = "positive"  # a batch of weight 0, which could occur, fails in scikit-learn
    labels = "int"
    if estimator == "MLPClassifier" and task != "multilabel":
        labels = _pick(rng, "int", "int", "str", "far")
    return Configuration(
        number=number,
        estimator=estimator,
        task=task,
        data=data,
        params=params,
        plan=plan,
        n_steps=n_steps,
        layout=_pick(rng, "dense", "dense", "dense", "csr", _pick(rng, "csr", "csc", "unsorted")),
        weights=weights,
        labels=labels,
        instance=bool(rng.rand() < 0.3),
        changes=changes,
    )


def _version():
    """That of scikit-learn: two numbers."""
    return tuple(map(int, sklearn.__version__.split(".")[:2]))


def _as_worded_here(message):
    """A message; of L-BFGS's only the beginning, where scikit-learn words it otherwise."""
    start = "lbfgs failed to converge"
    return start if _version() < (1, 9) and message.startswith(start) else message


def _runs_here(config):
    """Whether the installed scikit-learn can run the configuration."""
    cls = getattr(sklearn.neural_network, config.estimator)
    version = _version()
    return (
        ("loss" not in config.params or "loss" in inspect.signature(cls).parameters)
        and (config.weights == "none" or "sample_weight" in inspect.signature(cls.fit).parameters)
        and not (config.params["early_stopping"] and config.labels == "str" and version < (1, 9))
    )


def configurations():
    return [c for c in map(generate, range(N_CONFIGURATIONS)) if _runs_here(c)]


# ---- one run ----------------------------------------------------------------------------------


@dataclass
class Trace:
    """What a user sees of a run. A gap is allowed in `numbers`; the rest must be equal."""

    numbers: list = field(default_factory=list)  # (name, array)
    counts: list = field(default_factory=list)  # n_iter_ and t_ after each step
    messages: list = field(default_factory=list)
    error: type | None = None


def _perturbed(X, seed):
    noise = np.random.RandomState(seed).choice([-1.0, 1.0], size=X.shape)
    return X * (1.0 + PERTURBATION * noise)


def _unsorted(X):
    """CSR with the elements of each row in reverse order, and one stored as two halves."""
    X = sp.csr_matrix(X)
    indices, values, indptr = [], [], [0]
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        row_indices, row_values = X.indices[start:stop][::-1], X.data[start:stop][::-1].copy()
        if row_indices.size:
            row_values[0] /= 2
            row_indices = np.append(row_indices, row_indices[0])
            row_values = np.append(row_values, row_values[0])
        indices.append(row_indices)
        values.append(row_values)
        indptr.append(indptr[-1] + row_indices.size)
    return sp.csr_matrix((np.concatenate(values), np.concatenate(indices), indptr), X.shape)


LAYOUTS = {"dense": np.asarray, "csr": sp.csr_matrix, "csc": sp.csc_matrix, "unsorted": _unsorted}


def _labelled(y, labels):
    if labels == "str":
        return np.array([f"class {k}" for k in "qwertyuiop"])[y]
    return y * 7 - 3 if labels == "far" else y


def _inputs(config, perturbation):
    X, y = load(config.data)
    if perturbation is not None:
        X = _perturbed(X, perturbation)
    weights = None
    if config.weights != "none":
        rng = np.random.RandomState(config.number)
        weights = rng.uniform(0.1, 3.0, size=X.shape[0])
        if config.weights == "zeros":
            weights[rng.rand(weights.size) < 0.15] = 0.0
    return LAYOUTS[config.layout](X), _labelled(y, config.labels), weights


def _estimator(config, package):
    params = dict(config.params)
    if config.instance:
        params["random_state"] = np.random.RandomState(params["random_state"])
    return getattr(package, config.estimator)(**params)


def _step(config, estimator, k, X, y, weights):
    """Run step k of the plan: fit on all rows, or partial_fit on every third row from k % 3 on."""
    if config.plan in ("partial", "fit-partial") and not (config.plan == "fit-partial" and k == 0):
        rows = np.arange(X.shape[0])[k % 3 :: 3]
        X = X[rows]
        y = y[rows]
        weights = None if weights is None else weights[rows]
        more = {}
        if config.estimator == "MLPClassifier" and k == 0:
            n_classes = config.task == "multilabel" and y.shape[1]
            more["classes"] = np.arange(n_classes) if n_classes else np.unique(y)
        train = partial(estimator.partial_fit, X, y, **more)
    else:
        train = partial(estimator.fit, X, y)
    train() if weights is None else train(sample_weight=weights)


def _observe(estimator, X, trace):
    """Add to the trace what the estimator shows after a step."""
    for name in (
        "loss_curve_",
        "validation_scores_",
        "loss_",
        "best_loss_",
        "best_validation_score_",
    ):
        value = getattr(estimator, name, None)
        if value is not None:
            trace.numbers.append((name, np.atleast_1d(np.asarray(value, dtype=np.float64))))
    method = "predict_proba" if hasattr(estimator, "predict_proba") else "predict"
    trace.numbers.append((method, getattr(estimator, method)(X[:N_PREDICTED])))
    trace.counts.append((estimator.n_iter_, estimator.t_))


def run(config, package, perturbation=None):
    """The trace of a configuration that is run with the classes of a package."""
    X, y, weights = _inputs(config, perturbation)
    rows = X.tocsr() if sp.issparse(X) else X
    trace = Trace()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator = _estimator(config, package)
        try:
            for k in range(config.n_steps):
                estimator.set_params(**config.changes[k])
                _step(config, estimator, k, X, y, weights)
                _observe(estimator, rows, trace)
        except Exception as error:
            trace.error = type(error)
    trace.messages = [
        f"{w.category.__name__}: {_as_worded_here(str(w.message))}"
        for w in caught
        if not issubclass(w.category, RuntimeWarning)
    ]
    return trace


# ---- comparison -------------------------------------------------------------------------------


def gap(a, b):
    """max |a - b| / (|a| + 1e-3); infinite if the shapes differ or only one number is finite."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        return np.inf
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    a, b = a[~same], b[~same]
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return np.inf
    return float(np.max(np.abs(a - b) / (np.abs(a) + 1e-3), initial=0.0))


@dataclass
class Comparison:
    gap: float = 0.0
    where: str = ""
    same_counts: bool = True
    differences: list = field(default_factory=list)  # what must be equal but is not


def compare(a, b):
    """The largest gap between two traces, and what must be equal but is not."""
    result = Comparison()
    if a.error is not None or b.error is not None:
        # The one that raised earlier has fewer numbers and warnings: only the types are compared.
        if a.error is not b.error:
            names = [e.__name__ if e else "no error" for e in (a.error, b.error)]
            result.differences.append("{} against {}".format(*names))
        return result
    for (name, x), (other, z) in zip(a.numbers, b.numbers, strict=False):
        distance = gap(x, z) if name == other else np.inf
        if distance > result.gap:
            result.gap, result.where = distance, name
    if a.counts != b.counts:
        result.same_counts = False
        result.differences.append(f"(n_iter_, t_) {a.counts} against {b.counts}")
    elif len(a.numbers) != len(b.numbers):
        result.differences.append(
            f"attributes {[n for n, _ in a.numbers]} against {[n for n, _ in b.numbers]}"
        )
    if a.messages != b.messages:
        result.differences.append(f"warnings {a.messages} against {b.messages}")
    return result


@dataclass
class Verdict:
    config: Configuration
    counted: bool
    raised: bool  # whether scikit-learn raises
    comparison: Comparison

    @property
    def passed(self):
        limit = LIMITS[self.config.params["solver"]]
        return self.comparison.gap <= limit and not self.comparison.differences

    def __str__(self):
        c = self.comparison
        gap_text = f"gap {c.gap:.1e} in {c.where}" if c.where else "gap 0"
        return f"{self.config}: " + "; ".join([gap_text, *c.differences])


def judge(config, candidate=fastbp, reference=sklearn.neural_network):
    """The verdict of the rule on a configuration, after both packages ran it."""
    with threadpool_limits(1, user_api="blas"):
        truth = run(config, reference)
        itself = compare(truth, run(config, reference, perturbation=config.number))
        counted = itself.gap < CHAOTIC and not itself.differences
        return Verdict(
            config,
            counted,
            truth.error is not None,
            compare(truth, run(config, candidate)) if counted else itself,
        )


def doubled_alpha(package):
    """The package with a fault that the rule has to find: the penalty is doubled."""

    def faulty(cls):
        return lambda **params: cls(**{**params, "alpha": 2 * params["alpha"] + 1e-3})

    names = ("MLPClassifier", "MLPRegressor")
    return SimpleNamespace(**{name: faulty(getattr(package, name)) for name in names})


# ---- script -----------------------------------------------------------------------------------


def table(verdicts):
    columns = "generated", "counted", "chaotic", "raised", "passed", "worst gap", "n_iter_ differs"
    lines = [f"{'':6}" + "".join(f"{c:>17}" for c in columns)]
    for solver in (*LIMITS, "all"):
        rows = [v for v in verdicts if solver in ("all", v.config.params["solver"])]
        counted = [v for v in rows if v.counted]
        cells = (
            len(rows),
            len(counted),
            len(rows) - len(counted),
            sum(v.raised for v in counted),
            sum(v.passed for v in counted),
            f"{max((v.comparison.gap for v in counted), default=0.0):.1e}",
            sum(not v.comparison.same_counts for v in counted),
        )
        lines.append(f"{solver:6}" + "".join(f"{cell:>17}" for cell in cells))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--part", default="1/1", metavar="K/N", help="part K of N")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="one configuration")
    options = parser.parse_args()
    part, n_parts = map(int, options.part.split("/"))
    chosen = configurations()[part - 1 :: n_parts]
    if options.only is not None:
        chosen = [generate(options.only)]
        print(chosen[0].__dict__)
    verdicts = []
    for config in chosen:
        verdict = judge(config)
        verdicts.append(verdict)
        if options.only is not None or (verdict.counted and not verdict.passed):
            label = "chaotic" if not verdict.counted else "ok" if verdict.passed else "FAIL"
            print(label, verdict, flush=True)
    print(table(verdicts))
    return int(any(v.counted and not v.passed for v in verdicts))


if __name__ == "__main__":
    sys.exit(main())
