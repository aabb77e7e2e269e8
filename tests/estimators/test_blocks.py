"""fit_blocks: the bits of a fit in memory where they are promised, resume, errors."""

import copy
import pickle
import time

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone

from fastbp import MLPClassifier, MLPRegressor, load
from fastbp.estimators import blocks
from fastbp.estimators.blocks import block_bytes
from fits import FITS, bits, unfitted
from interrupts import ranks_alive
from peaks import peak_of
from problems import DTYPES
from sources import Source, ragged

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
over_dtypes = pytest.mark.parametrize("dtype", DTYPES)
over_weights = pytest.mark.parametrize("weighted", [False, True], ids=["equal", "weighted"])
NOT_STOPPING = sorted(name for name in FITS if name != "stopping")


def window_of(X, rows):
    """A window whose half holds so many rows of dense X."""
    return 2 * rows * (X.shape[1] + 4) * X.dtype.itemsize + 16 * rows


def small(n=3000, dtype=np.float64, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.randn(n, 5).astype(dtype)
    return X, (X[:, 0] > 0).astype(int) + (X[:, 1] > 1), rng.randn(n, 2)


# ---- bits


@pytest.mark.parametrize(
    ("dtype", "is_sparse", "weighted"),
    [(np.float32, False, True), (np.float64, True, False)],
    ids=["float32-weighted", "float64-csr"],
)
@pytest.mark.parametrize("name", NOT_STOPPING)
def test_a_window_that_holds_all_gives_the_bits_of_fit(name, dtype, is_sparse, weighted):
    model, X, y, weight = unfitted(name, dtype, is_sparse, weighted)
    expected = clone(model).fit(X, y, weight)
    borders = ragged(np.random.RandomState(len(name)), len(y), 5)
    found = model.fit_blocks(Source(X, y, weight, borders))
    assert bits(found) == bits(expected)
    np.testing.assert_array_equal(found.predict(X[:50]), expected.predict(X[:50]))


CLASSIFIERS = {
    "binary": (2, {}),
    "several": (3, dict(activation="tanh")),
    "strings": ("strings", dict(class_weight={"0": 2.0, "1": 1.0, "2": 0.5})),
    "balanced": (3, dict(class_weight="balanced")),
    "multilabel": ("multilabel", {}),
    "soft": ("soft", {}),
    "targets": ("targets", dict(class_weight="balanced")),
}
REGRESSORS = {
    "plain": {},
    "gaussian": dict(loss="gaussian"),
    "quantile": dict(loss="quantile", quantile=[0.1, 0.9]),
    "huge": dict(alpha=3.0),
}


def labels_of(kind, labels):
    if kind == "strings":
        return labels.astype(str)
    if kind == "multilabel":
        return np.eye(3, dtype=int)[labels] | np.eye(3, dtype=int)[(labels + 1) % 3]
    if kind == "soft":
        return np.random.RandomState(0).dirichlet(np.ones(3), len(labels))
    if kind == "targets":
        return np.column_stack([labels, labels % 2, 5 - labels])
    return labels % kind


@over_dtypes
@over_weights
@pytest.mark.parametrize("name", [*CLASSIFIERS, *REGRESSORS])
def test_lbfgs_has_the_bits_of_fit_for_any_window(name, weighted, dtype):
    rng = np.random.RandomState(len(name))
    X, labels, numbers = small(dtype=dtype)
    parameters = dict(hidden_layer_sizes=(7,), solver="lbfgs", max_iter=4, random_state=0)
    if name in CLASSIFIERS:
        kind, own = CLASSIFIERS[name]
        model, y = MLPClassifier(**parameters, **own), labels_of(kind, labels)
    else:
        model, y = MLPRegressor(**parameters, **REGRESSORS[name]), numbers
        y = y * 1e6 if name == "huge" else y
    weight = rng.choice([0.0, 1e-3, 1.0, 1e3], len(y)) if weighted else None
    expected = clone(model).fit(X, y, weight)
    for borders in (None, ragged(rng, len(y), 12)):
        source = Source(X, y, weight, borders)
        found = clone(model).fit_blocks(
            source, window=window_of(X, 1100 + rng.randint(0, 400) + 800 * weighted)
        )
        assert bits(found) == bits(expected)
        assert len(source.reads) > 3
        assert found.coefs_[0].dtype == expected.coefs_[0].dtype


@over_weights
def test_lbfgs_has_the_bits_of_fit_on_sparse_rows(weighted):
    X, labels, _ = small()
    X = sparse.csr_array(np.where(X > 0.5, X, 0))
    weight = np.arange(len(labels)) % 4.0 if weighted else None
    model = MLPClassifier((7,), solver="lbfgs", max_iter=4, random_state=0)
    found = clone(model).fit_blocks(Source(X, labels, weight), window=120_000)
    assert bits(found) == bits(model.fit(X, labels, weight))


@pytest.mark.parametrize("rows", [1100, 10**6], ids=["windows", "one-window"])
def test_weights_of_any_size_have_the_bits_of_fit(rows):
    """Only their products count, also where both are far apart; and no sum of them overflows."""
    X, y, numbers = small(dtype=np.float32)
    parameters = dict(hidden_layer_sizes=(7,), solver="lbfgs", max_iter=2, random_state=0)
    targets, most = np.column_stack([y, 5 - y]), float(np.finfo(np.float64).max)
    borders = np.arange(0, 3001, 500)
    for class_weight, y_, weights in (
        ({0: 1e-30, 1: 1e30, 2: 1}, y, [1e30, 1e-30, 1]),
        ("balanced", y, [1e30, 1e-10, 1]),
        ([{0: 1e20, 1: 1e-20, 2: 1}, {3: 1e20, 4: 1, 5: 1e-20}], targets, [1, 1, 1]),
    ):
        model = MLPClassifier(**parameters, class_weight=class_weight)
        weight = np.array(weights, np.float64)[y]
        expected = clone(model).fit(X, y_, weight)
        found = model.fit_blocks(Source(X, y_, weight, borders), window=window_of(X, rows))
        assert bits(found) == bits(expected)
    for loss in ("squared_error", "gaussian"):
        model, weight = MLPRegressor(loss, **parameters), np.full(len(X), most)
        expected = clone(model).fit(X, numbers, weight)
        found = model.fit_blocks(Source(X, numbers, weight, borders), window=window_of(X, rows))
        assert bits(found) == bits(expected)


@pytest.mark.parametrize("name", NOT_STOPPING)
def test_in_their_order_the_rows_give_the_bits_of_fit(name):
    if "lbfgs" in name:
        pytest.skip("it has no order")
    model, X, y, _ = unfitted(name, np.float32, False, False, shuffle=False)
    model.set_params(batch_size=min(model.batch_size, 150) if model.batch_size != "auto" else 90)
    expected = clone(model).fit(X, y)
    found = model.fit_blocks(Source(X, y), window=window_of(X, 200))
    assert bits(found) == bits(expected)


@over_weights
@pytest.mark.parametrize(
    "parameters",
    [
        dict(),
        dict(solver="sgd", learning_rate="invscaling"),
        dict(dropout=0.3, input_dropout=0.1),
        dict(learning_rate="cosine"),
        dict(clip_norm=0.5, ema_decay=0.9),
        dict(n_threads=2, hidden_layer_sizes=(64, 32)),
    ],
    ids=["adam", "sgd", "dropout", "cosine", "averages", "threads"],
)
def test_an_epoch_has_the_bits_of_its_rows_in_memory(parameters, weighted, monkeypatch):
    """The order of the epoch is taken from the windows: training in it gives the same bits."""
    from fastbp.training import windows

    orders = []
    part_of = windows.Windows._part

    def watched(self, *arguments):
        part = part_of(self, *arguments)
        orders.append(part.samples.take(part.order))
        return part

    X, y, _ = small(2000)
    X[:, 0] = np.arange(len(X)) / 1000  # by which a row is known
    weight = 1 + np.arange(len(X)) % 3.0 if weighted else None
    model = MLPClassifier(
        **{"hidden_layer_sizes": (9,), "batch_size": 64, **parameters}, max_iter=2, random_state=0
    )
    monkeypatch.setattr(windows.Windows, "_part", watched)
    found = clone(model).fit_blocks(Source(X, y, weight), window=window_of(X, 200))
    monkeypatch.undo()
    assert len(orders) > 10
    rows = np.rint(np.concatenate([one.x[:, 0] for one in orders]) * 1000).astype(int)
    rows = rows.reshape(2, len(X))
    assert (rows[0] != rows[1]).any()
    expected = clone(model)
    epochs = iter(rows)

    class Orders(np.random.RandomState):
        """A generator that shuffles into the orders of the windows."""

        def shuffle(self, order):
            order[...] = next(epochs)

    expected.set_params(random_state=Orders(0))
    expected.fit(X, y, weight)
    assert bits(found) == bits(expected)


def test_the_model_depends_on_seed_and_window_alone():
    X, y, _ = small()
    fits = [
        MLPClassifier((9,), max_iter=3, random_state=seed, n_threads=threads).fit_blocks(
            Source(X, y), window=window_of(X, rows)
        )
        for seed, threads, rows in [(0, 1, 400), (0, 2, 400), (1, 1, 400), (0, 1, 900)]
    ]
    assert bits(fits[0]) == bits(fits[1])
    assert len({bits(one) for one in fits}) == 3


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_window_may_fill_no_batch(shuffle):
    X, y, _ = small()
    ends = np.arange(400, 3000, 401)  # ranges of 400 rows and of one
    source = Source(X, y, borders=np.array([0, *sorted([*ends, *(ends + 1)]), 3000]))
    model = MLPClassifier((9,), max_iter=2, batch_size=390, shuffle=shuffle, random_state=0)
    expected = clone(model).fit(X, y)
    found = model.fit_blocks(source, window=window_of(X, 400))
    assert found.t_ == 6000 and found._optimizer.t == 2 * -(-3000 // 390)
    assert (bits(found) == bits(expected)) == (not shuffle)


@pytest.mark.parametrize(("solver", "rows"), [("adam", 400), ("lbfgs", 1100), ("adam", 10**6)])
def test_a_source_may_use_its_arrays_again(solver, rows, monkeypatch):
    """As long as they are dense: what is read is copied before the next read."""
    X, y, _ = small()

    class SameArrays(Source):
        given = np.empty_like(X), np.empty_like(y)

        def read(self, first, stop):
            for into, array in zip(self.given, super().read(first, stop), strict=False):
                into[:] = -99
                into[: stop - first] = array
            return self.given[0][: stop - first], self.given[1][: stop - first], None

    monkeypatch.setattr(blocks, "MOST_BLOCK", 8000)  # several in one window
    model = MLPClassifier((9,), solver=solver, max_iter=2, random_state=0)
    found, expected = (
        clone(model).fit_blocks(kind(X, y), window=window_of(X, rows))
        for kind in (SameArrays, Source)
    )
    assert bits(found) == bits(expected)


def test_a_window_that_holds_all_has_the_size_of_the_samples(monkeypatch):
    X = np.random.RandomState(0).randn(100_000, 20).astype(np.float32)
    y = X[:, 0] > 0

    class Copies(Source):
        def read(self, first, stop):
            X, y, _ = super().read(first, stop)
            return X.copy(), y.copy(), None

    model = MLPClassifier((1,), max_iter=1, batch_size=1000)
    source, size = Copies(X, y), X.nbytes + 4 * len(y)
    monkeypatch.setattr(blocks, "MOST_BLOCK", 2**18)
    assert peak_of(lambda: model.fit_blocks(source)) < 1.5 * size


def test_sorted_rows_are_learned_as_well():
    X, y, _ = small(20_000)
    order = np.argsort(y, kind="stable")
    parameters = dict(hidden_layer_sizes=(20,), max_iter=10, random_state=0)
    of_fit = MLPClassifier(**parameters).fit(X, y).score(X, y)
    found = MLPClassifier(**parameters).fit_blocks(
        Source(X[order], y[order]), window=window_of(X, 2500)
    )
    assert found.score(X, y) > of_fit - 0.02


def test_a_memory_map_has_the_bits_of_its_array(tmp_path):
    X, y, _ = small(dtype=np.float32)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for solver in ("adam", "lbfgs"):
        model = MLPClassifier((9,), solver=solver, max_iter=3, random_state=0)
        assert bits(clone(model).fit(mapped, y)) == bits(model.fit(X, y))


# ---- validation, callbacks, classes


def test_early_stopping_and_validation_sets():
    X, y, _ = small(4000)
    model = MLPClassifier((9,), early_stopping=True, max_iter=30, random_state=0)
    source = Source(X[:3000], y[:3000])
    for window in (None, window_of(X, 500)):
        with pytest.raises(ValueError, match="early_stopping=True needs X_val and y_val"):
            clone(model).fit_blocks(source, window=window)
    model.fit_blocks(source, window=window_of(X, 500), X_val=X[3000:], y_val=y[3000:])
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.score(X[3000:], y[3000:]) == model.best_validation_score_
    watched = MLPClassifier((9,), max_iter=3, random_state=0)
    plain = clone(watched).fit_blocks(source, window=window_of(X, 500))
    watched.fit_blocks(source, window=window_of(X, 500), X_val=X[3000:], y_val=y[3000:])
    np.testing.assert_array_equal(plain.coefs_[0], watched.coefs_[0])
    assert len(watched.validation_scores_) == 3


class EndsAfterTwo:
    """A callback that ends training after the second epoch. It notes the data that it is given."""

    def __init__(self):
        self.given = []

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, *, X, y):
        self.given += [X, y]

    def on_fit_task_end(self, estimator, context):
        return context.task_name == "epoch" and estimator.n_iter_ == 2

    def teardown(self, estimator, context):
        pass


def test_callbacks_progress_and_limits_of_time(capsys):
    X, y, _ = small()
    model = MLPClassifier((9,), max_iter=9, random_state=0, verbose=True)
    callback = EndsAfterTwo()
    model.set_callbacks(callback)
    model.fit_blocks(Source(X, y), window=window_of(X, 500))
    assert model.stop_reason_ == "callback" and model.n_iter_ == 2
    assert capsys.readouterr().out.count("Iteration") == 2
    model.set_params(max_iter=3).resume(Source(X, y))
    assert len(callback.given) > 4 and set(callback.given) == {None}
    limited = MLPClassifier((9,), max_iter=10**6, tol=0, max_seconds=0.2, random_state=0)
    limited.fit_blocks(Source(X, y), window=window_of(X, 500))
    assert limited.stop_reason_ == "time"

    class Slow(Source):
        def read(self, first, stop):
            time.sleep(0.1)
            return super().read(first, stop)

    limited.set_params(max_iter=3).fit_blocks(Slow(X, y))  # the first pass counts
    assert limited.stop_reason_ == "time" and limited.n_iter_ == 1


def test_given_classes_spare_the_first_pass():
    X, y, _ = small()
    source = Source(X, y)
    model = MLPClassifier((9,), max_iter=1, random_state=0)
    model.fit_blocks(source, classes=[0, 1, 2, 7], window=window_of(X, 500))
    assert model.classes_.tolist() == [0, 1, 2, 7] and model.n_outputs_ == 4
    rows = sum(stop - first for first, stop in source.reads)
    assert rows == len(y) + 3 * 1024 + 1  # to look at the first and the last
    with pytest.raises(ValueError, match=r"labels that are not in classes: \[2\]"):
        clone(model).fit_blocks(source, classes=[0, 1], window=window_of(X, 500))
    late = np.where(np.arange(len(y)) < 2500, 0, y)  # in no row of the first pass
    with pytest.raises(ValueError, match=r"rows \d+ to \d+ of source: .*not in"):
        clone(model).fit_blocks(Source(X, late), classes=[0, 1], window=window_of(X, 500))
    several = np.column_stack([y, y % 2 + 4])
    model.fit_blocks(Source(X, several), classes=[[0, 1, 2], [3, 4, 5]])
    assert [one.tolist() for one in model.classes_] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match="classes: Expected array-like"):
        clone(model).fit_blocks(source, classes=5)
    with pytest.raises(ValueError, match="classes must be 0 to 2"):
        clone(model).fit_blocks(Source(X, labels_of("multilabel", y)), classes=[1, 2, 3])
    balanced = MLPClassifier((9,), class_weight="balanced", max_iter=1, random_state=0)
    found = clone(balanced).fit_blocks(Source(X, y), classes=[0, 1, 2])
    assert bits(found) == bits(balanced.fit(X, y))


