"""Pieces of C text: numbers, tables, strings and comments."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH = 100
FIRST_LONG, LAST_LONG = -(2**63), 2**63 - 1


def number(value: float, dtype: np.dtype[Any]) -> str:
    """A constant of a formula, in the dtype of the numbers."""
    with np.errstate(over="ignore"):
        rounded = dtype.type(value)
    if np.isnan(rounded):
        return "NAME_number(NAN_BITS)"
    if np.isinf(rounded):
        return f"{'-' if rounded < 0 else ''}NAME_number(INFINITY_BITS)"
    text = literals(np.array([rounded]))[0]
    return f"({text})" if text.startswith("-") else text  # x - -1.0, not x --1.0


def literals(array: NDArray[Any]) -> list[str]:
    """The numbers of an array, each with the fewest decimals that give it back."""
    if array.dtype == np.float64:
        return list(map(repr, array.ravel().tolist()))
    if array.dtype == np.float32:
        return [f"{text}f" for text in array.ravel().astype(np.str_).tolist()]
    return list(map(str, array.ravel().tolist()))


def table(declaration: str, items: Sequence[str]) -> str:
    """The definition of an array: ``declaration[n] = {...};``."""
    lines = "\n".join(_filled(items))
    return f"{declaration}[{len(items)}] = {{\n{lines}\n}};"


def _filled(items: Sequence[str]) -> Iterable[str]:
    """Lines of many items, separated by commas."""
    line: list[str] = []
    length = 3
    for item in items:
        if line and length + len(item) + 2 > WIDTH:
            yield f"    {', '.join(line)},"
            line, length = [], 3
        line.append(item)
        length += len(item) + 2
    yield f"    {', '.join(line)}"


def comment(text: str) -> str:
    """A text without what would end a comment or begin another."""
    plain = text.encode("ascii", "backslashreplace").decode()
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in plain)
    plain = plain.replace("*/", "* /").replace("/*", "/ *")
    return re.sub(r"\?(?=\?)", "? ", plain)  # no trigraphs, not of three either


def string(text: str) -> str:
    """A string literal: UTF-8, with everything that is not plain ASCII by its octal code."""
    parts = []
    for code in text.encode("utf-8", "surrogatepass"):
        character = chr(code)
        if character in '"\\?':  # ??/ and its like would be trigraphs
            parts.append(f"\\{character}")
        else:
            parts.append(character if 32 <= code < 127 else f"\\{code:03o}")
    return f'"{"".join(parts)}"'


def labels(classes: NDArray[Any]) -> tuple[str, list[str]]:
    """The C type of the labels of a target, and the labels.

    TypeError if they are neither strings nor numbers of one kind.
    """
    values = classes.tolist()
    if all(type(value) is str and "\0" not in value for value in values):
        return "const char *const ", [string(value) for value in values]
    if all(type(value) is bool for value in values):
        return "const int ", [str(int(value)) for value in values]
    if all(type(value) is int for value in values):
        if all(-(2**31) < value < 2**31 for value in values):
            return "const int32_t ", list(map(str, values))
        if all(FIRST_LONG < value <= LAST_LONG for value in values):
            return "const int64_t ", [f"INT64_C({value})" for value in values]
    if all(type(value) is float for value in values) and np.isfinite(values).all():
        return "const double ", list(map(repr, values))
    raise TypeError(
        "the classes must be strings without NUL, bools, integers of 64 bits or finite floats, all "
        f"of one kind, to be written in C, got {json.dumps(values[:5], default=repr)} of dtype "
        f"{classes.dtype}"
    )
