"""
Intervals for tables: the errors of folds, and quantiles
========================================================

How far off can a prediction be? The out-of-fold errors of a table answer that after every fit, and
``predict_interval`` makes intervals of them. They are about as wide for all rows. Where some rows
are harder than others, ``loss="quantile"`` learns the width. Both are counted here on new rows.
"""

# %%
# Rows that differ in noise
# -------------------------
#
# The waiting time at a counter depends on the hour, the counter and the number of people. The more
# people there are, the less is known of the time. A fifth of the numbers of people is missing.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from fastbp.tabular import TabularMLPRegressor


def waiting_times(n, seed):
    random = np.random.RandomState(seed)
    hour, people = random.uniform(8, 18, n), random.randint(0, 31, n)
    counter = random.randint(4, size=n)
    pace = np.array([0.6, 0.8, 1.0, 1.4])[counter]
    mean = 3 + pace * people * (1 + 0.3 * np.sin((hour - 8) / 10 * 2 * np.pi))
    y = mean + (0.5 + 0.25 * people) * random.randn(n)
    table = pd.DataFrame(
        {
            "hour": hour,
            "people": np.where(random.rand(n) < 0.2, np.nan, people),
            "counter": pd.Categorical.from_codes(counter, list("ABCD")),
        }
    )
    return table, y, people


X_train, y_train, _ = waiting_times(2500, 0)
X_test, y_test, people = waiting_times(4000, 1)

# %%
# Intervals from the errors of folds
# ----------------------------------
#
# Each training row has been predicted by members that have not seen it. CV+ [1]_ takes the errors
# of these predictions, and asks nothing of the law of the targets. The model is fitted once, and
# any coverage may be asked for.

levels = [0.5, 0.8, 0.9, 0.95]
model = TabularMLPRegressor(random_state=0).fit(X_train, y_train)
intervals = {level: model.predict_interval(X_test, coverage=level) for level in levels}


def share_inside(low, high, rows=slice(None)):
    return np.mean((low <= y_test)[rows] & (y_test <= high)[rows])


folds = [share_inside(*intervals[level]) for level in levels]
for level, share in zip(levels, folds, strict=True):
    print(f"intervals of {level:.0%} contain {share:.1%} of 4000 new targets")
assert np.abs(np.subtract(folds, levels)).max() < 0.03

# %%
# Bands of quantiles
# ------------------
#
# Several quantiles are the outputs of one model. They are sorted, so bands lie inside each other.

tails = [(1 - level) / 2 for level in levels]
quantiles = [*tails, *(1 - tail for tail in tails)]
bands_model = TabularMLPRegressor(loss="quantile", quantile=quantiles, random_state=0)
predicted = bands_model.fit(X_train, y_train).predict(X_test)
bands = {level: (predicted[:, k], predicted[:, k + 4]) for k, level in enumerate(levels)}
learned = [share_inside(*bands[level]) for level in levels]
for level, share in zip(levels, learned, strict=True):
    print(f"bands of {level:.0%} contain {share:.1%} of 4000 new targets")

# %%
# For whom the promise is kept
# ----------------------------
#
# The intervals of the folds keep their promise on average. Where the number of people is known,
# they contain all targets if it is small, and too few if it is large. The bands follow the noise,
# and are narrower on average. But nothing has measured whether they are wide enough: their shares
# are off by one or two percent.

edges = np.arange(0, 31, 5)
known = X_test["people"].notna()
groups = [known & (edge <= people) & (people < edge + 5) for edge in edges[:-1]]
along = {
    "folds": [share_inside(*intervals[0.9], rows) for rows in groups],
    "quantiles": [share_inside(*bands[0.9], rows) for rows in groups],
}
off = {name: np.abs(np.subtract(shares, 0.9)).mean() for name, shares in along.items()}
for name, (low, high) in (("folds", intervals[0.9]), ("quantiles", bands[0.9])):
    width = np.mean(high - low)
    print(
        f"{name:9} off by {off[name]:.1%} in the mean of the groups; mean width {width:.1f} minutes"
    )
assert off["quantiles"] < 0.7 * off["folds"]
assert np.abs(np.subtract(learned, levels)).max() < 0.05

# %%
# The picture
# -----------
#
# .. [1] R. Barber, E. Candès, A. Ramdas and R. Tibshirani, "Predictive inference with the
#    jackknife+", Annals of Statistics 49, 2021, arXiv:1905.02928.

fig, axes = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained", width_ratios=[1.5, 1, 1])
band, promised, shares = axes

noon = pd.DataFrame(
    {
        "hour": 12.0,
        "people": np.arange(31.0),
        "counter": pd.Categorical(["C"] * 31, categories=list("ABCD")),
    }
)
low, high = model.predict_interval(noon, coverage=0.9)
band.fill_between(noon["people"], low, high, color="C0", alpha=0.2, lw=0, label="folds")
edge = bands_model.predict(noon)
place = levels.index(0.9)
for k, label in ((place, "quantiles"), (place + 4, None)):
    band.plot(noon["people"], edge[:, k], color="C1", lw=2, label=label)
band.plot(noon["people"], model.predict(noon), color="C0", lw=1.5)
near = known & (X_test["counter"] == "C") & X_test["hour"].between(11, 13)
band.plot(
    people[near], y_test[near], ".", color="0.35", ms=4, label="new targets, 11 to 13 o'clock"
)
band.set(xlabel="people", ylabel="minutes", title="90 % at counter C, at noon")
band.legend(loc="upper left")

promised.plot([0.45, 1], [0.45, 1], color="0.7", lw=1)
promised.plot(levels, folds, "o-", label="folds")
promised.plot(levels, learned, "o-", label="quantiles")
promised.set(xlabel="promised", ylabel="share inside", title="all new rows")
promised.legend()

shares.axhline(0.9, color="0.7", lw=1)
for name, values in along.items():
    shares.plot(edges[:-1] + 2, values, "o-", label=name)
shares.set(xlabel="people", ylabel="share inside", title="90 %, people known", ylim=(None, 1.01))
for ax in axes:
    ax.grid(alpha=0.3)
plt.show()
