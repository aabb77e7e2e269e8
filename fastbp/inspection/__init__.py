"""Inspection of fitted networks: activations, derivatives, importance of features, and pictures.

>>> from fastbp import inspection

Displays follow scikit-learn's conventions: `from_estimator` makes and draws one, `plot` draws it
again, and `ax_` and `figure_` hold the axes and the figure. They need matplotlib, the extra `plot`.
For decision regions, use `sklearn.inspection.DecisionBoundaryDisplay` with these estimators.
"""

from fastbp.inspection.displays import GradientFlowDisplay, LossCurveDisplay, WeightsDisplay
from fastbp.inspection.importance import feature_importance
from fastbp.inspection.importance_display import FeatureImportanceDisplay
from fastbp.inspection.layers import activations, input_gradients
from fastbp.inspection.network_display import NetworkDisplay
from fastbp.inspection.statistics import LayerStatistics, layer_statistics

__all__ = [
    "FeatureImportanceDisplay",
    "GradientFlowDisplay",
    "LayerStatistics",
    "LossCurveDisplay",
    "NetworkDisplay",
    "WeightsDisplay",
    "activations",
    "feature_importance",
    "input_gradients",
    "layer_statistics",
]

for _public in map(globals().get, __all__):
    _public.__module__ = __name__
