"""Computational graphs: values forward, derivatives backward.

    >>> from fastbp import graph as fg
    >>> price, number, tax = fg.Variable(100.0), fg.Variable(2.0), fg.Variable(1.1)
    >>> total = price * number * tax
    >>> total.backward()
    >>> print(f"{total.value:.9g} {price.grad:.9g}")
    220 2.2

An operation on Variables gives a Variable, which knows its inputs. The same functions also take
plain numbers and arrays.
"""

from fastbp.graph import operations
from fastbp.graph.expression import Expression
from fastbp.graph.operations import *  # noqa: F403
from fastbp.graph.operations import absolute as abs
from fastbp.graph.operations import operation_named
from fastbp.graph.operations import total as sum
from fastbp.graph.reverse import Adjoint
from fastbp.graph.variable import Variable, primitive

__all__ = ["Expression", "Variable", "abs", "primitive", "sum"]
__all__ += operations.__all__

# Users and pickles find everything under the name of this module, so that files can move.
# Only pickles need `operation_named` and `Adjoint`.
for _public in (
    Expression,
    Variable,
    primitive,
    operation_named,
    Adjoint,
    *operations.FUNCTIONS.values(),
):
    _public.__module__ = __name__