@pytest.mark.parametrize("kind", ["labels", "multilabel"])
def test_weights_of_given_classes_that_the_first_rows_lack(kind):
    X, y, _ = small()
    y[:1024] = 0
    y, class_weight = y > 0, {0: 0.0, 1: 1e-3}
    if kind == "multilabel":
        y, class_weight = np.column_stack([y, y]).astype(int), [class_weight, {0: 1.0, 1: 3.0}]
    model = MLPClassifier((9,), solver="lbfgs", class_weight=class_weight, random_state=0)
    model.set_params(max_iter=2)
    source = Source(X, y, borders=np.arange(0, 3001, 500))
    found = clone(model).fit_blocks(source, classes=[0, 1], window=window_of(X, 1100))
    assert bits(found) == bits(model.fit(X, y))


def test_a_class_may_lack_in_most_blocks():
    X, y, _ = small()
    y[:] = 0
    y[-1], y[1500] = 2, 1
    model = MLPClassifier((9,), max_iter=2, random_state=0)
    model.fit_blocks(Source(X, y), window=window_of(X, 500))
    assert model.classes_.tolist() == [0, 1, 2]


def test_warm_starts_go_on():
    X, y, _ = small()
    source = Source(X, y)
    model = MLPClassifier((9,), solver="lbfgs", max_iter=3, random_state=0, warm_start=True)
    expected = clone(model)
    for _ in range(2):
        model.fit_blocks(source, window=window_of(X, 1100))
        expected.fit(X, y)
    assert bits(model) == bits(expected)
    with pytest.raises(ValueError, match="same classes as in the previous call"):
        model.fit_blocks(Source(X, y + 1))


