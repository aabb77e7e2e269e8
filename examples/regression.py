"""Predict house values in California or, without that data, the progression of diabetes.

    python examples/regression.py [picture.png]

Reads `housing.csv` from the directory FASTBP_DATA (or ../shared/data beside the checkout). Without
the file it uses scikit-learn's 442 diabetes patients. Draws prediction against truth.
"""

import sys
from time import perf_counter

import _data
import numpy as np
from _draw import BLUE, BLUES, ORANGE, headline, plt, save
from matplotlib.colors import LogNorm
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import MLPRegressor


def load():
    """X, y, the meaning of y, and parameters that suit the number of samples."""
    path = _data.find("housing.csv")
    if path:
        X, y, _ = _data.housing(path)
        # Counts of rooms and people are skewed over four decades: take their logarithms.
        X[:, 3:] = np.log(X[:, 3:])
        return X, y, "house value in 100,000 dollars", {"hidden_layer_sizes": (64, 64)}
    print("housing.csv is not at hand; diabetes it is")
    X, y = load_diabetes(return_X_y=True)
    # 331 training samples are few: a small network, and a penalty that keeps it smooth.
    return (
        X,
        y,
        "progression after a year",
        {
            "hidden_layer_sizes": (16,),
            "activation": "tanh",
            "alpha": 10,
            "batch_size": 32,
        },
    )


def draw_predictions(ax, truth, predicted, what):
    """Draw the samples, or their density if there are many; the diagonal is a right prediction."""
    ends = np.array([min(truth.min(), predicted.min()), max(truth.max(), predicted.max())])
    ends = ends + np.array([-0.02, 0.02]) * np.ptp(ends)
    if len(truth) > 1000:
        ax.hexbin(
            truth,
            predicted,
            gridsize=70,
            norm=LogNorm(vmin=0.3),
            mincnt=1,
            cmap=BLUES,
            lw=0.2,
            extent=(*ends, *ends),
        )
    else:
        ax.scatter(truth, predicted, s=42, color=BLUE, alpha=0.65, ec="white", lw=0.7)
    ax.plot(ends, ends, color=ORANGE, lw=1.5)
    ax.set(xlim=ends, ylim=ends, aspect="equal", xlabel=f"true {what}", ylabel="predicted")
    ax.set_title("Prediction against truth")
    ax.grid()
    ax.tick_params(length=0)


def draw_learning(upper, lower, model):
    """Draw the training loss and the score of the held-out samples by epoch."""
    epochs = np.arange(1, model.n_iter_ + 1)
    best = int(np.argmax(model.validation_scores_))
    upper.plot(epochs, model.loss_curve_, color=BLUE, lw=1.8)
    upper.set_title("Training loss")
    lower.plot(epochs, model.validation_scores_, color=ORANGE, lw=1.8)
    lower.scatter(best + 1, model.validation_scores_[best], s=40, color=ORANGE, zorder=3)
    lower.set_title(f"R² of the samples held out, best in epoch {best + 1}")
    lower.set_xlabel("epoch")
    for ax in (upper, lower):
        ax.set_xlim(0, len(epochs) + 1)
        ax.grid(axis="y")
        ax.tick_params(length=0)


def main():
    X, y, what, parameters = load()
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    model = TransformedTargetRegressor(
        make_pipeline(
            StandardScaler(), MLPRegressor(**parameters, early_stopping=True, random_state=0)
        ),
        transformer=StandardScaler(),
    )
    start = perf_counter()
    model.fit(X_train, y_train)
    seconds = perf_counter() - start

    network = model.regressor_[-1]
    print(" epoch   training loss   validation R²")
    for epoch in range(0, network.n_iter_, max(1, network.n_iter_ // 8)):
        print(
            f"{epoch + 1:6}   {network.loss_curve_[epoch]:13.4f}"
            f"   {network.validation_scores_[epoch]:13.4f}"
        )

    predicted = model.predict(X_test)
    r2, error = r2_score(y_test, predicted), mean_absolute_error(y_test, predicted)
    print(f"{network.n_iter_} epochs in {seconds:.2f} seconds")
    print(f"test R2 {r2:.4f}, mean absolute error {error:.4g} ({what})")

    fig = plt.figure(figsize=(11.6, 5.7))
    headline(
        fig,
        f"R² = {r2:.3f} on {len(y_test):,} samples never seen",
        f"{network.n_iter_} epochs over {len(y_train):,} samples in {seconds:.2f} s; "
        f"{what}, {error:.3g} off on average",
    )
    draw_predictions(fig.add_axes((0.065, 0.11, 0.4, 0.68)), y_test, predicted, what)
    upper, lower = fig.add_axes((0.55, 0.515, 0.41, 0.275)), fig.add_axes((0.55, 0.11, 0.41, 0.275))
    draw_learning(upper, lower, network)
    save(fig, sys.argv[1] if len(sys.argv) > 1 else None, "regression.png")


if __name__ == "__main__":
    main()
