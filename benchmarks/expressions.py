"""Traced expressions, run by the core as tapes, beside their twins in NumPy.

    make bench-expressions                            # ARGS="--dtype float32 --rounds 5"

Ten expressions of 12 operations, drawn from a fixed seed, and gelu and log_cosh; each with its
derivative, on as many numbers as a batch of 200 has in a layer of 100 units. A twin executes the
steps of the tape as ufuncs that write into preallocated arrays, on blocks of several sizes, the
tape's among them, and on the whole array; the fastest counts. Both run in one thread and take
turns. The ratio is the median over the rounds of tape time over NumPy's.
"""

import argparse
import math
from functools import partial
from statistics import median
from time import perf_counter

import numpy as np
from scipy import special

from fastbp import graph as fg
from fastbp.graph.expression import ACTIVATION, Expression
from fastbp.graph.tape import compile_tape
from fastbp.kernels import core, level, variant
from fastbp.network import assemble

SIZE = 200 * 100
OPERATIONS = 12
BLOCKS = 512, 4096, SIZE  # the first is the tape's in float32
TURN = 0.02  # seconds
UNARY = (
    fg.negative,
    fg.abs,
    fg.relu,
    fg.sqrt,
    fg.exp,
    fg.expm1,
    fg.log,
    fg.log1p,
    fg.sin,
    fg.cos,
    fg.sinh,
    fg.cosh,
    fg.tanh,
    fg.sigmoid,
    fg.softplus,
    fg.erf,
)
BINARY = (
    fg.add,
    fg.subtract,
    fg.multiply,
    fg.divide,
    fg.power,
    fg.maximum,
    fg.minimum,
    lambda x, y: fg.where(x < y, x, y),
)
COMPARISONS = {"less", "less_equal", "equal"}
NAMED = {
    "gelu": lambda z: 0.5 * z * (1 + fg.erf(z / math.sqrt(2))),
    "log_cosh": lambda z: fg.log(fg.cosh(z)),
}


def drawn(seed):
    """An expression: a chain of operations, each on the last one's result and maybe another."""
    random = np.random.RandomState(seed)
    points = np.linspace(-3, 3, 1001)
    choices = []  # (function, another argument or None, whether it comes first)

    def function(z):
        terms = [z]
        for operation, other, first in choices:
            if other is None:
                terms.append(operation(terms[-1]))
                continue
            other = terms[other] if isinstance(other, int) else other
            terms.append(operation(other, terms[-1]) if first else operation(terms[-1], other))
        return terms[-1]

    length = 0
    while length < OPERATIONS:
        if random.rand() < 0.5:
            choices.append((UNARY[random.randint(len(UNARY))], None, False))
        else:
            number, term = 2 * random.rand(), random.randint(max(len(choices), 1))
            other = term if random.rand() < 0.7 else number
            choices.append((BINARY[random.randint(len(BINARY))], other, random.rand() < 0.5))
        size = np.abs(function(points)).max()
        traced = Expression.trace(function, ACTIVATION)
        longer = sum(name not in ("input", "constant") for name, _, _ in traced.steps)
        if size < 100 and length < longer <= OPERATIONS:  # NaN is refused as well
            length, expression = longer, traced
        else:
            choices.pop()
    return expression


def written(expression):
    """The steps as text."""
    text, results, names = [], [], iter("abcdefghijklmnopqrstuvwxy")
    for name, args, option in expression.steps:
        given = ", ".join(results[i] for i in args)
        if name in ("input", "constant"):
            results.append("z" if name == "input" else f"{option:.3g}")
        else:
            results.append(next(names))
            text.append(f"{results[-1]} = {name}({given})")
    return ", ".join(text)


# ---- the twin


def sigmoid(x, out):
    np.negative(x, out=out)
    np.exp(out, out=out)
    np.add(out, 1, out=out)
    np.reciprocal(out, out=out)


def softplus(x, out, scratch):
    np.abs(x, out=scratch)
    np.negative(scratch, out=scratch)
    np.exp(scratch, out=scratch)
    np.log1p(scratch, out=scratch)
    np.maximum(x, 0, out=out)
    np.add(out, scratch, out=out)


def where(condition, x, y, out):
    np.copyto(out, np.where(condition, x, y))


def where_in_place(condition, x, y, out):
    np.copyto(out, y)
    np.copyto(out, x, where=condition)


def ways(name, scratch):
    """The ways to write an operation in NumPy."""
    return {
        "relu": (lambda x, out: np.maximum(x, 0, out=out),),
        "where": (where, where_in_place),
        "erf": (special.erf,),
        "sigmoid": (special.expit, sigmoid),
        "softplus": (partial(np.logaddexp, 0), partial(softplus, scratch=scratch)),
    }.get(name) or (getattr(np, name),)


