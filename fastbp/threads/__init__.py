"""Threads of fits and predictions: number of ranks, single-threaded BLAS, the team of ranks."""

from fastbp.threads.ahead import ahead
from fastbp.threads.blas import single_threaded_blas
from fastbp.threads.cores import (
    MOST_RANKS,
    Cost,
    available_cores,
    blocks_of,
    call_cost,
    cheapest,
    step_cost,
)
from fastbp.threads.team import Team, team

__all__ = [
    "MOST_RANKS",
    "Cost",
    "Team",
    "ahead",
    "available_cores",
    "blocks_of",
    "call_cost",
    "cheapest",
    "single_threaded_blas",
    "step_cost",
    "team",
]
