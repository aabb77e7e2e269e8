"""Models in other languages: `to_c` writes the prediction of a fitted model as C.

>>> from fastbp.export import to_c
"""

from fastbp.export.c_model import to_c

to_c.__module__ = __name__

__all__ = ["to_c"]
