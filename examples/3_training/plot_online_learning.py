"""
Online learning with ``partial_fit``
====================================

Sometimes samples arrive one after another, and their meaning changes over time. A model that was
trained once becomes outdated. A model that continues to learn stays accurate.
"""

# %%
# A stream that drifts
# --------------------
#
# Four clouds of points lie around the origin, two of each class, opposite each other. During the
# stream all four slowly turn by half a turn over 200 batches of 50 samples. After a quarter of a
# turn every cloud is where the other class began.

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLPClassifier

rng = np.random.default_rng(0)
n_batches, batch = 200, 50


def next_batch(t):
    """50 samples at time t, between 0 and 1."""
    cloud = rng.integers(4, size=batch)
    angle = np.pi / 2 * cloud + np.pi * t
    centre = 2 * np.column_stack([np.cos(angle), np.sin(angle)])
    return centre + 0.6 * rng.normal(size=(batch, 2)), cloud % 2


# %%
# Test, then train
# ----------------
#
# An online learner should be tested before it learns: each batch is first predicted, then learned.
# ``partial_fit`` makes one epoch over its samples, here one step. The state of the optimizer is
# kept from call to call. The first call has to name all classes, because a batch might not contain
# all of them.
#
# Both models see the first 20 batches, ten times each. Then one of them is not trained any more.

settings = dict(hidden_layer_sizes=(30,), learning_rate_init=0.02, random_state=0)
online, frozen = MLPClassifier(**settings), MLPClassifier(**settings)
side = np.linspace(-4, 4, 80)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)

first = [next_batch(i / n_batches) for i in range(20)]
for model in (online, frozen):
    for _ in range(10):
        for X, y in first:
            model.partial_fit(X, y, classes=[0, 1])

accuracy, snapshots = {"goes on learning": [], "trained once": []}, {}
for i in range(20, n_batches):
    X, y = next_batch(i / n_batches)
    accuracy["goes on learning"].append(online.score(X, y))
    accuracy["trained once"].append(frozen.score(X, y))
    if i in (20, 80, 140, 199):
        snapshots[i] = X, y, online.predict_proba(grid)[:, 1]
    online.partial_fit(X, y)

for kind, values in accuracy.items():
    thirds = np.split(np.array(values), 3)
    print(
        f"{kind:16}: accuracy {np.mean(values):.3f}; in thirds of the stream",
        *(f"{third.mean():.3f}" for third in thirds),
    )

# %%
# The model that continues to learn stays right nearly all the time. The other falls below chance
# when the classes have changed places, about batch 100. At half a turn each cloud is where the
# other cloud of its own class began, and the old model is right again without new training.

around_100 = np.array(accuracy["trained once"])[70:90].mean()
print(f"trained once, batches 90 to 110: accuracy {around_100:.3f}")
assert np.mean(accuracy["goes on learning"]) > 0.9
assert around_100 < 0.2

# %%
# The picture
# -----------
#
# Above, the stream at four moments, with the predictions of the model that continues to learn.
# Below, the accuracy of both models, averaged over ten batches.

fig, axes = plt.subplot_mosaic(
    [list(snapshots), 4 * ["accuracy"]], figsize=(9, 5.8), layout="constrained"
)
for i, (X, y, probability) in snapshots.items():
    ax = axes[i]
    ax.contourf(side, side, probability.reshape(80, 80), levels=10, cmap="RdBu_r", alpha=0.5)
    ax.scatter(*X.T, c=y, cmap="RdBu_r", s=14, edgecolors="white", linewidths=0.4)
    ax.set(title=f"batch {i}", xticks=[], yticks=[], aspect="equal")

ax = axes["accuracy"]
for (kind, values), colour in zip(accuracy.items(), ["C2", "C1"], strict=True):
    ax.plot(np.arange(25, 196), np.convolve(values, np.full(10, 0.1), "valid"), colour, label=kind)
for i in snapshots:
    ax.axvline(i, color="0.8", lw=1, zorder=0)
ax.axhline(0.5, color="0.6", ls=":", label="chance")
ax.set(xlabel="batch", ylabel="accuracy before learning the batch", ylim=(-0.02, 1.02))
ax.legend(loc="lower left")
plt.show()
