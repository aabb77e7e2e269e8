"""
Learning rates too small and too large
======================================

The learning rate sets the size of a step. If it is too small, epochs are wasted. If it is too
large, every step overshoots by more than the last. For a parabola the limit between the two is
known exactly: two divided by the curvature.
"""

# %%
# One parameter
# -------------
#
# Let the loss be the parabola :math:`E(w) = \frac{c}{2} w^2` with *curvature* :math:`c`. Its
# derivative is :math:`c w`, so one step of gradient descent gives
#
# .. math:: w \leftarrow w - \text{rate} \cdot c w = (1 - \text{rate} \cdot c) \, w.
#
# Every step multiplies :math:`w` by the same number. :math:`w` shrinks if that number is between -1
# and 1, which means :math:`0 < \text{rate} < 2 / c`. Between :math:`1 / c` and :math:`2 / c` the
# steps jump over the minimum, but still get closer to it.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from fastbp import MLPClassifier, MLPRegressor


def descend(rate, w, curvature=1.0, steps=6):
    path = [w]
    for _ in range(steps):
        path.append(path[-1] - rate * curvature * path[-1])
    return np.array(path)


paths = {rate: descend(rate, w=-1.0) for rate in (0.2, 1.8, 2.1)}
for rate, path in paths.items():
    print(f"rate {rate}: w =", "  ".join(f"{w:6.2f}" for w in path))

# %%
# Many parameters
# ---------------
#
# Without a hidden layer and with squared error, a network is linear regression. Its loss
# :math:`\frac{1}{2n} \lVert A w - y \rVert^2` is a parabola in every direction. The largest
# curvature is the largest eigenvalue of :math:`A^T A / n`, and that one direction limits the rate
# for all. (:math:`A` is the data with a column of ones for the intercept.)

X, y = map(scale, load_diabetes(return_X_y=True))
A = np.column_stack([X, np.ones(len(X))])
curvature = np.linalg.eigvalsh(A.T @ A / len(A)).max()
limit = 2 / curvature
lowest = 0.5 * np.mean((A @ np.linalg.lstsq(A, y)[0] - y) ** 2)
print(f"largest curvature {curvature:.3f}, so rates below {limit:.3f} converge")

warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed on purpose
settings = dict(solver="sgd", momentum=0, alpha=0, tol=0, n_iter_no_change=100, random_state=0)
excess = {}
for share in (0.02, 0.95, 1.05):
    model = MLPRegressor(
        hidden_layer_sizes=(),
        batch_size=len(X),
        max_iter=60,
        learning_rate_init=share * limit,
        **settings,
    )
    excess[share] = np.array(model.fit(X, y).loss_curve_) - lowest
    print(
        f"{share:4} of the limit: loss above the lowest {excess[share][0]:.3f} at first, "
        f"{excess[share][-1]:.3g} in the end"
    )

# %%
# Five per cent below the limit training converges, five per cent above it the loss explodes. There
# each step multiplies the error by :math:`1 - 1.05 \cdot 2 = -1.1`, and the loss by its square.

growth = excess[1.05][-1] / excess[1.05][-2]
print(f"above the limit a step multiplies the loss by {growth:.4f}")
assert abs(growth - 1.1**2) < 1e-3
assert excess[0.95][-1] < 0.01 * excess[0.95][0]
assert excess[0.02][-1] > 10 * excess[0.95][-1]  # too small: safe, and slow

# %%
# A hidden layer
# --------------
#
# With hidden layers the curvature changes from place to place, and the limit is not known in
# advance. So we try rates on a logarithmic scale. Here are thirty epochs on handwritten digits,
# each rate from three different starts:

X_digits, y_digits = load_digits(return_X_y=True)
rates = np.logspace(-4, 1, 16)
losses = np.empty((len(rates), 3))
for row, rate in enumerate(rates):
    for seed in range(3):
        settings["random_state"] = seed
        model = MLPClassifier(
            (30,), batch_size=32, max_iter=30, learning_rate_init=rate, **settings
        )
        losses[row, seed] = model.fit(X_digits / 16, y_digits).loss_curve_[-1]

middle = np.median(losses, axis=1)
best = np.argmin(middle)
for place in (0, best, -1):
    print(f"rate {rates[place]:7.2g}: loss {middle[place]:.3f}")
assert 0.03 < rates[best] < 3
assert min(middle[0], middle[-1]) > 10 * middle[best]

# %%
# Rates that are too large do not make the classifier fail, but it learns nothing. With log loss,
# delta (the derivative of the loss with respect to the raw prediction) is between -1 and 1, however
# wrong the prediction is. With squared error delta grows with the error, so overshooting reinforces
# itself and ends in infinities. Then ``fit`` stops in that epoch and raises an error:

try:
    MLPRegressor(hidden_layer_sizes=(30,), **settings, learning_rate_init=3.0).fit(X, y)
except ValueError as error:
    message = str(error)
print(message)
assert "learning rate 3" in message

# %%
# The picture
# -----------

fig, (parabola, linear, digits) = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
w = np.linspace(-2, 2, 200)
parabola.plot(w, w**2 / 2, color="0.7")
for rate, path in paths.items():
    parabola.plot(path, path**2 / 2, "o-", ms=4, lw=1, label=f"rate {rate}")
parabola.set(xlabel="$w$", ylabel="loss", title="Parabola of curvature 1: the limit is 2")
parabola.legend(loc="upper center")

for share, curve in excess.items():
    linear.plot(np.arange(1, 61), curve, label=f"{share} of the limit")
linear.set(yscale="log", xlabel="step", ylabel="loss above the lowest")
linear.set_title("Linear regression")
linear.legend()

digits.loglog(rates, losses, "o", color="0.5", ms=4, label=["one start", None, None])
digits.loglog(rates, middle, color="C0", label="median of three starts")
for place, words in ((2, "too small"), (-3, "too large")):
    digits.annotate(
        words, (rates[place], middle[place]), (0, 10), textcoords="offset points", ha="center"
    )
digits.set(xlabel="learning rate", ylabel="loss after 30 epochs", title="Digits, 30 hidden units")
digits.set_ylim(top=20)
digits.legend(loc="upper left")
for ax in (parabola, linear, digits):
    ax.grid(alpha=0.3)
plt.show()
