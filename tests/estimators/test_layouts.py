"""Arrays of any memory layout give the bits of their plain copies.

fastbp never writes to them, and does not copy X as a whole.
"""

import functools
import hashlib

import numpy as np
import pytest
import scipy.sparse as sp

from fastbp import MLPClassifier, MLPRegressor
from peaks import peak_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N, FEATURES = 60, 5
MIB = 2**20


def memmapped(a, folder, mode):
    path = folder / f"{len(list(folder.iterdir()))}.bin"
    a.tofile(path)
    return np.memmap(path, a.dtype, mode, shape=a.shape)


def strided(a, step):
    """`a` as every `step`-th element, in each direction, of a larger array full of NaN or -1."""
    fill = np.nan if a.dtype.kind == "f" else -1
    big = np.full([abs(step) * n for n in a.shape], fill, a.dtype)
    view = big[tuple(slice(None, None, step) for _ in a.shape)]
    view[...] = a
    return view


def unaligned(a, writable=True):
    buffer = b"\x01" + a.tobytes()
    return np.frombuffer(bytearray(buffer) if writable else buffer, a.dtype, offset=1).reshape(
        a.shape
    )


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def swapped(a):
    return a.astype(a.dtype.newbyteorder(">"))


def broadcast(a):
    """Stride 0: a matrix with the same number in all columns of a row, or a constant vector."""
    return np.broadcast_to(a[:, :1] if a.ndim == 2 else a[:1], a.shape)


def transposed(a):
    """A matrix in Fortran order, or a vector that is a column of a matrix in C order."""
    return np.asfortranarray(a) if a.ndim == 2 else np.stack([a, a, a], axis=1)[:, 1]


LAYOUTS = {
    "Fortran": lambda a, _: transposed(a),
    "strided": lambda a, _: strided(a, 2),
    "negative stride": lambda a, _: strided(a, -1),
    "negative step": lambda a, _: strided(a, -3),
    "broadcast": lambda a, _: broadcast(a),
    "unaligned": lambda a, _: unaligned(a),
    "big-endian": lambda a, _: swapped(a),
    "read-only": lambda a, _: read_only(a),
    "memmap r": lambda a, folder: memmapped(a, folder, "r"),
    "memmap c": lambda a, folder: memmapped(a, folder, "c"),
    "unaligned, read-only, big-endian": lambda a, _: unaligned(swapped(a), writable=False),
    "strided, big-endian": lambda a, _: strided(swapped(a), 2),
    "Fortran memmap": lambda a, folder: memmapped(a.T.copy(), folder, "r").T,
}


def plain(a):
    """A copy in C order, aligned, writable, and in the byte order of this machine."""
    return np.array(a, a.dtype.newbyteorder("="), order="C", subok=False)


def fingerprint(a):
    """A hash of the bytes of an array and of the array that it is a view of."""
    if sp.issparse(a):
        return [fingerprint(part) for part in (a.data, a.indices, a.indptr)]
    if a is None:
        return None
    base = a
    while isinstance(base.base, np.ndarray):
        base = base.base
    return hashlib.sha256(a.tobytes() + base.tobytes()).hexdigest(), a.strides, a.dtype.str


def assert_same(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()


def assert_equivalent(odd, plain):
    assert_same(odd[0], plain[0])
    # scikit-learn's r2_score sums y in the order of its memory, and in its precision.
    assert odd[1] == pytest.approx(plain[1], rel=1e-5)


class Watched:
    """An estimator, with a check after each call that its arguments are unchanged."""

    def __init__(self, est):
        self.est = est

    def __getattr__(self, name):
        method = getattr(self.est, name)

        def call(*args, **kwargs):
            given = [*args, *kwargs.values()]
            before = [fingerprint(a) for a in given]
            result = method(*args, **kwargs)
            assert [fingerprint(a) for a in given] == before, f"{name} wrote to its arguments"
            return result

        return call


def everything(est, x, y, weight):
    """The results of all methods: a list of arrays, and a list of scores."""
    watched = Watched(est)
    results, scores = [], []

    def look():
        results.extend([*est.coefs_, *est.intercepts_, np.array(est.loss_), watched.predict(x)])
        if isinstance(est, MLPClassifier):
            results.extend([watched.predict_proba(x), watched.predict_log_proba(x)])
        scores.extend([watched.score(x, y), watched.score(x, y, sample_weight=weight)])

    watched.fit(x, y, sample_weight=weight)
    look()
    if est.solver != "lbfgs" and not est.early_stopping:
        watched.partial_fit(x, y, sample_weight=weight)
        look()
    est.set_params(warm_start=True)
    watched.fit(x, y)
    look()
    return results, scores


PARAMS = dict(hidden_layer_sizes=(4, 3), max_iter=2, batch_size=16, random_state=0)
VARIANTS = {
    "adam": {},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.3},
    "lbfgs": {"solver": "lbfgs"},
}
PROBLEMS = ["classes", "regression", "two outputs"]


