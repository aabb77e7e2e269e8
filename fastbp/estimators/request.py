"""What an estimator asks for, and the job that it gets."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastbp.estimators.inputs import Features
from fastbp.estimators.labels import Labels
from fastbp.estimators.model import Model
from fastbp.estimators.scikit_learn import CheckedEstimator
from fastbp.training import (
    LBFGS,
    Engine,
    Job,
    Objective,
    Outline,
    Samples,
    ValidationSet,
    Watch,
)

FIT, PARTIAL_FIT, RESUME, INSPECT = "fit", "partial_fit", "resume", "inspect"  # of a job


@dataclass(frozen=True)
class Request:
    """An estimator that asks for a job, and its purpose.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        A draft, on which scikit-learn's checks set attributes.
    purpose : {'fit', 'partial_fit', 'resume', 'inspect'}
    labels : Labels, default=None
        Those of the first call of `partial_fit`.
    dtype : dtype, default=None
        Dtype of samples and network; None: that of the fitted network, or of X.
    began : float
        When the request was made, as `time.perf_counter` counts.
    """

    estimator: CheckedEstimator
    purpose: str = FIT
    labels: Labels | None = None
    dtype: DTypeLike | None = None
    began: float = field(default_factory=perf_counter)

    @property
    def resumes(self) -> bool:
        """Whether the last fit goes on."""
        return self.purpose == RESUME

    @property
    def inspects(self) -> bool:
        """Whether nothing is trained."""
        return self.purpose == INSPECT

    @property
    def takes_over(self) -> bool:
        """Whether the job continues from a fitted estimator."""
        return self.purpose != FIT or self.estimator.warm_start


class Problem(NamedTuple):
    """What is to be trained, after all checks of the data."""

    samples: Samples | Outline
    objective: Objective
    dtype: DTypeLike  # of the trained network
    features: Features
    labels: Labels
    n_outputs: int
    # Of the columns of y: their standard deviations.
    spread_of_y: Callable[[], NDArray[np.float64]]
    weights: NDArray[np.float64] | None = None  # as given, times those of the classes
    engine: Engine | None = None  # if not all samples are in memory


@dataclass(kw_only=True)
class EstimatorJob(Job):
    """A job with the attributes that the estimator learns besides the weights.

    Parameters
    ----------
    features : Features
    labels : Labels
    validation_set : ValidationSet or None
    source : Model or None
        The model that the job continues; None if it begins with a new network.
    watches : list of Watch
        What looks at each epoch.
    began : float
        When the fit began, as `time.perf_counter` counts.
    weights : ndarray of float64, default=None
        Weights of the samples, as given and times those of the classes; those of `samples` are
        divided by a power of two.
    facts : dict
        What has to be the same if the fit is resumed.
    is_over : str
        Why nothing is left to do, if the fit that is resumed had ended by itself; else ''.
    """

    features: Features
    labels: Labels
    validation_set: ValidationSet | None
    source: Model | None
    watches: list[Watch] = field(default_factory=list)
    began: float = 0.0
    weights: NDArray[np.float64] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    is_over: str = ""

    @property
    def continues(self) -> bool:
        """Whether the job continues the last fit."""
        return self.source is not None

    @property
    def in_place(self) -> bool:
        """Whether the fit changes the arrays of the last one, as scikit-learn's does."""
        if self.source is None or self.early_stopping or isinstance(self.rule, LBFGS):
            return False
        return self.network.params.dtype == self.source.network.params.dtype
