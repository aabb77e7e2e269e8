"""The border in types: every door of the compiled core."""

from typing import Any, TypeAlias

from numpy import float64, int32, intp
from numpy.typing import NDArray

# An array of float32 or of float64; all those of one call have the same dtype.
Floating: TypeAlias = NDArray[Any]
# One row per layer, of network.PLAN; with tapes (plan, tapes, code, constants).
Program: TypeAlias = tuple[NDArray[Any], NDArray[Any], NDArray[int32], NDArray[float64]]
Plan: TypeAlias = NDArray[Any] | Program
# C-ordered rows, or CSR as (data, indices int32, indptr int64, features).
Rows: TypeAlias = Floating | tuple[Floating, NDArray[int32], NDArray[Any], int]
# (X, y, sample_weight, order).
Data: TypeAlias = tuple[Rows, Floating, NDArray[float64] | None, NDArray[intp] | None]
# (words, rank, size).
Member: TypeAlias = tuple[NDArray[int32], int, int]

DEBUG: bool
TEAM_WORDS: int
TEAM_STOP: int
BLAS_ROWS: int
BLAS_INT_MAX: int
ACTIVATIONS: dict[str, int]
TAPE_OPERATIONS: dict[str, int]
TAPES: int
LOSSES: dict[str, int]
LINKS: dict[str, int]
OPTIMIZERS: dict[str, int]
STATE_ROWS: dict[str, int]
MATMUL: tuple[str, ...]

def use_matmul(way: str) -> None: ...
def scratch_size(plan: Plan, batch: int, ranks: int, use: str) -> int: ...
def train_epoch(
    plan: Plan,
    params: Floating,
    state: Floating,
    scratch: Floating,
    tally: NDArray[float64],
    data: Data,
    hyper: dict[str, Any],
    team: Member,
) -> None: ...
def loss_gradient(
    plan: Plan,
    params: Floating,
    grads: Floating,
    scratch: Floating,
    tally: NDArray[float64],
    data: Data,
    hyper: dict[str, Any],
    team: Member,
) -> None: ...
def predict(
    plan: Plan, params: Floating, scratch: Floating, x: Rows, out: Floating, link: int
) -> bool: ...
def examine(
    plan: Plan,
    params: Floating,
    scratch: Floating,
    data: Data | tuple[Rows],
    hyper: dict[str, Any] | None,
    found: tuple[Floating | None, Floating | None, Floating | None, Floating | None],
) -> None: ...
def is_finite(x: Floating) -> bool: ...
def stop_team(words: NDArray[int32]) -> None: ...
def abort_team(words: NDArray[int32]) -> None: ...
def matmul(
    a: Floating,
    b: Floating,
    c: Floating,
    form: str,
    bias: Floating | None = None,
    add: bool = False,
) -> None: ...
def affine(a: Floating, w: Floating, b: Floating, z: Floating) -> None: ...
def affine_gradient(
    a: Floating, w: Floating, delta: Floating, da: Floating, dw: Floating, db: Floating, add: bool
) -> None: ...
def affine_csr(x: Rows, order: NDArray[intp], w: Floating, b: Floating, z: Floating) -> None: ...
def affine_csr_gradient(
    x: Rows,
    order: NDArray[intp],
    delta: Floating,
    dw: Floating,
    top: int,
    end: int,
    add: bool,
) -> None: ...
def activate(activation: int, z: Floating, s: Floating) -> None: ...
def activate_gradient(activation: int, delta: Floating, a: Floating, s: Floating) -> None: ...
def elementary(name: str, x: Floating) -> None: ...
def run_tape(
    plan: Program,
    which: int,
    inputs: Floating,
    value: Floating,
    derivative: Floating,
    registers: Floating,
) -> None: ...
def losses(
    plan: Plan,
    z: Floating,
    y: Floating,
    hyper: dict[str, Any],
    delta: Floating,
    row_losses: Floating,
    scratch: Floating,
) -> None: ...
def links(link: int, z: Floating) -> None: ...
def step(
    w: Floating, dw: Floating, state: Floating, hyper: dict[str, Any], t: float, scale: float
) -> None: ...
