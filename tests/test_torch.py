"""Values and gradients of networks, compared with PyTorch's, and those of formulas.

Each activation, loss and link is tested. `make test-torch` runs this, apart from the other tests,
since PyTorch is large. PyTorch computes in float64 in all tests.
"""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import clone

import oracle
import twins
from fastbp import MLPClassifier, MLPRegressor, check_gradient
from fastbp import graph as fg
from fastbp.graph.expression import ACTIVATION, LOSS, Expression
from fastbp.kernels import core
from fastbp.schedules import Cosine, Exponential, OneCycle, Step
from fastbp.training.factors import Steps
from problems import DTYPES, LOSSES, Problem

torch = pytest.importorskip("torch")
F = torch.nn.functional


def tensor(array):
    return torch.tensor(np.asarray(array), dtype=torch.float64)


def row_losses(loss, z, y):
    name, link = oracle.split(loss)
    y = tensor(oracle.onehot(loss, y, z.shape[1]))
    twin = twins.LOSSES[name]
    return twin.torch(F, z if twin.of_raw else twins.LINKS[link].torch(F, z), y).sum(dim=1)


def objective(coefs, intercepts, activation, row_losses, X, weight, alpha):
    """The objective of a network, and its gradient: weighted mean loss and penalty."""
    coefs, intercepts = (
        [tensor(array).requires_grad_() for array in arrays] for arrays in (coefs, intercepts)
    )
    a = tensor(X)
    for k, (w, b) in enumerate(zip(coefs, intercepts, strict=True)):
        a = a @ w + b
        if k < len(coefs) - 1:
            a = activation(a)
    weight = tensor(weight)
    penalty = alpha / 2 * sum((w**2).sum() for w in coefs)
    value = ((weight * row_losses(a)).sum() + penalty) / weight.sum()
    value.backward()
    return value.item(), [array.grad.numpy() for array in coefs + intercepts]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", core.ACTIVATIONS)
