"""Tables with numbers and categories, missing values included.

>>> from fastbp import tabular
"""

from fastbp.tabular.preprocessor import TabularPreprocessor

__all__ = ["TabularPreprocessor"]

for _public in map(globals().get, __all__):
    _public.__module__ = __name__
