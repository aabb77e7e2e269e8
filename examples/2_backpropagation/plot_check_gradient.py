"""
Check a gradient, and catch a wrong one
=======================================

A network with a wrong gradient often still learns, only badly, and nothing crashes. One test finds
the mistake: change a parameter a little, and see whether the loss changes as the gradient says.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale

import fastbp

# %%
# First we check a network of our own: three hidden layers of five ``tanh`` units and the squared
# error, in NumPy. ``gradients`` is backpropagation, and can make two common mistakes on request.

X, y = load_diabetes(return_X_y=True)
X, y = scale(X)[:50], scale(y)[:50, np.newaxis]

model = fastbp.MLPRegressor(
    hidden_layer_sizes=(5, 5, 5), activation="tanh", solver="sgd", alpha=0, random_state=0
)
model.partial_fit(X, y.ravel())
coefs, intercepts = model.coefs_, model.intercepts_


def forward(coefs, intercepts):
    """The activations of all layers; the last is the raw prediction."""
    activations = [X]
    for l, (w, b) in enumerate(zip(coefs, intercepts, strict=True)):
        z = activations[-1] @ w + b
        activations.append(z if l == 3 else np.tanh(z))
    return activations


def loss_of(coefs, intercepts):
    return np.mean((forward(coefs, intercepts)[-1] - y) ** 2) / 2


def gradients(coefs, intercepts, mistake=None):
    """dloss/dw and dloss/db of every layer."""
    activations = forward(coefs, intercepts)
    delta = (activations[-1] - y) / (1 if mistake == "sum for mean" else len(X))
    result = []
    for l in (3, 2, 1, 0):
        result.insert(0, (activations[l].T @ delta, delta.sum(axis=0)))
        if l > 0:
            delta = delta @ coefs[l].T
            if not (mistake == "tanh' forgotten" and l == 2):
                delta = delta * (1 - activations[l] ** 2)
    return result


# %%
# Finite differences
# ------------------
# The derivative with respect to a parameter :math:`w` is the slope of the loss :math:`E`. With a
# small step :math:`e`, it is about
#
# .. math:: \frac{E(w + e) - E(w)}{e} \quad \text{(forward)} \qquad \text{or} \qquad
#           \frac{E(w + e) - E(w - e)}{2 e} \quad \text{(central)}.
#
# This needs only the loss, and no line of backpropagation. But it computes the loss again for each
# parameter. For a check this is acceptable, for training it is far too slow.


def differences(e, method="central"):
    """Finite differences for all parameters, in the form of `gradients`."""
    result, here = [], loss_of(coefs, intercepts)
    for w, b in zip(coefs, intercepts, strict=True):
        pair = np.empty_like(w), np.empty_like(b)
        for parameters, slopes in zip((w, b), pair, strict=True):
            for k, old in np.ndenumerate(parameters):
                parameters[k] = old + e
                there = loss_of(coefs, intercepts)
                parameters[k] = old - e
                back = loss_of(coefs, intercepts) if method == "central" else here
                parameters[k] = old
                slopes[k] = (there - back) / (2 * e if method == "central" else e)
        result.append(pair)
    return result


def relative_error(ours, numeric):
    """The distance of two gradients relative to their size, between 0 and 1."""
    ours, numeric = (np.concatenate([p.ravel() for p in pair]) for pair in (ours, numeric))
    return np.linalg.norm(ours - numeric) / (np.linalg.norm(ours) + np.linalg.norm(numeric))


# %%
# How small should :math:`e` be? If it is large, the slope is that of a chord and not of the curve.
# The error is about :math:`e` for the forward difference, and :math:`e^2` for the central one. If
# it is tiny, two nearly equal numbers are subtracted. Their last digits, wrong by about
# :math:`10^{-16}`, are divided by :math:`e`. The best step is in between: the square root of
# :math:`10^{-16}` for the forward difference, its cube root for the central one, which is more
# accurate.

steps = 10.0 ** np.arange(-14, 0.0, 0.5)
ours = gradients(coefs, intercepts)[0]
first_layer = {
    method: np.array([relative_error(ours, differences(e, method)[0]) for e in steps])
    for method in ("forward", "central")
}
for method, errors in first_layer.items():
    print(f"{method}: best step {steps[errors.argmin()]:.0e}, error there {errors.min():.0e}")
assert first_layer["central"].min() < first_layer["forward"].min() < 1e-6
assert 1e-7 < steps[first_layer["central"].argmin()] < 1e-3

# %%
# Right and wrong
# ---------------
# We try two mistakes. In one, the derivative of ``tanh`` is missing in the second hidden layer. In
# the other, the loss is a mean, but the delta is that of a sum. The right gradient has an error
# below a millionth in every layer. A wrong one has a large error. The layers also show where to
# look. Deltas go from the last layer to the first, so the mistake is in the layer where, on this
# way, the errors begin.

numeric = differences(e=1e-5)
mistakes = [None, "tanh' forgotten", "sum for mean"]
errors = {}
for mistake in mistakes:
    ours = gradients(coefs, intercepts, mistake)
    errors[mistake] = np.array([relative_error(*pair) for pair in zip(ours, numeric, strict=True)])
    print(f"{mistake or 'right':15}", " ".join(f"{error:.0e}" for error in errors[mistake]))

assert errors[None].max() < 1e-6
forgotten = errors["tanh' forgotten"]
assert forgotten[:2].min() > 1e-3 and forgotten[2:].max() < 1e-6  # wrong before, right behind
assert errors["sum for mean"].min() > 0.9  # wrong everywhere: the mistake is in the loss

# %%
# The check in ``fastbp``
# -----------------------
# ``check_gradient`` does this for any estimator, every loss and activation, with and without sample
# weights. It chooses a suitable step for each parameter. Here it checks the gradients of ``fastbp``
# itself at the same weights. Use it when you write a loss or an activation of your own.

check = fastbp.check_gradient(model, X, y.ravel())
print(check)
assert check.passed and check.max_error < 1e-6

# %%
# Left: the error of a finite difference falls with the step, until rounding dominates. Right: the
# errors by layer, on a logarithmic scale. A right gradient is far below the line, a wrong one far
# above it. Nothing is in between. (The errors of ``check_gradient`` are larger than ours, because
# each is the largest of single parameters, not the error of a layer as a whole.)

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for method, values in first_layer.items():
    left.loglog(steps, values, ".-", label=method)
left.set(xlabel="step e", ylabel="relative error", title="finite differences against backprop")
left.legend()
for k, (name, values) in enumerate((errors | {"fastbp": check.relative_errors}).items()):
    right.bar(np.arange(4) + 0.2 * (k - 1.5), values, 0.18, label=name or "right")
right.axhline(1e-6, color="0.5", ls=":")
right.set_xticks(range(4), ["hidden 1", "hidden 2", "hidden 3", "output"])
right.set(yscale="log", ylim=(1e-13, 1e3), ylabel="relative error", title="by layer")
right.legend(loc="upper right", ncols=2, fontsize="small")
plt.show()