class Twin:
    """The steps of an expression and its derivative in NumPy, on blocks of a size."""

    def __init__(self, expression, x, block):
        self.x, self.block, self.registers = x, block, {}
        self.value, self.derivative = np.empty_like(x), np.empty_like(x)
        self.steps, self.results = expression.with_derivative()
        self.last = {arg: k for k, (_, args, _) in enumerate(self.steps) for arg in args}
        self.conditions = (
            {args[0] for name, args, _ in self.steps if name == "where"}
            - {arg for name, args, _ in self.steps for arg in args[name == "where" :]}
            - {*self.results}
        )
        self.lines = [line for i in range(0, len(x), block) for line in self.block_at(i)]

    def register(self, number, dtype, length):
        """Memory that all blocks share."""
        key = number, dtype
        return self.registers.setdefault(key, np.empty(self.block, dtype))[:length]

    def block_at(self, i):
        """The calls for one block."""
        part, dtype = slice(i, i + self.block), self.x.dtype
        x, lines, places, free = self.x[part], [], [], []
        scratch, condition = (self.register(-1, d, len(x)) for d in (dtype, bool))
        ends = dict(zip(self.results, (self.value[part], self.derivative[part]), strict=True))
        for k, (name, args, option) in enumerate(self.steps):
            given = [places[arg][0] for arg in args]
            if name in ("input", "constant"):
                places.append((x if name == "input" else dtype.type(option), None))
                if k in ends:
                    lines.append(partial(np.copyto, ends[k], places[k][0]))
                continue
            number = None if k in ends else free.pop() if free else len(places)
            out = (
                ends[k]
                if k in ends
                else self.register(
                    number, bool if k in self.conditions and name in COMPARISONS else dtype, len(x)
                )
            )
            if name == "where" and given[0].dtype != bool:
                lines.append(partial(np.not_equal, given[0], 0, out=condition))
                given[0] = condition
            lines.append(fastest(name, given, out, scratch))
            places.append((out, number))
            free += [
                places[arg][1]
                for arg in {*args}
                if self.last[arg] == k and places[arg][1] is not None
            ]
        return lines

    def __call__(self):
        for line in self.lines:
            line()


known = {}


def fastest(name, given, out, scratch):
    """The call that is fastest on arrays of this size."""
    calls = [partial(way, *given, out=out) for way in ways(name, scratch)]
    key = name, out.dtype, len(out)
    calls[0]()  # later calls are measured on its result
    if key not in known:
        times = [
            min(timed(call, 0.002) for _ in range(5)) if len(calls) > 1 else 0 for call in calls
        ]
        known[key] = times.index(min(times))
    return calls[known[key]]


class Tape:
    def __init__(self, expression, x):
        tape = compile_tape(expression, 1, core.TAPE_OPERATIONS)
        self.length = len(tape.code)
        self.value, self.derivative = np.empty_like(x), np.empty((len(x), 1), x.dtype)
        registers = np.empty(tape.registers * 1024, x.dtype)
        door = variant(core.kernel_run_tape, x.dtype)
        self.run = partial(
            door, assemble(None, [tape]), 0, x[None], self.value, self.derivative, registers
        )

    def __call__(self):
        self.run()


# ---- the race


def timed(work, seconds=TURN):
    """Seconds of one call, the mean over a turn."""
    calls, start = 0, perf_counter()
    while True:
        work()
        calls += 1
        taken = perf_counter() - start
        if taken >= seconds:
            return taken / calls


def race(expression, dtype, rounds):
    """Instructions of the tape, seconds of tape and of the fastest twin, median ratio."""
    x = np.random.RandomState(0).uniform(-3, 3, SIZE).astype(dtype)
    tape = Tape(expression, x)
    twins = [Twin(expression, x, block) for block in BLOCKS]
    tape()
    for twin in twins:
        twin()
        for ours, theirs in zip(
            (tape.value, tape.derivative[:, 0]), (twin.value, twin.derivative), strict=True
        ):
            agree = np.isclose(ours, theirs, rtol=1e-3, atol=1e-3)
            assert agree.mean() > 0.99, "tape and twin disagree"
    times = [(timed(tape), *map(timed, twins)) for _ in range(rounds)]
    ours, *theirs = map(median, zip(*times, strict=True))
    best = theirs.index(min(theirs))
    ratio = median(turn[0] / turn[1 + best] for turn in times)
    return tape.length, ours, theirs[best], BLOCKS[best], ratio


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=("float32", "float64"), help="only this one")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each (default 9)")
    parser.add_argument("--seed", type=int, default=0, help="of the first expression (default 0)")
    options = parser.parse_args()
    np.seterr(all="ignore")  # of derivatives at sides not taken
    expressions = {f"{k}": drawn(options.seed + k) for k in range(10)}
    expressions |= {k: Expression.trace(f, ACTIVATION) for k, f in NAMED.items()}
    for name, expression in expressions.items():
        print(f"{name}: {written(expression)}")
    print(
        f"\n{SIZE} numbers, {level}\n{'':<20}{'steps':>6}{'tape, us':>10}{'NumPy, us':>11}"
        f"{'blocks':>8}{'ratio':>7}"
    )
    for dtype in [options.dtype] if options.dtype else ["float32", "float64"]:
        ratios = {}
        known.clear()
        for name, expression in expressions.items():
            steps, ours, theirs, block, ratios[name] = race(expression, dtype, options.rounds)
            print(
                f"{name:<11}{dtype:<9}{steps:>6}{ours * 1e6:>10.1f}{theirs * 1e6:>11.1f}"
                f"{block:>8}{ratios[name]:>7.2f}",
                flush=True,
            )
        drawn_ones = [ratio for name, ratio in ratios.items() if name not in NAMED]
        print(
            f"{dtype}: worst {max(ratios.values()):.2f}, median of the drawn "
            f"{median(drawn_ones):.2f}\n"
        )


if __name__ == "__main__":
    main()
