"""The network: plan, parameters, initial weights, and inference."""

from fastbp.network.activations import (
    assemble,
    hidden_activations,
    trace_activation,
    trace_loss,
)
from fastbp.network.inference import (
    LEAST_CHUNK,
    PREDICT_CHUNK,
    chunk_rows,
    count_rows,
    for_each_chunk,
    predict_chunks,
    row_slice,
)
from fastbp.network.initializers import INITIALIZERS
from fastbp.network.network import Network, check_arrays, params_dtype
from fastbp.network.plan import PLAN, count_params, make_plan, split_params
from fastbp.network.scratch import allocate, epoch_use

__all__ = [
    "INITIALIZERS",
    "LEAST_CHUNK",
    "PLAN",
    "PREDICT_CHUNK",
    "Network",
    "allocate",
    "assemble",
    "check_arrays",
    "chunk_rows",
    "count_params",
    "count_rows",
    "epoch_use",
    "for_each_chunk",
    "hidden_activations",
    "make_plan",
    "params_dtype",
    "predict_chunks",
    "row_slice",
    "split_params",
    "trace_activation",
    "trace_loss",
]
