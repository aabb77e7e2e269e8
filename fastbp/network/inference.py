"""Prediction of many rows, chunk by chunk, by the ranks of a team."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from fastbp.kernels import CSR, Rows

# A chunk takes about a millisecond, in rows and in multiply-adds. Between chunks Python handles
# signals and the ranks of a team take turns.
PREDICT_CHUNK, LEAST_CHUNK, PREDICT_WORK = 4096, 64, 32_000_000


class Workers(Protocol):
    """A team, as far as prediction knows it."""

    def for_each(self, parts: Iterable[slice], function: Callable[[slice], None]) -> None:
        """Call function(part) for every part, ranks taking turns; a stop ends it between parts."""


def predict_chunks(
    predict: Callable[[Rows, str, Any], bool],
    rows: Callable[[slice], Rows],
    chunk: int,
    link: str,
    out: Any,
    team: Workers,
) -> bool:
    """Write the predictions of many rows into out, by the ranks of a team.

    predict is `Network.predict` or a function like it, rows(slice) a chunk of x.
    """
    finite = []

    def predict_part(part: slice) -> None:
        finite.append(predict(rows(part), link, out[part]))

    for_each_chunk(len(out), chunk, team, predict_part)
    return all(finite)


def for_each_chunk(
    n_rows: int, chunk: int, team: Workers, function: Callable[[slice], None]
) -> None:
    """Call function(slice) for every chunk of the rows; a single one is not given to a rank."""
    if n_rows <= chunk:
        function(slice(0, n_rows))
    else:
        team.for_each((slice(k, k + chunk) for k in range(0, n_rows, chunk)), function)


def chunk_rows(work: float) -> int:
    """Rows of a chunk of predict, where each takes that many multiply-adds.

    It depends on the network and the data alone, never on the team: the same blocks of rows, and
    with BLAS the same bits, at any number of threads.
    """
    blocks = int(PREDICT_WORK // max(work, 1)) // LEAST_CHUNK
    return min(max(blocks, 1) * LEAST_CHUNK, PREDICT_CHUNK)


def count_rows(x: Rows) -> int:
    """The number of rows, dense or CSR."""
    return x.n_rows if isinstance(x, CSR) else len(x)


def row_slice(x: Rows, part: slice) -> Rows:
    """A slice of rows, dense or CSR."""
    return x.slice(part.start, part.stop) if isinstance(x, CSR) else x[part]
