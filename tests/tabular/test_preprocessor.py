"""The preprocessor of tables: an oracle in NumPy, laws of the codes, scikit-learn's checks."""

import pickle
import threading
from itertools import pairwise

import numpy as np
import pytest
from numpy import inf, nan
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastbp.tabular import TabularPreprocessor

rng = np.random.default_rng(0)


def numbers_of(n_samples=200):
    """Columns of numbers of several kinds."""
    missing = rng.normal(size=n_samples)
    missing[::7] = nan
    columns = [
        rng.normal(size=n_samples),
        1e9 + rng.normal(size=n_samples),
        np.exp(3 * rng.normal(size=n_samples)),
        missing,
        rng.integers(0, 3, n_samples),
        rng.random(n_samples) < 0.1,
        np.where(rng.random(n_samples) < 0.9, 0, rng.normal(size=n_samples)),
        np.full(n_samples, 7.0),
    ]
    return np.column_stack(columns).astype(np.float64)


# ---- the oracle


def robust(x, train):
    """RealMLP's scaling of numbers x by the numbers in training, slow and obvious."""
    train = train[~np.isnan(train)]
    q25, median, q75 = np.quantile(train, [0.25, 0.5, 0.75])
    if q75 != q25:
        z = (x - median) / (q75 - q25)
    elif train.max() != train.min():
        z = 2 * (x - median) / (train.max() - train.min())
    else:
        z = 0 * x
    z = np.where(np.isnan(x), 0, z)
    return z / np.sqrt(1 + (z / 3) ** 2)


def codes(z, train, n_bins):
    """The piecewise-linear codes of scaled numbers z; no columns if there is a single bin."""
    edges = np.unique(np.quantile(train, np.linspace(0, 1, n_bins + 1)))
    if len(edges) < 3:
        return np.empty((len(z), 0))
    return np.column_stack([np.clip((z - a) / (b - a), 0, 1) for a, b in pairwise(edges)])


def one_hot(values, train):
    """The scaled columns of a category; None is missing."""
    levels = sorted({value for value in train if value is not None})
    if len(levels) == 2 and None not in train:
        places = {levels[0]: -1.0, levels[1]: 1.0}
        raw, known = ([[places.get(v, 0.0)] for v in column] for column in (values, train))
    else:
        raw, known = ([[float(v == level) for level in levels] for v in c] for c in (values, train))
    raw, known = np.array(raw), np.array(known)
    return np.column_stack([robust(raw[:, i], known[:, i]) for i in range(raw.shape[1])])


def expected_of_numbers(X, train, n_bins):
    z = [robust(x, t) for x, t in zip(X.T, train.T, strict=True)]
    zt = [robust(t, t)[~np.isnan(t)] for t in train.T]
    coded = [codes(a, b, n_bins) for a, b in zip(z, zt, strict=True)] if n_bins else []
    marks = [np.isnan(x) for x, t in zip(X.T, train.T, strict=True) if np.isnan(t).any()]
    return np.column_stack([*z, *coded, *marks])


