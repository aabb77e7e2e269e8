"""
Logic gates, and why XOR needs two layers
=========================================

One unit computes AND, OR and NAND. No single unit computes XOR. Three units do.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import linprog

from fastbp import MLPClassifier

# %%
# A unit with the activation ``step`` is a perceptron. It adds its weighted inputs and its
# intercept, and is on if the sum is positive:
#
# .. math:: z = x_1 w_1 + x_2 w_2 + b, \qquad a = 1 \text{ if } z > 0 \text{ else } 0.
#
# A gate has two inputs, 0 or 1, so there are four samples. We set the weights of the gates by hand:
# AND is on if the sum of the inputs is above 1.5, and OR if it is above 0.5. NAND is AND with all
# signs reversed.

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
truth = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "NAND": [1, 1, 1, 0], "XOR": [0, 1, 1, 0]}
weights = {"AND": (1, 1, -1.5), "OR": (1, 1, -0.5), "NAND": (-1, -1, 1.5)}

# %%
# ``from_weights`` makes a fitted classifier from a list of the weights of each layer and a list of
# the intercepts. These networks have no hidden layer. Their output unit gives class 1 where
# :math:`z > 0`.

gates = {
    name: MLPClassifier.from_weights([[[w1], [w2]]], [[b]], activation="step")
    for name, (w1, w2, b) in weights.items()
}
for name, gate in gates.items():
    print(f"{name:4}", gate.predict(X))
    assert gate.predict(X).tolist() == truth[name]

# %%
# Why can no weights compute XOR? Suppose they could. Then
#
# - (0, 0) is off: :math:`b \le 0`,
# - (0, 1) and (1, 0) are on: :math:`w_2 + b > 0` and :math:`w_1 + b > 0`,
# - (1, 1) is off: :math:`w_1 + w_2 + b \le 0`.
#
# Add the two conditions in the middle: :math:`w_1 + w_2 + 2 b > 0`. Add the first and the last:
# :math:`w_1 + w_2 + 2 b \le 0`. This is a contradiction. In the plane, the border of a unit is a
# line, and no line has (0, 1) and (1, 0) on one side, and (0, 0) and (1, 1) on the other.
#
# A linear program answers the same question. It looks for :math:`w_1, w_2, b` such that each point
# is on its side of the line, at a distance that may be scaled to :math:`|z| \ge 1`. Status 0 means
# that such weights were found, status 2 that there are none.


def separable(y):
    """Whether one unit can compute y."""
    sign = np.where(np.array(y) == 1, 1, -1)[:, np.newaxis]
    found = linprog(
        c=np.zeros(3),  # nothing to minimize: any weights are good
        A_ub=-sign * np.column_stack([X, np.ones(4)]),
        b_ub=-np.ones(4),
        bounds=(None, None),
    )
    return {0: True, 2: False}[found.status]


for name, y in truth.items():
    print(f"{name:4} by one unit: {separable(y)}")
    assert separable(y) == (name != "XOR")

# %%
# There are 16 functions of two bits. One unit computes 14 of them. The other two are XOR and its
# negation.

all_functions = [[(number >> k) & 1 for k in range(4)] for number in range(16)]
impossible = [y for y in all_functions if not separable(y)]
print("not by one unit:", impossible)
assert impossible == [truth["XOR"], [1, 0, 0, 1]]

# %%
# Training cannot do better either. From any initial weights, a network without hidden layers gets
# at most three of the four points of XOR right.

best = 0
for seed in range(20):
    unit = MLPClassifier((), solver="lbfgs", alpha=0, random_state=seed).fit(X, truth["XOR"])
    best = max(best, unit.score(X, truth["XOR"]))
print(f"the best of 20 trained units gets {best:.0%} of XOR")
assert best <= 0.75

# %%
# The solution is a second layer: XOR is on where OR is on *and* NAND is on. Put OR and NAND into a
# hidden layer, and let the output compute AND of the two.

xor = MLPClassifier.from_weights(
    [[[1, -1], [1, -1]], [[1], [1]]],  # from the inputs to OR and NAND; from these to AND
    [[-0.5, 1.5], [-1.5]],
    activation="step",
)
print("XOR ", xor.predict(X))
assert xor.predict(X).tolist() == truth["XOR"]

# %%
# Blue is on, orange is off. Each gate is one line. XOR is the strip between two lines, which AND
# selects.

side = np.linspace(-0.5, 1.5, 400)
plane = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
fig, axes = plt.subplots(1, 4, figsize=(12, 3.7), sharey=True, layout="constrained")
for ax, (name, network) in zip(axes, (gates | {"XOR": xor}).items(), strict=True):
    on = network.predict(plane).reshape(400, 400)
    ax.contourf(side, side, on, levels=[-1, 0.5, 2], colors=["C1", "C0"], alpha=0.25)
    for point, y in zip(X, truth[name], strict=True):
        ax.scatter(*point, s=300, color="C0" if y else "C1")
        ax.text(*point, y, color="white", weight="bold", ha="center", va="center_baseline")
    ax.set(xlabel="x₁", xticks=[0, 1], yticks=[0, 1], aspect="equal")
    ax.set_title(f"{name}: one unit" if name != "XOR" else "XOR: AND of OR and NAND")
axes[0].set_ylabel("x₂")
plt.show()