def test_frames_give_their_names():
    X, y, _ = small()
    frame = pd.DataFrame(X, columns=list("abcde"))

    class Frames(Source):
        def read(self, first, stop):
            return frame.iloc[first:stop], y[first:stop], None

    model = MLPClassifier((9,), max_iter=1, random_state=0)
    model.fit_blocks(Frames(frame, y), window=window_of(X, 500))
    assert model.feature_names_in_.tolist() == list("abcde")
    model.predict(frame[:3])
    model.fit_blocks(Source(X[:, :3], y))  # another fit, other features
    assert model.n_features_in_ == 3 and not hasattr(model, "feature_names_in_")


# ---- resume


@pytest.mark.parametrize("rows", [400, 10**6], ids=["windows", "one-window"])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_resume_goes_on_with_the_same_bits(dropout, rows, tmp_path):
    X, y, _ = small()
    source, window = Source(X, y), window_of(X, rows)
    model = MLPClassifier((9,), dropout=dropout, random_state=0, max_iter=7)
    expected = clone(model).fit_blocks(source, window=window)
    model.set_params(max_iter=3).fit_blocks(source, window=window)
    model.save(tmp_path / "model", training=True)
    for one in (model, pickle.loads(pickle.dumps(model)), load(tmp_path / "model")):
        assert bits(one.set_params(max_iter=7).resume(source)) == bits(expected)
    if rows > len(y):
        again = clone(model).set_params(max_iter=3).fit_blocks(source, window=window)
        assert bits(again.set_params(max_iter=7).resume(X, y)) == bits(expected)


