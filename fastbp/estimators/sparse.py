"""Sparse matrices as users give them: checked, then converted to CSR.

SciPy's conversions, and the core, read and write where the indices of a matrix point. So indices
are copied and checked before SciPy converts them: other threads may write to the user's own. The
arrays that the core gets are checked again, whatever conversions they went through.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse
from numpy.typing import DTypeLike, NDArray
from scipy.sparse import bsr_array, coo_array, csc_array, csr_array, dia_array

from fastbp.estimators import memory
from fastbp.kernels import CSR, is_core_float

Sparse: TypeAlias = scipy.sparse.sparray | scipy.sparse.spmatrix
Shape: TypeAlias = tuple[int, int]

MOST = np.iinfo(np.int32).max  # columns
CLASSES: dict[str, Any] = {
    name: (getattr(scipy.sparse, f"{name}_array"), getattr(scipy.sparse, f"{name}_matrix"))
    for name in ("csr", "csc", "coo", "bsr", "lil", "dia", "dok")
}


def sound_samples(X: Sparse) -> Sparse:
    """X as CSR in native byte order, not copied if it is that. ValueError if X is damaged.

    Of CSR that nobody converts any more, `checked_rows` is the only check.
    """
    shape = _shape_of(X, "X")
    if len(shape) != 2:
        raise ValueError(f"Expected 2D input, got a sparse array of shape {shape} for X.")
    if isinstance(X, CLASSES["csr"]) and X.format == "csr":
        (data,) = _arrays(X, "X", data=1)
        if is_core_float(data.dtype):
            return X
    return _as_csr(X, shape, "X")


def sound_targets(y: Sparse, name: str = "y") -> csr_array | NDArray[Any]:
    """A copy of y as CSR without repeated entries; dense if y has one dimension.

    ValueError if y is damaged. MemoryError if there is too little memory to make it dense.
    """
    shape = _shape_of(y, name)
    rows, columns = shape if len(shape) == 2 else (1, *shape)
    memory.check_fits(8 * rows * columns, f"{name} of shape {shape}")
    targets = csr_array(_as_csr(y, (rows, columns), name), copy=True)
    targets.sum_duplicates()
    return targets if len(shape) == 2 else targets.toarray().ravel()


def checked_rows(X: Sparse) -> CSR:
    """The arrays of CSR samples as the core reads them, checked: the only way to the core.

    Row pointers are copied, so that no other thread can write them. Indices and data are not, and
    keep their dtypes.
    """
    if X.shape[1] > MOST:
        raise ValueError(
            f"X has {X.shape[1]} columns, at most {MOST} are possible for sparse data."
        )
    data, indices, indptr = _arrays(X, "X", data=1, indices=1, indptr=1)
    _check_integers(indptr, "X", "indptr")
    indptr = np.array(indptr, np.int64)
    _check_compressed(data, indices, indptr, X.shape, "column", "X")
    return CSR(data, indices, indptr, X.shape[1])


def _shape_of(X: Sparse, name: str) -> tuple[int, ...]:
    """The shape of X: two sizes, or one in formats that may have one dimension."""
    shape = getattr(X, "shape", None)
    if not (
        type(shape) is tuple
        and (len(shape) == 2 or (len(shape) == 1 and X.format in ("csr", "coo", "dok")))
        and all(type(size) is int and size >= 0 for size in shape)
    ):
        raise ValueError(f"{name} must be a sparse matrix of two sizes, got a shape of {shape!r}.")
    return shape


def _as_csr(X: Sparse, shape: Shape, name: str) -> Sparse:
    """X as CSR of this shape in native byte order. ValueError if X is damaged.

    SciPy converts a new matrix made of the checked arrays, without the notes of X about the order
    of the entries, which may be wrong.
    """
    if not isinstance(X, CLASSES.get(X.format, ())):
        raise ValueError(
            f"{name} is a {type(X).__name__} with the format {X.format!r}, expected one of the "
            f"formats {', '.join(CLASSES)}."
        )
    if X.format == "csr":
        return csr_array(_compressed(X, shape, "column", name), shape=shape)
    memory.check_fits(8 * (shape[0] + 1), f"{name} of shape {shape}")  # row pointers
    return CHECKED[X.format](X, shape, name).tocsr()


def _checked_csc(X: Sparse, shape: Shape, name: str) -> csc_array:
    return csc_array(_compressed(X, shape[::-1], "row", name), shape=shape)


def _checked_bsr(X: Sparse, shape: Shape, name: str) -> bsr_array:
    (data,) = _arrays(X, name, data=3)
    _, height, width = data.shape
    if not (height and width) or shape[0] % height or shape[1] % width:
        raise ValueError(
            f"{name} has blocks of shape {(height, width)}, which do not divide the shape {shape}."
        )
    blocks = shape[0] // height, shape[1] // width
    return bsr_array(_compressed(X, blocks, "block column", name, dimensions=3), shape=shape)


def _checked_coo(X: Sparse, shape: Shape, name: str) -> coo_array:
    coords = getattr(X, "coords", None)
    if type(coords) is not tuple or len(coords) != len(X.shape):
        raise ValueError(f"{name} must have {len(X.shape)} arrays of indices, got {coords!r:.80}.")
    (data,) = _arrays(X, name, data=1)
    indices = [_array(one, 1, name, "coords").copy() for one in coords]
    if any(len(one) != len(data) for one in indices):
        raise ValueError(
            f"{name} has {len(data)} values, but {[len(one) for one in indices]} indices."
        )
    return _checked_coords(data, indices, shape, name)


def _checked_coords(
    data: NDArray[Any], indices: list[NDArray[Any]], shape: Shape, name: str
) -> coo_array:
    """COO of values and their indices, whose lengths are equal. One axis is that of columns."""
    if len(indices) == 1:
        indices = [np.zeros(len(data), np.int64), *indices]
    for axis, (one, what) in enumerate(zip(indices, ("row", "column"), strict=True)):
        _check_range(one, shape[axis], what, name)
    return coo_array((_native(data, name), tuple(indices)), shape=shape)


def _checked_dia(X: Sparse, shape: Shape, name: str) -> dia_array:
    data, offsets = _arrays(X, name, data=2, offsets=1)
    offsets = offsets.copy()
    _check_integers(offsets, name, "offsets")
    if len(data) != len(offsets):
        raise ValueError(f"{name} has {len(data)} diagonals, but {len(offsets)} offsets.")
    inside = (offsets < shape[1]) & (offsets > -shape[0])  # others have no entries
    return dia_array((_native(data[inside], name), offsets[inside]), shape=shape)


def _checked_lil(X: Sparse, shape: Shape, name: str) -> csr_array:
    rows, data = (
        [one[:] if type(one) is list else one for one in lists]
        for lists in _arrays(X, name, rows=1, data=1)
    )
    if not len(rows) == len(data) == shape[0]:
        raise ValueError(
            f"{name} has {len(rows)} lists of indices and {len(data)} lists of values, expected "
            f"{shape[0]}."
        )
    for i, (row, values) in enumerate(zip(rows, data, strict=True)):
        if type(row) is not list or type(values) is not list or len(row) != len(values):
            raise ValueError(
                f"{name} must have lists of equal length in row {i}, got indices {row!r:.60} and "
                f"values {values!r:.60}."
            )
    indptr = np.cumsum([0, *map(len, rows)])
    indices = _listed(chain.from_iterable(rows), None, name)
    _check_range(indices, shape[1], "column", name)
    values = _listed(chain.from_iterable(data), getattr(X, "dtype", None), name)
    return csr_array((values, indices, indptr), shape=shape)


def _checked_dok(X: Sparse, shape: Shape, name: str) -> coo_array:
    try:
        n_axes, entries = len(X.shape), list(X.items())
    except AttributeError as error:
        raise ValueError(f"{name} has no dictionary of entries: {error}") from error
    keys = [key if n_axes > 1 else (key,) for key, _ in entries]
    for key in keys:
        if type(key) is not tuple or len(key) != n_axes:
            raise ValueError(f"{name} has the key {key!r:.80}, expected {n_axes} indices.")
    indices = [_listed((key[axis] for key in keys), None, name) for axis in range(n_axes)]
    values = _listed((value for _, value in entries), getattr(X, "dtype", None), name)
    return _checked_coords(values, indices, shape, name)


CHECKED: dict[str, Callable[[Any, Shape, str], Sparse]] = {
    "csc": _checked_csc,
    "bsr": _checked_bsr,
    "coo": _checked_coo,
    "dia": _checked_dia,
    "lil": _checked_lil,
    "dok": _checked_dok,
}


def _compressed(
    X: Sparse, shape: Shape, what: str, name: str, dimensions: int = 1
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Data, and checked copies of indices and indptr, without entries behind the last pointer."""
    data, indices, indptr = _arrays(X, name, data=dimensions, indices=1, indptr=1)
    indices, indptr = indices.copy(), indptr.copy()
    _check_compressed(data, indices, indptr, shape, what, name)
    end = indptr[-1]
    return _native(data[:end], name), indices[:end], indptr


