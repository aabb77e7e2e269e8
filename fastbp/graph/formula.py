"""The text of a formula, as it would be written with fastbp.graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from fastbp.graph.steps import Step

Text: TypeAlias = tuple[str, int]  # and how tightly its outermost operator binds

NEGATIVE = 3
ATOM = 9  # names, numbers and calls

# ---- printing: rule(texts of the arguments, option, names of the inputs) -> Text


def _infix(sign: str, strength: int) -> Callable[..., Text]:
    """The rule of an operator between two arguments, which associates to the left."""

    def rule(args: Sequence[Text], option: Any, inputs: Sequence[str]) -> Text:
        left, right = _bracketed(args[0], strength), _bracketed(args[1], strength + 1)
        return f"{left} {sign} {right}", strength

    return rule


def _negative(args: Sequence[Text], option: Any, inputs: Sequence[str]) -> Text:
    return f"-{_bracketed(args[0], NEGATIVE)}", NEGATIVE


def _item(args: Sequence[Text], option: Any, inputs: Sequence[str]) -> Text:
    return f"{_bracketed(args[0], ATOM)}[{option}]", ATOM


def _input(args: Sequence[Text], option: Any, inputs: Sequence[str]) -> Text:
    return inputs[option], ATOM


def _constant(args: Sequence[Text], option: Any, inputs: Sequence[str]) -> Text:
    if np.ndim(option):
        return f"[{', '.join(f'{number:.6g}' for number in option)}]", ATOM
    return f"{option:.6g}", ATOM if option >= 0 else NEGATIVE


def _count(args: Sequence[Text], option: Any, inputs: Sequence[str]) -> Text:
    return "n_outputs", ATOM


PRINTING: dict[str, Callable[..., Text]] = {  # all others are calls: exp(z)
    "input": _input,
    "constant": _constant,
    "count": _count,
    "item": _item,
    "less": _infix("<", 0),
    "less_equal": _infix("<=", 0),
    "equal": _infix("==", 0),
    "add": _infix("+", 1),
    "subtract": _infix("-", 1),
    "multiply": _infix("*", 2),
    "divide": _infix("/", 2),
    "negative": _negative,
    "power": _infix("**", 4),
}


def formula(steps: Iterable[Step], inputs: Sequence[str]) -> str:
    """The text of the last step."""
    texts: list[Text] = []
    for name, numbers, option in steps:
        args = [texts[i] for i in numbers]
        if name in PRINTING:
            texts.append(PRINTING[name](args, option, inputs))
        else:
            texts.append((f"{name}({', '.join(text for text, _ in args)})", ATOM))
    return texts[-1][0]


def _bracketed(arg: Text, strength: int) -> str:
    text, its = arg
    return text if its >= strength else f"({text})"