@pytest.mark.parametrize(
    ("kind", "classes", "warm_start"),
    [(3, [0, 1, 2, 7], True), ("multilabel", [0, 1, 2], False)],
    ids=["labels", "indicators"],
)
def test_a_fit_with_given_classes_is_resumed(kind, classes, warm_start):
    """Of sparse rows the first ones alone were known when the blocks were cut."""
    X, y, _ = small(1200)
    X = sparse.csr_array(np.where((np.arange(1200)[:, None] < 1024) | (X > 1), X, 0))
    source = Source(X, labels_of(kind, y), borders=np.array([0, 600, 1200]))  # cut once more
    given = dict(classes=classes, window=80_000)
    model = MLPClassifier((9,), random_state=0, max_iter=1, warm_start=warm_start)
    expected = clone(model).set_params(max_iter=2).fit_blocks(source, **given)
    model.fit_blocks(source, **given).set_params(max_iter=2).resume(source)
    assert bits(model) == bits(expected)


def test_a_source_has_targets_and_weights_itself():
    X, y, _ = small()
    model = MLPClassifier((9,), random_state=0, max_iter=1).fit_blocks(Source(X, y))
    for given in (dict(y=y), dict(sample_weight=np.ones(3000))):
        with pytest.raises(ValueError, match=r"X is a source, .* leave them out"):
            model.resume(Source(X, y), **given)


