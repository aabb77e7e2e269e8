"""One row: the core's door checks and predicts it, or leaves it to the general way."""

import copy
import pickle
import threading
import tracemalloc
from functools import partial

import numpy as np
import pytest
from kinds_of_models import FEATURES, MODELS, PARAMS, N, X, Y, fitted
from sklearn.exceptions import NotFittedError
from test_predict import FRAME, Derived, outcome, pd, put, unaligned

from fastbp import MLPClassifier, MLPRegressor
from fastbp.estimators.guard import guard_of
from fastbp.estimators.model import Model
from fastbp.kernels import backend, core, level
from fastbp.network import Network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
needs_door = pytest.mark.skipif(backend != "native", reason="BLAS has no door of a single row")

ROW = X[:1].copy()
METHODS = {
    MLPClassifier: ("predict", "predict_proba", "predict_log_proba"),
    MLPRegressor: ("predict",),
}


def flat(result):
    """A result, or the columns of a list of results."""
    return np.hstack(result) if isinstance(result, list) else result


def outcomes(est, x):
    methods = METHODS[MLPRegressor if isinstance(est, MLPRegressor) else MLPClassifier]
    return [outcome(lambda one=one: flat(getattr(est, one)(x))) for one in methods]


@pytest.fixture
def general(monkeypatch):
    """A function that returns the outcomes of the general way, without the door."""

    def without(est, x):
        with monkeypatch.context() as patch:
            patch.setattr(Model, "row", None)
            return outcomes(est, x)

    return without


@pytest.fixture
def taken(monkeypatch):
    """The results of the door, in the order of the calls; None where it left X to others."""
    results = []

    class Watched:
        def __init__(self, *args):
            self.row = core_row(*args)

        def predict(self, *args):
            results.append(self.row.predict(*args))
            return results[-1]

    core_row = core.Row
    monkeypatch.setattr(core, "Row", Watched)
    return results


@needs_door
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", MODELS)
def test_a_row_has_the_bits_of_the_general_way(name, dtype, general, taken):
    est = fitted(name, dtype)
    x = X.astype(dtype)
    for k in range(N):
        assert outcomes(est, x[k : k + 1]) == general(est, x[k : k + 1])
    assert len(taken) == N * len(METHODS[type(est)])
    assert all(type(one) is np.ndarray for one in taken)
    assert np.array_equal(flat(est.predict(x[3:4])), flat(est.predict(x))[3:4])


def wide(dtype, features=300):
    """A model of rows that are long enough to be searched for zeros, and rows with some."""
    rng = np.random.RandomState(0)
    x = rng.randn(60, features).astype(dtype)
    x[rng.rand(*x.shape) > np.linspace(0, 1, 60)[:, None]] = 0
    est = MLPClassifier((36,), max_iter=3, random_state=0).fit(x, np.arange(60) % 3)
    return est, x  # 36: the last four columns are dot products


@needs_door
@pytest.mark.parametrize("features", [63, 64, 257, 784])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_row_with_zeros_has_the_bits_of_the_general_way(dtype, features, general, taken):
    est, x = wide(dtype, features)
    for k in range(len(x)):
        assert outcomes(est, x[k : k + 1]) == general(est, x[k : k + 1])
    assert all(type(one) is np.ndarray for one in taken)
    x[:, 1] = np.nan
    assert outcomes(est, x[:1]) == general(est, x[:1])


@needs_door
@pytest.mark.skipif(level == "baseline", reason="no zeros are left out there")
def test_zeros_of_a_row_are_left_out_if_the_weights_were_finite(general):
    """A weight that became infinite since then is seen where its input is not zero."""
    est, x = wide("f8")
    row = x[10:11]
    zero, other = np.flatnonzero(row[0] == 0)[0], np.flatnonzero(row[0])[0]
    before = outcomes(est, row)
    est.coefs_[0][zero] = np.inf  # of the last columns, too
    assert outcomes(est, row) == before != general(est, row)
    assert outcomes(pickle.loads(pickle.dumps(est)), row) == general(est, row)
    est.coefs_[0][other, 0] = np.inf
    assert outcomes(est, row) == general(est, row)


