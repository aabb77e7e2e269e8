"""Odd X: what is refused, what is accepted, and the names of its columns."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.neural_network
from numpy import inf, nan
from odd_inputs import (
    CLF,
    DEFAULTS,
    FITTED,
    MATRIX,
    NEW,
    REG,
    SHORT,
    X32,
    XO,
    XS,
    Call,
    Same,
    T,
    Thing,
    X,
    Y,
    Z,
    cases,
    cases_accepted,
    check_accepted,
    check_refused,
    column_index,
    csr_with_index,
    fingerprint,
    fit,
    ours,
    outcome,
    partial_fit,
    pd,
    predict,
    put,
    rows,
    same,
    score,
    theirs,
    warned_by,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# --- what is refused

SHAPES = [
    theirs("X of one dimension", fit(SHORT, Y[:3])),
    theirs("X a number", fit(3.0, Y)),
    theirs("X None", fit(None, Y)),
    theirs("X of three dimensions", fit(X[:, :, None], Y)),
    theirs("X without rows", fit(X[:0], Y[:0])),
    theirs("X without columns", fit(X[:, :0], Y)),
    theirs("CSR without rows", fit(XS[:0], Y[:0])),
    theirs("CSR without columns", fit(XS[:, :0], Y)),
    theirs("X an empty list", fit([], [])),
    theirs("X ragged", fit([[1.0, 2.0], [3.0]], [0, 1])),
]

DTYPES = [
    theirs("X complex", fit(Z[None], Y[:1])),
    theirs("X a list of complex", fit([[1j, 2.0]], Y[:1])),
    theirs("X complex CSR", fit(1j * XS, Y)),
    theirs("X strings", fit(np.full((20, 5), "a"), Y)),
    theirs("X bytes", fit(np.full((20, 5), b"a"), Y)),
    theirs("X objects with a string", fit(put(XO, (0, 0), "a"), Y)),
    theirs("X objects with a thing", fit(put(XO, (0, 0), Thing()), Y)),
    theirs("X objects with a complex", fit(put(XO, (0, 0), 1j), Y)),
    theirs("X objects with None", fit(put(XO, (0, 0), None), Y)),
    theirs("X an int beyond floats", fit(put(XO, (0, 0), 10**400), Y)),
    theirs("X a string", fit("a", Y)),
    theirs("X a dict", fit({"a": 1}, Y)),
    theirs("X a set", fit({1, 2}, Y)),
    theirs("X a thing", fit(Thing(), Y)),
    theirs("X of no type", fit(np.zeros((20, 5), "V8"), Y)),
    theirs("X np.matrix", fit(MATRIX, Y)),
]

VALUES = [
    theirs("NaN in X", fit(put(X, (3, 1), nan), Y)),
    theirs("NaN in float32 X", fit(put(X32, (3, 1), nan), Y)),
    theirs("NaN in float16 X", fit(put(X.astype("f2"), (3, 1), nan), Y)),
    theirs("NaN in Fortran X", fit(np.asfortranarray(put(X, (3, 1), nan)), Y)),
    theirs("NaN in strided X", fit(put(np.c_[X, X], (3, 2), nan)[:, ::2], Y)),
    theirs("NaN in CSR", fit(sp.csr_array(put(X, (3, 1), nan)), Y)),
    theirs("NaN in CSC", fit(sp.csc_array(put(X, (3, 1), nan)), Y)),
    theirs("NaN in a list", fit(put(X, (3, 1), nan).tolist(), Y)),
    theirs("NaN in objects", fit(put(XO, (3, 1), nan), Y)),
    theirs("infinity in X", fit(put(X, (3, 1), inf), Y)),
    theirs("-infinity in X", fit(put(X, (3, 1), -inf), Y)),
    theirs("infinity in float32 X", fit(put(X32, (3, 1), inf), Y)),
    theirs("infinity in CSR", fit(sp.csr_array(put(X, (3, 1), inf)), Y)),
]

# scikit-learn does not look: it reads and writes memory that is not its own.
INDICES = [
    ours(f"CSR index {bad}, {m}", Call(m, csr_with_index(bad), *y), column_index(bad), of, on=on)
    for bad in (7, 5, -1)
    for m, y, of, on in [
        ("fit", [Y], CLF + REG, NEW + FITTED),
        ("partial_fit", [Y], REG, NEW + FITTED),
        ("partial_fit", [Y], CLF, FITTED),
        ("predict", [], CLF + REG, FITTED),
        ("predict_proba", [], CLF, FITTED),
        ("predict_log_proba", [], CLF, FITTED),
        ("score", [Y], CLF + REG, FITTED),
    ]
]

LATER = rows(
    theirs("partial_fit, a column less", partial_fit(X[:, :4], Y)),
    theirs("partial_fit, a column more", partial_fit(np.c_[X, T], Y)),
    theirs("partial_fit, CSR with a column less", partial_fit(XS[:, :4], Y)),
    theirs("partial_fit, NaN", partial_fit(put(X, (3, 1), nan), Y)),
    theirs("partial_fit, infinity", partial_fit(put(X, (3, 1), inf), Y)),
    theirs("warm start, a column less", fit(X[:, :4], Y), params={"warm_start": True}),
    theirs("warm start, NaN", fit(put(X, 3, nan), Y), params={"warm_start": True}),
    theirs("score, a column less", score(X[:, :4], Y)),
    theirs("score, X without rows", score(X[:0], Y[:0])),
    theirs("score, NaN in X", score(put(X, 3, nan), Y)),
    on=FITTED,
) + [
    theirs("NaN, first time", partial_fit(put(X, 3, nan), Y, classes=[0, 1, 2]), CLF, on=NEW),
    theirs("score before fit", score(X, Y), on=NEW),
]

# The methods that only read the model.
READERS = [("predict", CLF + REG), ("predict_proba", CLF), ("predict_log_proba", CLF)]
READ = [
    theirs(f"{method}, {what}", Call(method, x), of, on=FITTED)
    for method, of in READERS
    for what, x in [
        ("X of one dimension", SHORT),
        ("X a number", 3.0),
        ("X None", None),
        ("X of three dimensions", X[:, :, None]),
        ("X without rows", X[:0]),
        ("X without columns", X[:, :0]),
        ("a column less", X[:, :4]),
        ("a column more", np.c_[X, T]),
        ("CSR with a column less", XS[:, :4]),
        ("NaN", put(X, (3, 1), nan)),
        ("NaN in float32", put(X32, (3, 1), nan)),
        ("NaN in CSR", sp.csr_array(put(X, (3, 1), nan))),
        ("None among objects", put(XO, (3, 1), None)),
        ("infinity", put(X, (3, 1), inf)),
        ("-infinity in float32", put(X32, (3, 1), -inf)),
        ("strings", np.full((2, 5), "a")),
        ("no type", np.zeros((2, 5), "V8")),
        ("objects that are strings", np.full((2, 5), "a", object)),
        ("complex", Z[None]),
        ("ragged", [[1.0, 2.0], [3.0]]),
        ("np.matrix", MATRIX),
    ]
] + [theirs(f"{method} before fit", Call(method, X), of, on=NEW) for method, of in READERS]

REFUSED = [*SHAPES, *DTYPES, *VALUES, *INDICES, *LATER, *READ]

if pd is not None:
    NAMED = pd.DataFrame(X, columns=list("abcde"))
    NAMED_NA = pd.DataFrame({"a": pd.array([1, None] * 10, dtype="Int64")})
    REFUSED += [
        theirs("frame with missing values", fit(NAMED_NA, Y)),
        theirs("frame with strings", fit(NAMED.assign(a="x"), Y)),
        theirs("frame with mixed names", fit(NAMED.rename(columns={"a": 1}), Y)),
        theirs("pd.NA among objects", fit(put(XO, (0, 0), pd.NA), Y)),
        *rows(
            theirs("frame, other order", predict(NAMED[list("edcba")])),
            theirs("frame, another name", predict(NAMED.rename(columns={"a": "z"}))),
            theirs("frame, a column less", partial_fit(NAMED[list("abcd")], Y)),
            on=FITTED,
            before=fit(NAMED, Y),
        ),
    ]


@pytest.mark.parametrize("row, cls, on", cases(REFUSED))
def test_refused(row, cls, on):
    check_refused(row, cls, on)


@pytest.mark.parametrize("cls", CLF + REG)
@pytest.mark.parametrize("n_rows", [1, 3])
def test_none_in_a_list(cls, n_rows):
    """scikit-learn takes it for a number, and fails in the product. It is no number here either."""
    est = cls(**DEFAULTS).fit(X, Y)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        est.predict([[1.0, None, 2.0, 3.0, 4.0]] * n_rows)


def test_broken_row_pointers():
    """Row pointers out of range are refused, tried in a process that may crash."""
    program = """
