"""
Why training minimizes the loss, and not the accuracy
=====================================================

We want a high accuracy. Why does training not maximize it? Because the accuracy has no slope: a
small step does not change it, so no direction is better than another.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLPClassifier

# %%
# Forty samples of two classes overlap along a line. A network without hidden layers has one weight
# :math:`w` here and one intercept :math:`b`. Its prediction is
#
# .. math:: p = 1 / (1 + e^{-z}), \qquad z = x w + b,
#
# the probability of class 1. We keep :math:`w` and vary :math:`b`.

rng = np.random.default_rng(3)
X = np.concatenate([rng.normal(-1, 1, 20), rng.normal(1, 1, 20)])[:, np.newaxis]
y = np.repeat([0, 1], 20)

model = MLPClassifier((), solver="lbfgs", alpha=0, random_state=0).fit(X, y)
best = model.intercepts_[0].item()
print(f"w = {model.coefs_[0].item():.3f}, b = {best:.3f}, accuracy {model.score(X, y):.3f}")

# %%
# We measure two numbers at each :math:`b`. The accuracy is the share of samples whose :math:`p` is
# on the right side of 1/2. The loss is the mean of :math:`-\log` of the probability of the true
# class: 0 if the network is confident and right, large if it is confident and wrong.


def measure(b):
    """The accuracy and the loss with the intercept b."""
    model.intercepts_[0][:] = b
    p_true = model.predict_proba(X)[np.arange(len(y)), y]
    return model.score(X, y), -np.log(p_true).mean()


knob = np.linspace(-6, 6, 601)
accuracy, loss = np.array([measure(b) for b in knob]).T

# %%
# Now the slopes, as differences over a step of a ten-millionth. The slope of the accuracy is 0
# everywhere, except at a jump, where it does not exist. The loss has a slope everywhere. Its sign
# shows where the minimum is: to the right where the slope is negative, to the left where it is
# positive.

e = 1e-7
slopes = np.array([(np.array(measure(b + e)) - measure(b - e)) / (2 * e) for b in knob])
flat = np.mean(slopes[:, 0] == 0)
downhill = np.mean(np.sign(-slopes[:, 1]) == np.sign(best - knob))
print(f"the accuracy is flat at {flat:.1%} of the points")
print(f"the slope of the loss points to its minimum at {downhill:.1%} of them")
assert flat == 1 and downhill == 1

# %%
# So we minimize the loss. Start far away, at :math:`b = -5`, where the accuracy is constant over a
# long interval. Each step goes against the slope, times a learning rate of 1.

path = [-5.0]
for _ in range(60):
    b = path[-1]
    slope = (measure(b + e)[1] - measure(b - e)[1]) / (2 * e)
    path.append(b - 1.0 * slope)
values = np.array([measure(b) for b in path])
print(f"b from {path[0]} to {path[-1]:.3f}; at the minimum of the loss it is {best:.3f}")
print(f"accuracy from {values[0, 0]:.3f} to {values[-1, 0]:.3f}")
assert abs(path[-1] - best) < 1e-2
assert np.all(np.diff(values[:, 1]) < 1e-9)  # each step lowers the loss
assert values[-1, 0] > values[0, 0] + 0.2

# %%
# Above: the accuracy is a staircase. Between the jumps, nothing shows the direction. Below: the
# loss has a slope at every point; the dots are the first fifteen steps. As the loss falls the
# accuracy rises, not in every step, but in the end.

fig, (above, below) = plt.subplots(2, 1, figsize=(7, 5.6), sharex=True, layout="constrained")
above.plot(knob, accuracy, color="C1", drawstyle="steps-mid")
above.plot(path[:16], values[:16, 0], "o", color="C0", ms=5)
above.set(ylabel="accuracy", title="accuracy: the slope is 0 at every point")
below.plot(knob, loss, color="C1")
below.plot(path[:16], values[:16, 1], "o-", color="C0", ms=5, lw=1, label="steps down the loss")
for ax in (above, below):
    ax.axvline(best, color="0.7", ls=":", zorder=0, label="minimum of the loss")
below.set(xlabel="intercept b", ylabel="loss", title="loss: every point shows the way")
below.legend()
plt.show()
