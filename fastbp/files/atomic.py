"""Files that are written whole or not at all."""

import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def replace_file(path: str | os.PathLike[str], parts: Sequence[Any]) -> None:
    """Write a file so that at any time, even of a crash, the old or the new one is there whole.

    A link stays a link to the new file. The new file has the permissions of the old one. What is no
    regular file, such as a pipe, is written as it is.

    Parameters
    ----------
    path : str or PathLike
    parts : sequence of bytes-like
        The content.
    """
    target = Path(os.path.realpath(os.fspath(path)))
    old = _status(target)
    if old is not None and not (stat.S_ISREG(old.st_mode) or stat.S_ISDIR(old.st_mode)):
        with open(target, "wb") as file:
            file.writelines(parts)
        return
    beside = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with open(beside, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        if old is not None and os.name == "posix":
            os.chmod(beside, stat.S_IMODE(old.st_mode))
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # or the new name may be lost
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
