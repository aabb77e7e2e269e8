"""
Computational graphs
====================

Backpropagation is not limited to networks. It computes the derivatives of any formula: one pass
forward through its operations, and one pass backward.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastbp import graph as fg

# %%
# A purchase: two apples at 100 each, three oranges at 150 each, and 10 % tax on everything. (The
# example is from K. Saitoh's *Deep Learning from Scratch*.) Calculate with ``Variable`` instead of
# numbers. Then every intermediate result is kept, together with its inputs. This is the
# computational graph.

apple, apples = fg.Variable(100.0, "apple price"), fg.Variable(2.0, "apples")
orange, oranges = fg.Variable(150.0, "orange price"), fg.Variable(3.0, "oranges")
tax = fg.Variable(1.1, "tax")

all_apples = apple * apples
all_oranges = orange * oranges
fruit = all_apples + all_oranges
total = fruit * tax
print(f"total: {total.value:.2f}")
assert abs(total.value - 715) < 1e-9

# %%
# How much does the total rise if an apple costs 1 more? This is the derivative of the total with
# respect to that price, also called its *adjoint*. ``backward`` computes the adjoints of all
# variables at once. It starts at the result, whose adjoint is 1. At each operation it applies the
# chain rule:
#
# - a sum passes its adjoint to both of its inputs;
# - a product passes its adjoint to each input, multiplied by *the other* input.

total.backward()
for variable in (apple, apples, orange, oranges, tax):
    print(f"d total / d {variable.name:12} = {variable.grad:.2f}")

expected = {apple: 2.2, apples: 110, orange: 3.3, oranges: 165, tax: 650}
assert all(abs(variable.grad - value) < 1e-9 for variable, value in expected.items())

# %%
# If an apple costs 1 more, the purchase costs 2.20 more: two apples, and the tax on them. To check
# this, set the input, and compute the graph again.

apple.value = 101.0
print(f"total with apples at 101: {total.forward():.2f}")
assert abs(total.value - 717.2) < 1e-9
apple.value = 100.0
total.forward()
total.backward()

# %%
# In a notebook, a line that contains only ``total`` shows the graph as a picture. ``to_mermaid``
# and ``to_dot`` give the text that diagram tools read.

print(total.to_mermaid())

# %%
# If a value is used twice, the adjoints of both uses are added. In :math:`f(x) = (x \sin x)^2 + x`
# the variable is used three times. Its derivative, computed by hand, is
# :math:`2 x \sin x\, (\sin x + x \cos x) + 1`. A ``Variable`` may hold an array. The derivative of
# the sum with respect to :math:`x_k` is the derivative of :math:`f(x_k)`.

x = fg.Variable(np.linspace(-4, 4, 1000), "x")
f = (x * fg.sin(x)) ** 2 + x
f.sum().backward()

sin, cos = np.sin(x.value), np.cos(x.value)
by_hand = 2 * x.value * sin * (sin + x.value * cos) + 1
gap = np.abs(x.grad - by_hand).max()
print(f"1000 derivatives, largest difference {gap:.1e}")
assert gap < 1e-12

# %%
# Above, the purchase: values go forward in blue, derivatives go backward in red. Follow the red
# numbers from right to left. Below, a function and its derivative, all 1000 points in one sweep.

places = {
    apples: (0, 4),
    apple: (0, 3),
    orange: (0, 2),
    oranges: (0, 1),
    tax: (0, 0),
    all_apples: (1.3, 3.5),
    all_oranges: (1.3, 1.5),
    fruit: (2.6, 2.5),
    total: (3.9, 1.5),
}
signs = {all_apples: "×", all_oranges: "×", fruit: "+", total: "×"}

fig, (ax, below) = plt.subplots(2, 1, figsize=(8, 8), height_ratios=[3, 2], layout="constrained")


def draw_edge(variable, start, end):
    ax.plot(*zip(start, end, strict=True), color="0.6", zorder=0)
    x, y = 0.55 * start[0] + 0.45 * end[0], 0.55 * start[1] + 0.45 * end[1]
    style = {"ha": "center", "bbox": {"boxstyle": "round,pad=0.05", "fc": "white", "ec": "none"}}
    ax.text(x, y + 0.05, f"{variable.value:g}", color="C0", va="bottom", **style)
    ax.text(x, y - 0.05, f"{variable.grad:g}", color="C3", va="top", **style)


for node in signs:
    for variable in node.inputs:
        draw_edge(variable, places[variable], places[node])
draw_edge(total, places[total], (5.0, 1.5))
for node, place in places.items():
    ax.text(
        *place,
        signs.get(node, node.name),
        ha="center",
        va="center",
        size=12,
        bbox={"boxstyle": "circle" if node in signs else "round", "fc": "0.95"},
    )
ax.set(xlim=(-0.3, 5), ylim=(-0.5, 4.5), title="value forward (blue), derivative back (red)")
ax.axis("off")
below.plot(x.value, f.value, color="C0", label="f = (x sin x)² + x")
below.plot(x.value, x.grad, color="C3", label="its derivative, by backward()")
below.axhline(0, color="0.8", lw=1, zorder=0)
below.set_xlabel("x")
below.legend()
plt.show()
