"""Elementary functions and the reciprocal: exact to a few ULP, the same wherever they stand.

A sample; `make exhaustive` measures every float32 at every level.
"""

import numpy as np
import pytest
from exhaustive import (
    BOUNDS,
    EXACT,
    WIDER,
    exact_value,
    levels,
    measured,
    sample,
    ulps,
    value,
)

from fastbp.kernels import core
from problems import DTYPES, LOSSES, Problem, row_losses, rule_of

over_dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)
over_names = pytest.mark.parametrize("name", EXACT)


def wider(dtype):
    """The type of exact values. The test is skipped where none is wider, as on Windows."""
    wide = WIDER[np.dtype(dtype)]
    if np.finfo(wide).nmant < np.finfo(dtype).nmant + 8:
        pytest.skip("no wider arithmetic here")
    return wide


@over_names
@over_dtypes
def test_results_are_within_the_bound(name, dtype):
    wider(dtype)
    x = measured(name, sample(dtype, 200_000))
    with np.errstate(all="ignore"):
        distance = ulps(value(core, name, x), exact_value(name, x))
    at = distance.argmax()
    assert distance[at] <= BOUNDS[name], (distance[at], x[at])


@over_dtypes
def test_the_reciprocal_is_within_1_ulp(dtype):
    x = abs(sample(dtype, 200_000))
    x = x[(x >= np.finfo(dtype).tiny) | np.isnan(x)]
    with np.errstate(all="ignore"):
        exact = 1 / x.astype(wider(dtype))
        assert ulps(value(core, "reciprocal", x), exact).max() <= 1


@over_names
@over_dtypes
def test_the_tail_of_an_array_is_computed_like_its_body(name, dtype):
    """Unaligned, of any length, alone: the same bits."""
    x = sample(dtype, 400)
    whole = value(core, name, x)
    alone = np.concatenate([value(core, name, x[i : i + 1]) for i in range(x.size)])
    np.testing.assert_array_equal(alone, whole)
    for n in (3, 7, 31, 129):
        part = x.copy()[1 : n + 1]
        core.kernel_elementary(name, part)
        np.testing.assert_array_equal(part, whole[1 : n + 1])


@pytest.mark.skipif(core.DEBUG or not {"v3", "v4"} <= set(levels()), reason="no v3 and v4 here")
@pytest.mark.parametrize("name", [*EXACT, "reciprocal"])
@over_dtypes
def test_v3_and_v4_give_the_same_bits(name, dtype):
    x = sample(dtype, 50_000)
    x = abs(x[abs(x) >= np.finfo(dtype).tiny]) if name == "reciprocal" else x
    v3, v4 = (value(levels()[level], name, x).view(np.uint8) for level in ("v3", "v4"))
    np.testing.assert_array_equal(v3, v4)


@pytest.mark.skipif(core.DEBUG or not {"v3", "v4"} <= set(levels()), reason="no v3 and v4 here")
@pytest.mark.parametrize("name", core.ACTIVATIONS)
@over_dtypes
def test_v3_and_v4_activate_alike(name, dtype):
    z = sample(dtype, 5_000)
    found = []
    for level in ("v3", "v4"):
        core = levels()[level]
        a, s, delta = z.copy(), np.zeros_like(z), np.linspace(-2, 2, z.size).astype(dtype)
        core.kernel_activate(core.ACTIVATIONS[name], a, s)
        core.kernel_activate_gradient(core.ACTIVATIONS[name], delta, a, s)
        found.append(np.concatenate([a, s, delta]).view(np.uint8))
    np.testing.assert_array_equal(*found)


@pytest.mark.skipif(core.DEBUG or not {"v3", "v4"} <= set(levels()), reason="no v3 and v4 here")
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("outputs", [1, 3, 20])
@over_dtypes
def test_v3_and_v4_agree_in_losses_and_deltas(loss, outputs, dtype):
    problem = Problem(loss=loss, dtype=dtype, n=500, outputs=outputs)
    z = (np.random.RandomState(0).randn(500, problem.network.units[-1]) * 9).astype(dtype)
    z[::50], z[1::50], z[2::50] = np.inf, -np.inf, np.nan
    (rows, delta), (rows_v4, delta_v4) = (
        row_losses(loss, z, problem.y, core=levels()[level]) for level in ("v3", "v4")
    )
    np.testing.assert_array_equal(rows.view(np.uint8), rows_v4.view(np.uint8))
    np.testing.assert_array_equal(delta.view(np.uint8), delta_v4.view(np.uint8))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("outputs", [1, 10, 50])
