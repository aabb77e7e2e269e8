"""resume: a fit that was stopped, in whatever way, goes on with the bits of one that was not."""

import _thread
import copy
import os
import pickle
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from fastbp import MLPClassifier, MLPRegressor
from fastbp.callbacks import StopWhen
from fastbp.schedules import Cosine
from fits import bits
from ids import plain

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

N_CASES = int(os.environ.get("FASTBP_CASES", "12"))
rng = np.random.RandomState(0)
X, X_VAL = rng.randn(150, 5), rng.randn(40, 5)
Y, Y_VAL = X[:, :3].argmax(axis=1), X_VAL[:, :3].argmax(axis=1)
T, T_VAL = X[:, 0] + rng.randn(150) * 0.1, X_VAL[:, 0]
W, W_VAL = rng.rand(150) + 0.1, rng.rand(40)
LISTS = ("loss_curve_", "validation_scores_", "validation_loss_curve_")
NUMBERS = ("n_iter_", "t_", "loss_", "best_loss_", "best_validation_score_", "stop_reason_")


def everything(model):
    """All that a fit leaves: weights, optimizer, curves and counters."""
    optimizer = model._optimizer
    return (
        bits(model),
        optimizer.state.tobytes(),
        optimizer.t,
        optimizer.rate,
        [list(getattr(model, name) or ()) for name in LISTS],
        [getattr(model, name) for name in NUMBERS],
        model._no_improvement_count,
        copy.deepcopy(model._random_state).randint(2**31, size=3).tolist(),
    )


def random_configuration(seed):
    """An estimator, the data of its fit, and the number of its epochs."""
    rng = np.random.RandomState(seed)
    is_classifier = rng.randint(2)
    parameters = dict(
        hidden_layer_sizes=[(6,), (7, 5), ()][rng.randint(3)],
        solver=rng.choice(["adam", "sgd"]),
        learning_rate=str(rng.choice(["constant", "invscaling", "adaptive", "cosine"])),
        dropout=float(rng.choice([0.0, 0.0, 0.3])),
        input_dropout=float(rng.choice([0.0, 0.0, 0.2])),
        weight_decay=float(rng.choice([0.0, 0.1])),
        clip_norm=[None, None, 0.05][rng.randint(3)],
        ema_decay=[None, None, 0.9][rng.randint(3)],
        learning_rate_init=float(rng.choice([0.001, 0.02])),
        batch_size=int(rng.choice([1, 16, 50, 150])),
        shuffle=bool(rng.randint(2)),
        early_stopping=bool(rng.randint(2)),
        n_iter_no_change=int(rng.choice([1, 3, 50])),
        tol=float(rng.choice([0.0, 1e-3, 0.1])),
        n_threads=int(rng.randint(1, 3)),
        random_state=[7, np.random.RandomState(seed), None][rng.randint(3)],
        max_iter=12,
    )
    if parameters["random_state"] is None:
        parameters["random_state"] = int(rng.randint(1000))
    scale = rng.choice([1.0, 1e5]) if parameters["solver"] == "adam" else 1.0
    dtype = rng.choice([np.float32, np.float64])
    data = dict(X=X.astype(dtype), y=Y if is_classifier else T * scale)
    if rng.randint(3) == 0:
        data["X"], parameters["input_dropout"] = sp.csr_array(data["X"]), 0.0
    if rng.randint(2):
        data["sample_weight"] = W
    if rng.randint(3) == 0:
        data |= dict(X_val=X_VAL, y_val=Y_VAL if is_classifier else T_VAL)
        if rng.randint(2):
            data["sample_weight_val"] = W_VAL
    if is_classifier and rng.randint(3) == 0:
        parameters["class_weight"] = "balanced"
    if rng.randint(4) == 0 and (parameters["early_stopping"] or "X_val" in data):
        parameters["scoring"] = "loss"
    if is_classifier and rng.randint(3) == 0:
        parameters["label_smoothing"] = 0.1
    return (MLPClassifier if is_classifier else MLPRegressor)(**parameters), data