def problem(kind, dtype, weight_dtype=np.float64):
    rng = np.random.RandomState(0)
    x = rng.randn(N, FEATURES).astype(dtype)
    weight = rng.uniform(0.5, 1.5, N).astype(weight_dtype)
    if kind == "classes":
        return MLPClassifier(**PARAMS), x, np.arange(N) % 3, weight
    y = rng.randn(N, 2) if kind == "two outputs" else rng.randn(N)
    return MLPRegressor(**PARAMS), x, y.astype(dtype), weight


@functools.cache
def expected_of_plain(kind, dtype, weight_dtype, variant, is_sparse=False):
    """What plain arrays give; every layout but the broadcast one holds their numbers."""
    est, x, y, weight = problem(kind, dtype, weight_dtype)
    est.set_params(**VARIANTS[variant])
    return everything(est, csr(x) if is_sparse else x, y, weight)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", PROBLEMS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("what", ["X", "y", "sample_weight"])
def test_dense(what, layout, kind, dtype, tmp_path):
    # The weights are float32 if X is float64, and the other way round, to test both conversions.
    weight_dtype = np.float64 if dtype == np.float32 else np.float32
    est, *data = problem(kind, dtype, weight_dtype)
    which = ["X", "y", "sample_weight"].index(what)
    before = data[which]
    data[which] = LAYOUTS[layout](before, tmp_path)
    if np.array_equal(data[which], before):
        expected = expected_of_plain(kind, dtype, weight_dtype, "adam")
    else:
        expected = everything(type(est)(**PARAMS), *[plain(a) for a in data])
    assert_equivalent(everything(est, *data), expected)
    assert est.coefs_[0].dtype == dtype


