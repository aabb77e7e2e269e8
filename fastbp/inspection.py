"""Looking inside: what the layers of a fitted network do, in numbers and in pictures.

>>> from fastbp import inspection

Displays follow scikit-learn's: `from_estimator` makes and draws one, `plot` draws it again, `ax_`
and `figure_` are where. They need matplotlib, the extra `plot`. Of regions of decision
`sklearn.inspection.DecisionBoundaryDisplay` makes the picture, with these estimators as with all.
"""

from fastbp._displays import GradientFlowDisplay, LossCurveDisplay, WeightsDisplay
from fastbp._layers import LayerStatistics, activations, input_gradients, layer_statistics
from fastbp._network_display import NetworkDisplay

__all__ = [
    "GradientFlowDisplay", "LayerStatistics", "LossCurveDisplay", "NetworkDisplay",
    "WeightsDisplay", "activations", "input_gradients", "layer_statistics",
]  # fmt: skip
