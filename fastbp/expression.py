"""The class Expression of `fastbp.graph`, under the path that it had first."""

from fastbp.graph.expression import ACTIVATION, LOSS, Expression

__all__ = ["ACTIVATION", "LOSS", "Expression"]
