"""Models as predictions need them: one network with the meaning of its outputs, or members."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.files import SavedLabels, SavedNetwork
from fastbp.network import Network
from fastbp.runtime.averages import mean_and_deviation, mean_of_arrays
from fastbp.runtime.checks import Features, check_finite, check_rows
from fastbp.runtime.decoding import (
    classes_of,
    deviations_of,
    labels_of,
    labels_of_probabilities,
    numbers_of,
    probabilities_of,
)
from fastbp.runtime.rows import cast, is_small, predict_many

NOTHING: dict[str, Any] = {}  # the core compares no attributes
NEVER_CHANGED = [0]
MADE_OF: tuple[tuple[Any, ...], ...] = ((), (), (), ())


class Outputs:
    """The outputs of a network, link applied, for rows.

    Parameters
    ----------
    saved : SavedNetwork
    features : Features
    n_threads : int
        Of predictions of many rows.
    """

    def __init__(self, saved: SavedNetwork, features: Features, n_threads: int) -> None:
        self.features, self.n_threads, self.link = features, n_threads, saved.link
        targets = () if saved.labels is None else saved.labels.targets
        self.widths = np.array([one.n_outputs for one in targets], np.float64) if targets else None
        self.network = saved.network
        self.row = self.network.row_door(self.link, self.widths, MADE_OF)
        self._wide: Network | None = None

    def __call__(self, X: Any) -> NDArray[np.floating]:
        """The outputs for X as a user gives it."""
        if self.row is not None:
            outputs = self.row.predict(X, NOTHING, NEVER_CHANGED)
            if outputs is not None:
                return outputs
        return self.of_rows(check_rows(X, self.features))

    def of_rows(self, x: NDArray[Any]) -> NDArray[np.floating]:
        """The outputs for an array that `check_rows` returned; ValueError if it is not finite."""
        network = self._network_for(x.dtype)
        dtype, n_rows = network.params.dtype, len(x)
        predict: Callable[..., bool] = network.predict
        if self.widths is not None:
            predict = partial(predict, widths=self.widths)
        out = np.empty((n_rows, network.units[-1]), dtype)
        if x.dtype != dtype:  # before the cast, which names another reason
            check_finite(x)
        if is_small(network, n_rows):
            finite = predict(cast(x, dtype, "X"), self.link, out)
        else:
            work = sum(network.row_work())
            finite = predict_many(
                predict,
                lambda part: cast(x[part], dtype, "X"),
                work,
                self.link,
                out,
                self.n_threads,
            )
        if not finite:
            check_finite(x)
        return out

    def _network_for(self, dtype: np.dtype[Any]) -> Network:
        """The network in the dtype of predictions of such rows; made once."""
        network = self.network
        if dtype == network.params.dtype or network.dtype_for(dtype) == network.params.dtype:
            return network
        if self._wide is None:
            self._wide = network.astype(np.float64)
        return self._wide


class Classifier:
    """A network with the classes that it tells apart."""

    def __init__(self, outputs: Outputs, labels: SavedLabels) -> None:
        self.outputs, self.labels, self.features = outputs, labels, outputs.features

    def shape(self) -> tuple[Any, ...]:
        """What the members of an ensemble have in common."""
        parts = self.labels.targets or (self.labels,)
        return self.features.n_features, [(one.kind, classes_of(one).tolist()) for one in parts]

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels."""
        return labels_of(self.labels, self.outputs(X))

    def predict_proba(self, X: Any) -> Any:
        """Probabilities of all classes."""
        return probabilities_of(self.labels, self.outputs(X))


class Regressor:
    """A network that predicts numbers; a Gaussian one, their standard deviations too."""

    def __init__(self, outputs: Outputs, loss: Any) -> None:
        self.outputs, self.loss, self.features = outputs, loss, outputs.features
        self.is_gaussian, self.n_outputs = loss == "gaussian", outputs.network.units[-1]
        if self.is_gaussian and self.n_outputs % 2:
            raise ValueError("loss='gaussian' has two outputs for each target")

    def shape(self) -> tuple[Any, ...]:
        """What the members of an ensemble have in common."""
        return self.features.n_features, self.n_outputs

    def predict(self, X: Any) -> NDArray[Any]:
        """Numbers."""
        return numbers_of(self.outputs(X), is_gaussian=self.is_gaussian)

    def predict_with_std(self, X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Numbers and their standard deviations."""
        if not self.is_gaussian:
            raise ValueError(
                "return_std=True needs loss='gaussian', whose models predict a standard deviation, "
                f"got loss={self.loss!r}."
            )
        outputs = self.outputs(X)
        y = numbers_of(outputs, is_gaussian=True)
        return y, deviations_of(outputs).reshape(y.shape)


class EnsembleClassifier:
    """The mean of the probabilities of several networks."""

    def __init__(self, members: Sequence[Classifier], features: Features) -> None:
        self.members, self.labels, self.features = members, members[0].labels, features

    def predict(self, X: Any) -> NDArray[Any]:
        """Labels."""
        return labels_of_probabilities(self.labels, self.predict_proba(X))

    def predict_proba(self, X: Any) -> Any:
        """Probabilities of all classes."""
        x = check_rows(X, self.features)
        return mean_of_arrays(member.predict_proba(x) for member in self.members)


class EnsembleRegressor:
    """The mean of what several networks predict."""

    def __init__(self, members: Sequence[Regressor], features: Features) -> None:
        self.members, self.features = members, features

    def predict(self, X: Any) -> NDArray[Any]:
        """Numbers."""
        x = check_rows(X, self.features)
        return np.mean([member.predict(x) for member in self.members], axis=0)

    def predict_with_std(self, X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """Numbers, and the deviations of the members."""
        x = check_rows(X, self.features)
        if all(member.is_gaussian for member in self.members):
            pairs = [member.predict_with_std(x) for member in self.members]
            return mean_and_deviation([mean for mean, _ in pairs], [std for _, std in pairs])
        return mean_and_deviation([member.predict(x) for member in self.members], None)
