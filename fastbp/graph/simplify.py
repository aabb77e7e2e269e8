"""Rules of simplification, by operation.

A rule takes a Writer and the steps of the arguments. It returns the step of a simpler form of the
operation, or None where it does not apply. The first rule of an operation that applies wins. An
operation without rules is written as it is.

Every expression is written with SIMPLER. Tapes are also written with FASTER, whose rules round
differently. To add a rule, write a function and enter it in one of the two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from fastbp.graph.operations import ROW
from fastbp.graph.steps import Writer

Rule: TypeAlias = Callable[..., int | None]

COMPARISONS = {"less", "less_equal", "equal"}  # their values are 1 and 0
LARGEST_POWER = 16  # integer powers up to here are products


def either_order(*rules: Rule) -> Rule:
    """The rule that tries `rules` on the arguments (x, y), then on (y, x)."""

    def rule(w: Writer, x: int, y: int) -> int | None:
        for first, second in ((x, y), (y, x)):
            for each in rules:
                number = each(w, first, second)
                if number is not None:
                    return number
        return None

    return rule


# ---- for every expression


def zero_plus(w: Writer, x: int, y: int) -> int | None:
    """0 + y is y."""
    return y if w.constant_value(x) == 0 else None


def one_times(w: Writer, x: int, y: int) -> int | None:
    """1 * y is y."""
    return y if w.constant_value(x) == 1 else None


def zero_times(w: Writer, x: int, y: int) -> int | None:
    """0 * y is 0, whatever y is: also where y is NaN or infinite, and 0 * y would be NaN."""
    return x if w.constant_value(x) == 0 else None


def minus_one_times(w: Writer, x: int, y: int) -> int | None:
    """-1 * y is -y."""
    return w.operate("negative", [y]) if w.constant_value(x) == -1 else None


def minus_zero(w: Writer, x: int, y: int) -> int | None:
    """x - 0 is x."""
    return x if w.constant_value(y) == 0 else None


def zero_minus(w: Writer, x: int, y: int) -> int | None:
    """0 - y is -y."""
    return w.operate("negative", [y]) if w.constant_value(x) == 0 else None


def over_one(w: Writer, x: int, y: int) -> int | None:
    """x / 1 is x."""
    return x if w.constant_value(y) == 1 else None


def double_negative(w: Writer, x: int) -> int | None:
    """-(-x) is x."""
    name, args, _ = w.steps[x]
    return args[0] if name == "negative" else None


def constant_condition(w: Writer, condition: int, x: int, y: int) -> int | None:
    """where(condition, x, y) of a constant condition is x or y."""
    value = w.constant_value(condition)
    return None if value is None else x if value else y


def square_root(w: Writer, x: int, y: int) -> int | None:
    """x ** 0.5 is sqrt(x)."""
    return w.operate("sqrt", [x]) if w.constant_value(y) == 0.5 else None


def integer_power(w: Writer, x: int, y: int) -> int | None:
    """x ** n is a product of squares, for small integers n; of negative n its reciprocal."""
    exponent = w.constant_value(y)
    if exponent is None or not abs(exponent) <= LARGEST_POWER or exponent != int(exponent):
        return None
    result, square, left = w.constant(1.0), x, abs(int(exponent))
    while left:
        if left % 2:
            result = w.operate("multiply", [result, square])
        left //= 2
        if left:
            square = w.operate("multiply", [square, square])
    return w.operate("divide", [w.constant(1.0), result]) if exponent < 0 else result


def spread_of_a_row(w: Writer, x: int) -> int | None:
    """A row need not be spread."""
    return x if w.shapes[x] == ROW else None


SIMPLER: dict[str, list[Rule]] = {
    "add": [either_order(zero_plus)],
    "multiply": [either_order(one_times, zero_times, minus_one_times)],
    "subtract": [minus_zero, zero_minus],
    "divide": [over_one],
    "negative": [double_negative],
    "where": [constant_condition],
    "power": [square_root, integer_power],
    "spread": [spread_of_a_row],
}

# ---- for tapes: fewer or cheaper steps, with other rounding


def is_safe(number: float | None) -> bool:
    """Whether this is a number that neither overflows nor loses digits in float32."""
    return number is not None and 1e-30 < abs(number) < 1e30


def reciprocal(w: Writer, x: int, y: int) -> int | None:
    """x / c is (1 / c) x."""
    divisor = w.constant_value(y)
    if divisor is None or not is_safe(divisor) or not is_safe(1 / divisor):
        return None
    return w.operate("multiply", [x, w.constant(1 / divisor)])


def twice(w: Writer, x: int, y: int) -> int | None:
    """x + x is 2 x."""
    return w.operate("multiply", [w.constant(2.0), x]) if x == y else None


def comparison_itself(w: Writer, condition: int, x: int, y: int) -> int | None:
    """where(c, 1, 0) of a comparison c is c."""
    is_comparison = w.steps[condition][0] in COMPARISONS
    sides = w.constant_value(x), w.constant_value(y)
    return condition if is_comparison and sides == (1, 0) else None


def product_of_factors(w: Writer, x: int, y: int) -> int | None:
    """b * (c * z) is (b c) z, for constants b and c."""
    outer, (name, args, _) = w.constant_value(x), w.steps[y]
    if outer is None or name != "multiply":
        return None
    for factor, rest in (args, args[::-1]):
        inner = w.constant_value(factor)
        if inner is not None and is_safe(inner * outer):
            return w.operate("multiply", [w.constant(inner * outer), rest])
    return None


FASTER: dict[str, list[Rule]] = {
    "add": [twice],
    "multiply": [either_order(product_of_factors)],
    "divide": [reciprocal],
    "where": [comparison_itself],
}
