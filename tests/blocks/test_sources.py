"""Every source gives the rows of the whole, however they are cut, and clear errors."""

import itertools
import os
import pickle
import subprocess
import sys
import threading
from unittest.mock import Mock

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from fastbp import MLPClassifier
from fastbp.blocks import from_arrays, from_dask, from_npy, from_parquet

N, FEATURES = 101, ["a", "b.c", "d"]
rng = np.random.RandomState(0)
X = rng.randn(N, 3).astype(np.float32)
Y = rng.randn(N)
LABELS = np.array(["no", "yes", "perhaps"], object)[rng.randint(3, size=N)]
WEIGHT = rng.rand(N)
SPARSE = sp.csr_array(np.where(X > 0.5, X, 0))
PARTS = [0, 0, 40, 41, 41, 90, N]  # empty ones, and one row


def parts(array):
    return [array[start:stop] for start, stop in itertools.pairwise(PARTS)]


# ---- sources: each returns the source and what its whole is


def arrays(folder):
    return from_arrays(X, Y), X, Y, None


def views(folder):
    return from_arrays(X[::-1], Y[::-1], WEIGHT[::-1]), X[::-1], Y[::-1], WEIGHT[::-1]


def sparse(folder):
    return from_arrays(SPARSE, LABELS, WEIGHT), SPARSE.toarray(), LABELS, WEIGHT


def memory_map(folder):
    np.save(folder / "X.npy", X)
    return from_arrays(np.load(folder / "X.npy", mmap_mode="r"), Y.tolist()), X, Y, None


def frame(folder):
    index = np.arange(N)[::-1]
    source = from_arrays(
        pd.DataFrame(X, index, columns=FEATURES), pd.Series(LABELS, index), pd.Series(WEIGHT, index)
    )
    return source, X, LABELS, WEIGHT


def polars_frame(folder):
    return from_arrays(pl.DataFrame(X), pl.Series(Y)), X, Y, None


def zarr_arrays(folder):
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(folder / "X.zarr", shape=X.shape, chunks=(20, 2), dtype=X.dtype)
    array[:] = X
    return from_arrays(array, Y), X, Y, None


def npy(folder):
    both = np.stack([Y, WEIGHT], axis=1)
    for name, array in {"X": X, "y": both, "w": WEIGHT.astype(">f4")}.items():
        np.save(folder / f"{name}.npy", array)
    source = from_npy(folder / "X.npy", str(folder / "y.npy"), folder / "w.npy")
    return source, X, both, WEIGHT.astype(np.float32)


def several_npy(folder):
    """Files of other dtypes and byte orders, cut at other rows than those of y."""
    dtypes = ["<f4", ">f4", "<f4", "<f4", ">f8", "<f4"]
    paths = [folder / f"X{k}.npy" for k in range(6)]
    for path, part, dtype in zip(paths, parts(X), dtypes, strict=True):
        np.save(path, part.astype(dtype))
    np.save(folder / "y0.npy", LABELS[:60].astype("U3"))
    np.save(folder / "y1.npy", LABELS[60:].astype(">U7"))
    labels = np.concatenate([LABELS[:60].astype("U3"), LABELS[60:].astype("U7")])
    source = from_npy(paths, [folder / "y0.npy", folder / "y1.npy"])
    return source, X.astype(np.float64), labels, None


def npy_by_columns(folder):
    np.save(folder / "X.npy", np.asfortranarray(X[:70], dtype=">f4"))
    np.save(folder / "Z.npy", X[70:])
    np.save(folder / "y.npy", Y)
    with pytest.warns(UserWarning, match=r"X\.npy is stored column by column \(Fortran order\)"):
        source = from_npy([folder / "X.npy", folder / "Z.npy"], folder / "y.npy")
    return source, X, Y, None


def arrow_packages():
    return pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")


def save(path, dtypes=("float32", "float64", "int16"), rows=slice(None), group=17, **more):
    """Write the rows of X as columns of these dtypes, with more columns, and return these."""
    pyarrow, parquet_module = arrow_packages()
    columns = [column.astype(dtype) for column, dtype in zip(10 * X[rows].T, dtypes, strict=True)]
    data = dict(zip(FEATURES, columns, strict=True), **{k: v[rows] for k, v in more.items()})
    data = {name: data[name] for name in sorted(data, reverse=True)}
    parquet_module.write_table(pyarrow.table(data), path, row_group_size=group)
    return np.stack(columns, axis=1)


