"""
Exploding gradients
===================

Gradients can vanish, and they can also explode. In a deep relu network this depends only on the
size of the initial weights. There is a narrow range in which a gradient passes ten layers without
growing or shrinking.
"""

# %%
# The same factor at every layer
# ------------------------------
#
# In the backward pass, delta is multiplied by the weights of every layer. If the weights are
# :math:`s` times as large, every layer makes delta :math:`s` times as large, and :math:`L` layers
# make it :math:`s^L` times as large. The same happens to activations in the forward pass.
#
# We take a network of ten hidden relu layers before its first step, and multiply the weights of the
# hidden layers. (One epoch with a rate near zero keeps the initial weights.)

import copy
import textwrap
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from fastbp import MLPClassifier
from fastbp.inspection import layer_statistics

X, y = load_digits(return_X_y=True)
X = scale(X)
warnings.simplefilter("ignore", ConvergenceWarning)  # the numbers of epochs are fixed on purpose
initial = MLPClassifier(
    10 * (50,),
    solver="sgd",
    momentum=0,
    learning_rate_init=1e-12,
    batch_size=32,
    max_iter=1,
    warm_start=True,
    random_state=0,
).fit(X, y)

scales = [1, 1.5, 2, 4]
models, statistics, growth = {}, {}, {}
for s in scales:
    models[s] = copy.deepcopy(initial)
    for w in models[s].coefs_[:-1]:
        w *= s
    statistics[s] = layer_statistics(models[s], X, y)
    delta = statistics[s].delta_rms  # first layer first
    growth[s] = (delta[0] / delta[-2]) ** (1 / 9)
    print(
        f"weights times {s:3}: RMS of delta {delta[-2]:7.3f} in the tenth layer, "
        f"{delta[0]:9.3f} in the first; {growth[s]:.2f} per layer"
    )

# %%
# Twice the weights give twice the factor per layer. Nine layers give the ninth power of the factor:
# with four times the weights, delta is more than a hundred thousand times as large.

for s in scales:
    assert abs(growth[s] / (s * growth[1]) - 1) < 0.1
assert statistics[4].delta_rms[0] > 1e5 * statistics[1].delta_rms[0]

# %%
# In words
# --------
#
# ``layer_statistics`` names the problem, the layers, and the usual remedies. (It also finds units
# that are zero for every sample. They are not the problem here.)

for message in statistics[4].messages:
    print(textwrap.fill(message, 95), end="\n\n")
assert any("explod" in message for message in statistics[4].messages)

# %%
# The right size
# --------------
#
# A relu layer sets the negative half of its inputs to zero. Weights with a variance of
# :math:`2 / I`, where :math:`I` is the fan-in, compensate for this (He and others, 2015). This is
# ``init="he_uniform"``. Here it gives a factor close to 1:

he = MLPClassifier(
    10 * (50,), init="he_uniform", learning_rate_init=1e-12, max_iter=1, random_state=0
).fit(X, y)
delta_he = layer_statistics(he, X, y).delta_rms
growth_he = (delta_he[0] / delta_he[-2]) ** (1 / 9)
print(f"he_uniform: {growth_he:.2f} per layer")
assert 0.75 < growth_he < 1.25

# %%
# Effect on training
# ------------------
#
# Twenty epochs of SGD from each start (``warm_start=True`` continues from the current weights). A
# gradient that is many thousand times too large gives a step that is many thousand times too large.
# The weights become infinite in the first epoch, and ``fit`` raises an error.

curves = {}
for s, model in models.items():
    try:
        model.set_params(max_iter=20, learning_rate_init=0.005).fit(X, y)
        curves[s] = model.loss_curve_[1:]  # without the epoch at a rate near zero
        print(f"weights times {s:3}: loss {curves[s][-1]:.3f} after 20 epochs")
    except ValueError as error:
        print(f"weights times {s:3}: {error}")
assert 4 not in curves
assert curves[1.5][-1] < 0.5 * curves[1][-1]

# %%
# The picture
# -----------
#
# Read the left side from right to left, in the direction of delta. On a logarithmic scale a
# constant factor per layer is a straight line. (Between the last layer and the tenth hidden layer
# delta passes the output weights, which we did not change.) On the right, the two starts whose
# lines are closest to horizontal learn.

fig, (flow, learning) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for i, s in enumerate(scales):
    delta = statistics[s].delta_rms
    flow.semilogy(
        np.arange(1, 11), delta[:-1], "o-", ms=4, color=f"C{i}", label=f"× {s}: {growth[s]:.2f}"
    )
    if s in curves:
        learning.plot(np.arange(1, 21), curves[s], color=f"C{i}", label=f"× {s}")
    else:
        learning.plot([], color=f"C{i}", label=f"× {s}: infinite in the first epoch")
flow.semilogy(np.arange(1, 11), delta_he[:-1], "k--", lw=1, label=f"he_uniform: {growth_he:.2f}")
flow.set(xlabel="hidden layer", ylabel="RMS of delta", xticks=range(1, 11))
flow.set_ylim(2e-3, 1e6)
flow.set_title("Delta, and its growth per layer")
flow.legend(title="weights", loc="upper right")
learning.set(xlabel="epoch", ylabel="training loss", xticks=range(0, 21, 5))
learning.set_title("Twenty epochs from each start")
learning.legend(title="weights")
for ax in (flow, learning):
    ax.grid(alpha=0.3)
plt.show()