def test_values_and_gradients_of_nets(activation, loss, dtype):
    problem = Problem(activation, loss, dtype, n=60, hidden=(7, 5), seed=1, exact=True)
    value, gradient = problem.loss_gradient()
    expected, grads = objective(
        problem.coefs,
        problem.intercepts,
        partial(twins.ACTIVATIONS[activation].torch, F),
        lambda z: row_losses(loss, z, problem.y),
        problem.X,
        problem.weight,
        problem.alpha,
    )
    tolerance = 1e-12 if dtype == np.float64 else 2e-5
    grads = np.concatenate([array.ravel() for array in grads])
    assert value == pytest.approx(expected, rel=tolerance)
    np.testing.assert_allclose(gradient, grads, rtol=tolerance, atol=tolerance * abs(grads).max())


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("smoothing", [0.1, 0.8])
@pytest.mark.parametrize("loss", ["log_loss", "soft_log_loss", "binary_log_loss"])
def test_smoothed_labels_are_those_of_the_cross_entropy(loss, smoothing, exact):
    """PyTorch smooths classes and shares, but not the labels of its binary cross entropy."""
    problem = Problem("tanh", loss, n=60, hidden=(7, 5), seed=1, smoothing=smoothing, exact=exact)
    y = tensor(oracle.onehot(loss, problem.y, problem.network.units[-1]))

    def smoothed_rows(z):
        if loss == "binary_log_loss":
            both = torch.stack([torch.zeros_like(z), z], dim=2).transpose(1, 2)
            return F.cross_entropy(both, y.long(), reduction="none", label_smoothing=smoothing).sum(
                dim=1
            )
        target = y.argmax(dim=1) if loss == "log_loss" else y
        return F.cross_entropy(z, target, reduction="none", label_smoothing=smoothing)

    value, gradient = problem.loss_gradient()
    expected, grads = objective(
        problem.coefs, problem.intercepts, torch.tanh, smoothed_rows, problem.X, problem.weight,
        problem.alpha,
    )  # fmt: skip
    grads = np.concatenate([array.ravel() for array in grads])
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(gradient, grads, rtol=1e-12, atol=1e-12 * abs(grads).max())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_class_weight_is_that_of_the_cross_entropy():
    rng = np.random.RandomState(0)
    X, y = rng.randn(60, 5), rng.randint(3, size=60)
    weights = {0: 0.3, 1: 1.7, 2: 5.0}
    model = MLPClassifier(
        (8,), activation="tanh", alpha=0, batch_size=20, max_iter=20, shuffle=False,
        class_weight=weights, random_state=0, epsilon=1e-300, tol=0, n_iter_no_change=99,
    )  # fmt: skip
    start = clone(model).set_params(learning_rate_init=1e-300, max_iter=1).fit(X, y)
    layers = [torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)]
    net = torch.nn.Sequential(*layers).double()
    arrays = zip(layers[::2], start.coefs_, start.intercepts_, strict=True)
    for layer, weight, bias in arrays:
        layer.weight.data, layer.bias.data = tensor(weight.T), tensor(bias)
    adam = torch.optim.Adam(net.parameters(), lr=0.001, eps=1e-300)
    loss = torch.nn.CrossEntropyLoss(weight=tensor(list(weights.values())))
    for step in range(60):
        rows = slice(20 * (step % 3), 20 * (step % 3) + 20)
        adam.zero_grad()
        loss(net(tensor(X[rows])), torch.tensor(y[rows])).backward()
        adam.step()
    model.fit(X, y)
    for layer, weight, bias in zip(layers[::2], model.coefs_, model.intercepts_, strict=True):
        np.testing.assert_allclose(layer.weight.detach().T, weight, rtol=0, atol=1e-12)
        np.testing.assert_allclose(layer.bias.detach(), bias, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_several_targets_have_the_sum_of_their_cross_entropies():
    rng = np.random.RandomState(0)
    X = rng.randn(60, 5)
    y = np.column_stack([rng.randint(classes, size=60) for classes in (3, 2, 4)])
    model = MLPClassifier(
        (8,), activation="tanh", alpha=0, batch_size=20, max_iter=20, shuffle=False,
        random_state=0, epsilon=1e-300, tol=0, n_iter_no_change=99,
    )  # fmt: skip
    start = clone(model).set_params(learning_rate_init=1e-300, max_iter=1).fit(X, y)
    layers = [torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 8)]
    net = torch.nn.Sequential(*layers).double()
    for layer, weight, bias in zip(layers[::2], start.coefs_, start.intercepts_, strict=True):
        layer.weight.data, layer.bias.data = tensor(weight.T), tensor(bias)
    adam = torch.optim.Adam(net.parameters(), lr=0.001, eps=1e-300)
    labels = torch.tensor(y)
    for step in range(60):
        rows = slice(20 * (step % 3), 20 * (step % 3) + 20)
        adam.zero_grad()
        first, second, third = net(tensor(X[rows])).split([3, 1, 4], dim=1)
        loss = F.cross_entropy(first, labels[rows, 0]) + F.cross_entropy(third, labels[rows, 2])
        yes = labels[rows, 1].double()
        (loss + F.binary_cross_entropy_with_logits(second[:, 0], yes)).backward()
        adam.step()
    model.fit(X, y)
    for layer, weight, bias in zip(layers[::2], model.coefs_, model.intercepts_, strict=True):
        np.testing.assert_allclose(layer.weight.detach().T, weight, rtol=0, atol=1e-12)
        np.testing.assert_allclose(layer.bias.detach(), bias, rtol=0, atol=1e-12)


