"""
Stacked linear layers are one linear layer
==========================================

Depth alone adds nothing. Without an activation between them, any number of layers is equal to one
layer.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLPRegressor

# %%
# A layer computes the affine map :math:`z = a w + b`. Each row of :math:`a` is the input of one
# sample, :math:`w` are the weights, :math:`b` the intercepts. Put a second layer directly after a
# first one:
#
# .. math:: (a w_1 + b_1) w_2 + b_2 = a (w_1 w_2) + (b_1 w_2 + b_2).
#
# The right side is again an affine map. Its weights are the product of the weights.
#
# Here is a curve to learn, and a network with three hidden layers, hence four layers of weights.
# Its activation is ``identity``, which means none.

rng = np.random.default_rng(0)
X = rng.uniform(-3, 3, (200, 1))
y = np.sin(2 * X[:, 0]) + 0.3 * X[:, 0] + 0.1 * rng.normal(size=200)

linear = MLPRegressor(
    hidden_layer_sizes=(8, 8, 8), activation="identity", solver="lbfgs", alpha=0, random_state=0
).fit(X, y)
print("weights of each layer:", [w.shape for w in linear.coefs_])

# %%
# Multiply the four matrices, and include the intercepts. Of 169 parameters, one weight and one
# intercept remain, and they give the same predictions.

w, b = np.eye(1), np.zeros(1)
for w_layer, b_layer in zip(linear.coefs_, linear.intercepts_, strict=True):
    w, b = w @ w_layer, b @ w_layer + b_layer

parameters = sum(p.size for p in linear.coefs_ + linear.intercepts_)
difference = np.abs(X @ w + b - linear.predict(X)[:, np.newaxis]).max()
print(f"{parameters} parameters collapse into w = {w.item():.4f}, b = {b.item():.4f}")
print(f"largest difference of the predictions: {difference:.1e}")
assert parameters == 169
assert difference < 1e-12

# %%
# This one layer cannot be better than the best straight line, the line of least squares. Training
# finds that line, since with ``alpha=0`` there is no penalty.

slope, intercept = np.polyfit(X[:, 0], y, 1)
print(f"least squares: w = {slope:.4f}, b = {intercept:.4f}")
assert abs(w.item() - slope) < 1e-3 and abs(b.item() - intercept) < 1e-3

# %%
# Now the same network with an activation that is not linear, ``tanh``. No product of matrices can
# replace it, and its prediction is a curve.

bent = MLPRegressor(
    hidden_layer_sizes=(8, 8, 8),
    activation="tanh",
    solver="lbfgs",
    alpha=0.1,
    max_iter=5000,
    random_state=0,
).fit(X, y)
print(f"R2 with identity: {linear.score(X, y):.3f}, with tanh: {bent.score(X, y):.3f}")
assert linear.score(X, y) < 0.6 < 0.95 < bent.score(X, y)

# %%
# Left: the predictions of the four-layer network and of the single layer coincide. Right: only the
# activation is different.

grid = np.linspace(-3, 3, 200)[:, np.newaxis]
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
for ax in (left, right):
    ax.plot(X, y, ".", color="0.7", label="samples")
    ax.set_xlabel("x")
left.plot(grid, linear.predict(grid), color="C0", lw=6, alpha=0.4, label="four layers")
left.plot(grid, grid @ w + b, "--", color="C3", label="one layer, w₁w₂w₃w₄")
left.set(title=f"activation identity: R² = {linear.score(X, y):.2f}", ylabel="y")
right.plot(grid, bent.predict(grid), color="C0", lw=2, label="four layers")
right.set_title(f"activation tanh: R² = {bent.score(X, y):.2f}")
left.legend()
right.legend()
plt.show()
