"""Training runs a job and returns its course. It does not need scikit-learn."""

from fastbp.training.blocks import Blocks
from fastbp.training.course import Course, Epoch
from fastbp.training.dropout import MOST_SEED, lower_dropout
from fastbp.training.factors import FACTORS, Factor, factor_of
from fastbp.training.gradient import (
    GRADIENT_CHUNK,
    Gradient,
    WholeSums,
    chunk_size,
    empty_sums,
    n_chunks,
)
from fastbp.training.job import Engine, EpochSteps, Job, WholeGradient
from fastbp.training.keyed import keyed
from fastbp.training.minibatch import ranks_that_pay
from fastbp.training.objective import Objective
from fastbp.training.overflow import explain_loss
from fastbp.training.resume import checksum_of, replay_epochs, replay_order, small_state
from fastbp.training.rule import LBFGS, Optimizer, Rule
from fastbp.training.running import round_result, run
from fastbp.training.samples import Outline, Samples
from fastbp.training.schedules import SCHEDULES, Schedule
from fastbp.training.validation_set import ValidationSet
from fastbp.training.watches import Watch
from fastbp.training.windows import Windows, cut_blocks, joined_samples

__all__ = [
    "FACTORS",
    "GRADIENT_CHUNK",
    "LBFGS",
    "MOST_SEED",
    "SCHEDULES",
    "Blocks",
    "Course",
    "Engine",
    "Epoch",
    "EpochSteps",
    "Factor",
    "Gradient",
    "Job",
    "Objective",
    "Optimizer",
    "Outline",
    "Rule",
    "Samples",
    "Schedule",
    "ValidationSet",
    "Watch",
    "WholeGradient",
    "WholeSums",
    "Windows",
    "checksum_of",
    "chunk_size",
    "cut_blocks",
    "empty_sums",
    "explain_loss",
    "factor_of",
    "joined_samples",
    "keyed",
    "lower_dropout",
    "n_chunks",
    "ranks_that_pay",
    "replay_epochs",
    "replay_order",
    "round_result",
    "run",
    "small_state",
    "watches",
]
