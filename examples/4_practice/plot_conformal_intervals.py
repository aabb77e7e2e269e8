"""
Conformal intervals: a promise that is kept
===========================================

An interval of 90 % should contain 90 % of the values that come. A network that predicts a standard
deviation gives such intervals if the noise is normal. Conformal prediction gives them for any
noise: it measures on samples that were kept aside how wide the intervals have to be. The package
MAPIE does this in three lines.
"""

# %%
# Skewed noise
# ------------
#
# Prices and waiting times are often a little lower than expected, and now and then much higher. The
# noise here is like that: the square of a normal number, minus 1. And it grows from left to right.
# The calibration samples are kept aside: the network must not have seen them.

import matplotlib.pyplot as plt
import numpy as np
from mapie.regression import SplitConformalRegressor
from scipy.stats import norm

from fastbp import MLPRegressor


def samples(n, seed):
    random = np.random.RandomState(seed)
    x = random.uniform(-2, 2, n)
    noise = (0.04 + 0.08 * (x + 2)) * (random.randn(n) ** 2 - 1)
    return x.reshape(-1, 1), np.sin(2 * x) + noise


X_train, y_train = samples(4000, 0)
X_cal, y_cal = samples(2000, 1)
X_test, y_test = samples(4000, 2)

# %%
# Normal intervals
# ----------------
#
# With ``loss="gaussian"`` the network predicts a mean :math:`m` and a standard deviation
# :math:`\sigma`. For normal noise, 90 % of the targets are in :math:`m \pm 1.645\,\sigma`. We
# count the test targets in these intervals, for 90 % and for other levels.

network = MLPRegressor(
    loss="gaussian",
    hidden_layer_sizes=(50,),
    activation="tanh",
    learning_rate_init=0.01,
    ema_decay=0.99,
    early_stopping=True,
    scoring="loss",
    n_iter_no_change=30,
    max_iter=1000,
    random_state=0,
).fit(X_train, y_train)

levels = np.array([0.5, 0.65, 0.8, 0.9, 0.99])
at_90 = list(levels).index(0.9)
mean, std = network.predict(X_test, return_std=True)
half = std[:, np.newaxis] * norm.ppf((1 + levels) / 2)
intervals = {"normal": (mean[:, np.newaxis] - half, mean[:, np.newaxis] + half)}

# %%
# Conformal intervals
# -------------------
#
# MAPIE takes the fitted network and the calibration samples. With ``"absolute"`` the intervals have
# one width for all samples. With ``"std_normalized"`` their width is a multiple of :math:`\sigma`.

for name, score in (("one width", "absolute"), ("scaled", "std_normalized")):
    conformal = SplitConformalRegressor(
        network, confidence_level=list(levels), conformity_score=score, prefit=True
    )
    bounds = conformal.conformalize(X_cal, y_cal).predict_interval(X_test)[1]
    intervals[name] = bounds[:, 0], bounds[:, 1]

# %%
# The idea is simple [1]_. The score of a sample is its absolute error divided by :math:`\sigma`. A
# new sample is like the :math:`n` calibration samples, so its score has any rank among theirs with
# the same probability. It is at most their score of rank :math:`\lceil 0.9\,(n + 1) \rceil` with a
# probability of at least 90 %. This score takes the place of 1.645.

mean_cal, std_cal = network.predict(X_cal, return_std=True)
scores = np.sort(np.abs(y_cal - mean_cal) / std_cal)
factor = scores[int(np.ceil(0.9 * (len(scores) + 1))) - 1]
print(f"{factor:.3f} standard deviations to each side, in place of {norm.ppf(0.95):.3f}")
assert np.allclose(intervals["scaled"][1][:, at_90], mean + factor * std)

# %%
# Promised and kept
# -----------------
#
# How far may a share of the test samples be from its level by chance? The standard error of a share
# :math:`p` of :math:`n` samples is :math:`\sqrt{p (1 - p) / n}`. The calibration samples are a draw
# as well, so conformal intervals have theirs, too. We allow three standard errors.

