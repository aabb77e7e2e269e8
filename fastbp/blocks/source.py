"""What all sources share: their length, checks of rows, and files that must not change."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self, TypeAlias

from numpy.typing import NDArray

Block: TypeAlias = tuple[Any, NDArray[Any], NDArray[Any] | None]


class Source(ABC):
    """Rows that are read on demand.

    Parameters
    ----------
    n_rows : int
    """

    def __init__(self, n_rows: int):
        self.n_rows = n_rows

    def __len__(self) -> int:
        return self.n_rows

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.n_rows} rows>"

    def read(self, start: int, stop: int) -> Block:
        """X, y and the weights (or None) of the rows from `start` to `stop`.

        Raises
        ------
        ValueError
            If there are no such rows.
        """
        if not 0 <= start < stop <= self.n_rows:
            raise ValueError(
                f"start and stop must be rows with 0 <= start < stop <= {self.n_rows}, got "
                f"start={start}, stop={stop}"
            )
        return self._read(int(start), int(stop))

    @abstractmethod
    def _read(self, start: int, stop: int) -> Block:
        """The rows, after the checks of `read`."""


class File(NamedTuple):
    """A file as it was when the source was made.

    Parameters
    ----------
    path : str
        Absolute, so that a pickle may be loaded in another folder.
    size, time : int
        In bytes, and of the last change in nanoseconds.
    """

    path: str
    size: int
    time: int

    @classmethod
    def now(cls, path: str) -> Self:
        """The file as it is now; FileNotFoundError if there is none."""
        status = os.stat(path)
        return cls(os.path.abspath(path), status.st_size, status.st_mtime_ns)

    def check(self) -> None:
        """Raise an error if the file has changed or is gone."""
        if self.now(self.path) != self:
            raise ValueError(f"{self.path} has changed since the source was made: make it again.")


def paths_of(name: str, paths: Any) -> list[str]:
    """One path or several as a list of strings; the name is that of the parameter."""
    several = [paths] if isinstance(paths, str | os.PathLike) else paths
    if not isinstance(several, Iterable) or isinstance(several, bytes):
        raise TypeError(f"{name} must be a path or a list of paths, got {paths!r}")
    found = []
    for path in several:
        text = os.fspath(path) if isinstance(path, str | os.PathLike) else path
        if not isinstance(text, str):
            raise TypeError(f"{name} must be a path or a list of paths, got {path!r} in the list")
        found.append(text)
    if not found:
        raise ValueError(f"{name} must have at least one path, got an empty list")
    return found


def check_dimensions(name: str, shape: Sequence[Any], where: str = "") -> None:
    """Raise ValueError if X, y or the weights have a wrong number of dimensions."""
    allowed = {"X": (2,), "y": (1, 2), "sample_weight": (1,)}[name]
    if len(shape) not in allowed:
        raise ValueError(
            f"{name} must have {' or '.join(map(str, allowed))} dimensions, got shape "
            f"{tuple(shape)}{where}"
        )


def check_lengths(n_rows: int, **others: int | None) -> None:
    """Raise ValueError if y or the weights have another number of rows than X; None is absent."""
    for name, length in others.items():
        if length not in (None, n_rows):
            raise ValueError(f"X and {name} must have as many rows, got {n_rows} and {length}")
