"""Sparse matrices damaged in every way we know, and odd ones.

A damaged matrix is one on which SciPy's own conversions may read or write outside of its arrays, or
that means nothing. It has to raise a ValueError or a TypeError. An odd matrix looks unusual, but
means the same as a dense one. It has to give the same result.
"""

import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp

FORMATS = ("csr", "csc", "coo", "bsr", "lil", "dia", "dok")
FAMILIES = ("array", "matrix")
PARTS = ("data", "indices", "indptr", "coords", "offsets", "rows", "_dict", "_shape", "dtype")


def damaged(
    dense: Any, forms=FORMATS, families=FAMILIES
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Pairs (name, make_matrix) of damaged matrices in these formats, made of a dense one.

    The dense matrix has an even number of rows and of columns, and its last element is not zero.
    """
    return _of(damages_of, dense, forms, families)


def odd(dense: Any, forms=FORMATS, families=FAMILIES) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Pairs (name, make_matrix) of odd matrices that are equal to the dense one."""
    return _of(oddities_of, dense, forms, families)


def parts(matrix: Any) -> bytes:
    """All of a matrix that belongs to its user, to see whether it was changed."""
    return pickle.dumps([getattr(matrix, part, None) for part in PARTS])


def _of(changes_of, dense, forms, families):
    for form in forms:
        for family in families:
            for name, change in changes_of(form).items():
                yield f"{form}_{family}, {name}", partial(_changed, form, family, change, dense)


def _changed(form, family, change, dense):
    matrix = sound(form, family, dense)
    change(matrix)
    return matrix


def sound(form: str, family: str, dense: Any) -> Any:
    """The dense matrix in this format; BSR in blocks of 2 x 2."""
    options = {"blocksize": (2, 2)} if form == "bsr" else {}
    return getattr(sp, f"{form}_{family}")(dense, **options)


# ---- changes of one attribute


def put(attribute, change):
    """A change of a matrix that replaces an attribute by change(attribute)."""

    def damage(matrix):
        setattr(matrix, attribute, change(getattr(matrix, attribute)))

    return damage


def put_coordinate(axis, change):
    def damage(matrix):
        coords = list(matrix.coords)
        coords[axis] = change(coords[axis])
        matrix.coords = tuple(coords)

    return damage


def at(place, value):
    """A change of an array that puts a value at a place, as int64 if it has to be."""

    def change(array):
        wide = not np.iinfo(array.dtype).min <= value <= np.iinfo(array.dtype).max
        array = array.astype(np.int64) if wide else array.copy()
        array[place] = value
        return array

    return change


def masked(array):
    """An index far away, under a mask."""
    array = at(5, 10**7)(array)
    return np.ma.masked_array(array, array == 10**7)


# What no array of indices may be.
NO_INDICES = {
    "floats": lambda a: a.astype(float),
    "complex": lambda a: a.astype(complex),
    "objects": lambda a: a.astype(object),
    "booleans": lambda a: a.astype(bool),
    "strings": lambda a: a.astype("U8"),
    "times": lambda a: a.astype("m8[s]"),
    "a list": lambda a: a.tolist(),
    "None": lambda a: None,
    "of two dimensions": lambda a: a[None],
    "of no dimension": lambda a: a[0],
    "a matrix": lambda a: sp.coo_array(a[None]),
}
NO_DATA = {
    "of another dimension": lambda a: a[None],
    "objects": lambda a: a.astype(object),
    "None": lambda a: None,
    "None among objects": lambda a: np.full_like(a, None, object),
    "a list": lambda a: a.tolist(),
    "strings": lambda a: a.astype("U8"),
    "times": lambda a: a.astype("m8[s]"),
    "of no type": lambda a: np.zeros(a.shape, "V8"),
    "too short": lambda a: a[:-3],
    "complex": lambda a: a + 1j,
}
NO_VALUES = {
    "None": None,
    "text": "1.5",
    "list": [1.0, 2.0],
    "thing": object(),
    "2**2000": 2**2000,
}
NO_SHAPES = {
    "None": None,
    "a list": [60, 12],
    "floats": (60.0, 12.0),
    "one size": (60,),
    "three sizes": (60, 12, 1),
    "no sizes": (),
    "negative": (-60, 12),
    "negative columns": (60, -12),
    "strings": ("60", "12"),
    "text": "ab",
}


def bad_indices(stop):
    """Changes of an array of indices that have to be below `stop`."""
    values = {
        "next": stop,
        "near": stop + 3,
        "far": 10**7,
        "-1": -1,
        "-5": -5,
        "least": -(2**31),
        "2**31 - 1": 2**31 - 1,
        "2**32": 2**32,
        "2**32 + 1": 2**32 + 1,
        "-2**32": -(2**32),
        "2**63 - 1": 2**63 - 1,
    }
    return {
        **{name: at(5, value) for name, value in values.items()},
        "far, at the start": at(0, 10**7),
        "far, at the end": at(-1, 10**7),
        "far, int64": lambda a: at(5, 10**7)(a).astype(np.int64),
        "far, uint64": lambda a: at(5, 10**7)(a).astype(np.uint64),
        "2**64 - 1": lambda a: np.r_[a[:-1].astype(np.uint64), np.uint64(2**64 - 1)],
        "far, big-endian": lambda a: at(5, 10**7)(a).astype(">i4"),
        "-1, big-endian": lambda a: at(5, -1)(a).astype(">i8"),
        "far, every second number": lambda a: np.repeat(at(5, 10**7)(a), 2)[::2],
        "far, read-only": lambda a: read_only(at(5, 10**7)(a)),
        "far, under a mask": masked,
        **NO_INDICES,
    }


BAD_POINTERS = {
    "not from 0": at(0, 3),
    "from -5": at(0, -5),
    "falling": at(3, 10**5),
    "falling by one": lambda a: at(3, a[4] + 1)(a),
    "negative": at(3, -500),
    "end too far": lambda a: at(-1, a[-1] + 1)(a),
    "end far": at(-1, 10**7),
    "end 2**32": lambda a: at(-1, 2**32 + int(a[-1]))(a),
    "end negative": at(-1, -1),
    "2**32": at(3, 2**32),
    "too short": lambda a: a[:-1],
    "too long": lambda a: np.r_[a, a[-1]],
    "empty": lambda a: a[:0],
    "falling, uint64": lambda a: at(3, 10**5)(a).astype(np.uint64),
    "falling, big-endian": lambda a: at(3, 10**5)(a).astype(">i4"),
    "falling, read-only": lambda a: read_only(at(3, 10**5)(a)),
    "falling, under a mask": lambda a: np.ma.masked_array(at(3, 10**5)(a), a == a[3]),
    **NO_INDICES,
}


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def _named(what, put_it, table):
    return {f"{what} {name}": put_it(change) for name, change in table.items()}


# ---- damages by format


def damages_of(form: str) -> dict[str, Callable[[Any], None]]:
    """Changes that damage a matrix of this format, by name."""
    changes = {
        f"shape {name}": put("_shape", lambda _, shape=shape: shape)
        for name, shape in NO_SHAPES.items()
    }
    changes["format that of another"] = put("_format", lambda f: "csc" if f == "coo" else "coo")
    changes["format unknown"] = put("_format", lambda _: "xyz")
    if form in ("csr", "csc", "bsr"):
        return changes | _damages_of_compressed(form)
    others = {"coo": _damages_of_coo, "lil": _damages_of_lil, "dok": _damages_of_dok}
    return changes | others.get(form, _damages_of_dia)()


def _damages_of_compressed(form):
    def indices(change_of):
        def damage(matrix):
            stop = matrix.shape[0 if form == "csc" else 1] // (2 if form == "bsr" else 1)
            matrix.indices = bad_indices(stop)[change_of](matrix.indices)

        return damage

    changes = {f"indices {name}": indices(name) for name in bad_indices(1)}
    changes |= _named("indptr", partial(put, "indptr"), BAD_POINTERS)
    changes |= _named("data", partial(put, "data"), NO_DATA)
    changes["indices too short"] = put("indices", lambda a: a[:-3])
    changes["a row less"] = put("_shape", lambda shape: (shape[0] - 1, shape[1]))
    changes["a column less"] = put("_shape", lambda shape: (shape[0], shape[1] - 1))
    changes["no rows"] = put("_shape", lambda shape: (0, shape[1]))
    changes["no columns"] = put("_shape", lambda shape: (shape[0], 0))
    if form != "csc":
        changes["two rows more"] = put("_shape", lambda shape: (shape[0] + 2, shape[1]))
    if form == "bsr":
        changes["blocks of another size"] = put("data", lambda a: np.ones((len(a), 7, 5)))
        changes["blocks of other rows"] = put("data", lambda a: np.ones((len(a), 4, 2)))
        changes["blocks of one row"] = put("data", lambda a: np.ones((len(a), 1, 4)))
        changes["blocks of no size"] = put("data", lambda a: np.ones((len(a), 0, 2)))
        changes["blocks of no columns"] = put("data", lambda a: np.ones((len(a), 2, 0)))
        changes["data without blocks"] = put("data", lambda a: a[:, 0, 0].copy())
    return changes


def _damages_of_coo():
    def coordinate(axis, name):
        def damage(matrix):
            change = bad_indices(matrix.shape[axis])[name]
            put_coordinate(axis, change)(matrix)

        return damage

    changes = {
        f"{what} {name}": coordinate(axis, name)
        for axis, what in enumerate(("row", "column"))
        for name in bad_indices(1)
    }
    changes |= _named("data", partial(put, "data"), NO_DATA)
    return changes | {
        "row too short": put_coordinate(0, lambda a: a[:-3]),
        "row too long": put_coordinate(0, lambda a: np.r_[a, a]),
        "column too short": put_coordinate(1, lambda a: a[:-3]),
        "column empty": put_coordinate(1, lambda a: a[:0]),
        "coordinates of one axis": put("coords", lambda coords: coords[:1]),
        "coordinates of three axes": put("coords", lambda coords: (*coords, coords[0])),
        "coordinates None": put("coords", lambda _: None),
        "coordinates in one array": put("coords", np.array),
        "a row less": put("_shape", lambda shape: (shape[0] - 1, shape[1])),
        "a column less": put("_shape", lambda shape: (shape[0], shape[1] - 1)),
    }


def _damages_of_dia():
    no_offsets = dict(NO_INDICES)
    del no_offsets["of no dimension"]  # one offset for all
    changes = _named("offsets", partial(put, "offsets"), no_offsets)
    changes |= _named("data", partial(put, "data"), NO_DATA)
    return changes | {
        "offsets of no dimension": put("offsets", lambda a: np.array(a[0])),
        "offsets twice": put("offsets", lambda a: np.r_[a[:1], a[:1], a[2:]]),
        "offsets all 0": put("offsets", np.zeros_like),
        "offsets too short": put("offsets", lambda a: a[:-1]),
        "offsets too long": put("offsets", lambda a: np.r_[a, 1]),
        "offsets empty": put("offsets", lambda a: a[:0]),
        "data without diagonals": put("data", lambda a: a[:0]),
        "data of one diagonal": put("data", lambda a: a[0].copy()),
    }


def _damages_of_lil():
    def row(change):
        """Change the list of indices of a row that is not empty."""

        def damage(matrix):
            matrix.rows[_full_row(matrix)] = change(matrix.rows[_full_row(matrix)], matrix.shape[1])

        return damage

    def values(change):
        def damage(matrix):
            matrix.data[_full_row(matrix)] = change(matrix.data[_full_row(matrix)])

        return damage

    bad = {
        "next": lambda n: n,
        "far": lambda n: 10**7,
        "-1": lambda n: -1,
        "-5": lambda n: -5,
        "2**32": lambda n: 2**32,
        "2**63": lambda n: 2**63,
        "2**70": lambda n: 2**70,
        "-2**70": lambda n: -(2**70),
        "float": lambda n: 0.5,
        "whole float": lambda n: 1.0,
        "text": lambda n: "1",
        "None": lambda n: None,
        "NaN": lambda n: np.nan,
        "list": lambda n: [0, 1],
        "complex": lambda n: 1j,
    }
    changes = {
        f"index {name}": row(lambda indices, n, value=value: [value(n), *indices[1:]])
        for name, value in bad.items()
    }
    changes |= {
        f"value {name}": values(lambda a, value=value: [value, *a[1:]])
        for name, value in NO_VALUES.items()
    }
    return changes | {
        "a list too short": row(lambda indices, n: indices[:-1]),
        "a list too long": row(lambda indices, n: [*indices, 0]),
        "a list empty": row(lambda indices, n: []),
        "a tuple": row(lambda indices, n: tuple(indices)),
        "an array": row(lambda indices, n: np.array(indices)),
        "no list": row(lambda indices, n: 3),
        "a list None": row(lambda indices, n: None),
        "values too short": values(lambda a: a[:-1]),
        "values None": values(lambda a: None),
        "values a number": values(lambda a: 1.0),
        "rows too short": put("rows", lambda rows: rows[:-1]),
        "rows too long": put("rows", lambda rows: np.r_[rows, rows]),
        "rows None": put("rows", lambda rows: None),
        "rows a list": put("rows", lambda rows: rows.tolist()),
        "rows of two dimensions": put("rows", lambda rows: rows[:, None]),
        "rows numbers": put("rows", lambda rows: np.arange(len(rows))),
        "data too short": put("data", lambda data: data[:-1]),
        "data None": put("data", lambda data: None),
        "data numbers": put("data", lambda data: np.arange(len(data))),
        "dtype objects": put("dtype", lambda _: np.dtype(object)),
        "dtype text": put("dtype", lambda _: np.dtype("U8")),
        "dtype unknown": put("dtype", lambda _: "nothing"),
        "a row less": put("_shape", lambda shape: (shape[0] - 1, shape[1])),
        "a row more": put("_shape", lambda shape: (shape[0] + 1, shape[1])),
        "a column less": put("_shape", lambda shape: (shape[0], shape[1] - 1)),
    }


def _full_row(matrix):
    return next(i for i, row in enumerate(matrix.rows) if len(row) > 1)


def _damages_of_dok():
    def key(change):
        """Put a value under another key."""

        def damage(matrix):
            first = next(iter(matrix._dict))
            matrix._dict[change(*matrix.shape)] = matrix._dict.pop(first)

        return damage

    def value(wrong):
        def damage(matrix):
            matrix._dict[next(iter(matrix._dict))] = wrong

        return damage

    keys = {
        "next row": lambda n, m: (n, 0),
        "next column": lambda n, m: (0, m),
        "far row": lambda n, m: (10**7, 0),
        "far column": lambda n, m: (0, 10**7),
        "row -1": lambda n, m: (-1, 0),
        "column -1": lambda n, m: (0, -1),
        "row 2**32": lambda n, m: (2**32, 0),
        "column 2**32": lambda n, m: (0, 2**32),
        "column 2**70": lambda n, m: (0, 2**70),
        "float": lambda n, m: (0.5, 0),
        "text": lambda n, m: ("0", 0),
        "None": lambda n, m: (None, 0),
        "NaN": lambda n, m: (0, np.nan),
        "of one number": lambda n, m: (0,),
        "of three numbers": lambda n, m: (0, 0, 0),
        "a number": lambda n, m: 0,
        "a pair of pairs": lambda n, m: ((0, 0), (0, 0)),
        "no key": lambda n, m: None,
    }
    changes = {f"key {name}": key(change) for name, change in keys.items()}
    changes |= {f"value {name}": value(wrong) for name, wrong in NO_VALUES.items()}
    return changes | {
        "entries None": put("_dict", lambda _: None),
        "entries a list": put("_dict", lambda entries: list(entries)),
        "dtype objects": put("dtype", lambda _: np.dtype(object)),
        "dtype unknown": put("dtype", lambda _: "nothing"),
        "a row less": put("_shape", lambda shape: (shape[0] - 1, shape[1])),
        "a column less": put("_shape", lambda shape: (shape[0], shape[1] - 1)),
    }


# ---- what looks odd, but is right


def oddities_of(form: str) -> dict[str, Callable[[Any], None]]:
    """Changes that leave the meaning of a matrix of this format as it was, by name."""
    changes = {"as it is": lambda matrix: None}
    if form in ("csr", "csc", "bsr"):
        for name in ("indices", "indptr"):
            changes |= _named(name, partial(put, name), INTEGERS | UNSIGNED)
        changes["data longer"] = put("data", lambda a: np.concatenate([a, a]))
        changes["indices and data longer"] = _longer
        changes["notes that are wrong"] = _wrong_notes
        changes["unsorted"] = _backwards
        changes["twice"] = _twice
        if form != "bsr":
            changes["zeros"] = _with_zeros
    if form == "coo":
        for axis, what in enumerate(("row", "column")):
            changes |= _named(what, partial(put_coordinate, axis), INTEGERS | UNSIGNED)
        changes["notes that are wrong"] = _wrong_notes
        changes["unsorted"] = _coo_backwards
        changes["twice"] = _coo_twice
    if form == "dia":
        changes |= _named("offsets", partial(put, "offsets"), INTEGERS)
        changes["diagonals outside"] = _diagonals_outside
        changes["unsorted"] = _dia_backwards
    if form in ("lil", "dok"):
        changes["unsorted"] = _lil_backwards if form == "lil" else _dok_backwards
    else:
        changes["data read-only"] = put("data", read_only)
        changes["data big-endian"] = put("data", lambda a: a.astype(a.dtype.newbyteorder(">")))
        changes["data in Fortran order"] = put("data", np.asfortranarray)
    return changes


INTEGERS = {
    "int64": lambda a: a.astype(np.int64),
    "int16": lambda a: a.astype(np.int16),
    "big-endian": lambda a: a.astype(">i4"),
    "big-endian int64": lambda a: a.astype(">i8"),
    "read-only": read_only,
    "every second number": lambda a: np.repeat(a, 2)[::2],
    "backwards in memory": lambda a: a[::-1].copy()[::-1],
}
UNSIGNED = {  # offsets have signs
    "uint32": lambda a: a.astype(np.uint32),
    "uint64": lambda a: a.astype(np.uint64),
}


def _longer(matrix):
    """Entries behind the last row pointer, which nobody reads."""
    matrix.indices = np.r_[matrix.indices, matrix.indices[:5] * 0 + 10**7]
    matrix.data = np.concatenate([matrix.data, matrix.data[:5]])


def _wrong_notes(matrix):
    """SciPy believes its notes that nothing is unsorted and nothing repeated."""
    if matrix.format == "coo":
        _coo_twice(matrix)
    else:
        _backwards(matrix)
        _twice(matrix)
        matrix.has_sorted_indices = True
    if matrix.format != "bsr":
        matrix.has_canonical_format = True


def _backwards(matrix):
    for first, stop in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        for part in (matrix.indices, matrix.data):
            part[first:stop] = part[first:stop][::-1].copy()
    _forget(matrix)


def _twice(matrix):
    """Each entry as its double and minus itself."""
    data = np.repeat(matrix.data, 2, axis=0)
    data[::2] *= 2
    data[1::2] *= -1
    matrix.data, matrix.indices = data, np.repeat(matrix.indices, 2)
    matrix.indptr = matrix.indptr * 2
    _forget(matrix)


def _with_zeros(matrix):
    """All elements, zeros too."""
    by_rows = matrix.format == "csr"
    dense = matrix.toarray() if by_rows else matrix.toarray().T
    n, m = dense.shape
    matrix.data = dense.ravel().copy()
    matrix.indices = np.tile(np.arange(m, dtype=np.int32), n)
    matrix.indptr = np.arange(n + 1, dtype=np.int32) * m
    _forget(matrix)


def _forget(matrix):
    """Remove SciPy's notes about the order of the entries."""
    for note in ("_has_sorted_indices", "_has_canonical_format"):
        vars(matrix).pop(note, None)


def _coo_backwards(matrix):
    matrix.coords = tuple(one[::-1].copy() for one in matrix.coords)
    matrix.data = matrix.data[::-1].copy()
    matrix.has_canonical_format = False


def _coo_twice(matrix):
    matrix.coords = tuple(np.r_[one, one] for one in matrix.coords)
    matrix.data = np.r_[2 * matrix.data, -matrix.data]
    matrix.has_canonical_format = False


def _dia_backwards(matrix):
    matrix.offsets, matrix.data = matrix.offsets[::-1].copy(), matrix.data[::-1].copy()


def _diagonals_outside(matrix):
    """Diagonals that do not cross the matrix, one of them beyond int32."""
    matrix.offsets = np.r_[matrix.offsets.astype(np.int64), 10**7, -(10**7), 2**32]
    matrix.data = np.concatenate([matrix.data, matrix.data[:1], matrix.data[:1], matrix.data[:1]])


def _lil_backwards(matrix):
    for i, (row, values) in enumerate(zip(matrix.rows, matrix.data, strict=True)):
        matrix.rows[i], matrix.data[i] = row[::-1], values[::-1]


def _dok_backwards(matrix):
    matrix._dict = dict(reversed(matrix._dict.items()))
