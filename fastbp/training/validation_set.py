"""The validation set: held-out samples, with the score and loss of a network on them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastbp.kernels import Rows, core, variant
from fastbp.network import Network, chunk_rows, predict_chunks
from fastbp.threads import Team
from fastbp.training.objective import Objective
from fastbp.training.samples import Samples


class ValidationSet:
    """Scores the current network on held-out samples: ``validation_set(team)`` is (score, loss).

    One forward pass gives both. Each rank computes the losses and predictions of a chunk while its
    raw predictions are in cache. The calling thread sums the losses, in the same order for any
    number of ranks.

    Parameters
    ----------
    network : Network
    objective : Objective
    samples : Samples
    score : callable
        Function of the predictions, shape (n_samples, n_outputs), that returns the score.
    """

    def __init__(
        self,
        network: Network,
        objective: Objective,
        samples: Samples,
        score: Callable[[NDArray[np.floating]], float],
    ) -> None:
        self.network, self.samples, self.score = network, samples, score
        self.scale = objective.scale
        self.program, self.objective = objective.lower(network)
        n_samples, dtype = len(samples), network.params.dtype
        self.chunk = chunk_rows(sum(network.row_work(samples.entries_per_row)))
        self.out = np.empty((n_samples, network.units[-1]), dtype)
        self.losses = np.empty(n_samples, dtype)

    def __call__(self, team: Team) -> tuple[float, float]:
        predict_chunks(
            self.network.predict, self._rows, self.chunk, "identity", self.out, team, self._finish
        )
        return self.score(self.out), self._loss()

    def _rows(self, part: slice) -> Rows:
        return self.samples[part].x

    def _finish(self, part: slice) -> None:
        """Compute the losses of a chunk, and replace its raw predictions by predictions."""
        z, y, losses = self.out[part], self.samples.y[part], self.losses[part]
        scratch = self.network.scratch(len(z), 1, "row_losses", self.program)
        row_losses, apply_link = (
            variant(core.row_losses, z.dtype),
            variant(core.apply_link, z.dtype),
        )
        row_losses(self.program, z.copy(), y, self.objective, np.empty_like(z), losses, scratch)
        apply_link(self.objective.link, z)

    def _loss(self) -> float:
        """The weighted mean of the row losses. Samples of weight 0 never count, even if NaN."""
        losses, total, weight = (
            self.losses.astype(np.float64),
            len(self.losses),
            self.samples.weight,
        )
        with np.errstate(all="ignore"):
            if weight is not None:
                losses = np.where(weight > 0, losses * weight, 0)
                total = weight.sum()
            return float(self.scale * losses.sum() / total)
