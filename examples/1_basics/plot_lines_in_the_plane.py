"""
Hidden units are lines, and a second layer bends them
=====================================================

A network with two features sees a plane. Each hidden unit of the first layer divides it along a
straight line. Together, the pieces separate classes that no single line can separate.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons

from fastbp import MLPClassifier, MLPRegressor

# %%
# A unit of the first layer has the preactivation :math:`z = x_1 w_1 + x_2 w_2 + b`. All points with
# :math:`z = 0` lie on a line. With ``relu`` the activation is 0 on one side of the line and grows
# with the distance on the other. So three units give three lines. Some initial weights lead to a
# poor result, so we keep the best of twenty fits.

X, y = make_moons(200, noise=0.1, random_state=0)


def best_of_twenty(hidden_layer_sizes):
    fits = [
        MLPClassifier(
            hidden_layer_sizes, solver="lbfgs", alpha=0.01, max_iter=2000, random_state=seed
        ).fit(X, y)
        for seed in range(20)
    ]
    return min(fits, key=lambda model: model.loss_)


model = best_of_twenty((3,))
print(f"accuracy with one hidden layer of 3 units: {model.score(X, y):.3f}")
assert model.score(X, y) == 1

# %%
# The lines divide the plane into pieces. Within a piece, the same units are on. So within a piece
# the raw prediction, the preactivation of the output, is an affine map of :math:`x_1` and
# :math:`x_2`, and the border between the classes is a straight line. It bends only where it crosses
# the line of a unit.
#
# We compute the layers in NumPy on a fine grid and check this. In each piece we fit an affine map.
# It is equal to the raw prediction, up to rounding.


def preactivations(model, X):
    """The preactivations of all layers; the last is the raw prediction."""
    result, a = [], X
    for w, b in zip(model.coefs_, model.intercepts_, strict=True):
        result.append(a @ w + b)
        a = np.maximum(result[-1], 0)
    return result


def pieces(zs):
    """The number of the piece of each point. In a piece the same units are on."""
    return np.unique(np.hstack(zs) > 0, axis=0, return_inverse=True)[1].reshape(-1)


side = np.linspace(-1, 1, 600)
box = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)  # points from -1 to 1
plane = box * [2.2, 1.6] + [0.5, 0.25]  # around the moons

hidden, raw = preactivations(model, plane)
piece = pieces([hidden])
gaps = []
for k in range(piece.max() + 1):
    points = np.column_stack([plane[piece == k], np.ones(np.sum(piece == k))])
    affine = np.linalg.lstsq(points, raw[piece == k], rcond=None)[0]
    gaps.append(np.abs(points @ affine - raw[piece == k]).max())
print(f"{piece.max() + 1} pieces, raw prediction off its affine map by at most {max(gaps):.1e}")
assert max(gaps) < 1e-10

# %%
# How many pieces can :math:`n` lines make? The old lines cut each new line into at most :math:`n`
# parts, and each part splits a piece in two. This adds up to
#
# .. math:: 1 + 1 + 2 + \dots + n = 1 + \frac{n (n + 1)}{2}.


def most_pieces(lines):
    return 1 + lines * (lines + 1) // 2


print(f"3 lines make at most {most_pieces(3)} pieces, 8 lines {most_pieces(8)}")
assert piece.max() + 1 <= most_pieces(3)

# %%
# A unit of the second layer also has a line, but in the plane that the first layer has folded. We
# make a fold by hand: the units :math:`\max(x, 0)` and :math:`\max(-x, 0)` add up to :math:`|x|`,
# and two more add up to :math:`|y|`. For the second layer all four quadrants look the same. A line
# drawn there appears four times, mirrored. Unit 1 below is on where :math:`|x| + |y| > 0.9`,
# outside a diamond.

fold = np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]])  # x, -x, y, -y
lines = np.array([[1.0, 1.0, -0.9], [3.0, 1.0, -1.1], [1.0, 3.0, -1.2], [1.0, -1.5, 0.1]])
w = np.repeat(lines[:, :2].T, 2, axis=0)  # the same for x and -x, the same for y and -y
folded = MLPRegressor.from_weights(
    [fold, w, np.ones((4, 1))], [np.zeros(4), lines[:, 2], np.zeros(1)], activation="relu"
)

first, second, raw_folded = preactivations(folded, box)
by_hand = np.maximum(np.abs(box) @ lines[:, :2].T + lines[:, 2], 0).sum(axis=1)
assert np.abs(folded.predict(box) - by_hand).max() < 1e-12

found = pieces([first, second]).max() + 1
print(f"4 units and 4 units in two layers: {found} pieces, 8 in one layer at most {most_pieces(8)}")
assert found == 4 * most_pieces(4) == 44 > most_pieces(8)

# %%
# In a trained network the folds are less regular. Here are the moons again, with two layers of
# three units. The zero lines of the second layer have corners, all of them on lines of the first.

deeper = best_of_twenty((3, 3))
print(f"accuracy with two layers of 3 units: {deeper.score(X, y):.3f}")
assert deeper.score(X, y) == 1

# %%
# Left: one hidden layer. Its lines (grey) are straight, and the border between the classes (black)
# bends at them. Middle: the lines of the second layer (blue) bend at those of the first. Right: the
# plane folded by hand, along the grey lines. The diamond is bold, and each of the 44 pieces has its
# own shade.


def zero_lines(ax, points, z, **style):
    """Draw the line on which each column of z is 0."""
    x1, x2 = points.T.reshape(2, 600, 600)
    for column in z.T:
        if column.min() < 0 < column.max():  # the line is in the picture
            ax.contour(x1, x2, column.reshape(600, 600), levels=[0], **style)


fig, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for ax, network in zip(axes[:2], (model, deeper), strict=True):
    units, *more_units, raw_prediction = preactivations(network, plane)
    zero_lines(ax, plane, units, colors="0.45", linestyles="dashed")
    for z in more_units:
        zero_lines(ax, plane, z, colors="C0")
    zero_lines(ax, plane, raw_prediction, colors="black", linewidths=2.5)
    ax.scatter(*X.T, c=np.where(y == 0, "C0", "C1"), s=10)
    ax.set(xlabel="x₁", ylabel="x₂")
axes[0].set_title("3 units: straight lines")
axes[1].set_title("3 + 3 units: lines with corners")

shades = np.random.default_rng(0).permutation(found)[pieces([first, second])]
axes[2].pcolormesh(*box.T.reshape(2, 600, 600), shades.reshape(600, 600), cmap="Greens", vmax=90)
zero_lines(axes[2], box, first[:, ::2], colors="0.45", linestyles="dashed")
zero_lines(axes[2], box, second, colors="C0")
zero_lines(axes[2], box, second[:, :1], colors="C0", linewidths=3)
axes[2].set(xlabel="x", ylabel="y", title=f"4 + 4 units: {found} pieces (8 lines: 37)")
plt.show()
