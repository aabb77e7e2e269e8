"""The smallest example: four points, one hidden layer, exclusive or.

python examples/xor.py [picture.png]
"""

import sys

import numpy as np
from _draw import BLUE, DIVERGING, GREY, INK, ORANGE, PAPER, headline, plt, save

from fastbp import MLPClassifier

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
y = np.array([0, 1, 1, 0])

model = MLPClassifier((4,), activation="tanh", solver="lbfgs", alpha=1e-3, random_state=0)
model.fit(X, y)

print(" a  b   a xor b   predicted   probability of 1")
for (a, b), truth, predicted, (_, p) in zip(
    X, y, model.predict(X), model.predict_proba(X), strict=True
):
    print(f" {a}  {b}   {truth:^7}   {predicted:^9}   {p:^16.3f}")
print(f"accuracy {model.score(X, y):.2f}")

# The decision surface: the probability of 1 everywhere between and around the four points.
side = np.linspace(-0.5, 1.5, 301)
points = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
surface = model.predict_proba(points)[:, 1].reshape(301, 301)

fig = plt.figure(figsize=(6.4, 6.4))
headline(fig, "Exclusive or, learned from four points", "probability of 1, between and around them")
ax = fig.add_axes((0.08, 0.075, 0.75, 0.75))
shades = ax.contourf(side, side, surface, levels=np.linspace(0, 1, 21), cmap=DIVERGING)
ax.contour(side, side, surface, levels=[0.5], colors=INK, linewidths=1.2)
for (a, b), truth in zip(X, y, strict=True):
    ax.scatter(a, b, s=620, color=BLUE if truth else ORANGE, ec=PAPER, lw=2, zorder=3)
    ax.text(a, b, truth, color=PAPER, size=13, weight="bold", ha="center", va="center_baseline")
ax.set(xticks=[0, 1], yticks=[0, 1], xlabel="a", ylabel="b", aspect="equal")
ax.tick_params(length=0)
ax.spines[:].set_visible(False)
bar = fig.colorbar(shades, cax=fig.add_axes((0.87, 0.075, 0.025, 0.75)), ticks=[0, 0.5, 1])
bar.outline.set_visible(False)
bar.ax.tick_params(length=0, labelcolor=GREY)
save(fig, sys.argv[1] if len(sys.argv) > 1 else None, "xor.png")