@pytest.mark.parametrize("damaged", [7, [], [1, 1], [0, 1, 1], [9, None, 1], ["9", 1, 1]])
def test_a_damaged_window_is_refused(damaged):
    X, y, _ = small()
    model = MLPClassifier((9,), random_state=0, max_iter=1)
    model.fit_blocks(Source(X, y), window=window_of(X, 400)).set_params(max_iter=2)
    model._resume["data"]["window"] = damaged
    with pytest.raises(ValueError, match="'window' of the fit"):
        model.resume(Source(X, y))


@pytest.mark.parametrize("at", [9, 15, 16, 20, 23])
def test_a_fit_that_was_interrupted_in_an_epoch_is_resumed(at):
    X, y, _ = small()

    class Interrupts(Source):
        """A source whose reading is interrupted once."""

        def read(self, first, stop):
            if len(self.reads) == at:
                self.reads.append(None)
                raise KeyboardInterrupt
            return super().read(first, stop)

    window = window_of(X, 400)
    model = MLPClassifier((9,), dropout=0.1, random_state=0, max_iter=4, batch_size=50)
    expected = clone(model).fit_blocks(Source(X, y), window=window)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit_blocks(Interrupts(X, y), window=window)
    assert model.stop_reason_ == "interrupt" and model.n_iter_ < 4
    assert bits(model.resume(Source(X, y))) == bits(expected)


