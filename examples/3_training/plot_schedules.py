"""
Schedules and averages
======================

At the end of training the weights still jump around the minimum. Two remedies cost next to nothing:
a learning rate that falls to zero, and the average of the last weights.
"""

# %%
# Diabetes
# --------
#
# The data are few and noisy, so single fits say little: each setting is trained from eight starts,
# on eight splits. All have the same number of epochs.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from fastbp import MLPRegressor

warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed on purpose
X, y = map(scale, load_diabetes(return_X_y=True))
EPOCHS, STARTS = 60, 8
settings = {
    "constant rate": {},
    "cosine": dict(learning_rate="cosine"),
    "average": dict(ema_decay=0.98),
    "both": dict(learning_rate="cosine", ema_decay=0.98),
}
curves = {name: np.empty((STARTS, EPOCHS)) for name in settings}
for start in range(STARTS):
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=start)
    for name, setting in settings.items():
        model = MLPRegressor(
            hidden_layer_sizes=(32,),
            learning_rate_init=0.01,
            batch_size=16,
            max_iter=EPOCHS,
            tol=0,
            n_iter_no_change=EPOCHS,
            random_state=start,
            **setting,
        )
        model.fit(X_train, y_train, X_val=X_test, y_val=y_test)
        curves[name][start] = model.validation_loss_curve_

# %%
# How noisy is the loss from epoch to epoch, and how high is it in the end? Both remedies make the
# last epochs quiet.

jumps = {name: np.abs(np.diff(curve[:, -10:], axis=1)).mean() for name, curve in curves.items()}
for name, curve in curves.items():
    print(
        f"{name:14} loss in the end {np.median(curve[:, -1]):.3f}, "
        f"change from epoch to epoch {jumps[name]:.4f}"
    )
for name in ("cosine", "average", "both"):
    assert jumps[name] < jumps["constant rate"] / 2
better = np.mean(curves["average"][:, -1] < curves["constant rate"][:, -1])
print(f"the average ends lower in {better:.0%} of the splits")
assert better >= 0.6

# %%
# The averaged weights are what is validated, kept by early stopping, and stored in ``coefs_``. In
# the first epochs they lag behind: ``1 / (1 - 0.98)`` is 50 steps, two epochs here.
#
# The picture
# -----------

fig, (rates, losses) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
share = np.linspace(0, 1, 200, endpoint=False)
for name, factor in (
    ("'linear'", 1 - share),
    ("'cosine'", (1 + np.cos(np.pi * share)) / 2),
    ("'coslog4'", (1 - np.cos(2 * np.pi * np.log2(1 + 15 * share))) / 2),
):
    rates.plot(share, factor, label=name)
rates.set(xlabel="share of training", ylabel="factor of the rate", title="Schedules")
rates.legend()
for name, curve in curves.items():
    losses.plot(np.arange(1, EPOCHS + 1), curve[0], label=name)
losses.set(xlabel="epoch", ylabel="validation loss", title="One of the splits")
losses.legend()
for ax in (rates, losses):
    ax.grid(alpha=0.3)
plt.show()