@pytest.mark.parametrize("n_bins", [None, 0, 1, 2, 3, 16, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_are_those_of_the_oracle(n_bins, dtype):
    train, X = numbers_of(), numbers_of(50)
    X[3] = nan  # also in columns where nothing was missing
    found = TabularPreprocessor(n_bins=n_bins, dtype=dtype).fit(train).transform(X)
    wanted = expected_of_numbers(X, train, n_bins)
    assert found.dtype == dtype and found.flags.c_contiguous
    tolerance = 1e-6 if dtype == np.float32 else 1e-11
    # Differences of numbers near 1e9 have few digits.
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("n_levels", [2, 3, 5])
def test_categories_are_those_of_the_oracle(n_levels, missing):
    weights = 0.5 ** np.arange(n_levels)
    train = rng.choice(list("dacbe")[:n_levels], 300, p=weights / weights.sum()).tolist()
    if missing:
        train[::5] = [None] * 60
    X = [*"abcde", None, "unknown"]
    preprocessor = TabularPreprocessor(dtype=np.float64).fit([[value] for value in train])
    found = preprocessor.transform([[value] for value in X])
    np.testing.assert_allclose(found, one_hot(X, train), rtol=1e-14, atol=1e-15)


def test_columns_in_order():
    X = [[1.0, "x", 0.0], [2.0, "y", nan], [3.0, "z", 5.0], [4.0, "x", 1.0]]
    preprocessor = TabularPreprocessor(n_bins=2).fit(X)
    assert preprocessor.get_feature_names_out(["a", "b", "c"]).tolist() == [
        *("a", "c", "a_bin0", "a_bin1", "c_bin0", "c_bin1", "c_missing", "b_x", "b_y", "b_z")
    ]
    assert preprocessor.feature_index_.tolist() == [0, 2, 0, 0, 2, 2, 2, 1, 1, 1]
    assert preprocessor.is_categorical_.tolist() == [False, True, False]
    assert preprocessor.categories_[1].tolist() == ["x", "y", "z"]
    assert preprocessor.categories_[0] is None and preprocessor.bin_edges_[1] is None
    assert len(preprocessor.bin_edges_[2]) == 3
    assert preprocessor.transform(X).shape == (4, 10)


def test_features_do_not_depend_on_each_other():
    """Each has the columns that it has alone, in spite of the order of the columns."""
    X = [[1.0, "x", 0.0, True, "p"], [2.0, "y", nan, False, "q"], [3.0, "z", 5.0, True, None]]
    X = np.array(X * 3, object)
    preprocessor = TabularPreprocessor(n_bins=3).fit(X)
    found = preprocessor.transform(X)
    for feature in range(5):
        alone = TabularPreprocessor(n_bins=3).fit_transform(X[:, [feature]])
        np.testing.assert_array_equal(found[:, preprocessor.feature_index_ == feature], alone)


# ---- laws of the codes


@pytest.fixture(params=["normal", "skewed", "steps", "with gaps"])
def coded(request):
    """A fitted preprocessor of one column, and its training data."""
    x = {
        "normal": rng.normal(size=500),
        "skewed": np.exp(2 * rng.normal(size=500)),
        "steps": rng.integers(0, 7, 500) / 7,
        "with gaps": np.where(rng.random(500) < 0.2, nan, rng.normal(size=500)),
    }[request.param]
    return TabularPreprocessor(n_bins=8, dtype=np.float64).fit(x[:, None]), x


def codes_of(preprocessor, x):
    n_codes = len(preprocessor.bin_edges_[0]) - 1
    return preprocessor.transform(np.reshape(x, (-1, 1)))[:, 1 : 1 + n_codes]


def grid(x):
    return np.linspace(np.nanmin(x) - 1, np.nanmax(x) + 1, 4001)


def test_codes_rise(coded):
    preprocessor, x = coded
    found = codes_of(preprocessor, grid(x))
    assert (np.diff(found, axis=0) >= 0).all()
    assert (found >= 0).all() and (found <= 1).all()


def test_codes_fill_one_bin_after_the_other(coded):
    preprocessor, x = coded
    found = codes_of(preprocessor, grid(x))
    assert ((found[:, 1:] == 0) | (found[:, :-1] == 1)).all()


def test_codes_are_constant_beyond_the_ends(coded):
    preprocessor, x = coded
    low, high = np.nanmin(x), np.nanmax(x)
    below, above = codes_of(preprocessor, [low - 1e9, low]), codes_of(preprocessor, [high, 1e300])
    assert (below == 0).all()
    assert (above == 1).all()


def test_codes_at_edges_add_up_to_their_place(coded):
    """At the edges the codes are exactly 0 or 1, if the scaled number is exactly an edge."""
    preprocessor, _ = coded
    numbers, edges = preprocessor._tables.numbers, preprocessor.bin_edges_[0]
    counts, (left, width) = numbers.bins
    assert counts.tolist() == [len(edges) - 1]
    found = np.clip((edges[:, None] - left) / width, 0, 1)
    np.testing.assert_array_equal(found, np.tri(len(edges), len(edges) - 1, -1))


def test_codes_are_continuous_and_linear(coded):
    """Between two neighbors of a grid they differ by no more than the distance over the width."""
    preprocessor, x = coded
    points = grid(x)
    z = preprocessor.transform(points[:, None])[:, 0]
    widths = np.diff(preprocessor.bin_edges_[0])
    steps = np.diff(codes_of(preprocessor, points), axis=0)
    assert (steps <= np.diff(z)[:, None] / widths * (1 + 1e-9) + 1e-12).all()


def test_codes_and_their_widths_give_the_number(coded):
    preprocessor, x = coded
    x = x[~np.isnan(x)]
    edges = preprocessor.bin_edges_[0]
    z = edges[0] + codes_of(preprocessor, x) @ np.diff(edges)
    np.testing.assert_allclose(z, preprocessor.transform(x[:, None])[:, 0], atol=1e-12)


def test_a_missing_number_has_the_code_of_the_median(coded):
    preprocessor, x = coded
    found = codes_of(preprocessor, [nan, np.nanmedian(x)])
    np.testing.assert_allclose(found[0], found[1], atol=1e-12)


def test_edges_are_quantiles(coded):
    preprocessor, x = coded
    z = preprocessor.transform(x[~np.isnan(x)][:, None])[:, 0]
    wanted = np.quantile(z, np.linspace(0, 1, 9))
    edges = preprocessor.bin_edges_[0]
    assert (np.diff(edges) > 0).all()
    assert all(np.abs(edges - quantile).min() < 1e-12 for quantile in wanted)
    assert all(np.abs(wanted - edge).min() < 1e-12 for edge in edges)


def test_one_bin_has_no_code():
    """Its code would be the scaled number again."""
    X = np.repeat([[0.0, 0, 0], [0, 1, 1], [0, 1, 2]], 3, axis=0)
    preprocessor = TabularPreprocessor(n_bins=4).fit(X)
    assert [edges is None for edges in preprocessor.bin_edges_] == [True, True, False]


# ---- numbers at the ends of float64


def test_scaling_does_not_depend_on_the_unit():
    """A power of two changes no bit, not even where ranges overflow or are denormal."""
    x = rng.normal(size=(100, 1))
    wanted = TabularPreprocessor().fit_transform(x)
    for exponent in (-900, -300, 300, 1000, 1021):
        found = TabularPreprocessor().fit_transform(np.ldexp(x, exponent))
        np.testing.assert_array_equal(found, wanted)


def test_scaling_of_denormal_numbers():
    """Quantiles between them would be rounded to one of them."""
    x = np.arange(96.0).reshape(-1, 2)
    wanted = TabularPreprocessor().fit_transform(x)
    np.testing.assert_array_equal(TabularPreprocessor().fit_transform(np.ldexp(x, -1074)), wanted)


@pytest.mark.parametrize(
    "x",
    [
        [-1.7e308, 0, 1.7e308, 1e308],
        [-1.7e308, 0, 0, 0, 0, 0, 1.7e308],
        [0, 5e-324, 1e-323, 1.5e-323],
        [0, 0, 0, 0, 0, 5e-324],
        [0, 5e-324, 1e-323, 1.5e-323, 1],
        [1.7e308] * 4,
        [1.7e308, np.nextafter(1.7e308, 0)],
    ],
    ids=str,
)
def test_results_are_finite_and_in_order(x):
    train = np.array(x)[:, None]
    X = np.sort([*x, -1.79e308, 1.79e308, 0.0, 5e-324, 1.0])[:, None]
    preprocessor = TabularPreprocessor(n_bins=3, dtype=np.float64).fit(train)
    found = preprocessor.transform(X)
    assert np.isfinite(found).all()
    assert (np.abs(found) <= 3).all()
    assert (np.diff(found, axis=0) >= 0).all()


def test_the_range_of_all_floats():
    largest = np.finfo(float).max
    found = TabularPreprocessor(n_bins=0).fit_transform([[-largest], [0.0], [largest]])
    z = 1 / np.sqrt(1 + 1 / 9)  # quartiles at half the range
    np.testing.assert_allclose(found[:, 0], [-z, 0, z], rtol=1e-6)


# ---- levels


def levels_of(values, **parameters):
    preprocessor = TabularPreprocessor(n_bins=0, **parameters).fit([[value] for value in values])
    return preprocessor, preprocessor.get_feature_names_out().tolist()


def test_rare_levels_share_a_column():
    values = [*"aaaaaabbbbbccccdddee", "f"]
    preprocessor, names = levels_of(values, max_categories=4)
    assert names == ["x0_a", "x0_b", "x0_c", "x0_infrequent"]
    found = preprocessor.transform([["d"], ["e"], ["f"], ["c"], ["g"]])
    assert (found[0] == found[1]).all() and (found[1] == found[2]).all()
    assert found[0, 3] > found[3, 3] == found[4, 3]
    common = preprocessor.transform([["a"], ["b"], ["c"], ["f"]])
    assert (common.argmax(axis=0) == range(4)).all()
    # The shared column is scaled as the union of its levels.
    joint, _ = levels_of([min(value, "d") for value in values])
    np.testing.assert_array_equal(preprocessor.transform([["f"]]), joint.transform([["d"]]))


def test_of_equally_rare_levels_the_first_are_kept():
    _, names = levels_of("cbad", max_categories=3)
    assert names == ["x0_a", "x0_b", "x0_infrequent"]


@pytest.mark.parametrize(
    ("limit", "n_columns"), [(2, 1), (3, 3), (150, 150), (151, 151), (None, 151)]
)
def test_max_categories_is_the_number_of_columns(limit, n_columns):
    """Two columns without missing values are one."""
    values = [f"{i:03}" for i in range(151)]
    _, names = levels_of(values, max_categories=limit)
    assert len(names) == n_columns


def test_default_has_at_most_100_columns_for_a_feature():
    _, names = levels_of([f"{i:03}" for i in range(151)])
    assert len(names) == 100


def test_names_are_unique():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"a": list("xyzx"), "a_x": [1.0, 2, 3, 4], "a_x_": [1, 2, 3, 4.5]})
    found = TabularPreprocessor(n_bins=0).fit(X).get_feature_names_out().tolist()
    assert found == ["a_x", "a_x_", "a_x__", "a_y", "a_z"]


