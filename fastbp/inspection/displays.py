"""Displays that follow scikit-learn's: the constructor stores the data, `plot` draws it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbp.estimators.base import BaseMLP
from fastbp.estimators.inputs import Matrix
from fastbp.inspection import plot
from fastbp.inspection.layers import fitted_network
from fastbp.inspection.statistics import layer_statistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class LossCurveDisplay:
    """Loss curves: training loss, validation loss and validation scores of each epoch.

    Made by `from_estimator`; all parameters are stored as attributes.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Training loss.
    validation_loss_curve : array-like of shape (n_epochs,), default=None
        Validation loss.
    validation_scores : array-like of shape (n_epochs,), default=None
        Validation scores.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Axes and figure of the curves.
    score_ax_ : matplotlib Axes or None
        The axes of the scores, on the right.
    lines_ : list of matplotlib Line2D
        Those of training loss, validation loss and validation scores that are shown.
    """

    def __init__(
        self,
        *,
        loss_curve: ArrayLike,
        validation_loss_curve: ArrayLike | None = None,
        validation_scores: ArrayLike | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.validation_scores = validation_scores

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseMLP,
        *,
        ax: Axes | None = None,
        scores: bool | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the loss curves of a fitted estimator.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            Fitted by 'adam' or 'sgd'; 'lbfgs' has no epochs.
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a new figure.
        scores : bool, default=None
            Whether to draw validation scores; None: only if there is no validation loss.
        **kwargs
            For `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        TypeError
            If the estimator is not one of fastbp.
        ValueError
            If there is no loss curve. `sklearn.exceptions.NotFittedError`, a subclass, if the
            estimator is not fitted.
        """
        fitted_network(estimator)
        curve = getattr(estimator, "loss_curve_", None)
        if not curve or estimator.solver == "lbfgs":
            raise ValueError(
                f"there is no loss curve: this {type(estimator).__name__} with "
                f"solver={estimator.solver!r} has not been trained by epochs. Fit it with "
                "solver='adam' or 'sgd'."
            )
        display = cls(
            loss_curve=curve,
            validation_loss_curve=getattr(estimator, "validation_loss_curve_", None),
            validation_scores=getattr(estimator, "validation_scores_", None),
        )
        return display.plot(ax, scores=scores, **kwargs)

    def plot(self, ax: Axes | None = None, *, scores: bool | None = None, **kwargs: Any) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a new figure.
        scores : bool, default=None
            Whether to draw validation scores; None: only if there is no validation loss.
        **kwargs
            For `matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : LossCurveDisplay
        """
        self.figure_, self.ax_ = plot.axes("LossCurveDisplay", ax, figsize=(6, 3.8))
        self.score_ax_, self.lines_ = None, []
        self._draw(self.ax_, self.loss_curve, "training loss", plot.BLUE, kwargs)
        validation = self.validation_loss_curve
        if validation is not None:
            self._draw(self.ax_, validation, "validation loss", plot.ORANGE, kwargs)
            losses = np.asarray(validation)
            if np.isfinite(losses).any():
                best = int(np.nanargmin(losses))
                self.ax_.plot(
                    best + 1,
                    losses[best],
                    "o",
                    color=plot.ORANGE,
                    markersize=5,
                    label=f"least, in epoch {best + 1}",
                )
        self.ax_.set(xlabel="epoch", ylabel="loss")
        self.ax_.margins(x=0.02)
        plot.quiet(self.ax_)
        show = validation is None if scores is None else scores
        if show and self.validation_scores is not None:
            self.score_ax_ = self.ax_.twinx()
            self._draw(
                self.score_ax_,
                self.validation_scores,
                "validation score",
                plot.GREY,
                dict(kwargs, linewidth=1.2),
            )
            self.score_ax_.set_ylabel("score")
            plot.quiet(self.score_ax_)
            self.score_ax_.grid(False)
            self.score_ax_.spines["left"].set_visible(False)
        handles, _ = self.ax_.get_legend_handles_labels()
        if self.score_ax_ is not None:
            # The score rises and the loss falls, so there is room in the middle. The axes of the
            # score are the upper ones: their legend covers the lines of both.
            plot.legend(self.score_ax_, handles=[*handles, *self.lines_[-1:]], loc="center right")
        elif len(handles) > 1:
            plot.legend(self.ax_, handles=handles)
        return self

    def _draw(
        self, ax: Axes, curve: ArrayLike, label: str, colour: str, options: dict[str, Any]
    ) -> None:
        options = {"color": colour, "linewidth": 1.8, **options, "label": label}
        self.lines_ += ax.plot(np.arange(1, np.size(curve) + 1), np.asarray(curve), **options)


class GradientFlowDisplay:
    """Root mean squares of delta and of the gradient in each layer, on a logarithmic axis.

    Backpropagation runs from right to left. Made by `from_estimator`; all parameters are stored as
    attributes.

    Parameters
    ----------
    delta_rms, gradient_rms : array-like of shape (n_layers,)
        Root mean squares, as in `LayerStatistics`.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Axes and figure of the lines.
    lines_ : list of matplotlib Line2D
        The lines of delta and gradient.
    """

    def __init__(self, *, delta_rms: ArrayLike, gradient_rms: ArrayLike) -> None:
        self.delta_rms = delta_rms
        self.gradient_rms = gradient_rms

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseMLP,
        X: Matrix,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw delta and gradient in each layer of a fitted estimator.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            Fitted.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets, as for `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a new figure.
        **kwargs
            For `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : GradientFlowDisplay

        Raises
        ------
        TypeError, ValueError
            As `layer_statistics`.
        """
        statistics = layer_statistics(estimator, X, y, sample_weight)
        display = cls(delta_rms=statistics.delta_rms, gradient_rms=statistics.gradient_rms)
        return display.plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw delta and gradient in each layer.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a new figure.
        **kwargs
            For `matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : GradientFlowDisplay
        """
        self.figure_, self.ax_ = plot.axes("GradientFlowDisplay", ax, figsize=(6, 3.8))
        from matplotlib.ticker import MaxNLocator

        self.lines_ = []
        numbers = np.arange(1, np.size(self.delta_rms) + 1)
        lines = (
            (self.delta_rms, "delta", plot.BLUE, "o"),
            (self.gradient_rms, "gradient of the weights", plot.ORANGE, "s"),
        )
        for values, label, colour, marker in lines:
            values = np.asarray(values, np.float64)
            options = {"color": colour, "marker": marker, "markersize": 5, "linewidth": 1.8}
            shown = np.where(values > 0, values, np.nan)  # a logarithmic axis has no 0
            self.lines_ += self.ax_.plot(numbers, shown, **{**options, **kwargs, "label": label})
            if (values == 0).any():
                at = numbers[values == 0]
                self.ax_.plot(
                    at,
                    np.zeros(len(at)),
                    "x",
                    color=colour,
                    clip_on=False,
                    label=f"{label} is 0",
                    transform=self.ax_.get_xaxis_transform(),
                )
        self.ax_.set(
            yscale="log", xlabel="layer, from the input to the output", ylabel="root mean square"
        )
        self.ax_.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        plot.quiet(self.ax_)
        plot.legend(self.ax_)
        return self


class WeightsDisplay:
    """The weights of the first layer as images, one for each unit.

    All images share a colour scale, symmetric around 0. Made by `from_estimator`; all parameters
    are stored as attributes.

    Parameters
    ----------
    weights : ndarray of shape (n_images, height, width)
        One image per unit.
    units : array-like of int of shape (n_images,)
        The numbers of these units.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Axes and figure of the images.
    image_ : matplotlib AxesImage
        All images, in one array.
    colorbar_ : matplotlib Colorbar
        The colour scale.
    """

    def __init__(self, *, weights: NDArray[np.floating], units: ArrayLike) -> None:
        self.weights = weights
        self.units = units

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseMLP,
        *,
        shape: Sequence[int] | None = None,
        n_columns: int | None = None,
        units: ArrayLike | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the weights of the first layer of a fitted estimator.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            Fitted.
        shape : tuple of (int, int), default=None
            Height and width of the images. The features are their pixels, row by row. None makes
            square images, if the number of features is a square.
        n_columns : int, default=None
            Images in a row; None makes the whole about square.
        units : array-like of int, default=None
            The units to show, counted from 0; None shows all.
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a new figure.
        **kwargs
            For `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : WeightsDisplay

        Raises
        ------
        TypeError
            If the estimator is not one of fastbp.
        ValueError
            If the features do not fill images of this shape, or there is no such unit.
            `sklearn.exceptions.NotFittedError`, a subclass, if the estimator is not fitted.
        """
        weights = fitted_network(estimator).coefs[0]
        n_features, n_units = weights.shape
        if shape is None:
            side = round(n_features**0.5)
            if side**2 != n_features:
                raise ValueError(
                    f"{n_features} features make no square image: give shape=(height, width)"
                )
            shape = side, side
        shape = tuple(shape)
        if len(shape) != 2 or min(shape) < 1 or shape[0] * shape[1] != n_features:
            raise ValueError(
                f"shape must be (height, width) with {n_features} pixels, one for "
                f"each feature, got {shape}"
            )
        units = np.arange(n_units) if units is None else np.asarray(units)
        if units.ndim != 1 or units.dtype.kind not in "iu" or not len(units):
            raise ValueError(f"units must be a list of numbers of units, got {units!r}")
        if not ((units >= 0) & (units < n_units)).all():
            raise ValueError(
                f"the first layer has the units 0 to {n_units - 1}, got units={units.tolist()}"
            )
        display = cls(weights=weights[:, units].T.reshape(-1, *shape), units=units)
        return display.plot(ax, n_columns=n_columns, **kwargs)

    def plot(self, ax: Axes | None = None, *, n_columns: int | None = None, **kwargs: Any) -> Self:
        """Draw the images.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a new figure.
        n_columns : int, default=None
            Images in a row; None makes the whole about square.
        **kwargs
            For `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        self : WeightsDisplay
        """
        n_images, height, width = np.shape(self.weights)
        if n_columns is None:
            n_columns = round((1.4 * n_images * height / width) ** 0.5)
        n_columns = min(max(int(n_columns), 1), n_images)
        n_rows = -(-n_images // n_columns)
        gap = max(round(max(height, width) / 12), 1)
        mosaic = np.full((n_rows * (height + gap) - gap, n_columns * (width + gap) - gap), np.nan)
        for k, image in enumerate(self.weights):
            top, left = k // n_columns * (height + gap), k % n_columns * (width + gap)
            mosaic[top : top + height, left : left + width] = image
        wide = 6.5
        tall = min(max(wide * 0.85 * mosaic.shape[0] / mosaic.shape[1], 1.6), 9)
        self.figure_, self.ax_ = plot.axes("WeightsDisplay", ax, figsize=(wide, tall))
        largest = float(np.nanmax(abs(mosaic))) or 1.0
        options = {
            "cmap": plot.diverging(),
            "vmin": -largest,
            "vmax": largest,
            "interpolation": "nearest",
        }
        self.image_ = self.ax_.imshow(mosaic, **{**options, **kwargs})
        self.ax_.set_axis_off()
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, shrink=0.85, aspect=25)
        self.colorbar_.outline.set_visible(False)
        self.colorbar_.ax.tick_params(color=plot.LINE, labelcolor=plot.GREY)
        self.colorbar_.set_label("weight", color=plot.GREY)
        return self
