"""The validation set: held-out samples, with the score and loss of a network on them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.kernels import core, variant
from fastbp.network import Network, allocate, chunk_rows, for_each_chunk
from fastbp.threads import Team
from fastbp.training.objective import Objective
from fastbp.training.samples import Samples


class ValidationSet:
    """Scores parameters on held-out samples: ``validation_set(params, team)`` is (score, loss).

    One forward pass gives both. Each rank computes the losses and predictions of a chunk while its
    raw predictions are in cache. The calling thread sums the losses, in the same order for any
    number of ranks.

    Parameters
    ----------
    network : Network
        The network that the parameters belong to.
    objective : Objective
    samples : Samples
    score : callable or None
        Function of the predictions, shape (n_samples, n_outputs), and of the parameters, that
        returns the score. None: the score is minus the loss.
    """

    def __init__(
        self,
        network: Network,
        objective: Objective,
        samples: Samples,
        score: Callable[[NDArray[np.floating], NDArray[np.floating]], float] | None,
    ) -> None:
        self.network, self.samples, self.score = network, samples, score
        self.scale = objective.scale
        self.program, self.objective = objective.lower(network)
        n_samples, dtype = len(samples), network.params.dtype
        self.chunk = chunk_rows(sum(network.row_work(samples.entries_per_row)))
        self.out = np.empty((n_samples, network.units[-1]), dtype)
        self.losses = np.empty(n_samples, dtype)
        rows = min(self.chunk, n_samples)
        self.scratch_size = core.scratch_size(self.program, rows, 1, "validate")
        self.scratch: NDArray[Any] | None = None  # of all samples at once
        if n_samples <= self.chunk:
            self.scratch = allocate(self.scratch_size, dtype)

    def __call__(self, params: NDArray[np.floating], team: Team) -> tuple[float, float]:
        is_summable = False
        if self.scratch is None:
            for_each_chunk(len(self.samples), self.chunk, team, partial(self._validate, params))
        else:
            is_summable = self._compute(params, self.scratch, self.samples, self.out, self.losses)
        loss = self._loss(is_summable)
        return -loss if self.score is None else self.score(self.out, params), loss

    def _validate(self, params: NDArray[np.floating], part: slice) -> None:
        """Compute the predictions and losses of a chunk."""
        scratch = allocate(self.scratch_size, self.out.dtype)
        self._compute(params, scratch, self.samples[part], self.out[part], self.losses[part])

    def _compute(
        self,
        params: NDArray[np.floating],
        scratch: NDArray[Any],
        samples: Samples,
        out: NDArray[Any],
        losses: NDArray[Any],
    ) -> bool:
        """Write the predictions and losses of some samples. Returns whether the sum is finite."""
        validate = variant(core.validate, out.dtype)
        return validate(self.program, params, scratch, samples, self.objective, out, losses)

    def _loss(self, is_summable: bool) -> float:
        """The weighted mean of the row losses. Samples of weight 0 never count, even if NaN."""
        losses, weight = self.losses.astype(np.float64, copy=False), self.samples.weight
        if weight is None and is_summable:
            return self.scale * float(losses.sum()) / len(losses)
        total: float = len(losses)
        with np.errstate(all="ignore"):
            if weight is not None:
                losses = np.where(weight > 0, losses * weight, 0)
                total = weight.sum()
            return float(self.scale * losses.sum() / total)