def parquet(folder):
    whole = save(folder / "t.parquet", y=LABELS, w=WEIGHT)
    return from_parquet(folder / "t.parquet", FEATURES, "y", "w"), whole, LABELS, WEIGHT


def parquet_float32(folder):
    """A folder of files, some without rows, with categories, several targets and small types."""
    for k, (start, stop) in enumerate(itertools.pairwise(PARTS)):
        categories = pd.Series(LABELS).astype("category")
        rows = slice(start, stop)
        save(folder / f"{k}.parquet", ("float32", "float16", "bool"), rows, y=categories, z=Y)
    columns = [(10 * X[:, 0]), (10 * X[:, 1]).astype(np.float16), X[:, 2].astype(bool)]
    y = np.stack([LABELS, Y.astype(object)], axis=1)
    source = from_parquet(folder, FEATURES, ["y", "z"])
    return source, np.stack(columns, axis=1).astype(np.float32), y, None


def parquet_frame(folder):
    whole = save(folder / "t.parquet", y=Y > 0)
    source = from_parquet([folder / "t.parquet"], FEATURES, "y", as_frame=True)
    return source, whole, Y > 0, None


def dask_arrays(folder):
    da = pytest.importorskip("dask.array")
    array = da.from_array(X, chunks=((40, 1, 0, 60), (2, 1)))
    return from_dask(array, da.from_array(Y, 30), da.from_array(WEIGHT, 11)), X, Y, WEIGHT


SOURCES = [
    arrays,
    views,
    sparse,
    memory_map,
    frame,
    polars_frame,
    zarr_arrays,
    npy,
    several_npy,
    npy_by_columns,
    parquet,
    parquet_float32,
    parquet_frame,
    dask_arrays,
]
every_source = pytest.mark.parametrize("make", SOURCES)


def plain(rows):
    return rows.toarray() if sp.issparse(rows) else np.asarray(rows)


def assert_rows(block, whole, start, stop):
    """The block has these rows of the whole, with their dtypes."""
    for rows, of_all in zip(block, whole, strict=True):
        if of_all is None:
            assert rows is None
            continue
        rows = plain(rows)
        assert rows.dtype == of_all.dtype
        np.testing.assert_array_equal(rows, of_all[start:stop])


# ---- laws


@every_source
def test_any_cut_gives_the_whole(make, tmp_path):
    """Reads that follow one another, in any lengths."""
    source, *whole = make(tmp_path)
    assert len(source) == N and repr(N) in repr(source)
    cuts_rng = np.random.RandomState(1)
    for n_cuts in (0, 1, 3, 20, N - 1):
        cuts = [0, *np.sort(cuts_rng.choice(np.arange(1, N), n_cuts, replace=False)), N]
        for start, stop in itertools.pairwise(cuts):
            assert_rows(source.read(start, stop), whole, start, stop)


@every_source
def test_reads_in_any_order_give_their_rows(make, tmp_path):
    source, *whole = make(tmp_path)
    for start, stop in np.sort(np.random.RandomState(2).randint(0, N + 1, (60, 2))):
        if start < stop:
            assert_rows(source.read(start, stop), whole, start, stop)


@every_source
def test_what_was_read_stays(make, tmp_path):
    source, *whole = make(tmp_path)
    first = source.read(0, 30)
    source.read(10, N)
    assert_rows(first, whole, 0, 30)


@every_source
def test_pickles_read_the_same(make, tmp_path):
    """Before the first read, and between two reads."""
    source, *whole = make(tmp_path)
    for _ in range(2):
        copy = pickle.loads(pickle.dumps(source))
        assert len(copy) == N
        assert_rows(copy.read(3, 60), whole, 3, 60)
        assert_rows(source.read(5, 9), whole, 5, 9)


@pytest.mark.parametrize("make", [npy, several_npy, parquet])
def test_pickles_of_files_have_paths(make, tmp_path, monkeypatch):
    """They are small, and can be loaded in another folder."""
    monkeypatch.chdir(tmp_path)
    source, *whole = make(tmp_path.relative_to(tmp_path))
    source.read(0, 5)
    pickled = pickle.dumps(source)
    assert len(pickled) < 5000
    monkeypatch.chdir("/")
    assert_rows(pickle.loads(pickled).read(3, 60), whole, 3, 60)


