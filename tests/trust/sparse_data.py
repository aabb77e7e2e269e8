"""Damaged sparse matrices: an error, or the numbers that the matrix stands for."""

from functools import cache, partial
from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from fastbp import MLPClassifier, MLPRegressor
from trust.harness import Row

try:  # a list of damage with names, which the tests of the estimators use
    import damaged_sparse
except ImportError:
    damaged_sparse = None

ROWS_OF_X, COLUMNS = 24, 6
SMALL = dict(hidden_layer_sizes=(4,), max_iter=3, random_state=0)
RNG = np.random.RandomState(0)
DENSE = np.where(RNG.rand(ROWS_OF_X, COLUMNS) < 0.4, RNG.randn(ROWS_OF_X, COLUMNS), 0)
DENSE[5] = DENSE[:, 2] = 0  # an empty row and an empty column
DENSE[-1, -1] = 1
LABELS = np.arange(ROWS_OF_X) % 3
MULTILABEL = (RNG.rand(ROWS_OF_X, 4) < 0.4).astype(np.int64)
MULTILABEL[-1, -1] = 1

# The arrays of each format that say where its numbers are.
PLACES = {
    "csr": ("indices", "indptr"),
    "csc": ("indices", "indptr"),
    "bsr": ("indices", "indptr"),
    "coo": ("row", "col"),
    "dia": ("offsets",),
    "lil": ("rows",),
    "dok": ("keys",),
}


# ---- what a matrix stands for, read in Python without any trust


def compressed(A, width, height):
    """(major, minor, number of the entry) of each entry of a compressed format."""
    pointers, indices = np.ravel(A.indptr).tolist(), np.ravel(A.indices).tolist()
    assert len(pointers) == width + 1 and pointers[0] == 0
    assert all(a <= b for a, b in pairwise(pointers))
    for major in range(width):
        for k in range(int(pointers[major]), int(pointers[major + 1])):
            yield major, indices[k], k


