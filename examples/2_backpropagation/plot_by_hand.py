"""
Backpropagation by hand
=======================

The whole algorithm in a few lines of NumPy, compared with ``fastbp``: every delta and every
gradient are equal to 12 digits.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris
from sklearn.preprocessing import scale

from fastbp import MLPClassifier

# %%
# The data are thirty irises of three kinds, with four features each. The network has two hidden
# layers of six and five units with the activation ``tanh``. In the names below, a letter gives each
# axis: ``b`` are the samples of the batch, ``i`` the inputs of a layer, ``o`` its outputs.

X, y = load_iris(return_X_y=True)
X, y = scale(X)[::5], y[::5]
rate = 1.0

model = MLPClassifier(
    (6, 5),
    activation="tanh",
    solver="sgd",
    momentum=0,
    nesterovs_momentum=False,
    learning_rate_init=rate,
    alpha=0,
    shuffle=False,
    random_state=0,
)
model.partial_fit(X, y, classes=[0, 1, 2])  # one step, which creates the weights
coefs = [w_io.copy() for w_io in model.coefs_]
intercepts = [b_o.copy() for b_o in model.intercepts_]

# %%
# Forward
# -------
# Each layer computes the affine map :math:`z = a w + b` of the activation before it, and its own
# activation :math:`a = \tanh(z)`. The last :math:`z` is the raw prediction. The softmax turns it
# into probabilities.

activations = [X]
for w_io, b_o in zip(coefs, intercepts, strict=True):
    z_bo = activations[-1] @ w_io + b_o
    activations.append(np.tanh(z_bo))
raw_bo = z_bo

exp_bo = np.exp(raw_bo - raw_bo.max(axis=1, keepdims=True))
p_bo = exp_bo / exp_bo.sum(axis=1, keepdims=True)
loss = -np.log(p_bo[np.arange(len(y)), y]).mean()

print("probabilities differ by", np.abs(p_bo - model.predict_proba(X)).max())
assert np.abs(p_bo - model.predict_proba(X)).max() < 1e-12

# %%
# Backward
# --------
# **delta** is the derivative of a sample's loss with respect to the preactivation :math:`z` of a
# unit. For the last layer, softmax and log loss together give a short formula: probability minus
# truth,
#
# .. math:: \delta = p - y.
#
# The sweep continues from the last layer to the first. A unit's activation enters all units of the
# next layer through its weights. So its derivative is the sum of their deltas times these weights.
# Multiply by the derivative of the activation, :math:`\tanh'(z) = 1 - a^2`, to get the unit's
# delta:
#
# .. math:: \delta_\text{before} = (\delta\, w^T) \cdot (1 - a^2).

deltas = [p_bo - np.eye(3)[y]]
for w_io, a_bi in zip(coefs[:0:-1], activations[-2:0:-1], strict=True):
    deltas.insert(0, (deltas[0] @ w_io.T) * (1 - a_bi**2))

print("shapes of the deltas:", [delta_bo.shape for delta_bo in deltas])

# %%
# A weight enters :math:`z` multiplied by the activation before it, and an intercept enters
# directly. So the gradient of a weight is the sum over the samples of activation times delta, which
# is a product of matrices. The gradient of an intercept is the sum of the deltas. The loss is a
# mean: divide by the number of samples.

dw = [a_bi.T @ delta_bo / len(X) for a_bi, delta_bo in zip(activations[:-1], deltas, strict=True)]
db = [delta_bo.mean(axis=0) for delta_bo in deltas]

# %%
# The same from ``fastbp``
# ------------------------
# One step of gradient descent without momentum subtracts the gradient times the learning rate. So
# the gradient is the change of the step, divided by the rate, with the opposite sign.


def fastbp_gradients(X, y):
    """Gradients of the weights and of the intercepts, from one step at the first weights."""
    for l in range(len(coefs)):
        model.coefs_[l][:], model.intercepts_[l][:] = coefs[l], intercepts[l]
    model.partial_fit(X, y)
    dw = [(old - new) / rate for old, new in zip(coefs, model.coefs_, strict=True)]
    db = [(old - new) / rate for old, new in zip(intercepts, model.intercepts_, strict=True)]
    return dw, db


fast_dw, fast_db = fastbp_gradients(X, y)
print(f"loss by hand {loss:.12f}, by fastbp {model.loss_:.12f}")
assert abs(loss - model.loss_) < 1e-12
for l in range(3):
    gap = max(np.abs(dw[l] - fast_dw[l]).max(), np.abs(db[l] - fast_db[l]).max())
    print(f"layer {l + 1}: {dw[l].size + db[l].size} gradients, largest difference {gap:.1e}")
    assert gap < 1e-12

# %%
# Now the deltas. In a batch of one sample, the gradient of an intercept *is* the delta of its unit.
# So we make thirty steps of one sample each, all from the same weights.

fast_deltas = [np.empty_like(delta_bo) for delta_bo in deltas]
for b in range(len(X)):
    _, db_of_one = fastbp_gradients(X[b : b + 1], y[b : b + 1])
    for l in range(3):
        fast_deltas[l][b] = db_of_one[l]

gaps = [np.abs(ours - fast).max() for ours, fast in zip(deltas, fast_deltas, strict=True)]
print("largest difference of the deltas:", [f"{gap:.1e}" for gap in gaps])
assert max(gaps) < 1e-12

# %%
# The picture shows all deltas: a row for each iris, a column for each unit. Red units should be
# larger to lower the loss, blue ones smaller. Read it from right to left, as the deltas are
# computed. On the right, one class of each row should increase: the true one.

limit = max(np.abs(delta_bo).max() for delta_bo in deltas)
fig, axes = plt.subplots(
    2, 3, figsize=(9, 7), layout="constrained", sharey=True, width_ratios=[6, 5, 3]
)
for row, name, values in ((0, "by hand", deltas), (1, "fastbp", fast_deltas)):
    for l, ax in enumerate(axes[row]):
        image = ax.imshow(values[l], cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
        ax.set_xticks(range(values[l].shape[1]))
    axes[row, 0].set_ylabel(f"{name}: sample")
for l, title in enumerate(["hidden layer 1", "hidden layer 2", "output"]):
    axes[0, l].set_title(f"delta of {title}")
    axes[1, l].set_title(f"differs by {gaps[l]:.0e}")
    axes[1, l].set_xlabel("class" if l == 2 else "unit")
fig.colorbar(image, ax=axes, label="delta")
plt.show()