@every_source
def test_borders(make, tmp_path):
    borders = getattr(make(tmp_path)[0], "borders", None)
    expected = {
        zarr_arrays: [0, 20, 40, 60, 80, 100, N],
        parquet: [0, 17, 34, 51, 68, 85, N],
        parquet_float32: [0, 17, 34, 40, 41, 58, 75, 90, N],
        parquet_frame: [0, 17, 34, 51, 68, 85, N],
        dask_arrays: [0, 40, 41, N],
    }
    if make in expected:
        assert borders.dtype == np.int64 and borders.tolist() == expected[make]
    else:
        assert borders is None


@every_source
def test_rows_that_do_not_exist(make, tmp_path):
    source = make(tmp_path)[0]
    for start, stop in [(-1, 4), (3, 3), (4, 2), (0, N + 1)]:
        with pytest.raises(ValueError, match=f"0 <= start < stop <= {N}, got start={start}, stop="):
            source.read(start, stop)


def test_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file.create_dataset("X", data=X, chunks=(30, 3))
        file.create_dataset("y", data=Y)
        source = from_arrays(file["X"], file["y"])
        assert source.borders.tolist() == [0, 30, 60, 90, N]
        assert_rows(source.read(25, 70), (X, Y, None), 25, 70)
        whole = file.create_dataset("in one piece", data=X)
        assert not hasattr(from_arrays(whole, file["y"]), "borders")


def test_arrays_are_not_copied():
    rows, y, weight = from_arrays(X, Y, WEIGHT).read(2, 30)
    assert np.shares_memory(rows, X) and np.shares_memory(y, Y) and np.shares_memory(weight, WEIGHT)


@pytest.mark.parametrize(
    ("name", "value"),
    [("indptr", 10**9), ("indptr", -(10**9)), ("indices", 10**8), ("indices", -1)],
)
def test_damaged_rows_of_csr_are_refused(name, value):
    """Compiled code of SciPy is not asked for them: it would read anywhere, or drop entries."""
    damaged = sp.csr_array(SPARSE)
    setattr(damaged, name, getattr(SPARSE, name).copy())
    getattr(damaged, name)[40] = value
    source, model = from_arrays(damaged, LABELS), MLPClassifier((2,), max_iter=1, batch_size=20)
    with pytest.raises(ValueError, match=r"rows 0 to 100 of source: .*ind(ptr|ex)"):
        model.fit_blocks(source)


def test_frames_have_names(tmp_path):
    for make in (frame, parquet_frame):
        assert make(tmp_path)[0].read(0, 3)[0].columns.tolist() == FEATURES
    assert parquet(tmp_path)[0].feature_names == FEATURES


# ---- wrong arrays


WRONG_ARRAYS = {
    "y": ((X, Y[1:]), ValueError, "X and y must have as many rows, got 101 and 100"),
    "weights": ((X, Y, [1]), ValueError, "X and sample_weight must have .*, got 101 and 1"),
    "one dimension": ((Y, Y), ValueError, r"X must have 2 dimensions, got shape \(101,\)"),
    "three": ((X, X[None]), ValueError, r"y must have 1 or 2 dimensions, got shape \(1, 101, 3"),
    "weights of two": ((X, Y, X), ValueError, r"sample_weight must have 1 dimensions, got .*, 3\)"),
    "csc": ((SPARSE.tocsc(), Y), TypeError, "X must be in the format CSR if .*, got a csc_array"),
    "sparse y": ((X, SPARSE), TypeError, "y must be dense, got a csr_array"),
    "path": (("X.npy", Y), TypeError, "X must be an array, got the path 'X.npy': use from_npy"),
    "none": ((X, None), TypeError, "y must be an array with a shape and rows, got a NoneType"),
    "lazy": ((pl.LazyFrame({"a": [1]}), Y), TypeError, "X must be an array .*, got a LazyFrame"),
}


@pytest.mark.parametrize("name", WRONG_ARRAYS)
def test_wrong_arrays(name):
    given, error, message = WRONG_ARRAYS[name]
    with pytest.raises(error, match=message):
        from_arrays(*given)


def test_wrong_dask():
    da = pytest.importorskip("dask.array")
    array, y = da.from_array(X, 40), da.from_array(Y, 40)
    with pytest.raises(
        ValueError, match=r"X must have chunks of known.*X\.compute_chunk_sizes\(\)"
    ):
        from_dask(array[array[:, 0] > 0], y)
    with pytest.raises(ValueError, match="X and y must have as many rows, got 101 and 40"):
        from_dask(array, y[:40])
    with pytest.raises(TypeError, match="y must be an array of Dask, got a ndarray"):
        from_dask(array, Y)
    with pytest.raises(TypeError, match=r"X must be an array, got a Array that .*use from_dask"):
        from_arrays(array, Y)


