"""OpenVINO: the call of a compiled model in float32 that reads X in place, for predictions only."""

import numpy as np
import openvino
import workloads as w

from peers import calls
from peers.with_onnxruntime import model


def prepare(workload, X, y, way):
    layers = w.initial(workload, np.random.RandomState(0), X.dtype)
    core = openvino.Core()
    read = core.read_model(model(workload, layers).SerializeToString())
    read.reshape({"X": [workload.rows, workload.sizes[0]]})
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if way["cores"] == 1:
        options["INFERENCE_NUM_THREADS"] = 1
    request = core.compile_model(read, "CPU", options).create_infer_request()
    X = np.ascontiguousarray(X[: workload.rows])

    def predict(X):
        return request.infer([X], share_inputs=True, share_outputs=True)[0]

    return calls(predict, X)
