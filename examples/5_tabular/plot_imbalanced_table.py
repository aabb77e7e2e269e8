"""
A rare class: probabilities first, then the threshold
=====================================================

Few contracts fail, and one that fails costs much more than a check of one that does not. The
accuracy is the wrong score for this. Better is a model with good probabilities, chosen by
``scoring="neg_log_loss"``, and a threshold that follows from the costs.
"""

# %%
# A table of contracts
# --------------------
#
# Six in a hundred contracts fail. The probability follows a law that we make up: it grows with the
# debt, depends on the sector, and falls with the age of the firm, which is often missing.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.model_selection import FixedThresholdClassifier

from fastbp.tabular import TabularMLPClassifier


def contracts(n, seed):
    random = np.random.RandomState(seed)
    sector = random.randint(5, size=n)
    debt, age = random.gamma(2, 1, n), random.exponential(12, n)
    odds = -4.3 + 0.9 * np.sqrt(debt) - 0.08 * age + np.array([0, 0.4, 1.2, -0.6, 0.8])[sector]
    odds += np.where(sector == 2, 0.5 * debt, 0)
    table = pd.DataFrame(
        {
            "sector": pd.Categorical.from_codes(sector, ["food", "toys", "ships", "care", "steel"]),
            "debt": debt,
            "age": np.where(random.rand(n) < 0.25, np.nan, age),
            "size": np.exp(random.randn(n)),
        }
    )
    return table, (random.rand(n) < expit(odds)).astype(int)


X_train, y_train = contracts(4000, 0)
X_test, y_test = contracts(20000, 1)
share = y_train.mean()
print(f"{share:.1%} of the contracts fail")

# %%
# Chosen by the accuracy, or by the log loss
# ------------------------------------------
#
# By default a member keeps the epoch of the best accuracy, and labels are smoothed by 0.1: that is
# good for labels. ``scoring="neg_log_loss"`` keeps the epoch of the best probabilities and leaves
# the labels as they are. ``calibrate=True`` corrects what is left by one number, the temperature.

models = {
    "accuracy": TabularMLPClassifier(max_iter=24, random_state=0),
    "log loss": TabularMLPClassifier(
        max_iter=24, scoring="neg_log_loss", calibrate=True, random_state=0
    ),
}
probability, losses = {}, {}
for name, model in models.items():
    model.fit(X_train, y_train)
    probability[name] = model.predict_proba(X_test)[:, 1]
    losses[name] = log_loss(y_test, probability[name])
    accuracy = np.mean((probability[name] > 0.5) == y_test)
    print(
        f"chosen by {name}: log loss {losses[name]:.4f}, accuracy {accuracy:.4f}, "
        f"mean probability {probability[name].mean():.3f}"
    )
print(f"temperature {models['log loss'].temperature_:.2f}")
constant = log_loss(y_test, np.full(len(y_test), share))
print(f"the share for all: log loss {constant:.4f}, accuracy {1 - y_test.mean():.4f}")
assert losses["log loss"] < 0.95 * losses["accuracy"]
assert losses["log loss"] < constant

# %%
# Both are hardly more accurate than the answer "none fails". But the probabilities of the second
# one are about right on average, and those of the first are much too large: smoothed labels are
# never 0.
#
# A threshold from costs
# ----------------------
#
# Let a failure that nobody has checked cost 20, and a check 1. A check pays where the probability
# is above 1/20. With probabilities that are right this is the best threshold. The out-of-fold
# predictions of the fit tell whether it is, without new data and without another fit. (They are
# not calibrated, but the temperature is near 1 here.) ``TunedThresholdClassifierCV`` of
# scikit-learn finds a threshold for any classifier, by more fits. With
# ``FixedThresholdClassifier`` the fitted model decides by a threshold of one's own.

model = models["log loss"]
MISSED, CHECK = 20, 1
thresholds = np.geomspace(0.005, 0.6, 60)


def cost(y, probability, threshold):
    checked = probability >= threshold
    return np.mean(CHECK * checked + MISSED * (y == 1) * ~checked)


by_folds = [cost(y_train, model.oof_prediction_[:, 1], t) for t in thresholds]
on_test = [cost(y_test, probability["log loss"], t) for t in thresholds]
best = thresholds[np.argmin(by_folds)]
print(f"threshold by the costs {CHECK / MISSED:.3f}, by the out-of-fold predictions {best:.3f}")
decisions = {"check none": 1.0, "check all": 0.0, "0.5": 0.5, "1/20": CHECK / MISSED}
costs = {name: cost(y_test, probability["log loss"], t) for name, t in decisions.items()}
costs["folds"] = cost(y_test, probability["log loss"], best)
for name, value in costs.items():
    print(f"threshold {name:10} costs {value:.3f} a contract")
assert costs["1/20"] < 0.9 * min(costs["check none"], costs["check all"], costs["0.5"])
assert costs["folds"] < 1.06 * costs["1/20"]

frozen = FrozenEstimator(model)  # it is not fitted again
decides = FixedThresholdClassifier(frozen, threshold=CHECK / MISSED).fit(X_train, y_train)
assert cost(y_test, decides.predict(X_test), 0.5) == costs["1/20"]

# %%
# The picture
# -----------
#
# On the left, the share that fails among contracts of about the same probability: points should lie
# on the diagonal. On the right, the cost by the threshold. It is flat near its minimum, so the
# threshold from the folds costs about as little as the one from the law of costs.

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for name, column in probability.items():
    parts = np.array_split(np.argsort(column), 12)
    means = [column[part].mean() for part in parts]
    left.plot(means, [y_test[part].mean() for part in parts], "o-", ms=4, label=f"by {name}")
left.plot([0, 0.42], [0, 0.42], color="0.7", ls=":")
left.set(xlabel="predicted probability", ylabel="share that fails", title="20 000 test contracts")
left.legend()

right.plot(thresholds, by_folds, color="C1", lw=1.5, ls="--", label="out-of-fold predictions")
right.plot(thresholds, on_test, color="C1", lw=2, label="test contracts")
right.axvline(CHECK / MISSED, color="0.6", ls=":", label="1/20")
right.axhline(CHECK, color="0.8", lw=1)
right.text(thresholds[0], CHECK, "check all", va="bottom", color="0.4")
right.axhline(costs["check none"], color="0.8", lw=1)
right.text(thresholds[0], costs["check none"], "check none", va="bottom", color="0.4")
right.set(xscale="log", xlabel="threshold", ylabel="cost of a contract", title="cost by threshold")
right.set_ylim(0.5, 1.75)
right.legend(loc="upper left")
for ax in (left, right):
    ax.grid(alpha=0.3)
plt.show()