# ---- wrong files


def npy_files(folder, **arrays):
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return [folder / f"{name}.npy" for name in arrays]


WRONG_NPY = {
    "objects": ({"X": X, "y": LABELS}, "y cannot be read from .*y.npy: .*[Oo]bjects"),
    "strings": ({"X": X.astype(str), "y": Y}, "X must have numbers, got dtype <U.* in .*X.npy"),
    "complex": ({"X": X, "y": Y * 1j}, "y must have numbers, got dtype complex128 in .*y.npy"),
    "lengths": ({"X": X, "y": Y[:50]}, "X and y must have as many rows, got 101 and 50"),
    "dimensions": ({"X": Y, "y": Y}, r"X must have 2 dimensions, got shape \(101,\) in .*X.npy"),
}


@pytest.mark.parametrize("name", WRONG_NPY)
def test_wrong_npy(name, tmp_path):
    wrong, message = WRONG_NPY[name]
    with pytest.raises(ValueError, match=message):
        from_npy(*npy_files(tmp_path, **wrong))


def test_files_that_do_not_fit_together(tmp_path):
    one, wide, y, text = npy_files(tmp_path, one=X, wide=X[:, :2], y=Y, text=LABELS.astype(str))
    message = r"files of X must fit together: .*one.npy has shape \(101, 3\) .*wide.npy has shape"
    with pytest.raises(ValueError, match=message):
        from_npy([one, wide], [y, y])
    with pytest.raises(ValueError, match=r"files of y must fit .*dtype float64, .*dtype <U7"):
        from_npy([one, one], [y, text])


def test_files_that_are_no_npy(tmp_path):
    one, y = npy_files(tmp_path, one=X, y=Y)
    np.savez(tmp_path / "both.npz", X=X)
    (tmp_path / "empty.npy").touch()
    (tmp_path / "cut.npy").write_bytes(one.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"X must be a file \.npy, got the archive \.npz .*both"):
        from_npy(tmp_path / "both.npz", y)
    for name in ("empty", "cut"):
        with pytest.raises(ValueError, match=rf"X cannot be read from .*{name}\.npy: "):
            from_npy(tmp_path / f"{name}.npy", y)
    with pytest.raises(FileNotFoundError, match=r"none\.npy"):
        from_npy(tmp_path / "none.npy", y)
    with pytest.raises(ValueError, match="X must have at least one path, got an empty list"):
        from_npy([], y)
    for wrong in (X, 3, b"X.npy", [one, 3]):
        with pytest.raises(TypeError, match="X must be a path or a list of paths, got "):
            from_npy(wrong, y)


def test_a_map_that_windows_refuses(tmp_path, monkeypatch):
    """It has no memory for a map beyond the end of a file."""
    one, y = npy_files(tmp_path, one=X, y=Y)
    for code, kind in ((8, ValueError), (5, OSError)):
        refusal = OSError(12, "no map")
        refusal.winerror = code
        monkeypatch.setattr(np, "load", Mock(side_effect=refusal))
        with pytest.raises(kind, match="shorter than its header says" if code == 8 else "no map"):
            from_npy(one, y)


def test_a_npy_file_that_changes(tmp_path):
    source = npy(tmp_path)[0]
    source.read(0, 3)
    path = tmp_path / "X.npy"
    time = path.stat().st_mtime_ns
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    with pytest.raises(ValueError, match=r"X\.npy has changed since the source was made"):
        source.read(0, 3)
    path.write_bytes(data)
    os.utime(path, ns=(time, time + (100 if os.name == "nt" else 1)))  # the least there is
    with pytest.raises(ValueError, match=r"X\.npy has changed since the source was made"):
        source.read(0, 3)
    os.utime(path, ns=(time, time))
    source.read(0, 3)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"X\.npy"):
        source.read(0, 3)


def test_a_npy_file_that_is_cut_off_during_a_read(tmp_path, monkeypatch):
    """A memory map would kill the process."""
    source = npy(tmp_path)[0]
    monkeypatch.setattr("fastbp.blocks.source.File.check", lambda self: None)
    os.truncate(tmp_path / "X.npy", 600)
    source.read(0, 10)
    with pytest.raises(ValueError, match=r"X\.npy ends before its last row"):
        source.read(0, N)


# ---- Parquet


