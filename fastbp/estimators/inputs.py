"""Checks and conversions of X, y and weights, to arrays that the core takes."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import isfinite
from numbers import Integral, Real
from typing import Any, NamedTuple, TypeAlias, TypeGuard, TypeVar

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.validation import check_non_negative, validate_data

from fastbp.estimators import sparse
from fastbp.estimators.messages import warn
from fastbp.estimators.scikit_learn import CheckedEstimator, check_sample_weight
from fastbp.estimators.sparse import Sparse
from fastbp.kernels import CSR, Rows, is_core_float
from fastbp.runtime.rows import cast, laid_out

Matrix: TypeAlias = ArrayLike | Sparse  # X as users give it
CheckedMatrix: TypeAlias = NDArray[np.floating] | Sparse  # X after scikit-learn's checks
TAKES_ALL = (
    "X is a collection of Dask, of which all is computed into the memory of this process. "
    "fastbp.dask trains where the data are; fit_blocks with fastbp.blocks.from_dask reads them "
    "block by block."
)
Estimator = TypeVar("Estimator", bound=CheckedEstimator)


class Features(NamedTuple):
    """The number of features, and their names if all of them are strings."""

    n_features: int
    names: NDArray[np.object_] | None = None


def draft_of(estimator: Estimator) -> Estimator:
    """A shallow copy of an estimator, on which scikit-learn's checks can set attributes.

    The estimator itself changes only when training has succeeded.
    """
    draft = object.__new__(type(estimator))
    draft.__dict__.update(estimator.__dict__)
    return draft


def check_training_data(
    draft: CheckedEstimator,
    X: Matrix | None,
    y: ArrayLike | None,
    *,
    reset: bool,
    y_numeric: bool = False,
) -> tuple[CheckedMatrix, NDArray[Any], Features]:
    """Validated X (dense or CSR, float32 or float64, C order), y, and the features.

    With `reset` the draft gets the features of X. Otherwise X must have the draft's features.
    """
    plain = _plain_pair(draft, X, y, reset)
    if plain is not None:
        draft.n_features_in_ = plain[0].shape[1]
        return *plain, Features(draft.n_features_in_)
    if hasattr(X, "__dask_graph__"):
        warn(TAKES_ALL)
    X, y = validate_data(
        draft,
        _sound(X),
        sound_targets(y),
        accept_sparse="csr",
        multi_output=True,
        y_numeric=y_numeric,
        dtype=(np.float64, np.float32),
        order="C",
        reset=reset,
    )
    features = Features(draft.n_features_in_, getattr(draft, "feature_names_in_", None))
    return X, _plain_targets(y, y_numeric), features


def _plain_targets(y: Any, y_numeric: bool) -> NDArray[Any]:
    """y with one dimension if it has one column; if numeric, also dense and finite."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    if y_numeric:
        if y.dtype.kind not in "buif":
            raise TypeError(f"y has dtype {y.dtype}, which is not numeric.")
        y = y.toarray() if scipy.sparse.issparse(y) else y
        assert_all_finite(y, input_name="y")  # objects may be None until converted
    return y


