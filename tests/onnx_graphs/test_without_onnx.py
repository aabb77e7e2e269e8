"""What needs no onnx: the tables of functions are complete, and errors say what to install."""

import sys

import numpy as np
import pytest

from fastbp import MLPRegressor
from fastbp.graph.operations import OPERATIONS, is_elementwise
from fastbp.kernels import core
from fastbp.onnx import register, to_onnx
from fastbp.onnx.activations import ACTIVATIONS, LINKS, OTHERS, SAME


def test_every_name_of_the_core_has_a_graph():
    assert list(ACTIVATIONS) == list(core.ACTIVATIONS)
    assert {*LINKS, "grouped_softmax"} == set(core.LINKS)


def test_every_operation_of_graphs_has_one():
    assert not SAME.keys() & OTHERS.keys()
    assert SAME.keys() | OTHERS.keys() == {name for name in OPERATIONS if is_elementwise(name)}


def test_missing_packages(monkeypatch):
    model = MLPRegressor.from_weights([np.ones((2, 1))], [np.zeros(1)], activation="relu")
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'fastbp\[onnx\]'"):
        to_onnx(model)
    with pytest.raises(ImportError, match="pip install skl2onnx"):
        register()