ODD_ROWS = {
    "float32": ROW.astype("f4"),
    "two rows": X[:2],
    "Fortran": np.asfortranarray(X)[:1],
    "strided": np.repeat(X, 2, axis=1)[:1, ::2],
    "reversed": ROW[:, ::-1],
    "stride 0": np.broadcast_to(X[0, 0], ROW.shape),
    "unaligned": unaligned(ROW),
    "big-endian": ROW.astype(">f8"),
    "big-endian float32": ROW.astype(">f4"),
    "float16": ROW.astype("f2"),
    "longdouble": ROW.astype("g"),
    "largest longdouble": np.full((1, FEATURES), np.finfo("g").max, "g"),
    "nan in float16": put(ROW.astype("f2"), (0, 1), np.nan),
    "inf in longdouble": put(ROW.astype("g"), (0, 1), np.inf),
    "int": (9 * ROW).astype(int),
    "uint8": (9 * abs(ROW)).astype("u1"),
    "large int": np.full((1, FEATURES), 2**63, "u8"),
    "bool": ROW > 0,
    "object": ROW.astype(object),
    "derived": ROW.view(Derived),
    "masked": np.ma.array(ROW),
    "memory": memoryview(ROW),
    "list": ROW.tolist(),
    "tuple": tuple(map(tuple, ROW)),
    "list of a tuple": [tuple(ROW[0])],
    "list of an array": [ROW[0]],
    "list of ints": [[1, 2, 3, 4, 5]],
    "list of bools": [[True] * FEATURES],
    "list of large ints": [[2**64] * FEATURES],
    "list of strings": [["1.0"] * FEATURES],
    "list of words": [["a"] * FEATURES],
    "list of None": [[None] * FEATURES],
    "list of complex": [[1j] * FEATURES],
    "ragged list": [[1.0], [1.0, 2.0]],
    "deep list": [[[1.0]] * FEATURES],
    "flat list": [1.0] * FEATURES,
    "list of too few": [[1.0] * (FEATURES - 1)],
    "empty list": [],
    "list of an empty list": [[]],
    "list with nan": [[np.nan] * FEATURES],
    "list with inf": [[1e400] * FEATURES],
    "1-D": ROW[0],
    "0-D": np.array(1.0),
    "3-D": ROW[None],
    "no row": X[:0],
    "no column": ROW[:, :0],
    "a column less": ROW[:, 1:].copy(),
    "a column more": np.ones((1, FEATURES + 1)),
    "a column": ROW.T.copy(),
    "dates": np.zeros((1, FEATURES), "M8[s]"),
    "structured": np.zeros((1, FEATURES), [("a", "f8")]),
    "complex": ROW.astype(complex),
    "None": None,
    "largest": np.full((1, FEATURES), np.finfo("f8").max),
    "denormal": np.full((1, FEATURES), 5e-324),
    "zeros": np.zeros((1, FEATURES)),
    "minus zeros": -np.zeros((1, FEATURES)),
} | {
    f"{value} at {k}": put(ROW, (0, k), value)
    for k in range(FEATURES)
    for value in (np.nan, np.inf, -np.inf)
}
if pd is not None:
    LINE = FRAME.iloc[:1]
    ODD_ROWS |= {
        "frame": LINE,
        "frame without names": pd.DataFrame(ROW),
        "frame of ints without names": pd.DataFrame((9 * ROW).astype(int)),
        "frame of int and float": pd.DataFrame(ROW).astype({1: "i4", 2: "f4"}),
        "frame of bools": pd.DataFrame(ROW > 0),
        "frame with a bool": pd.DataFrame(ROW).astype({1: bool}),
        "frame of objects": pd.DataFrame(ROW).astype(object),
        "frame, nullable": pd.DataFrame(ROW).astype("Float64"),
        "frame of int64 numbers": pd.DataFrame(ROW, columns=[3, 1, 4, 0, 5]),
        "frame without names, nan": pd.DataFrame(put(ROW, (0, 1), np.nan)),
        "frame without names, a column more": pd.DataFrame(np.ones((1, FEATURES + 1))),
        "frame without columns": pd.DataFrame(index=[0]),
        "frame of int": LINE.astype(int),
        "frame of int8 and float16": LINE.astype({"a": "i1", "b": "f2"}),
        "series": LINE["a"],
    }


PLAIN = {"largest", "denormal", "zeros", "minus zeros"}


@pytest.mark.parametrize("kind", ["f4", "f8", "names", "regressor", "edited"])
@pytest.mark.parametrize("odd", ODD_ROWS)
def test_an_odd_row_gives_what_scikit_learns_checks_give(odd, kind, general, monkeypatch):
    if kind == "names":
        if pd is None:
            pytest.skip("pandas is not installed")
        est = MLPClassifier(**PARAMS).fit(FRAME, Y % 3)
    elif kind == "regressor":
        est = fitted("regressor")
    else:
        est = fitted(dtype="f4" if kind == "f4" else "f8")
    if kind == "edited":
        est.coefs_[1] = est.coefs_[1] * 2
    found = outcomes(est, ODD_ROWS[odd])
    assert found == general(est, ODD_ROWS[odd])
    monkeypatch.setattr(Model, "row", None)
    monkeypatch.setattr("fastbp.estimators.base.plain_prediction", lambda *_: None)
    assert found == outcomes(est, ODD_ROWS[odd])