# ---- parameters

X_MIXED = [[1.0, "a", 2], [2.0, "b", 1], [4.0, "c", 1], [3.0, "a", 0]]


@pytest.mark.parametrize(
    ("given", "mask"),
    [
        ("from_dtype", [0, 1, 0]),
        ([1], [0, 1, 0]),
        ([1, 2], [0, 1, 1]),
        (np.array([2, 1]), [0, 1, 1]),
        ([False, True, False], [0, 1, 0]),
        (np.array([True, True, True]), [1, 1, 1]),
    ],
    ids=str,
)
def test_categorical_features(given, mask):
    preprocessor = TabularPreprocessor(categorical_features=given).fit(X_MIXED)
    assert preprocessor.is_categorical_.tolist() == [bool(item) for item in mask]


@pytest.mark.parametrize("given", [None, [], np.array([], int)], ids=str)
def test_no_categorical_features(given):
    found = TabularPreprocessor(categorical_features=given).fit([["1", True], ["2.5", False]])
    assert not found.is_categorical_.any()


def test_names_of_categorical_features():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(X_MIXED, columns=["u", "v", "w"])
    for given in (["v", "w"], np.array(["w", "v"]), np.array(["w", "v"], object)):
        preprocessor = TabularPreprocessor(categorical_features=given).fit(X)
        assert preprocessor.is_categorical_.tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (dict(categorical_features=[3]), r"must be in \[0, n_features - 1\] = \[0, 2\], got \[3\]"),
        (dict(categorical_features=[-1]), r"must be in \[0, n_features - 1\] = \[0, 2\]"),
        (dict(categorical_features=[True]), r"must have shape \(n_features,\) = \(3,\), got: \(1,"),
        (dict(categorical_features=["u"]), "as an array of integers or as a boolean mask when"),
        (dict(categorical_features=[1.0]), "array-like of bool, int or str"),
        (dict(categorical_features=[[1]]), "array-like of bool, int or str"),
        (dict(categorical_features=np.array([1, "u"], object)), "array-like of bool, int or str"),
        (dict(categorical_features="all"), "array-like of bool, int or str"),
        (dict(categorical_features=1), "'categorical_features' parameter"),
        (dict(n_bins=-1), "'n_bins' parameter"),
        (dict(n_bins=2.5), "'n_bins' parameter"),
        (dict(max_categories=1), "'max_categories' parameter"),
        (dict(dtype=int), "dtype must be float32 or float64, got <class 'int'>"),
        (dict(dtype=None), "dtype must be float32 or float64, got None"),
        (dict(dtype="fast"), "dtype must be float32 or float64, got 'fast'"),
        (dict(sparse_output="yes"), "'sparse_output' parameter"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_parameters_that_are_not_valid(parameters, message):
    preprocessor = TabularPreprocessor(**parameters)
    with pytest.raises(ValueError, match=message):
        preprocessor.fit(X_MIXED)
    assert set(vars(preprocessor)) == set(preprocessor.get_params())


def test_names_that_are_not_there():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(X_MIXED, columns=["u", "v", "w"])
    with pytest.raises(ValueError, match=r"'x' which is not a valid feature name .*'u', 'v', 'w'"):
        TabularPreprocessor(categorical_features=["v", "x"]).fit(X)


# ---- results


def test_sparse_output():
    X = numbers_of(1000)
    dense = TabularPreprocessor().fit_transform(X)
    sparse = TabularPreprocessor(sparse_output=True).fit_transform(X)
    assert sparse.format == "csr" and sparse.dtype == np.float32
    assert sparse.nnz == np.count_nonzero(dense)
    np.testing.assert_array_equal(sparse.toarray(), dense)


@pytest.mark.parametrize("n_samples", [1, 2, 7, 3000])
def test_rows_do_not_depend_on_their_neighbors(n_samples):
    train, X = numbers_of(), numbers_of(n_samples)
    preprocessor = TabularPreprocessor().fit(train)
    found = preprocessor.transform(X)
    for i in {0, n_samples // 2, n_samples - 1}:
        np.testing.assert_array_equal(preprocessor.transform(X[i : i + 1])[0], found[i])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output(library):
    module = pytest.importorskip(library)
    X = module.DataFrame({"a": [1.0, 2, 3], "b": ["x", "y", "x"]})
    preprocessor = TabularPreprocessor(n_bins=2).set_output(transform=library)
    found = preprocessor.fit_transform(X)
    assert type(found) is module.DataFrame
    assert list(found.columns) == ["a", "a_bin0", "a_bin1", "b_y"]
    wanted = TabularPreprocessor(n_bins=2).fit_transform(X)
    np.testing.assert_array_equal(found.to_numpy(), wanted)


def test_pandas_index_is_kept():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"a": [1.0, 2, 3]}, index=[5, 3, 4])
    found = TabularPreprocessor().set_output(transform="pandas").fit_transform(X)
    assert found.index.tolist() == [5, 3, 4]


