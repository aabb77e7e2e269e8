"""Files: written whole or not at all, read from paths, maps and file objects."""

import io
import os
import pickle
import stat
import threading
from contextlib import suppress

import numpy as np
import pytest

import fastbp
from fastbp import MLPClassifier, MLPRegressor, ModelFileError
from fastbp import graph as fg
from fastbp.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from fastbp.estimators import model_file
from fastbp.files import atomic, container
from fastbp.tabular import TabularMLPClassifier, TabularMLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX")
rng = np.random.RandomState(0)
X, Y = rng.randn(60, 4), np.arange(60) % 3
SMALL = dict(hidden_layer_sizes=(5,), max_iter=2, random_state=0)


@pytest.fixture(scope="module")
def model():
    return MLPClassifier(**SMALL).fit(X, Y)


def same(one, other):
    return (one.predict_proba(X) == other.predict_proba(X)).all()


# ---- writing


@pytest.mark.parametrize("name", ["write", "fsync", "replace"])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(name, model, tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.write_bytes(b"old")

    def fails(*_):
        raise KeyboardInterrupt

    if name == "write":
        monkeypatch.setattr(container, "_digits", fails)
    else:
        monkeypatch.setattr(os, name, fails)
    with pytest.raises(KeyboardInterrupt):
        model.save(path)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["model"]


@posix
def test_a_new_file_has_the_permissions_of_any_new_file(model, tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    model.save(tmp_path / "model")
    assert (tmp_path / "model").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_error_of_the_package_is_an_oserror(model, tmp_path, monkeypatch):
    import safetensors.numpy

    def fails(*_):
        raise safetensors.SafetensorError("No space left on device")

    monkeypatch.setattr(safetensors.numpy, "save_file", fails)
    with pytest.raises(OSError, match="No space"):
        model.save(tmp_path / "model")
    assert not os.listdir(tmp_path)


@posix
def test_links_and_permissions_stay(model, tmp_path):
    path, link = tmp_path / "model", tmp_path / "link"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    model.save(link)
    assert link.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert same(fastbp.load(path), model)


def test_folders_and_missing_folders(model, tmp_path):
    for path in (tmp_path, tmp_path / "no" / "model"):
        with pytest.raises(OSError) as caught:
            model.save(path)
        assert caught.value.filename == str(path)
        with pytest.raises(OSError):
            fastbp.load(path)
    assert not os.listdir(tmp_path)


def test_the_same_model_gives_the_same_bytes(model):
    first, second = io.BytesIO(), io.BytesIO()
    model.save(first)
    model.save(second)
    assert first.getvalue() == second.getvalue()


def test_a_model_too_large_for_a_header(model, tmp_path, monkeypatch):
    monkeypatch.setattr(container, "MOST_VALUES", 50)
    with pytest.raises(ValueError, match="too large for a model file"):
        model.save(tmp_path / "model")
    assert not os.listdir(tmp_path)


@posix
@pytest.mark.parametrize("length", [1, 250, 255])
def test_names_of_all_lengths(length, model, tmp_path):
    model.save(tmp_path / ("a" * length))
    assert same(fastbp.load(tmp_path / ("a" * length)), model)


@posix
def test_the_file_beside_is_always_a_new_one(model, tmp_path, monkeypatch):
    """Whoever may write the folder could have put a link to another file there."""
    precious = tmp_path / "precious"
    precious.write_bytes(b"old")
    monkeypatch.setattr(os, "urandom", bytes)
    link = tmp_path / f".{bytes(8).hex()}.tmp"
    link.symlink_to(precious)
    with pytest.raises(FileExistsError):
        model.save(tmp_path / "model")
    assert precious.read_bytes() == b"old" and link.is_symlink()


class Slow(io.RawIOBase):
    """A file without a buffer that takes some bytes at a time."""

    def __init__(self, most):
        self.most, self.data = most, b""

    def writable(self):
        return True

    def write(self, data):
        if self.most is None:
            return None
        self.data += bytes(data[: self.most])
        return min(len(data), self.most)


def test_a_file_object_that_takes_a_part_at_a_time(model):
    file, whole = Slow(1000), io.BytesIO()
    model.save(file)
    model.save(whole)
    assert file.data == whole.getvalue()
    with pytest.raises(BlockingIOError, match="was not saved"):
        model.save(Slow(None))


# ---- reading


def test_file_objects(model, tmp_path):
    path = tmp_path / "model"
    with open(path, "wb") as file:
        file.write(b"before")
        model.save(file)
    with open(path, "rb") as file:
        assert file.read(6) == b"before"
        assert same(fastbp.load(file), model)
    with pytest.raises(TypeError, match="binary file object"):
        fastbp.load(io.StringIO("text"))
    with pytest.raises(TypeError, match="binary file object"):
        fastbp.load(3)
    with pytest.raises(TypeError, match="binary file object"):
        model.save(3)
    with pytest.raises(ValueError, match="mmap=True needs the path"):
        fastbp.load(io.BytesIO(), mmap=True)


@posix
def test_pipes(model, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=model.save, args=(path,))
    writer.start()
    assert same(fastbp.load(path), model)
    writer.join()


def test_a_mapped_model_outlives_its_file_and_does_not_write_it(model, tmp_path):
    path = tmp_path / "model"
    model.save(path)
    before = path.read_bytes()
    mapped = fastbp.load(path, mmap=True)
    mapped.partial_fit(X, Y)
    mapped.coefs_[0][:] = 1
    assert path.read_bytes() == before
    mapped = fastbp.load(path, mmap=True)
    if os.name == "posix":
        path.unlink()
    assert same(mapped, model)
    assert same(pickle.loads(pickle.dumps(mapped)), model)


def test_loading_copies_no_state(model, tmp_path):
    """State and weights are views of the bytes that were read."""
    path = tmp_path / "model"
    model.save(path)
    loaded = fastbp.load(path)
    whole = loaded._optimizer.state
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    assert whole.nbytes == path.stat().st_size
    assert np.shares_memory(whole, loaded.coefs_[0])


# Windows opens no file in the moment in which it gets another name.
REFUSALS = (PermissionError,) if os.name == "nt" else ()


def test_readers_beside_a_writer_see_whole_files(model, tmp_path):
    path, stop, errors, n_loaded = tmp_path / "model", threading.Event(), [], 0
    model.save(path)

    def write():
        while not stop.is_set():
            model.save(path)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(30):
            with suppress(*REFUSALS):
                assert same(fastbp.load(path), model)
                n_loaded += 1
    except ModelFileError as error:
        errors.append(error)
    finally:
        stop.set()
        writer.join()
    assert not errors and n_loaded >= (1 if REFUSALS else 30)


@pytest.mark.parametrize("n_refusals", [0, 1, 3, 10**9])
def test_a_save_waits_where_an_open_file_is_not_replaced(n_refusals, model, tmp_path, monkeypatch):
    """As on Windows, but for a second only."""
    path, replace, calls = tmp_path / "model", os.replace, []
    path.write_text("old")

    def refused(new, old):
        calls.append(new)
        if len(calls) <= n_refusals:
            raise PermissionError(13, "Access denied", str(new), None, str(old))
        replace(new, old)

    monkeypatch.setattr(atomic, "PATIENCE", 0.1)
    monkeypatch.setattr(atomic, "IS_WINDOWS", True)
    monkeypatch.setattr(os, "replace", refused)
    if n_refusals < 4:
        model.save(path)
        assert len(calls) == n_refusals + 1 and same(fastbp.load(path), model)
    else:
        with pytest.raises(PermissionError) as caught:
            model.save(path)
        assert caught.value.filename == str(path) and len(calls) > 2
        assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["model"]


@pytest.mark.skipif(os.name == "nt", reason="there no file is replaced that is open")
def test_a_file_that_is_replaced_while_it_is_opened(model, tmp_path, monkeypatch):
    """The package opens the path by itself, and perhaps another file than was opened here."""
    path, other = tmp_path / "model", MLPClassifier(**{**SMALL, "hidden_layer_sizes": (9,)})
    model.save(path)
    other.fit(X, Y)
    ask, calls = container._ask_package, []

    def replaced_first(name):
        calls.append(name)
        if len(calls) == 1:
            other.save(path)
        return ask(name)

    monkeypatch.setattr(container, "_ask_package", replaced_first)
    assert same(fastbp.load(path), other) and len(calls) == 2


def test_a_file_that_is_written_in_place_while_it_is_opened(tmp_path, monkeypatch):
    """The description of one model is not taken for the weights of the next."""
    path = tmp_path / "model"
    MLPClassifier(**SMALL).fit(X, np.array(["a", "b", "c"])[Y]).save(path)
    other = path.read_bytes().replace(b'[\\"a\\",', b'[\\"A\\",')
    at, ask = container.DIGITS, container._ask_package
    other = other[: at.start] + container._checksum(memoryview(other)) + other[at.stop :]

    def written_then(name):
        found = ask(name)
        path.write_bytes(other)
        return found

    monkeypatch.setattr(container, "_ask_package", written_then)
    with pytest.raises(ModelFileError, match="changed while it was read"):
        fastbp.load(path, mmap=True)
    monkeypatch.undo()
    assert fastbp.load(path).classes_.tolist() == ["A", "b", "c"]


def test_a_save_that_a_fit_overtakes_is_of_the_later_moment(monkeypatch):
    model = MLPClassifier(**SMALL).partial_fit(X, Y, classes=[0, 1, 2])
    take, calls = model_file.of_one_moment, []

    def overtaken_first(estimator):
        draft = take(estimator)
        calls.append(draft)
        if len(calls) == 1:
            estimator.partial_fit(X, Y)
        return draft

    monkeypatch.setattr(model_file, "of_one_moment", overtaken_first)
    file = io.BytesIO()
    model.save(file)
    file.seek(0)
    loaded = fastbp.load(file)
    assert same(loaded, model) and loaded._optimizer.t == model._optimizer.t == 2
    assert loaded.loss_curve_ == model.loss_curve_


def test_a_save_beside_training_is_of_one_moment():
    model = MLPClassifier(**SMALL).partial_fit(X, Y, classes=[0, 1, 2])
    stop = threading.Event()

    def train():
        while not stop.is_set():
            model.partial_fit(X, Y)

    trainer = threading.Thread(target=train)
    trainer.start()
    try:
        for _ in range(20):
            file = io.BytesIO()
            model.save(file)
            file.seek(0)
            loaded = fastbp.load(file)
            assert loaded.t_ == len(X) * len(loaded.loss_curve_)
            assert loaded._optimizer.t == len(loaded.loss_curve_)
    finally:
        stop.set()
        trainer.join()


# ---- ensembles and tabular models

TABLE = [[float(a), ["x", "y", "zz"][k % 3], None if k % 9 else 1.5] for k, a in enumerate(X[:, 0])]
TABULAR = dict(hidden_layer_sizes=(5,), n_members=2, max_iter=3, random_state=0, n_bins=3)
SEVERAL = {
    "classifiers": lambda: MLPEnsembleClassifier(MLPClassifier(**SMALL), n_members=2).fit(X, Y),
    "of defaults": lambda: MLPEnsembleRegressor(n_members=2, bootstrap=True, random_state=0).fit(
        X, Y
    ),
    "gaussian": lambda: MLPEnsembleRegressor(
        MLPRegressor("gaussian", (4,), max_iter=2, activation=[lambda z: z * fg.sigmoid(z)])
    ).fit(X, X[:, :2]),
    "targets": lambda: MLPEnsembleClassifier(MLPClassifier(**SMALL), n_members=2).fit(
        X, np.stack([Y, Y % 2], 1)
    ),
    "tables": lambda: TabularMLPClassifier(**TABULAR).fit(TABLE, np.array(["a", "b", "c"])[Y]),
    "formula": lambda: TabularMLPRegressor(**TABULAR, activation=lambda z: fg.tanh(z)).fit(
        TABLE, Y
    ),
    "quantiles": lambda: TabularMLPRegressor(**TABULAR, loss="quantile", quantile=[0.1, 0.9]).fit(
        TABLE, X[:, 0]
    ),
    "noise": lambda: TabularMLPRegressor(**TABULAR, loss="gaussian").fit(TABLE, X[:, :2]),
    "held out": lambda: TabularMLPClassifier(**TABULAR).fit(TABLE, Y, X_val=TABLE[:9], y_val=Y[:9]),
    "scored": lambda: TabularMLPClassifier(**TABULAR, scoring="neg_log_loss").fit(TABLE, Y),
}


def all_of(model):
    """All that a model predicts."""
    rows = TABLE if hasattr(model, "transformer_") else X
    found = [model.predict(rows)]
    for name in ("predict_proba", "predict_members"):
        if hasattr(model, name):
            part = getattr(model, name)(rows)
            found += part if isinstance(part, list) else [part]
    if "Regressor" in type(model).__name__:
        found += model.predict(rows, return_std=True)
    if hasattr(model, "predict_interval") and getattr(model, "loss", "") != "quantile":
        found += model.predict_interval(rows, 0.5)
    return [(part.dtype, part.shape, part.tobytes()) for part in found]


@pytest.mark.parametrize("name", SEVERAL)
def test_models_of_several_networks(name, tmp_path):
    path, model = tmp_path / "model", SEVERAL[name]()
    model.save(path)
    loaded = fastbp.load(path)
    assert type(loaded) is type(model) and all_of(loaded) == all_of(model)
    assert vars(loaded).keys() == vars(model).keys()
    for attribute, value in vars(model).items():
        if attribute not in ("activation", "estimator"):  # with formulas
            assert type(getattr(loaded, attribute)) is type(value), attribute
    for attribute in ("oof_score_", "temperature_", "classes_", "best_epochs_", "oof_prediction_"):
        if hasattr(model, attribute):
            np.testing.assert_equal(getattr(loaded, attribute), getattr(model, attribute))
    if hasattr(model, "transformer_"):
        names = [one.transformer_.get_feature_names_out().tolist() for one in (model, loaded)]
        assert names[0] == names[1]
        text = [[None, "unknown", None]]
        assert (loaded.predict(text) == model.predict(text)).all()


def test_out_of_fold_results_may_be_left_out(tmp_path):
    path, model = tmp_path / "model", TabularMLPRegressor(**TABULAR).fit(TABLE, X[:, 0])
    model.save(path)
    size = path.stat().st_size
    model.save(path, training=False, out_of_fold=False)
    assert path.stat().st_size <= size - 2 * 8 * len(TABLE)
    loaded = fastbp.load(path)
    assert loaded.oof_prediction_ is None and loaded.oof_score_ == model.oof_score_
    assert (loaded.predict(TABLE) == model.predict(TABLE)).all()
    with pytest.raises(ValueError, match="out_of_fold=False"):
        loaded.predict_interval(TABLE)


def test_frames(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(TABLE, columns=["number", "text", "rare"])
    frame["kind"] = pd.Categorical(Y)
    model = TabularMLPClassifier(**TABULAR).fit(frame, Y > 0)
    model.transformer_.set_output(transform="pandas")
    model.save(tmp_path / "model")
    loaded = fastbp.load(tmp_path / "model")
    assert loaded.feature_names_in_.tolist() == [*frame]
    assert (loaded.predict_proba(frame) == model.predict_proba(frame)).all()
    pd.testing.assert_frame_equal(
        loaded.transformer_.transform(frame), model.transformer_.transform(frame)
    )


def test_levels_that_a_file_cannot_hold(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": X[:, 0], "b": pd.Categorical(pd.to_datetime(["2020", "2021"] * 30))})
    model = TabularMLPClassifier(**TABULAR).fit(frame, Y)
    with pytest.raises(TypeError, match=r"transformer_\.categories\.0\.levels holds a Timestamp"):
        model.save(tmp_path / "model")


class Sub(MLPRegressor):
    pass


def test_subclasses_in_an_ensemble(tmp_path):
    model = MLPEnsembleRegressor(Sub(**SMALL), n_members=2).fit(X, Y)
    with pytest.raises(TypeError, match="estimator is a Sub"):
        model.save(tmp_path / "model")
    assert not os.listdir(tmp_path)
