"""PyTorch at its best: fused optimizers, tensors in memory, one order for each epoch."""

import numpy as np
import torch
import workloads as w
from torch import nn
from torch.nn import functional

from peers import calls, done, now

ACTIVATIONS = {"relu": nn.ReLU, "logistic": nn.Sigmoid, "tanh": nn.Tanh}
LOSSES = {
    "multinomial": functional.cross_entropy,
    "logistic": lambda raw, y: functional.binary_cross_entropy_with_logits(raw[:, 0], y),
    "squared": lambda raw, y: 0.5 * functional.mse_loss(raw[:, 0], y),
}


def network(workload, layers):
    modules = []
    for W, b in layers:
        modules += [nn.Linear(*W.shape), ACTIVATIONS[workload.activation]()]
        modules[-2].weight = nn.Parameter(torch.from_numpy(W.T.copy()))
        modules[-2].bias = nn.Parameter(torch.from_numpy(b))
    return nn.Sequential(*modules[:-1])


def optimizer_of(workload, model):
    # L2 applies to the biases too: one group of parameters is faster than two.
    more = {"lr": w.RATE, "weight_decay": w.ALPHA / workload.batch, "fused": True}
    if workload.solver == "adam":
        return torch.optim.Adam(
            model.parameters(), betas=(w.BETA_1, w.BETA_2), eps=w.EPSILON, **more
        )
    return torch.optim.SGD(model.parameters(), momentum=w.MOMENTUM, nesterov=True, **more)


def prepare(workload, X, y, way):
    if workload.timed == w.PREDICT:
        return predict(workload, X)
    n, loss_of = len(X), LOSSES[workload.loss]
    dtype = X.dtype
    y = y.astype(np.int64 if workload.loss == "multinomial" else dtype)
    X, y = torch.from_numpy(X), torch.from_numpy(y)

    def turn():
        random = np.random.RandomState(0)
        model = network(workload, w.initial(workload, random, dtype))
        optimizer = optimizer_of(workload, model)
        order, times = np.arange(n), []
        for _ in range(workload.epochs):
            begin = now()
            random.shuffle(order)
            total = torch.zeros((), dtype=X.dtype)
            for rows in torch.from_numpy(order).split(workload.batch):
                optimizer.zero_grad()
                loss = loss_of(model(X[rows]), y[rows])
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(rows)
            result = float(total) / n
            times.append((now() - begin) / workload.steps)
        return done(times, result)

    return turn


def predict(workload, X):
    model = network(workload, w.initial(workload, np.random.RandomState(0), X.dtype))
    model.append(nn.Softmax(dim=1)).eval()

    def predict_proba(X):
        with torch.inference_mode():
            return model(torch.from_numpy(X)).numpy()

    return calls(predict_proba, X[: workload.rows])
