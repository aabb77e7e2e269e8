"""Callbacks: scikit-learn's protocol, alone and inside of other estimators, and those of fastbp."""

import _thread
import gc
import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import types
import warnings
import weakref

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastbp
from fastbp import MLPClassifier, MLPRegressor
from fastbp.callbacks import Checkpoint, LogTo, StopWhen
from fastbp.estimators import callbacks as own
from fits import bits
from ids import plain

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

NEW = tuple(int(part) for part in sklearn.__version__.split(".")[:2]) >= (1, 9)
needs_new = pytest.mark.skipif(not NEW, reason="scikit-learn has no callbacks before 1.9")
rng = np.random.RandomState(0)
X, X_VAL = rng.randn(100, 4), rng.randn(30, 4)
Y, Y_VAL = X[:, :3].argmax(axis=1), X_VAL[:, :3].argmax(axis=1)
W = rng.rand(100) + 0.1
SMALL = dict(hidden_layer_sizes=(5,), max_iter=4, random_state=0, batch_size=30)
BOTH = pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])


OF_NO_CONTEXT = {
    "test_a_checkpoint_is_the_fit_that_ended_there",
    "test_a_checkpoint_of_lbfgs",
    "test_every_and_best_only",
    "test_without_callbacks_none_of_it_is_imported",
    "test_clones_and_pickles",
    "test_kill_9_leaves_a_whole_file_that_can_be_resumed",
    "test_a_folder_that_is_missing_fails_the_fit_and_leaves_nothing",
    "test_in_a_pipeline_and_in_cross_validation",
    "test_log_to",
    "test_verbose_2_shows_the_progress",
}


@pytest.fixture(params=["installed", "older"], autouse=True)
def support(request, monkeypatch):
    """With scikit-learn's contexts, and with ours for its older versions."""
    if request.param == "older":
        if request.function.__name__ in OF_NO_CONTEXT:
            pytest.skip("once is enough: it does not depend on the contexts")
        monkeypatch.setattr(own, "callback_support", lambda: None)
    return request.param


class Recorder:
    """Keeps what the hooks get."""

    def __init__(self, fail_at=None, error=ValueError):
        self.calls, self.fail_at, self.error = [], fail_at, error

    def _note(self, hook, estimator, context, **kwargs):
        self.calls.append((hook, context.task_name, context.task_id, kwargs, estimator))
        if self.fail_at == (hook, context.task_name):
            raise self.error("mine")

    def setup(self, estimator, context):
        self._note("setup", estimator, context)

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self._note("begin", estimator, context, X=X, y=y, metadata=metadata)

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        kwargs = dict(X=X, y=y, metadata=metadata, fitted=fitted_estimator)
        self._note("end", estimator, context, **kwargs)

    def teardown(self, estimator, context):
        self._note("teardown", estimator, context)

    @property
    def order(self):
        return [call[:3] for call in self.calls]


def order_of(n_epochs, task):
    epochs = [(hook, task, k) for k in range(n_epochs) for hook in ("begin", "end")]
    return [
        ("setup", "fit", 0), ("begin", "fit", 0), *epochs, ("end", "fit", 0), ("teardown", "fit", 0)
    ]  # fmt: skip


@BOTH
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_order_and_arguments_of_the_hooks(cls, solver):
    recorder = Recorder()
    model = cls(**SMALL, solver=solver)
    plain = clone(model).fit(X, Y, W)
    assert model.set_callbacks(recorder) is model
    model.fit(X, Y, W)
    assert recorder.order == order_of(4, "iteration" if solver == "lbfgs" else "epoch")
    assert bits(model) == bits(plain)
    (seen,) = {id(call[4]) for call in recorder.calls}  # one object, and not the estimator
    assert seen != id(model)
    for hook, _, _, kwargs, _ in recorder.calls:
        if hook in ("begin", "end"):
            assert kwargs["X"] is X
            assert kwargs["y"] is Y
            assert kwargs["metadata"] == {"sample_weight": W}
    ends = [call for call in recorder.calls if call[:2] != ("end", "fit") and call[0] == "end"]
    for k, call in enumerate(ends):
        fitted = call[3]["fitted"]
        twin = clone(plain).set_params(max_iter=k + 1).fit(X, Y, W)
        np.testing.assert_array_equal(fitted.predict(X), twin.predict(X))
        assert fitted.n_iter_ == k + 1
        assert "_skl_callbacks" not in vars(fitted)
    last = recorder.calls[-2][3]["fitted"]
    np.testing.assert_array_equal(last.predict(X), model.predict(X))
    recorder.calls.clear()
    model.fit(X, Y)
    assert {call[3].get("metadata") for call in recorder.calls} == {None}


