"""Looking inside: what the layers of a fitted network do, in numbers and in pictures.

>>> from fastbp import inspection

Displays follow scikit-learn's: `from_estimator` makes and draws one, `plot` draws it again, `ax_`
and `figure_` are where. They need matplotlib, the extra `plot`. Of regions of decision
`sklearn.inspection.DecisionBoundaryDisplay` makes the picture, with these estimators as with all.
"""

from fastbp.inspection.displays import GradientFlowDisplay, LossCurveDisplay, WeightsDisplay
from fastbp.inspection.layers import activations, input_gradients
from fastbp.inspection.network_display import NetworkDisplay
from fastbp.inspection.statistics import LayerStatistics, layer_statistics

__all__ = [
    "GradientFlowDisplay",
    "LayerStatistics",
    "LossCurveDisplay",
    "NetworkDisplay",
    "WeightsDisplay",
    "activations",
    "input_gradients",
    "layer_statistics",
]

for _public in map(globals().get, __all__):
    _public.__module__ = __name__
