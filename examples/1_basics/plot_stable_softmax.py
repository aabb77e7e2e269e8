"""
Softmax without overflow, and the log of 0
==========================================

Two textbook formulas of classifiers fail on a computer: the softmax of a large number, and the
logarithm of a probability that was rounded to 0.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLPClassifier

# %%
# The softmax turns the raw predictions :math:`z_1, \dots, z_O` of a sample, one for each class,
# into probabilities:
#
# .. math:: p_o = \frac{e^{z_o}}{\sum_k e^{z_k}}.
#
# The largest float64 is about :math:`1.8 \cdot 10^{308}`, which is :math:`e^{709.8}`. So
# :math:`e^{1000}` is infinite, and infinity divided by infinity is NaN: not a number.


def naive_softmax(z):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the NaN is on purpose
        return np.exp(z) / np.exp(z).sum()


z = np.array([1000.0, 999.0, 0.0])
print("naive:", naive_softmax(z))
assert np.isnan(naive_softmax(z)).any()

# %%
# The solution: subtract the same number from all :math:`z`, since :math:`e^{-c}` cancels. Choose
# the largest :math:`z`. Then the largest exponent is 0, nothing overflows, and only probabilities
# that are too small to matter underflow.


def stable_softmax(z):
    exp = np.exp(z - z.max())
    return exp / exp.sum()


print("stable:", stable_softmax(z))
assert np.allclose(stable_softmax(z), [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0], atol=1e-15)

# %%
# The loss of a sample is :math:`-\log p` of its true class. If that class has :math:`z = 0` and
# another has 1000, its probability underflows to 0 and the loss is infinite. But the logarithm and
# the exponential of the softmax cancel if the formula is rearranged. With the *logsumexp*, again
# with the largest :math:`z` subtracted,
#
# .. math:: -\log p_o = \operatorname{logsumexp}(z) - z_o, \qquad
#           \operatorname{logsumexp}(z) = c + \log \sum_k e^{z_k - c}, \quad c = \max_k z_k.


def naive_loss(z, true):
    with np.errstate(divide="ignore"):
        return -np.log(naive_softmax(z)[true])


def stable_loss(z, true):
    c = z.max()
    return c + np.log(np.exp(z - c).sum()) - z[true]


print(f"-log p of the true class: {stable_loss(z, true=2):.6f}")
assert abs(stable_loss(z, true=2) - (1000 + np.log1p(np.exp(-1)))) < 1e-9

# %%
# How does ``fastbp`` do it? We build a classifier with chosen raw predictions. Without hidden
# layers, and with one feature that is 1, the weights *are* the raw predictions. One training step
# reports the loss before the step, and moves each weight by the delta, :math:`p - y`, times a
# learning rate of 1.

classes = [0, 1, 2]
model = MLPClassifier(
    (), solver="sgd", momentum=0, learning_rate_init=1.0, alpha=0, batch_size=1, random_state=0
)
model.partial_fit([[1.0]], [2], classes=classes)


def fastbp_step(z, true):
    """The loss that fastbp reports, and its delta, at the raw predictions z."""
    model.coefs_[0][:], model.intercepts_[0][:] = z, 0
    model.partial_fit([[1.0]], [true])
    return model.loss_, 0 - model.intercepts_[0]  # a step of rate 1 from 0 is minus the delta


for z in ([1.0, 2.0, 3.0], [1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]):
    z = np.array(z)
    loss, delta = fastbp_step(z, true=0)
    expected = stable_softmax(z) - [1, 0, 0]
    print(f"z = {z}: loss {loss:.4f}, delta {delta.round(4)}")
    assert np.isfinite(loss) and np.isfinite(delta).all()
    assert np.abs(delta - expected).max() < 1e-12

# %%
# All numbers are finite. One may surprise: the loss at -10,000 is reported as 36.04, not as 20,000.
# Like scikit-learn, ``fastbp`` limits the probability in the reported loss to at least the machine
# epsilon, :math:`2.2 \cdot 10^{-16}`, and :math:`-\log` of that is 36.04. The delta, which training
# uses, is that of the true loss. It does not vanish, however wrong the prediction is.

ceiling = -np.log(np.finfo(float).eps)
worst, delta = fastbp_step(np.array([-1e4, 1e4, 1e4]), true=0)
print(f"-log(epsilon) = {ceiling:.4f}")
assert abs(worst - ceiling) < 1e-9
assert abs(delta[0] + 1) < 1e-12

# %%
# Now let the true class, the one in the middle, fall behind the first one by a growing distance
# :math:`d`: the raw predictions are :math:`d`, 0 and :math:`-d`. Here are both formulas and
# ``fastbp``, side by side.

distance = np.arange(0.0, 1501.0, 10)
raw = np.stack([distance, 0 * distance, -distance], axis=1)
naive = np.array([naive_loss(z, true=1) for z in raw])
stable = np.array([stable_loss(z, true=1) for z in raw])
naive_delta = np.array([naive_softmax(z)[0] for z in raw])  # of the class in front: p - 0
steps = [fastbp_step(z, true=1) for z in raw]
reported, delta = np.array([loss for loss, _ in steps]), np.array([delta[0] for _, delta in steps])

last = distance[np.isfinite(naive) & np.isfinite(naive_delta)].max()
print(f"the naive numbers end at d = {last:.0f}, the others hold up to {distance[-1]:.0f}")
assert last == 700
assert np.isfinite([stable, reported, delta]).all()
assert np.abs(stable[1:] - distance[1:]).max() < 1e-4
assert np.all(delta[distance > 40] > 1 - 1e-12)

# %%
# Above, the loss: the naive formula ends before 710, the stable one continues. Below, the delta of
# the class in front, which says how far its raw prediction should decrease: the naive delta ends as
# well, and the delta of ``fastbp`` stays 1.

fig, (above, below) = plt.subplots(2, 1, figsize=(7, 5.6), sharex=True, layout="constrained")
above.plot(distance, stable, color="C0", label="stable: logsumexp(z) - z of the true class")
above.plot(distance, naive, color="C1", lw=6, alpha=0.6, label="naive: -log(softmax(z))")
above.plot(distance, reported, "--", color="C2", label="reported by fastbp: at most 36.04")
above.set(ylabel="loss", title="the loss of one sample")
below.plot(distance, delta, color="C0", label="fastbp")
below.plot(distance, naive_delta, color="C1", lw=6, alpha=0.6, label="naive")
below.set(xlabel="distance d by which the true class is behind", ylabel="delta", ylim=(0, 1.2))
below.set_title("the delta of the class in front")
for ax in (above, below):
    ax.axvline(np.log(np.finfo(float).max), color="0.7", ls=":", zorder=0)
above.legend(loc="upper left")
below.legend(loc="center right")
below.text(720, 0.1, "exp(d) overflows", color="0.4")
plt.show()
