"""The network: plan and arena, copies, given weights, pickles."""

import pickle

import numpy as np
import pytest
import scipy.sparse

from fastbp import graph as fg
from fastbp.graph.expression import LOSS, Expression
from fastbp.kernels import Program, core
from fastbp.network import Network, count_params, make_plan
from ids import plain


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


@pytest.mark.parametrize("activation", ["tanh", lambda z: z * fg.sigmoid(z), ["relu"]], ids=plain)
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
    assert network.dtype_for(np.float32) == network.dtype_for(np.float64) == np.float64
    assert single.dtype_for(np.float32) == np.float32 and single.dtype_for(np.float64) == np.float64


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


@pytest.mark.parametrize("name", ["coefs_", "intercepts_"])
@pytest.mark.parametrize(
    "wrong, message",
    [
        (None, r"_\[1\] must be an array of real numbers, got NoneType of dtype object"),
        (np.full((3, 1), None), r"_\[1\] must be .* got ndarray of dtype object"),
        ([["1"], ["2"], ["3"]], r"_\[1\] must be .* got list of dtype <U1"),
        (np.full((3, 1), b"1"), r"_\[1\] must be .* got ndarray of dtype .S1"),
        (np.full((3, 1), 1.0, object), r"_\[1\] must be .* got ndarray of dtype object"),
        (np.ones((3, 1)) * 1j, r"_\[1\] must be .* got ndarray of dtype complex128"),
        (np.zeros((3, 1), "M8[s]"), r"_\[1\] must be .* got ndarray of dtype datetime64"),
        (np.zeros((3, 1), "m8[s]"), r"_\[1\] must be .* got ndarray of dtype timedelta64"),
        (np.zeros((3, 1), "f8,f8"), r"_\[1\] must be .* got ndarray of dtype"),
        (scipy.sparse.csr_array(np.ones((3, 1))), r"_\[1\] must be .* got csr_array"),
        ([[10**400], [1], [1]], r"_\[1\] must be .* got list of dtype object"),
        ([[1.0], [1.0, 2.0], [1.0]], r"_\[1\] must be an array of real numbers"),
        ("12", r"_\[1\] must be .* got str"),
    ],
    ids=str,
)
def test_weights_that_are_not_real_numbers_are_refused(name, wrong, message):
    lists = {"coefs_": [np.ones((2, 3)), np.ones((3, 1))], "intercepts_": [np.ones(3), np.ones(1)]}
    lists[name][1] = wrong
    with pytest.raises(ValueError, match=name[:-1] + message):
        Network.from_arrays(*lists.values(), "relu")


@pytest.mark.parametrize("wrong", [None, 1.0, np.float64(3), "12", object()], ids=plain)
def test_lists_of_weights_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match=r"^coefs_(\[0\])? must be"):
        Network.from_arrays(wrong, [np.ones(1)], "relu")
    with pytest.raises(ValueError, match=r"^intercepts_(\[0\])? must be"):
        Network.from_arrays([np.ones((2, 1))], wrong, "relu")


@pytest.mark.parametrize("kind", ["?", "i1", "u4", "f2", "f4", "f8", ">f8", "g", list])
def test_weights_of_any_real_numbers_are_taken(kind):
    weight, bias = np.array([[1, 0], [1, 1]]), np.array([1, 0])
    if kind is list:
        network = Network.from_arrays((weight.tolist(),), iter([bias.tolist()]), "relu")
    else:
        network = Network.from_arrays([weight.astype(kind)], [bias.astype(kind)], "relu")
    assert network.params.dtype == (np.float32 if kind == "f4" else np.float64)
    np.testing.assert_array_equal(network.params, [1, 0, 1, 1, 1, 0])


SQUARE = Expression.trace(lambda raw, y: (raw - y) ** 2, LOSS)
PARAMS = np.arange(32.0)  # of the widths 3, 5, 2


@pytest.mark.parametrize(
    "field, wrong, message",
    [
        ("units", None, "units must be a tuple of two widths"),
        ("units", [3, 5, 2], "units must be a tuple of two widths"),
        ("units", (3,), "units must be a tuple of two widths"),
        ("units", (3, "5", 2), "units must be a tuple of two widths"),
        ("units", (3, 5.0, 2), "units must be a tuple of two widths"),
        ("units", (3, 0, 2), "units must be a tuple of two widths"),
        ("units", (3, -5, 2), "units must be a tuple of two widths"),
        ("units", (3, 2), "activation has 1 entries"),
        ("units", (3, 5, 3), "params must be an array of 38 numbers"),
        ("units", (3, 10**12, 2), r"params must be an array of \d+ numbers"),
        ("activations", None, "activations must be a list, got None"),
        ("activations", "relu", "activations must be a list, got 'relu'"),
        ("activations", ["relux"], r"activation\[0\] must be .* got 'relux'"),
        ("activations", [None], r"activation\[0\] must be .* got None"),
        ("activations", [["relu"]], r"activation\[0\] must be"),
        ("activations", [7], r"activation\[0\] must be"),
        ("activations", [], "activation has 0 entries"),
        ("activations", [SQUARE], r"expression of \(z\) is wanted"),
        ("params", None, "params must be .* got None"),
        ("params", [0.0] * 32, "params must be .* got "),
        ("params", PARAMS[:31], r"params must be .* got float64 of shape \(31,\)"),
        ("params", PARAMS.reshape(1, 32), r"params must be .* got float64 of shape \(1, 32\)"),
        ("params", PARAMS.astype(int), r"params must be .* got int64"),
        ("params", PARAMS.astype("f2"), r"params must be .* got float16"),
        ("params", PARAMS.astype(str), r"params must be .* got <U"),
        ("params", PARAMS.astype(object), r"params must be .* got object"),
        ("params", PARAMS * 1j, r"params must be .* got complex128"),
        ("more", 1, "the state of a Network is a dict of units, activations and params"),
    ],
)
def test_a_damaged_state_is_refused(field, wrong, message):
    state = {"units": (3, 5, 2), "activations": ["tanh"], "params": PARAMS}
    network = object.__new__(Network)
    network.__setstate__(state)
    np.testing.assert_array_equal(network.params, PARAMS)
    with pytest.raises(ValueError, match=message):
        object.__new__(Network).__setstate__({**state, field: wrong})


@pytest.mark.parametrize("state", [None, {}, {"units": (1, 1)}, (None, {}), "relu"], ids=str)
def test_a_state_without_its_fields_is_refused(state):
    with pytest.raises(ValueError, match="the state of a Network is a dict of units"):
        object.__new__(Network).__setstate__(state)