def test_in_a_pipeline():
    y = [0, 1, 1, 0]
    pipeline = make_pipeline(TabularPreprocessor(), LogisticRegression()).fit(X_MIXED, y)
    assert pipeline.score(X_MIXED, y) == 1
    assert pipeline[:-1].get_feature_names_out()[0] == "x0"


def test_pickles_hold_no_training_data():
    X = np.column_stack([rng.normal(size=20_000), rng.integers(0, 5, 20_000)])
    preprocessor = TabularPreprocessor(categorical_features=[1]).fit(X)
    preprocessor.transform(X)
    data = pickle.dumps(preprocessor)
    assert len(data) < 5000
    copy = pickle.loads(data)
    np.testing.assert_array_equal(copy.transform(X), preprocessor.transform(X))


def test_arrays_are_not_written():
    X = numbers_of(50)
    X.flags.writeable = False
    before = X.tobytes()
    preprocessor = TabularPreprocessor().fit(X)
    preprocessor.transform(X)
    assert X.tobytes() == before


def test_the_result_is_not_shared():
    X = np.array([[1.0], [2.0], [3.0]])
    preprocessor = TabularPreprocessor(dtype=np.float64).fit(X)
    first = preprocessor.transform(X)
    wanted = first.copy()
    first[:] = inf
    np.testing.assert_array_equal(preprocessor.transform(X), wanted)


