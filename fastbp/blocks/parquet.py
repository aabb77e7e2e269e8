"""Sources of files in the format Parquet, read by pyarrow."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.blocks.parquet_rows import Decoder, ParquetFile, dtype_of, pyarrow_package, starts_of
from fastbp.blocks.source import Block, File, Source, paths_of


def from_parquet(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    features: Sequence[str],
    target: str | Sequence[str],
    sample_weight: str | None = None,
    *,
    as_frame: bool = False,
) -> Source:
    """A source of Parquet files (the extra `parquet`).

    Parameters
    ----------
    paths : path or list of paths
        Files whose rows follow one another. A folder stands for its files ``*.parquet``, in the
        order of their names.
    features : list of str
        The columns of X: numbers or truth values.
    target : str or list of str
        The column of y, or its columns: numbers, truth values, strings or categories of them.
    sample_weight : str, default=None
        The column of the weights.
    as_frame : bool, default=False
        Whether X is a pandas frame, so that an estimator learns the names of the features.
        Otherwise X is an array.

    Returns
    -------
    source : object
        The borders are those of the row groups. A read decodes only the columns that are named, and
        a few MB at a time, however large a row group is. Reads that follow one another decode
        nothing twice. A read that begins within a row group decodes it from its first row on, so
        row groups should be smaller than the window of a fit. X has dtype float32 if every feature
        is a truth value, an integer of at most 16 bits or a float of at most 32, otherwise float64.
        Decoding needs no threads of its own. A pickle has the paths. If a file has changed, the
        next row group of it raises a ValueError. `feature_names` are the names.

    Raises
    ------
    ImportError
        If pyarrow, or with `as_frame` pandas, is not installed.
    TypeError
        If a column has a type that cannot be used.
    ValueError
        If a column is missing, or a file cannot be read. `read` also raises it for missing values
        (nulls); it names the column and the file.

    Examples
    --------
    >>> import tempfile
    >>> import pyarrow, pyarrow.parquet
    >>> from fastbp.blocks import from_parquet
    >>> columns = {"age": [31, 44, 25], "income": [1.5, 3, 2], "moved": ["no", "yes", "no"]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table = pyarrow.table(columns)
    ...     pyarrow.parquet.write_table(table, f"{folder}/people.parquet")
    ...     source = from_parquet(folder, ["age", "income"], "moved")
    ...     X, y, sample_weight = source.read(1, 3)
    >>> X
    array([[44.,  3.],
           [25.,  2.]])
    >>> y
    array(['yes', 'no'], dtype=object)
    """
    return ParquetSource(paths, features, target, sample_weight, as_frame)


class ParquetSource(Source):
    """Rows of Parquet files; `from_parquet` describes the parameters."""

    def __init__(self, paths: Any, features: Any, target: Any, sample_weight: Any, as_frame: bool):
        arrow = pyarrow_package()
        self.as_frame, self.is_one_target = as_frame, isinstance(target, str)
        if as_frame:
            _pandas_package()
        self.feature_names = _names("features", features)
        self.targets = _names("target", [target] if self.is_one_target else target)
        self.weights = [] if sample_weight is None else _names("sample_weight", [sample_weight])
        names = _names("target and sample_weight", [*self.targets, *self.weights])
        if both := sorted({*self.feature_names} & {*names}):
            raise ValueError(f"features must not have the target or the weights, got {both}")
        self.columns = [*self.feature_names, *names]
        self.files = [self._inspect(path, arrow) for path in _files_of(paths)]
        self.dtypes = {name: self._dtype_of(name) for name in self.columns}
        starts = starts_of(self.files)
        super().__init__(int(starts[-1]))
        self.borders = np.unique(starts)  # empty row groups have none

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_decoder"}

    def _inspect(self, path: str, arrow: ModuleType) -> ParquetFile:
        """What the footer of a file says, or an error that says what is wrong with it."""
        file, dtypes = File.now(path), {}
        try:
            with arrow.parquet.ParquetFile(path) as parquet:
                schema, footer = parquet.schema_arrow, parquet.metadata
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} cannot be read as a Parquet file: {error}") from error
        times = Counter(schema.names)
        for name in self.columns:
            if times[name] != 1:
                got = "it twice" if times[name] else f"the columns {schema.names[:20]}"
                raise ValueError(f"{path} must have the column {name!r} once, got {got}")
            kind = schema.field(name).type
            dtype = dtype_of(kind)
            if dtype is None or (dtype.hasobject and name not in self.targets):
                or_text = ", strings or categories" if name in self.targets else ""
                raise TypeError(f"column {name!r} must have numbers{or_text}, got {kind} in {path}")
            dtypes[name] = dtype
        groups = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
        return ParquetFile(file, groups, dtypes)

    def _dtype_of(self, name: str) -> np.dtype[Any]:
        """The dtype of a column in all files."""
        first = self.files[0]
        for file in self.files:
            if file.dtypes[name].hasobject != first.dtypes[name].hasobject:
                raise ValueError(
                    f"column {name!r} must have one type in all files, got {first.dtypes[name]} in "
                    f"{first.file.path} and {file.dtypes[name]} in {file.file.path}"
                )
        return np.result_type(*(file.dtypes[name] for file in self.files))

    def _read(self, start: int, stop: int) -> Block:
        dtype = np.result_type(np.float32, *(self.dtypes[name] for name in self.feature_names))
        X = np.empty((stop - start, len(self.feature_names)), dtype)
        dtype = np.result_type(*(self.dtypes[name] for name in self.targets))
        y = np.empty((stop - start, len(self.targets)), dtype)
        weight = np.empty((stop - start, len(self.weights)))
        self._decode(start, stop, [*X.T, *y.T, *weight.T])
        if self.as_frame:
            X = _pandas_package().DataFrame(X, columns=self.feature_names, copy=False)
        return X, y[:, 0] if self.is_one_target else y, weight[:, 0] if self.weights else None

    def _decode(self, start: int, stop: int, out: list[NDArray[Any]]) -> None:
        """Write the rows from `start` to `stop` of all columns to `out`."""
        # Taken away, so that two threads never share one.
        decoder = self.__dict__.pop("_decoder", None) or Decoder(self.files, self.columns)
        place = start
        while place < stop:
            decoder.seek(place)
            end = min(stop, decoder.stop)
            decoder.write(place, end, [column[place - start : end - start] for column in out])
            place = end
        if stop < len(self):  # otherwise its file is closed
            self._decoder = decoder


def _names(parameter: str, names: Any) -> list[str]:
    """Names of columns as a list, or an error that says what is wrong with them."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise TypeError(f"{parameter} must be a list of names of columns, got {names!r}")
    found = list(names)
    for name in found:
        if not isinstance(name, str):
            raise TypeError(f"{parameter} must have names of columns, got {name!r}")
    if not found:
        raise ValueError(f"{parameter} must have at least one column, got {names!r}")
    name, times = Counter(found).most_common(1)[0]
    if times > 1:
        raise ValueError(f"{parameter} must have each column once, got {name!r} {times} times")
    return [str(name) for name in found]


def _files_of(paths: Any) -> list[str]:
    """The paths of the files; those of a folder in the order of their names."""
    found: list[str] = []
    for path in paths_of("paths", paths):
        if not os.path.isdir(path):
            found.append(path)
            continue
        files = sorted(map(str, Path(path).glob("*.parquet")))
        if not files:
            raise ValueError(f"paths must have files *.parquet, got the folder {path} without any")
        found += files
    return found


def _pandas_package() -> ModuleType:
    """The package pandas, or an ImportError that says how to install it."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "as_frame=True needs the package pandas, which is not installed: pip install pandas"
        ) from error
    return pandas
