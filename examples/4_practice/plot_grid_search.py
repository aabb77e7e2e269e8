"""
A pipeline in a grid search
===========================

Which activation is best, and how strong should the penalty be? We do not know in advance, so we
try. A network and its scaler form one pipeline, and scikit-learn's grid search tries it with every
combination. One of the activations is our own.
"""

# %%
# Two spirals
# -----------
#
# Two classes wind around each other, one and a half times. The second feature is measured in
# another unit, so its numbers are a thousand times larger.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import MLPClassifier
from fastbp import graph as fg

rng = np.random.default_rng(0)
y = np.arange(400) % 2
turn = np.sqrt(rng.uniform(0.05, 1, 400)) * 3 * np.pi
X = np.column_stack([turn * np.cos(turn + np.pi * y), turn * np.sin(turn + np.pi * y)])
X = (X + rng.normal(scale=0.9, size=X.shape)) * [1, 1000]
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

# %%
# An activation of your own
# -------------------------
#
# An activation may be any function made of the operations in ``fastbp.graph``. It is traced once,
# differentiated, and runs in the compiled core. Its derivative is not written by hand. This one is
# a line with waves on it (Ziyin, Hartwig and Ueda, 2020):


def snake(z):
    return z + fg.sin(z) ** 2


# %%
# The search
# ----------
#
# The pipeline scales the features, then trains. Inside the search each fold is scaled with its own
# training samples, so no information leaks from the samples that are held out. The name of a step
# and of a parameter, with two underscores between them, select what to vary.

pipeline = make_pipeline(
    StandardScaler(),
    MLPClassifier((16, 16), solver="lbfgs", max_iter=150, random_state=0),
)
activations = {
    "logistic": "logistic",
    "tanh": "tanh",
    "relu": "relu",
    "gelu": "gelu",
    "snake": snake,
    "tanh, snake": ["tanh", snake],
}
alphas = [0.001, 0.01, 0.1, 1, 10]
search = GridSearchCV(
    pipeline,
    {
        "mlpclassifier__activation": list(activations.values()),
        "mlpclassifier__alpha": alphas,
    },
    cv=StratifiedKFold(5, shuffle=True, random_state=0),
)
warnings.simplefilter("ignore", ConvergenceWarning)  # lbfgs stops after 150 iterations
search.fit(X_train, y_train)

# %%
# The results have the order of the grid, in which the last parameter changes fastest.

scores = search.cv_results_["mean_test_score"].reshape(len(activations), len(alphas))
print("mean accuracy   alpha" + "".join(f"{alpha:8}" for alpha in alphas))
for name, row in zip(activations, scores, strict=True):
    print(f"{name:>20} " + "".join(f"{score:8.3f}" for score in row))

# %%
# The penalty matters a lot, the choice of a smooth or a kinked activation little. A difference of
# 0.01 is three samples, and may be chance.
#
# The search trains the best pipeline again, on all training samples. Does its score hold on the
# test samples, which the search has never seen? We compare it with a logistic regression, a network
# without hidden layers.

linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)
best_row, best_column = divmod(search.best_index_, len(alphas))
best = list(activations)[best_row]
accuracy = search.score(X_test, y_test)
print(
    f"best: {best}, alpha {alphas[best_column]}, accuracy "
    f"{search.best_score_:.3f} in the search, {accuracy:.3f} in the test"
)
print(f"logistic regression: {linear.score(X_test, y_test):.3f}")
assert accuracy > 0.9
assert accuracy > linear.score(X_test, y_test) + 0.15

# %%
# What happens without the scaler? The feature with values in the thousands dominates the other:

unscaled = clone(search.best_estimator_[-1]).fit(X_train, y_train)
print(f"the same network without scaling: {unscaled.score(X_test, y_test):.3f}")
assert accuracy > unscaled.score(X_test, y_test) + 0.15

# %%
# The picture
# -----------
#
# On the left, the result of the search: with too strong a penalty no network can bend. Beside it,
# two activations, each with the alpha that suits it. The border drawn by relu units is made of
# straight pieces, that of snake units is curved. Dots are test samples.

fig, (table, *planes) = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
table.imshow(scores, cmap="Blues", vmin=0.5, vmax=1.1, aspect="auto")
for (row, column), score in np.ndenumerate(scores):
    colour = "white" if score > 0.8 else "black"
    table.text(column, row, f"{score:.2f}", color=colour, ha="center", va="center")
corner = best_column - 0.5, best_row - 0.5
table.add_patch(plt.Rectangle(corner, 1, 1, fill=False, ec="C1", lw=2.5))
table.set_xticks(range(len(alphas)), alphas)
table.set_yticks(range(len(activations)), activations)
table.set(xlabel="alpha", title="Mean accuracy of five folds")

for ax, name in zip(planes, ["relu", "snake"], strict=True):
    alpha = alphas[np.argmax(scores[list(activations).index(name)])]
    model = clone(pipeline).set_params(
        mlpclassifier__activation=activations[name], mlpclassifier__alpha=alpha
    )
    model.fit(X_train, y_train)
    DecisionBoundaryDisplay.from_estimator(
        model, X, response_method="predict", cmap="RdBu_r", alpha=0.35, grid_resolution=300, ax=ax
    )
    ax.scatter(*X_test.T, c=y_test, cmap="RdBu_r", s=18, edgecolors="white", linewidths=0.5)
    ax.set_title(f"{name}, alpha {alpha}: {model.score(X_test, y_test):.0%} right")
    ax.set(xlabel="first feature", ylabel="second feature")
plt.show()