@pytest.mark.parametrize("early_stopping", [False, True])
def test_curves_and_weights_are_live(early_stopping):
    seen = []

    def look(estimator):
        n = estimator.n_iter_
        lists = (estimator.loss_curve_, estimator.validation_scores_)
        assert [len(one) for one in lists] == [n, n]
        assert estimator.t_ == n * 100
        assert estimator.score(X_VAL, Y_VAL) == estimator.validation_scores_[-1]
        with pytest.raises(RuntimeError, match="already fitting"):
            estimator.fit(X, Y)
        seen.append(estimator.predict_proba(X))

    model = MLPClassifier(**SMALL, early_stopping=early_stopping).set_callbacks(StopWhen(look))
    model.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    assert len(seen) == 4
    assert not np.array_equal(seen[0], seen[1])
    if not early_stopping:
        np.testing.assert_array_equal(seen[-1], model.predict_proba(X))


def test_hooks_and_scorers_see_the_averaged_weights():
    seen = []

    def look(estimator, *_):
        seen.append(estimator.predict_proba(X))
        return 0.0

    options = dict(SMALL, ema_decay=0.5, learning_rate_init=0.1)
    model = MLPClassifier(**options, scoring=look)
    model.set_callbacks(StopWhen(look)).fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    for k in range(4):
        twin = MLPClassifier(**{**options, "max_iter": k + 1}).fit(X, Y)
        for proba in seen[2 * k : 2 * k + 2]:
            np.testing.assert_array_equal(proba, twin.predict_proba(X))


def test_a_fit_with_callbacks_keeps_no_data():
    x = X.copy()
    known = weakref.ref(x)
    gc.disable()
    try:
        model = MLPClassifier(**SMALL).set_callbacks(StopWhen(lambda _: False)).fit(x, Y)
        model.set_callbacks()
        del x
        assert known() is None
    finally:
        gc.enable()


def test_hooks_see_nothing_of_the_last_fit():
    pandas = pytest.importorskip("pandas")
    seen = []

    def look(estimator):
        assert not hasattr(estimator, "feature_names_in_")
        seen.append((estimator.loss_, estimator.best_loss_, estimator.best_validation_score_))

    model = MLPClassifier(**SMALL).fit(pandas.DataFrame(X, columns=list("abcd")), Y)
    model.set_params(learning_rate_init=1e-6).set_callbacks(StopWhen(look)).fit(X, Y)
    curve = model.loss_curve_
    assert seen == [(curve[k], min(curve[: k + 1]), None) for k in range(4)]


