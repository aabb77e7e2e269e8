"""The network: plan and arena, copies, given weights, pickles."""

import pickle

import numpy as np
import pytest

from fastbp import graph as fg
from fastbp.kernels import Program, core
from fastbp.network import Network, count_params, make_plan


@pytest.mark.parametrize("hidden", [(), (1,), (7, 3, 5)])
def test_law_6_offsets_tile_the_arena(hidden):
    units = [4, *hidden, 2]
    plan = make_plan(units, [core.ACTIVATIONS["relu"]] * len(hidden))
    network = Network(units, "relu", np.float64)
    owner = np.zeros(network.params.size, int)
    for layer in plan:
        owner[layer["weight"] : layer["weight"] + layer["fan_in"] * layer["fan_out"]] += 1
        owner[layer["bias"] : layer["bias"] + layer["fan_out"]] += 1
    assert (owner == 1).all()
    network.params[:] = np.arange(network.params.size)
    seen = np.concatenate([a.ravel() for a in network.coefs + network.intercepts])
    np.testing.assert_array_equal(np.sort(seen), network.params)
    assert all(np.shares_memory(a, network.params) for a in network.coefs + network.intercepts)
    np.testing.assert_array_equal(plan["output"], np.cumsum([0, *units[1:-1]]))


def some_network(activation="tanh", dtype=np.float64):
    network = Network((3, 5, 2), activation, dtype)
    network.initialize(np.random.RandomState(0))
    return network


@pytest.mark.parametrize("activation", ["tanh", lambda z: z * fg.sigmoid(z), ["relu"]], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_pickled_network_is_the_same(activation, dtype):
    network = some_network(activation, dtype)
    again = pickle.loads(pickle.dumps(network))
    np.testing.assert_array_equal(again.params, network.params)
    assert again.params.dtype == dtype and again.activations == network.activations
    assert all(np.shares_memory(w, again.params) for w in again.coefs + again.intercepts)
    x, outs = np.ones((4, 3), dtype), [np.empty((4, 2), dtype) for _ in range(2)]
    for one, out in zip((network, again), outs, strict=True):
        one.predict(x, "identity", out)
    np.testing.assert_array_equal(*outs)


def test_a_copy_has_an_arena_of_its_own():
    network = some_network()
    copy, single = network.copy(), network.astype(np.float32)
    network.params[:] = 0
    assert copy.params.any() and single.params.dtype == np.float32
    np.testing.assert_allclose(single.params, copy.params, rtol=1e-6)
    assert network.for_rows_of(np.float32) is network
    assert single.for_rows_of(np.float64).params.dtype == np.float64


def test_an_activation_by_name_needs_no_tape_and_a_function_has_one():
    assert not isinstance(some_network().program, Program)
    network = Network((3, 4, 4, 1), lambda z: fg.tanh(z) * 2, np.float64)
    assert isinstance(network.program, Program) and len(network.tapes) == 1  # one for both layers
    program, code = some_network().with_loss("log_loss")
    assert program is not None and code == core.LOSSES["log_loss"]


@pytest.mark.parametrize(
    "coefs, intercepts, message",
    [
        ([], [], "one layer at least"),
        ([np.ones((2, 0))], [np.ones(0)], "one layer at least"),
        ([np.ones((2, 3)), np.ones((2, 1))], [np.ones(3), np.ones(1)], "do not fit each other"),
        ([np.ones((2, 3))], [np.ones(2)], "do not fit each other"),
        ([np.ones((2, 1)) * 1j], [np.ones(1)], "must be real numbers"),
    ],
)
def test_weights_that_make_no_network_are_refused(coefs, intercepts, message):
    with pytest.raises(ValueError, match=message):
        Network.from_arrays(coefs, intercepts, "relu")


def test_given_weights_are_copied():
    coefs, intercepts = [np.ones((2, 3), "f4"), np.ones((3, 1), "f4")], [np.ones(3), np.ones(1)]
    network = Network.from_arrays(coefs, intercepts, "relu")
    assert network.params.dtype == np.float64 and network.params.size == count_params((2, 3, 1))
    network.params[:] = 7
    assert (coefs[0] == 1).all() and (intercepts[0] == 1).all()