def test_weights_of_classes_are_those_of_the_fit_in_memory():
    X, y, _ = small()
    weight = np.array([1, 1e3, 1e6])[y]
    model = MLPClassifier((9,), class_weight={0: 100, 1: 10, 2: 0.001}, random_state=0, max_iter=1)
    expected = clone(model).set_params(max_iter=2).fit(X, y, weight)
    source, again = Source(X, y, weight), clone(model)
    model.fit_blocks(source).set_params(max_iter=2).resume(X, y, weight)
    again.fit(X, y, weight).set_params(max_iter=2).resume(source)
    assert bits(model) == bits(again) == bits(expected)


def test_resume_needs_the_same_source():
    X, y, _ = small()
    model = MLPClassifier((9,), random_state=0, max_iter=2)
    model.fit_blocks(Source(X, y), window=window_of(X, 400)).set_params(max_iter=3)
    other = X.copy()
    other[0] += 1
    for source, message in (
        (Source(other, y), "X differs"),
        (Source(X[:-1], y[:-1]), "X has 2999 rows, it had 3000"),
        (Source(X, y, borders=np.array([0, 7, 3000])), "the borders of source differ"),
        (Source(X, y, np.ones(3000)), "sample_weight"),
    ):
        with pytest.raises(ValueError, match=message):
            copy.deepcopy(model).resume(source)
    with pytest.raises(ValueError, match="it had a source that is read in blocks"):
        model.resume(X, y)
    model.fit(X, y)


