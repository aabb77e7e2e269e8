"""The check of predictions after training, where the samples are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.dask.recipe import Recipe
from fastbp.training import LBFGS, Course, Job, Optimizer, Rule, Samples, Schedule
from fastbp.training.overflow import check_result


@dataclass(frozen=True)
class CheckOfResult:
    """Looks at the predictions of some samples of a part; plain data.

    Parameters
    ----------
    recipe : Recipe
    rule : Rule or LBFGS
    """

    recipe: Recipe
    rule: Rule | LBFGS | None

    def __call__(self, samples: Samples, params: NDArray[Any]) -> str:
        """What is wrong with the predictions, or ''; a task."""
        network = self.recipe.network(params)
        course = Course(network, np.random.RandomState(0), len(samples))
        if isinstance(self.rule, Rule):  # the advice is about its learning rate
            schedule = Schedule("constant", 1.0)
            course.optimizer = Optimizer.start(self.rule, schedule, network.units, params.dtype)
        try:
            check_result(Job(samples, self.recipe.objective, course))
        except ValueError as error:
            return str(error)
        return ""
