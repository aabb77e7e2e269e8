"""From a model file to the model that a Predictor asks."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fastbp.files import Reader, Source, check_names, read, read_network, refusing
from fastbp.runtime.averages import check_levels, check_temperature
from fastbp.runtime.checks import Features
from fastbp.runtime.models import (
    Classifier,
    EnsembleClassifier,
    EnsembleRegressor,
    Outputs,
    Regressor,
)

Model: TypeAlias = Any  # has predict, and predict_proba or predict_with_std


def read_model(path: Source, *, mmap: bool, n_threads: int) -> Model:
    """The model of a file.

    Raises
    ------
    ModelFileError
        If it is no sound model file.
    """
    contents = read(path, mmap=mmap)
    with refusing(contents.name):
        return _Loading(Reader(contents), n_threads).model(contents.description)


class _Loading(NamedTuple):
    """One file that is loaded.

    Parameters
    ----------
    reader : Reader
    n_threads : int
        Of predictions of many rows.
    """

    reader: Reader
    n_threads: int

    def model(self, node: dict[str, Any]) -> Model:
        """The model of a description."""
        name = node.get("class")
        if name in ("MLPClassifier", "MLPRegressor"):
            return self.single(node)
        if name in ("MLPEnsembleClassifier", "MLPEnsembleRegressor"):
            return self.ensemble(node)
        if name in ("TabularMLPClassifier", "TabularMLPRegressor"):
            return self.tabular(node)
        raise ValueError(f"it holds a model of the class {name!r:.50}, not known here")

    def single(self, node: dict[str, Any]) -> Any:
        """A network, as `estimators/model_file.py` describes it."""
        params, reader = node["params"], self.reader
        saved = read_network(
            node["network"], reader.value(params["activation"], "activation"), reader
        )
        features = self.features(node["class"], saved.network.units[0], node["fitted"])
        outputs = Outputs(saved, features, self.n_threads)
        if (saved.labels is None) != (node["class"] == "MLPRegressor"):
            raise ValueError("only a classifier has classes, and it needs them")
        if saved.labels is not None:
            return Classifier(outputs, saved.labels)
        return Regressor(outputs, reader.value(params["loss"], "loss"))

    def features(self, name: str, n_features: int, fitted: dict[str, Any]) -> Features:
        """The features of a model, with their names if it has them."""
        names = fitted.get("feature_names_in_")
        if names is not None:
            names = self.reader.value(names, "feature_names_in_")
            check_names(names, n_features)
        return Features(name, n_features, names)

    def members(self, node: dict[str, Any], kind: str) -> list[Any]:
        """The members of an ensemble, which are of one class and shape."""
        nodes = node["members"]
        if not isinstance(nodes, list) or not nodes:
            raise ValueError("members must be a list of models")
        if any(one.get("class") != kind for one in nodes):
            raise ValueError(f"the members must be models of the class {kind}")
        members = [self.single(one) for one in nodes]
        if any(member.shape() != members[0].shape() for member in members):
            raise ValueError("the members differ in their features, outputs or classes")
        return members

    def ensemble(self, node: dict[str, Any]) -> Any:
        """Several networks, as `ensemble.py` describes them."""
        name = node["class"]
        members = self.members(node, name.replace("Ensemble", ""))
        features = self.features(name, members[0].features.n_features, node["fitted"])
        kind = EnsembleClassifier if name == "MLPEnsembleClassifier" else EnsembleRegressor
        return kind(members, features)

    def tabular(self, node: dict[str, Any]) -> Any:
        """Members with their preprocessing, as `tabular/base.py` describes them."""
        from fastbp.runtime import tabular_models  # imported late: most models need no tables
        from fastbp.tables import array_of, read_encoding

        name, transformer, fitted = node["class"], node["transformer"], node["fitted"]
        encoding = read_encoding(transformer["tables"], self.reader)
        features = self.features(name, len(encoding.is_categorical), transformer["fitted"])
        if transformer["dtype"] not in ("float32", "float64"):
            raise ValueError("dtype of the transformer must be float32 or float64")
        preprocessing = tabular_models.Preprocessing(
            features, encoding, np.dtype(transformer["dtype"])
        )
        members = self.members(node, name.replace("Tabular", ""))
        if members[0].features.n_features != len(encoding.layout):
            raise ValueError("the members do not have the features that the transformer makes")
        if name == "TabularMLPClassifier":
            temperature = check_temperature(fitted["temperature_"])
            return tabular_models.TabularClassifier(preprocessing, members, temperature)
        first = members[0]
        n_outputs = first.n_outputs // 2 if first.is_gaussian else first.n_outputs
        if any(member.loss != first.loss for member in members):
            raise ValueError("the members have different losses")
        shape = 2, len(members), 1, n_outputs
        limits = array_of(fitted["limits"], "limits", self.reader, np.float64, *shape)
        levels = None
        if first.loss == "quantile":
            quantile = node["members"][0]["params"]["quantile"]
            levels = check_levels(self.reader.value(quantile, "quantile"))
            if n_outputs % len(levels):
                raise ValueError("quantile does not fit the outputs")
        return tabular_models.TabularRegressor(preprocessing, members, limits, levels)
