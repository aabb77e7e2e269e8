"""Colours and axes of all pictures. matplotlib is imported when something is drawn."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure, SubFigure

INK, GREY, LINE, PAPER = "#22252b", "#7a808a", "#d9dce1", "#ffffff"
BLUE, ORANGE = "#1f5fa8", "#e07b28"


def pyplot(caller: str) -> ModuleType:
    """matplotlib.pyplot, or an ImportError that says how to install it."""
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError(
            f"{caller} draws with matplotlib, which is not installed: pip install 'fastbp[plot]'"
        ) from error
    return matplotlib.pyplot


def axes(caller: str, ax: Axes | None = None, **figure: Any) -> tuple[Figure | SubFigure, Axes]:
    """(figure, axes): those of `ax`, or new ones with these options of the figure."""
    plt = pyplot(caller)
    if ax is not None:
        return ax.figure, ax
    return plt.subplots(layout="constrained", **figure)


def quiet(ax: Axes) -> None:
    """Style the axes: grey labels, no frame, and a light grid in the background."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        ax.spines[side].set_color(LINE)
    ax.set_axisbelow(True)
    ax.grid(color=LINE, alpha=0.5, linewidth=0.8)
    ax.tick_params(which="both", color=LINE, labelcolor=GREY)
    ax.xaxis.label.set_color(GREY)
    ax.yaxis.label.set_color(GREY)


def legend(ax: Axes, **options: Any) -> None:
    """Add a legend without a frame."""
    ax.legend(**{"frameon": False, "labelcolor": INK, **options})


def diverging() -> Colormap:
    """A colour map for numbers of both signs: orange below 0, blue above."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = ["#8a3f07", ORANGE, "#f7d9bd", "#fbfbfb", "#c2d7ef", BLUE, "#0f3460"]
    return LinearSegmentedColormap.from_list("fastbp", colours)


def sequence(count: int) -> NDArray[np.float64]:
    """Colours of ordered things such as layers, from dark to light."""
    from matplotlib import colormaps

    return colormaps["viridis"](np.linspace(0, 0.85, count))  # beyond 0.85 it is a pale yellow