def entries(A):
    """(row, column, value) of each entry of a sparse matrix."""
    n, columns = A.shape
    if A.format == "csr":
        return [(i, j, A.data[k]) for i, j, k in compressed(A, n, columns)]
    if A.format == "csc":
        return [(i, j, A.data[k]) for j, i, k in compressed(A, columns, n)]
    if A.format == "coo":
        row, col = map(np.ravel, A.coords)
        return list(zip(row, col, A.data, strict=True))
    if A.format == "lil":
        lines = zip(A.rows, A.data, strict=True)
        return [(i, j, v) for i, (r, d) in enumerate(lines) for j, v in zip(r, d, strict=True)]
    if A.format == "dok":
        return [(*key, value) for key, value in A._dict.items()]
    if A.format == "dia":
        assert len(A.data) == len(A.offsets)
        places = [
            (j - int(offset), j, line[j])
            for offset, line in zip(np.ravel(A.offsets), A.data, strict=True)
            for j in range(min(len(line), columns))
        ]
        return [(i, j, value) for i, j, value in places if 0 <= i < n]
    height, width = A.data.shape[1:]
    return [
        (i * height + a, j * width + b, A.data[k, a, b])
        for i, j, k in compressed(A, n // height, columns // width)
        for a in range(height)
        for b in range(width)
    ]


def meaning(A):
    """The dense matrix that A stands for, or None if it stands for none."""
    dense = np.zeros(A.shape, A.dtype)
    try:
        for i, j, value in entries(A):
            i, j = float(i), float(j)
            assert 0 <= i < len(dense) and 0 <= j < dense.shape[1]
            assert i.is_integer() and j.is_integer()
            dense[int(i), int(j)] += value
    except Exception:  # whatever an array of the wrong length, shape or type leads to
        return None
    return dense


# ---- damage


def put(value, places):
    """The array with another value at its fourth place."""
    places = places.astype(np.int64 if abs(value) >= 2**31 else places.dtype)
    places[min(3, len(places) - 1)] = value
    return places


DAMAGE = {
    "none": lambda a: a,
    "next": lambda a: put(a.max() + 1, a),
    "after the last": lambda a: put(ROWS_OF_X, a),
    "far": partial(put, 10**7),
    "very far": partial(put, 2**31 - 1),
    "minus one": partial(put, -1),
    "far below": partial(put, -(10**7)),
    "least": partial(put, -(2**31)),
    "wide": partial(put, 2**32),
    "wide and small": partial(put, 2**32 + 1),
    "far below, wide": partial(put, -(2**32)),
    "zero": partial(put, 0),
    "all far": lambda a: np.full_like(a, 10**6),
    "falling": lambda a: a[::-1].copy(),
    "one less": lambda a: a[:-1],
    "one more": lambda a: np.append(a, a[-1:]),
    "none left": lambda a: a[:0],
    "all shifted": lambda a: a + 1,
    "fractions": lambda a: a + 0.5,
    "floats": lambda a: a.astype(np.float64),
    "objects": lambda a: np.full(len(a), None),
    "text": lambda a: a.astype(str),
    "table": lambda a: a[:, None],
    "unsigned": lambda a: a.astype(np.uint64),
}


def damage(A, name, change):
    """Change the array `name` of a matrix, without the checks of SciPy where that is possible."""
    if name in ("row", "col"):
        row, col = A.coords
        A.coords = (change(row), col) if name == "row" else (row, change(col))
    elif name == "rows":
        counts = [len(row) for row in A.rows]
        flat = change(np.concatenate([np.array(row, np.int64) for row in A.rows])).tolist()
        for i, count in enumerate(counts):
            A.rows[i], flat = flat[:count], flat[count:]
        A.rows[-1] = A.rows[-1] + flat
    elif name == "keys":
        columns = change(np.array([j for _, j in A._dict])).tolist()
        pairs = zip(A._dict, columns, A._dict.values(), strict=False)
        A._dict = {(key[0], j if np.isscalar(j) else tuple(j)): v for key, j, v in pairs}
    else:
        setattr(A, name, change(getattr(A, name)))


def made(dense, layout, place, kind):
    """A damaged sparse matrix."""
    A = sp.bsr_array(dense, blocksize=(2, 2)) if layout == "bsr" else None
    A = getattr(sp, f"{layout}_array")(dense) if A is None else A
    damage(A, place, DAMAGE[kind])
    return A


# ---- calls: f(estimator, matrix) -> numbers


def fitted_on(X):
    y = DENSE[:, 0] + DENSE[:, 1] ** 2
    return MLPRegressor(**SMALL).fit(X, y).predict(DENSE)


def stepped_on(X):
    y = DENSE[:, 0] + DENSE[:, 1] ** 2
    return MLPRegressor(**SMALL).partial_fit(X, y).predict(DENSE)


def validated_on(X):
    model = MLPClassifier(**SMALL).fit(DENSE, LABELS, X_val=X, y_val=LABELS)
    return np.array(model.validation_loss_curve_)


@cache
def known():
    return MLPClassifier(**SMALL).fit(DENSE, LABELS)


OF_X = {
    "fit": fitted_on,
    "lbfgs": lambda X: MLPClassifier(**SMALL, solver="lbfgs").fit(X, LABELS).predict_proba(DENSE),
    "partial_fit": stepped_on,
    "X_val": validated_on,
    "predict": lambda X: known().predict_proba(X),
    "score": lambda X: np.array(known().score(X, LABELS)),
}
OF_Y = {
    "fit": lambda y: MLPClassifier(**SMALL).fit(DENSE, y).predict_proba(DENSE),
    "regression": lambda y: MLPRegressor(**SMALL).fit(DENSE, y).predict(DENSE),
    "partial_fit": lambda y: MLPRegressor(**SMALL).partial_fit(DENSE, y).predict(DENSE),
    "y_val": lambda y: np.array(
        MLPRegressor(**SMALL).fit(DENSE, MULTILABEL, X_val=DENSE, y_val=y).validation_loss_curve_
    ),
}


def damaged(dense):
    """(name, function that makes a matrix, function from it to what it stands for) of all."""
    found = [
        (f"{layout}, {place}, {kind}", partial(made, dense, layout, place, kind), meaning)
        for layout, places in PLACES.items()
        for place in places
        for kind in DAMAGE
    ]
    if damaged_sparse is not None:
        found += [(*pair, lambda A: None) for pair in damaged_sparse.damaged(dense)]
        found += [(*pair, lambda A: dense) for pair in damaged_sparse.odd(dense)]
    return found


def try_damage(table, calls, number, _):
    """A call with a damaged matrix."""
    name, make, meant = table[number // len(calls)]
    call = calls[list(calls)[number % len(calls)]]
    try:
        A = make()
    except (ValueError, TypeError, IndexError):
        return {"refused by SciPy": 1}
    expected = meant(A)
    try:
        found = call(A)
    except (ValueError, TypeError) as error:
        assert str(error)
        assert not name.endswith(", none"), f"{name}: a sound matrix is refused: {error}"
        return {"refused": 1}
    assert expected is not None, f"{name}: accepted, but it stands for no matrix"
    np.testing.assert_allclose(found, call(expected), rtol=1e-6, atol=1e-9, err_msg=name)
    return {"right": 1}


OF_DENSE, OF_LABELS = damaged(DENSE), damaged(MULTILABEL)
ROWS = [
    Row(
        "sparse",
        "X",
        "A damaged sparse X, in any format, raises ValueError or TypeError, or gives the numbers "
        "of the matrix that it stands for.",
        partial(try_damage, OF_DENSE, OF_X),
        full=len(OF_DENSE) * len(OF_X),
        short=30,
        limit=30,
    ),
    Row(
        "sparse",
        "y",
        "The same for a sparse y and y_val.",
        partial(try_damage, OF_LABELS, OF_Y),
        full=len(OF_LABELS) * len(OF_Y),
        short=30,
        limit=30,
    ),
]