@pytest.mark.parametrize("seed", range(N_CASES))
def test_each_epoch_of_a_random_fit(seed):
    whole, data = random_configuration(seed)
    whole.fit(**data)
    expected, n_epochs = everything(whole), whole.n_iter_
    # Every other epoch, which one depends on the seed; and the last one.
    for k in sorted({*range(1 + seed % 2, n_epochs, 2), n_epochs}):
        stopped, _ = random_configuration(seed)
        if stopped.learning_rate == "cosine":  # which depends on max_iter
            stopped.set_callbacks(StopWhen(lambda estimator, k=k: estimator.n_iter_ == k))
            stopped.fit(**data).set_callbacks()
        else:
            stopped.set_params(max_iter=k).fit(**data)
        stopped = pickle.loads(pickle.dumps(stopped))
        if k < n_epochs:
            assert stopped.n_iter_ == k
        again = stopped.set_params(max_iter=12, n_threads=1 + (k + seed) % 2).resume(**data)
        assert again is stopped
        got = everything(stopped)
        if k < n_epochs:
            assert got == expected
        else:  # nothing was left to do, perhaps but for the reason
            assert got[:5] == expected[:5]


def test_twice_and_in_another_process(tmp_path):
    options = dict(hidden_layer_sizes=(9,), batch_size=20, random_state=3, early_stopping=True)
    whole = MLPClassifier(**options, max_iter=9).fit(X, Y)
    model = MLPClassifier(**options, max_iter=2).fit(X, Y).set_params(max_iter=5).resume(X, Y)
    path = tmp_path / "model.pickle"
    np.savez(tmp_path / "data.npz", X=X, Y=Y)
    path.write_bytes(pickle.dumps(model))
    program = (
        "import pickle, sys, numpy as np, warnings; warnings.simplefilter('ignore')\n"
        "folder = sys.argv[1]; data = np.load(folder + '/data.npz')\n"
        "model = pickle.load(open(folder + '/model.pickle', 'rb'))\n"
        "model.set_params(max_iter=9, n_threads=2).resume(data['X'], data['Y'])\n"
        "pickle.dump(model, open(folder + '/model.pickle', 'wb'))\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert everything(pickle.loads(path.read_bytes())) == everything(whole)


@pytest.mark.parametrize(
    "parameters",
    [
        dict(),
        dict(early_stopping=True, ema_decay=0.99),
        dict(shuffle=False, dropout=0.3, input_dropout=0.1, learning_rate="cosine"),
    ],
)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_stop_by_ctrl_c_within_an_epoch(solver, parameters, heeds_sigint):
    x, y = np.tile(X, (400, 1)), np.tile(Y, 400)  # not so short that Ctrl-C waits for the epoch
    options = dict(
        hidden_layer_sizes=(150,), batch_size=10, random_state=0, solver=solver, max_iter=4,
        n_iter_no_change=50, **parameters,
    )  # fmt: skip
    began = time.perf_counter()
    whole = MLPClassifier(**options).fit(x, y)
    seconds = time.perf_counter() - began
    expected, n_cut = everything(whole), 0
    for part in np.linspace(0.0, 0.6, 13):
        if n_cut == 2:
            break
        model = MLPClassifier(**options)
        timer = threading.Timer(part * seconds, _thread.interrupt_main)
        _start_with_the_first_epoch(timer)
        try:
            model.fit(x, y)
            timer.join()
        except KeyboardInterrupt:  # it came after the fit
            pass
        assert model.stop_reason_ in ("interrupt", "max_iter")
        state = model._resume
        is_cut = state["tallied"] == state["n_epochs"]
        n_cut += is_cut and 0 < model._optimizer.tally[1] < 0.85 * len(x)
        model = pickle.loads(pickle.dumps(model))
        assert everything(model.set_params(n_threads=1, scoring=None).resume(x, y)) == expected
    assert n_cut > 0


def _start_with_the_first_epoch(timer):
    """Start the timer shortly before the first epoch, however long the checks take."""
    from fastbp.training import epochs

    run = epochs.EpochRunner.__call__

    def first(self):
        epochs.EpochRunner.__call__ = run
        timer.start()
        return run(self)

    epochs.EpochRunner.__call__ = first


@pytest.mark.parametrize("line", range(0, 40, 2))
def test_a_stop_by_ctrl_c_at_any_line(line):
    """KeyboardInterrupt at a line of Python of the loop over epochs."""
    options = dict(hidden_layer_sizes=(5,), batch_size=40, random_state=0, max_iter=7)
    options |= dict(early_stopping=line % 4 == 0, solver="sgd", learning_rate="adaptive", tol=0.02)
    options |= dict(n_iter_no_change=1)
    expected = everything(MLPClassifier(**options).fit(X, Y))
    model, left = MLPClassifier(**options), [60 + 7 * line]
    files = ("minibatch.py", "epochs.py", "watches.py", "course.py", "validation_set.py")

    def trace(frame, event, _):
        if not frame.f_code.co_filename.endswith(files) or "_run_epochs" not in names_of(frame):
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        model.fit(X, Y)
    finally:
        sys.settrace(before)
    assert everything(pickle.loads(pickle.dumps(model)).resume(X, Y)) == expected


def names_of(frame):
    names = set()
    while frame is not None:
        names.add(frame.f_code.co_name)
        frame = frame.f_back
    return names


def test_a_time_limit():
    options = dict(hidden_layer_sizes=(5,), random_state=0, tol=0, n_iter_no_change=10**6)
    model = MLPRegressor(**options, max_iter=10**6, max_seconds=0.02).fit(X, T)
    n_epochs = model.n_iter_
    model.resume(X, T)  # for the same time again
    assert model.n_iter_ > n_epochs
    model.set_params(max_seconds=None, max_iter=model.n_iter_ + 5).resume(X, T)
    twin = MLPRegressor(**options, max_iter=model.n_iter_).fit(X, T)
    assert everything(model) == everything(twin)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_what_was_trained_in_float64_goes_on_unrounded(solver):
    """Where float32 is too coarse for the targets, training is in float64."""
    options = dict(hidden_layer_sizes=(6,), batch_size=30, random_state=0, solver=solver)
    x, y = X.astype(np.float32), 1e5 * T
    options |= dict(learning_rate_init=1e-12) if solver == "sgd" else {}
    model = MLPRegressor(**options, max_iter=3).fit(x, y)
    assert (model.coefs_[0].dtype, model._optimizer.state.dtype) == (np.float32, np.float64)
    model = pickle.loads(pickle.dumps(model)).set_params(max_iter=6).resume(x, y)
    assert everything(model) == everything(MLPRegressor(**options, max_iter=6).fit(x, y))


def test_a_warm_start_goes_on():
    def warm(max_iter):
        model = MLPClassifier((6,), batch_size=30, max_iter=3, warm_start=True, random_state=1)
        return model.fit(X, Y).set_params(max_iter=max_iter).fit(X, Y)

    assert everything(warm(2).set_params(max_iter=6).resume(X, Y)) == everything(warm(6))


def test_limits_may_be_changed():
    options = dict(hidden_layer_sizes=(6,), random_state=0, max_iter=60, learning_rate_init=0.01)
    model = MLPClassifier(**options, tol=0.5, n_iter_no_change=3).fit(X, Y)
    assert model.stop_reason_ == "tol"
    before = everything(model)
    assert everything(model.resume(X, Y)) == before  # it had ended by itself
    model.set_params(tol=1e-4, n_iter_no_change=10).resume(X, Y)
    twin = MLPClassifier(**options).fit(X, Y)
    assert everything(model) == everything(twin)


def test_the_rate_is_what_it_was_also_with_other_limits():
    options = dict(hidden_layer_sizes=(6,), solver="sgd", learning_rate="adaptive", random_state=0)
    options |= dict(learning_rate_init=0.1, batch_size=20)
    model = MLPRegressor(**options, tol=10.0, n_iter_no_change=2, max_iter=10).fit(X, T)
    rate = model.rate_
    assert rate < 0.05
    model.set_params(max_iter=11, n_iter_no_change=50).resume(X, T)
    assert model.rate_ == rate


def test_a_rate_that_was_set_by_hand_stays():
    options = dict(FITTED, solver="sgd")
    model = MLPClassifier(**options).fit(X, Y)
    model.rate_ = 0.5
    twin = copy.deepcopy(model)
    model.set_params(max_iter=4).resume(X, Y).set_params(max_iter=8).resume(X, Y)
    assert model.rate_ == 0.5
    assert bits(twin.set_params(max_iter=8).resume(X, Y)) == bits(model)


def test_a_generator_that_others_use_is_refused():
    generator = np.random.RandomState(0)

    def draws(estimator, X, y):
        generator.rand()
        return 0.0

    model = MLPClassifier(**{**FITTED, "random_state": generator, "scoring": draws})
    model.fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    model.max_iter = 5
    with pytest.raises(ValueError, match="something else has drawn from random_state"):
        model.resume(X, Y, X_val=X_VAL, y_val=Y_VAL)


def test_a_generator_of_another_class_is_refused():
    class Own(np.random.RandomState):
        pass

    fitted = MLPClassifier(**{**FITTED, "random_state": Own(0)}).fit(X, Y)
    refused("random_state is of a class of its own", fitted=fitted)


def test_weights_of_another_scale_are_another_objective():
    model = MLPClassifier(**FITTED, alpha=1.0).fit(X, Y, W)
    refused("sample_weight differs", X, Y, 1024 * W, fitted=model)


def test_equal_parameters_may_be_written_in_other_ways():
    options = dict(FITTED, hidden_layer_sizes=6, learning_rate="cosine")
    model = MLPClassifier(**options, class_weight={0: 2.0, 1: 3.0}).fit(X, Y)
    same = dict(hidden_layer_sizes=(6,), learning_rate=Cosine(), class_weight={1: 3, 0: 2})
    model.set_params(**same, max_iter=4).resume(X, Y)
    assert model.n_iter_ == 4


def test_a_generator_is_not_touched():
    generator = np.random.RandomState(0)
    model = MLPClassifier((6,), max_iter=2, random_state=generator).fit(X, Y)
    state = generator.get_state()[1].copy()
    model.set_params(max_iter=4).resume(X, Y)
    np.testing.assert_array_equal(generator.get_state()[1], state)


def test_arrays_and_lists_stay_the_same_objects():
    model = MLPClassifier((6,), max_iter=2, random_state=0).fit(X, Y)
    arrays, curve = [*model.coefs_, *model.intercepts_], model.loss_curve_
    model.set_params(max_iter=4).resume(X, Y)
    assert all(map(lambda a, b: a is b, arrays, [*model.coefs_, *model.intercepts_]))
    assert model.loss_curve_ is curve
    assert len(curve) == 4


# ---- what is refused

FITTED = dict(hidden_layer_sizes=(6,), max_iter=2, random_state=0, batch_size=30)


def refused(message, *data, exception=ValueError, fitted=None, **changes):
    model = MLPClassifier(**FITTED).fit(X, Y) if fitted is None else fitted
    model.set_params(**{"max_iter": 5, **changes})
    before = pickle.dumps(model)
    with pytest.raises(exception, match=message):
        model.resume(*(data or (X, Y)))
    assert pickle.dumps(model) == before


def test_other_data_are_refused_by_name():
    refused("resume needs the data of the fit: X has 140 rows, it had 150", X[:140], Y[:140])
    other = X.copy()
    other[3, 2] += 1e-9
    refused("the fit: X differs in its values", other, Y)
    refused("the fit: y differs in its values", X, np.roll(Y, 1))
    refused("the fit: sample_weight differs", X, Y, W)
    refused("has 4 features", X[:, :4], Y)
    model = MLPClassifier(**FITTED).fit(X, Y, X_val=X_VAL, y_val=Y_VAL)
    refused("it had X_val, but none is given", fitted=model)
    with pytest.raises(ValueError, match="X_val differs in its values"):
        model.resume(X, Y, X_val=X_VAL + 1, y_val=Y_VAL)
    with pytest.raises(ValueError, match="it had no X_val, but one is given"):
        clone(model).set_params(max_iter=2).fit(X, Y).resume(X, Y, X_val=X_VAL, y_val=Y_VAL)


@pytest.mark.parametrize(
    "changes",
    [
        dict(alpha=0.5),
        dict(batch_size=20),
        dict(learning_rate_init=0.5),
        dict(shuffle=False),
        dict(random_state=1),
        dict(random_state=None),
        dict(activation="tanh"),
        dict(activation=lambda z: z),
        dict(loss="squared_error"),
        dict(solver="sgd"),
        dict(early_stopping=True),
        dict(beta_1=0.5),
        dict(class_weight="balanced"),
        dict(class_weight={0: 2.0}),
        dict(label_smoothing=0.1),
        dict(scoring="loss"),
        dict(hidden_layer_sizes=(7,)),
    ],
    ids=plain,
)
def test_a_changed_parameter_is_refused_by_name(changes):
    (name,) = changes
    refused(f"{name} is .*, but|'{name}'|has the link", **changes)


def test_what_was_no_fit_is_refused():
    with pytest.raises(NotFittedError):
        MLPClassifier().resume(X, Y)
    refused(
        "resume goes on with a fit of", fitted=MLPClassifier(**FITTED).fit(X, Y).partial_fit(X, Y)
    )
    given = MLPClassifier.from_weights([np.ones((5, 3))], [np.ones(3)], activation="relu")
    refused("resume goes on with a fit of", fitted=given)
    model = MLPClassifier(**{**FITTED, "solver": "lbfgs"}).fit(X, Y)
    assert not hasattr(model, "resume")
    with pytest.raises(AttributeError, match="resume"):
        model.resume(X, Y)
    refused("resume goes on with a fit of", fitted=model, solver="adam")


def test_divergence_is_not_resumed():
    model = MLPRegressor(
        hidden_layer_sizes=(6,), solver="sgd", learning_rate_init=1e200, early_stopping=True
    ).fit(X, T)
    with pytest.raises(ValueError, match="the fit has diverged"):
        model.resume(X, T)


@pytest.mark.parametrize(
    "name, value",
    [
        ("random_state", None),
        ("random_state", {}),
        ("random_state", {"bit_generator": "os"}),
        ("n_epochs", -1),
        ("n_epochs", 10**6),
        ("best_epoch", 0.5),
        ("raw_params", np.zeros(3)),
        ("raw_params", [1.0]),
        ("parameters", None),
        ("data", []),
        ("tallied", "1"),
    ],
    ids=str,
)
def test_a_damaged_state_is_refused_by_name(name, value):
    model = MLPClassifier(**FITTED).fit(X, Y)
    model._resume[name] = value
    words = f"{name!r}|the fit had|resume needs the data|resume repeats the shuffles"
    refused(words, fitted=model)


@pytest.mark.parametrize("bit", range(8, 31, 2))
def test_a_generator_that_stands_beyond_its_key_is_refused(bit):
    """NumPy would read there: some of these crashed."""
    model = MLPClassifier(**{**FITTED, "random_state": np.random.RandomState(0)}).fit(X, Y)
    model._resume["random_state"]["state"]["pos"] ^= 1 << bit
    refused("'random_state' of the fit|something else has drawn", fitted=model)


@pytest.mark.parametrize(
    "start",
    [
        {"seed": -1, "initializes": True},
        {"seed": 2**32, "initializes": True},
        {"seed": 0.0, "initializes": True},
        {"seed": 0},
        {"seed": 0, "initializes": 1},
        {},
    ],
    ids=str,
)
def test_a_damaged_seed_is_refused(start):
    model = MLPClassifier(**FITTED).fit(X, Y)
    assert model._resume["random_state"] == {"seed": FITTED["random_state"], "initializes": True}
    model._resume["random_state"] = start
    refused("'random_state' of the fit", fitted=model)


@pytest.mark.parametrize("random_state", [0, np.int64(2**32 - 1), np.random.RandomState(1), None])
@pytest.mark.parametrize(
    "options",
    [
        {},
        dict(warm_start=True),
        dict(init="he_uniform", activation=["selu", "tanh"]),
        dict(init=lambda i, o, state: (state.randn(i, o), np.zeros(o))),
        dict(early_stopping=True, dropout=0.2),
        dict(dtype=np.float32),
    ],
    ids=["plain", "warm start", "initializer", "own initializer", "early stopping", "float32"],
)
def test_a_fit_is_resumed_from_the_seed_or_from_the_state(random_state, options):
    options = {"dtype": np.float64, **options}
    x = X.astype(options.pop("dtype"))

    def fitted(max_iter):
        np.random.seed(5)  # for None
        given = copy.deepcopy(random_state)
        model = MLPClassifier((5, 4), max_iter=3, random_state=given, **options)
        if model.warm_start:
            model.fit(x, Y)
        return model.set_params(max_iter=max_iter).fit(x, Y)

    expected, model = everything(fitted(9)), fitted(3)
    if not callable(model.init):
        model = pickle.loads(pickle.dumps(model))
    assert everything(model.set_params(max_iter=9).resume(x, Y)) == expected


@pytest.mark.parametrize("value", [None, [], [None], {}])
def test_damaged_checksums_are_refused(value):
    model = MLPClassifier(**FITTED).fit(X, Y)
    model._resume["data"]["X"] = value
    refused("resume needs the data of the fit: X", fitted=model)


def test_the_state_is_small():
    model = MLPClassifier((50,), random_state=0, max_iter=2)
    model.fit(np.tile(X, (40, 1)), np.tile(Y, 40))
    assert len(pickle.dumps(model._resume)) < 4000


def test_a_failed_resume_changes_nothing():
    model = MLPClassifier(**FITTED, early_stopping=True, scoring=lambda *_: 0.0).fit(X, Y)
    before = bits(model), list(model.loss_curve_)
    model.scoring = lambda *_: 1 / 0
    model.max_iter = 5
    with pytest.raises(ZeroDivisionError):
        model.resume(X, Y)
    assert (bits(model), list(model.loss_curve_)) == before


def test_only_the_epochs_that_are_left_are_trained(monkeypatch):
    from fastbp.training.epochs import EpochRunner

    model = MLPClassifier(**{**FITTED, "max_iter": 10}).fit(X, Y)
    calls, run = [], EpochRunner.__call__
    monkeypatch.setattr(EpochRunner, "__call__", lambda self: calls.append(0) or run(self))
    model.set_params(max_iter=11).resume(X, Y)
    assert len(calls) == 1
