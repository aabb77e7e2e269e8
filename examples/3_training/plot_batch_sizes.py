"""
Full-batch descent, SGD and mini-batches
========================================

Gradient descent may use all samples for every step, or one, or a few. The three variants learn the
same digits here, for the same number of epochs. We compare loss, time and noise.
"""

# %%
# One epoch, many steps
# ---------------------
#
# A step moves every parameter :math:`w` against the mean gradient of a batch of :math:`B` samples,
#
# .. math:: w \leftarrow w - \text{rate} \cdot \frac{1}{B} \sum_{b=1}^{B} \nabla_w E_b,
#
# where :math:`E_b` is the loss of sample :math:`b`. An epoch visits every sample once. So an epoch
# is one step if the batch contains all samples, and one step for each sample if :math:`B = 1`
# (*stochastic* gradient descent, SGD).

import copy
import warnings
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLPClassifier

X, y = load_digits(return_X_y=True)
X = X / 16  # pixels between 0 and 1
n_samples = len(X)

# %%
# Each batch size gets a suitable rate. A gradient of one sample is noisy, and only small steps
# average the noise out. There is no momentum and no penalty, so that nothing else differs. There is
# one thread, so that the times can be compared.

warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed on purpose
settings = dict(
    solver="sgd", momentum=0, alpha=0, tol=0, n_iter_no_change=30, n_threads=1, random_state=0
)
kinds = {
    "full batch": dict(batch_size=n_samples, learning_rate_init=0.3),
    "mini-batches of 32": dict(batch_size=32, learning_rate_init=0.3),
    "SGD, one sample": dict(batch_size=1, learning_rate_init=0.01),
}
curves, seconds = {}, {}
for kind, parameters in kinds.items():
    model = MLPClassifier((30,), max_iter=30, **parameters, **settings)
    start = perf_counter()
    model.fit(X, y)
    seconds[kind] = perf_counter() - start
    curves[kind] = model.loss_curve_
    steps = -(-n_samples // parameters["batch_size"])
    print(
        f"{kind:18}   {steps:4} steps an epoch   {1e3 * seconds[kind] / 30:6.2f} ms an epoch   "
        f"loss {model.loss_curve_[-1]:.3f}"
    )

# %%
# After the same number of epochs the full batch is far behind, because it has made only 30 steps.
# SGD and mini-batches end equally low, but mini-batches take less time. They multiply matrices, and
# a processor multiplies a matrix faster than the same rows one by one.

assert curves["mini-batches of 32"][-1] < 0.1 * curves["full batch"][-1]
assert curves["SGD, one sample"][-1] < 0.1 * curves["full batch"][-1]

# %%
# The noise of a gradient
# -----------------------
#
# The gradient of a batch estimates the gradient of all samples. The standard deviation of a mean of
# :math:`B` independent terms is :math:`\sqrt{B}` times smaller than that of one term. Is this true
# here?
#
# One step of SGD shows its gradient: the change of the parameters, divided by the rate.


def gradient(model, rows):
    """Gradient of the mean loss over these rows, all layers in one array."""
    twin = copy.deepcopy(model).set_params(batch_size=len(rows))
    twin.partial_fit(X[rows], y[rows])
    steps = [
        before - after
        for before, after in zip(
            model.coefs_ + model.intercepts_, twin.coefs_ + twin.intercepts_, strict=True
        )
    ]
    return np.concatenate([step.ravel() for step in steps]) / model.learning_rate_init


model = MLPClassifier(
    (30,), max_iter=2, batch_size=n_samples, learning_rate_init=0.3, **settings
).fit(X, y)
everything = gradient(model, np.arange(n_samples))

rng = np.random.default_rng(0)
sizes = np.array([1, 4, 16, 64, 256])
noise = []
for size in sizes:
    batches = [rng.integers(n_samples, size=size) for _ in range(200)]
    errors = [gradient(model, batch) - everything for batch in batches]
    noise.append(np.sqrt(np.mean([error @ error for error in errors])))
noise = np.array(noise) / np.linalg.norm(everything)

for size, value in zip(sizes, noise, strict=True):
    print(f"batch of {size:3}: noise {value:5.2f}, times root of B {value * np.sqrt(size):5.2f}")

# %%
# The last column is nearly constant: four times the batch, half the noise. The gradient of one
# sample is mostly noise, several times larger than the gradient that it estimates. But it costs a
# hundredth of the work of a batch of a hundred, whose noise is only ten times smaller.

scaled = noise * np.sqrt(sizes)
assert scaled.max() / scaled.min() < 1.2
assert noise[0] > 3

# %%
# The picture
# -----------

fig, (by_epoch, by_time, of_noise) = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
for kind, curve in curves.items():
    epochs = np.arange(1, 31)
    by_epoch.plot(epochs, curve, label=kind)
    by_time.plot(epochs / 30 * seconds[kind] * 1e3, curve, ".-", label=kind)
by_epoch.set(yscale="log", xlabel="epoch", ylabel="training loss", title="Loss by epochs")
by_epoch.legend()
by_time.set(yscale="log", xlabel="milliseconds of training", title="Loss by time")
by_time.sharey(by_epoch)

of_noise.loglog(sizes, noise, "o", color="C3", label="measured, 200 batches")
of_noise.loglog(sizes, scaled.mean() / np.sqrt(sizes), color="0.6", label=r"$\propto 1 / \sqrt{B}$")
of_noise.axhline(1, color="0.6", ls=":", label="the gradient itself")
of_noise.set_xticks(sizes, sizes)
of_noise.minorticks_off()
of_noise.set(xlabel="batch size $B$", ylabel="noise / gradient", title="Noise of the gradient")
of_noise.legend()
for ax in (by_epoch, by_time, of_noise):
    ax.grid(alpha=0.3)
plt.show()
