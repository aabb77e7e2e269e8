"""What a graph of a regressor gives: means and standard deviations, of one model or of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastbp.onnx.graph import Tensor
from fastbp.onnx.plan import Output


class Moments(NamedTuple):
    """Predictions, and their standard deviations if the model has any."""

    mean: Tensor
    std: Tensor | None = None

    def outputs(self, width: int) -> list[Output]:
        """The outputs of a graph; `width` is the number of columns of both."""
        found = [Output("variable", self.mean, [width])]
        if self.std is not None:
            found.append(Output("std", self.std, [width]))
        return found


def mixture(members: Sequence[Moments], size: Any = 1.0) -> Moments:
    """The mean of the members' predictions, and ``sqrt(mean(std ** 2) + var(mean))``, in double.

    `size` is about that of the predictions. They are divided by a power of two near it, so that
    their squares are numbers.
    """
    means = [member.mean for member in members]
    graph, unit = means[0].graph, np.ldexp(1.0, -np.clip(np.frexp(size)[1], -1000, 1000))
    doubles = [mean.cast(np.float64) * unit for mean in means]
    center = graph.mean(doubles)
    distances = [mean - center for mean in doubles]
    variance = graph.mean([distance * distance for distance in distances])
    noises = [member.std.cast(np.float64) * unit for member in members if member.std is not None]
    if len(noises) == len(members):
        variance = graph.mean([noise * noise for noise in noises]) + variance
    std = variance.op("Sqrt") / unit
    return Moments(graph.mean(means), std.cast(means[0].dtype))