@pytest.mark.parametrize("variant", ["early stopping", "lbfgs"])
@pytest.mark.parametrize("kind", PROBLEMS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_three_at_once(layout, kind, variant, tmp_path):
    est, *data = problem(kind, np.float64)
    data = [LAYOUTS[layout](a, tmp_path) for a in data]
    expected = everything(est.set_params(**VARIANTS[variant]), *[plain(a) for a in data])
    est = type(est)(**PARAMS).set_params(**VARIANTS[variant])
    assert_equivalent(everything(est, *data), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_prediction_of_a_model_fitted_elsewhere(layout, dtype, tmp_path):
    """Each method that reads the model, alone: no fit on the odd array came before it."""
    est, x, y, _ = problem("classes", dtype)
    est.fit(x, y)
    odd = LAYOUTS[layout](x, tmp_path)
    for method in ("predict", "predict_proba", "predict_log_proba"):
        result = getattr(Watched(est), method)(odd)
        assert_same([result], [getattr(est, method)(plain(odd))])
    assert Watched(est).score(odd, y) == est.score(plain(odd), y)


def test_big_endian_float32_is_float32():
    est, x, y, _ = problem("classes", np.float32)
    est.fit(swapped(x), y)
    assert [w.dtype for w in est.coefs_ + est.intercepts_] == [np.dtype("=f4")] * 6
    assert est.predict_proba(swapped(x)).dtype == np.float32
    assert est.predict_proba(swapped(x.astype(float))).dtype == np.float64


# --- CSR --------------------------------------------------------------------------------------


def csr(a, data=None, indices=None):
    """CSR of `a`, with the function `data` applied to its elements and `indices` to its indices.

    The arrays are set as attributes: SciPy's constructor would make plain arrays of them.
    """
    a = sp.csr_array(np.where(a > 0, a, 0))
    if data is not None:
        a.data = data(a.data)
    if indices is not None:
        a.indices, a.indptr = indices(a.indices), indices(a.indptr)
    return a


CSR = {
    "big-endian data": lambda a, _: csr(a, swapped),
    "64-bit indices": lambda a, _: csr(a, None, lambda i: i.astype(np.int64)),
    "read-only": lambda a, _: csr(a, read_only, read_only),
    "read-only data": lambda a, _: csr(a, read_only),
    "read-only 64-bit indices": lambda a, _: csr(a, None, lambda i: read_only(i.astype("i8"))),
    "strided data": lambda a, _: csr(a, lambda d: strided(d, 2)),
    "backward data": lambda a, _: csr(a, lambda d: strided(d, -1)),
    "unaligned data": lambda a, _: csr(a, unaligned),
    "unaligned indices": lambda a, _: csr(a, None, unaligned),
    "big-endian, unaligned, read-only": lambda a, _: csr(
        a, lambda d: unaligned(swapped(d), writable=False)
    ),
    "memmap r": lambda a, folder: csr(a, *[lambda part: memmapped(part, folder, "r")] * 2),
    "memmap c": lambda a, folder: csr(a, lambda d: memmapped(d, folder, "c")),
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", PROBLEMS)
@pytest.mark.parametrize("layout", CSR)
def test_csr(layout, kind, dtype, variant, tmp_path):
    est, x, y, weight = problem(kind, dtype)
    odd = CSR[layout](x, tmp_path)
    expected = expected_of_plain(kind, dtype, np.float64, variant, is_sparse=True)
    est.set_params(**VARIANTS[variant])
    assert_equivalent(everything(est, odd, y, weight), expected)
    assert est.coefs_[0].dtype == dtype


@pytest.mark.parametrize(
    "make", [sp.csc_array, sp.csc_matrix, sp.coo_array], ids=lambda f: f.__name__
)
def test_other_sparse_is_not_written(make):
    est, x, y, weight = problem("classes", np.float64)
    odd = make(csr(x))
    parts = ("data", "indices", "indptr", "row", "col")
    before = {part: getattr(odd, part).tobytes() for part in parts if hasattr(odd, part)}
    est.fit(odd, y, sample_weight=weight)
    est.partial_fit(odd, y, sample_weight=weight)
    est.predict_proba(odd)
    assert {part: getattr(odd, part).tobytes() for part in before} == before


def test_unsorted_csr_is_not_sorted_in_place():
    est, x, y, weight = problem("classes", np.float64)
    odd = csr(np.abs(x))
    odd = sp.csr_array(
        (odd.data[::-1].copy(), odd.indices[::-1].copy(), odd.indptr), shape=odd.shape
    )
    assert not odd.has_sorted_indices
    everything(est, odd, y, weight)
    assert not odd.has_sorted_indices


# --- memory -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def big():
    """About 32 MB of float64."""
    return np.random.RandomState(0).standard_normal((20_000, 200))


@pytest.fixture(scope="module", params=["array float64", "array float32", "memmap float64"])
def big_x(request, big, tmp_path_factory):
    kind, dtype = request.param.split()
    x = big.astype(dtype)
    return x if kind == "array" else memmapped(x, tmp_path_factory.mktemp("big"), "r")


FITS = {
    "sgd": {"solver": "sgd"},
    "adam": {"solver": "adam"},
    "no shuffle": {"shuffle": False},
    "lbfgs": {"solver": "lbfgs"},
    # The rows held out are copied, the rows for training are not.
    "early stopping": {"early_stopping": True, "validation_fraction": 0.05},
}


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_fit_makes_no_copy_of_x(cls, fit, big_x):
    y = np.array(big_x[:, 0] > 0 if cls is MLPClassifier else big_x[:, 0])
    est = cls(hidden_layer_sizes=(8,), max_iter=1, batch_size=1000, random_state=0, **FITS[fit])
    assert peak_of(lambda: est.fit(big_x, y)) < big_x.nbytes / 4


def test_partial_fit_makes_no_copy_of_x(big):
    est = MLPRegressor(hidden_layer_sizes=(8,), batch_size=1000)
    est.partial_fit(big[:1000], big[:1000, 0])
    assert peak_of(lambda: est.partial_fit(big, big[:, 0])) < big.nbytes / 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fit_makes_no_copy_of_csr(dtype, big):
    x = sp.csr_array(big.astype(dtype))
    size = x.data.nbytes + x.indices.nbytes
    est = MLPRegressor(hidden_layer_sizes=(8,), max_iter=1, batch_size=1000)
    assert peak_of(lambda: est.fit(x, big[:, 0])) < size / 4


def test_predict_walks_big_input_in_chunks():
    """80 000 rows by 100 hidden units would be 64 MB of activations."""
    x = np.random.RandomState(0).standard_normal((80_000, 100))
    est = MLPClassifier(hidden_layer_sizes=(100,), max_iter=1, random_state=0)
    est.fit(x[:1000], np.arange(1000) % 10)
    output = len(x) * 10 * x.itemsize
    assert peak_of(lambda: est.predict_proba(x)) < 16 * MIB + output
    # The probabilities, and in addition the binarizer's argmax and the labels.
    assert peak_of(lambda: est.predict(x)) < 16 * MIB + 2 * output
    assert peak_of(lambda: est.predict_log_proba(x)) < 16 * MIB + output
    # Another dtype is converted chunk by chunk, not as a whole.
    assert peak_of(lambda: est.predict_proba(x.astype(np.float32))) < 32 * MIB + 16 * MIB + output


def test_chunks_do_not_change_predictions(big):
    """A row's prediction is the same in a slice of X as in the whole X, up to rounding."""
    est = MLPRegressor(hidden_layer_sizes=(30,), max_iter=1, random_state=0)
    est.fit(big[:500], big[:500, :3])
    whole = est.predict(big[:10_000])
    for start, stop in [(0, 5000), (4000, 4200), (4095, 4097), (9999, 10_000)]:
        np.testing.assert_allclose(est.predict(big[start:stop]), whole[start:stop], rtol=1e-12)


@pytest.mark.parametrize("make", [np.asfortranarray, sp.csr_matrix])
def test_numpy_require_is_not_called(make, monkeypatch):
    """In Python 3.13 without the GIL a call takes 0.8 s beside seven busy threads."""

    def require(*_, **__):
        raise AssertionError("np.require compares sets, and waits for the other threads there")

    monkeypatch.setattr(np, "require", require)
    rng = np.random.RandomState(0)
    X, y, weights = make(rng.rand(N, FEATURES)), rng.randint(0, 3, N), np.ones(2 * N)[::2]
    model = MLPClassifier((4,), max_iter=2, random_state=0).fit(X, y, weights)
    model.coefs_[0] = model.coefs_[0][::-1][::-1].astype(np.float32)
    model.partial_fit(X, y, weights)
    assert model.predict(X[::2]).shape == (N // 2,)
