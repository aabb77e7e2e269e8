"""The text of a formula, as it would be written with fastbp.graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count
from string import ascii_lowercase
from typing import Any, TypeAlias

import numpy as np

from fastbp.graph.steps import Step

Text: TypeAlias = tuple[str, int]  # and how tightly its outermost operator binds

NEGATIVE = 3
ATOM = 9  # names, numbers and calls

SHORT = 8  # most characters of a step that is written out wherever it is used
MOST_STEPS = 300  # of a text, which then has some thousand characters at most
FEW_STEPS = 40  # of a text among others: scikit-learn writes all activations in a list
MOST_NUMBERS = 16  # of a constant row

# ---- printing: rule(texts of the arguments, option, names of the inputs) -> Text


def _infix(sign: str, strength: int, associates: bool = True) -> Callable[..., Text]:
    """The rule of an operator between two arguments.

    If it associates, ``x - y - z`` is written for ``(x - y) - z``.
    """

    def rule(args: Sequence[Text], option: Any, inputs: Sequence[str]) -> Text:
        left = _bracketed(args[0], strength if associates else strength + 1)
        return f"{left} {sign} {_bracketed(args[1], strength + 1)}", strength

    return rule


def _negative(args: Sequence[Text], option: Any, inputs: Sequence[str]) -> Text:
    return f"-{_bracketed(args[0], NEGATIVE)}", NEGATIVE


def _item(args: Sequence[Text], option: Any, inputs: Sequence[str]) -> Text:
    return f"{_bracketed(args[0], ATOM)}[{option}]", ATOM


def _input(args: Sequence[Text], option: Any, inputs: Sequence[str]) -> Text:
    return inputs[option], ATOM


def _constant(args: Sequence[Text], option: Any, inputs: Sequence[str]) -> Text:
    if np.ndim(option):
        numbers = [f"{number:.6g}" for number in option[:MOST_NUMBERS]]
        if len(option) > MOST_NUMBERS:
            numbers.append(f"… ({len(option) - MOST_NUMBERS} more numbers)")
        return f"[{', '.join(numbers)}]", ATOM
    return f"{option:.6g}", ATOM if option >= 0 else NEGATIVE


def _count(args: Sequence[Text], option: Any, inputs: Sequence[str]) -> Text:
    return "n_outputs", ATOM


PRINTING: dict[str, Callable[..., Text]] = {  # all others are calls: exp(z)
    "input": _input,
    "constant": _constant,
    "count": _count,
    "item": _item,
    "less": _infix("<", 0, associates=False),
    "less_equal": _infix("<=", 0, associates=False),
    "equal": _infix("==", 0, associates=False),
    "add": _infix("+", 1),
    "subtract": _infix("-", 1),
    "multiply": _infix("*", 2),
    "divide": _infix("/", 2),
    "negative": _negative,
    "power": _infix("**", 4, associates=False),
}


def formula(steps: Sequence[Step], inputs: Sequence[str], most: int = MOST_STEPS) -> str:
    """The text of the last step.

    A step that is used more than once gets a name, unless it is short: ``a = tanh(z * z); a * a``.
    So the text grows with the steps, not with the paths through them. Of more than `most` steps it
    has the first ones, and the number of the others.
    """
    shown = steps[:most]
    is_cut = len(shown) < len(steps)
    uses = Counter(chain.from_iterable(numbers for _, numbers, _ in shown))
    names = _names(inputs)
    lines: list[str] = []
    texts: list[Text] = []
    for k, (name, numbers, option) in enumerate(shown):
        text = _written(name, [texts[i] for i in numbers], option, inputs)
        is_shared = uses[k] > 1 and len(text[0]) > SHORT
        is_used_later = is_cut and uses[k] == 0  # by a step that is not shown
        if (is_shared or is_used_later) and (numbers or np.ndim(option)):
            short = next(names)
            lines.append(f"{short} = {text[0]}")
            text = short, ATOM
        texts.append(text)
    last = f"… ({len(steps) - len(shown)} more steps)" if is_cut else texts[-1][0]
    return "; ".join([*lines, last])


def _written(name: str, args: Sequence[Text], option: Any, inputs: Sequence[str]) -> Text:
    if name in PRINTING:
        return PRINTING[name](args, option, inputs)
    return f"{name}({', '.join(text for text, _ in args)})", ATOM


def _bracketed(arg: Text, strength: int) -> str:
    text, its = arg
    return text if its >= strength else f"({text})"


def _names(inputs: Sequence[str]) -> Iterator[str]:
    """a, b, c, ..., then a1, b1, ...: names that are none of the inputs."""
    for turn in count():
        for letter in ascii_lowercase:
            name = f"{letter}{turn or ''}"
            if name not in inputs:
                yield name
