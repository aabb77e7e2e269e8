"""All models that can be exported, by class."""

from __future__ import annotations

from typing import Any

from numpy.typing import DTypeLike

from fastbp.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from fastbp.estimators import MLPClassifier, MLPRegressor
from fastbp.estimators.overrides import refuse_own_predictions
from fastbp.onnx import rows, tabular
from fastbp.onnx.plan import Export
from fastbp.tabular import TabularMLPClassifier, TabularMLPRegressor, TabularPreprocessor

EXPORTS = {
    MLPClassifier: rows.export_classifier,
    MLPRegressor: rows.export_regressor,
    MLPEnsembleClassifier: rows.export_classifiers,
    MLPEnsembleRegressor: rows.export_regressors,
    TabularMLPClassifier: tabular.export_classifier,
    TabularMLPRegressor: tabular.export_regressor,
    TabularPreprocessor: tabular.export_preprocessor,
}

OF_TABLES = (TabularMLPClassifier, TabularMLPRegressor, TabularPreprocessor)


def export_of(model: Any, dtype: DTypeLike | None, input_name: str) -> Export:
    """The export of a fitted model; `dtype` None is that of its weights."""
    for kind, export in EXPORTS.items():
        if isinstance(model, kind):
            refuse_own_predictions(model, [kind])
            return export(model, dtype, input_name)
    names = ", ".join(kind.__name__ for kind in EXPORTS)
    raise TypeError(
        f"model must be one of {names}, got {type(model).__name__}. Pipelines of scikit-learn are "
        "exported by skl2onnx, after fastbp.onnx.register()."
    )
