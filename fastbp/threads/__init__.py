"""Threads of fits and predictions: number of ranks, single-threaded BLAS, the team of ranks."""

from fastbp.threads.blas import single_threaded_blas
from fastbp.threads.cores import MOST_RANKS, available_cores, call_cost, step_cost
from fastbp.threads.team import Team, team

__all__ = [
    "MOST_RANKS",
    "Team",
    "available_cores",
    "call_cost",
    "single_threaded_blas",
    "step_cost",
    "team",
]
