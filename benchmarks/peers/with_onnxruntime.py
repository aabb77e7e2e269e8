"""ONNX Runtime: the bare call of a session, for predictions only."""

import numpy as np
import onnxruntime
import workloads as w
from onnx import TensorProto, helper, numpy_helper

from peers import calls


def model(workload, layers):
    """Gemm, Relu, Gemm, Softmax."""
    nodes, weights, here = [], [], "X"
    for i, (W, b) in enumerate(layers):
        weights += [numpy_helper.from_array(W, f"W{i}"), numpy_helper.from_array(b, f"b{i}")]
        nodes.append(helper.make_node("Gemm", [here, f"W{i}", f"b{i}"], [f"z{i}"]))
        if i < len(layers) - 1:
            nodes.append(helper.make_node("Relu", [f"z{i}"], [f"a{i}"]))
        here = f"a{i}"
    nodes.append(helper.make_node("Softmax", [f"z{len(layers) - 1}"], ["P"], axis=1))
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, columns])
        for name, columns in (("X", workload.sizes[0]), ("P", workload.sizes[-1]))
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def prepare(workload, X, y, way):
    layers = w.initial(workload, np.random.RandomState(0), X.dtype)
    options = onnxruntime.SessionOptions()
    if way["cores"] == 1:
        options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model(workload, layers).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    run = session.run
    return calls(lambda X: run(None, {"X": X})[0], X[: workload.rows])
