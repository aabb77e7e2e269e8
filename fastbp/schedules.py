"""Schedules of the learning rate, for the parameter `learning_rate` with 'sgd' and 'adam'.

Each is a factor of `learning_rate_init`, of the step or of the epoch. They are plain data: equal by
value, and at home in a search.
"""

from fastbp.training.factors import Cosine, Coslog, Exponential, OneCycle, Step

__all__ = ["Cosine", "Coslog", "Exponential", "OneCycle", "Step"]
for _name in __all__:
    globals()[_name].__module__ = __name__
