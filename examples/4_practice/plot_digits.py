"""
Handwritten digits: row by row against in batches
=================================================

A network with layers of 64, 50, 100 and 10 units reads handwritten digits. It can read one digit at
a time, or many at once. The answers are the same, but the time is not. In the end we look at the
weights of the first layer.
"""

# %%
# 64-50-100-10
# ------------
#
# An image has 8 × 8 pixels, and every pixel is an input. Ten outputs represent the ten digits. In
# between are 50 and 100 logistic units, whose activations are between 0 and 1.

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fastbp import MLPClassifier
from fastbp.inspection import WeightsDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)
model = MLPClassifier(
    (50, 100), activation="logistic", alpha=0.03, learning_rate_init=0.02, random_state=0
)
model.fit(X_train, y_train)
print("weights:", *(f"{fan_in} × {fan_out}" for fan_in, fan_out in map(np.shape, model.coefs_)))
accuracy = model.score(X_test, y_test)
print(f"{model.n_iter_} epochs, {accuracy:.1%} of {len(X_test)} test digits read right")
assert [len(w) for w in model.coefs_] == [64, 50, 100]
assert accuracy > 0.95

# %%
# In batches
# ----------
#
# A layer is an affine map and an activation, :math:`f(a w + b)`. If :math:`a` is one row, this is a
# product of a vector and a matrix. If :math:`a` has the rows of a batch, it is a product of two
# matrices: the same formula and the same arithmetic. But the call from Python, its checks and its
# allocations are paid once a batch, and each weight that is loaded is used for many rows.


def read(batch_size):
    """Probabilities of all test digits, and the seconds it took (the best of three)."""
    seconds = []
    for _ in range(3):
        start = perf_counter()
        batches = [
            model.predict_proba(X_test[first : first + batch_size])
            for first in range(0, len(X_test), batch_size)
        ]
        seconds.append(perf_counter() - start)
    return np.vstack(batches), min(seconds)


sizes = [1, 3, 10, 30, 100, len(X_test)]
times, probabilities = [], []
for size in sizes:
    answer, seconds = read(size)
    probabilities.append(answer)
    times.append(seconds / len(X_test) * 1e6)
    print(f"{size:3} rows at a time: {times[-1]:7.2f} microseconds a digit")

# %%
# A hundred rows at a time are many times faster than one. And the probabilities are equal, up to
# rounding:

difference = np.ptp(probabilities, axis=0).max()
print(f"greatest difference between the answers: {difference:.0e}")
assert difference < 1e-12
assert times[0] > 2 * times[sizes.index(100)]

faster = times[0] / times[sizes.index(100)]
fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.semilogx(sizes, times, "o-")
ax.set_xticks(sizes, sizes)
ax.minorticks_off()
ax.set(xlabel="rows at a time", ylabel="microseconds a digit", ylim=(0, None))
ax.set_title(f"A hundred rows at a time: {faster:.0f} times as fast as one")
ax.grid(alpha=0.3)
plt.show()

# %%
# The weights of the first layer
# ------------------------------
#
# A unit of the first layer has a weight for every pixel, so its weights form an image as well.
# Where they are positive, ink increases the unit's preactivation; where they are negative, ink
# decreases it.
#
# Some pixels never contain ink. Their input is 0, so the gradient of the loss with respect to their
# weights is 0 too, since :math:`dw = a^T \delta` has the input as a factor. Only the penalty
# ``alpha`` changes these weights, and it moves them to 0:

first = model.coefs_[0]
blank = ~X_train.any(axis=0)
rms_blank, rms_inked = np.sqrt(np.mean(first[blank] ** 2)), np.sqrt(np.mean(first[~blank] ** 2))
print(f"{blank.sum()} blank pixels: RMS weight {rms_blank:.1e}; the others: {rms_inked:.2f}")
assert rms_blank < 0.01 * rms_inked

# %%
# The picture
# -----------
#
# Blue weights are positive, orange ones negative. Many units respond to ink in one place and no ink
# beside it. At the left edge, where ink is rare, all units have small weights. A unit that is pale
# everywhere is not needed: the penalty has reduced its weights.

fig, ax = plt.subplots(figsize=(9, 4.4), layout="constrained")
WeightsDisplay.from_estimator(model, shape=(8, 8), n_columns=10, ax=ax)
ax.set_title("Weights of the 50 units in the first layer")
plt.show()
