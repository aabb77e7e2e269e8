"""Estimators for tables with numbers and categories, missing values included.

>>> from fastbp import tabular
"""

from fastbp.tabular.classifier import TabularMLPClassifier
from fastbp.tabular.preprocessor import TabularPreprocessor
from fastbp.tabular.regressor import TabularMLPRegressor

__all__ = ["TabularMLPClassifier", "TabularMLPRegressor", "TabularPreprocessor"]

for _public in map(globals().get, __all__):
    _public.__module__ = __name__
