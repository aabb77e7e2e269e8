"""The package onnx, imported when something is exported."""

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike


def onnx_package() -> ModuleType:
    """The package onnx, or an ImportError that says how to install it."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            "fastbp.onnx needs the package onnx, which is not installed: pip install 'fastbp[onnx]'"
        ) from error
    return onnx


def element_type(dtype: DTypeLike) -> int:
    """ONNX's number of a dtype; object is that of strings."""
    code: int = onnx_package().helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return code


def dtype_of(code: int) -> np.dtype[Any]:
    """The dtype with a number of ONNX; object is that of strings."""
    return np.dtype(onnx_package().helper.tensor_dtype_to_np_dtype(code))
