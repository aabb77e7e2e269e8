"""
The vanishing gradient
======================

Ten hidden layers of logistic units learn nothing, but ten of relu units learn well. The reason can
be measured before the first step: it is the gradient in the first layer.
"""

# %%
# Delta in the backward pass
# --------------------------
#
# Delta is the derivative of the loss with respect to the preactivations :math:`z` of a layer.
# Backpropagation computes it from the delta of the next layer,
#
# .. math:: \delta_{\text{before}} = (\delta w^T) \cdot f'(z).
#
# So every layer multiplies delta by its weights and by the derivative of an activation. For the
# logistic function this derivative is :math:`a (1 - a)`: at most 1/4, where :math:`a` is 1/2. For
# relu it is 1 for the units that are on, and 0 for the others.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from fastbp import MLPClassifier
from fastbp.inspection import GradientFlowDisplay, layer_statistics

X, y = load_digits(return_X_y=True)
X = scale(X)
hidden = 10 * (30,)

# %%
# Before the first step
# ---------------------
#
# One epoch with a rate near zero keeps the initial weights. ``layer_statistics`` runs all samples
# forward and backward, and measures each layer. RMS is the root mean square, the typical size of an
# entry. The penalty has a gradient of its own, which would hide how small the rest is, so ``alpha``
# is 0.

warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed on purpose
untrained, statistics, ratio = {}, {}, {}
for activation in ("logistic", "relu"):
    model = MLPClassifier(
        hidden,
        activation=activation,
        alpha=0,
        max_iter=1,
        learning_rate_init=1e-12,
        random_state=0,
    )
    untrained[activation] = model.fit(X, y)
    statistics[activation] = layer_statistics(model, X, y)
    gradient = statistics[activation].gradient_rms
    ratio[activation] = gradient[0] / gradient[-1]
    print(
        f"{activation}: RMS of the gradient {gradient[0]:.1e} in the first layer, "
        f"{gradient[-1]:.1e} in the last; ratio {ratio[activation]:.1e}\n"
    )
print(statistics["logistic"])

# %%
# With logistic units the gradient of the first layer is a few billionths of the gradient of the
# last. With relu it is a few hundredths. The statistics also describe this in words, below the
# table; these are their ``messages``.

assert ratio["logistic"] < 1e-7
assert ratio["relu"] > 1e-3
assert any("vanish" in message for message in statistics["logistic"].messages)

# %%
# How much is lost at each layer? About the same factor every time, and it is less than 1/4: the
# largest derivative is 1/4, and the initial weights also reduce delta.

delta = statistics["logistic"].delta_rms
factor = (delta[0] / delta[-1]) ** (1 / (len(delta) - 1))
print(f"each logistic layer multiplies delta by {factor:.2f}")
assert factor < 0.25

# %%
# Training
# --------
#
# The same networks, sixty epochs:

curves = {}
for activation in ("logistic", "relu"):
    model = MLPClassifier(
        hidden, activation=activation, max_iter=60, tol=0, n_iter_no_change=60, random_state=0
    )
    curves[activation] = model.fit(X, y).loss_curve_
    print(f"{activation}: loss {curves[activation][-1]:.3f}, accuracy {model.score(X, y):.3f}")

# %%
# The loss of the logistic network stays at its initial value, :math:`\log 10 = 2.303`, the loss of
# a guess among ten digits. Its last layer learns how frequent the digits are. The layers before it
# get almost no information about their errors.

assert abs(curves["logistic"][-1] - np.log(10)) < 0.02
assert curves["relu"][-1] < 0.1

# %%
# The picture
# -----------

fig, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
for ax, (activation, model) in zip(axes, untrained.items(), strict=False):
    GradientFlowDisplay.from_estimator(model, X, y, ax=ax)
    ax.set_title(f"Ten {activation} layers")
    ax.set_ylim(1e-12, 1)
for (activation, curve), colour in zip(curves.items(), ["C2", "C3"], strict=True):
    axes[2].plot(np.arange(1, 61), curve, colour, label=activation)
axes[2].axhline(np.log(10), color="0.6", ls=":", label="log 10, a guess")
axes[2].set(yscale="log", xlabel="epoch", ylabel="training loss", title="What they learn")
axes[2].legend(frameon=False)
axes[2].spines[["top", "right"]].set_visible(False)
axes[2].grid(alpha=0.3)
plt.show()