# ---- errors


def fails(source, match, error=ValueError, estimator=None, **given):
    """The fit fails with this message, leaves the estimator as it was, and no thread."""
    X, y, numbers = small(500)
    model = MLPClassifier((9,), max_iter=2, random_state=0) if estimator is None else estimator
    model.fit(X, y if isinstance(model, MLPClassifier) else numbers[:, 0])
    before = bits(model)
    with pytest.raises(error, match=match):
        model.fit_blocks(source, **{"window": window_of(X, 400), **given})
    assert bits(model) == before
    assert not ranks_alive()


def test_bad_sources():
    X, y, _ = small()
    fails(X, "`read", TypeError)
    fails([1, 2], "`read", TypeError)
    fails(Source(X[:0], y[:0]), "no rows")
    for borders in ([0, 5], [1, 3000], [0.0, 3000.0], [0, 9, 5, 3000], [[0, 3000]]):
        fails(Source(X, y, borders=np.array(borders)), "source.borders must be integers")

    class Wrong(Source):
        result = None

        def read(self, first, stop):
            return self.result(first, stop)

    source = Wrong(X, y)
    source.result = lambda first, stop: (X[first:stop], y[first:stop])
    fails(source, "must return .X, y, weight.", TypeError)
    source.result = lambda first, stop: (X[first:stop][:-1], y[first:stop], None)
    fails(source, "rows 0 to 1023 of source: X has 1023 rows instead of 1024")

    for value in (None, 2.0):
        source.result = lambda first, stop, value=value: (value, y[first:stop], None)
        fails(source, "rows 0 to 1023 of source: X must be an array with 1024 rows", TypeError)
    source.result = lambda first, stop: (X[first:stop], y[first:stop], 2.0)
    fails(source, "weight must be an array with 1024 rows, got 2.0", TypeError)

    def breaks(first, stop):
        if first > 1500:
            raise OSError("the disk is gone")
        return X[first:stop], y[first:stop], None

    source.result = breaks
    fails(source, "the disk is gone", OSError)


def test_parameters_are_checked_before_rows_are_read():
    X, y, _ = small()
    source = Source(X, y)
    for match, parameters, given in (
        ("early_stopping=True needs X_val", dict(early_stopping=True), {}),
        ("dropout needs solver", dict(solver="lbfgs", dropout=0.1), {}),
        ("hidden_layer_sizes must be > 0", dict(hidden_layer_sizes=[9, 0]), {}),
        ("y_val was not provided", {}, dict(X_val=X)),
        ("window must be", {}, dict(window=-1)),
    ):
        with pytest.raises(ValueError, match=match):
            MLPClassifier(**parameters).fit_blocks(source, **given)
    assert not source.reads


def test_bad_windows():
    X, y, _ = small()
    for window in (0, -1, 1.5, "1 GB", True):
        fails(Source(X, y), "window must be a number of bytes", window=window)
    fails(Source(X, y), "window is too small: half of it holds .* a batch has 200", window=900)
    with pytest.raises(ValueError, match="a batch has 3000"):
        MLPClassifier(batch_size=10**6).fit_blocks(Source(X, y), window=window_of(X, 400))
    lbfgs = MLPClassifier((9,), solver="lbfgs", max_iter=1, random_state=0)
    fails(Source(X, y), "a chunk of the gradient has 1024", estimator=lbfgs, window=9000)
    long = Source(np.broadcast_to(X[:1], (10**13, 5)), np.broadcast_to(y[:1], 10**13))
    fails(long, "window=.*GiB", MemoryError, window=10**14, classes=[0, 1, 2])


