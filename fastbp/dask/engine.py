"""The engine of a fit on a cluster: it computes on the workers what training asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from distributed import Future

from fastbp.dask.checks import CheckOfResult
from fastbp.dask.cluster import Cluster, shared, unique
from fastbp.dask.gradient import ExactGradient
from fastbp.dask.local_steps import LocalSteps, Plan
from fastbp.dask.placing import place_runs, place_shards
from fastbp.dask.recipe import Recipe
from fastbp.dask.scan import bare, lengths_of
from fastbp.dask.sums import Scoring
from fastbp.dask.validation import ValidationEncoder, ValidationParts, kind_of_score
from fastbp.estimators.encoding import Encoder
from fastbp.threads import Team
from fastbp.training import LBFGS, Job, Optimizer, Watch


@dataclass(frozen=True)
class Options:
    """How local steps are made."""

    n_shards: int
    rounds_per_epoch: int
    scale_rate: bool


class DaskEngine:
    """Computes gradients, steps and validation by tasks on a cluster.

    Parameters
    ----------
    cluster : Cluster
    parts : sequence of Future
        The partitions of the training data.
    lengths : sequence of int
        Their rows.
    validation : sequence of Future or None
        The partitions of validation data.
    options : Options

    Attributes
    ----------
    seed : int or None
        Of the orders of the rows; None: they stay in their own order.
    """

    def __init__(
        self,
        cluster: Cluster,
        parts: Sequence[Future],
        lengths: Sequence[int],
        validation: Sequence[Future] | None,
        options: Options,
    ) -> None:
        self.cluster, self.options, self.lengths = cluster, options, lengths
        self._parts: Sequence[Future] | None = parts
        self._validation = validation
        self.encoder: Encoder | None = None
        self.placed: list[tuple[int, Future]] = []
        self.seed: int | None = None
        self.job: Job | None = None

    def reads_by(self, encoder: Encoder) -> DaskEngine:
        """Take the encoder, of which a small copy goes to the workers."""
        self.encoder = replace(encoder, estimator=bare(encoder.estimator))
        return self

    def where(self) -> str:
        """The present epoch or iteration, for errors."""
        assert self.job is not None
        kind = "iteration" if isinstance(self.job.rule, LBFGS) else "epoch"
        return f"in {kind} {len(self.job.course.epochs) + 1}"

    def gradient(self, job: Job, ranks: Team) -> ExactGradient:
        """The gradient of all samples, for L-BFGS."""
        self.job = job
        self.placed = place_runs(self.cluster, self._taken(), self.lengths, self.encoder)
        return ExactGradient(self.cluster, job, self.placed, self.where)

    def steps(
        self, job: Job, optimizer: Optimizer, ranks: Team, watches: Sequence[Watch]
    ) -> LocalSteps:
        """The steps of epochs, for the other optimizers."""
        self.job, options = job, self.options
        n_shards = options.n_shards
        self.placed = place_shards(
            self.cluster, self._taken(), self.lengths, self.encoder, n_shards
        )
        plan = Plan(self.seed, options.rounds_per_epoch, options.scale_rate)
        return LocalSteps(self.cluster, job, optimizer, self.placed, plan, self.where)

    def _taken(self) -> Sequence[Future]:
        """The partitions, which are not kept any longer than it takes to make samples of them."""
        parts, self._parts = self._parts, None
        assert parts is not None
        return parts

    def validation_set(self, job: Job) -> ValidationParts | None:
        """The validation samples on the workers; None if there are none."""
        if self._validation is None:
            return None
        assert self.encoder is not None
        self.job, parts, self._validation = job, self._validation, None
        kind = kind_of_score(self.encoder.estimator)
        lengths = lengths_of(self.cluster, parts)
        if sum(lengths) < 2:
            raise ValueError(f"X_val must have two samples at least, got {sum(lengths)}.")
        encoder = ValidationEncoder(self.encoder, job.network.units[-1])
        runs = place_runs(self.cluster, parts, lengths, encoder, " of X_val")
        recipe = replace(Recipe.of(job), objective=replace(job.objective, smoothing=0.0))
        scoring = Scoring(recipe, self.encoder.estimator, self.encoder.labels, kind)
        return ValidationParts(self.cluster, scoring, [run for _, run in runs], self.where)

    def examples(self) -> None:
        """None: the results are checked where the samples are, see `check`."""

    def facts(self) -> None:
        """None: the fit cannot be resumed."""

    def check(self, job: Job) -> None:
        """Raise ValueError if predictions of samples are not finite after training."""
        name, graph = unique("check"), dict[Any, Any]()
        task = CheckOfResult(Recipe.of(job), job.rule)
        params = shared(graph, job.network.params, len(self.placed))
        tasks = {(name, k): (task, run, params) for k, (_, run) in enumerate(self.placed)}
        where = partial(str, "when the predictions were checked")
        for message in self.cluster.compute({**graph, **tasks}, list(tasks), where):
            if message:
                raise ValueError(message)

    def close(self) -> None:
        """Let the workers forget the data, also those that are being computed."""
        for _, future in self.placed:
            future.release()
        self.placed, self._parts, self._validation = [], None, None