inside, shares, allowed = {}, {}, {}
for name, (low, high) in intervals.items():
    inside[name] = (low <= y_test[:, np.newaxis]) & (y_test[:, np.newaxis] <= high)
    shares[name] = inside[name].mean(axis=0)
    draws = 1 / len(y_test) + (0 if name == "normal" else 1 / len(y_cal))
    allowed[name] = 3 * np.sqrt(levels * (1 - levels) * draws)
    print(
        f"{name:9} intervals of 90 %: {shares[name][at_90]:.1%} of the targets inside, "
        f"+-{allowed[name][at_90]:.1%} allowed; mean width {np.mean((high - low)[:, at_90]):.2f}"
    )
off = {name: np.abs(share - levels) for name, share in shares.items()}
assert (off["one width"] < allowed["one width"]).all()
assert (off["scaled"] < allowed["scaled"]).all()
assert (off["normal"] > allowed["normal"]).all()

# %%
# The normal intervals of 80 % contain 91 % of the targets: they are too wide. Those of 99 % contain
# 97 %: they are too narrow. The conformal ones keep the promise at all levels.
#
# For all x, or on average
# ------------------------
#
# The promise is one about all samples together. Intervals of one width keep it, but they contain
# nearly all targets where there is little noise, and too few where there is much. A width that
# follows :math:`\sigma` is better: the share is about the same everywhere. This depends on how good
# :math:`\sigma` is, so there is no guarantee for a single x.

edges = np.linspace(-2, 2, 9)
part = np.digitize(X_test[:, 0], edges[1:-1])
along_x = {
    name: np.array([hits[part == k, at_90].mean() for k in range(8)])
    for name, hits in inside.items()
}
worst = {name: np.abs(share - 0.9).max() for name, share in along_x.items()}
print(f"furthest from 90 %: {worst['one width']:.1%} with one width, {worst['scaled']:.1%} scaled")
assert worst["scaled"] < worst["one width"] / 2

# %%
# The promise is also one about samples like those of the calibration. If all prices rise later on,
# it does not hold.
#
# The picture
# -----------
#
# Above, the intervals of 90 %. Below, the share of the test targets inside, at each level and along
# x. The normal intervals are too wide nearly everywhere. Those of one width are too wide on the
# left and too narrow on the right.
#
# .. [1] A. N. Angelopoulos and S. Bates, "A gentle introduction to conformal prediction and
#    distribution-free uncertainty quantification", 2021, arXiv:2107.07511.

fig, axes = plt.subplot_mosaic(
    [["band", "band"], ["levels", "along"]],
    figsize=(10, 8.4),
    height_ratios=[1.15, 1],
    layout="constrained",
)
colours = {"normal": "C1", "one width": "0.45", "scaled": "C0"}
band, promised, along = axes["band"], axes["levels"], axes["along"]

some = slice(700)
order = np.argsort(X_test[:, 0])
x = X_test[order, 0]
low, high = (bound[order, at_90] for bound in intervals["scaled"])
band.fill_between(x, low, high, color="C0", alpha=0.25, lw=0, label="scaled")
for name, style in (("one width", ":"), ("normal", "--")):
    for k, bound in enumerate(intervals[name]):
        label = None if k else name
        band.plot(x, bound[order, at_90], style, color=colours[name], lw=1.5, label=label)
hit = inside["scaled"][some, at_90]
for rows, colour, label in ((hit, "0.35", None), (~hit, "C3", "not in its scaled interval")):
    band.plot(X_test[some][rows], y_test[some][rows], ".", color=colour, ms=4, label=label)
band.plot(x, mean[order], color="C0", lw=1.5)
band.set(xlabel="x", ylabel="y", xlim=(-2, 2), title="intervals of 90 %, and 700 test samples")
band.legend(loc="upper left", ncols=2)

promised.plot([0.45, 1], [0.45, 1], color="0.7", lw=1)
for name, share in shares.items():
    promised.plot(levels, share, "o-", color=colours[name], ms=5, label=name)
promised.set(xlabel="promised", ylabel="share of test targets inside", title="all test samples")
promised.legend(loc="upper left")

along.axhline(0.9, color="0.7", lw=1)
for name, share in along_x.items():
    along.plot((edges[1:] + edges[:-1]) / 2, share, "o-", color=colours[name], ms=5)
along.set(xlabel="x", ylabel="share of test targets inside", title="intervals of 90 %, along x")
for ax in axes.values():
    ax.grid(alpha=0.3)
plt.show()
