"""Matrix products: right at every shape, one chain per element, nothing touched outside."""

import numpy as np
import pytest

from fastbp.kernels import backend, core
from problems import guarded

FORMS = ["nn", "nt", "tn"]
# Around the edges of the tiles (4 or 8 rows; up to 3 vectors of 2 to 16 numbers), of the blocks of
# k (128 and 256, and 512 for a few last columns), and of what is copied (rows of 2048 bytes and
# more).
EDGES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 47, 48, 49, 65]
SHAPES = [
    *((m, 5, 3) for m in EDGES),
    *((3, n, 5) for n in EDGES),
    *((m, n, 9) for m, n in zip(EDGES, reversed(EDGES), strict=True)),
    *((4, 6, k) for k in (*EDGES, 63, 64, 127, 128, 129, 255, 256, 257, 600)),
    *((m, 1, 37) for m in EDGES),
    *((1, n, 37) for n in EDGES),
    (9, 50, 70),
    (5, 18, 1100),
    (7, 100, 64),
    (30, 35, 90),
    (1, 100, 784),
    (1, 20, 65),
    (1, 1, 1),
    (40, 520, 300),
    (33, 1030, 7),
    (520, 40, 300),
    (100, 10, 784),
    (600, 400, 330),
    (200, 600, 20),
    (130, 1030, 330),
    (50, 700, 600),
    (1, 18, 1500),
    (3, 18, 1500),
    (2, 100, 513),
    # Four vectors of AVX2, where tiles are of 3, 2 and 1 rows.
    *((m, n, 43) for m in (*range(1, 9), 13) for n in (13, 16, 30, 32)),
]

needs_tiles = pytest.mark.skipif(backend != "native", reason="products go through BLAS")


def operands(form, m, n, k, dtype):
    rng = np.random.RandomState(m + 7 * n + 49 * k)
    a = rng.randn(*((k, m) if form == "tn" else (m, k))).astype(dtype)
    b = rng.randn(*((n, k) if form == "nt" else (k, n))).astype(dtype)
    return guarded(a)[0], guarded(b)[0], rng.randn(m, n).astype(dtype)


def run(form, a, b, c, bias=None, add=False):
    """The product in the scratch that the core asks for, and not in a number more."""
    k = len(a) if form == "tn" else a.shape[1]
    size = core.matmul_scratch(form, *c.shape, k)
    scratch, whole = guarded(np.full(size, np.nan, c.dtype))
    core.kernel_matmul(a, b, c, form, scratch, bias if form == "nn" else None, add and form == "tn")
    assert np.isnan(whole[:64]).all() and np.isnan(whole[64 + size :]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("m, n, k", SHAPES)
def test_product_and_nothing_else(form, m, n, k, dtype):
    a, b, c = operands(form, m, n, k, dtype)
    a_mk, b_kn = (a.T if form == "tn" else a), (b.T if form == "nt" else b)
    wider = np.float64 if dtype == "float32" else np.longdouble  # NumPy's loop of these is slow
    exact = a_mk.astype(wider) @ b_kn.astype(wider)
    magnitude = abs(a_mk) @ abs(b_kn)
    for add in (False, True):
        out, whole = guarded(c if add else np.full_like(c, np.nan))  # NaN: not read unless added to
        run(form, a, b, out, c[0].copy(), add)
        init = c[0] if form == "nn" else c if add and form == "tn" else 0
        # The error of a chain of k multiply-adds, in units of the sum of magnitudes.
        bound = (k + 2) * np.finfo(dtype).eps * (magnitude + abs(init))
        assert (abs(out - (init + exact)) <= bound).all()
        assert np.isnan(whole[:64]).all() and np.isnan(whole[-64:]).all()


@needs_tiles
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "m, n, k",
    [
        (37, 100, 300),
        (64, 520, 70),
        (24, 1, 100),
        (70, 1030, 270),
        (40, 50, 63),
        (600, 400, 330),
        (200, 600, 20),
        (30, 18, 1500),
        (50, 700, 600),
        (37, 14, 150),
        (37, 30, 150),
    ],
)
def test_bits_do_not_depend_on_the_block_of_rows(form, m, n, k, dtype):
    a, b, _ = operands(form, m, n, k, dtype)
    bias = np.arange(n, dtype=dtype)
    whole = np.empty((m, n), dtype)
    run(form, a, b, whole, bias)
    # A column of a alone, of a matrix of one column, would be another problem.
    first = 2 if form == "tn" else 1
    parts = [(0, first), (first, 4), (4, 13), (13, m)]
    for first, last in parts:
        part = np.empty((last - first, n), dtype)
        rows = np.ascontiguousarray(a[:, first:last] if form == "tn" else a[first:last])
        run(form, rows, b, part, bias)
        np.testing.assert_array_equal(part, whole[first:last])


