"""Scores with the bits of `sklearn.metrics`, without its checks of arrays that need none.

Each is made of the true targets and called with predictions. The checks that it leaves out take a
hundred times as long as the score of a few samples. What it cannot take as it is goes to
scikit-learn.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators.scikit_learn import quantile_of_d2


class Score(ABC):
    """A score of predictions; plain data, which can be pickled."""

    def __init__(self, y_true: Any, sample_weight: Any) -> None:
        self.y_true, self.sample_weight = y_true, sample_weight
        self.is_plain = self._takes(y_true) and _are_plain_weights(sample_weight, y_true)

    def __call__(self, y_pred: Any) -> float:
        if self.is_plain and self._fits(y_pred):
            return self._score(y_pred)
        return float(self._ask(y_pred))

    @abstractmethod
    def _takes(self, y_true: Any) -> bool:
        """Whether the true targets need no check."""

    @abstractmethod
    def _fits(self, y_pred: Any) -> bool:
        """Whether predictions need no check beside such targets."""

    @abstractmethod
    def _score(self, y_pred: Any) -> float:
        """The score of predictions that need no check."""

    @abstractmethod
    def _ask(self, y_pred: Any) -> float:
        """scikit-learn's score."""


class Accuracy(Score):
    """`accuracy_score`: the share of labels, or of rows of indicators, without a mistake."""

    def _takes(self, y_true: Any) -> bool:
        return _are_plain_labels(y_true)

    def _fits(self, y_pred: Any) -> bool:
        return _are_alike(self.y_true, y_pred)

    def _score(self, y_pred: Any) -> float:
        is_right = self.y_true == y_pred
        rows = is_right if is_right.ndim == 1 else is_right.all(axis=1)
        if self.sample_weight is None:
            return float(np.count_nonzero(rows) / len(rows))  # the same bits
        return float(np.average(rows, weights=self.sample_weight))

    def _ask(self, y_pred: Any) -> float:
        from sklearn.metrics import accuracy_score  # imported late: it takes 18 ms

        return accuracy_score(self.y_true, y_pred, sample_weight=self.sample_weight)


class ShareOfRight:
    """The accuracy of columns from which classes are chosen, without decoding them.

    Parameters
    ----------
    choose : callable
        Function from columns, shape (n_samples, n_outputs), to the index of each row's class.
    true : ndarray of shape (n_samples, n_outputs)
        Indicators of the true classes.
    """

    def __init__(self, choose: Callable[[Any], NDArray[Any]], true: NDArray[Any]) -> None:
        self.choose, self.indices = choose, choose(true)

    def __call__(self, columns: NDArray[np.floating], _: Any = None) -> float:
        is_right = self.choose(columns) == self.indices
        return float(np.count_nonzero(is_right) / len(is_right))


