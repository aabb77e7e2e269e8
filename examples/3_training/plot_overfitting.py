"""
Overfitting, early stopping and L2
==================================

A large network can memorize sixty samples, including their noise. On the training curve this looks
like success. A second curve, of samples that are not trained on, shows the problem. It also shows
the effect of two remedies: stopping early, and a penalty on large weights.
"""

# %%
# Few samples, many parameters
# ----------------------------
#
# Two half moons overlap, so every border between them makes mistakes. Sixty samples are for
# training. Five hundred are for *validation*: they are evaluated after every epoch, but change no
# weight. Another 1500, the test samples, are kept until the end.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.metrics import log_loss

from fastbp import MLPClassifier
from fastbp.inspection import LossCurveDisplay

X, y = make_moons(2060, noise=0.3, random_state=3)
X_train, X_val, X_test = np.split(X, [60, 560])
y_train, y_val, y_test = np.split(y, [60, 560])

# %%
# Three ways to train
# -------------------
#
# - Without a remedy: 300 epochs, no penalty.
# - With early stopping: training ends when the accuracy on the validation samples has not risen for
#   twenty epochs, and the weights of the best epoch are restored.
# - With L2: the objective is
#
#   .. math:: \frac{1}{n} \sum_{i=1}^{n} E_i + \frac{\alpha}{2 n} \sum w^2,
#
#   the mean loss of the samples plus a penalty on every weight. Large weights make sharp borders,
#   so a strong penalty makes smooth ones.
#
# We pass ``X_val`` and ``y_val`` to ``fit``. Then there is a ``validation_loss_curve_`` beside
# ``loss_curve_``, with one entry for each epoch.

ways = {
    "no remedy": dict(alpha=0, n_iter_no_change=300),
    "early stopping": dict(alpha=0, n_iter_no_change=20, early_stopping=True),
    "L2, alpha = 0.3": dict(alpha=0.3, n_iter_no_change=300),
}
warnings.simplefilter("ignore", ConvergenceWarning)  # 300 epochs on purpose
models, validation, test = {}, {}, {}
for way, parameters in ways.items():
    model = MLPClassifier(
        (50, 50),
        learning_rate_init=0.005,
        batch_size=20,
        max_iter=300,
        random_state=0,
        **parameters,
    )
    models[way] = model.fit(X_train, y_train, X_val=X_val, y_val=y_val)
    validation[way] = np.array(model.validation_loss_curve_)
    test[way] = log_loss(y_test, model.predict_proba(X_test))
    print(
        f"{way}: {model.n_iter_} epochs, training loss {model.loss_curve_[-1]:.3f}\n"
        f"    validation loss {validation[way].min():.3f} at its lowest, "
        f"{validation[way][-1]:.3f} in the end\n"
        f"    test loss {test[way]:.3f}, accuracy {model.score(X_test, y_test):.3f}"
    )

# %%
# Without a remedy, the training loss falls to nearly zero. The validation loss falls at first, then
# grows to several times its lowest value. The network becomes confident everywhere, also where it
# is wrong, and the log loss of a confident and wrong prediction is large.

alone = validation["no remedy"]
times = alone[-1] / alone.min()
print(f"lowest after epoch {np.argmin(alone) + 1}, in the end {times:.1f} times as high")
assert models["no remedy"].loss_curve_[-1] < 0.05
assert alone[-1] > 2 * alone.min()

# %%
# Both remedies reduce the test loss to a fraction. Early stopping also saves time. With L2 one has
# to find a good alpha. Then the end of training matters little: the curve stays low.

assert test["early stopping"] < 0.5 * test["no remedy"]
assert test["L2, alpha = 0.3"] < 0.5 * test["no remedy"]
assert models["early stopping"].n_iter_ < 200

# %%
# The picture
# -----------
#
# Above, the curves. The training loss with L2 contains the penalty; the validation loss never does.
# Below, the probability of the red class and the training samples. Without a remedy the border runs
# around single samples.

fig, axes = plt.subplots(2, 3, figsize=(10.5, 6.4), layout="constrained")
for (upper, lower), (way, model) in zip(axes.T, models.items(), strict=True):
    LossCurveDisplay.from_estimator(model, ax=upper)
    upper.set(title=way[0].upper() + way[1:], ylim=(0, 2.1), xlim=(0, 300))
    DecisionBoundaryDisplay.from_estimator(
        model,
        X_train,
        response_method="predict_proba",
        plot_method="pcolormesh",
        cmap="RdBu_r",
        alpha=0.6,
        eps=0.5,
        grid_resolution=200,
        ax=lower,
    )
    lower.scatter(*X_train.T, c=y_train, cmap="RdBu_r", s=22, edgecolors="white", linewidths=0.6)
    lower.set(title=f"test loss {test[way]:.2f}", xticks=[], yticks=[])
plt.show()
