"""Converters for skl2onnx, which exports pipelines of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastbp.onnx.classes import STRINGS
from fastbp.onnx.convert import LEAST_OPSET, ML_OPSET, OPSET
from fastbp.onnx.graph import ML, Graph, Names, Tensor
from fastbp.onnx.models import EXPORTS, OF_TABLES, export_of
from fastbp.onnx.package import dtype_of
from fastbp.onnx.plan import Export, Input, Output

OPTIONS_OF_CLASSIFIERS = {
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
    "nocl": [False],
}
OPTIONS_OF_REGRESSORS = {"return_std": [False, True]}


def register() -> None:
    """Let skl2onnx convert the estimators of fastbp, also in pipelines of scikit-learn.

    All models that `to_onnx` takes can then be parts of what `skl2onnx.to_onnx` converts. It may be
    called more than once.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Notes
    -----
    The input types that skl2onnx is given decide the precision. Classifiers have the options
    `zipmap` (default True, as for scikit-learn's classifiers) and `output_class_labels`; several
    targets have no maps. Regressors have the option `return_std` for the output `std`. A tabular
    estimator takes its columns one by one, or columns of one type together.
    """
    skl2onnx = _skl2onnx()
    for kind in EXPORTS:
        is_classifier, is_regressor = hasattr(kind, "predict_proba"), hasattr(kind, "predict")
        options: dict[str, Any] = {}
        if is_classifier:
            options = OPTIONS_OF_CLASSIFIERS
        elif is_regressor:
            options = OPTIONS_OF_REGRESSORS
        skl2onnx.update_registered_converter(
            kind,
            f"Fastbp{kind.__name__}",
            _set_types,
            _convert,
            parser=_parse_classifier if is_classifier else _parse,
            options=options,
        )


def _skl2onnx() -> Any:
    """The package skl2onnx, or an ImportError that says how to install it."""
    try:
        import skl2onnx
    except ImportError as error:
        raise ImportError(
            "fastbp.onnx.register needs the package skl2onnx, which is not installed: pip install "
            "skl2onnx"
        ) from error
    return skl2onnx


# ---- skl2onnx calls these in turn: parsers declare outputs, then their types are set, then
# converters write nodes


def _parse_classifier(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """Declare label and probabilities as skl2onnx does it; of several targets those of each."""
    check_is_fitted(model)
    if isinstance(model.classes_, list):
        return _parse(scope, model, inputs, custom_parsers)
    from skl2onnx._parse import _parse_sklearn_classifier

    return _parse_sklearn_classifier(scope, model, inputs, custom_parsers)


def _parse(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """Declare the outputs that `to_onnx` gives; `std` only if it is asked for."""
    from skl2onnx._supported_operators import _get_sklearn_operator_name

    operator = scope.declare_local_operator(_get_sklearn_operator_name(type(model)), model)
    operator.inputs = inputs
    for output in _rehearsed(scope, operator):
        operator.outputs.append(scope.declare_local_variable(output.name, _type_of(output, None)))
    return operator.outputs


def _set_types(operator: Any) -> None:
    """Set the types of the declared outputs."""
    rows, outputs = (
        operator.inputs[0].get_first_dimension(),
        _rehearsed(operator.scope_inst, operator),
    )
    for variable, output in zip(operator.outputs, outputs, strict=True):
        variable.set_type(_type_of(output, rows))


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Write the nodes of a model into the graph of skl2onnx."""
    newest = container.target_opset_any_domain("")
    if newest < LEAST_OPSET:
        raise ValueError(f"target_opset must be {LEAST_OPSET} or more, got {newest}.")
    export = _export(operator)
    graph = Graph(scope.get_unique_variable_name, container.nodes, container.initializers)
    given = [_tensor_of(graph, variable) for variable in operator.inputs]
    outputs = export.write(graph, _columns(given, operator, export.inputs))
    for variable, output in zip(
        operator.outputs, _wanted(scope, operator.raw_operator, outputs), strict=True
    ):
        output.tensor.op("Identity", name=variable.full_name)
    versions = {"": min(newest, OPSET), ML: ML_OPSET}
    pairs = {(domain, versions[domain]) for domain in graph.domains}
    container.node_domain_version_pair_sets.update(pairs)


def _rehearsed(scope: Any, operator: Any) -> list[Output]:
    """The outputs of a model, written to a graph that is thrown away."""
    export, graph = _export(operator), Graph(Names())
    tensors = [Tensor(graph, one.name, one.dtype) for one in export.inputs]
    return _wanted(scope, operator.raw_operator, export.write(graph, tensors))


def _wanted(scope: Any, model: Any, outputs: list[Output]) -> list[Output]:
    """The outputs that the options ask for. Maps are made of float32 alone."""
    options = scope.get_options(model, {"return_std": False}, fail=False) or {}
    outputs = [one for one in outputs if one.name != "std" or options["return_std"]]
    if not _feeds_maps(scope, model):
        return outputs
    return [
        one if one.classes is None else one._replace(tensor=one.tensor.cast(np.float32))
        for one in outputs
    ]


def _feeds_maps(scope: Any, model: Any) -> bool:
    """Whether probabilities of a model become maps: its own, or those of what it is the last of.

    Inside of others, such as `VotingClassifier`, it has the option `zipmap`, but there are no maps.
    """
    for operator in scope.operators.values():
        if operator.type != "SklearnZipMap":
            continue
        source = operator.inputs[-1].operators_outputs_[0].raw_operator
        while source is not None:
            if source is model:
                return True
            ends = getattr(source, "best_estimator_", None), getattr(source, "steps", None)
            source = ends[1][-1][1] if ends[1] else ends[0]
    return False


def _export(operator: Any) -> Export:
    """The export of an operator's model, in double if its inputs are; tables have their own."""
    model = operator.raw_operator
    if isinstance(model, OF_TABLES):
        return export_of(model, None, "X")
    is_double = any(_dtype_of(variable) == np.float64 for variable in operator.inputs)
    return export_of(model, np.float64 if is_double else np.float32, "X")


def _columns(given: list[Tensor], operator: Any, wanted: list[Input]) -> list[Tensor]:
    """The inputs of a model, made of the tensors that skl2onnx has."""
    model, of_tables = operator.raw_operator, isinstance(operator.raw_operator, OF_TABLES)
    widths = [_width_of(variable) for variable in operator.inputs]
    n_wanted, is_known = sum(one.width for one in wanted), None not in widths
    if (sum(widths) != n_wanted) if is_known else of_tables:
        raise ValueError(
            f"{type(model).__name__} was fitted on {n_wanted} columns, got "
            f"{sum(widths) if is_known else 'an unknown number'}: initial_types must name all of "
            "them, in their order."
        )
    if not of_tables:
        return [given[0].graph.concat([_as_wanted(tensor, wanted[0]) for tensor in given])]
    columns = []
    for tensor, width in zip(given, widths, strict=True):
        places = [(k, k + 1) for k in range(width)]
        columns += [tensor] if width == 1 else [tensor.columns(*pair) for pair in places]
    return [_as_wanted(*pair) for pair in zip(columns, wanted, strict=True)]


def _width_of(variable: Any) -> Any:
    """The number of columns of a variable of skl2onnx; None if it is not known."""
    shape = variable.type.shape
    return shape[1] if len(shape) == 2 and isinstance(shape[1], int) else None


def _as_wanted(column: Tensor, wanted: Input) -> Tensor:
    """A column in the dtype that the model needs; TypeError for strings in place of numbers."""
    if (column.dtype == STRINGS) != (wanted.dtype == STRINGS):
        words = {True: "strings", False: "numbers"}
        raise TypeError(
            f"the column {wanted.name!r} was fitted as {words[wanted.dtype == STRINGS]}, but "
            f"initial_types has {words[column.dtype == STRINGS]}."
        )
    return column.cast(wanted.dtype)


def _tensor_of(graph: Graph, variable: Any) -> Tensor:
    return Tensor(graph, variable.full_name, _dtype_of(variable))


def _dtype_of(variable: Any) -> np.dtype[Any]:
    """The dtype of a variable of skl2onnx."""
    return dtype_of(variable.type._get_element_onnx_type())


def _type_of(output: Output, rows: Any) -> Any:
    """skl2onnx's type of an output."""
    from skl2onnx.common import data_types

    names = {np.float32: "Float", np.float64: "Double", np.int64: "Int64", np.object_: "String"}
    kind = getattr(data_types, f"{names[output.tensor.dtype.type]}TensorType")
    return kind([rows, *output.shape])
