"""
Regression: prediction against truth
====================================

How good is a regression? One number, R², says how much of the variance is explained. A picture
shows where it is wrong: every sample is a point, with its true value on the horizontal axis and its
prediction on the vertical axis.
"""

# %%
# The data
# --------
#
# The data are house values in 20,433 districts of California, if the environment variable
# ``FASTBP_DATA`` names a directory with ``housing.csv``. Otherwise they are the progression of
# diabetes in 442 patients after a year, a table that scikit-learn contains.

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import MLPRegressor

path = Path(os.environ.get("FASTBP_DATA", ""), "housing.csv")
if path.is_file():
    table = np.genfromtxt(path, delimiter=",", skip_header=1, usecols=range(9))
    table = table[~np.isnan(table).any(axis=1)]  # 207 districts have no number of bedrooms
    X, y, what = table[:, :8], table[:, 8] / 1e5, "house value in 100,000 dollars"
    X[:, 3:] = np.log(X[:, 3:])  # counts of rooms and people span four decades
    parameters = dict(hidden_layer_sizes=(64, 64), early_stopping=True)
else:
    X, y = load_diabetes(return_X_y=True)
    what = "progression after a year"
    # Few samples: a small network, and a penalty that keeps it smooth.
    parameters = dict(hidden_layer_sizes=(16,), activation="tanh", alpha=3, batch_size=32)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
print(f"{len(X_train)} samples to learn from, {len(X_test)} to be predicted: {what}")

# %%
# Both sides scaled
# -----------------
#
# The initial weights of a network suit inputs of size 1 or so. So the pipeline scales the features.
# The target is scaled too: ``TransformedTargetRegressor`` does this, and scales predictions back. A
# linear regression serves as the baseline.

network = TransformedTargetRegressor(
    make_pipeline(StandardScaler(), MLPRegressor(**parameters, random_state=0)),
    transformer=StandardScaler(),
)
models = {"linear regression": LinearRegression(), "network": network}
predicted, r2 = {}, {}
for name, model in models.items():
    predicted[name] = model.fit(X_train, y_train).predict(X_test)
    r2[name] = model.score(X_test, y_test)
    off = mean_absolute_error(y_test, predicted[name])
    print(f"{name:17}: R² {r2[name]:.3f}, {off:.3g} off on average")

# %%
# R² is :math:`1 - \sum (y - \hat y)^2 / \sum (y - \bar y)^2`, where :math:`\hat y` is the
# prediction and :math:`\bar y` the mean. It is 1 if all predictions are right, and 0 if every
# prediction is the mean. It can be computed from the points of the picture.

error = y_test - predicted["network"]
by_hand = 1 - np.sum(error**2) / np.sum((y_test - y_test.mean()) ** 2)
assert abs(by_hand - r2["network"]) < 1e-12

# %%
# On houses the network explains far more than a plane does. The patients are few, and the
# measurements say little about the progression. There the two are about equally good.

assert r2["network"] > (0.75 if path.is_file() else 0.3)
assert r2["network"] > r2["linear regression"] - 0.03

# %%
# Groups of similar predictions
# -----------------------------
#
# Least squares estimates the mean of all values with the same features. So a good regression has a
# property: among samples with about the same prediction, the mean of the true values equals the
# prediction. We sort the test samples by their prediction, divide them into groups, and compare the
# means.

n_groups = 6 if len(y_test) < 1000 else 15
means, gap = {}, {}
for name, values in predicted.items():
    groups = np.array_split(np.argsort(values), n_groups)
    means[name] = np.array([(values[group].mean(), y_test[group].mean()) for group in groups])
    gap[name] = np.sqrt(np.mean((means[name][:, 1] - means[name][:, 0]) ** 2))
    print(
        f"{name:17}: groups are {gap[name]:.3g} off their prediction, "
        f"{gap[name] / y_test.std():.0%} of the standard deviation of y"
    )
assert gap["network"] < 0.3 * y_test.std()
if path.is_file():  # a plane cannot bend, so its groups are biased
    assert gap["network"] < 0.5 * gap["linear regression"]

# %%
# The picture
# -----------
#
# On the diagonal all predictions are right. A cloud that is flatter than the diagonal is cautious:
# low values are predicted too high, and high values too low. This is no mistake, since a mean is
# never extreme. The groups on the right are the better test. (The houses in one column at the right
# end of the clouds cost more than 500,000 dollars; the census does not say how much more.)

ends = np.array([y_test.min(), y_test.max()])
ends += np.array([-0.05, 0.05]) * np.ptp(ends)
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
colours = {"linear regression": "C2", "network": "C0"}
for ax, name in ((left, "linear regression"), (middle, "network")):
    size = 12 if len(y_test) < 1000 else 2
    ax.scatter(y_test, predicted[name], s=size, alpha=0.5, color=colours[name])
    ax.set(xlabel=f"true {what}", ylabel="predicted", title=f"{name}: R² = {r2[name]:.3f}")

for name, points in means.items():
    right.plot(*points.T, "o-", color=colours[name], label=name)
right.set(xlabel="mean prediction of a group", ylabel="its mean true value")
right.set_title(f"{n_groups} groups of like predictions")
for ax in (left, middle, right):
    ax.axline((ends[0], ends[0]), slope=1, color="C1", lw=1.5)
    ax.set(xlim=ends, ylim=ends, aspect="equal")
    ax.grid(alpha=0.3)
right.legend(loc="upper left")
plt.show()
