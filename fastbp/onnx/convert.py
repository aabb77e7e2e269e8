"""`to_onnx`: a fitted model as a ModelProto."""

from __future__ import annotations

import json
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

from numpy.typing import DTypeLike

import fastbp
from fastbp.estimators.inputs import check_bool
from fastbp.onnx.classes import write_maps
from fastbp.onnx.graph import Graph, Names, Tensor
from fastbp.onnx.models import export_of
from fastbp.onnx.package import element_type, onnx_package
from fastbp.onnx.plan import Output
from fastbp.tabular.table import check_dtype

if TYPE_CHECKING:
    import onnx

OPSET = 17
LEAST_OPSET = 13  # before it, operators have other inputs
ML_OPSET = 2


def to_onnx(
    model: Any,
    *,
    dtype: DTypeLike | None = None,
    zipmap: bool = False,
    opset: int = OPSET,
    input_name: str = "X",
) -> onnx.ModelProto:
    """Convert a fitted model to a graph of ONNX.

    The graph gives what the model predicts, up to rounding. ONNX Runtime and others run it, in many
    languages and without fastbp.

    Parameters
    ----------
    model : object
        A fitted `MLPClassifier` or `MLPRegressor`, or a fitted estimator of `fastbp.ensemble` or
        `fastbp.tabular`. It is not changed. Pipelines of scikit-learn are converted by skl2onnx,
        after `register`.
    dtype : {numpy.float32, numpy.float64}, default=None
        The dtype of the input, and of all computations. None: the dtype of the weights. The numbers
        of a table always enter and are scaled in float64; then this is the dtype of the networks.
    zipmap : bool, default=False
        Whether probabilities are a list of dicts from class to probability, in float32, as by
        default in skl2onnx; else they are a tensor.
    opset : int, default=17
        The version of ONNX's operators, from 13 to the newest one of the package onnx. An older
        runtime needs an older one.
    input_name : str, default="X"
        The name of the input. A tabular estimator has an input for each column instead, with its
        name ("x0", "x1", ... if columns have no names).

    Returns
    -------
    model : onnx.ModelProto
        ``model.SerializeToString()`` are the bytes of a file. `metadata_props` has the class of the
        estimator, the version of fastbp, and the names of the features if there are any, as JSON.

    Raises
    ------
    TypeError
        If there is no such graph: for classes that are dates, or a subclass with its own `predict`.
    ValueError
        If a parameter is not valid.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    ImportError
        If the package onnx is not installed (the extra `onnx`).

    Notes
    -----
    **Outputs** have the names that skl2onnx gives them. A classifier has `label` and
    `probabilities`: a row of labels, and a column of probabilities for each class. Labels are
    strings, integers of 64 bits (also for bools), or doubles. Multilabel labels are an indicator
    matrix. Several targets have `label_0`, `label_1`, ..., `probabilities_0`, ... A regressor has
    `variable`, with a column for each output, also if there is only one; and `std` where `predict`
    takes ``return_std=True``. If an input has the name of an output, then the name of the output
    ends in a number.

    **Columns of a table** are tensors with one column. Numbers, and categories that are numbers or
    bools, are float64: NaN is missing. Categories that are integers beyond 2^53 are int64.
    Categories that are strings are strings. A missing value is a string that is no category, such
    as "".

    Inputs are not checked. NaN in a row of numbers gives NaN, or any number.

    Examples
    --------
    >>> from fastbp import MLPClassifier
    >>> from fastbp.onnx import to_onnx
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
    >>> clf = MLPClassifier((), solver="lbfgs", random_state=0).fit(X, y)
    >>> graph = to_onnx(clf).graph
    >>> [output.name for output in graph.output]
    ['label', 'probabilities']
    """
    check_bool(zipmap, "zipmap")
    dtype = None if dtype is None else check_dtype(dtype)
    helper, opset = onnx_package().helper, _checked_opset(opset)
    if not isinstance(input_name, str) or not input_name:
        raise ValueError(f"input_name must be a string that is not empty, got {input_name!r}.")
    export = export_of(model, dtype, input_name)
    names = Names([one.name for one in export.inputs])
    graph = Graph(names)
    outputs = export.write(graph, [Tensor(graph, one.name, one.dtype) for one in export.inputs])
    if zipmap and all(output.classes is None for output in outputs):
        raise ValueError(
            f"zipmap=True is for the probabilities of classifiers, got {type(model).__name__}."
        )
    values = [_named(output, names(output.name), zipmap) for output in outputs]
    inputs = [_value(one.name, one.dtype, [one.width]) for one in export.inputs]
    kind = type(model).__name__
    versions = {domain: ML_OPSET if domain else opset for domain in sorted(graph.domains)}
    proto = helper.make_model(
        helper.make_graph(graph.nodes, kind, inputs, values, graph.constants),
        producer_name="fastbp",
        producer_version=fastbp.__version__,
        opset_imports=[helper.make_opsetid(*pair) for pair in versions.items()],
    )
    proto.ir_version = helper.find_min_ir_version_for(proto.opset_import)
    helper.set_model_props(proto, _metadata(model))
    return proto


def _checked_opset(opset: Any) -> int:
    """The version of the operators; ValueError if it is none that the graphs can have."""
    newest = onnx_package().defs.onnx_opset_version()
    is_integer = isinstance(opset, Integral) and not isinstance(opset, bool)
    if not is_integer or not LEAST_OPSET <= int(opset) <= newest:
        raise ValueError(f"opset must be an integer from {LEAST_OPSET} to {newest}, got {opset!r}.")
    return int(opset)


def _named(output: Output, name: str, zipmap: bool) -> Any:
    """Write the node that gives an output its name; the type of the output."""
    if zipmap and output.classes is not None:
        return write_maps(output, name)
    output.tensor.op("Identity", name=name)
    return _value(name, output.tensor.dtype, output.shape)


def _value(name: str, dtype: DTypeLike, shape: Sequence[int]) -> Any:
    """The type of an input or an output, of any number of rows."""
    make = onnx_package().helper.make_tensor_value_info
    return make(name, element_type(dtype), [None, *shape])


def _metadata(model: Any) -> dict[str, str]:
    """What a graph says about the model that it was made of."""
    found = {"class": type(model).__name__, "fastbp_version": fastbp.__version__}
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        found["feature_names"] = json.dumps(names.tolist())
    return found