@needs_tiles
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("share", [1, 0.3])
@pytest.mark.parametrize(
    "m, n, k", [(140, 520, 300), (128, 1030, 70), (150, 515, 40), (130, 514, 1), (200, 700, 601)]
)
def test_packed_rows_give_the_same_bits(m, n, k, add, dtype, share):
    """Packed in parts, as ranks do, in any order; whole columns of a, and a few; zeros left out."""
    a, b, c = operands("tn", m, n, k, dtype)
    a[np.random.RandomState(0).rand(*a.shape) >= share] = 0
    expected = c.copy()
    run("tn", a, b, expected, add=add)
    size = core.packed_size(m, n, k)
    packed, whole = guarded(np.full(size, np.nan, dtype))
    for top, end in ((k // 2, k), (k // 5, k // 2), (0, k // 5)):
        core.kernel_pack(b, packed, top, end - top)
    assert np.isnan(whole[:64]).all() and np.isnan(whole[64 + size :]).all()
    chains = 64 // b.itemsize
    few = n % chains if n % chains <= 4 and k >= chains else 0
    b[:, : n - few] = np.nan  # only the last few columns may be read again
    for rows in (slice(0, m), slice(5, 30)):
        part, out = np.ascontiguousarray(a[:, rows]), c[rows].copy()
        zeros = share < 1
        scratch = np.empty(core.matmul_scratch("tn", *out.shape, k, zeros), dtype)
        core.kernel_packed(part, b, packed, out, scratch, add, zeros)
        np.testing.assert_array_equal(out, expected[rows])


@needs_tiles
def test_rows_are_packed_for_wide_products_alone():
    assert core.packed_size(1024, 1024, 512) >= 1024 * 512
    assert core.packed_size(64, 1024, 512) == core.packed_size(1024, 100, 512) == 0


@needs_tiles
def test_other_rows_than_those_of_b_are_not_packed():
    b = np.zeros((10, 600), "f")
    packed = np.zeros(core.packed_size(600, 600, 10), "f")
    for top, rows in ((-1, 3), (8, 3), (3, -1)):
        with pytest.raises(ValueError, match="rows"):
            core.kernel_pack(b, packed, top, rows)


def test_what_is_not_packed_or_has_no_room_is_refused():
    for n, room in ((100, 100_000), (300, 100_000), (600, 5999), (600, 0)):
        b, packed = np.zeros((10, n), "f"), np.zeros(room, "f")
        with pytest.raises(ValueError, match=f"{n} columns"):
            core.kernel_pack(b, packed, 0, 10)
        c = np.zeros((130, n), "f")
        with pytest.raises(ValueError, match=f"{n} columns"):
            core.kernel_packed(np.zeros((10, 130), "f"), b, packed, c, np.zeros(9, "f"), False)


@needs_tiles
@pytest.mark.parametrize("form", FORMS)
def test_scratch_of_a_batch_is_enough_for_a_shorter_one(form):
    """The core lays it out once, for whole batches and slices."""
    rng = np.random.RandomState(0)
    for _ in range(3000):
        m, n, k = (int(np.exp(rng.uniform(0, 7.5))) for _ in range(3))
        whole = core.matmul_scratch(form, m, n, k)
        assert core.matmul_scratch(form, rng.randint(1, m + 1), n, k) <= whole
        if form == "tn":  # k are the rows of the batch
            assert core.matmul_scratch(form, m, n, rng.randint(1, k + 1)) <= whole


@needs_tiles
def test_one_row_forward_needs_no_scratch():
    assert {core.matmul_scratch("nn", 1, n, k) for n in range(1, 1100, 7) for k in EDGES} == {0}


def test_too_little_scratch_is_refused():
    a, b, _ = operands("nt", 9, 20, 30, "float32")
    if core.matmul_scratch("nt", 9, 20, 30):
        with pytest.raises(ValueError, match="too little scratch"):
            core.kernel_matmul(a, b, np.empty((9, 20), "f"), "nt", np.empty(3, "f"))


@needs_tiles
@pytest.mark.parametrize("n", [3, 16, 50, 520])
def test_sums_go_on_where_they_stopped(n):
    """One chain over k: added to in two halves it gives the bits of the whole."""
    rng = np.random.RandomState(0)
    a, b = rng.randn(90, 40).astype("f"), rng.randn(90, n).astype("f")
    whole, halves = np.empty((40, n), "f"), np.empty((40, n), "f")
    run("tn", a, b, whole)
    run("tn", a[:31].copy(), b[:31].copy(), halves)
    run("tn", a[31:].copy(), b[31:].copy(), halves, add=True)
    np.testing.assert_array_equal(halves, whole)


@needs_tiles
def test_an_unaligned_product_has_the_same_bits():
    rng = np.random.RandomState(0)
    a, b = rng.randn(20, 30).astype("f"), rng.randn(30, 50).astype("f")
    results = []
    for shift in (0, 1, 3):
        shifted = []
        for array in (a, b, np.zeros((20, 50), "f"), np.ones(50, "f")):
            memory = np.empty(array.size + 16, "f")
            view = memory[shift : shift + array.size].reshape(array.shape)
            view[...] = array
            shifted.append(view)
        run("nn", *shifted)
        results.append(shifted[2].copy())
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_not_finite_numbers_pass_through():
    a, b = np.ones((5, 20), "f"), np.ones((20, 9), "f")
    a[2, 3], b[4, 5] = np.nan, np.inf
    out = np.empty((5, 9), "f")
    run("nn", a, b, out, np.zeros(9, "f"))
    np.testing.assert_array_equal(out, a @ b)