@over_dtypes
def test_a_row_has_its_loss_whatever_rows_are_beside_it(loss, outputs, dtype):
    """The same bits in any block of rows, and a NaN stays in its row."""
    problem = Problem(loss=loss, dtype=dtype, n=21, outputs=outputs)
    z = np.random.RandomState(0).randn(21, problem.network.units[-1]).astype(dtype) * 5
    z[4, -1] = np.nan

    def computed(rows):
        p = z[rows].copy()
        core.kernel_link(problem.objective.link, p, problem.objective.parameters)
        return *row_losses(loss, z[rows], problem.y[rows]), p

    whole = computed(slice(None))
    for rows in (slice(0, 1), slice(3, 5), slice(5, 21)):
        for ours, theirs in zip(computed(rows), whole, strict=True):
            np.testing.assert_array_equal(ours, theirs[rows])
    for result in whole:
        assert np.isnan(result[4]).any() and not np.isnan(np.delete(result, 4, axis=0)).any()


@over_dtypes
def test_an_adam_update_is_within_3_ulp(dtype):
    """Of rate m / (sqrt(v) + eps), with the m and v that the step leaves behind."""
    rng = np.random.RandomState(0)
    n, wide = 20_001, WIDER[np.dtype(dtype)]
    dw = (np.exp(rng.uniform(-30, 30, n)) * rng.choice([-1, 1], n)).astype(dtype)
    dw[:6] = 0, 1e-20, 1e25, np.inf, np.nan, -1e-30  # float: v = 0, denormal, inf, inf, NaN, 0
    w, state = np.zeros(n, dtype), np.zeros((2, n), dtype)
    rule = rule_of("adam")
    with np.errstate(all="ignore"):
        core.kernel_step(w, dw, state, rule, 0.01, 0.0, 1.0)
        m, v = state.astype(wide)
        update = wide(dtype(0.01)) * m / (np.sqrt(v) + wide(dtype(rule["epsilon"])))
        if dtype == np.float32:
            assert w[2] == 0 and state[1, 2] == np.inf
        assert np.isnan(w[[3, 4]]).all()
        usual = np.isfinite(update)
        assert ulps(w[usual], 0 - update[usual]).max() <= 3


@over_dtypes
def test_mish_is_within_4_ulp_and_its_slope_within_2_eps(dtype):
    z = sample(dtype, 50_000)
    a, slopes, wide = z.copy(), np.empty_like(z), wider(dtype)
    core.kernel_activate(core.ACTIVATIONS["mish"], a, slopes)
    usual = (z > np.log(np.finfo(dtype).tiny)) & (z != 0) & (z <= np.finfo(dtype).max)
    x = z[usual].astype(wide)
    e = np.exp(np.minimum(x, 50))
    t = np.where(x < 50, e * (e + 2) / (e * (e + 2) + 2), 1)
    rest = np.where(x < 50, 2 / (e * (e + 2) + 2), 0)
    normal = abs(x * t) >= np.finfo(dtype).tiny
    assert ulps(a[usual][normal], (x * t)[normal]).max() <= 4
    expected = t + np.minimum(x, 50) * e * (e + 1) * rest**2
    assert abs(slopes[usual] - expected).max() <= 2 * np.finfo(dtype).eps
    assert (a[z > 40] == z[z > 40]).all() and (slopes[z > 40] == 1).all()
    assert np.isnan(a[np.isnan(z)]).all() and np.isnan(slopes[np.isnan(z)]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_is_finite_finds_each_odd_number_at_each_place(dtype):
    """NaN of any bits and infinity; neither the largest number, the smallest, nor -0."""
    info = np.finfo(dtype)
    odd = np.array([np.inf, -np.inf, np.nan, -np.nan, np.inf], dtype)
    odd[-1:].view(f"u{info.bits // 8}")[:] += 1  # a NaN of the last bit alone
    assert not np.isfinite(odd).any()
    numbers = np.array([info.max, -info.max, 0, -0.0, info.smallest_subnormal, -1], dtype)
    for n in (1, 2, 7, 8, 31, 33, 70):
        x = np.resize(numbers, n)
        assert core.is_finite(x)
        for i in range(n):
            kept = x[i]
            for j in range(len(odd)):
                x[i : i + 1] = odd[j : j + 1]
                assert not core.is_finite(x)
            x[i] = kept
