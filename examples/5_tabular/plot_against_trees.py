"""
Tables: networks against trees
==============================

Which model is best on a table, and what does it cost? That depends on the law behind the table. On
a smooth law networks make smaller errors than boosted trees; on a law with jumps trees do. Either
way the trees are fitted in less time, and the tabular network is ahead of a plain one.
"""

# %%
# Two laws
# --------
#
# The first is Friedman's: a smooth function of five of ten numbers. The second takes numbers of the
# same kind and jumps: it is a sum of boxes with sharp edges. Categories and gaps would have to be
# encoded for the plain network, so there are none here.

from time import process_time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_friedman1
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from fastbp import MLPRegressor
from fastbp.tabular import TabularMLPRegressor

NOISE = 1.0
N_TRAIN, N_TEST = 800, 2000


def boxes(n):
    """Rows, and for each the sum of the heights of the boxes that it is in, and noise."""
    random = np.random.RandomState(0)
    X = random.rand(n, 10)
    y = NOISE * random.randn(n)
    for _ in range(12):
        first, second = random.choice(10, 2, replace=False)
        edges = random.uniform(0.2, 0.8, 2)
        y += 4 * random.randn() * ((X[:, first] > edges[0]) & (X[:, second] > edges[1]))
    return X, y


laws = {
    "smooth": make_friedman1(N_TRAIN + N_TEST, n_features=10, noise=NOISE, random_state=0),
    "jumps": boxes(N_TRAIN + N_TEST),
}

# %%
# Models
# ------
#
# All have default parameters, but for what the picture varies: the number of members and of epochs
# of the tabular network, and the number of iterations of the trees. The plain network gets scaled
# columns, a scaled target, and early stopping. Each is fitted in one thread.

tabular = {
    (n_members, max_iter): TabularMLPRegressor(
        n_members=n_members, max_iter=max_iter, n_threads=1, random_state=0
    )
    for n_members, max_iter in ((1, 40), (2, 40), (5, 40), (5, 20))
}
trees = {
    max_iter: HistGradientBoostingRegressor(max_iter=max_iter, random_state=0)
    for max_iter in (25, 50, 100)
}
plain = TransformedTargetRegressor(
    make_pipeline(
        StandardScaler(),
        MLPRegressor(early_stopping=True, max_iter=1000, n_threads=1, random_state=0),
    ),
    transformer=StandardScaler(),
)

# %%
# Error and time
# --------------
#
# The error is the root mean square on new rows. The noise is 1, so no model can be below 1.


def measure(model, X, y):
    """(CPU seconds of the fit, error on the rows that it has not seen)"""
    with threadpool_limits(1):
        start = process_time()
        model.fit(X[:N_TRAIN], y[:N_TRAIN])
        seconds = process_time() - start
    return seconds, root_mean_squared_error(y[N_TRAIN:], model.predict(X[N_TRAIN:]))


found = {}
for law, (X, y) in laws.items():
    found[law] = {
        "tabular": {key: measure(model, X, y) for key, model in tabular.items()},
        "trees": {key: measure(model, X, y) for key, model in trees.items()},
        "plain": {0: measure(plain, X, y)},
    }
    for name, key in (("tabular", (5, 40)), ("trees", 100), ("plain", 0)):
        seconds, error = found[law][name][key]
        print(f"{law:7} {name:8} error {error:.3f}, {seconds:.2f} s")
errors = {
    law: [one["tabular"][5, 40][1], one["trees"][100][1], one["plain"][0][1]]
    for law, one in found.items()
}
assert errors["smooth"][0] < 0.9 * errors["smooth"][1]
assert errors["jumps"][1] < errors["jumps"][0]
assert all(network < without for network, _, without in errors.values())

# %%
# The picture
# -----------
#
# Times are those of the machine that ran this. Further down is better, further left is cheaper. Of
# the same time, many epochs of few members make more than few epochs of many members.

fig, axes = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained", sharex=True)
for ax, (law, one) in zip(axes, found.items(), strict=True):
    lines = {
        "40 epochs, 1, 2 and 5 members": ([one["tabular"][k, 40] for k in (1, 2, 5)], "o-", "C0"),
        "5 members, 20 and 40 epochs": (
            [one["tabular"][5, k] for k in (20, 40)],
            "s--",
            "C0",
        ),
        "trees, 25, 50 and 100 iterations": ([*one["trees"].values()], "^-", "C1"),
        "plain network": ([one["plain"][0]], "D", "0.4"),
    }
    for label, (points, style, colour) in lines.items():
        ax.plot(*zip(*points, strict=True), style, color=colour, ms=6, label=label)
    ax.axhline(NOISE, color="0.7", ls=":", label="noise")
    ax.set(xscale="log", xlabel="CPU seconds of the fit", title=f"law: {law}")
    ax.grid(alpha=0.3)
axes[0].set_ylabel("root mean squared error")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()