import numpy as np, scipy.sparse as sp
from fastbp import MLPRegressor
x, y = np.ones((20, 5)), np.arange(20.0)
est = MLPRegressor(hidden_layer_sizes=(), max_iter=1)
for at, value in [(0, -5), (0, 3), (7, -500), (7, 10**6), (7, 20), (20, 10**6), (20, -1)]:
    for name in ("fit", "predict", "score"):
        broken = sp.csr_array(x)
        broken.indptr[at] = value
        try:
            getattr(est.fit(x, y), name)(*(broken, y)[: 1 + (name != "predict")])
        except ValueError as error:
            print(at, value, name, error)
        else:
            raise AssertionError((at, value, name))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 0, (done.stdout, done.stderr)


# --- what is accepted


def csr_backwards(a):
    """The same CSR with the indices of every row in falling order."""
    a = sp.csr_array(a)
    for start, stop in zip(a.indptr[:-1], a.indptr[1:], strict=True):
        a.indices[start:stop] = a.indices[start:stop][::-1].copy()
        a.data[start:stop] = a.data[start:stop][::-1].copy()
    return sp.csr_array((a.data, a.indices, a.indptr), shape=a.shape)


def csr_twice(a):
    """The same CSR with every element stored as two halves."""
    a = sp.csr_array(a)
    halves = np.repeat(a.data / 2, 2), np.repeat(a.indices, 2), a.indptr * 2
    return sp.csr_array(halves, shape=a.shape)


