"""Learn the 1797 handwritten digits that ship with scikit-learn: `make demo`.

The same pipeline is trained with scikit-learn's MLPClassifier and with fastbp's, in turn, with the
same parameters and the same seed. Only the import line is different, and the time.

    python examples/digits.py [picture.png] [--repeats 5]
"""

import argparse
import warnings
from statistics import median
from time import perf_counter

import numpy as np
import sklearn.neural_network
from _draw import BLUE, BLUES, DIVERGING, GREY, INK, LINE, ORANGE, PAPER, headline, plt, save
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastbp

EPOCHS = 100
MAKERS = {"scikit-learn": sklearn.neural_network.MLPClassifier, "fastbp": fastbp.MLPClassifier}


def pipeline(MLPClassifier):
    return make_pipeline(
        StandardScaler(),
        MLPClassifier((49,), alpha=2, max_iter=EPOCHS, random_state=1),
    )


def train(X, y, repeats):
    """Fit both in turn, `repeats` times; return the models and the median times of their fits."""
    models, times = {}, {name: [] for name in MAKERS}
    for _ in range(repeats):
        for name, maker in MAKERS.items():
            model = pipeline(maker)
            start = perf_counter()
            model.fit(X, y)
            times[name].append(perf_counter() - start)
            models[name] = model
    return models, {name: median(values) for name, values in times.items()}


def draw_curves(ax, curves):
    """Draw both loss curves on one scale: scikit-learn's as a wide line, ours inside it."""
    epochs = np.arange(1, EPOCHS + 1)
    ax.plot(epochs, curves["scikit-learn"], color=ORANGE, alpha=0.45, lw=7, label="scikit-learn")
    ax.plot(epochs, curves["fastbp"], color=BLUE, lw=1.8, label="fastbp")
    ax.set(yscale="log", xlabel="epoch", title="Training loss", xlim=(0, EPOCHS))
    ax.minorticks_off()
    ax.set_yticks([0.3, 0.5, 1, 2, 3], ["0.3", "0.5", "1", "2", "3"])
    ax.grid(axis="y")
    ax.tick_params(length=0)
    ax.legend(fontsize=10, labelcolor=INK, handlelength=1.6)


def draw_confusion(ax, y, predicted):
    """Draw the confusion matrix: a row for each true digit; mistakes are orange."""
    counts = confusion_matrix(y, predicted)
    right = np.where(np.eye(10, dtype=bool), counts, 0)
    ax.imshow(right, cmap=BLUES, vmin=0, vmax=counts.max() * 1.25)
    for (written, read), count in np.ndenumerate(counts):
        if count and written == read:
            ax.text(read, written, count, ha="center", va="center", color="white", fontsize=9)
        elif count:
            ax.add_patch(plt.Rectangle((read - 0.5, written - 0.5), 1, 1, fc=ORANGE, ec=PAPER))
            ax.text(read, written, count, ha="center", va="center", color="white", weight="bold")
    ax.set(xticks=range(10), yticks=range(10), xlabel="read as", ylabel="written")
    ax.set_xticks(np.arange(-0.5, 10), minor=True)
    ax.set_yticks(np.arange(-0.5, 10), minor=True)
    ax.grid(which="minor", color=LINE, lw=0.6)
    ax.tick_params(length=0, which="both", labelcolor=INK)
    ax.spines[:].set_visible(False)
    wrong = int((y != predicted).sum())
    ax.set_title(f"{len(y) - wrong} of {len(y)} test digits read right")


def draw_weights(fig, cell, weights):
    """Draw the weights of each hidden unit as 8 x 8 pixels: positive blue, negative orange."""
    limit = np.quantile(np.abs(weights), 0.995)
    grid = cell.subgridspec(7, 7, wspace=0.12, hspace=0.12)
    for unit, image in enumerate(weights.T.reshape(-1, 8, 8)):
        ax = fig.add_subplot(grid[unit // 7, unit % 7], xticks=[], yticks=[])
        ax.imshow(image, cmap=DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest")
        ax.spines[:].set_visible(False)
        if unit == 0:
            ax.set_title("What the 49 hidden units look for")
        if unit == 42:
            ax.annotate(
                "weights of the first layer: blue for ink, orange against it",
                (0, 0),
                (0, -15),
                "axes fraction",
                "offset points",
                color=GREY,
                va="center",
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", nargs="?", help="default: examples/output/digits.png")
    parser.add_argument("--repeats", type=int, default=5, help="fits of each library (default 5)")
    options = parser.parse_args()

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.25, stratify=y, random_state=0
    )
    # The number of epochs is fixed so that both do the same work: no warning about convergence.
    warnings.simplefilter("ignore", ConvergenceWarning)
    models, times = train(X_train, y_train, options.repeats)
    curves = {name: np.array(model[-1].loss_curve_) for name, model in models.items()}
    scores = {name: model.score(X_test, y_test) for name, model in models.items()}

    print(f"{len(X_train)} digits to learn from, {len(X_test)} to be read; 64-49-10, adam\n")
    print(f"{'epoch':>14}{'scikit-learn':>16}{'fastbp':>16}")
    for epoch in (1, 2, 5, *range(10, EPOCHS + 1, 10)):
        print(
            f"{epoch:>8}  loss{curves['scikit-learn'][epoch - 1]:>16.8f}"
            f"{curves['fastbp'][epoch - 1]:>16.8f}"
        )
    print(f"\n{'test accuracy':>14}{scores['scikit-learn']:>16.4f}{scores['fastbp']:>16.4f}")
    print(
        f"{'training time':>14}{times['scikit-learn'] * 1e3:>13.0f} ms"
        f"{times['fastbp'] * 1e3:>13.0f} ms   (median of {options.repeats})"
    )
    ratio = times["scikit-learn"] / times["fastbp"]
    gap = np.max(np.abs(curves["fastbp"] / curves["scikit-learn"] - 1))
    print(f"\nscikit-learn took {ratio:.1f} times as long; the losses differ by {gap:.0e} at most")

    fig = plt.figure(figsize=(14, 5.6))
    cells = fig.add_gridspec(
        1,
        3,
        left=0.05,
        right=0.975,
        top=0.775,
        bottom=0.115,
        wspace=0.16,
        width_ratios=(1.15, 1, 1),
    )
    headline(
        fig,
        f"fastbp learns to read digits: {scores['fastbp']:.1%} right, in "
        f"{times['fastbp'] * 1e3:.0f} ms",
        f"scikit-learn with the same parameters and seed: {scores['scikit-learn']:.1%} in "
        f"{times['scikit-learn'] * 1e3:.0f} ms. {EPOCHS} epochs each, medians of "
        f"{options.repeats} fits.",
    )
    draw_curves(fig.add_subplot(cells[0]), curves)
    draw_confusion(fig.add_subplot(cells[1]), y_test, models["fastbp"].predict(X_test))
    draw_weights(fig, cells[2], models["fastbp"][-1].coefs_[0])
    save(fig, options.picture, "digits.png")


if __name__ == "__main__":
    main()