@needs_door
def test_the_door_takes_plain_rows_alone(taken):
    est = fitted()
    for name, x in ODD_ROWS.items():
        del taken[:]
        outcome(partial(est.predict, x))
        is_taken = bool(taken) and taken[0] is not None
        assert is_taken == (name in PLAIN), name


def test_a_read_only_row_and_a_memory_map_are_rows(tmp_path, general):
    est = fitted()
    fixed = ROW.copy()
    fixed.flags.writeable = False
    mapped = np.memmap(tmp_path / "row", "f8", "w+", shape=ROW.shape)
    mapped[:] = ROW
    for x in (fixed, mapped, np.asarray(mapped)):
        assert outcomes(est, x) == general(est, x) == outcomes(est, ROW)


@needs_door
def test_rows_from_pickles_are_rows(taken):
    """Their dtypes are other objects."""
    est = pickle.loads(pickle.dumps(fitted()))
    est.predict(ROW)
    del taken[:]
    for x in (ROW, pickle.loads(pickle.dumps(ROW)), ROW.astype(np.dtype("f8", metadata={"a": 1}))):
        est.predict(x)
    assert len(taken) == 3 and all(one is not None for one in taken)


def test_results_are_new_arrays():
    est = fitted()
    first = est.predict_proba(ROW)
    kept = first.copy()
    second = est.predict_proba(X[1:2])
    assert first.flags.owndata and first.flags.writeable and first.flags.c_contiguous
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, kept)


# ---- what users change


