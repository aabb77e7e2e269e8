"""Columns of frames and arrays, as numbers or as categories.

Neither pandas nor polars is imported: a frame brings its library with it.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from numbers import Complex, Real
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbp.tables.levels import Coded, code, is_missing
from fastbp.tables.scaling import Floats

Kind: TypeAlias = Literal["number", "category", "date", "complex", "unknown"]
KINDS_OF_NUMPY: dict[str, Kind] = {
    **dict.fromkeys("fiu", "number"),
    **dict.fromkeys("bUST", "category"),
    **dict.fromkeys("mM", "date"),
    "c": "complex",
}
DATES = (date, time, timedelta, np.datetime64, np.timedelta64)
PERIODS = ("Period",)  # of pandas


class Columns(Protocol):
    """A table that can be read column by column."""

    shape: tuple[int, int]

    def name(self, column: int) -> str:
        """The column as messages call it: its name as written in Python, or its place."""

    def kind(self, column: int) -> Kind:
        """What the dtype of the column says that it holds; its values, if it holds objects."""

    def dtype(self, column: int) -> str:
        """The dtype, for messages."""

    def floats(self, column: int) -> Floats:
        """The column as float64, with NaN for missing values."""

    def block(self, columns: list[int]) -> Floats | None:
        """Several columns as float64 at once; None if they have to be read one by one."""

    def coded(self, column: int) -> Coded:
        """The distinct values of the column, as Python objects, and their places."""


def frame_kind(X: Any) -> Literal["frame", "lazy"] | None:
    """Whether X is a frame of pandas or polars, or a lazy one."""
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas is not None and isinstance(X, pandas.DataFrame):
        return "frame"
    if polars is not None and isinstance(X, polars.DataFrame):
        return "frame"
    return "lazy" if polars is not None and isinstance(X, polars.LazyFrame) else None


def columns_of(X: Any) -> Columns:
    """A frame or an array of two dimensions as columns."""
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas is not None and isinstance(X, pandas.DataFrame):
        return PandasColumns(X)
    if polars is not None and isinstance(X, polars.DataFrame):
        return PolarsColumns(X)
    return ArrayColumns(X)


class ArrayColumns:
    """The columns of an array."""

    def __init__(self, X: NDArray[Any]):
        self.X = X
        self.shape = X.shape

    def name(self, column: int) -> str:
        return str(column)

    def kind(self, column: int) -> Kind:
        kind = self.X.dtype.kind
        if kind == "O":
            return kind_of_objects(self.X[:, column].tolist())
        return KINDS_OF_NUMPY.get(kind, "unknown")

    def dtype(self, column: int) -> str:
        return str(self.X.dtype)

    def floats(self, column: int) -> Floats:
        values = self.X[:, column]
        if values.dtype.kind not in "fiub":
            return floats_of_objects(values.tolist())
        return values.astype(np.float64)

    def block(self, columns: list[int]) -> Floats | None:
        if self.X.dtype.kind not in "fiub":
            return None
        X = self.X if len(columns) == self.shape[1] else self.X[:, columns]
        return np.asarray(X, np.float64)

    def coded(self, column: int) -> Coded:
        return code(self.X[:, column].tolist(), len(self.X))


class NamedColumns:
    """Columns that each have a name and an array of their own, of one dimension."""

    def __init__(self, columns: Mapping[str, NDArray[Any]]):
        self.names = list(columns)
        self.parts = [ArrayColumns(column[:, None]) for column in columns.values()]
        self.shape = (self.parts[0].shape[0], len(self.parts)) if self.parts else (0, 0)

    def name(self, column: int) -> str:
        return repr(self.names[column])

    def kind(self, column: int) -> Kind:
        return self.parts[column].kind(0)

    def dtype(self, column: int) -> str:
        return self.parts[column].dtype(0)

    def floats(self, column: int) -> Floats:
        return self.parts[column].floats(0)

    def block(self, columns: list[int]) -> Floats | None:
        return None

    def coded(self, column: int) -> Coded:
        return self.parts[column].coded(0)


class PandasColumns:
    """The columns of a pandas frame, found by their places, since names may not be unique."""

    def __init__(self, X: Any):
        self.X = X
        self.shape = X.shape
        self.dtypes = list(X.dtypes)

    def name(self, column: int) -> str:
        return repr(self.X.columns.tolist()[column])

    def kind(self, column: int) -> Kind:
        dtype = self.dtypes[column]
        if self._is_coded(column):
            return "category"
        if dtype.kind == "O":
            return kind_of_objects(self._objects(column))
        return KINDS_OF_NUMPY.get(dtype.kind, "unknown")

    def dtype(self, column: int) -> str:
        return str(self.dtypes[column])

    def floats(self, column: int) -> Floats:
        if self.dtypes[column].kind not in "fiub":
            return floats_of_objects(self._objects(column))
        return self.X.iloc[:, column].to_numpy(dtype=np.float64, na_value=np.nan)

    def block(self, columns: list[int]) -> Floats | None:
        dtypes = (self.dtypes[column] for column in columns)
        if all(isinstance(dtype, np.dtype) and dtype.kind in "fiub" for dtype in dtypes):
            X = self.X if len(columns) == self.shape[1] else self.X.iloc[:, columns]
            return X.to_numpy(dtype=np.float64)
        return None

    def coded(self, column: int) -> Coded:
        if self._is_coded(column):
            values = self.X.iloc[:, column].array
            return Coded(values.categories.tolist(), values.codes.astype(np.intp))
        return code(self._objects(column), self.shape[0])

    def _is_coded(self, column: int) -> bool:
        """Whether pandas has encoded the column as categories."""
        return self.dtypes[column].name == "category"

    def _objects(self, column: int) -> list[Any]:
        return self.X.iloc[:, column].to_numpy(dtype=object).tolist()


class PolarsColumns:
    """The columns of a polars frame."""

    def __init__(self, X: Any):
        self.X = X
        self.shape = X.shape

    def name(self, column: int) -> str:
        return repr(self.X.columns[column])

    def kind(self, column: int) -> Kind:
        dtype = self.X.dtypes[column]
        if dtype.is_numeric():
            return "number"
        if dtype.is_temporal():
            return "date"
        if dtype.is_nested():
            return "unknown"
        if dtype == sys.modules["polars"].Object:
            return kind_of_objects(self.X.to_series(column).to_list())
        return "category"

    def dtype(self, column: int) -> str:
        return str(self.X.dtypes[column])

    def floats(self, column: int) -> Floats:
        series = self.X.to_series(column)
        if series.dtype.is_numeric():
            return series.cast(float).to_numpy()
        return floats_of_objects(series.to_list())

    def block(self, columns: list[int]) -> Floats | None:
        return None

    def coded(self, column: int) -> Coded:
        return code(self.X.to_series(column).to_list(), self.shape[0])


def kind_of_objects(values: Sequence[Any]) -> Kind:
    """What Python objects are: numbers, if all are that are present and not all are bools.

    Where none is present they are categories: a category may be anything later.
    """
    present = [value for value in values if not is_missing(value)]
    kinds = set(map(type, present))
    if any(issubclass(kind, DATES) or kind.__name__ in PERIODS for kind in kinds):
        return "date"
    if any(issubclass(kind, Complex) and not issubclass(kind, Real) for kind in kinds):
        return "complex"
    if kinds <= {bool, np.bool_}:
        return "category"
    if all(issubclass(kind, (Real, Decimal, np.bool_)) for kind in kinds):
        return "number"
    return "category"


def floats_of_objects(values: Iterable[Any]) -> Floats:
    """Python objects as float64: numbers, numbers as text, and missing values."""
    return np.array([np.nan if is_missing(value) else float(value) for value in values])