def test_weights_that_a_hook_writes_are_trained_on():
    """Max-norm: the weights of each unit have a norm of 1 at most after each epoch."""

    def project(estimator):
        for weights in estimator.coefs_:
            weights /= np.maximum(1, np.linalg.norm(weights, axis=0))

    model = MLPClassifier(**SMALL, learning_rate_init=0.1).set_callbacks(StopWhen(project))
    model.fit(X, Y)
    assert max(np.linalg.norm(w, axis=0).max() for w in model.coefs_) <= 1 + 1e-12
    plain = clone(model).set_callbacks().fit(X, Y)
    assert max(np.linalg.norm(w, axis=0).max() for w in plain.coefs_) > 1.01


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_hook_may_stop_the_fit(solver):
    model = MLPClassifier(**SMALL, solver=solver)
    stopper = StopWhen(lambda estimator: estimator.n_iter_ == 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_callbacks(stopper).fit(X, Y)
    assert (model.n_iter_, model.stop_reason_) == (2, "callback")
    assert bits(model) == bits(clone(model).set_callbacks().set_params(max_iter=2).fit(X, Y))
    if solver == "adam":
        whole = clone(model).set_callbacks().fit(X, Y)
        assert bits(model.set_callbacks().resume(X, Y)) == bits(whole)


HOOK_TASKS = [
    ("setup", "fit"),
    ("begin", "fit"),
    ("begin", "epoch"),
    ("end", "epoch"),
    ("end", "fit"),
    ("teardown", "fit"),
]


@pytest.mark.parametrize("error", [ValueError, StopIteration, KeyboardInterrupt])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("where", HOOK_TASKS, ids=str)
def test_a_hook_that_raises(where, solver, error):
    hook, task = where
    task = "iteration" if task == "epoch" and solver == "lbfgs" else task
    recorder = Recorder(fail_at=(hook, task), error=error)
    other = Recorder()
    model = MLPClassifier(**SMALL, solver=solver).fit(X, Y)
    before, n_threads = bits(model), threading.active_count()
    model.set_callbacks(recorder, other)
    is_stop = error is KeyboardInterrupt and task == "epoch"  # as Ctrl-C between two epochs
    if is_stop:
        model.fit(X, Y)
        assert model.stop_reason_ == "interrupt"
    else:
        with pytest.raises((error, RuntimeError)):
            model.fit(X, Y)
        # After Ctrl-C lbfgs keeps the last iterate, and raises.
        is_kept = error is KeyboardInterrupt and task == "iteration"
        assert (bits(model) == before) != is_kept
    for one in (recorder, other):
        hooks = [call[0] for call in one.calls]
        if error is not KeyboardInterrupt or hook != "teardown":
            assert hooks.count("teardown") == hooks.count("setup")
    assert threading.active_count() == n_threads
    model.set_callbacks().fit(X, Y)


def test_a_fit_that_fails_or_is_interrupted_tears_down(heeds_sigint):
    recorder = Recorder()
    model = MLPRegressor(
        hidden_layer_sizes=(5,), solver="sgd", learning_rate_init=1e200, random_state=0
    ).set_callbacks(recorder)
    with pytest.raises(ValueError, match="finite"):
        model.fit(X, Y)
    assert recorder.order[-1] == ("teardown", "fit", 0)
    recorder.calls.clear()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, Y[:5])
    assert recorder.calls == []
    x, y = np.tile(X, (600, 1)), np.tile(Y, 600)
    timer = threading.Timer(0.1, _thread.interrupt_main)
    recorder = Recorder()
    model = MLPClassifier((50,), max_iter=10**5, tol=0).set_callbacks(recorder)
    timer.start()
    model.fit(x, y)
    assert model.stop_reason_ == "interrupt"
    assert recorder.order[-1] == ("teardown", "fit", 0)


@pytest.mark.parametrize(
    "wrong",
    [Recorder, object(), None, 1, len, Checkpoint, type("T", (), {"setup": 1})()],
    ids=plain,
)
def test_what_is_no_callback_is_refused(wrong):
    with pytest.raises(TypeError, match=r"^callbacks must be instances following the FitCallback"):
        MLPClassifier().set_callbacks(Recorder(), wrong)


def test_hooks_with_unknown_parameters_are_refused():
    class Wrong(Recorder):
        def on_fit_task_begin(self, estimator, context, *, weights):
            pass

    with pytest.raises(TypeError, match="not valid"):
        MLPClassifier(**SMALL).set_callbacks(Wrong()).fit(X, Y)


