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
    return Sums(grads, np.zeros((rows, core.N_TOTALS)), np.full(2, first))


class Gradient:
    """The reported loss and the gradient of the objective, at the current parameters.

    The ranks of a team call the object: it is a door.

    Parameters
    ----------
    job : Job
    n_ranks : int, default=1

    Attributes
    ----------
    grads : ndarray of shape (n_params,)
        The gradient, in the order of the network's params. The squared error of several outputs is
        their sum, as the penalty is a sum (scikit-learn #8349).
    """

    def __init__(self, job: Job, n_ranks: int = 1) -> None:
        network, samples = job.network, job.in_memory
        chunk = chunk_size(samples)
        program, objective = job.objective.lower(network)
        sums = empty_sums(network.params, 0, n_chunks(samples))
        self.grads = sums.grads[0]
        self._tally = np.zeros(2)
        scratch = network.scratch(chunk, n_ranks, "gradient", program)
        task = Task(samples, objective, batch=chunk)
        self._arguments = (program, network.params, sums, scratch, self._tally, task)

    def __call__(self, rank: Rank) -> None:
        core.loss_gradient(*self._arguments, rank)

    @property
    def loss(self) -> float:
        """The loss that was computed last."""
        return float(self._tally[0])

    def run(self, ranks: Team) -> None:
        """Compute loss and gradient by the ranks of a team."""
        ranks.run(self)

    def compute(self) -> "Gradient":
        """Compute loss and gradient in the calling thread."""
        self(Rank(np.zeros(core.TEAM_WORDS, np.int32), 0, 1))
        return self
