"""Fitted models as graphs of ONNX, which other programs run without fastbp and without Python.

>>> from fastbp import onnx

It needs the package of the same name, the extra `onnx`.
"""

from fastbp.onnx.convert import to_onnx
from fastbp.onnx.pipelines import register

__all__ = ["register", "to_onnx"]

for _public in map(globals().get, __all__):
    _public.__module__ = __name__