def test_clones_and_pickles():
    model = MLPClassifier(**SMALL).set_callbacks(Recorder())
    if NEW:
        assert clone(model)._skl_callbacks == model._skl_callbacks
    assert len(pickle.loads(pickle.dumps(model))._skl_callbacks) == 1
    model.set_callbacks(StopWhen(lambda estimator: False)).fit(X, Y)  # which no pickle takes
    loaded = pickle.loads(pickle.dumps(model))
    assert bits(loaded) == bits(model)
    assert not {"_skl_callbacks", "_live", "_callback_fit_ctx"} & vars(loaded).keys()
    assert not {"_live", "_callback_fit_ctx"} & vars(model).keys()
    for callback in (Checkpoint("x", every=3, best_only=True), StopWhen(len), LogTo(max)):
        assert vars(pickle.loads(pickle.dumps(callback))) == vars(callback)


def test_partial_fit_calls_no_callback():
    recorder = Recorder()
    model = MLPClassifier(**SMALL).set_callbacks(recorder)
    model.partial_fit(X, Y, classes=[0, 1, 2])
    assert recorder.calls == []


def test_without_callbacks_none_of_it_is_imported():
    program = (
        "import sys, numpy as np; from fastbp import MLPClassifier\n"
        "import warnings; warnings.simplefilter('ignore')\n"
        "before = 'sklearn.callback._callback_context' in sys.modules\n"
        "MLPClassifier(max_iter=2)._job(np.eye(4), [0, 1, 0, 1])\n"
        "print('fastbp.callbacks' in sys.modules, before)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert done.stdout.split() == [b"False", b"False"]


# ---- inside of other estimators


@needs_new
def test_in_a_pipeline_and_in_cross_validation(support):
    recorder = Recorder()
    pipe = make_pipeline(StandardScaler(), MLPClassifier(**SMALL).set_callbacks(recorder))
    pipe.fit(X, Y)
    names = [call[:2] for call in recorder.calls]
    assert names.count(("end", "epoch")) == 4
    assert names.count(("setup", "fit")) == names.count(("teardown", "fit")) == 1
    recorder.calls.clear()
    cross_val_score(MLPClassifier(**SMALL).set_callbacks(recorder), X, Y, cv=3)
    names = [call[:2] for call in recorder.calls]
    assert names.count(("end", "epoch")) == 12
    assert names.count(("setup", "fit")) == names.count(("teardown", "fit")) == 3


@needs_new
@pytest.mark.parametrize("n_jobs, backend", [(1, "loky"), (2, "threading"), (2, "loky")])
def test_guests_of_scikit_learn_in_a_search(n_jobs, backend, support):
    if support == "older":
        pytest.skip("the contexts of a search are scikit-learn's")
    import joblib
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="accuracy")
    inner = MLPClassifier(**SMALL)
    with joblib.parallel_backend(backend):
        search = GridSearchCV(
            inner.set_callbacks(monitor), {"alpha": [0.1, 1.0]}, cv=2, n_jobs=n_jobs
        ).fit(X, Y)
    deadline = time.time() + 20
    while time.time() < deadline:
        rows = monitor.get_logs().data if monitor._log else []
        if len([row for row in rows if row["task_name"] == "epoch"]) >= 20:
            break
        time.sleep(0.05)
    epochs = [row for row in rows if row["task_name"] == "epoch"]
    assert len(epochs) == 5 * 4  # four fits of the search and the last one
    assert all(0 <= row["accuracy"] <= 1 for row in epochs)
    assert bits(search.best_estimator_) == bits(
        clone(search.best_estimator_).set_callbacks().fit(X, Y)
    )


@needs_new
def test_the_progress_bar_of_scikit_learn(support):
    if support == "older":
        pytest.skip("the bar needs scikit-learn's contexts")
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    before = threading.active_count()
    plain = MLPClassifier(**SMALL).fit(X, Y)
    model = MLPClassifier(**SMALL).set_callbacks(ProgressBar()).fit(X, Y)
    assert bits(model) == bits(plain)
    GridSearchCV(MLPClassifier(**SMALL), {"alpha": [0.1, 1.0]}, cv=2).set_callbacks(
        ProgressBar()
    ).fit(X, Y)
    deadline = time.time() + 10
    kept = 2  # for each fit scikit-learn 1.9 keeps a thread that accepts connections
    while threading.active_count() > before + kept and time.time() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before + kept


