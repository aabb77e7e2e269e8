"""Sources of files in NumPy's format .npy."""

import math
import os
import warnings
from dataclasses import dataclass
from io import FileIO
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbp.blocks.source import Block, File, Source, check_dimensions, check_lengths, paths_of

MAP_BEYOND_THE_END = 8  # Windows: "not enough memory" for a map that is longer than the file

Paths: TypeAlias = str | os.PathLike[str] | list[str] | list[os.PathLike[str]]


def from_npy(X: Paths, y: Paths, sample_weight: Paths | None = None) -> Source:
    """A source of ``.npy`` files, as `numpy.save` writes them.

    Each parameter is a path, or a list of paths of files whose rows follow one another. Those of
    different parameters may be cut at different rows.

    Parameters
    ----------
    X : path or list of paths
        Arrays of numbers of shape (n_rows, n_features).
    y : path or list of paths
        Arrays of shape (n_rows,) or (n_rows, n_outputs), of numbers or strings.
    sample_weight : path or list of paths, default=None
        Arrays of numbers of shape (n_rows,).

    Returns
    -------
    source : object
        It copies rows from the files into new arrays, since a process that looks at a memory map is
        killed if the file becomes shorter. The dtype is that of the files, in the byte order of the
        machine. A pickle has the paths. No file is kept open. If a file has changed, the next read
        of it raises a ValueError.

    Warns
    -----
    UserWarning
        If X is stored column by column (``fortran_order``). Each column is then a read of its own:
        from a disk this took 5 to 20 times as long.

    Raises
    ------
    ValueError
        If the numbers of rows differ, a file is not in the format, has objects or a wrong shape, or
        the files of a list do not fit together.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from fastbp.blocks import from_npy
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     folder = Path(folder)
    ...     np.save(folder / "X.npy", np.eye(5))
    ...     np.save(folder / "y.npy", np.arange(5))
    ...     source = from_npy(folder / "X.npy", folder / "y.npy")
    ...     X, y, sample_weight = source.read(1, 3)
    >>> X
    array([[0., 1., 0., 0., 0.],
           [0., 0., 1., 0., 0.]])
    """
    return NpySource(X, y, sample_weight)


class NpySource(Source):
    """Rows of .npy files; `from_npy` describes the parameters."""

    def __init__(self, X: Paths, y: Paths, sample_weight: Paths | None):
        self.X, self.y, self.sample_weight = LongArray("X", X), LongArray("y", y), None
        if sample_weight is not None:
            self.sample_weight = LongArray("sample_weight", sample_weight)
        n_weights = None if self.sample_weight is None else len(self.sample_weight)
        check_lengths(len(self.X), y=len(self.y), sample_weight=n_weights)
        super().__init__(len(self.X))
        by_columns = [file.file.path for file in self.X.files if file.is_by_columns]
        if by_columns:
            warnings.warn(
                f"{by_columns[0]} is stored column by column (Fortran order), and reading its rows "
                "is slow. Save it by rows: np.save(path, np.ascontiguousarray(X)).",
                stacklevel=3,
            )

    def _read(self, start: int, stop: int) -> Block:
        weight = None if self.sample_weight is None else self.sample_weight.read(start, stop)
        return self.X.read(start, stop), self.y.read(start, stop), weight


class LongArray:
    """Arrays of several files, one after the other.

    Parameters
    ----------
    name : {'X', 'y', 'sample_weight'}
    paths : path or list of paths
    """

    def __init__(self, name: str, paths: Paths):
        self.files = [_open(name, path) for path in paths_of(name, paths)]
        first = self.files[0]
        for one in self.files:
            if one.shape[1:] != first.shape[1:] or one.is_text != first.is_text:
                raise ValueError(
                    f"the files of {name} must fit together: {first.file.path} has shape "
                    f"{first.shape} and dtype {first.dtype}, {one.file.path} has shape {one.shape} "
                    f"and dtype {one.dtype}"
                )
        self.dtype = np.result_type(*(one.dtype.newbyteorder("=") for one in self.files))
        self.starts = np.cumsum([0, *(one.shape[0] for one in self.files)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """The rows from `start` to `stop`, in C order."""
        out = np.empty((stop - start, *self.files[0].shape[1:]), self.dtype)
        for file, first in zip(self.files, self.starts.tolist(), strict=False):
            begin, end = max(start, first), min(stop, first + file.shape[0])
            if begin < end:
                file.read(begin - first, out[begin - start : end - start])
        return out


@dataclass(frozen=True)
class NpyFile:
    """The array of a file.

    Parameters
    ----------
    file : File
    dtype : dtype
        With the byte order of the file.
    shape : tuple of int
    offset : int
        Of the first number, in bytes.
    is_by_columns : bool
        Whether the array is in Fortran order.
    """

    file: File
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    is_by_columns: bool

    @property
    def is_text(self) -> bool:
        """Whether there are strings."""
        return self.dtype.kind in "US"

    def read(self, first: int, out: NDArray[Any]) -> None:
        """Write rows, from `first` on, to `out`, which is in C order."""
        self.file.check()
        rows, columns = len(out), self.shape[1:]
        with open(self.file.path, "rb", buffering=0) as file:
            if not self.is_by_columns:
                raw = out if out.dtype == self.dtype else np.empty(out.shape, self.dtype)
                self._fill(raw, first * math.prod(columns), file)
            else:
                raw = np.empty((*columns, rows), self.dtype).T
                for column in range(columns[0]):
                    self._fill(raw[:, column], column * self.shape[0] + first, file)
        if raw is not out:
            out[...] = raw

    def _fill(self, out: NDArray[Any], place: int, file: FileIO) -> None:
        """Read the numbers from a place on, counted in numbers, into a contiguous array."""
        left = memoryview(out.reshape(-1).view(np.uint8).data)
        file.seek(self.offset + place * self.dtype.itemsize)
        while left:
            n_read = file.readinto(left)
            if not n_read:
                raise ValueError(f"{self.file.path} ends before its last row: it was cut off.")
            left = left[n_read:]


def _open(name: str, path: str) -> NpyFile:
    """What the header of a file says, or a ValueError that says what is wrong with it."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{name} cannot be read from {path}: {error}") from error
    except OSError as error:
        if getattr(error, "winerror", None) != MAP_BEYOND_THE_END:
            raise
        what = "it is shorter than its header says, or there is too little memory"
        raise ValueError(f"{name} cannot be read from {path}: {what}") from error
    if not isinstance(array, np.memmap):
        array.close()
        raise ValueError(f"{name} must be a file .npy, got the archive .npz {path}")
    if array.dtype.kind not in ("biufUS" if name == "y" else "biuf"):
        raise ValueError(f"{name} must have numbers, got dtype {array.dtype} in {path}")
    check_dimensions(name, array.shape, f" in {path}")
    flags = array.flags
    is_by_columns = flags.f_contiguous and not flags.c_contiguous
    return NpyFile(File.now(path), array.dtype, array.shape, array.offset, is_by_columns)
