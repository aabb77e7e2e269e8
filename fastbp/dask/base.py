"""The base class of both estimators on a cluster: fit, conversion, prediction."""

from __future__ import annotations

import copy
from numbers import Integral, Real
from typing import Any, ClassVar, Self

from distributed import Client
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from fastbp.dask.cluster import Cluster
from fastbp.dask.engine import DaskEngine, Options
from fastbp.dask.parts import is_distributed, parts_of
from fastbp.dask.prediction import lazily, to_predict_with
from fastbp.dask.scan import scan
from fastbp.estimators.callbacks import CALLBACKS, check_callbacks
from fastbp.estimators.held_out import NO_DATA, Data
from fastbp.estimators.inputs import draft_of
from fastbp.estimators.parts_job import check_request, job_of_facts
from fastbp.estimators.request import Request
from fastbp.estimators.scikit_learn import CheckedEstimator, Interval, parameter_names

OWN: dict[str, Any] = {  # constraints of the parameters that the local estimators do not have
    "client": "no_validation",
    "patience": [Interval(Real, 0, None, closed="neither")],
    "n_shards": [Interval(Integral, 1, None, closed="left")],
    "rounds_per_epoch": [Interval(Integral, 1, None, closed="left")],
    "scale_rate": ["boolean"],
}


class DaskMLP(CheckedEstimator):
    """The base class of DaskMLPClassifier and DaskMLPRegressor.

    It has a local estimator, which a fit replaces when all has succeeded. The fitted attributes are
    those of the local estimator.
    """

    _local_kind: ClassVar[Any]  # MLPClassifier or MLPRegressor
    client: Client | None

    def _fit(self, data: Data, validation: Data) -> Self:
        """Fit on the cluster. An error leaves the estimator as it was."""
        if not is_distributed(data.X):
            raise TypeError(
                f"X must be a dask Array, DataFrame or list of delayed, got "
                f"{type(data.X).__name__}: for data in memory use {self._local_kind.__name__}."
            )
        cluster, local = Cluster(self.client, self.patience), self._begin()
        request = Request(draft_of(local))
        check_request(request, validation)
        is_lazy = validation.X is not None and is_distributed(validation.X)
        parts = cluster.client.compute(parts_of(*data))
        held_out = None
        if is_lazy:
            held_out = cluster.client.compute(parts_of(*validation, suffix="_val"))
        found = scan(cluster, parts, local)
        options = Options(self.n_shards, self.rounds_per_epoch, self.scale_rate)
        engine = DaskEngine(cluster, parts, found.lengths, held_out, options)
        del parts, held_out  # the engine forgets them as soon as it can
        try:
            job = job_of_facts(
                request,
                found.facts,
                NO_DATA if is_lazy else validation,
                lambda encoder, _: engine.reads_by(encoder),
            )
            course = local._run(job, data)
            engine.check(job)
        finally:
            engine.close()
        try:
            local._adopt(job, course)
        finally:  # a warning may be an error, after the fit was adopted
            if vars(local).get("_random_state") is course.random_state:
                vars(local).pop("_resume", None)
                self._local = local
        return self

    def _begin(self) -> Any:
        """The local estimator that the fit will fill."""
        names = parameter_names(self._local_kind)
        parameters = {name: getattr(self, name) for name in names}
        fitted = self.__dict__.get("_local")
        if self.warm_start and fitted is not None:
            local = copy.deepcopy(fitted).set_params(**parameters)
        else:
            local = self._local_kind(**parameters)
        callbacks = self.__dict__.get(CALLBACKS)
        if callbacks:
            local.set_callbacks(*callbacks)
        return local

    def set_callbacks(self, *callbacks: Any) -> Self:
        """Set the callbacks that `fit` calls, as those of the local estimators.

        Parameters
        ----------
        *callbacks : objects
            See `fastbp.MLPClassifier.set_callbacks`. They run in the process of the client.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            If a callback is a class, or lacks one of the methods.
        """
        check_callbacks(callbacks)
        self.__dict__[CALLBACKS] = list(callbacks)
        return self

    # ---- the local estimator

    def to_local(self) -> Any:
        """A copy of the fitted model that needs no Dask.

        Returns
        -------
        model : MLPClassifier or MLPRegressor
            It has the weights and all fitted attributes.
        """
        check_is_fitted(self)
        return copy.deepcopy(self._local)

    @classmethod
    def from_local(cls, model: Any, **parameters: Any) -> Self:
        """An estimator that predicts with a model that was fitted elsewhere.

        Parameters
        ----------
        model : MLPClassifier or MLPRegressor
            A fitted estimator of the same kind. It is copied.
        **parameters
            `client`, `patience`, `n_shards`, `rounds_per_epoch` and `scale_rate`.

        Returns
        -------
        estimator : object

        Raises
        ------
        TypeError
            If `model` is not such an estimator.
        NotFittedError
            If `model` is not fitted.
        """
        if not isinstance(model, cls._local_kind):
            raise TypeError(
                f"model must be a fitted {cls._local_kind.__name__}, got {type(model).__name__}"
            )
        check_is_fitted(model)
        estimator = cls(**copy.deepcopy(model.get_params(deep=False)), **parameters)
        estimator._local = copy.deepcopy(model)
        return estimator

    def __getattr__(self, name: str) -> Any:
        """The fitted attributes: those of the local estimator."""
        local = self.__dict__.get("_local")
        if local is not None and name.endswith("_") and not name.startswith("_"):
            return getattr(local, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __sklearn_is_fitted__(self) -> bool:
        return "_local" in self.__dict__

    def __sklearn_clone__(self) -> Self:
        """A copy without the fit; the client is the same object."""
        parameters = {
            name: value if name == "client" else clone(value, safe=False)
            for name, value in self.get_params(deep=False).items()
        }
        return type(self)(**parameters)

    def __getstate__(self) -> dict[str, Any]:
        """The state without the client, which belongs to this process."""
        state = dict(super().__getstate__())
        state["client"] = None
        if "_local" in state:
            state.pop(CALLBACKS, None)
        return state

    # ---- predictions

    def _lazily(self, method: str, X: Any) -> Any:
        check_is_fitted(self)
        return lazily(self._local, method, X)

    def predict(self, X: Any) -> Any:
        """Predict, partition by partition, when the result is computed.

        Parameters
        ----------
        X : dask Array, dask DataFrame, list of delayed, or array-like
            Samples.

        Returns
        -------
        y : of the kind of X
            A lazy collection with the predictions of `to_local()`; frames keep their index. For
            samples in memory an array.
        """
        return self._lazily("predict", X)

    def _score(self, score_of_parts: Any, data: Data) -> float:
        """The score of the local estimator, or of parts on the cluster."""
        check_is_fitted(self)
        if not is_distributed(data.X):
            return float(self._local.score(*data))
        cluster = Cluster(self.client, self.patience)
        parts = cluster.client.compute(parts_of(*data))
        return float(score_of_parts(cluster, to_predict_with(self._local), parts))