def test_bad_rows_are_named():
    X, y, numbers = small()
    for value in (np.nan, np.inf):
        bad = X.copy()
        bad[2700, 1] = value
        fails(Source(bad, y), r"rows 1024 to 2999 of source: Input X contains")
        given = dict(classes=[0, 1, 2])
        fails(Source(bad, y), r"rows \d+ to \d+ of source: Input X contains", **given)
    regressor = MLPRegressor(hidden_layer_sizes=(9,), loss="poisson", max_iter=1, random_state=0)
    counts = abs(numbers[:, 0])
    counts[2000] = -1
    with pytest.raises(ValueError, match=r"rows 1024 to 2999 of source: .*y are negative"):
        regressor.fit_blocks(Source(X, counts))
    weight = np.ones(len(y))
    weight[2999] = -1
    fails(Source(X, y, weight), "rows 1024 to 2999 of source: Negative")
    fails(Source(X, y, np.zeros(len(y))), "at least one non-zero")
    zero = MLPClassifier((9,), class_weight={0: 0, 1: 1, 2: 1}, max_iter=1, random_state=0)
    fails(Source(X, y, (y == 0) * 1.0), "class_weight makes all weights of y zero", estimator=zero)
    fails(Source(X, numbers[:, 0]), "rows 0 to 1023 of source: Unknown label type")


def test_parts_of_several_tables_are_refused():
    X, y, _ = small()

    class Changes(Source):
        def __init__(self, change):
            super().__init__(X, y)
            self.change = change

        def read(self, first, stop):
            given = super().read(first, stop)
            return self.change(*given) if first else given

    for change, message in (
        (lambda X, y, w: (X[:, :4], y, w), "X has 4 features, before it had 5"),
        (lambda X, y, w: (X.astype(np.float32), y, w), "dtype float32, before it had float64"),
        (lambda X, y, w: (sparse.csr_array(X), y, w), "X is sparse, before it was dense"),
        (lambda X, y, w: (pd.DataFrame(X, columns=list("abcde")), y, w), "feature names"),
        (lambda X, y, w: (X, y, np.ones(len(y))), "sample weights for some rows and none"),
        (lambda X, y, w: (X, y[:, None] == [0, 1, 2], w), "y has 3 columns, before"),
        (lambda X, y, w: (X, y.astype(str), w), "y has the dtype <U"),
    ):
        fails(Changes(change), f"rows 1024 to 2999 of source: .*{message}")
        if "y has" not in message and "feature" not in message:  # the first pass is spared
            fails(Changes(change), f"of source: .*{message}", classes=[0, 1, 2])


def test_labels_of_several_dtypes_are_joined():
    X, y, _ = small()
    names = np.array(["a", "bb", "ccc"])

    class Names(Source):
        def read(self, first, stop):
            X, y, weight = super().read(first, stop)
            return X, np.array(names[y].tolist()), weight  # no longer than the longest here

    y[:1024] = 0
    model = MLPClassifier((9,), max_iter=1, random_state=0)
    model.fit_blocks(Names(X, y), window=window_of(X, 400))
    assert model.classes_.tolist() == ["a", "bb", "ccc"]
    assert bits(model) == bits(
        MLPClassifier((9,), max_iter=1, random_state=0).fit_blocks(
            Source(X, names[y]), window=window_of(X, 400)
        )
    )


def test_a_fit_that_diverges_is_no_model():
    X, _, numbers = small()
    model = MLPRegressor(solver="sgd", learning_rate_init=1e6, max_iter=5, random_state=0)
    with pytest.raises(ValueError, match="non-finite"):
        model.fit_blocks(Source(X, numbers), window=window_of(X, 400))
    assert not hasattr(model, "coefs_")


def test_the_size_of_blocks_follows_from_the_window():
    """At least 64 in a half of the window, 256 if they are large enough to be read fast."""
    sizes = {2**16: 2**9, 2**25: 2**18, 2**28: 2**19, 2**30: 2**21, 2**40: 2**22}
    assert {window: block_bytes(window) for window in sizes} == sizes
