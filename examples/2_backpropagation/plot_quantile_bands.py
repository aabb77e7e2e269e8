"""
A loss of your own: quantile bands
==================================

A single prediction does not say how uncertain it is. Here a network predicts three numbers for each
house: one that 10 % of such houses stay below, one for the middle, and one that 90 % stay below.
This only needs another loss, and a loss is a formula.
"""

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from fastbp import MLPRegressor
from fastbp import graph as fg

# %%
# The data are median house values of 20,000 districts of California, if the environment variable
# ``FASTBP_DATA`` names a directory with ``housing.csv``. Otherwise they are the patients of
# scikit-learn's diabetes data. Counts of rooms and people are skewed, so we use their logarithms.
# House values are given only up to 500,000 dollars; districts above are left out.

path = Path(os.environ.get("FASTBP_DATA", ""), "housing.csv")
if path.is_file():
    table = np.genfromtxt(path, delimiter=",", skip_header=1, usecols=range(9))
    table = table[np.isfinite(table).all(axis=1) & (table[:, 8] < 500_000)]
    X, y, what = table[:, :8], table[:, 8] / 1e5, "house value in 100,000 dollars"
    X[:, 3:] = np.log(X[:, 3:])
    network = {"hidden_layer_sizes": (64, 64), "batch_size": 1000}
else:
    X, y = load_diabetes(return_X_y=True)
    y, what = y / 100, "progression of diabetes / 100"
    network = {
        "hidden_layer_sizes": (8,),
        "alpha": 10,
        "batch_size": 32,
        "learning_rate_init": 0.01,
    }

X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
scaler = StandardScaler().fit(X_train)
X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
print(f"{len(y_train)} samples to learn from, {len(y_test)} to test")

# %%
# The loss
# --------
# The squared error leads to the mean. The **pinball loss** leads to a quantile. With the error
# :math:`e = y - z` of a raw prediction :math:`z`, and a level :math:`q` between 0 and 1, it is
#
# .. math:: L_q = \max(q\, e,\ (q - 1)\, e).
#
# For :math:`q = 0.9`, a prediction that is 1 too low costs 0.9, and one that is 1 too high costs
# only 0.1. So a higher prediction is better, until nine samples are below it for each one above.
# There the two costs are in balance.
#
# The formula is written as a function of expressions of ``fastbp.graph``. ``raw`` and ``y`` are
# rows with a column for each target, so the target is given three times, a column for each level.
# ``fastbp`` derives the delta from the formula and compiles both. Training runs without Python.

levels = [0.1, 0.5, 0.9]


def pinball(raw, y):
    loss = 0.0
    for k, q in enumerate(levels):
        error = y[k] - raw[k]
        loss = loss + fg.maximum(q * error, (q - 1) * error)
    return loss


parameters = network | {"max_iter": 500, "tol": 1e-3, "random_state": 0}
own = MLPRegressor(loss=pinball, **parameters)
own.fit(X_train, np.column_stack([y_train] * 3))

# %%
# This loss is also built in, with the name ``quantile``. It takes the target once.

built_in = MLPRegressor(loss="quantile", quantile=levels, **parameters).fit(X_train, y_train)

gap = np.abs(own.predict(X_test) - built_in.predict(X_test)).mean()
print(f"the two differ by {gap:.1e} on average; the targets spread by {y_test.std():.2f}")
assert gap < 0.05 * y_test.std()

# %%
# Coverage
# --------
# Are the levels right? The network has never seen the test samples. About 10 % of them should be
# below the lowest prediction, 50 % below the middle one, and 90 % below the highest. With few
# samples the shares depend more on chance. The root in the tolerance accounts for that.

tolerance = 0.02 + 1 / np.sqrt(len(y_test))
shares = {}
for name, model in (("own loss", own), ("built-in", built_in)):
    shares[name] = np.mean(y_test[:, np.newaxis] <= model.predict(X_test), axis=0)
    print(name, "share below:", shares[name].round(3), f"(+-{tolerance:.3f} allowed)")
    assert np.abs(shares[name] - levels).max() < tolerance

low, middle, high = own.predict(X_test).T
inside = (low <= y_test) & (y_test <= high)
print(f"{inside.mean():.1%} of the test samples are inside of the band")

# %%
# Left: sixty test samples in the order of their middle prediction, each with its band. The width of
# the band varies: some samples are easier to predict than others. About one in five points is
# outside its band, as it should be. Right: the share of test samples below each of the three
# predictions. For correct levels the points lie on the diagonal.

fig, (left, right) = plt.subplots(
    1, 2, figsize=(10, 4.4), width_ratios=[2, 1], layout="constrained"
)
some = np.arange(len(y_test))[:60]
some = some[np.argsort(middle[some])]
left.vlines(
    np.arange(60), low[some], high[some], color="C0", alpha=0.35, lw=5, label="10 % to 90 %"
)
left.plot(np.arange(60), middle[some], "_", color="C0", ms=7, label="50 %")
for hit, color, label in ((True, "0.2", "true, inside"), (False, "C3", "true, outside")):
    k = np.flatnonzero(inside[some] == hit)
    left.plot(k, y_test[some][k], "o", color=color, ms=4, label=label)
left.set(xlabel="test sample", ylabel=what, title="a band for each sample")
left.legend(loc="upper left")
right.plot([0, 1], [0, 1], color="0.7", lw=1)
right.plot(levels, shares["built-in"], "s", color="C1", ms=11, mfc="none", label="loss='quantile'")
right.plot(levels, shares["own loss"], "o", color="C0", label="own loss")
right.set(xlabel="level", ylabel="share of test samples below", title="what was promised, and kept")
right.set(xticks=levels, yticks=levels, aspect="equal")
right.legend(loc="upper left")
plt.show()