# ---- state


def test_not_fitted():
    with pytest.raises(NotFittedError):
        TabularPreprocessor().transform(X_MIXED)
    with pytest.raises(NotFittedError):
        TabularPreprocessor().get_feature_names_out()


@pytest.mark.parametrize("bad", [[[1.0, "a"], [inf, "b"]], [], [[[1]]], "abc"], ids=str)
def test_a_failed_refit_changes_nothing(bad):
    preprocessor = TabularPreprocessor().fit(X_MIXED)
    before = dict(vars(preprocessor))
    wanted = preprocessor.transform(X_MIXED)
    with pytest.raises((TypeError, ValueError)):
        preprocessor.fit(bad)
    assert vars(preprocessor).keys() == before.keys()
    assert all(vars(preprocessor)[name] is value for name, value in before.items())
    np.testing.assert_array_equal(preprocessor.transform(X_MIXED), wanted)


def test_a_refit_forgets():
    pandas = pytest.importorskip("pandas")
    preprocessor = TabularPreprocessor().fit(pandas.DataFrame(X_MIXED, columns=list("abc")))
    preprocessor.fit([[1.0], [2.0]])
    fresh = TabularPreprocessor().fit([[1.0], [2.0]])
    assert vars(preprocessor).keys() == vars(fresh).keys()
    assert preprocessor.n_features_in_ == 1


