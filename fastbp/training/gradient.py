"""The gradient of an objective over all samples: a sum over chunks of rows, added in a tree."""

import numpy as np
from numpy.typing import NDArray

from fastbp.kernels import Rank, Sums, Task, core
from fastbp.network import allocate
from fastbp.threads import Team
from fastbp.training.job import Job
from fastbp.training.samples import Outline, Samples

# Rows of a chunk of samples: enough for efficient matrix products, with scratch of a few MiB for
# usual widths. Another number would change the bits of the sums.
GRADIENT_CHUNK = 1024


def chunk_size(samples: Samples | Outline) -> int:
    """The number of rows in a chunk of samples."""
    return min(GRADIENT_CHUNK, len(samples))


def n_chunks(samples: Samples | Outline) -> int:
    """The number of chunks of samples."""
    return -(-len(samples) // GRADIENT_CHUNK)


def empty_sums(params: NDArray[np.floating], first: int, end: int) -> Sums:
    """Sums of no chunk, with room for the chunks first..end of all samples."""
    rows = core.most_sums(first, end)
    grads = allocate(rows * params.size, params.dtype).reshape(rows, params.size)
    return Sums(grads, np.zeros((rows, core.N_TOTALS)), np.full(2, first, np.int64))


class WholeSums:
    """Sums over all samples, from which the reported loss and the gradient are made.

    Parameters
    ----------
    job : Job
    rows : int
        Rows of a chunk that this process computes on.
    n_ranks : int

    Attributes
    ----------
    grads : ndarray of shape (n_params,)
        The gradient, in the order of the network's params. The squared error of several outputs is
        their sum, as the penalty is a sum (scikit-learn #8349).
    """

    def __init__(self, job: Job, rows: int, n_ranks: int) -> None:
        network = job.network
        self.program, self.objective = job.objective.lower(network)
        self.params = network.params
        self.sums = empty_sums(network.params, 0, n_chunks(job.samples))
        self.grads = self.sums.grads[0]
        self.scratch = network.scratch(rows, n_ranks, "gradient", self.program)
        self.tally = np.zeros(2)

    @property
    def loss(self) -> float:
        """The loss that was computed last."""
        return float(self.tally[0])

    def begin(self) -> None:
        """Let the sums be those of no chunk."""
        self.sums.chunks[:] = 0

    def finish(self) -> None:
        """Compute loss and gradient from the sums over all chunks."""
        core.finish_sums(
            self.program, self.params, self.sums, self.scratch, self.tally, self.objective
        )


class Gradient(WholeSums):
    """The reported loss and the gradient of the objective, at the current parameters.

    The ranks of a team call the object: it is a door.

    Parameters
    ----------
    job : Job
    n_ranks : int, default=1
    """

    def __init__(self, job: Job, n_ranks: int = 1) -> None:
        chunk = chunk_size(job.samples)
        super().__init__(job, chunk, n_ranks)
        self.task = Task(job.in_memory, self.objective, batch=chunk)

    def __call__(self, rank: Rank) -> None:
        core.loss_gradient(
            self.program, self.params, self.sums, self.scratch, self.tally, self.task, rank
        )

    def run(self, ranks: Team) -> None:
        """Compute loss and gradient by the ranks of a team."""
        ranks.run(self)

    def compute(self) -> "Gradient":
        """Compute loss and gradient in the calling thread."""
        self(Rank(np.zeros(core.TEAM_WORDS, np.int32), 0, 1))
        return self
