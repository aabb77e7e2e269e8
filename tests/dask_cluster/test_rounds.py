"""A round has few tasks, and sends the model once where that matters."""

import numpy as np
import pytest

pytest.importorskip("distributed")

from fastbp.dask import cluster
from fastbp.dask.gradient import ExactGradient
from fastbp.dask.local_steps import Local, LocalSteps, Model, Plan, mean_of, order_of
from fastbp.network import Network
from fastbp.training import Course, Job, Objective, Optimizer, Outline, Rule, Schedule


def job_of(n_samples, widths=(5, 7, 3)):
    network, random_state = Network(widths, "relu", np.float32), np.random.RandomState(0)
    network.initialize(random_state)
    course = Course(network, random_state, n_samples)
    outline = Outline(n_samples, np.dtype(np.float32))
    return Job(outline, Objective("log_loss", "softmax"), course, batch_size=200)


@pytest.mark.parametrize("n_parts", [1, 2, 4, 5, 17, 64])
def test_an_evaluation_has_few_tasks(n_parts):
    gradient = ExactGradient(None, job_of(1024 * n_parts), [(k, k) for k in range(n_parts)], str)
    graph, keys = gradient.graph()
    assert len(graph) <= n_parts + n_parts / 3 + 2
    assert 1 <= len(keys) <= 4 and all(key in graph for key in keys)


@pytest.mark.parametrize("n_shards", [1, 2, 8, 40])
def test_a_round_of_steps_has_few_tasks_and_one_model(n_shards):
    job = job_of(1024 * n_shards)
    rule, schedule = Rule("sgd", {"momentum": 0.9}), Schedule("constant", 0.1)
    job.course.optimizer = Optimizer.start(rule, schedule, job.network.units, np.float32)
    job.course.begin_run()
    shards = [(1024, k) for k in range(n_shards)]
    steps = LocalSteps(None, job, job.course.optimizer, shards, Plan(0, 3, True), str)
    graph, keys = steps._graph(0, np.full((1, 1), 0.1))
    assert len(graph) <= n_shards + n_shards / 3 + 2
    assert 1 <= len(keys) <= 4
    models = [task for task in graph.values() if getattr(task[0], "func", None) is Model]
    assert len(models) == 1


def test_little_is_sent_with_each_task_and_much_once():
    graph = {}
    little = cluster.shared(graph, np.zeros(10), 4)
    assert isinstance(little, np.ndarray) and not graph
    key = cluster.shared(graph, np.zeros(2**17), 4)
    assert list(graph) == [key]


# ---- local steps alone


def local_of(value, n_samples, steps=3.0):
    params = np.full(4, value, np.float32)
    return Local(Model(params, params[None] * 2, steps), 1.0 * n_samples, float(n_samples))


def test_the_mean_is_weighted_and_keeps_what_is_equal():
    mean = mean_of(local_of(1, 300, 3.0), local_of(4, 100, 1.0), local_of(9, 0))
    np.testing.assert_allclose(mean.model.params, 1.75)
    np.testing.assert_allclose(mean.model.state, 3.5)
    assert mean.n_samples == 400 == mean.loss and mean.model.steps == 3
    third = np.float32(1 / 3)
    mean = mean_of(*(local_of(third, n) for n in (7, 11, 13)))
    assert (mean.model.params == third).all()


def test_orders_depend_on_seed_shard_and_epoch_alone():
    orders = {seed: order_of(seed, 50) for seed in [(1, 0, 0), (1, 1, 0), (1, 0, 1), (2, 0, 0)]}
    assert len({order.tobytes() for order in orders.values()}) == 4
    for seed, order in orders.items():
        assert sorted(order) == list(range(50))
        assert (order_of(seed, 50) == order).all()
    assert (order_of(None, 5) == np.arange(5)).all()
    # A stream that all versions of NumPy have: else models would change with it.
    assert order_of((1, 2, 3), 6).tolist() == [0, 3, 1, 5, 2, 4]