def test_parameters_that_change_after_the_fit_do_not_matter():
    preprocessor = TabularPreprocessor().fit(X_MIXED)
    wanted = preprocessor.transform(X_MIXED)
    preprocessor.set_params(n_bins=2, dtype=np.float64, categorical_features=None)
    np.testing.assert_array_equal(preprocessor.transform(X_MIXED), wanted)
    assert preprocessor.transform(X_MIXED).dtype == np.float32


def test_threads_transform_side_by_side():
    X = numbers_of(2000)
    preprocessor = TabularPreprocessor().fit(X)
    wanted, found = clone(preprocessor).fit_transform(X), {}

    def run(place):
        found[place] = preprocessor.transform(X)

    threads = [threading.Thread(target=run, args=[i]) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for result in found.values():
        np.testing.assert_array_equal(result, wanted)


# ---- scikit-learn


@parametrize_with_checks(
    [
        TabularPreprocessor(),
        TabularPreprocessor(n_bins=0, categorical_features=None, dtype=np.float64),
        TabularPreprocessor(categorical_features=[0], max_categories=3),
        TabularPreprocessor(sparse_output=True),
    ]
)
def test_estimator_checks(estimator, check):
    check(estimator)


def test_tags():
    tags = get_tags(TabularPreprocessor())
    assert tags.input_tags.allow_nan and tags.input_tags.categorical and tags.input_tags.string
    assert not tags.input_tags.sparse and not tags.target_tags.required
    assert tags.transformer_tags.preserves_dtype == []


def test_input_features_that_are_others():
    pandas = pytest.importorskip("pandas")
    preprocessor = TabularPreprocessor().fit(pandas.DataFrame(X_MIXED, columns=list("abc")))
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        preprocessor.get_feature_names_out(["a", "b", "d"])
    with pytest.raises(ValueError, match="input_features should have length equal"):
        TabularPreprocessor().fit(X_MIXED).get_feature_names_out(["a"])
