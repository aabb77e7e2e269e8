"""Prediction from parameters that do not lie in one arena."""

import threading

import numpy as np
import pytest

from fastbp.graph.expression import ACTIVATION, Expression
from fastbp.kernels import backend, core, is_core_float
from fastbp.network import Network
from problems import DTYPES, Problem
from twins import widths

over_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def widths_of(network):
    return widths(network.units[-1]).astype(float)


def predicted(network, x, n, link="identity"):
    out = np.full((n, network.units[-1]), np.nan, network.params.dtype)
    finite = network.predict(x, link, out, widths_of(network))
    return out, finite


def from_arrays(network, coefs, intercepts, x, n, link="identity"):
    out = np.full((n, network.units[-1]), np.nan, network.params.dtype)
    scratch = network.scratch(n, 1, "predict_arrays")
    arrays = tuple(coefs), tuple(intercepts)
    code, of_targets = core.LINKS[link], widths_of(network)
    finite = core.predict_arrays(network.program, *arrays, scratch, x, out, code, of_targets)
    return out, finite


def elsewhere(arrays):
    """Copies that lie apart, in memory that cannot be written."""
    copies = [np.array(array) for array in arrays]
    for copy in copies:
        copy.flags.writeable = False
    return copies


@over_dtypes
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("link", core.LINKS)
@pytest.mark.parametrize("hidden", [(), (7,), (40, 3, 90), (2,) * 30], ids=str)
def test_arrays_give_the_bits_of_the_arena(hidden, link, sparse, dtype):
    problem = Problem("tanh", dtype=dtype, n=300, hidden=hidden, sparse=sparse)
    network = problem.network
    expected, finite = predicted(network, problem.x, 300, link)
    for coefs, intercepts in (
        (network.coefs, network.intercepts),
        (elsewhere(network.coefs), elsewhere(network.intercepts)),
        (elsewhere(network.coefs), network.intercepts),
    ):
        out, also_finite = from_arrays(network, coefs, intercepts, problem.x, 300, link)
        np.testing.assert_array_equal(out, expected)
        assert also_finite is finite is True


@over_dtypes
@pytest.mark.parametrize("n", [1, 2, 7, 130, 600])
@pytest.mark.parametrize("hidden", [(), (1,), (7,), (40, 3, 90), (300, 17)], ids=str)
def test_weights_may_lie_by_columns(hidden, n, dtype):
    """On the tiles the order of the sums is the same."""
    problem = Problem("tanh", dtype=dtype, n=n, hidden=hidden, features=70)
    network = problem.network
    expected, _ = predicted(network, problem.x, n)
    tolerance = 0 if backend == "native" else 50 * np.finfo(dtype).eps
    for which in (range(len(hidden) + 1), [0], [len(hidden)]):
        coefs = [
            np.asfortranarray(weight) if layer in which else weight
            for layer, weight in enumerate(network.coefs)
        ]
        out, _ = from_arrays(network, coefs, network.intercepts, problem.x, n)
        np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)


def test_weights_by_columns_cannot_be_those_of_csr_rows():
    problem = Problem("tanh", sparse=True)
    network = problem.network
    with pytest.raises(ValueError, match=r"coefs\[0\] lies by columns, which CSR rows cannot use"):
        coefs = [np.asfortranarray(network.coefs[0]), *network.coefs[1:]]
        from_arrays(network, coefs, network.intercepts, problem.x, problem.n)
    coefs = [network.coefs[0], *map(np.asfortranarray, network.coefs[1:])]
    out, _ = from_arrays(network, coefs, network.intercepts, problem.x, problem.n)
    expected, _ = predicted(network, problem.x, problem.n)
    np.testing.assert_allclose(out, expected, rtol=1e-14, atol=1e-14)


@over_dtypes
def test_arrays_are_read_at_each_call_and_where_they_lie(dtype):
    """Columns of a file, an array with a base, one memory for two layers."""
    network = Network([4, 4, 4], "relu", dtype)
    both = np.random.RandomState(0).randn(16).astype(dtype).reshape(4, 4)
    x = np.random.RandomState(1).randn(2, 4).astype(dtype)
    bias = np.zeros(4, dtype)
    for _ in range(2):
        out, _ = from_arrays(network, [both, both], [both[1], bias], x, 2)
        first = np.maximum(x @ both + both[1], 0)
        np.testing.assert_allclose(out, first @ both + bias, rtol=1e-5, atol=1e-5)
        both *= -1


