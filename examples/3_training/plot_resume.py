"""
Stop, save, and go on
=====================

A fit may be stopped at any time: by a callback, a limit of time, Ctrl-C, or the end of the process.
``Checkpoint`` saves the estimator after each epoch, and ``resume`` goes on with the fit. The result
is that of a fit that was never stopped, to the last bit.
"""

# %%
# A fit that is stopped
# ---------------------

import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

import fastbp
from fastbp import MLPClassifier
from fastbp.callbacks import Checkpoint, StopWhen

warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed on purpose
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
settings = dict(
    hidden_layer_sizes=(64,),
    learning_rate="cosine",
    dropout=0.2,
    ema_decay=0.98,
    max_iter=40,
    tol=0,
    n_iter_no_change=40,
    random_state=0,
)
whole = MLPClassifier(**settings).fit(X_train, y_train, X_val=X_test, y_val=y_test)

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "digits.safetensors")
    stopped = MLPClassifier(**settings).set_callbacks(
        Checkpoint(path), StopWhen(lambda estimator: estimator.n_iter_ == 12)
    )
    stopped.fit(X_train, y_train, X_val=X_test, y_val=y_test)
    saved = fastbp.load(path)
    print(f"the file has {path.stat().st_size / 1000:.0f} kB")
print(f"stopped after epoch {saved.n_iter_}: {stopped.stop_reason_}")
assert saved.n_iter_ == 12

# %%
# Another process could load the file. ``resume`` takes the same data again: it checks their sizes
# and checksums, repeats the shuffles of the first epochs, and trains the others.

loss_before = list(saved.loss_curve_)
resumed = saved.set_params(n_threads=1).resume(X_train, y_train, X_val=X_test, y_val=y_test)
same = all(
    np.array_equal(one, other) for one, other in zip(resumed.coefs_, whole.coefs_, strict=True)
)
print(f"epochs {resumed.n_iter_}, weights equal to the last bit: {same}")
assert same
assert resumed.loss_curve_ == whole.loss_curve_
assert resumed.validation_scores_ == whole.validation_scores_

# %%
# What is forgotten elsewhere
# ---------------------------
#
# A warm start looks similar. It keeps the weights, but not the moments of Adam, the order of the
# samples, the place in the schedule, or the averaged weights. So it is another fit:

warm = MLPClassifier(**{**settings, "max_iter": 12}, warm_start=True).fit(X_train, y_train)
warm.set_params(max_iter=28).fit(X_train, y_train)
jump = abs(warm.loss_curve_[12] - whole.loss_curve_[12])
print(
    f"loss of epoch 13: {whole.loss_curve_[12]:.4f}, after a warm start {warm.loss_curve_[12]:.4f}"
)
assert jump > 1e-3

# %%
# Other data, or a parameter that changes the course, are refused by name:

try:
    resumed.set_params(max_iter=50).resume(X_train, y_train[::-1])
except ValueError as error:
    message = str(error)
print(message)
assert "y differs" in message or "X_val" in message

# %%
# The picture
# -----------

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
epochs = np.arange(1, 41)
ax.plot(epochs, whole.loss_curve_, color="0.75", lw=6, label="never stopped")
ax.plot(epochs[:12], loss_before, label="until the stop")
ax.plot(epochs[11:], resumed.loss_curve_[11:], label="resume")
ax.plot(epochs[12:], warm.loss_curve_[12:], ls=":", label="warm start")
ax.axvline(12, color="0.4", ls=":")
ax.set(xlabel="epoch", ylabel="training loss", yscale="log", title="The same fit, in two parts")
ax.legend()
ax.grid(alpha=0.3)
plt.show()
