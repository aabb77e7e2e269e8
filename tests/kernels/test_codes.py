"""The kernel of tables: scaled, clipped and coded numbers beside a plain NumPy oracle."""

import numpy as np
import pytest

from fastbp.kernels import core, load_core, runnable_levels

DTYPES = [np.float32, np.float64]


def oracle(x, columns, counts, bins, marked):
    """What `code_numbers` writes, in float64."""
    unit, median, scale = columns
    with np.errstate(all="ignore"):
        u = (x * unit - median) / scale
        u = np.where(np.isnan(u), 0, u)
        z = np.where(np.abs(u) > 1e150, np.sign(u) * 3, u / np.sqrt(1 + (u / 3) ** 2))
        repeated = np.repeat(z, counts, axis=1)
        codes = np.clip((repeated - bins[0]) / bins[1], 0, 1)
    return np.hstack([np.clip(z, -3, 3), codes, np.isnan(x[:, marked])])


def case(seed=0, rows=50, n=5):
    """Rows with missing, huge and tiny numbers, and tables with columns without bins."""
    random = np.random.RandomState(seed)
    x = random.randn(rows, n) * 10.0 ** random.randint(-3, 4, n)
    x[random.rand(rows, n) < 0.1] = np.nan
    x[0], x[1], x[2] = 1e308, -1e308, 5e-324
    columns = np.array([np.ones(n), random.randn(n), random.uniform(0.1, 2, n)])
    columns[:, 1] = 0.25, 0.0, np.inf  # a constant column of huge numbers
    counts = np.array([3, 0, 1, 16, 2][:n], np.intp)
    edges = [np.sort(random.uniform(-2, 2, count + 1)) for count in counts]
    bins = np.array(
        [
            np.concatenate([one[:-1] for one in edges]),
            np.concatenate([np.diff(one) for one in edges]),
        ]
    )
    return x, columns, counts, bins, np.array([0, 3], np.intp)


def written(tables, dtype=np.float64, to=core):
    x, _, _, bins, marked = tables
    out = np.full((len(x), x.shape[1] + bins.shape[1] + len(marked)), 7, dtype)
    to.code_numbers(*tables, out)
    return out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(5))
def test_the_kernel_agrees_with_the_oracle(seed, dtype):
    tables = case(seed)
    expected = oracle(*tables)
    assert np.isfinite(expected).all()
    tolerance = 1e-13 if dtype is np.float64 else 3e-7
    np.testing.assert_allclose(written(tables, dtype), expected, rtol=tolerance, atol=tolerance)


def test_out_may_be_columns_of_a_wider_array():
    tables = case()
    expected = written(tables)
    wide = np.zeros((len(expected), expected.shape[1] + 9))
    core.code_numbers(*tables, wide[:, 4:-5])
    np.testing.assert_array_equal(wide[:, 4:-5], expected)
    assert (wide[:, :4] == 0).all()
    assert (wide[:, -5:] == 0).all()


@pytest.mark.skipif(
    core.DEBUG or not {"v3", "v4"} <= set(runnable_levels()), reason="no v3 and v4 here"
)
def test_levels_with_fused_operations_give_the_same_bits():
    v3, v4 = (written(case(3), to=load_core(level)[1]) for level in ("v3", "v4"))
    np.testing.assert_array_equal(v3, v4)


def test_no_rows_and_no_columns():
    x, columns, counts, bins, marked = case()
    assert written((x[:0], columns, counts, bins, marked)).shape[0] == 0
    none = np.zeros(0, np.intp)
    assert written((x[:, :0], columns[:, :0], none, bins[:, :0], none)).shape == (50, 0)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda x, c, n, b, m: (x, c[:2], n, b, m), "a unit, a median"),
        (lambda x, c, n, b, m: (x[:, :-1].copy(), c, n, b, m), "a unit, a median"),
        (lambda x, c, n, b, m: (x, c, n[:-1], b, m), "a unit, a median"),
        (lambda x, c, n, b, m: (x, c, n + 1, b, m), "a left edge"),
        (lambda x, c, n, b, m: (x, c, n - 1, b, m), "no bins or some"),
        (lambda x, c, n, b, m: (x, c, n, b[:1], m), "a left edge"),
        (lambda x, c, n, b, m: (x, c, n, b, m + 2), "no column 5"),
        (lambda x, c, n, b, m: (x, c, n, b, m - 1), "no column -1"),
    ],
)
def test_tables_that_do_not_fit_are_refused(damage, message):
    x, columns, counts, bins, marked = case()
    out = np.empty((len(x), x.shape[1] + bins.shape[1] + len(marked)))
    with pytest.raises(ValueError, match=message):
        core.code_numbers(*damage(x, columns, counts, bins, marked), out)


def test_an_output_that_does_not_fit_is_refused():
    tables = case()
    out = written(tables)
    for wrong in (out[:-1], out[:, :-1], np.empty((len(out), 2 * out.shape[1]))[:, ::2]):
        with pytest.raises(ValueError, match="out"):
            core.code_numbers(*tables, wrong)
