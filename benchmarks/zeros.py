"""The products of a first layer with the zeros of X left out, over the full loops.

    make bench-zeros                                  # ARGS="--dtype float64 --rounds 9"

A tile of the core's products takes several rows of X at once, or several columns. It may go through
a list of the places where one of them is not zero. How long that takes depends on the share of the
places that are left. The numbers here are CPU time with lists over CPU time without: below 1, the
lists pay. Where the straight line through a row of the table crosses 1 is the break-even share.
The limits of fastbp/kernels/zeros.pxd come from these shares.

Zeros are random: where each number is zero with probability p, a tile of R rows has 1 - p^R of the
places left. R is 4, or 8 with AVX-512. Several batches take turns, so that the processor cannot
learn where the zeros of one are. The gradient is one whole product here. Training makes it slice
by slice.
"""

import argparse
from collections.abc import Sequence
from statistics import median
from time import process_time

import numpy as np

from fastbp.kernels import backend, core, level

COLUMNS = 784  # of X
WIDTHS = 10, 20, 32, 64, 100, 1024  # of the layer
BATCHES = 10, 200
SHARES = tuple(round(0.1 * i, 1) for i in range(1, 10))
FORMS = {"nn": "forward", "tn": "gradient"}
TURN = 0.002  # seconds of work, at least, between two looks at the clock
DIFFERENT = 8  # batches that take turns
TILE_ROWS = 8 if level == "v4" else 4


def rows(rng: np.random.RandomState, batch: int, share: float, dtype: str) -> np.ndarray:
    """Rows of which a tile has this share of its places left."""
    X = rng.rand(batch, COLUMNS) + 0.1
    X[rng.rand(*X.shape) < (1 - share) ** (1 / TILE_ROWS)] = 0
    return X.astype(dtype)


class Product:
    """One of the two products of a layer, for several batches of the same kind."""

    def __init__(self, form: str, batch: int, width: int, share: float, dtype: str) -> None:
        rng = np.random.RandomState(0)
        self.form, self.batches = form, [rows(rng, batch, share, dtype) for _ in range(DIFFERENT)]
        m, k = (batch, COLUMNS) if form == "nn" else (COLUMNS, batch)
        self.b, self.c = (rng.randn(n, width).astype(dtype) for n in (k, m))
        self.bias = np.zeros(width, dtype) if form == "nn" else None
        size = max(core.matmul_scratch(form, m, width, k, zeros) for zeros in (False, True))
        self.scratch = np.empty(size, dtype)

    def seconds(self, zeros: bool, repeats: int) -> float:
        """CPU time of all batches, `repeats` times."""
        start = process_time()
        for _ in range(repeats):
            for X in self.batches:
                core.kernel_matmul(
                    X, self.b, self.c, self.form, self.scratch, self.bias, False, zeros
                )
        return process_time() - start

    def ratio(self, rounds: int) -> float:
        """Time with zeros left out over time of the full loop: median of turns in both orders."""
        self.seconds(True, 1)
        repeats = 1 + int(TURN / self.seconds(False, 1))
        ratios = []
        for i in range(rounds):
            order = (True, False) if i % 2 else (False, True)
            took = {zeros: self.seconds(zeros, repeats) for zeros in order}
            ratios.append(took[True] / took[False])
        return median(ratios)


def break_even(shares: Sequence[float], ratios: Sequence[float]) -> float:
    """The share at which the straight line through the ratios crosses 1, between 0 and 1."""
    slope, start = np.polyfit(shares, ratios, 1)
    return float(np.clip((1 - start) / slope, 0, 1)) if slope > 0 else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--rounds", type=int, default=5, help="turns of both ways (default 5)")
    options = parser.parse_args()
    if backend != "native" or level == "baseline":
        raise SystemExit("at this level, and on BLAS, the full loops run always")
    print(f"level {level}, tiles of {TILE_ROWS} rows, {options.dtype}; share of places left:")
    print(f"{'':<26}{''.join(f'{share:>7}' for share in SHARES)}{'break-even':>12}", flush=True)
    lowest = dict.fromkeys(WIDTHS, 1.0)
    for form, name in FORMS.items():
        for batch in BATCHES:
            for width in WIDTHS:
                ratios = [
                    Product(form, batch, width, share, options.dtype).ratio(options.rounds)
                    for share in SHARES
                ]
                even = break_even(SHARES, ratios)
                lowest[width] = min(lowest[width], even)
                cells = "".join(f"{ratio:>7.2f}" for ratio in ratios)
                what = f"{name:<9}batch {batch:<4}to {width}"
                print(f"{what:<26}{cells}{even:>12.2f}", flush=True)
    by_width = ", ".join(f"{width}: {even:.2f}" for width, even in lowest.items())
    print(f"lowest break-even share by width of the layer: {by_width}")


if __name__ == "__main__":
    main()
