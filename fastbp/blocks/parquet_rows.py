"""The rows of Parquet files, decoded batch by batch."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.blocks.source import File

# pyarrow decodes a batch at a time. Larger ones are not faster, and a row group may be of any size.
BATCH_BYTES, BATCH_ROWS = 1 << 22, (256, 1 << 16)
# What it reads of a column at a time. Without such a buffer it reads the whole row group.
BUFFER = 1 << 15
FLOATS = {"halffloat": "float16", "float": "float32", "double": "float64"}  # NumPy's names


@dataclass(frozen=True)
class ParquetFile:
    """What the footer of a file says.

    Parameters
    ----------
    file : File
    groups : list of int
        The number of rows of each row group.
    dtypes : dict
        The dtype of each column, as it is read.
    """

    file: File
    groups: list[int]
    dtypes: dict[str, np.dtype[Any]]


class Decoder:
    """A place in the rows of all files: the batch that was decoded last.

    Parameters
    ----------
    files : list of ParquetFile
    columns : list of str

    Attributes
    ----------
    start, stop : int
        The rows of the batch.
    """

    def __init__(self, files: list[ParquetFile], columns: list[str]):
        self.columns = columns
        self.groups = [(file.file, group) for file in files for group in range(len(file.groups))]
        self.starts = starts_of(files)
        self.batch_size = int(np.clip(BATCH_BYTES // (8 * len(columns)), *BATCH_ROWS))
        self.start = self.stop = -1
        self._opened: tuple[File, Any] | None = None

    def seek(self, row: int) -> None:
        """Go to a batch that has a row: forward, or to the first row of its row group."""
        group = int(np.searchsorted(self.starts, row, "right")) - 1
        if not (self.start <= row and self.starts[group] <= self.stop):
            self._batches = self._from(group)
            self.start = self.stop = int(self.starts[group])
        while self.stop <= row:
            self.advance()

    def advance(self) -> None:
        """Decode the batch that follows."""
        self.file, self.batch = next(self._batches)
        self.start, self.stop = self.stop, self.stop + self.batch.num_rows

    def write(self, start: int, stop: int, out: list[NDArray[Any]]) -> None:
        """Write rows of the batch to `out`, an array for each column.

        Raises
        ------
        ValueError
            If a value is missing.
        """
        batch = self.batch.slice(start - self.start, stop - start)
        for name, array in zip(self.columns, out, strict=True):
            column = batch.column(batch.schema.get_field_index(name))
            if column.null_count:
                raise ValueError(
                    f"column {name!r} has missing values (nulls) in {self.file.path}, between rows "
                    f"{start} and {stop}: fill them in, or leave their rows out"
                )
            array[:] = _values(column)

    def _from(self, group: int) -> Iterator[tuple[File, Any]]:
        """The batches of a row group and of all that follow, each with its file."""
        for file, number in self.groups[group:]:
            file.check()
            try:
                for batch in self._parquet(file).iter_batches(
                    self.batch_size, row_groups=[number], columns=self.columns, use_threads=False
                ):
                    yield file, batch
            except (OSError, ValueError) as error:
                raise ValueError(f"{file.path} cannot be decoded: {error}") from error

    def _parquet(self, file: File) -> Any:
        """The open file. The one before it is closed."""
        if self._opened is None or self._opened[0] != file:
            # Reading ahead would be in threads of pyarrow's own.
            parquet = pyarrow_package().parquet.ParquetFile(
                file.path, buffer_size=BUFFER, pre_buffer=False
            )
            self._opened = file, parquet
        return self._opened[1]


def starts_of(files: list[ParquetFile]) -> NDArray[np.int64]:
    """The first row of each row group, and the number of rows."""
    return np.cumsum([0, *(n_rows for file in files for n_rows in file.groups)], dtype=np.int64)


def dtype_of(kind: Any) -> np.dtype[Any] | None:
    """The dtype of the values of a type of pyarrow: object for strings, None for other things.

    `to_pandas_dtype` of older versions would import pandas.
    """
    types = pyarrow_package().types
    if types.is_dictionary(kind):
        return dtype_of(kind.value_type)
    if types.is_decimal(kind):
        return np.dtype(np.float64)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        return np.dtype(FLOATS.get(str(kind), str(kind)))
    return np.dtype(object) if _is_text(kind) else None


def _is_text(kind: Any) -> bool:
    """Whether a type of pyarrow is that of strings."""
    types = pyarrow_package().types
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def pyarrow_package() -> ModuleType:
    """The package pyarrow, or an ImportError that says how to install it."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(
            "from_parquet needs the package pyarrow, which is not installed: "
            "pip install 'fastbp[parquet]'"
        ) from error
    return pyarrow


def _values(column: Any) -> NDArray[Any]:
    """The values of a column without nulls. Equal strings are one object.

    `to_numpy` of pyarrow would import pandas.
    """
    arrow = pyarrow_package()
    types, kind = arrow.types, column.type
    if types.is_dictionary(kind):
        if _is_text(kind.value_type):
            values = np.array(column.dictionary.to_pylist(), object)
        else:
            values = _values(column.dictionary)
        return values[np.from_dlpack(column.indices)]
    if _is_text(kind):
        return _values(column.dictionary_encode())
    if types.is_decimal(kind):
        column = column.cast(arrow.float64())
    elif types.is_boolean(kind):
        column = column.cast(arrow.uint8())
    return np.from_dlpack(column)