def csr_int64(a):
    """The same CSR with 64-bit indices."""
    a = sp.csr_array(a)
    a.indices, a.indptr = a.indices.astype(np.int64), a.indptr.astype(np.int64)
    return a


def csr_zeros(a):
    """The same CSR with the zeros stored."""
    a = np.asarray(a)
    full = sp.csr_array(np.ones_like(a))
    full.data[:] = a.ravel()
    return full


XI = np.arange(100).reshape(20, 5) % 7
HOLES = np.where(X > 0.5, X, 0.0)

ODD_X = [
    ("list", X.tolist(), X),
    ("tuple of lists", tuple(X.tolist()), X),
    ("list of arrays", list(X), X),
    ("bool", XI > 3, (XI > 3).astype(float)),
    ("int8", XI.astype(np.int8), XI.astype(float)),
    ("int64", XI, XI.astype(float)),
    ("uint64", put(XI, (0, 0), 7).astype(np.uint64) << 50, put(XI, (0, 0), 7) * 2.0**50),
    ("float16", X.astype(np.float16), X.astype(np.float16).astype(float)),
    ("long double", X.astype(np.longdouble), X),
    ("objects", XO, X),
    ("strings of numbers", np.array([["0.5", "1e-3"]] * 20), np.array([[0.5, 1e-3]] * 20)),
    ("masked array", np.ma.masked_array(X, X > 9), X),
    ("one feature", X[:, :1].tolist(), X[:, 0].copy()[:, None]),
    ("csr_matrix", sp.csr_matrix(HOLES), sp.csr_array(HOLES)),
    ("CSC", sp.csc_array(HOLES), sp.csr_array(HOLES)),
    ("csc_matrix", sp.csc_matrix(HOLES), sp.csr_array(HOLES)),
    ("COO", sp.coo_array(HOLES), sp.csr_array(HOLES)),
    ("coo_matrix", sp.coo_matrix(HOLES), sp.csr_array(HOLES)),
    ("LIL", sp.lil_array(HOLES), sp.csr_array(HOLES)),
    ("DOK", sp.dok_array(HOLES), sp.csr_array(HOLES)),
    ("DIA", sp.dia_array(HOLES), sp.csr_array(HOLES)),
    ("BSR", sp.bsr_array(HOLES), csr_zeros(HOLES)),
    ("CSR of 64-bit indices", csr_int64(HOLES), sp.csr_array(HOLES)),
    ("CSR of bool", sp.csr_array(HOLES > 0), sp.csr_array((HOLES > 0).astype(float))),
    ("CSR of int8", sp.csr_array(XI.astype(np.int8)), sp.csr_array(XI.astype(float))),
    ("CSR with zeros stored", csr_zeros(HOLES), sp.csr_array(HOLES)),
    ("CSR without elements", sp.csr_array((20, 5)), csr_zeros(np.zeros((20, 5)))),
]
ODD_SUMS = [
    ("CSR backwards", csr_backwards(HOLES), sp.csr_array(HOLES)),
    ("CSR with duplicates", csr_twice(HOLES), sp.csr_array(HOLES)),
    ("CSR backwards, all stored", csr_backwards(X), sp.csr_array(X)),
    ("CSR for dense", sp.csr_array(HOLES), HOLES),
]

