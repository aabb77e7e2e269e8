"""LiteRT: the interpreter with XNNPACK's kernels, for predictions only.

The file of the model is written here, as its converter belongs to another package. It has a fixed
number of rows, which are copied into the model's input.
"""

import os

import flatbuffers
import numpy as np
import workloads as w
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from peers import calls


def model(workload, layers):
    """Two kinds of operators: fully connected with relu, and softmax."""
    net, graph = schema.ModelT(), schema.SubGraphT()
    net.version, net.subgraphs, net.buffers = 3, [graph], [schema.BufferT()]
    graph.tensors, graph.operators = [], []

    def tensor(shape, data=None):
        """The number of a new tensor, which is constant if there are data."""
        made, buffer = schema.TensorT(), schema.BufferT()
        if data is not None:
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        net.buffers.append(buffer)
        made.shape, made.type = list(shape), schema.TensorType.FLOAT32
        made.buffer, made.name = len(net.buffers) - 1, f"t{len(graph.tensors)}".encode()
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    def operator(code, inputs, output, kind, options):
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, inputs, [output]
        made.builtinOptionsType, made.builtinOptions = kind, options
        graph.operators.append(made)

    net.operatorCodes = []
    for code in (schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOperator.SOFTMAX):
        made = schema.OperatorCodeT()
        made.builtinCode = made.deprecatedBuiltinCode = code
        made.version = 1
        net.operatorCodes.append(made)
    here = tensor((workload.rows, workload.sizes[0]))
    graph.inputs = [here]
    for i, (W, b) in enumerate(layers):
        options = schema.FullyConnectedOptionsT()
        if i < len(layers) - 1:
            options.fusedActivationFunction = schema.ActivationFunctionType.RELU
        inputs = [here, tensor(W.T.shape, W.T), tensor(b.shape, b)]
        here = tensor((workload.rows, len(b)))
        operator(0, inputs, here, schema.BuiltinOptions.FullyConnectedOptions, options)
    softmax = schema.SoftmaxOptionsT()
    softmax.beta = 1.0
    raw, here = here, tensor((workload.rows, workload.sizes[-1]))
    operator(1, [raw], here, schema.BuiltinOptions.SoftmaxOptions, softmax)
    graph.outputs = [here]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(net.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def prepare(workload, X, y, way):
    layers = w.initial(workload, np.random.RandomState(0), X.dtype)
    threads = 1 if way["cores"] == 1 else len(os.sched_getaffinity(0))
    interpreter = Interpreter(model_content=model(workload, layers), num_threads=threads)
    interpreter.allocate_tensors()
    into, out = (
        details[0]["index"]
        for details in (interpreter.get_input_details(), interpreter.get_output_details())
    )

    def predict(X):
        interpreter.set_tensor(into, X)
        interpreter.invoke()
        return interpreter.get_tensor(out)

    return calls(predict, X[: workload.rows])
