"""
Ensembles: what a network does not know
=======================================

A prediction can be uncertain for two reasons. The targets are noisy, or there were no samples like
this one. A network that predicts a standard deviation learns the first. The second shows when
several networks are trained that differ in their initial weights only: they agree where there were
samples, and nowhere else.
"""

# %%
# Noise, and a gap
# ----------------
#
# The target is a curve plus noise, which grows from left to right. No training sample lies between
# -0.7 and 0.7, and none beyond 4.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPRegressor
from fastbp.ensemble import MLPEnsembleRegressor


def curve(x):
    return np.sin(1.5 * x)


def noise(x):
    return 0.05 + 0.3 / (1 + np.exp(-2 * x))


def samples(n, seed):
    random = np.random.RandomState(seed)
    x = np.concatenate([random.uniform(-4, -0.7, n // 2), random.uniform(0.7, 4, n - n // 2)])
    return x.reshape(-1, 1), curve(x) + noise(x) * random.randn(n)


X_train, y_train = samples(600, 0)
X_test, y_test = samples(4000, 1)

# %%
# Ten networks
# ------------
#
# Each member minimizes ``loss="gaussian"``, so it predicts a mean :math:`m_k` and a standard
# deviation :math:`\sigma_k`. The ensemble takes all predictions together as one distribution [1]_:
# its mean is the mean of the :math:`m_k`, and its variance has two parts,
#
# .. math:: \sigma^2 = \frac{1}{K} \sum_k \sigma_k^2 + \operatorname{var}_k m_k,
#
# the noise that the members predict, and their disagreement. The members are trained side by side,
# in as many threads as there are cores. Each has the bits of a fit of its own.

warnings.simplefilter("ignore", ConvergenceWarning)  # 300 iterations on purpose
member = MLPRegressor(
    loss="gaussian",
    hidden_layer_sizes=(50,),
    activation="tanh",
    solver="lbfgs",
    alpha=0.02,
    max_iter=300,
)
ensemble = MLPEnsembleRegressor(member, n_members=10, random_state=0).fit(X_train, y_train)

mean, std = ensemble.predict(X_test, return_std=True)
inside = abs(y_test - mean) < 1.96 * std
print(f"{inside.mean():.1%} of the test targets lie in their interval of 95 %")
assert 0.92 < inside.mean() < 0.98

# %%
# The mean is better than its parts
# ---------------------------------
#
# Where a member errs, others err differently, and the errors partly cancel. So does the loss, the
# negative log-likelihood of the test targets.


def loss(mean, std):
    return np.mean(np.log(std) + ((y_test - mean) / std) ** 2 / 2)


alone = [loss(*one.predict(X_test, return_std=True)) for one in ensemble.estimators_]
print(f"loss of the members {min(alone):.3f} to {max(alone):.3f}, of the ensemble", end=" ")
print(f"{loss(mean, std):.3f}")
assert loss(mean, std) < np.mean(alone)

# %%
# Where nothing is known
# ----------------------
#
# In the gap and beyond the samples the members disagree. A single network says there what it says
# next to the samples: it has learned how noisy the targets are, not where it has seen any.

x = np.linspace(-5.5, 5.5, 400).reshape(-1, 1)
mean, std = ensemble.predict(x, return_std=True)
pairs = [one.predict(x, return_std=True) for one in ensemble.estimators_]
means, noises = (np.array(part) for part in zip(*pairs, strict=True))
disagreement = means.std(axis=0)

distance = abs(x[:, 0])
known = (distance > 0.7) & (distance < 4)
unknown = (distance < 0.4) | (distance > 5)
times = np.median(disagreement[unknown]) / np.median(disagreement[known])
print(f"the members disagree {times:.0f} times as much where there are no samples")
assert times > 5

# %%
# The picture
# -----------
#
# Above, the members, and two standard deviations of the ensemble around its mean. Below, the two
# parts of the variance as standard deviations. The noise is learned where there are samples. The
# disagreement is small there, and large elsewhere.
#
# .. [1] B. Lakshminarayanan, A. Pritzel and C. Blundell, "Simple and scalable predictive
#    uncertainty estimation using deep ensembles", NIPS 2017, arXiv:1612.01474.

fig, (above, below) = plt.subplots(
    2, 1, figsize=(9, 7), height_ratios=[2, 1], sharex=True, layout="constrained"
)
above.plot(X_train, y_train, ".", color="0.6", ms=4, label="training samples")
above.fill_between(
    x[:, 0], mean - 2 * std, mean + 2 * std, color="C0", alpha=0.25, label="ensemble, 2 std"
)
above.plot(x, means.T, color="C0", lw=0.7, alpha=0.6)
above.plot(x, mean, color="C0", lw=2.5, label="ensemble, mean")
above.plot(x, curve(x), "k--", lw=1, label="true curve")
above.set(ylim=(-2.5, 3), ylabel="y", title="ten networks, and what they say together")
above.legend(loc="upper left", ncols=2)
below.plot(x, np.sqrt(np.mean(noises**2, axis=0)), color="C1", lw=2, label="noise, as predicted")
below.plot(x, noise(x), "k--", lw=1, label="true noise")
below.plot(x, disagreement, color="C3", lw=2, label="disagreement of the members")
below.set(xlabel="x", ylabel="standard deviation", ylim=(0, 1))
below.legend(loc="upper left")
plt.show()
