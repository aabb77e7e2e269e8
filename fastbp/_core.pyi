"""The border in types: every door of the compiled core."""

from typing import Any

from numpy import float64, int32, int64, intp
from numpy.typing import NDArray

from fastbp.kernels.border import (
    CSR,
    Codes,
    Dropout,
    Floating,
    LoweredObjective,
    Plan,
    Program,
    Rank,
    Rows,
    Sums,
    Task,
)

DEBUG: bool
HAS_CODES: bool
TEAM_WORDS: int
TEAM_STOP: int
BEGUN: int
DONE: int
FIRST_STEP: int
BEST_LOSS: int
STALLS: int
FINITE: int
N_COUNTERS: int
N_TOTALS: int
BLAS_ROWS: int
BLAS_INT_MAX: int
ACTIVATIONS: dict[str, int]
TAPE_OPERATIONS: dict[str, int]
TAPES: int
LOSSES: dict[str, int]
LINKS: dict[str, int]
OPTIMIZERS: dict[str, int]
COMMON_CONSTANTS: tuple[str, ...]
RULE_CONSTANTS: dict[str, tuple[str, ...]]
ALL_CONSTANTS: tuple[str, ...]
STATE_ROWS: dict[str, int]
BACKENDS: tuple[str, ...]
USES: dict[str, int]
PLAN: Any
ABSENT: object

def use_backend(name: str) -> None: ...
def scratch_size(
    program: Plan,
    batch: int,
    ranks: int,
    use: str,
    dropout: Dropout | None = None,
    codes: Codes | None = None,
) -> int: ...
def train_epochs(
    program: Plan,
    params: Floating,
    state: Floating,
    scratch: Floating,
    tally: NDArray[float64],
    task: Task,
    rank: Rank,
) -> None: ...
def loss_gradient(
    program: Plan,
    params: Floating,
    sums: Sums,
    scratch: Floating,
    tally: NDArray[float64],
    task: Task,
    rank: Rank,
) -> None: ...
def most_sums(first: int, end: int) -> int: ...
def n_sums(first: int, end: int) -> int: ...
def chunk_sums(
    program: Plan,
    params: Floating,
    sums: Sums,
    scratch: Floating,
    task: Task,
    rank: Rank,
) -> None: ...
def join_sums(
    grads: Floating, totals: NDArray[float64], chunks: NDArray[int64], sums: Sums
) -> None: ...
def finish_sums(
    program: Plan,
    params: Floating,
    sums: Sums,
    scratch: Floating,
    tally: NDArray[float64],
    objective: LoweredObjective,
) -> None: ...
def predict(
    program: Plan,
    params: Floating,
    scratch: Floating,
    x: Rows,
    out: Floating,
    link: int,
    widths: NDArray[float64] | None = None,
) -> bool: ...
def predict_arrays(
    program: Plan,
    coefs: tuple[Floating, ...],
    intercepts: tuple[Floating, ...],
    scratch: Floating,
    x: Rows,
    out: Floating,
    link: int,
    widths: NDArray[float64] | None = None,
) -> bool: ...
def is_made_of(
    attributes: dict[str, Any],
    names: tuple[str, ...],
    values: tuple[Any, ...],
    lists: tuple[str, ...],
    entries: tuple[tuple[Any, ...], ...],
) -> bool: ...

class Row:
    def __init__(
        self,
        program: Plan,
        params: Floating,
        link: int,
        widths: NDArray[float64] | None,
        empty: Any,
        made_of: tuple[Any, ...],
    ) -> None: ...
    def predict(
        self, x: Any, attributes: dict[str, Any], changes: list[int]
    ) -> Floating | None: ...

def validate(
    program: Plan,
    params: Floating,
    scratch: Floating,
    samples: Any,
    objective: LoweredObjective,
    out: Floating,
    losses_b: Floating,
) -> bool: ...
def look(
    program: Plan,
    params: Floating,
    scratch: Floating,
    x: Rows,
    a: Floating | None,
    s: Floating | None,
) -> None: ...
def deltas(
    program: Plan, params: Floating, scratch: Floating, task: Task, deltas: Floating
) -> None: ...
def pull_back(
    program: Plan, params: Floating, scratch: Floating, x: Rows, deltas: Floating, dx: Floating
) -> None: ...
def is_finite(x: Floating) -> bool: ...
def stop_team(words: NDArray[int32]) -> None: ...
def abort_team(words: NDArray[int32]) -> None: ...

# ---- doors of single kernels, for the tests (kernel_doors.pxi)

def matmul_scratch(form: str, m: int, n: int, k: int, zeros: bool = False) -> int: ...
def code_numbers(
    x: NDArray[float64],
    columns: NDArray[float64],
    counts: NDArray[intp],
    bins: NDArray[float64],
    marked: NDArray[intp],
    out: Floating,
) -> None: ...
def kernel_matmul(
    a: Floating,
    b: Floating,
    c: Floating,
    form: str,
    scratch: Floating,
    bias: Floating | None = None,
    add: bool = False,
    zeros: bool = False,
) -> None: ...
def packed_size(m: int, n: int, k: int) -> int: ...
def kernel_pack(b: Floating, packed: Floating, top: int, rows: int) -> None: ...
def kernel_packed(
    a: Floating,
    b: Floating,
    packed: Floating,
    c: Floating,
    scratch: Floating,
    add: bool,
    zeros: bool = False,
) -> None: ...
def kernel_zeros(program: Plan, params: Floating, x: Rows) -> tuple[bool, bool]: ...
def kernel_affine(
    a: Floating, w: Floating, b: Floating, z: Floating, scratch: Floating
) -> None: ...
def kernel_affine_gradient(
    a: Floating,
    w: Floating,
    delta: Floating,
    da: Floating,
    dw: Floating,
    db: Floating,
    scratch: Floating,
) -> None: ...
def kernel_affine_csr(
    x: CSR, order: NDArray[intp], w: Floating, b: Floating, z: Floating
) -> None: ...
def kernel_affine_csr_gradient(
    x: CSR,
    order: NDArray[intp],
    delta: Floating,
    dw: Floating,
    top: int,
    end: int,
) -> None: ...
def kernel_activate(activation: int, z: Floating, s: Floating) -> None: ...
def kernel_activate_gradient(
    activation: int, delta: Floating, a: Floating, s: Floating
) -> None: ...
def kernel_elementary(name: str, x: Floating) -> None: ...
def kernel_run_tape(
    program: Program,
    which: int,
    inputs: Floating,
    value: Floating,
    derivative: Floating,
    registers: Floating,
) -> None: ...
def kernel_step(
    w: Floating,
    dw: Floating,
    state: Floating,
    rule: dict[str, Any],
    rate: float,
    alpha: float,
    scale: float,
) -> None: ...
def kernel_rate(rule: dict[str, Any], rate: float, step: int) -> float: ...
def kernel_losses(
    program: Plan,
    z: Floating,
    y: Floating,
    objective: LoweredObjective,
    delta: Floating,
    losses_b: Floating,
    scratch: Floating,
) -> None: ...
def kernel_link(link: int, z: Floating, widths: NDArray[float64] | None = None) -> None: ...
def kernel_dropout(a: Floating, s: Floating, dropout: Dropout, layer: int) -> None: ...
def kernel_shuffle(order: NDArray[intp], generator: Any) -> None: ...
def kernel_draw(most: int, generator: Any) -> int: ...
def kernel_stalls(losses: NDArray[float64], tol: float, counters: NDArray[float64]) -> None: ...