def test_a_file_of_polars(tmp_path):
    arrow_packages()
    labels = pl.Series(LABELS, dtype=pl.String)
    table = pl.DataFrame(X, FEATURES).with_columns(y=labels, z=labels.cast(pl.Categorical))
    table.write_parquet(tmp_path / "t.parquet", row_group_size=30)
    block = from_parquet(tmp_path, FEATURES, ["y", "z"]).read(20, 70)
    assert_rows(block, (X, np.stack([LABELS, LABELS], axis=1), None), 20, 70)


def test_nulls(tmp_path):
    pyarrow, parquet_module = arrow_packages()
    whole = {"a": [1.0, 2, 3, 4], "y": ["n", "y", "n", "y"], "w": [1, 2, 3, 4]}
    for name, values in whole.items():
        for encode in (False, True):
            column = pyarrow.array([*values[:3], None])
            table = pyarrow.table(whole | {name: column.dictionary_encode() if encode else column})
            parquet_module.write_table(table, tmp_path / "t.parquet")
            source = from_parquet(tmp_path, ["a"], "y", "w")
            source.read(0, 3)
            message = rf"column '{name}' has missing values \(nulls\) in .*t\.parquet, between rows"
            with pytest.raises(ValueError, match=message):
                source.read(1, 4)
            assert source.read(0, 3)[1].tolist() == whole["y"][:3]


def test_decimals_strings_and_categories(tmp_path):
    pyarrow, parquet_module = arrow_packages()
    table = pyarrow.table(
        {
            "a": pyarrow.array([1, 2, 3]).cast(pyarrow.decimal128(22, 2)),
            "y": pyarrow.array(["a", "", "ä"]).cast(pyarrow.large_string()),
            "z": pyarrow.array(["b", "", "b"]).dictionary_encode(),
            "d": pyarrow.array([2.5, 1, 2.5]).dictionary_encode(),
        }
    )
    parquet_module.write_table(table, tmp_path / "t.parquet")
    x, y, _ = from_parquet(tmp_path, ["a", "d"], ["y", "z"]).read(0, 3)
    assert x.dtype == np.float64 and x.tolist() == [[1, 2.5], [2, 1], [3, 2.5]]
    assert y.tolist() == [["a", "b"], ["", ""], ["ä", "b"]]


WRONG_COLUMNS = {
    "missing": ((["a", "zz"], "y"), ValueError, r"must have the column 'zz' once, got the .*\['y'"),
    "target": ((["a"], "zz"), ValueError, "t.parquet must have the column 'zz' once"),
    "strings": ((["a", "y"], "d"), TypeError, "column 'y' must have numbers, got .*t.parquet"),
    "weights": ((["a"], "d", "y"), TypeError, "column 'y' must have numbers, got .*t.parquet"),
    "dates": (
        (["a"], "t"),
        TypeError,
        "column 't' must have numbers, strings or .*, got timestamp",
    ),
    "a name": (("a", "y"), TypeError, "features must be a list of names of columns, got 'a'"),
    "a number": (([0], "y"), TypeError, "features must have names of columns, got 0"),
    "none": (([], "y"), ValueError, r"features must have at least one column, got \[\]"),
    "twice": (
        (["a", "a"], "y"),
        ValueError,
        "features must have each column once, got 'a' 2 times",
    ),
    "both": ((["a", "d"], ["y", "d"]), ValueError, r"features must not have the target .*\['d'\]"),
    "weight too": ((["a"], "d", "d"), ValueError, "target and sample_weight must have each column"),
}


@pytest.mark.parametrize("name", WRONG_COLUMNS)
def test_wrong_columns(name, tmp_path):
    save(tmp_path / "t.parquet", y=LABELS, t=np.arange(N).astype("M8[s]"))
    given, error, message = WRONG_COLUMNS[name]
    with pytest.raises(error, match=message):
        from_parquet(tmp_path / "t.parquet", *given)


def test_wrong_parquet_files(tmp_path):
    save(tmp_path / "1.parquet", y=LABELS)
    save(tmp_path / "2.parquet", y=Y)
    with pytest.raises(ValueError, match=r"'y' must have one type .* object in .*1.parquet and fl"):
        from_parquet(tmp_path, FEATURES, "y")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=r"files \*\.parquet, got the folder .*folder without any"):
        from_parquet(tmp_path / "folder", FEATURES, "y")
    (tmp_path / "bad").write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match="bad cannot be read as a Parquet file"):
        from_parquet(tmp_path / "bad", FEATURES, "y")
    with pytest.raises(FileNotFoundError, match="none"):
        from_parquet(tmp_path / "none", FEATURES, "y")