@contextmanager
def about(name: str) -> Iterator[None]:
    """Add the name of the argument to errors that do not mention it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if name not in str(error):
            error.args = (f"{name}: {error}",)
        raise


def is_validation_given(
    X_val: Matrix | None, y_val: ArrayLike | None, sample_weight_val: ArrayLike | None
) -> bool:
    """Whether a validation set is given; ValueError if it is incomplete."""
    if X_val is None and y_val is not None:
        raise ValueError("y_val is provided, but X_val was not provided.")
    if y_val is None and X_val is not None:
        raise ValueError("X_val is provided, but y_val was not provided.")
    if X_val is None and sample_weight_val is not None:
        raise ValueError("sample_weight_val is provided, but X_val and y_val were not provided.")
    return X_val is not None


def check_validation_data(
    draft: CheckedEstimator,
    X_val: Matrix | None,
    y_val: ArrayLike | None,
    sample_weight_val: ArrayLike | None,
    *,
    y_numeric: bool = False,
) -> tuple[CheckedMatrix, NDArray[Any], NDArray[np.float64] | None]:
    """The validation set, checked like training data: X, y and weights.

    The draft has the features of the training data. There must be two samples at least, as in a
    held-out set.
    """
    with about("X_val"):
        X = validate_data(
            draft,
            _sound(X_val),
            accept_sparse="csr",
            dtype=(np.float64, np.float32),
            order="C",
            ensure_min_samples=2,
            reset=False,
        )
    with about("y_val"):
        targets = check_array(
            sound_targets(y_val, "y_val"),
            accept_sparse="csr",
            ensure_2d=False,
            dtype=None,
            input_name="y_val",
            estimator=draft,
        )
        if y_numeric and targets.dtype.kind == "O":
            targets = targets.astype(np.float64)
        targets = _plain_targets(targets, y_numeric)
    if X.shape[0] != targets.shape[0]:
        raise ValueError(f"X_val has {X.shape[0]} samples, but y_val has {targets.shape[0]}.")
    with about("sample_weight_val"):
        return X, targets, check_weights(sample_weight_val, X)


def hold_out(
    n_samples: int,
    fraction: float,
    random_state: np.random.RandomState,
    stratify: NDArray[Any] | None,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of training rows and of held-out rows, drawn as in scikit-learn's early stopping."""
    from sklearn.model_selection import train_test_split  # imported late: slow

    rows, held_out = train_test_split(
        np.arange(n_samples), random_state=random_state, test_size=fraction, stratify=stratify
    )
    if len(held_out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
    return rows, held_out


def _plain_pair(
    draft: CheckedEstimator, X: Matrix | None, y: ArrayLike | None, reset: bool
) -> tuple[NDArray[np.floating], NDArray[Any]] | None:
    """X and y if scikit-learn's checks would not change them, else None."""
    if (
        is_plain(X)
        and X.flags.c_contiguous
        and X.shape[1] > 0
        and type(y) is np.ndarray
        and y.shape == X.shape[:1]
        and y.dtype.kind in "biuf"
        and not hasattr(draft, "feature_names_in_")
        and (reset or getattr(draft, "n_features_in_", None) == X.shape[1])
        and _is_finite(X)
        and (y.dtype.kind != "f" or _is_finite(y))
    ):
        return X, y
    return None


def _is_finite(array: NDArray[Any]) -> bool:
    """Whether the sum is finite. False also if a sum of finite numbers overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        return isfinite(array.sum())


def check_weights(
    sample_weight: ArrayLike | None, X: CheckedMatrix, *, some: bool = True
) -> NDArray[np.float64] | None:
    """float64 weights of shape (n_samples,), not negative; None stays None.

    With `some`, not all may be zero.
    """
    if sample_weight is None:
        return None
    refuse_sparse(sample_weight, "sample_weight")
    if not some and not np.any(sample_weight):  # which scikit-learn refuses
        return np.zeros_like(check_sample_weight(np.ones_like(sample_weight), X, dtype=np.float64))
    weights = check_sample_weight(sample_weight, X, dtype=np.float64)
    assert_all_finite(weights, input_name="sample_weight")  # a scalar is not checked above
    check_non_negative(weights, "`sample_weight`")
    if some and not weights.any():  # not checked by scikit-learn < 1.9
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return laid_out(weights, np.float64)


def near_one(
    sample_weight: NDArray[np.float64] | None, alpha: float
) -> tuple[NDArray[np.float64] | None, float]:
    """Weights and alpha divided by one power of two, so that the largest weight is below 1.

    The objective has the same bits. But float32 can hold weights of any scale, and a weight becomes
    a denormal number only if another one is far larger.
    """
    if sample_weight is None:
        return None, alpha
    _, exponent = np.frexp(sample_weight.max())
    with np.errstate(over="ignore"):
        return np.ldexp(sample_weight, -exponent), float(np.ldexp(float(alpha), -exponent))


def is_plain(X: object) -> TypeGuard[NDArray[np.floating]]:
    """Whether X is a dense matrix of native float64 or float32 with at least one row.

    Apart from this, scikit-learn checks the number and names of the features and that all values
    are finite.
    """
    return type(X) is np.ndarray and X.ndim == 2 and len(X) > 0 and is_core_float(X.dtype)


def is_numeric(X: object) -> TypeGuard[NDArray[Any]]:
    """As `is_plain`, or of native integers or bools, which are finite."""
    if type(X) is not np.ndarray or X.ndim != 2 or len(X) == 0:
        return False
    return is_core_float(X.dtype) or (X.dtype.kind in "biu" and X.dtype.isnative)


def plain_array(X: Any, names: Any) -> NDArray[Any] | None:
    """A frame or a list as the array that scikit-learn's checks would make of it.

    `names` are those of the features in the fit, or None. The result is None if these checks have
    to see X itself.
    """
    if type(X) is not list:
        return _plain_frame(X, names)
    if names is not None:  # scikit-learn warns
        return None
    try:
        return np.asarray(X)
    except (OverflowError, TypeError, ValueError):  # rows of different lengths
        return None


def _plain_frame(X: Any, names: Any) -> NDArray[Any] | None:
    """The values of a pandas frame with these names and only columns of numbers, or None.

    Without names its columns have to be numbered.
    """
    pandas: Any = sys.modules.get("pandas")
    if type(X) is not getattr(pandas, "DataFrame", None):
        return None
    if names is None:
        if type(X.columns) is not pandas.RangeIndex:
            return None
    elif type(names) is not np.ndarray:  # another list of names was set by hand
        return None
    else:
        columns = X.columns.tolist()
        if columns != names.tolist() or not all(type(name) is str for name in columns):
            return None
    if all(isinstance(one, np.dtype) and one.kind in "iuf" for one in set(X.dtypes.to_numpy())):
        return X.to_numpy()
    return None


def check_prediction_data(estimator: CheckedEstimator, X: Matrix) -> CheckedMatrix:
    """Validated X of `predict`, in its own dtype and layout."""
    checked = validate_data(estimator, _sound(X), accept_sparse="csr", reset=False)
    if checked.dtype.kind == "O":  # of a list with None, which scikit-learn takes for a number
        checked = checked.astype(np.float64)
        assert_all_finite(checked, input_name="X")
    return checked


def as_rows(X: CheckedMatrix, dtype: DTypeLike) -> Rows:
    """X as the core takes it: aligned C-ordered rows, or CSR with its arrays checked.

    It is copied only if necessary, apart from the row pointers of CSR.
    """
    if isinstance(X, np.ndarray):
        return cast(X, dtype, "X")
    return _cast_csr(sparse.checked_rows(X), dtype)


def rows_by_part(X: CheckedMatrix, dtype: DTypeLike) -> Callable[[slice], Rows]:
    """A function that returns a slice of X as `as_rows` does.

    CSR is checked once, now. Copies are made slice by slice.
    """
    if isinstance(X, np.ndarray):
        return lambda part: cast(X[part], dtype, "X")
    checked = sparse.checked_rows(X)
    return lambda part: _cast_csr(checked.slice(part.start, part.stop), dtype)


def as_targets(y: ArrayLike, dtype: DTypeLike) -> NDArray[np.floating]:
    """y as aligned C-ordered rows of dtype, shape (n_samples, n_outputs)."""
    y = np.asarray(y)
    return cast(y.reshape(len(y), -1), dtype, "y")


def check_target_range(
    y: NDArray[Any], what: str, least: float, most: float = np.inf, *, open_end: bool = False
) -> None:
    """Raise ValueError unless y is in [least, most], or in ]least, most] with an open end."""
    if open_end and y.min() <= least:
        raise ValueError(
            f"Some values of y are not positive: {what} needs y > {least:g}, got a "
            f"minimum of {y.min()}."
        )
    if y.min() < least:
        negative = "negative" if least == 0 else f"below {least:g}"
        raise ValueError(
            f"Some values of y are {negative}: {what} needs y >= {least:g}, got a "
            f"minimum of {y.min()}."
        )
    if y.max() > most:
        raise ValueError(
            f"Some values of y are above {most:g}: {what} needs y <= {most:g}, got a "
            f"maximum of {y.max()}."
        )


def check_hidden_layer_sizes(hidden_layer_sizes: int | Iterable[int]) -> list[int]:
    """The sizes as a list of positive Python ints."""
    if isinstance(hidden_layer_sizes, Iterable):
        sizes = list(hidden_layer_sizes)
    else:
        sizes = [hidden_layer_sizes]
    if any(isinstance(size, Real) and size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    if not all(isinstance(size, Integral) and not isinstance(size, bool) for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be integers, got {sizes}.")
    return [int(size) for size in sizes]


def _cast_csr(x: CSR, dtype: DTypeLike) -> CSR:
    """The CSR with its own entries only, in dtype and with int32 indices."""
    first, stop = x.indptr[0], x.indptr[-1]
    return CSR(
        cast(x.data[first:stop], dtype, "X"),
        laid_out(x.indices[first:stop], np.int32),
        x.indptr - first,
        x.n_features,
    )


def _sound(X: Any) -> Any:
    """X in native byte order; sparse X checked and converted to CSR.

    So big-endian float32 stays float32, and compiled code never gets an index out of bounds.
    """
    if scipy.sparse.issparse(X):
        return sparse.sound_samples(X)
    if isinstance(X, np.ndarray) and not X.dtype.isnative:
        return X.astype(X.dtype.newbyteorder("="))
    return X


def sound_targets(y: Any, name: str = "y") -> Any:
    """Sparse y checked and converted to CSR, or to an array if it has one dimension."""
    return sparse.sound_targets(y, name) if scipy.sparse.issparse(y) else y


def dense_targets(y: Any) -> Any:
    """The same, but dense."""
    y = sound_targets(y)
    return y.toarray() if scipy.sparse.issparse(y) else y


def check_bool(value: Any, name: str) -> None:
    """Raise TypeError unless the value is a bool."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}.")


def refuse_sparse(value: Any, name: str) -> None:
    """Raise TypeError if the value is a sparse matrix, whose arrays are not read."""
    if scipy.sparse.issparse(value):
        raise TypeError(f"{name} must be a list or array, got a {type(value).__name__}.")
