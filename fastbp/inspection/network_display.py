"""A display of a small network: units and weighted links."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from fastbp.estimators.base import BaseMLP
from fastbp.inspection import plot
from fastbp.inspection.layers import fitted_network
from fastbp.inspection.words import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_UNITS = 16  # in a layer, unless max_units says more
MOST_NUMBERS = 12  # with more links there is no room to write their weights
LINK_WIDTHS = 0.3, 4.2  # points, for a weight of 0 and for the largest weight


class NetworkDisplay:
    """A network as a picture: units are circles, links are lines.

    The colour of a link shows the sign of its weight, the width its size. A unit shows its bias, as
    a number and as a colour. Made by `from_estimator`; all parameters are stored as attributes.

    Parameters
    ----------
    coefs, intercepts : list of ndarray
        Weights (fan_in, fan_out) and biases (fan_out,) of each layer.
    activations : list of str
        Text above the hidden layers and the output: activations, and the link of the output.
    feature_names, output_names : list of str
        Text beside the units of the input and of the output.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Axes and figure of the network.
    links_ : matplotlib LineCollection
        Links, in the order of layers, then of their input units.
    units_ : list of matplotlib PathCollection
        Circles of each layer, the input first.
    """

    def __init__(
        self,
        *,
        coefs: Sequence[NDArray[np.floating]],
        intercepts: Sequence[NDArray[np.floating]],
        activations: Sequence[str],
        feature_names: Sequence[str],
        output_names: Sequence[str],
    ) -> None:
        self.coefs = coefs
        self.intercepts = intercepts
        self.activations = activations
        self.feature_names = feature_names
        self.output_names = output_names

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseMLP,
        *,
        feature_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        max_units: int = MOST_UNITS,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the network of a fitted estimator.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            Fitted.
        feature_names : list of str, default=None
            Names of the inputs; None takes those of the training data, or else x1, x2, ...
        output_names : list of str, default=None
            Names of the outputs; None takes their classes, or else y, or y1, y2, ...
        max_units : int, default=16
            Most units that a layer may have, input and output included. Larger pictures are hard
            to read.
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a new figure.
        **kwargs
            For the links, a `matplotlib.collections.LineCollection`.

        Returns
        -------
        display : NetworkDisplay

        Raises
        ------
        TypeError
            If the estimator is not one of fastbp.
        ValueError
            If a layer has too many units, or the number of names is wrong.
            `sklearn.exceptions.NotFittedError`, a subclass, if the estimator is not fitted.
        """
        network = fitted_network(estimator)
        widest = int(np.argmax(network.units))
        if network.units[widest] > max_units:
            where = "the input" if widest == 0 else f"layer {widest}"
            raise ValueError(
                f"{where} has {network.units[widest]} units, and a picture of more than "
                f"{max_units} is hard to read: give max_units={network.units[widest]} to draw it "
                "anyway"
            )
        if feature_names is None:
            feature_names = getattr(estimator, "feature_names_in_", None)
        display = cls(
            coefs=network.coefs,
            intercepts=network.intercepts,
            activations=[*map(str, network.activations), estimator.out_activation_],
            feature_names=_names(feature_names, "feature_names", "x", network.units[0]),
            output_names=_names(
                _outputs(estimator) if output_names is None else output_names,
                "output_names",
                "y",
                network.units[-1],
            ),
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw the network.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw in; None makes a new figure.
        **kwargs
            For the links, a `matplotlib.collections.LineCollection`.

        Returns
        -------
        self : NetworkDisplay
        """
        widths = [len(self.coefs[0]), *map(len, self.intercepts)]
        size = 2.2 + 1.9 * len(self.coefs), 1.3 + 0.58 * max(widths)
        self.figure_, self.ax_ = plot.axes("NetworkDisplay", ax, figsize=size)
        self.ax_.set_axis_off()
        top = max(widths) / 2
        self.ax_.set(xlim=(-0.2, len(widths) - 0.8), ylim=(-top, top))
        positions = [
            np.column_stack([np.full(width, layer), (width - 1) / 2 - np.arange(width)])
            for layer, width in enumerate(widths)
        ]
        height = self.ax_.bbox.height / self.figure_.dpi * 72
        diameter = min(0.62 * height / max(widths), 28)  # points
        self._draw_links(positions, kwargs)
        self._draw_units(positions, diameter)
        self._write_names(positions, diameter, top)
        self._explain()
        return self

    def _draw_links(self, positions, options):
        from matplotlib.collections import LineCollection

        weights = np.concatenate([np.ravel(w) for w in self.coefs]).astype(np.float64)
        lines = [
            (begin, end) for left, right in pairwise(positions) for begin in left for end in right
        ]
        self.largest_weight_ = abs(weights).max()
        thin, thick = LINK_WIDTHS
        thick *= min(60 / len(lines), 1) ** 0.25
        share = abs(weights) / (self.largest_weight_ or 1.0)
        colours = np.where(weights < 0, plot.ORANGE, plot.BLUE)
        self.links_ = self.ax_.add_collection(
            LineCollection(
                lines,
                **{
                    "colors": colours,
                    "linewidths": thin + (thick - thin) * share,
                    "alpha": 0.75,
                    "capstyle": "round",
                    "zorder": 1,
                    **options,
                },
            )
        )
        if len(lines) > MOST_NUMBERS:
            return
        ways = np.concatenate(
            [
                np.full(len(left) * len(right), _free_way(left, right))
                for left, right in pairwise(positions)
            ]
        )
        for (begin, end), way, weight, colour in zip(lines, ways, weights, colours, strict=True):
            at = (1 - way) * begin + way * end
            self.ax_.text(
                *at,
                _number(weight),
                color=colour,
                fontsize=8,
                ha="center",
                va="center",
                zorder=2,
                bbox=dict(facecolor=plot.PAPER, edgecolor="none", pad=0.8),
            )

    def _draw_units(self, positions, diameter):
        largest = max(float(abs(b).max()) for b in self.intercepts) or 1.0
        shade = plot.diverging()
        options = {"s": diameter**2, "edgecolors": plot.GREY, "linewidths": 1.0, "zorder": 3}
        self.units_ = [self.ax_.scatter(*positions[0].T, c=plot.PAPER, **options)]
        for position, biases in zip(positions[1:], self.intercepts, strict=True):
            colours = shade(0.5 + np.asarray(biases, np.float64) / (2 * largest))
            self.units_.append(self.ax_.scatter(*position.T, c=colours, **options))
            if diameter < 16:  # points; less is too little for four characters
                continue
            for at, bias, colour in zip(position, biases, colours, strict=True):
                dark = colour[:3] @ (0.299, 0.587, 0.114) < 0.55
                text = _number(bias, ".1g" if abs(bias) < 0.1 else ".2g")
                self.ax_.text(
                    *at,
                    text,
                    ha="center",
                    va="center",
                    zorder=4,
                    fontsize=min(1.5 * diameter / len(text), 8),
                    color=plot.PAPER if dark else plot.INK,
                )

    def _write_names(self, positions, diameter, top):
        beside = dict(textcoords="offset points", va="center", color=plot.INK, fontsize=9.5)
        away = diameter / 2 + 5
        for at, name in zip(positions[0], self.feature_names, strict=True):
            self.ax_.annotate(name, at, (-away, 0), ha="right", **beside)
        for at, name in zip(positions[-1], self.output_names, strict=True):
            self.ax_.annotate(name, at, (away, 0), ha="left", **beside)
        n_hidden = len(self.activations) - 1
        heads = ["input", *(f"layer {k + 1}" for k in range(n_hidden)), "output"]
        above = dict(textcoords="offset points", ha="center", va="bottom")
        for layer, (head, activation) in enumerate(
            zip(heads, ["", *self.activations], strict=True)
        ):
            self.ax_.annotate(
                head, (layer, top), (0, 18), color=plot.INK, fontsize=10, weight="bold", **above
            )
            self.ax_.annotate(
                shortened(activation), (layer, top), (0, 5), color=plot.GREY, fontsize=9, **above
            )

    def _explain(self):
        from matplotlib.lines import Line2D

        thick = LINK_WIDTHS[1]
        largest = _number(self.largest_weight_)
        handles = [
            Line2D([], [], color=plot.BLUE, linewidth=thick, label=f"weight {largest}"),
            Line2D([], [], color=plot.ORANGE, linewidth=thick, label=f"weight −{largest}"),
            Line2D(
                [],
                [],
                color="none",
                marker="o",
                markersize=8,
                label="in the unit: bias",
                markeredgecolor=plot.GREY,
                markerfacecolor=plot.PAPER,
            ),
        ]
        plot.legend(
            self.ax_,
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            ncols=3,
            fontsize=8.5,
            labelcolor=plot.GREY,
        )


def _free_way(left, right):
    """The position between left (0) and right (1) where links are farthest from each other."""

    def nearest(share):
        heights = (1 - share) * left[:, np.newaxis, 1] + share * right[:, 1]
        return np.diff(np.sort(heights, axis=None), prepend=-np.inf).min()

    return max(np.linspace(0.2, 0.4, 21), key=nearest)


def _number(value, digits=".2g"):
    """The number in about four characters."""
    value = float(value)
    digits = digits if abs(value) < 10 else ".0f" if abs(value) < 1e3 else ".0e"
    return f"{value:{digits}}".replace("-", "−")


def _names(names, parameter, letter, wanted):
    """The names as strings; without names x1, x2, ..., or x if there is only one."""
    if names is None:
        return [letter] if wanted == 1 else [f"{letter}{k + 1}" for k in range(wanted)]
    names = [str(name) for name in names]
    if len(names) != wanted:
        raise ValueError(f"{parameter} must be {wanted} names, got {len(names)}: {names}")
    return names


def _outputs(estimator):
    """The class of each output, or None; a single output belongs to the second of two classes."""
    classes = getattr(estimator, "classes_", None)
    if classes is None or len(classes) == 1:
        return None
    if isinstance(classes, list):  # of several targets
        parts = [names[1:] if len(names) <= 2 else names for names in classes]
        return [f"{k + 1}: {name}" for k, names in enumerate(parts) for name in names]
    return classes[1:] if estimator.n_outputs_ == 1 else classes