def test_a_parquet_file_that_changes(tmp_path):
    source, *whole = parquet(tmp_path)
    path = tmp_path / "t.parquet"
    source.read(0, 3)
    data, time = path.read_bytes(), path.stat().st_mtime_ns
    path.write_bytes(bytes(len(data)))
    os.utime(path, ns=(time, time))
    with pytest.raises(ValueError, match=r"t\.parquet cannot be decoded: "):
        source.read(20, N)
    path.write_bytes(data + b" ")
    with pytest.raises(ValueError, match=r"t\.parquet has changed since the source was made"):
        source.read(20, N)
    path.write_bytes(data)
    os.utime(path, ns=(time, time))
    assert_rows(source.read(20, N), whole, 20, N)
    if os.name != "nt":  # where no file is removed that is open
        path.unlink()
        with pytest.raises(FileNotFoundError, match=r"t\.parquet"):
            source.read(0, N)


def test_missing_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'fastbp\[parquet\]'"):
        from_parquet("t.parquet", ["a"], "y")


def test_missing_pandas(monkeypatch, tmp_path):
    save(tmp_path / "t.parquet", y=Y)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="as_frame=True needs the package pandas"):
        from_parquet(tmp_path, FEATURES, "y", as_frame=True)


@pytest.mark.parametrize("group", [5000, 40_000])
def test_rows_are_decoded_once(group, tmp_path, monkeypatch):
    """Reads that follow one another decode each row once, in whatever lengths they are."""
    pyarrow, parquet_module = arrow_packages()
    n, decoded = 40_000, []
    table = {"a": np.arange(n), "y": np.arange(n)}
    parquet_module.write_table(pyarrow.table(table), tmp_path / "t.parquet", row_group_size=group)
    source = from_parquet(tmp_path, ["a"], "y")
    iter_batches = parquet_module.ParquetFile.iter_batches

    def counted(self, *args, **options):
        for batch in iter_batches(self, *args, **options):
            decoded.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(parquet_module.ParquetFile, "iter_batches", counted)
    for start in range(0, n, 777):
        stop = min(start + 777, n)
        assert source.read(start, stop)[1].tolist() == list(range(start, stop))
    assert sum(decoded) == n


MEMORY = """
import sys
import numpy, pyarrow.parquet
from fastbp.blocks import from_parquet

def anonymous():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))

folder, n = sys.argv[1], int(sys.argv[2])
before, peak = anonymous(), 0
source = from_parquet(folder, list("bcdefghij"), "a")
for start in range(0, n, 10_000):
    source.read(start, start + 10_000)
    peak = max(peak, anonymous())
print((peak - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory in /proc")
def test_memory_of_a_large_row_group(tmp_path):
    """It is decoded in small parts; its 120 MB are never in memory as a whole."""
    pyarrow, parquet_module = arrow_packages()
    n = 1_500_000
    table = {name: np.random.RandomState(k).rand(n) for k, name in enumerate("abcdefghij")}
    parquet_module.write_table(pyarrow.table(table), tmp_path / "t.parquet", row_group_size=n)
    command = [sys.executable, "-c", MEMORY, str(tmp_path), str(n)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 100e6


def test_two_threads_may_read(tmp_path):
    source, *whole = parquet(tmp_path)
    errors = []

    def read(seed):
        try:
            for start, stop in np.sort(np.random.RandomState(seed).randint(0, N + 1, (100, 2))):
                if start < stop:
                    assert_rows(source.read(start, stop), whole, start, stop)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


# ---- quiet


def test_the_room_imports_numpy_alone():
    """Neither pyarrow nor dask, pandas or SciPy."""
    program = (
        "import fastbp, sys; before = set(sys.modules)\n"
        "import fastbp.blocks\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    packages = {name.split(".")[0] for name in done.stdout.split()}
    assert packages - set(sys.stdlib_module_names) <= {"fastbp", "numpy"}


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_reads_of_parquet_start_no_thread_and_import_no_pandas(tmp_path):
    save(tmp_path / "t.parquet", ("float32", "int64", "bool"), y=LABELS)
    program = (
        "import os, sys, pyarrow.parquet; from fastbp.blocks import from_parquet\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        f"from_parquet({str(tmp_path)!r}, {FEATURES}, 'y').read(0, {N})\n"
        "print(len(os.listdir('/proc/self/task')) - before, 'pandas' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "0 False\n"
