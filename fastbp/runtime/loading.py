"""From a model file to the model that a Predictor asks."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fastbp.files import Reader, Source, check_names, read, read_network, refusing
from fastbp.files.names import (
    CURVES,
    FITTED,
    FITTED_OF_CLASS,
    HEAD,
    PARAMETERS,
    PARTS,
    PARTS_FOR_TRAINING,
    PARTS_OF_ENSEMBLE,
    PARTS_OF_TABULAR,
    PARTS_OF_TRANSFORMER,
)
from fastbp.runtime.averages import check_levels, check_temperature
from fastbp.runtime.checks import Features
from fastbp.runtime.models import (
    Classifier,
    EnsembleClassifier,
    EnsembleRegressor,
    Outputs,
    Regressor,
)

STATE = "optimizer.state"  # two thirds of a file, and of no use here
Model: TypeAlias = Any  # has predict, and predict_proba or predict_with_std


def read_model(path: Source, *, mmap: bool, n_threads: int) -> Model:
    """The model of a file.

    Raises
    ------
    ModelFileError
        If it is no sound model file.
    """
    contents = read(path, mmap=mmap)
    has_state = any(name.endswith(STATE) for name in contents.tensors)
    with refusing(contents.name):
        reader = Reader(contents, copies=has_state and not mmap)
        return _Loading(reader, n_threads).model(contents.description)


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
        reader = self.reader
        params = self.parameters(node, PARTS, HEAD | PARTS_FOR_TRAINING)
        reader.fields(node["fitted"], "fitted", set(), {*FITTED, *CURVES})
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

    def parameters(
        self, node: dict[str, Any], parts: frozenset[str], optional: frozenset[str] = HEAD
    ) -> dict[str, Any]:
        """The parameters in the description of a model, which has these parts and no others."""
        self.reader.fields(node, "the model", parts | {"class"}, optional)
        return self.reader.fields(node["params"], "params", set(), PARAMETERS[node["class"]])

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
        self.parameters(node, PARTS_OF_ENSEMBLE)
        self.reader.fields(node["fitted"], "fitted", set(), {"feature_names_in_"})
        members = self.members(node, name.replace("Ensemble", ""))
        features = self.features(name, members[0].features.n_features, node["fitted"])
        kind = EnsembleClassifier if name == "MLPEnsembleClassifier" else EnsembleRegressor
        return kind(members, features)

    def tabular(self, node: dict[str, Any]) -> Any:
        """Members with their preprocessing, as `tabular/base.py` describes them."""
        from fastbp.runtime import tabular_models  # imported late: most models need no tables
        from fastbp.tables import read_encoding, read_limits

        self.parameters(node, PARTS_OF_TABULAR)
        name, transformer = node["class"], node["transformer"]
        self.parameters(transformer, PARTS_OF_TRANSFORMER)
        self.reader.fields(transformer["fitted"], "fitted", set(), {"feature_names_in_"})
        fitted = self.reader.fields(node["fitted"], "fitted", FITTED_OF_CLASS[name])
        encoding = read_encoding(transformer["tables"], self.reader)
        features = self.features(name, len(encoding.is_categorical), transformer["fitted"])
        if transformer["dtype"] not in ("float32", "float64"):
            raise ValueError("dtype of the transformer must be float32 or float64")
        preprocessing = tabular_models.Preprocessing(
            features, encoding, np.dtype(transformer["dtype"])
        )
        members = self.members(node, name.replace("Tabular", ""))
        if name == "TabularMLPClassifier" and members[0].labels.classes is None:
            raise ValueError("a model of tables has one target")
        if members[0].features.n_features != len(encoding.layout):
            raise ValueError("the members do not have the features that the transformer makes")
        if name == "TabularMLPClassifier":
            temperature = check_temperature(fitted["temperature_"])
            return tabular_models.TabularClassifier(preprocessing, members, temperature)
        first = members[0]
        n_outputs = first.n_outputs // 2 if first.is_gaussian else first.n_outputs
        if any(member.loss != first.loss for member in members):
            raise ValueError("the members have different losses")
        limits = read_limits(fitted["limits"], len(members), n_outputs, self.reader)
        levels = None
        if first.loss == "quantile":
            quantile = node["members"][0]["params"]["quantile"]
            levels = check_levels(self.reader.value(quantile, "quantile"))
            if n_outputs % len(levels):
                raise ValueError("quantile does not fit the outputs")
        return tabular_models.TabularRegressor(preprocessing, members, limits, levels)
