"""Objective: what training minimizes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastbp.graph.expression import Expression
from fastbp.kernels import LoweredObjective, Plan, core
from fastbp.network import Network


@dataclass(frozen=True)
class Objective:
    """The mean loss of the samples plus the L2 penalty ``alpha / 2 * sum(w ** 2) / sum(weights)``.

    Parameters
    ----------
    loss : str or Expression
        Function of raw predictions and targets: its name, or an Expression.
    link : str
        Name of the function that turns raw predictions into predictions.
    parameters : ndarray of float64, default=None
        Parameters of the loss: a level for each output, a threshold, a power, or the number of
        outputs of each target.
    alpha : float, default=0.0
        Strength of the penalty.
    scale : float, default=1.0
        Factor of the reported mean loss. It does not change the gradient.
    exact : bool, default=False
        Whether reported log losses use exact probabilities. If False, probabilities are clipped to
        [eps, 1 - eps] of the dtype, as in scikit-learn.
    smoothing : float, default=0.0
        Share e of the uniform distribution in the targets of a log loss, in [0, 1): they are
        ``(1 - e) * y + e / K`` for K classes, two for a single output.
    """

    loss: str | Expression
    link: str
    parameters: NDArray[np.float64] | None = None
    alpha: float = 0.0
    scale: float = 1.0
    exact: bool = False
    smoothing: float = 0.0

    @property
    def widths(self) -> NDArray[np.float64] | None:
        """The number of outputs of each of several targets; None for other losses."""
        return self.parameters if self.link == "grouped_softmax" else None

    def lower(self, network: Network) -> tuple[Plan, LoweredObjective]:
        """The network's program with this loss, and the objective with codes of the core."""
        program, code = network.with_loss(self.loss)
        link = core.LINKS[self.link]
        return program, LoweredObjective(
            code, link, self.parameters, self.alpha, self.scale, self.exact, self.smoothing
        )
