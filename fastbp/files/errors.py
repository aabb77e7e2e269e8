"""The one error of model files."""

from collections.abc import Iterator
from contextlib import contextmanager

# What code that trusts its input raises where it gets another. No others: MemoryError is one.
OF_BAD_VALUES = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


class ModelFileError(ValueError):
    """A file that is no model file, is damaged, or is newer than this version of fastbp.

    The message names the file and what is wrong.
    """


ModelFileError.__module__ = "fastbp"


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """Turn errors of bad values into a ModelFileError that names the file."""
    try:
        yield
    except OF_BAD_VALUES as error:
        text = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        start = f"{name}: "
        raise ModelFileError(text if text.startswith(start) else start + text) from None
