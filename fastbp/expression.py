"""`Expression` of `fastbp.graph`, under its first path."""

from fastbp.graph.expression import ACTIVATION, LOSS, Expression

__all__ = ["ACTIVATION", "LOSS", "Expression"]