# ---- Checkpoint


def all_of(model):
    names = ("loss_curve_", "validation_scores_", "n_iter_", "t_", "best_validation_score_")
    return bits(model), [getattr(model, name) for name in names]


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@BOTH
def test_a_checkpoint_is_the_fit_that_ended_there(cls, dtype, early_stopping, tmp_path):
    y = Y * (1 if cls is MLPClassifier else 1e5)  # of which float32 is too coarse in training
    x = X.astype(dtype)
    options = dict(SMALL, max_iter=8, early_stopping=early_stopping, learning_rate_init=0.05)
    options |= dict(ema_decay=0.7) if dtype == np.float64 else {}
    model = cls(**options)
    model.set_callbacks(Checkpoint(tmp_path / "at-{epoch}.safetensors")).fit(x, y)
    whole = cls(**options).fit(x, y)
    assert all_of(model) == all_of(whole)
    assert len(list(tmp_path.iterdir())) == 8
    for k in range(1, 9):
        saved = fastbp.load(tmp_path / f"at-{k}.safetensors")
        twin = clone(whole).set_params(max_iter=k).fit(x, y)
        assert all_of(saved) == all_of(twin)
        assert saved.stop_reason_ == "callback"
        assert all_of(saved.resume(x, y)) == all_of(whole)


SCORES = []


def next_score(estimator, X, y):
    return SCORES.pop(0)


def test_a_checkpoint_of_lbfgs(tmp_path):
    path = tmp_path / "at-{epoch}.safetensors"
    model = MLPClassifier(**SMALL, solver="lbfgs").set_callbacks(Checkpoint(path)).fit(X, Y)
    for k in range(1, 5):
        saved = fastbp.load(tmp_path / f"at-{k}.safetensors")
        twin = clone(model).set_callbacks().set_params(max_iter=k).fit(X, Y)
        np.testing.assert_array_equal(saved.predict_proba(X), twin.predict_proba(X))
        assert saved.n_iter_ == k
    assert saved.loss_ == model.loss_


def test_a_path_of_any_class(tmp_path):
    class Place:
        def __fspath__(self):
            return str(tmp_path / "at-{epoch}")

    MLPClassifier(**{**SMALL, "max_iter": 2}).set_callbacks(Checkpoint(Place())).fit(X, Y)
    assert sorted(os.listdir(tmp_path)) == ["at-1", "at-2"]


def test_every_and_best_only(tmp_path):
    path = tmp_path / "at-{epoch}.safetensors"
    MLPClassifier(**{**SMALL, "max_iter": 7}).set_callbacks(Checkpoint(path, every=3)).fit(X, Y)
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "at-3.safetensors",
        "at-6.safetensors",
    ]
    path = tmp_path / "best.safetensors"
    SCORES[:] = [0.1, 0.5, 0.3, 0.5, 0.2]
    model = MLPClassifier(**{**SMALL, "max_iter": 5}, scoring=next_score)
    model.set_callbacks(Checkpoint(path, best_only=True))
    with pytest.raises(TypeError, match=r"scoring is .*training=False"):
        model.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    assert len(SCORES) == 5  # it was said before the first epoch
    model.set_callbacks(Checkpoint(path, best_only=True, training=False))
    model.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    assert fastbp.load(path).n_iter_ == 2


@pytest.mark.parametrize("every", [0, -1, 1.5, None])
def test_wrong_arguments(every):
    with pytest.raises(ValueError, match="every must be an integer"):
        Checkpoint("x", every=every)
    with pytest.raises(TypeError, match="condition must be callable"):
        StopWhen(1)
    with pytest.raises(TypeError, match="function must be callable"):
        LogTo(None)