def test_functions_and_values_that_are_not_finite():
    network = Network([3, 5, 2], Expression.trace(lambda z: z * 2, ACTIVATION), np.float64)
    network.initialize(np.random.RandomState(0))
    x = np.ones((2, 3))
    assert from_arrays(network, network.coefs, network.intercepts, x, 2)[1] is True
    x[1, 2] = np.inf
    ours = from_arrays(network, elsewhere(network.coefs), elsewhere(network.intercepts), x, 2)
    theirs = predicted(network, x, 2)
    np.testing.assert_array_equal(ours[0], theirs[0])
    assert ours[1] is theirs[1] is False


def test_arrays_that_do_not_fit_the_plan_are_refused():
    problem = Problem("tanh", dtype=np.float64, outputs=2)
    network, x, n = problem.network, problem.x, problem.n
    coefs, intercepts = tuple(network.coefs), tuple(network.intercepts)

    def changed(arrays, layer, array):
        return (*arrays[:layer], array, *arrays[layer + 1 :])

    unaligned = np.empty(5 * 4 * 8 + 1, np.uint8)[1:].view(np.float64).reshape(5, 4)
    for layer, wrong in [
        (0, coefs[0][:-1].copy()),
        (0, coefs[0].T.copy()),
        (1, coefs[1].ravel()),
        (1, coefs[1].astype(np.float32)),
        (1, coefs[1].astype(">f8")),
        (1, coefs[1].astype(np.int64)),
        (1, coefs[1][None]),
        (1, np.zeros((5, 4), "f8,f8")["f0"].copy().view("V8")),
        (1, np.zeros((5, 4), [("a", "f8")])),
        (1, unaligned),
        (2, np.zeros((4, 0))),
        (2, np.float64(1)),
    ]:
        with pytest.raises(ValueError, match=rf"coefs\[{layer}\] is not an aligned float64 array"):
            from_arrays(network, changed(coefs, layer, wrong), intercepts, x, n)
    for wrong in (np.zeros(4), np.zeros((5, 1)), np.zeros((1, 5)), np.zeros(5, np.float32)):
        with pytest.raises(ValueError, match=r"intercepts\[0\] .* float64 array of shape \(5,\)"):
            from_arrays(network, coefs, changed(intercepts, 0, wrong), x, n)
    with pytest.raises(ValueError, match="not contiguous"):
        from_arrays(network, changed(coefs, 1, np.repeat(coefs[1], 2, 1)[:, ::2]), intercepts, x, n)
    for wrong in (None, [[1.0]], "weights"):
        with pytest.raises(TypeError, match="bytes-like"):
            from_arrays(network, changed(coefs, 1, wrong), intercepts, x, n)
    for wrong in (coefs[:-1], (*coefs, coefs[0]), ()):
        with pytest.raises(ValueError, match=f"3 layers, got {len(wrong)} arrays of weights"):
            from_arrays(network, wrong, intercepts, x, n)
    with pytest.raises(ValueError, match="3 layers, got 3 arrays of weights and 2 of biases"):
        from_arrays(network, coefs, intercepts[1:], x, n)
    out, scratch = np.empty((n, 2)), network.scratch(n, 1, "predict_arrays")
    for lists in ((list(coefs), intercepts), (coefs, list(intercepts))):
        # Another thread could take an array out of a list while the core reads it.
        with pytest.raises(TypeError, match="tuple"):
            core.predict_arrays(network.program, *lists, scratch, x, out, 0)
    with pytest.raises(ValueError, match="numbers of scratch"):
        core.predict_arrays(network.program, coefs, intercepts, scratch[:3].copy(), x, out, 0)
    with pytest.raises(ValueError, match="output does not fit"):
        core.predict_arrays(network.program, coefs, intercepts, scratch, x, out[:-1].copy(), 0)
    with pytest.raises(ValueError, match="no link has the code"):
        core.predict_arrays(network.program, coefs, intercepts, scratch, x, out, -1)


def test_the_plan_is_left_as_it_was():
    problem = Problem("tanh")
    network, before = problem.network, problem.network.plan.copy()
    threads = [
        threading.Thread(
            target=from_arrays,
            args=(
                network,
                elsewhere(network.coefs),
                elsewhere(network.intercepts),
                problem.x,
                problem.n,
            ),
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (network.plan == before).all()
    expected = predicted(network, problem.x, problem.n)[0]
    ours = from_arrays(network, network.coefs, network.intercepts, problem.x, problem.n)[0]
    np.testing.assert_array_equal(ours, expected)


def test_dtypes_of_the_core():
    """A long double is none, not even where it is equal to float64."""
    assert [char for char in np.typecodes["All"] if is_core_float(np.dtype(char))] == ["f", "d"]
    assert not is_core_float(np.dtype(float).newbyteorder())
