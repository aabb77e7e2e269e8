"""The values that cross the border of the compiled core: plain tuples with names; its dtypes."""

from math import inf
from typing import Any, NamedTuple, TypeAlias

from numpy import dtype, float64, int32, int64, intp, uint32, uint64
from numpy.typing import NDArray

Floating: TypeAlias = NDArray[Any]  # of float32 or of float64: one dtype for all of a call


def is_core_float(given: dtype[Any]) -> bool:
    """Whether it is this machine's float32 or float64.

    By its character: on Windows NumPy takes long doubles for equal to float64, and the core does
    not.
    """
    return given.char in "fd" and given.isnative


class CSR(NamedTuple):
    """Rows of a sparse matrix. Their indices may be unsorted and may repeat."""

    data: Floating
    indices: NDArray[int32]
    indptr: NDArray[int64]
    n_features: int

    @property
    def n_rows(self) -> int:
        """The number of rows; `len` is that of the tuple."""
        return len(self.indptr) - 1

    def slice(self, first: int, stop: int) -> "CSR":
        """The rows first..stop, as row pointers into the same entries."""
        return self._replace(indptr=self.indptr[first : stop + 1])


Rows: TypeAlias = Floating | CSR


class Codes(NamedTuple):
    """Columns of dense rows, once more, which are piecewise-linear codes.

    A code is `one` in its columns before a bin, a share of it in the bin, and 0 behind.
    """

    bins: NDArray[int32]  # (n_rows, n_codes): counted from the first column of the code
    shares: Floating  # the same shape
    first: NDArray[intp]  # where the columns of each code begin, one behind the other; their end
    one: float


class Program(NamedTuple):
    """A plan with the tapes of its own functions. Without tapes the bare plan takes its place."""

    plan: NDArray[Any]  # one row per layer, of network.PLAN
    tapes: NDArray[int64]  # one row per tape
    code: NDArray[int32]  # one row per instruction, of all tapes
    constants: NDArray[float64]


Plan: TypeAlias = NDArray[Any] | Program


class Rank(NamedTuple):
    """One rank of a team."""

    words: NDArray[int32]  # the memory that the ranks share: barrier, start, stop and abort
    rank: int
    size: int


class LoweredObjective(NamedTuple):
    """An objective as the core computes it."""

    loss: int  # a code of core.LOSSES, or of a tape
    link: int  # a code of core.LINKS
    # Of quantile one for each output, of the grouped log loss the outputs of each target; of others
    # one.
    parameters: NDArray[float64] | None = None
    alpha: float = 0.0  # L2
    scale: float = 1.0  # reported loss = scale * mean row loss + penalty
    exact: bool = False  # whether the row loss is that of probabilities that are not clipped
    smoothing: float = 0.0  # of the targets of log losses, in [0, 1)


class Origin(NamedTuple):
    """Parameters and optimizer state after so many steps, which the next step reads.

    It writes the new ones elsewhere, so that no copy is made before.
    """

    params: Floating
    state: Floating
    steps: float  # as the tally counts them


class Dropout(NamedTuple):
    """Which units are dropped in an epoch: a function of these numbers."""

    # Of the input and of each hidden layer: the rate in steps of 2^-16, at most 65535.
    thresholds: NDArray[uint32]
    seed: int
    seen: NDArray[uint64]  # one number: the samples before those of the task


class Epochs(NamedTuple):
    """Epochs of one call, which end early if the loss stalls or is not finite."""

    losses: NDArray[float64]  # of each epoch; their number is that of epochs at most
    counters: NDArray[float64]  # written, by the core's BEGUN, DONE, ...
    generator: Any = None  # capsule of the bit generator that shuffles the order; None: it stays
    tol: float = 0.0  # smallest improvement of the loss that counts
    patience: float = inf  # epochs in a row without one that are tolerated


class Sums(NamedTuple):
    """Sums over a run of chunks of samples: the largest nodes of the tree that are within it.

    A row for each node, from left to right; rows behind them are room for more.
    """

    grads: Floating  # of the objective's gradient, without penalty and not divided
    totals: NDArray[float64]  # of losses, weights and rows
    chunks: NDArray[int64]  # the first one, and the one behind the last: written


class Task(NamedTuple):
    """The work of the ranks of a team."""

    samples: Any  # with the attributes x (array or CSR), y, weight and codes (or None)
    objective: LoweredObjective
    rule: dict[str, Any] | None = None  # the fields of the core's Rule
    order: NDArray[intp] | None = None  # None: the rows in their own order
    batch: int = 1
    # A row per performed step, per epoch, or one row for all: the scheduled rate, of which the
    # core makes the one that the optimizer multiplies by.
    rates: NDArray[float64] | None = None
    origin: Origin | None = None  # None: the first step reads what it changes
    goes_on: bool = False  # whether the tally goes on from that of the samples before
    dropout: Dropout | None = None
    epochs: Epochs | None = None  # None: one epoch