CHANGES = {
    "a weight in place": lambda est: est.coefs_[0].__setitem__((0, 0), 3.0),
    "a bias in place": lambda est: est.intercepts_[1].__setitem__(0, 3.0),
    "nan in a weight": lambda est: est.coefs_[1].__setitem__((0, 0), np.nan),
    "inf in a weight": lambda est: est.coefs_[0].__setitem__((0, 0), np.inf),
    "an entry": lambda est: est.coefs_.__setitem__(0, 2 * est.coefs_[0]),
    "a bias": lambda est: est.intercepts_.__setitem__(0, 2 + est.intercepts_[0]),
    "an equal entry": lambda est: est.intercepts_.__setitem__(1, est.intercepts_[1].copy()),
    "a float32 entry": lambda est: est.coefs_.__setitem__(0, est.coefs_[0].astype("f4")),
    "an entry of a list": lambda est: est.coefs_.__setitem__(1, est.coefs_[1].tolist()),
    "a list": lambda est: setattr(est, "coefs_", [2 * one for one in est.coefs_]),
    "a tuple": lambda est: setattr(est, "coefs_", tuple(est.coefs_)),
    "another list of the same": lambda est: setattr(est, "coefs_", list(est.coefs_)),
    "an entry more": lambda est: est.coefs_.append(est.coefs_[0]),
    "an entry less": lambda est: est.coefs_.pop(),
    "no list": lambda est: delattr(est, "coefs_"),
    "a number": lambda est: setattr(est, "intercepts_", 3),
    "None": lambda est: setattr(est, "intercepts_", None),
    "entries change places": lambda est: est.coefs_.reverse(),
    "activation": lambda est: setattr(est, "activation", "tanh"),
    "an equal activation": lambda est: setattr(est, "activation", "".join(["re", "lu"])),
    "an odd activation": lambda est: setattr(est, "activation", np.array(["relu", "tanh"])),
    "no activation": lambda est: delattr(est, "activation"),
    "link": lambda est: setattr(est, "out_activation_", "identity"),
    "an unknown link": lambda est: setattr(est, "out_activation_", "x"),
    "n_outputs_": lambda est: setattr(est, "n_outputs_", 1),
    "n_layers_": lambda est: setattr(est, "n_layers_", 2),
    "n_features_in_": lambda est: setattr(est, "n_features_in_", 4),
    "an equal n_features_in_": lambda est: setattr(est, "n_features_in_", np.int64(5)),
    "no n_features_in_": lambda est: delattr(est, "n_features_in_"),
    "names": lambda est: setattr(est, "feature_names_in_", np.array(list("abcde"), object)),
    "binarizer": lambda est: setattr(est, "_label_binarizer", copy.copy(est._label_binarizer)),
    "classes": lambda est: setattr(est._label_binarizer, "classes_", np.array([5, 6, 7])),
    "kind": lambda est: setattr(est._label_binarizer, "y_type_", "multilabel-indicator"),
    "no binarizer": lambda est: delattr(est, "_label_binarizer"),
    "model": lambda est: setattr(est, "_model", "x"),
    "no model": lambda est: delattr(est, "_model"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen_as_in_the_general_way(change, monkeypatch):
    est = fitted()
    outcomes(est, ROW)
    CHANGES[change](est)
    twice = [outcomes(est, ROW) for _ in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr(Model, "row", None)
        other = fitted()
        CHANGES[change](other)
        patch.setattr("fastbp.estimators.base.plain_prediction", lambda *_: None)
        assert [outcomes(other, ROW) for _ in range(2)] == twice


def test_a_list_of_activations_that_is_changed_in_place_is_seen():
    est = fitted("list of activations")
    before = est.predict_proba(ROW)
    est.activation[0] = "tanh"
    after = est.predict_proba(ROW)
    assert not np.array_equal(before, after)
    est.activation[0] = "selu"
    np.testing.assert_array_equal(est.predict_proba(ROW), before)


def test_subclasses_have_their_own_checks():
    class Own(MLPClassifier):
        def __sklearn_is_fitted__(self):
            return False

    est = Own(**PARAMS).fit(X, Y % 3)
    with pytest.raises(NotFittedError):
        est.predict(ROW)

    class Plain(MLPClassifier):
        pass

    est = Plain(**PARAMS).fit(X, Y % 3)
    np.testing.assert_array_equal(est.predict_proba(ROW), fitted().predict_proba(ROW))


@needs_door
def test_copies_and_pickles_have_doors_of_their_own(taken):
    est = fitted()
    expected = est.predict_proba(ROW)
    for other in (pickle.loads(pickle.dumps(est)), copy.deepcopy(est)):
        other.predict_proba(ROW)
        del taken[:]
        np.testing.assert_array_equal(other.predict_proba(ROW), expected)
        assert taken[0] is not None
        other.coefs_[0][...] = 0
        assert not np.array_equal(other.predict_proba(ROW), expected)
    np.testing.assert_array_equal(est.predict_proba(ROW), expected)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copies_of_attributes_have_no_door(copied):
    est = fitted()
    expected = est.predict_proba(ROW)
    other = MLPClassifier()
    vars(other).update(copied(vars(est)))
    assert other._model.row is None
    np.testing.assert_array_equal(other.predict_proba(ROW), expected)
    other.coefs_[0][...] = 0
    assert not np.array_equal(other.predict_proba(ROW), expected)
    np.testing.assert_array_equal(est.predict_proba(ROW), expected)


@needs_door
def test_partial_fit_and_a_new_fit_have_new_doors(taken):
    est = MLPClassifier(**PARAMS)
    for k in range(5):
        est.partial_fit(X[k : k + 3], [0, 1, 2], classes=[0, 1, 2])
        row, rows = est.predict_proba(ROW), est.predict_proba(X[:2])
        np.testing.assert_array_equal(row, rows[:1])
    est.fit(X[:, :2], Y % 3)
    assert est.predict_proba(X[:1, :2].copy()).shape == (1, 3)
    assert len([one for one in taken if one is not None]) == 6


# ---- threads, memory


def test_rows_are_right_while_another_thread_fits():
    """Each prediction is that of one of the fits, never of half a change."""
    ends = [MLPRegressor(**{**PARAMS, "random_state": seed}).fit(X, X[:, 0]) for seed in range(4)]
    expected = {one.predict(ROW).tobytes() for one in ends}
    est = copy.deepcopy(ends[0])
    over, odd = threading.Event(), []

    def predict():
        while not over.is_set():
            found = est.predict(ROW).tobytes()
            if found not in expected:
                odd.append(found)

    threads = [threading.Thread(target=predict) for _ in range(3)]
    for thread in threads:
        thread.start()
    for k in range(40):
        est.set_params(random_state=k % 4).fit(X, X[:, 0])
    over.set()
    for thread in threads:
        thread.join()
    assert not odd


def test_rows_of_many_threads_at_once():
    est = fitted("deep")
    expected = [est.predict_proba(X[k : k + 1]).tobytes() for k in range(N)]
    found = [[] for _ in range(4)]

    def predict(own):
        for _ in range(20):
            own.append([est.predict_proba(X[k : k + 1]).tobytes() for k in range(N)])

    threads = [threading.Thread(target=predict, args=(own,)) for own in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(one == expected for own in found for one in own)


def test_rows_keep_no_memory():
    est, fortran = fitted(), np.asfortranarray(X)[:1]

    def work():
        for _ in range(300):
            est.predict_proba(ROW)
            est.predict_proba(fortran)

    work()
    tracemalloc.start()
    work()
    before, _ = tracemalloc.get_traced_memory()
    work()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 5_000


# ---- the door alone


def door(network, params=None, link="identity", widths=None, empty=np.empty, made_of=None):
    params = network.params if params is None else params
    made_of = ((), (), (), ()) if made_of is None else made_of
    return core.Row(network.program, params, core.LINKS[link], widths, empty, made_of)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_door_refuses_what_does_not_fit(dtype):
    network = Network((3, 4, 2), "relu", dtype)
    x = np.ones((1, 3), dtype)
    assert door(network).predict(x, {}, [0]).shape == (1, 2)
    with pytest.raises(ValueError, match="the arena 25"):
        door(network, network.params[1:])
    with pytest.raises(ValueError, match="no link"):
        core.Row(network.program, network.params, 99, None, np.empty, ((), (), (), ()))
    with pytest.raises(ValueError, match="needs the widths"):
        door(network, link="grouped_softmax")
    with pytest.raises(ValueError, match="targets have 3 outputs"):
        door(network, link="grouped_softmax", widths=np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="bytes, not"):
        door(network, empty=lambda shape, dtype: np.empty((1, 1), dtype)).predict(x, {}, [0])
    with pytest.raises(TypeError):
        core.Row.__new__(core.Row)
    with pytest.raises(TypeError):
        pickle.dumps(door(network))


def test_a_row_that_a_change_overtakes_is_left_to_others():
    network, changes, step = Network((3, 4, 2), "relu", "f8"), [0], 0

    def empty(*args):
        changes[0] += step
        return np.empty(*args)

    x, row = np.ones((1, 3)), door(network, empty=empty)
    for growth, begin, is_left in [(0, 2, False), (0, 3, True), (2, 2, True), (1, 2, True)]:
        step, changes[0] = growth, begin
        assert (row.predict(x, {}, changes) is None) == is_left


@needs_door
def test_the_door_asks_for_the_changes_of_its_estimator(taken):
    est = fitted()
    expected = est.predict_proba(ROW)
    guard = guard_of(est)
    with guard.lock:
        guard.changes[0] += 1
        del taken[:]
        np.testing.assert_array_equal(est.predict_proba(ROW), expected)
        assert taken == [None]
        guard.changes[0] += 1
    est.predict_proba(ROW)
    assert taken[-1] is not None


def test_an_estimator_that_refuses_attributes_predicts():
    class Frozen(MLPClassifier):
        def __setattr__(self, name, value):
            if vars(self).get("is_frozen"):
                raise AttributeError(name)
            super().__setattr__(name, value)

    est = Frozen(**PARAMS).fit(X, Y % 3)
    other = MLPClassifier.__new__(Frozen)
    vars(other).update(vars(pickle.loads(pickle.dumps(MLPClassifier(**PARAMS).fit(X, Y % 3)))))
    vars(other)["is_frozen"] = True
    np.testing.assert_array_equal(other.predict_proba(ROW), est.predict_proba(ROW))


class AlwaysEqual:
    """What must not be mistaken for an attribute that does not exist."""

    __hash__ = None

    def __eq__(self, other):
        return True


def test_attributes_are_compared():
    entries = np.ones(1), np.ones(2)
    made_of = ("a", "b", "e"), (1, [2], core.ABSENT), ("c", "d"), (entries, ())
    attributes = {"a": 1.0, "b": [2], "c": list(entries), "d": []}
    assert core.is_made_of(attributes, *made_of)
    for name, value in [
        ("a", 2),
        ("b", [3]),
        ("c", [np.ones(1), entries[1]]),
        ("c", [entries[0]]),
        ("c", [*entries, entries[0]]),
        ("d", [entries[0]]),
        ("e", None),
        ("e", AlwaysEqual()),
    ]:
        assert not core.is_made_of({**attributes, name: value}, *made_of)
        if name != "e":
            assert not core.is_made_of({n: v for n, v in attributes.items() if n != name}, *made_of)
    for name, value in [("a", np.ones(2)), ("c", 3)]:
        with pytest.raises((TypeError, ValueError)):
            core.is_made_of({**attributes, name: value}, *made_of)
