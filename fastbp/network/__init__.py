"""The network: plan, parameters and initial weights."""

from fastbp.network.initializers import INITIALIZERS
from fastbp.network.network import (
    EXAMINE_CHUNK,
    LEAST_CHUNK,
    PREDICT_CHUNK,
    Network,
    allocate,
    assemble,
    chunk_rows,
    count_params,
    count_rows,
    hidden_activations,
    make_plan,
    row_slice,
    trace,
)

__all__ = [
    "EXAMINE_CHUNK",
    "INITIALIZERS",
    "LEAST_CHUNK",
    "PREDICT_CHUNK",
    "Network",
    "allocate",
    "assemble",
    "chunk_rows",
    "count_params",
    "count_rows",
    "hidden_activations",
    "make_plan",
    "row_slice",
    "trace",
]
