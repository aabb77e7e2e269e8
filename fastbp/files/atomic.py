"""Files that are written whole or not at all."""

import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

IS_WINDOWS = os.name == "nt"
PATIENCE = 1.0  # seconds that a save waits for others who read the old file, on Windows alone


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether there is something other than a file or a folder, such as a pipe."""
    old = _status(Path(os.fsdecode(path)))
    return old is not None and not (stat.S_ISREG(old.st_mode) or stat.S_ISDIR(old.st_mode))


def replace_file(path: str | os.PathLike[str], write: Callable[[str], None]) -> None:
    """Write a file so that at any time, even of a crash, the old or the new one is there whole.

    A link stays a link to the new file. The new file has the permissions of the old one. Windows
    replaces no file that is open or mapped: there it is an error if that lasts.

    Parameters
    ----------
    path : str or PathLike
    write : callable
        Writes the file at the path that it is given, where an empty one is.
    """
    target = Path(os.path.realpath(os.fsdecode(path)))
    old = _status(target)
    if old is not None and stat.S_ISDIR(old.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fsdecode(path))
    # A new name, so that no other file is written, nor one that a link of this name leads to.
    beside = target.with_name(f".{os.urandom(8).hex()}.tmp")
    try:
        with open(beside, "xb") as file:
            mode = os.fstat(file.fileno()).st_mode
    except OSError as error:
        error.filename = os.fsdecode(path)  # the one that the user knows
        raise
    try:
        write(str(beside))
        with open(beside, "rb+") as file:
            os.fsync(file.fileno())
        if os.name == "posix":
            os.chmod(beside, stat.S_IMODE(mode if old is None else old.st_mode))
        _replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # or the new name may be lost
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _replace(new: Path, old: Path) -> None:
    """Give the new file the name of the old one."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            os.replace(new, old)
            return
        except PermissionError as error:
            if not IS_WINDOWS or time.monotonic() > end:
                error.filename, error.filename2 = os.fspath(old), None  # not the one beside it
                raise
            time.sleep(0.01)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
