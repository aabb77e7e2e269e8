"""
House prices: a frame with categories and gaps
==============================================

A table of houses has numbers, categories and cells that nobody has filled in. A plain network takes
none of this. ``TabularMLPRegressor`` takes the frame as it is, and so do the boosted trees of
scikit-learn. The prices here follow a law that we make up, so the smallest possible error is known,
and so is what each column contributes.
"""

# %%
# The law
# -------
#
# The logarithm of the price is a sum of one term for each column, and noise. The agent and the day
# of the listing have no term. A sixth of the years are missing.

from time import process_time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import train_test_split

from fastbp.inspection import FeatureImportanceDisplay, feature_importance
from fastbp.tabular import TabularMLPRegressor

NOISE = 0.12
random = np.random.RandomState(0)
n = 5000
districts = np.array(["center", "harbour", "hill", "mill", "north", "old town", "park", "south"])
of_district = np.array([0.35, 0.15, 0.45, -0.1, -0.25, 0.25, 0.1, -0.35])
garages = np.array(["none", "carport", "garage"])
of_garage = np.array([-0.08, 0.0, 0.1])

district, garage = random.randint(8, size=n), random.choice(3, size=n, p=[0.3, 0.2, 0.5])
area = np.exp(random.normal(4.7, 0.4, n))
distance = random.gamma(3, 2, n)
year = random.randint(1900, 2025, n).astype(float)
terms = {
    "area": 0.75 * np.log(area),
    "district": of_district[district],
    "distance": 0.3 * np.exp(-distance / 4),
    "year": 0.25 * ((year - 1960) / 60) ** 2,  # what is old and what is new is liked
    "garage": of_garage[garage],
}
log_price = 2 + sum(terms.values()) + NOISE * random.randn(n)
houses = pd.DataFrame(
    {
        "area": area.round(),
        "district": pd.Categorical.from_codes(district, districts),
        "distance": distance.round(1),
        "year": np.where(random.rand(n) < 1 / 6, np.nan, year),
        "garage": pd.Categorical.from_codes(garage, garages),
        "agent": pd.Categorical(random.choice(list("ABCDEFGH"), n)),
        "listed": random.randint(1, 366, n),
    }
)
print(houses.head(4).to_string())

# %%
# Two models without preparation
# ------------------------------
#
# Both models learn from 3000 rows with their default parameters. Nobody can predict the noise, nor
# the term of a year that is missing: this is the smallest error possible.

X_train, X_test, y_train, y_test = train_test_split(
    houses, log_price, train_size=3000, random_state=0
)
models = {
    "TabularMLPRegressor": TabularMLPRegressor(random_state=0),
    "HistGradientBoosting": HistGradientBoostingRegressor(
        categorical_features="from_dtype", random_state=0
    ),
}
errors = {"a constant": np.std(y_test)}
for name, model in models.items():
    start = process_time()
    model.fit(X_train, y_train)
    seconds = process_time() - start
    errors[name] = root_mean_squared_error(y_test, model.predict(X_test))
    print(f"{name:20} error {errors[name]:.4f}, fitted in {seconds:.1f} s of CPU time")
unknown = X_test["year"].isna().to_numpy() * (terms["year"][X_test.index] - terms["year"].mean())
errors["smallest possible"] = np.sqrt(NOISE**2 + np.mean(unknown**2))
print(f"{'smallest possible':20} error {errors['smallest possible']:.4f}")
assert errors["TabularMLPRegressor"] < 1.08 * errors["smallest possible"]
assert errors["TabularMLPRegressor"] < errors["HistGradientBoosting"]

# %%
# Here the network is ahead. The law is smooth and a sum, which suits it. Where a law has many jumps
# it suits trees, and they are fitted in less time: :ref:`another example
# <sphx_glr_gallery_5_tabular_plot_against_trees.py>` compares both.
#
# An error without test data
# --------------------------
#
# Each member of the model has been validated on a fold that it has not seen. Together these
# predictions cover all rows, and estimate the error for nothing.

model = models["TabularMLPRegressor"]
estimated = root_mean_squared_error(y_train, model.oof_prediction_)
print(f"out-of-fold error {estimated:.4f}, test error {errors['TabularMLPRegressor']:.4f}")
assert abs(estimated / errors["TabularMLPRegressor"] - 1) < 0.08

# %%
# What the columns contribute
# ---------------------------
#
# ``feature_importance`` multiplies the exact gradient with the distance from the mean, and adds up
# the columns that a feature became. It is in units of the logarithm of the price, so it can be
# compared with the standard deviation of each term of the law.

importance = feature_importance(model, X_test)
found = dict(zip(importance.feature_names, importance.importances_mean, strict=True))
for name in houses:
    true = np.std(terms[name]) if name in terms else 0.0
    print(f"{name:9} importance {found[name]:.3f}, term of the law {true:.3f}")
assert max(found["agent"], found["listed"]) < min(found[name] for name in terms)
assert abs(found["area"] - np.std(terms["area"])) < 0.05
assert abs(found["district"] - np.std(terms["district"])) < 0.05

# %%
# The picture
# -----------
#
# Bars are importances, with standard deviations over the members; rings are the terms of the law.
# The agent and the day get a little: the network has learned some noise. Where the law has nothing,
# an importance shows how large that is.

fig, (left, right) = plt.subplots(
    1, 2, figsize=(10, 3.8), width_ratios=[1.25, 1], layout="constrained"
)
display = FeatureImportanceDisplay.from_estimator(model, X_test, ax=left)
names = [label.get_text() for label in left.get_yticklabels()]
law = [np.std(terms[name]) if name in terms else 0.0 for name in names]
rings = dict(mfc="none", mec="C1", ms=9, mew=2, clip_on=False)
left.plot(law, range(len(names)), "o", label="law", **rings)
left.set(title="importance of the columns")
left.tick_params(axis="y", pad=9)  # the rings at 0 need room
left.legend(loc="lower right")

colours = ["0.75", "C0", "C1", "0.45"]
bars = right.barh(list(errors), list(errors.values()), color=colours, height=0.6)
right.bar_label(bars, fmt="%.3f", padding=3)
right.set(xlabel="root mean squared error of the log price", title="error on 2000 test houses")
right.set_xlim(0, 1.15 * max(errors.values()))
right.invert_yaxis()
for side in ("top", "right"):
    right.spines[side].set_visible(False)
plt.show()
