"""The form of the data, which is the same for all its parts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastbp.estimators.inputs import CheckedMatrix
from fastbp.network import params_dtype


class Form(NamedTuple):
    """How X and the weights of a part come."""

    is_sparse: bool
    dtype: np.dtype[Any]  # of X, after scikit-learn's checks
    is_weighted: bool  # whether there are sample weights

    @classmethod
    def of(cls, X: CheckedMatrix, sample_weight: Any) -> Form:
        """The form of checked X and of weights as they were given."""
        dtype = params_dtype([X.dtype])
        return cls(not isinstance(X, np.ndarray), dtype, sample_weight is not None)

    def check(self, other: Form) -> None:
        """Raise ValueError if another part has not this form."""
        wrong = ""
        if self.is_sparse != other.is_sparse:
            forms = ["sparse" if one.is_sparse else "dense" for one in (self, other)]
            wrong = f"X is {forms[1]}, before it was {forms[0]}"
        elif self.dtype != other.dtype:
            wrong = f"X has the dtype {other.dtype}, before it had {self.dtype}"
        elif self.is_weighted != other.is_weighted:
            wrong = "there are sample weights for some rows and none for others"
        if wrong:
            raise ValueError(f"{wrong}: all rows must have the same form.")