ACCEPTED = [
    *[Same(f"X {what}", fit(odd, Y), fit(plain, Y)) for what, odd, plain in ODD_X],
    *[Same(f"X {what}", fit(odd, Y), fit(plain, Y), exact=False) for what, odd, plain in ODD_SUMS],
]

if pd is not None:
    ACCEPTED += [
        Same("frame", fit(NAMED, Y), fit(X, Y)),
        Same("frame of float32", fit(NAMED.astype("f4"), Y), fit(X32, Y)),
        Same("frame of ints", fit(pd.DataFrame(XI), Y), fit(XI.astype(float), Y)),
        Same("frame of nullable floats", fit(NAMED.astype("Float64"), Y), fit(X, Y)),
        Same("frame of nullable ints", fit(pd.DataFrame(XI, dtype="Int64"), Y), fit(XI, Y)),
        Same(
            "frame of nullable bool",
            fit(pd.DataFrame(XI > 3, dtype="boolean"), Y),
            fit(XI > 3, Y),
        ),
        Same(
            "frame of mixed numbers",
            fit(NAMED.assign(a=Y, b=Y > 0), Y),
            fit(np.c_[Y, Y > 0, X[:, 2:]], Y),
        ),
    ]


@pytest.mark.parametrize("row, cls", cases_accepted(ACCEPTED))
def test_accepted(row, cls):
    check_accepted(row, cls)


@pytest.mark.parametrize("cls", CLF + REG)
@pytest.mark.parametrize(
    "odd, plain, exact",
    [
        pytest.param(odd, plain, table is ODD_X, id=what)
        for table in (ODD_X, ODD_SUMS)
        for what, odd, plain in table
        if what != "strings of numbers"  # refused: see above
    ],
)
def test_reads_accepted(odd, plain, exact, cls):
    """Where `fit` takes an odd X, so does prediction."""
    est = cls(**DEFAULTS).fit(plain, Y)
    given = fingerprint(odd)
    results = outcome(est, odd), outcome(est, plain)
    assert est.score(odd, Y) == pytest.approx(est.score(plain, Y), rel=0 if exact else 1e-9)
    assert fingerprint(odd) == given
    if exact:
        assert same(*results)
    else:
        np.testing.assert_allclose(results[0][-2], results[1][-2], rtol=1e-9)


@pytest.mark.skipif(pd is None, reason="pandas is not installed")
@pytest.mark.parametrize("cls", CLF + REG)
@pytest.mark.parametrize("named", [True, False], ids=["fit", "predict"])
def test_feature_names_on_one_side_only_warn(named, cls):
    """They are named in `fit` or in `predict`; the warning is that of scikit-learn."""
    seen, given = (NAMED, X) if named else (X, NAMED)
    est = cls(**DEFAULTS).fit(seen, Y)
    peer = getattr(sklearn.neural_network, cls.__name__)(**DEFAULTS).fit(seen, Y)
    told, wanted = (warned_by(predict(given), which) for which in (est, peer))
    assert told == wanted
    assert [category for category, _ in told] == [UserWarning]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert same(est.predict(given), cls(**DEFAULTS).fit(X, Y).predict(X))
    assert hasattr(est, "feature_names_in_") == named
    assert not named or est.feature_names_in_.tolist() == list("abcde")