def _check_compressed(
    data: NDArray[Any],
    indices: NDArray[Any],
    indptr: NDArray[Any],
    shape: Shape,
    what: str,
    name: str,
) -> None:
    """Raise ValueError unless pointers and indices are within the arrays.

    Pointers are along the first axis of the shape, indices (`what`) along the second.
    """
    _check_integers(indptr, name, "indptr")
    if (
        len(indptr) != shape[0] + 1
        or indptr[0] != 0
        or (indptr[1:] < indptr[:-1]).any()
        or indptr[-1] > min(len(indices), len(data))
    ):
        raise ValueError(
            f"{name} has an indptr that is no sequence of rising offsets from 0 into its "
            f"{len(indices)} indices."
        )
    _check_range(indices[: indptr[-1]], shape[1], what, name)


def _check_range(indices: NDArray[Any], stop: int, what: str, name: str) -> None:
    """Raise ValueError unless all indices are integers from 0 to stop - 1."""
    _check_integers(indices, name, f"{what} indices")
    if not len(indices):
        return
    if indices.view(_unsigned(indices.dtype)).max() >= stop:  # -1 becomes the largest number
        found = indices[(indices < 0) | (indices >= stop)][0]
        raise ValueError(
            f"{name} has a {what} index out of range: {found}, expected 0 to {stop - 1}."
        )