class _OfNumbers(Score):
    """A score of numbers."""

    def _takes(self, y_true: Any) -> bool:
        return _are_plain_numbers(y_true)

    def _fits(self, y_pred: Any) -> bool:
        if not _are_plain_numbers(y_pred) or y_pred.dtype.kind != "f":
            return False
        return len(y_pred) == len(self.y_true) and y_pred.size == self.y_true.size

    def _columns(self, y_pred: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Targets and predictions as matrices, in the widest dtype of these and the weights."""
        arrays = [self.y_true, y_pred]
        arrays += [] if self.sample_weight is None else [self.sample_weight]
        dtype = np.result_type(*(one.dtype for one in arrays if one.dtype.kind == "f"))
        true, pred = (one.astype(dtype, copy=False).reshape(len(one), -1) for one in arrays[:2])
        return true, pred


class R2(_OfNumbers):
    """`r2_score`: 1 - sum w (y - p)^2 / sum w (y - mean)^2, the mean over outputs."""

    def _score(self, y_pred: Any) -> float:
        true, pred = self._columns(y_pred)
        mean = np.average(true, axis=0, weights=self.sample_weight)
        weight = 1.0 if self.sample_weight is None else self.sample_weight[:, None]
        unexplained = np.sum(weight * (true - pred) ** 2, axis=0)
        return _explained(unexplained, np.sum(weight * (true - mean) ** 2, axis=0))

    def _ask(self, y_pred: Any) -> float:
        from sklearn.metrics import r2_score

        return r2_score(self.y_true, y_pred, sample_weight=self.sample_weight)


class _D2OfColumn(_OfNumbers):
    """`d2_pinball_score` at one level. The quantile of the targets is found once."""

    def __init__(self, y_true: Any, sample_weight: Any, level: np.float64) -> None:
        super().__init__(y_true, sample_weight)
        self.level, self.quantiles = level, dict[np.dtype[Any], Any]()

    def _score(self, y_pred: Any) -> float:
        true, pred = self._columns(y_pred)
        if true.dtype not in self.quantiles:
            self.quantiles[true.dtype] = quantile_of_d2(true, self.sample_weight, self.level)
        quantile = self.quantiles[true.dtype]
        if quantile is None:
            return float(self._ask(y_pred))
        return _explained(
            _pinball(true, pred, self.sample_weight, self.level),
            _pinball(true, quantile, self.sample_weight, self.level),
        )

    def _ask(self, y_pred: Any) -> float:
        from sklearn.metrics import d2_pinball_score

        weight = self.sample_weight
        return d2_pinball_score(self.y_true, y_pred, sample_weight=weight, alpha=self.level)


class D2Pinball:
    """`d2_pinball_score`: 1 - loss / loss of the constant quantile, the mean over columns.

    The levels belong to the columns in turn.
    """

    def __init__(self, y_true: Any, sample_weight: Any, levels: NDArray[np.float64]) -> None:
        self.columns = [
            _D2OfColumn(column, sample_weight, levels[k % len(levels)])
            for k, column in enumerate(_as_columns(y_true))
        ]

    def __call__(self, y_pred: Any) -> float:
        pairs = zip(self.columns, _as_columns(y_pred), strict=True)
        return float(np.mean([score(column) for score, column in pairs]))


def _as_columns(y: Any) -> list[NDArray[Any]]:
    """The columns of an array of one or two dimensions."""
    y = np.asarray(y)
    return list(y.reshape(len(y), -1).T)


def _pinball(
    true: NDArray[Any], pred: NDArray[Any], sample_weight: Any, level: np.float64
) -> NDArray[np.floating]:
    """The mean pinball loss of each column: level d where d = y - p >= 0, else (level - 1) d."""
    difference = true - pred
    above = (difference >= 0).astype(difference.dtype)
    loss = level * above * difference - (1 - level) * (1 - above) * difference
    return np.asarray(np.average(loss, weights=sample_weight, axis=0))


def _explained(unexplained: NDArray[Any], total: NDArray[Any]) -> float:
    """The mean over columns of 1 - unexplained / total, or of 1 for 0 / 0, or of 0 for x / 0."""
    scores = np.ones_like(unexplained)
    varies, differs = total != 0, unexplained != 0
    part = varies & differs
    scores[part] = 1 - unexplained[part] / total[part]
    scores[~varies & differs] = 0
    return float(np.average(scores))


# ---- what needs no check


def _are_plain_weights(sample_weight: Any, y: Any) -> bool:
    """Whether weights are None, or one float64 for each target, finite, >= 0 and not all 0."""
    if sample_weight is None:
        return True
    if type(sample_weight) is not np.ndarray or sample_weight.dtype != np.float64:
        return False
    return bool(
        sample_weight.shape == y.shape[:1]
        and sample_weight.min(initial=0) >= 0
        and 0 < sample_weight.sum() < np.inf
    )


def _are_plain_labels(y: Any) -> bool:
    """Whether labels are integers or strings, or an indicator matrix, without a need to warn."""
    if type(y) is not np.ndarray or y.ndim not in (1, 2) or not y.size or not y.dtype.isnative:
        return False
    if y.ndim == 2:
        return bool(y.dtype.kind in "biu" and y.shape[1] > 1 and ((y == 0) | (y == 1)).all())
    if y.dtype.kind == "O" and not all(type(label) is str for label in y.tolist()):
        return False
    if y.dtype.kind == "f" and not (np.isfinite(y) & (y == np.floor(y))).all():
        return False
    # With many classes scikit-learn warns that y may be a regression target.
    return y.dtype.kind in "biufUO" and (len(y) <= 20 or 2 * len(np.unique(y)) <= len(y))


def _are_alike(y_true: Any, y_pred: Any) -> bool:
    """Whether predictions are labels of the same kind; strings may be objects."""
    if type(y_pred) is not np.ndarray or y_pred.shape != y_true.shape:
        return False
    kinds = y_pred.dtype.kind + y_true.dtype.kind
    return kinds[0] == kinds[1] or kinds in ("UO", "OU")


def _are_plain_numbers(y: Any) -> bool:
    """Whether these are finite numbers in one or several columns, of two samples at least."""
    if type(y) is not np.ndarray or y.ndim not in (1, 2) or len(y) < 2 or not y.size:
        return False
    is_number = y.dtype.kind in "iu" or y.dtype in (np.float32, np.float64)
    return bool(is_number and y.dtype.isnative and np.isfinite(y).all())