@pytest.mark.parametrize("total", [4, 60, 1000])
def test_schedules(total):
    lr = torch.optim.lr_scheduler
    n_steps = 4

    def theirs(make, every=1):
        weight = torch.zeros(1, requires_grad=True)
        optimizer = torch.optim.SGD([weight], lr=1.0)
        scheduler, rates = make(optimizer), []
        for step in range(total):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if (step + 1) % every == 0:
                scheduler.step()
        return rates

    def ours(schedule):
        return np.concatenate(
            [
                schedule(Steps(np.arange(n_steps) + float(n_steps * epoch), total, epoch))
                for epoch in range(total // n_steps)
            ]
        )

    def closed_form(end):  # step by step PyTorch multiplies, and so rounds each time
        weight = torch.zeros(1, requires_grad=True)
        scheduler = lr.CosineAnnealingLR(torch.optim.SGD([weight], lr=1.0), total, eta_min=end)
        for scheduler.last_epoch in range(total):
            yield scheduler._get_closed_form_lr()[0]

    for schedule, rates in (
        (Cosine(), list(closed_form(0.0))),
        (Cosine(end=0.1), list(closed_form(0.1))),
        (OneCycle(), theirs(lambda o: lr.OneCycleLR(o, 1.0, total, cycle_momentum=False))),
        (Exponential(0.9), theirs(lambda o: lr.ExponentialLR(o, 0.9), n_steps)),
        (Step(3, 0.5), theirs(lambda o: lr.StepLR(o, 3, 0.5), n_steps)),
    ):
        np.testing.assert_allclose(ours(schedule), rates, rtol=1e-12, atol=1e-15)


# ---- formulas, written once for both: f is fastbp.graph or TORCH

TORCH = SimpleNamespace(
    **{
        name: getattr(torch, name)
        for name in (
            "exp",
            "expm1",
            "log",
            "log1p",
            "sqrt",
            "sin",
            "cos",
            "sinh",
            "cosh",
            "tanh",
            "sigmoid",
            "erf",
            "relu",
            "abs",
            "sum",
            "mean",
            "where",
        )
    },
    softplus=lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    maximum=lambda x, y: torch.maximum(x, torch.as_tensor(y, dtype=x.dtype)),
    minimum=lambda x, y: torch.minimum(x, torch.as_tensor(y, dtype=x.dtype)),
    clip=torch.clamp,
    logsumexp=lambda x: torch.logsumexp(x, dim=-1),
)
LOSS_FORMULAS = {
    "log_cosh": lambda f, raw, y: f.log(f.cosh(raw - y)),
    "pseudo-Huber": lambda f, raw, y: f.sqrt(1 + (raw - y) ** 2) - 1,
    "distance": lambda f, raw, y: f.sqrt(1e-3 + f.sum((raw - y) ** 2)),
    "Gaussian, with its width": lambda f, raw, y: (
        raw[1] + (raw[0] - y[0]) ** 2 * f.exp(-2 * raw[1]) / 2 + f.mean(raw * y)
    ),
    "cross entropy": lambda f, raw, y: f.logsumexp(raw) - f.sum(raw * y),
    "Cauchy": lambda f, raw, y: f.log1p(((raw - y) / 2) ** 2),
    "Welsch": lambda f, raw, y: -f.expm1(-((raw - y) ** 2)),
    "Tukey": lambda f, raw, y: f.where(
        f.abs(raw - y) < 2, 1 - (1 - (raw - y) ** 2 / 4) ** 3, 1 + 0 * raw
    ),
    "band": lambda f, raw, y: f.maximum(f.abs(raw - y) - 0.2, 0.0) + f.minimum(raw * y, 1.0),
    "softened": lambda f, raw, y: f.softplus(-raw * y) + f.sigmoid(raw) * f.sinh(y / 4) ** 2,
    "powers": lambda f, raw, y: (1 + f.exp(raw)) ** 0.3 / (1 + y * y) ** 1.5 + raw**4 / 8,
    "clipped": lambda f, raw, y: (f.clip(raw, -0.7, 0.9) - y) ** 2 + 0.1 * raw**2,
    "waves": lambda f, raw, y: (
        f.sin(raw) * f.cos(y)
        + f.cos(raw * y)
        + f.tanh(raw) ** 2
        + f.erf(raw - y)
        + f.sinh(raw / 3) ** 2
    ),
}
ACTIVATION_FORMULAS = {
    "swish": lambda f, z: z * f.sigmoid(1.5 * z),
    "snake": lambda f, z: z + f.sin(3 * z) ** 2 / 3,
    "softsign": lambda f, z: z / (1 + f.abs(z)),
    "gelu": lambda f, z: 0.5 * z * (1 + f.erf(z / 2**0.5)),
    "mish": lambda f, z: z * f.tanh(f.softplus(z)),
    "squared relu": lambda f, z: f.relu(z) ** 2,
    "bump": lambda f, z: f.exp(-(z**2)) + f.cosh(z / 4) - f.expm1(z / 5),
    "branches": lambda f, z: f.where(z < 0, f.log1p(z * z), f.clip(z, 0.1, 0.8)),
    "extremes": lambda f, z: f.maximum(f.minimum(z, 0.9 - 0.1 * z), 0.2 * z - 0.3),
    "powers": lambda f, z: f.sqrt(2 + f.cos(z)) * (1 + z * z) ** -0.7,
}


@pytest.mark.parametrize("loss", LOSS_FORMULAS)
@pytest.mark.parametrize("activation", ACTIVATION_FORMULAS)
def test_formulas(activation, loss):
    random = np.random.RandomState(5)
    X, y, weight = random.randn(40, 5), random.randn(40, 3), random.randint(1, 4, 40)
    estimator = MLPRegressor(
        loss=lambda raw, y: LOSS_FORMULAS[loss](fg, raw, y),
        activation=lambda z: ACTIVATION_FORMULAS[activation](fg, z),
        hidden_layer_sizes=(6, 4),
        solver="sgd",
        learning_rate_init=1e-300,
        batch_size=40,
        alpha=0.3,
        init="glorot_uniform",
        random_state=2,
    )
    estimator.partial_fit(X, y, weight)  # at this rate the weights do not change

    def row_losses(raw):
        return torch.stack(
            [
                LOSS_FORMULAS[loss](TORCH, row, target).sum()
                for row, target in zip(raw, tensor(y), strict=True)
            ]
        )

    expected, grads = objective(
        estimator.coefs_,
        estimator.intercepts_,
        lambda z: ACTIVATION_FORMULAS[activation](TORCH, z),
        row_losses,
        X,
        weight,
        0.3,
    )
    check = check_gradient(estimator, X, y, weight)
    assert estimator.loss_ == pytest.approx(expected, rel=1e-12)
    ours = [w for w, _ in check.analytic] + [b for _, b in check.analytic]
    largest = max(abs(array).max() for array in grads)
    for one, other in zip(ours, grads, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12 * largest)


def test_the_formulas_use_every_operation():
    used = set()
    for formulas, inputs in ((LOSS_FORMULAS, LOSS), (ACTIVATION_FORMULAS, ACTIVATION)):
        for formula in formulas.values():
            expression = Expression.trace(lambda *args, f=formula: f(fg, *args), inputs)
            used |= {name for name, _, _ in expression.with_derivative()[0]}
    # Comparisons that are like "less", and a part of logsumexp.
    assert {*core.TAPE_OPERATIONS} - used <= {"less_equal", "equal", "largest"}
    assert "logsumexp" in used


# ---- whole fits, step by step


def torch_steps(model, optimizer, after_backward, n_steps, X, y):
    """Weights and biases after that many steps of PyTorch on all samples, from a model's start."""
    layers = []
    for w, b in zip(*model.init, strict=True):
        layer = torch.nn.Linear(*w.shape).double()
        layer.weight.data, layer.bias.data = tensor(w.T.copy()), tensor(b.copy())
        layers += [layer, torch.nn.Tanh()]
    net = torch.nn.Sequential(*layers[:-1])
    step = optimizer(net)
    for n in range(n_steps):
        step.zero_grad()
        penalty = sum((layer.weight**2).sum() for layer in layers[::2])
        loss = ((net(tensor(X)) - tensor(y)[:, None]) ** 2).mean() / 2
        (loss + model.alpha / 2 * penalty / len(X)).backward()
        after_backward(net, n)
        step.step()
        yield net


def of_net(net):
    weights = [layer.weight.T for layer in net if hasattr(layer, "weight")]
    biases = [layer.bias for layer in net if hasattr(layer, "bias")]
    return [array.detach().numpy().copy() for array in [*weights, *biases]]


STEPS = 60
DATA = np.random.RandomState(3)
X_OF_STEPS, Y_OF_STEPS = DATA.randn(30, 5), DATA.randn(30)
START = (
    [DATA.randn(5, 6) / 3, DATA.randn(6, 4) / 3, DATA.randn(4, 1) / 3],
    [DATA.randn(6) / 9, DATA.randn(4) / 9, DATA.randn(1)],
)


def stepped(**parameters):
    """fastbp's estimator after STEPS steps on all samples."""
    given = dict(activation="tanh", init=START, hidden_layer_sizes=(6, 4), batch_size=30)
    given |= dict(max_iter=STEPS, n_iter_no_change=np.inf, learning_rate_init=0.01)
    return MLPRegressor(**given, **parameters).fit(X_OF_STEPS, Y_OF_STEPS)


def assert_close_to_torch(model, expected, tolerance=1e-12):
    for ours, theirs in zip([*model.coefs_, *model.intercepts_], expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def groups(net, decay):
    """Parameters for PyTorch's optimizers: weights decay, biases do not."""
    return [
        {"params": [p for n, p in net.named_parameters() if "weight" in n], "weight_decay": decay},
        {"params": [p for n, p in net.named_parameters() if "bias" in n], "weight_decay": 0.0},
    ]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_decay_is_that_of_adamw(alpha):
    """PyTorch's epsilon is added elsewhere, so that it has to be too small to count."""
    model = stepped(alpha=alpha, weight_decay=0.5, epsilon=1e-30)
    nets = torch_steps(
        model,
        lambda net: torch.optim.AdamW(groups(net, 0.5), lr=0.01, eps=1e-30),
        lambda net, n: None,
        STEPS,
        X_OF_STEPS,
        Y_OF_STEPS,
    )
    *_, net = nets
    assert_close_to_torch(model, of_net(net))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_the_average_is_that_of_an_averaged_model(decay):
    from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn

    model = stepped(ema_decay=decay, solver="sgd", momentum=0.0, nesterovs_momentum=False)
    averaged = None
    for net in torch_steps(
        model,
        lambda net: torch.optim.SGD(net.parameters(), lr=0.01),
        lambda net, n: None,
        STEPS,
        X_OF_STEPS,
        Y_OF_STEPS,
    ):
        if averaged is None:
            averaged = AveragedModel(net, avg_fn=get_ema_avg_fn(decay))
        averaged.update_parameters(net)
    assert_close_to_torch(model, of_net(averaged.module))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("clip_norm", [0.02, 0.3])
def test_clipping_is_that_of_clip_grad_norm(clip_norm):
    """PyTorch adds 1e-6 to the norm: it is called for the norm alone."""
    norms = []

    def clip(net, n):
        norm = torch.nn.utils.clip_grad_norm_(net.parameters(), np.inf).item()
        norms.append(norm)
        if norm > clip_norm:
            for p in net.parameters():
                p.grad *= clip_norm / norm

    model = stepped(
        clip_norm=clip_norm, solver="sgd", momentum=0.0, nesterovs_momentum=False, alpha=0.7
    )
    *_, net = torch_steps(
        model,
        lambda net: torch.optim.SGD(net.parameters(), lr=0.01),
        clip,
        STEPS,
        X_OF_STEPS,
        Y_OF_STEPS,
    )
    assert any(norm > clip_norm for norm in norms)
    assert_close_to_torch(model, of_net(net))
