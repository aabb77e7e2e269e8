"""
Local minima from different starts
==================================

Gradient descent ends where the loss has no slope. The initial weights decide which of these places
it reaches.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLPRegressor

# %%
# A small problem: a wave, and a network of three ``tanh`` units. A unit makes one S-shaped bend.
# Three units can follow the whole wave if each takes the right part of it.

rng = np.random.default_rng(0)
X = np.linspace(-3, 3, 60)[:, np.newaxis]
y = np.sin(2.5 * X[:, 0]) + 0.3 * X[:, 0]

# %%
# Train it from fifty starts. Only ``random_state``, and so the initial weights, is different. The
# solver ``lbfgs`` continues until the gradient is practically 0.

starts = [
    MLPRegressor(
        hidden_layer_sizes=(3,),
        activation="tanh",
        solver="lbfgs",
        alpha=1e-3,
        max_iter=20000,
        max_fun=10**6,
        tol=1e-7,
        random_state=seed,
    ).fit(X, y)
    for seed in range(50)
]
loss = np.array([model.loss_ for model in starts])
levels, counts = np.unique(loss.round(3), return_counts=True)
for level, count in zip(levels, counts, strict=True):
    print(f"loss {level:.3f}: starts {count}")
assert len(levels) >= 4 and loss.max() > 10 * loss.min()

# %%
# The losses are not spread at random. They lie on a few levels, and descent ends on one of them. A
# level is not a single place. Exchange two units with all their weights, or reverse all signs of
# one, and the network computes the same function. So every minimum exists 3! times 2\ :sup:`3` = 48
# times.
#
# Are the ends of the descent minima? The loss that ``lbfgs`` minimizes is half the mean square of
# the errors, plus the penalty :math:`\frac{\alpha}{2 n} \sum w^2`. We write it as a function of all
# ten parameters, and move away from an end by a distance of a twentieth in a thousand directions.
# From a minimum the loss rises in every direction.


def loss_at(parameters):
    w1, b1, w2, b2 = np.split(parameters, [3, 6, 9])
    error = np.tanh(X * w1 + b1) @ w2 + b2 - y
    return np.mean(error**2) / 2 + 1e-3 / (2 * len(X)) * (w1 @ w1 + w2 @ w2)


def parameters_of(model):
    (w1, w2), (b1, b2) = model.coefs_, model.intercepts_
    return np.concatenate([w1.ravel(), b1, w2.ravel(), b2])


best, worst = starts[loss.argmin()], starts[loss.argmax()]
common = starts[np.argmax(loss.round(3) == levels[counts.argmax()])]
for name, model in (("best", best), ("most common", common), ("worst", worst)):
    end = parameters_of(model)
    walks = rng.normal(size=(1000, 10))
    walks *= 0.05 / np.linalg.norm(walks, axis=1, keepdims=True)
    rises = np.array([loss_at(end + walk) for walk in walks]) - loss_at(end)
    print(f"{name}: loss {loss_at(end):.4f}, {np.mean(rises > 0):.0%} of the walks lead up")
    assert abs(loss_at(end) - model.loss_) < 1e-9
    assert np.all(rises > 0)

# %%
# So descent cannot leave the most common end, although another end is far better. On the straight
# line from one to the other the loss has to rise first.

way = np.linspace(0, 1, 201)
profile = np.array(
    [loss_at((1 - t) * parameters_of(common) + t * parameters_of(best)) for t in way]
)
print(f"from {profile[0]:.4f} over {profile.max():.4f} to {profile[-1]:.4f}")
assert profile.max() > 2 * profile[0] > 2 * profile[-1]

# %%
# Left: the functions that three of the networks learned. Each spent its units on other slopes of
# the wave. Middle: the losses of all starts, in order; each flat part is one level. Right: the loss
# along the straight line from the most common end to the best. In practice, start several times and
# keep the best.

fig, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
axes[0].plot(X, y, ".", color="0.7", label="samples")
for name, model, color in (
    ("best", best, "C0"),
    ("most common", common, "C1"),
    ("worst", worst, "C3"),
):
    axes[0].plot(X, model.predict(X), color=color, label=f"{name}: loss {model.loss_:.3f}")
axes[0].set(xlabel="x", ylabel="y", title="one network, three ends", ylim=(-2, 3.6))
axes[0].legend(loc="upper left")
axes[1].step(np.arange(1, 51), np.sort(loss), where="mid", color="C0")
axes[1].set(xlabel="start, in order of its loss", ylabel="loss")
axes[1].set_title(f"50 starts end on {len(levels)} levels")
axes[2].semilogy(way, profile, color="C0")
axes[2].plot([0, 1], profile[[0, -1]], "o", color="C3")
axes[2].set_xticks([0, 1], ["most\ncommon", "best"])
axes[2].set(ylabel="loss", title="on the way between two ends")
plt.show()