def test_a_folder_that_is_missing_fails_the_fit_and_leaves_nothing(tmp_path):
    model = MLPClassifier(**SMALL).set_callbacks(Checkpoint(tmp_path / "no" / "x.pickle"))
    with pytest.raises(FileNotFoundError):
        model.fit(X, Y)
    assert not hasattr(model, "coefs_")
    (tmp_path / "folder").mkdir()
    model.set_callbacks(Checkpoint(tmp_path / "folder"))
    with pytest.raises(OSError):
        model.fit(X, Y)
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]


@pytest.mark.skipif(os.name != "posix", reason="file modes of POSIX")
def test_the_mode_of_the_file_is_that_of_open(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    MLPClassifier(**SMALL).set_callbacks(Checkpoint(tmp_path / "x")).fit(X, Y)
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "plain").stat().st_mode


TRAINS_UNTIL_KILLED = """
import sys, warnings
import numpy as np
from fastbp import MLPClassifier
from fastbp.callbacks import Checkpoint
warnings.simplefilter("ignore")
X = np.random.RandomState(0).randn(100, 4)
model = MLPClassifier((20,), random_state=0, max_iter=10**6, tol=0, n_iter_no_change=10**6)
model.set_callbacks(Checkpoint(sys.argv[1])).fit(X, X[:, :3].argmax(axis=1))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kill -9 is of POSIX")
def test_kill_9_leaves_a_whole_file_that_can_be_resumed(tmp_path, support):
    if support == "older":
        pytest.skip("once is enough")
    path = tmp_path / "model.safetensors"
    x = np.random.RandomState(0).randn(100, 4)
    y = x[:, :3].argmax(axis=1)
    for delay in (0.01, 0.06):
        process = subprocess.Popen([sys.executable, "-c", TRAINS_UNTIL_KILLED, str(path)])
        deadline = time.time() + 60
        while not path.exists() and time.time() < deadline:
            time.sleep(0.01)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        saved = fastbp.load(path)
        n = saved.n_iter_ + 3
        whole = clone(saved).set_params(max_iter=n).fit(x, y)
        assert bits(saved.set_params(max_iter=n).resume(x, y)) == bits(whole)
        path.unlink()


# ---- LogTo, and the line of progress


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_log_to(solver):
    rows = []
    model = MLPClassifier(**SMALL, solver=solver)
    model.set_callbacks(LogTo(lambda epoch, numbers: rows.append((epoch, numbers))))
    model.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    assert [epoch for epoch, _ in rows] == [1, 2, 3, 4]
    names = {"loss", "seconds", "validation_loss", "validation_score"}
    assert {frozenset(numbers) for _, numbers in rows} == {
        frozenset(names if solver == "lbfgs" else names | {"rate"})
    }
    assert [numbers["validation_score"] for _, numbers in rows] == model.validation_scores_
    if solver != "lbfgs":
        assert [numbers["loss"] for _, numbers in rows] == model.loss_curve_


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_verbose_2_shows_the_progress(solver, monkeypatch):
    def printed(stream):
        monkeypatch.setattr(sys, "stdout", stream)
        MLPClassifier(**SMALL, solver=solver, verbose=2).fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
        return stream.getvalue()

    lines = printed(io.StringIO()).splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("epoch 2/4, loss ")
    assert "score " in lines[1]
    assert ("rate 0.001" in lines[1]) == (solver == "adam")
    assert lines[3].endswith("0 s left")
    text = printed(Terminal())
    assert text.count("\r") == 4
    assert text.count("\n") == 1
    assert text.endswith("\n")
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    model = MLPClassifier(**SMALL, solver=solver, verbose=2)
    model.set_callbacks(StopWhen(lambda estimator: True)).fit(X, Y)
    assert stream.getvalue().endswith("\n")
    monkeypatch.setattr(sys, "stdout", types.SimpleNamespace(write=len, flush=int))
    model.fit(X, Y)
    monkeypatch.setattr(sys, "stdout", None)  # a program without a console
    model = MLPClassifier(**SMALL, solver=solver, verbose=2).fit(X, Y)
    assert model.n_iter_ == 4
