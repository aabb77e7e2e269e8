"""
Depth against width at equal parameters
=======================================

A thousand parameters can form one wide hidden layer, or many narrow ones. Here networks of one to
twelve hidden layers, all with about a thousand parameters, learn the same surface: rings around the
origin.
"""

# %%
# The task
# --------
#
# The target is a wave that depends only on the distance from the origin,
#
# .. math:: y = \sin(3 \pi r), \qquad r = \sqrt{x_1^2 + x_2^2}.
#
# A network has to compute the distance first, then the wave. This is a function of a function, and
# so are layers.

import warnings
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPRegressor

rng = np.random.default_rng(0)


def rings(X):
    return np.sin(3 * np.pi * np.hypot(X[:, 0], X[:, 1]))


X_train, X_test = rng.uniform(-1, 1, (2000, 2)), rng.uniform(-1, 1, (4000, 2))
y_train, y_test = rings(X_train), rings(X_test)

# %%
# Equal parameters
# ----------------
#
# A layer with :math:`I` inputs and :math:`O` units has :math:`I O` weights and :math:`O`
# intercepts. For each depth we choose the width with a total closest to 1000.


def n_parameters(width, depth):
    sizes = [2] + depth * [width] + [1]
    return sum(fan_in * fan_out + fan_out for fan_in, fan_out in pairwise(sizes))


depths = [1, 2, 3, 4, 6, 8, 12]
widths = {}
for depth in depths:
    totals = [n_parameters(width, depth) for width in range(300)]
    widths[depth] = int(np.argmin(np.abs(np.array(totals) - 1000)))
    print(f"{depth:2} hidden layers of {widths[depth]:3} units: {totals[widths[depth]]} parameters")

# %%
# Training
# --------
#
# Each network is trained five times for the same 150 epochs, from five different initial weights.
# One run alone says little, because the result of deep narrow networks depends on their initial
# weights.

warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed on purpose
models, scores = {}, {}
for depth, width in widths.items():
    models[depth] = [
        MLPRegressor(
            hidden_layer_sizes=depth * (width,),
            learning_rate_init=5e-3,
            batch_size=64,
            max_iter=150,
            tol=0,
            n_iter_no_change=150,
            random_state=seed,
        ).fit(X_train, y_train)
        for seed in range(5)
    ]
    scores[depth] = np.array([model.score(X_test, y_test) for model in models[depth]])

print("hidden layers   median R²   worst R²")
for depth in depths:
    print(f"{depth:13}   {np.median(scores[depth]):9.3f}   {scores[depth].min():8.3f}")

# %%
# Three or four layers explain nearly all of the variance. One layer, more than ten times as wide,
# leaves several times as much unexplained. Twelve narrow layers can be almost as good, but not from
# every start. The worst of them predicts the same number for every sample: in one of its layers all
# nine relu units are zero for every input, and nothing passes that layer, forward or backward.

unexplained = {depth: 1 - np.median(scores[depth]) for depth in depths}
print(f"one layer leaves {unexplained[1] / unexplained[3]:.0f} times as much unexplained as three")
assert unexplained[1] > 3 * unexplained[3]

worst = models[12][np.argmin(scores[12])]
print(f"predictions of the worst: {np.ptp(worst.predict(X_test)):.1g} from least to greatest")
assert np.ptp(worst.predict(X_test)) < 1e-6
assert np.ptp(scores[12]) > 3 * np.ptp(scores[3])

# %%
# The picture
# -----------
#
# Above, the functions learned by the networks of median score, beside the truth. Below, all 35
# scores.

side = np.linspace(-1, 1, 200)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
panels = {"truth": rings(grid)}
for depth in (1, 3, 12):
    middle = np.argsort(scores[depth])[2]
    title = f"{depth} × {widths[depth]} units, R² = {scores[depth][middle]:.2f}"
    panels[title] = models[depth][middle].predict(grid)

fig, axes = plt.subplot_mosaic(
    [list(panels), 4 * ["scores"]], figsize=(9, 6), layout="constrained", height_ratios=(1, 1.1)
)
for title, values in panels.items():
    ax = axes[title]
    ax.imshow(values.reshape(200, 200), cmap="RdBu_r", vmin=-1.2, vmax=1.2, extent=(-1, 1, -1, 1))
    ax.set(title=title, xticks=[], yticks=[])
    ax.title.set_fontsize(9.5)

ax = axes["scores"]
places = np.arange(len(depths))
every = np.array(list(scores.values()))
ax.plot(places, np.median(every, axis=1), label="median of five starts")
ax.plot(np.repeat(places, 5), every.ravel(), "o", color="0.3", ms=4, alpha=0.6, label="one start")
ax.set_xticks(places, [f"{depth} × {width}" for depth, width in widths.items()])
ax.set(xlabel="hidden layers × units", ylabel="R² of the test samples")
ax.set_title("About 1000 parameters each: neither one wide layer nor many narrow ones")
ax.legend(loc="lower left")
ax.grid(axis="y", alpha=0.3)
plt.show()
