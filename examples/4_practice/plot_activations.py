"""
Activations side by side
========================

A unit applies its activation function to its preactivation. This example draws all activations that
``fastbp`` knows by name, each with its derivative. The forward pass uses the function, the backward
pass uses the derivative.
"""

# %%
# One unit
# --------
#
# A network with one input, one hidden unit and one output, with all weights 1 and all intercepts 0,
# computes its activation and nothing else. So the activation of its hidden layer is :math:`f(z)`,
# and backpropagation gives the derivative of its raw prediction with respect to the input,
# :math:`f'(z)`.

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLPRegressor
from fastbp.inspection import activations, input_gradients

formulas = {
    "identity": "$z$",
    "logistic": "$1 / (1 + e^{-z})$",
    "tanh": r"$\tanh z$",
    "relu": r"$\max(z, 0)$",
    "leaky_relu": r"$\max(z, z / 100)$",
    "elu": "$z$ if $z > 0$, else $e^z - 1$",
    "selu": "1.05 $z$ if $z > 0$,\nelse $1.76\\,(e^z - 1)$",
    "softplus": r"$\log(1 + e^z)$",
    "hard_sigmoid": "$z / 6 + 1/2$, within 0 and 1",
    "step": "1 if $z > 0$, else 0",
    "gelu": r"$z\,\Phi(z)$",
    "gelu_tanh": r"gelu, $\Phi$ by a tanh",
    "silu": "$z$ logistic($z$)",
    "mish": r"$z\,\tanh(\log(1 + e^z))$",
}
z = np.linspace(-4, 4, 800)[:, np.newaxis]


def unit(name):
    weights, intercepts = [np.ones((1, 1)), np.ones((1, 1))], [np.zeros(1), np.zeros(1)]
    return MLPRegressor.from_weights(weights, intercepts, activation=name)


values = {name: activations(unit(name), z)[0].ravel() for name in formulas}
slopes = {name: input_gradients(unit(name), z).ravel() for name in formulas}

# %%
# Is it the derivative?
# ---------------------
#
# A derivative can be checked without its formula: go a little to both sides, and divide the
# difference of the values by the distance. (:math:`\Phi(z)` above is the share of a normal
# distribution below :math:`z`.)

e = 1e-5
for name in formulas:
    above, below = (activations(unit(name), z + side)[0].ravel() for side in (e, -e))
    gap = np.abs((above - below) / (2 * e) - slopes[name]).max()
    print(
        f"{name:12}: derivative between {slopes[name].min():6.3f} and {slopes[name].max():.3f}, "
        f"{gap:.0e} off the finite difference"
    )
    if name != "step":
        assert gap < 1e-8

# %%
# All but one agree. The derivative of ``step`` is 0 wherever it exists, and a network cannot learn
# from that. So backpropagation uses the derivative of the identity instead, 1: the
# *straight-through* estimator. It is not the gradient, but it points in a useful direction.

assert np.all(slopes["step"] == 1)

# %%
# Two families
# ------------
#
# The derivative decides how well a gradient passes through many layers. That of ``logistic`` is
# never above 1/4, and on both sides it goes to 0: the unit *saturates*. The derivative of ``tanh``
# reaches 1, but only at one point. The family of ``relu`` keeps the derivative at 1 or near it for
# all large :math:`z`.

right = z.ravel() > 3
for name in ("logistic", "tanh", "relu", "gelu", "silu", "mish"):
    print(
        f"{name:8}: derivative beyond z = 3 at least {slopes[name][right].min():.3f}, "
        f"at most {slopes[name][right].max():.3f}"
    )
assert slopes["logistic"].max() <= 0.25
assert max(slopes[name][right].max() for name in ("logistic", "tanh", "hard_sigmoid")) < 0.05
relu_family = ["relu", "leaky_relu", "elu", "selu", "softplus", "gelu", "gelu_tanh", "silu", "mish"]
assert min(slopes[name][right].min() for name in relu_family) > 0.95

# %%
# The picture
# -----------

fig, axes = plt.subplots(3, 5, figsize=(11, 6.8), layout="constrained", sharex=True, sharey=True)
for ax, name in zip(axes.flat, formulas, strict=False):
    ax.plot(z, values[name])
    ax.plot(z, slopes[name], "--" if name == "step" else "-")
    ax.axhline(0, color="0.7", lw=0.8, zorder=0)
    ax.axvline(0, color="0.7", lw=0.8, zorder=0)
    ax.set_title(name, weight="bold")
    ax.text(3.9, -1.8, formulas[name], fontsize=9, ha="right")
    ax.set(ylim=(-2.1, 2.9), xticks=[-4, -2, 0, 2, 4])
    ax.grid(alpha=0.2)
legend = axes.flat[-1]
legend.axis("off")
legend.plot([], label="activation $f(z)$")
legend.plot([], label="derivative $f'(z)$")
legend.plot([], "C1--", label="taken in its place")
legend.legend(loc="center")
for ax in axes[-1]:
    ax.set_xlabel("$z$")
plt.show()
