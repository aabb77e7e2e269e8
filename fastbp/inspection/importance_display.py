"""The importance of features as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from fastbp.inspection import plot
from fastbp.inspection.importance import feature_importance
from fastbp.inspection.words import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class FeatureImportanceDisplay:
    """The importance of features as horizontal bars, the most important one first.

    Made by `from_estimator`; all parameters are stored as attributes.

    Parameters
    ----------
    importances_mean : array-like of shape (n_features,)
        The length of each bar.
    importances_std : array-like of shape (n_features,), default=None
        Half the length of each error bar; None or zeros: no error bars.
    feature_names : array-like of str of shape (n_features,), default=None
        Names of the features; None: "x0", "x1", ...

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Axes and figure of the bars.
    bars_ : matplotlib BarContainer
        The bars, from the most important feature on.

    See Also
    --------
    feature_importance : The importance itself.
    """

    def __init__(
        self,
        *,
        importances_mean: ArrayLike,
        importances_std: ArrayLike | None = None,
        feature_names: ArrayLike | None = None,
    ) -> None:
        self.importances_mean = importances_mean
        self.importances_std = importances_std
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        max_features: int | None = 20,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the importance of the features of a fitted estimator.

        Parameters
        ----------
        estimator : TabularMLPClassifier, TabularMLPRegressor, MLPClassifier or MLPRegressor
            Fitted.
        X : {DataFrame, array-like, sparse matrix} of shape (n_samples, n_features)
            The rows that contributions are computed for.
        max_features : int or None, default=20
            The number of features to show, the most important ones; None shows all.
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a new figure.
        **kwargs
            For `matplotlib.axes.Axes.barh`.

        Returns
        -------
        display : FeatureImportanceDisplay

        Raises
        ------
        TypeError, ValueError
            As `feature_importance`.
        """
        found = feature_importance(estimator, X)
        display = cls(
            importances_mean=found.importances_mean,
            importances_std=found.importances_std,
            feature_names=found.feature_names,
        )
        return display.plot(ax, max_features=max_features, **kwargs)

    def plot(self, ax: Axes | None = None, *, max_features: int | None = 20, **kwargs: Any) -> Self:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a new figure.
        max_features : int or None, default=20
            The number of features to show, the most important ones; None shows all.
        **kwargs
            For `matplotlib.axes.Axes.barh`.

        Returns
        -------
        self : FeatureImportanceDisplay

        Raises
        ------
        ValueError
            If `max_features` is below 1.
        """
        if max_features is not None and max_features < 1:
            raise ValueError(f"max_features must be at least 1 or None, got {max_features!r}")
        mean = np.asarray(self.importances_mean, np.float64)
        std = np.zeros_like(mean)
        if self.importances_std is not None:
            std = np.asarray(self.importances_std, np.float64)
        names = [f"x{j}" for j in range(len(mean))]
        if self.feature_names is not None:
            names = [str(name) for name in np.asarray(self.feature_names, object)]
        shown = np.argsort(-mean, kind="stable")[:max_features]
        size = 6, 1 + 0.27 * len(shown)
        self.figure_, self.ax_ = plot.axes("FeatureImportanceDisplay", ax, figsize=size)
        bars: dict[str, Any] = {"color": plot.BLUE, "height": 0.7}
        if std.any():
            bars |= {"xerr": std[shown], "error_kw": {"ecolor": plot.INK, "elinewidth": 1}}
        places = np.arange(len(shown))
        self.bars_ = self.ax_.barh(places, mean[shown], **{**bars, **kwargs})
        self.ax_.set_yticks(places, [shortened(names[j]) for j in shown])
        self.ax_.set(ylim=(len(shown) - 0.4, -0.6), xlim=(0, None))
        self.ax_.set_xlabel("root mean square contribution to the output")
        if len(shown) < len(mean):
            self.ax_.set_ylabel(f"{len(shown)} of {len(mean)} features")
        plot.quiet(self.ax_)
        self.ax_.grid(False, axis="y")
        self.ax_.tick_params(axis="y", length=0, labelcolor=plot.INK)
        return self