@lru_cache
def _unsigned(dtype: np.dtype) -> np.dtype:
    """The dtype of unsigned integers of the same size and byte order."""
    return np.dtype(dtype.str.replace("i", "u"))


def _check_integers(array: NDArray[Any], name: str, what: str) -> None:
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} has {what} of dtype {array.dtype}, expected integers.")


def _arrays(X: Sparse, name: str, **dimensions: int) -> list[NDArray[Any]]:
    """The attributes of X with these names: arrays of that many dimensions."""
    return [
        _array(getattr(X, what, None), wanted, name, what) for what, wanted in dimensions.items()
    ]


def _array(array: Any, dimensions: int, name: str, what: str) -> NDArray[Any]:
    """The array without a subclass, such as a mask."""
    if not isinstance(array, np.ndarray) or array.ndim != dimensions:
        raise ValueError(
            f"{name} has {what} that is no array of dimension {dimensions}: {array!r:.80}."
        )
    return np.asarray(array)


def _native(data: NDArray[Any], name: str) -> NDArray[Any]:
    """Data in native byte order. TypeError if they are not numbers."""
    if data.dtype.kind not in "biufc":
        raise TypeError(f"{name} has data of dtype {data.dtype}, which is not numeric.")
    return data if data.dtype.isnative else data.astype(data.dtype.newbyteorder("="))


def _listed(items: Iterable[Any], dtype: DTypeLike | None, name: str) -> NDArray[Any]:
    """Numbers as an array of dtype; None: that of the numbers, or int64 if there are none."""
    listed = list(items)
    if not listed:
        return np.empty(0, np.int64 if dtype is None else dtype)
    try:
        array = _native(_array(np.array(listed), 1, name, "lists"), name)
        return array if dtype is None else _native(np.array(listed, dtype), name)
    except OverflowError as error:  # a number that dtype cannot hold
        raise ValueError(f"{name}: {error}") from error
