"""
Classes of different frequency
==============================

If one class is rare, a classifier can be right nearly always and still miss it. ``class_weight``
gives both classes the same weight. It moves the threshold between them, and the probabilities with
it: a threshold of one's own does the same without touching the probabilities.
"""

# %%
# Weights of classes
# ------------------
#
# One sample in twenty belongs to class 1. With ``class_weight="balanced"`` a sample of class
# :math:`c` counts with :math:`W / (K W_c)`, where :math:`W_c` is the weight of all samples of the
# class, :math:`W` that of all samples, and :math:`K` the number of classes.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_classification
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.model_selection import train_test_split

from fastbp import MLPClassifier

X, y = make_classification(
    n_samples=8000, n_informative=5, weights=[0.95], class_sep=0.8, flip_y=0, random_state=1
)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
settings = dict(
    hidden_layer_sizes=(32,),
    learning_rate_init=0.005,
    early_stopping=True,
    scoring="loss",  # the accuracy of few rare samples would be coarse
    max_iter=500,
    random_state=0,
)
plain = MLPClassifier(**settings).fit(X_train, y_train)
balanced = MLPClassifier(**settings, class_weight="balanced").fit(X_train, y_train)
scores = {}
for name, model in (("plain", plain), ("balanced", balanced)):
    predicted = model.predict(X_test)
    scores[name] = balanced_accuracy_score(y_test, predicted)
    print(
        f"{name:9} accuracy {model.score(X_test, y_test):.3f}, rare samples found "
        f"{recall_score(y_test, predicted):.2f}, balanced accuracy {scores[name]:.3f}"
    )
assert scores["balanced"] > scores["plain"] + 0.03

# %%
# What it does to probabilities
# -----------------------------
#
# The balanced model gives the probabilities of a world in which both classes are equally frequent.
# Divided by the weights and normalized, they are those of this world again. The mean over the test
# samples shows it: it should be the share of class 1.

weights = len(y_train) / (2 * np.bincount(y_train))
proba = balanced.predict_proba(X_test)
corrected = proba / weights
corrected /= corrected.sum(axis=1, keepdims=True)
share = y_test.mean()
print(f"share of class 1: {share:.3f}")
for name, column in (
    ("plain", plain.predict_proba(X_test)[:, 1]),
    ("balanced", proba[:, 1]),
    ("corrected", corrected[:, 1]),
):
    print(f"mean probability, {name:9}: {column.mean():.3f}")
assert proba[:, 1].mean() > 2 * share
assert abs(corrected[:, 1].mean() - share) < 0.02

# %%
# A threshold instead
# -------------------
#
# Where only the decision matters, the plain model with another threshold finds as many: a sample is
# rare if its probability is above the share of the class. `sklearn.model_selection` has
# `TunedThresholdClassifierCV` for it.

moved = (plain.predict_proba(X_test)[:, 1] > y_train.mean()).astype(int)
by_threshold = balanced_accuracy_score(y_test, moved)
print(f"balanced accuracy by the threshold {y_train.mean():.3f}: {by_threshold:.3f}")
assert abs(by_threshold - scores["balanced"]) < 0.05

# %%
# The picture
# -----------

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
bins = np.linspace(0, 1, 26)
for label in (0, 1):
    rows = y_test == label
    left.hist(proba[rows, 1], bins, alpha=0.6, density=True, label=f"class {label}")
left.axvline(0.5, color="0.4", ls=":")
left.set(xlabel="probability of class 1", ylabel="density", title="class_weight='balanced'")
left.legend()

for name, column in (("balanced", proba[:, 1]), ("corrected", corrected[:, 1])):
    means, shares = [], []
    for part in np.array_split(np.argsort(column), 12):
        means.append(column[part].mean())
        shares.append(y_test[part].mean())
    right.plot(means, shares, "o-", ms=4, label=name)
right.plot([0, 1], [0, 1], color="0.7", ls=":")
right.set(xlabel="predicted probability", ylabel="share of class 1", title="Calibration")
right.legend()
for ax in (left, right):
    ax.grid(alpha=0.3)
plt.show()
