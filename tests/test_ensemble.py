"""Ensembles: members are separate fits, predictions means; threads end; scikit-learn's rules."""

import _thread
import pickle
import signal
import sys
import threading
import time
import warnings

import joblib
import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastbp.ensemble
from fastbp import MLPClassifier, MLPRegressor
from fastbp.ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from fastbp.estimators import inputs
from fastbp.threads import cores
from fastbp.training import minibatch
from interrupts import THREADS, InterruptAt, ranks_alive, wait_for_ranks

pytestmark = [
    pytest.mark.usefixtures("nothing_remains"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

SMALL = dict(hidden_layer_sizes=(6,), max_iter=5, batch_size=30)
SEEDS = np.random.RandomState(7).randint(np.iinfo(np.int32).max, size=3)
SKLEARN_VERSION = tuple(map(int, sklearn.__version__.split(".")[:2]))
rng = np.random.RandomState(0)
X, X_VAL = rng.randn(90, 4), rng.randn(40, 4)
T, T_VAL = X[:, :2] + 0.1 * rng.randn(90, 2), X_VAL[:, :2]
LABELS = np.array(["ham", "eggs", "spam"])[np.digitize(T[:, 0], [-0.5, 0.5])]
LABELS_VAL = np.array(["ham", "eggs", "spam"])[np.digitize(T_VAL[:, 0], [-0.5, 0.5])]
W = rng.randint(0, 4, 90) * 0.5


def ensemble_of(member, **parameters):
    kind = MLPEnsembleClassifier
    if isinstance(member, MLPRegressor):
        kind = MLPEnsembleRegressor
    return kind(member, **{"n_members": 3, "random_state": 7, **parameters})


def state(member):
    """All that a fit leaves in a member, but for the seconds that it took."""
    names = ("coefs_", "intercepts_", "loss_curve_", "validation_scores_", "n_iter_", "t_")
    return joblib.hash([getattr(member, name, None) for name in names] + [member.get_params()])


# ---- the law: members are separate fits

CASES = {
    "classes": (MLPClassifier(**SMALL), X, LABELS, {}),
    "two classes": (MLPClassifier(**SMALL), X, LABELS == "ham", {}),
    "multilabel": (MLPClassifier(**SMALL), X, (T > 0) * 1, {}),
    "soft labels": (MLPClassifier(**SMALL), X, np.abs(np.column_stack([W, 2 - W])) / 2, {}),
    "numbers": (MLPRegressor(**SMALL), X, T[:, 0], {}),
    "two targets, sgd": (MLPRegressor(**SMALL, solver="sgd"), X, T, {}),
    "lbfgs": (MLPRegressor(**SMALL, solver="lbfgs"), X, T, {}),
    "gaussian": (MLPRegressor("gaussian", **SMALL), X, T, {}),
    "float32": (MLPClassifier(**SMALL), X.astype(np.float32), LABELS, {}),
    "csr": (MLPClassifier(**SMALL), sp.csr_array(np.where(X > 0, X, 0)), LABELS, {}),
    "csc": (MLPRegressor(**SMALL), sp.csc_array(np.where(X > 0, X, 0)), T, {}),
    "lists": (MLPClassifier(**SMALL), X.tolist(), LABELS.tolist(), {}),
    "weights": (MLPRegressor(**SMALL), X, T, {"sample_weight": W}),
    "early stopping": (MLPClassifier(**SMALL, early_stopping=True), X, LABELS, {}),
    "validation": (
        MLPClassifier(**SMALL, early_stopping=True),
        X,
        LABELS,
        dict(sample_weight=W, X_val=X_VAL, y_val=LABELS_VAL, sample_weight_val=np.arange(40)),
    ),
    "wide": (MLPRegressor(**dict(SMALL, hidden_layer_sizes=(70, 70)), n_threads=2), X, T, {}),
}


@pytest.mark.parametrize("n_threads", [1, 2, 3, None])
@pytest.mark.parametrize("case", CASES)
def test_a_member_has_the_bits_of_a_separate_fit(case, n_threads):
    member, rows, y, more = CASES[case]
    ensemble = ensemble_of(member, n_threads=n_threads).fit(rows, y, **more)
    assert len(ensemble.estimators_) == 3 and not hasattr(member, "coefs_")
    for found, seed in zip(ensemble.estimators_, SEEDS, strict=True):
        expected = clone(member).set_params(random_state=int(seed)).fit(rows, y, **more)
        assert state(found) == state(expected)
    assert ensemble.n_features_in_ == 4
    assert list(getattr(ensemble, "classes_", [])) == list(getattr(expected, "classes_", []))


def test_seeds_are_those_of_bagging():
    bagging = BaggingClassifier(MLPClassifier(**SMALL), n_estimators=3, random_state=7)
    seeds = bagging.fit(X, LABELS)._seeds
    ensemble = ensemble_of(MLPClassifier(**SMALL)).fit(X, LABELS)
    assert [one.random_state for one in ensemble.estimators_] == seeds.tolist() == SEEDS.tolist()
    both = [ensemble_of(MLPClassifier(**SMALL), random_state=None).fit(X, LABELS) for _ in "ab"]
    assert both[0].estimators_[0].random_state != both[1].estimators_[0].random_state


@pytest.mark.parametrize("weight", [None, W])
def test_bootstrap_weighs_samples_by_the_number_of_draws(weight):
    member = MLPRegressor(**SMALL)
    ensemble = ensemble_of(member, bootstrap=True).fit(X, T, weight)
    state_of_draws = np.random.RandomState(7)
    seeds = state_of_draws.randint(np.iinfo(np.int32).max, size=3)
    for found, seed in zip(ensemble.estimators_, seeds, strict=True):
        share = None if weight is None else weight / weight.sum()
        counts = np.zeros(90)
        np.add.at(counts, state_of_draws.choice(90, size=90, replace=True, p=share), 1)
        assert counts.sum() == 90 and (weight is None or not counts[weight == 0].any())
        expected = clone(member).set_params(random_state=int(seed)).fit(X, T, counts)
        assert state(found) == state(expected)


# ---- what is predicted


@pytest.mark.parametrize("case", ["classes", "two classes", "multilabel", "float32", "csr"])
def test_probabilities_are_means(case):
    member, rows, y, _ = CASES[case]
    ensemble = ensemble_of(member).fit(rows, y)
    all_of_them = [one.predict_proba(rows) for one in ensemble.estimators_]
    mean = ensemble.predict_proba(rows)
    assert mean.dtype == all_of_them[0].dtype
    np.testing.assert_allclose(mean, np.mean(all_of_them, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(ensemble.predict_log_proba(rows), np.log(mean))
    expected = mean > 0.5 if case == "multilabel" else ensemble.classes_[mean.argmax(axis=1)]
    np.testing.assert_array_equal(ensemble.predict(rows), expected)
    right = np.all(np.reshape(expected == y, (len(expected), -1)), axis=1)
    assert ensemble.score(rows, y) == right.mean()
    assert ensemble.score(rows, y, W) == pytest.approx(np.average(right, weights=W))
    alone = ensemble_of(member, n_members=1).fit(rows, y)
    for name in ("predict", "predict_proba"):
        found = getattr(alone, name)(rows)
        np.testing.assert_array_equal(found, getattr(alone.estimators_[0], name)(rows))


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", ["squared_error", "gaussian"])
def test_standard_deviations_are_those_of_the_members_and_of_their_noise(loss, dtype, targets):
    y, rows = np.squeeze(T[:, :targets]), X.astype(dtype)
    ensemble = ensemble_of(MLPRegressor(loss, **SMALL)).fit(rows, y)
    mean, std = ensemble.predict(rows, return_std=True)
    assert mean.shape == std.shape == y.shape and mean.dtype == std.dtype == dtype
    means = np.array([one.predict(rows) for one in ensemble.estimators_])
    np.testing.assert_array_equal(mean, means.mean(axis=0))
    np.testing.assert_array_equal(mean, ensemble.predict(rows))
    expected = means.astype(float).var(axis=0)
    if loss == "gaussian":
        noise = [one.predict(rows, return_std=True)[1] for one in ensemble.estimators_]
        expected = expected + np.mean(np.square(noise), axis=0)
    np.testing.assert_allclose(std, np.sqrt(expected), rtol=1e-6)
    assert ensemble.score(rows, y) == r2_score(y, mean)
    assert ensemble.score(rows, y, W) == r2_score(y, mean, sample_weight=W)


def test_variances_of_large_float32_predictions_do_not_overflow():
    members = MLPRegressor("gaussian", **SMALL)
    ensemble = ensemble_of(members).fit(X.astype(np.float32), 1e22 * T)
    mean, std = ensemble.predict(X.astype(np.float32), return_std=True)
    assert mean.dtype == std.dtype == np.float32
    assert np.isfinite(std).all() and std.min() > 1e21


def test_scores_of_quantiles_are_those_of_a_member():
    member = MLPRegressor("quantile", quantile=[0.1, 0.9], **SMALL)
    ensemble = ensemble_of(member).fit(X, T[:, 0])
    low, high = ensemble.predict(X).T
    expected = [
        d2_pinball_score(T[:, 0], one, alpha=level) for one, level in ((low, 0.1), (high, 0.9))
    ]
    assert ensemble.score(X, T[:, 0]) == pytest.approx(np.mean(expected))


def test_an_ensemble_is_better_than_its_members_and_knows_where_it_knows_little():
    def noisy(n, seed):
        random = np.random.RandomState(seed)
        x = random.uniform(-1, 1, (n, 1))
        return x, np.sin(4 * x[:, 0]) + 0.1 * random.randn(n)

    member = MLPRegressor(hidden_layer_sizes=(30,), activation="tanh", solver="lbfgs", alpha=0)
    ensemble = MLPEnsembleRegressor(member, n_members=8, random_state=0).fit(*noisy(40, 0))
    rows, y = noisy(500, 1)
    losses = [np.mean((one.predict(rows) - y) ** 2) for one in ensemble.estimators_]
    assert np.mean((ensemble.predict(rows) - y) ** 2) < np.mean(losses)
    inside, outside = (
        ensemble.predict(np.reshape(at, (-1, 1)), return_std=True)[1] for at in ([0.0], [3.0])
    )
    assert outside > 10 * inside


# ---- threads


class Slow(MLPRegressor):
    """Notes when fits begin and end; the member with a certain seed fails."""

    running, most, begun, ranks = 0, 0, 0, set()
    fails, seconds, lock = -1, 0.05, threading.Lock()
    config = None

    def fit(self, X, y, sample_weight=None, **validation):
        cls = Slow
        with cls.lock:
            cls.running, cls.begun = cls.running + 1, cls.begun + 1
            cls.most = max(cls.most, cls.running)
            cls.ranks.add(self.n_threads)
        try:
            if self.random_state == cls.fails:
                raise LookupError("this member fails")
            cls.config = sklearn.get_config() | np.geterr()
            until = time.monotonic() + cls.seconds
            while time.monotonic() < until:
                time.sleep(0.001)
            return super().fit(X, y, sample_weight, **validation)
        finally:
            with cls.lock:
                cls.running -= 1


@pytest.fixture
def slow(monkeypatch):
    for name, value in dict(running=0, most=0, begun=0, ranks=set(), fails=-1).items():
        monkeypatch.setattr(Slow, name, value)
    return monkeypatch


@pytest.mark.parametrize("n_threads", [1, 2, 3, 50])
def test_members_share_threads_and_have_one_each(n_threads, slow):
    ensemble = ensemble_of(Slow(**SMALL), n_members=6, n_threads=n_threads).fit(X, T)
    assert Slow.most == min(n_threads, 6) and Slow.begun == 6 and Slow.ranks == {1}
    assert all(one.n_threads is None for one in ensemble.estimators_)
    ensemble_of(Slow(**SMALL, n_threads=2), n_members=2, n_threads=n_threads).fit(X, T)
    assert 2 in Slow.ranks
    ensemble_of(Slow(**SMALL), n_members=1, n_threads=n_threads).fit(X, T)
    assert None in Slow.ranks


@pytest.mark.parametrize("available, taken, expected", [(4, 0, 3), (3, 1, 2), (8, 0, 6), (2, 2, 1)])
def test_as_many_threads_as_are_of_use_and_idle(available, taken, expected, slow):
    """6 members on 4 cores take two rounds, and so do they on 3."""
    slow.setattr(cores, "available_cores", lambda: available)
    slow.setitem(cores._cores_taken, "another fit", taken)
    ensemble_of(Slow(**SMALL), n_members=6).fit(X, T)
    assert Slow.most == expected


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_member_that_fails_ends_all_and_changes_nothing(n_threads, slow):
    ensemble = ensemble_of(Slow(**SMALL), n_members=8, n_threads=n_threads).fit(X, T)
    before = pickle.dumps(ensemble), ensemble.estimators_
    seeds = np.random.RandomState(7).randint(np.iinfo(np.int32).max, size=8)
    slow.setattr(Slow, "fails", seeds[1])
    slow.setattr(Slow, "begun", 0)
    slow.setattr(Slow, "seconds", 20.0 if n_threads > 1 else 0.01)
    began = time.monotonic()
    with pytest.raises(LookupError, match="this member fails"):
        ensemble.fit(X[:50], T[:50])
    assert time.monotonic() - began < 5 and Slow.running == 0 and Slow.begun <= 2
    assert ensemble.estimators_ is before[1] and pickle.dumps(ensemble) == before[0]
    new = ensemble_of(Slow(**SMALL), n_members=8, n_threads=n_threads)
    with pytest.raises(LookupError):
        new.fit(X, T)
    with pytest.raises(NotFittedError):
        new.predict(X)


FOREVER = dict(max_iter=10**8, tol=0, n_iter_no_change=np.inf)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to oneself")
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize(
    "member",
    [
        Slow(**SMALL),
        MLPRegressor(**{**SMALL, **FOREVER}),
        MLPRegressor(**{**SMALL, **FOREVER}, n_threads=2),
        MLPRegressor(
            loss="squared_error",
            **dict(SMALL, hidden_layer_sizes=(50,), tol=0, max_iter=10**8),
            solver="lbfgs",
            max_fun=10**8,
        ),
    ],
    ids=["python", "sgd", "with ranks", "lbfgs"],
)
def test_ctrl_c_ends_all_threads_and_changes_nothing(member, n_threads, slow):
    ensemble = ensemble_of(Slow(**SMALL), n_threads=n_threads).fit(X, T)
    before = pickle.dumps(ensemble)
    slow.setattr(Slow, "seconds", 60.0)
    ensemble.set_params(estimator=member)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    sent = []

    def interrupt():
        time.sleep(0.3)
        sent.append(time.monotonic())
        _thread.interrupt_main()

    rows, y = (np.tile(one, (40, 1)) for one in (X, rng.randn(*T.shape)))
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            ensemble.fit(rows, y)
        assert time.monotonic() - sent[0] < 5
    finally:
        thread.join()
        signal.signal(signal.SIGINT, handler)
    assert Slow.running == 0
    ensemble.set_params(estimator=Slow(**SMALL))
    assert pickle.dumps(ensemble) == before


def test_an_interrupt_at_any_line_leaves_no_thread_and_no_half_of_an_ensemble():
    ensemble = ensemble_of(MLPRegressor(**dict(SMALL, max_iter=1)), n_members=2, n_threads=2)
    files = (*THREADS, fastbp.ensemble.__file__)
    n, tracer = 0, None
    while n == 0 or tracer.raised:
        n += 1
        ensemble.fit(X, T)
        before = ensemble.estimators_
        with InterruptAt(n, files) as tracer:
            try:
                ensemble.fit(X, T)
            except KeyboardInterrupt:
                whole = ensemble.estimators_ is before or len(ensemble.estimators_) == 2
                assert whole and np.isfinite(ensemble.predict(X)).all(), tracer.raised
        wait_for_ranks()
        assert not ranks_alive() and not cores._cores_taken, tracer.raised
    assert n > 100


def test_without_threads_an_interrupt_is_one_too(monkeypatch):
    """If the system gives no thread, members are fitted in the calling one."""

    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    ensemble = ensemble_of(MLPRegressor(**SMALL)).fit(X, T)
    assert len(ensemble.estimators_) == 3

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(minibatch, "_run_epochs", interrupted)
    before = ensemble.estimators_
    with pytest.raises(KeyboardInterrupt):
        ensemble.fit(X, T)
    assert ensemble.estimators_ is before


def test_members_see_the_configuration_of_the_caller(slow):
    with sklearn.config_context(working_memory=77), np.errstate(under="print"):
        ensemble_of(Slow(**SMALL)).fit(X, T)
    assert Slow.config["working_memory"] == 77 and Slow.config["under"] == "print"


# ---- warnings and errors


def test_a_warning_is_given_once_at_the_line_of_the_user():
    ensemble = ensemble_of(MLPRegressor(**SMALL))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ensemble.fit(X, T)
        ensemble.set_params(estimator__batch_size=1000).fit(X, T)
    messages = [str(one.message)[:10] for one in caught]
    assert messages == ["Stochastic", "Got `batch", "Stochastic"]
    assert {one.filename for one in caught} == {__file__}
    assert caught[0].category is ConvergenceWarning
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        new = ensemble_of(MLPRegressor(**SMALL))
        with pytest.raises(ConvergenceWarning):
            new.fit(X, T)
    assert len(new.estimators_) == 3  # as an estimator, it is fitted when it warns


@pytest.mark.parametrize(
    "name, value, allowed",
    [
        ("estimator", MLPRegressor(), r"an instance of 'fastbp.MLPClassifier' or None"),
        ("estimator", MLPClassifier, r"an instance of 'fastbp.MLPClassifier' or None"),
        ("n_members", 0, r"an int in the range \[1, inf\)"),
        ("n_members", 2.0, r"an int in the range \[1, inf\)"),
        ("bootstrap", 1, r"an instance of 'bool' or an instance of 'numpy.bool'"),
        ("random_state", "0", "an int in the range"),
        ("n_threads", 0, r"an int in the range \[1, inf\) or None"),
    ],
)
def test_odd_parameters_are_refused(name, value, allowed):
    ensemble = MLPEnsembleClassifier(MLPClassifier(**SMALL)).set_params(**{name: value})
    with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of MLPEns.* {allowed}"):
        ensemble.fit(X, LABELS)
    assert not hasattr(ensemble, "estimators_")


def test_odd_parameters_and_data_of_members_are_refused():
    with pytest.raises(InvalidParameterError, match="'alpha' parameter of MLPClassifier"):
        ensemble_of(MLPClassifier(alpha=-1)).fit(X, LABELS)
    ensemble = ensemble_of(MLPRegressor(**SMALL))
    for arguments, message in [
        ((X, T, -W), "Negative values in data passed to `sample_weight`"),
        ((X, T[:5]), "inconsistent numbers of samples"),
        ((np.full_like(X, np.nan), T), "Input X contains NaN"),
    ]:
        with pytest.raises(ValueError, match=message):
            ensemble.fit(*arguments)
    for more, message in [
        (dict(X_val=X_VAL), "y_val was not provided"),
        (dict(X_val=X_VAL[:, 1:], y_val=T_VAL), "X has 3 features"),
        (dict(X_val=X_VAL, y_val=T_VAL[:, 0]), "y_val has shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            ensemble.fit(X, T, **more)
    with pytest.raises(NotFittedError):
        ensemble.score(X, T)
    with pytest.raises(TypeError, match="return_std must be True or False, got 'yes'"):
        ensemble.fit(X, T).predict(X, return_std="yes")
    with pytest.raises(ValueError, match="X has 3 features"):
        ensemble.predict(X[:, 1:])


def test_the_user_s_arrays_are_not_written():
    arrays = [X.copy(), T.copy(), W.copy(), X_VAL.copy(), T_VAL.copy()]
    for array in arrays:
        array.flags.writeable = False
    rows, y, weight, rows_val, y_val = arrays
    ensemble = ensemble_of(MLPRegressor("gaussian", **SMALL), bootstrap=True)
    ensemble.fit(rows, y, weight, X_val=rows_val, y_val=y_val).predict(rows, return_std=True)


# ---- scikit-learn

QUICK = dict(hidden_layer_sizes=(8,), learning_rate_init=0.02, max_iter=60)


@parametrize_with_checks(
    [
        MLPEnsembleClassifier(MLPClassifier(**QUICK), n_members=3),
        MLPEnsembleClassifier(MLPClassifier(**QUICK), n_members=2, n_threads=2, random_state=0),
        MLPEnsembleRegressor(MLPRegressor(**QUICK), n_members=3),
        MLPEnsembleRegressor(MLPRegressor("gaussian", **QUICK), n_members=2, random_state=0),
    ]
)
@pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1 or larger:UserWarning")
def test_estimator_checks(estimator, check):
    check(estimator)


def test_copies_predict_the_same():
    ensemble = ensemble_of(MLPClassifier(**SMALL)).fit(X, LABELS)
    for other in (pickle.loads(pickle.dumps(ensemble)), clone(ensemble).fit(X, LABELS)):
        np.testing.assert_array_equal(other.predict_proba(X), ensemble.predict_proba(X))


def test_frames_name_the_features_of_the_ensemble():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    ensemble = ensemble_of(MLPRegressor(**SMALL)).fit(frame, T)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = ensemble.predict(frame)
    assert list(ensemble.feature_names_in_) == list("abcd")
    expected = ensemble_of(MLPRegressor(**SMALL)).fit(X, T).predict(X)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match="feature names"):
        ensemble.predict(frame[list("dcba")])
    assert not hasattr(ensemble.fit(X, T), "feature_names_in_")


def test_searches_reach_the_parameters_of_members():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), ensemble_of(MLPClassifier(**SMALL))),
        {"mlpensembleclassifier__estimator__alpha": [1e-4, 1.0]},
        cv=2,
    ).fit(X, LABELS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    members = search.best_estimator_[-1].estimators_
    chosen = search.best_params_["mlpensembleclassifier__estimator__alpha"]
    assert {one.alpha for one in members} == {chosen}


def test_metadata_is_routed_to_the_ensemble():
    with sklearn.config_context(enable_metadata_routing=True):
        ensemble = ensemble_of(MLPRegressor(**SMALL))
        ensemble.set_fit_request(sample_weight=True, X_val=True, y_val=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        more = {"transform_input": ["X_val"]} if SKLEARN_VERSION >= (1, 6) else {}
        pipeline = Pipeline([("scale", scaler), ("fit", ensemble)], **more)
        pipeline.fit(X, T, sample_weight=W, X_val=X_VAL, y_val=T_VAL)
    scaler = StandardScaler().fit(X)
    expected = ensemble_of(MLPRegressor(**SMALL)).fit(
        scaler.transform(X), T, W, X_val=scaler.transform(X_VAL), y_val=T_VAL
    )
    for found, one in zip(pipeline[-1].estimators_, expected.estimators_, strict=True):
        assert state(found) == state(one) and found.validation_scores_ is not None


def test_data_are_converted_once(monkeypatch):
    calls = []
    original = inputs.check_training_data

    def counted(draft, rows, y, **options):
        calls.append(type(rows))
        return original(draft, rows, y, **options)

    monkeypatch.setattr(inputs, "check_training_data", counted)
    ensemble_of(MLPRegressor(**SMALL)).fit(X.tolist(), T)
    assert calls == [list] + [np.ndarray] * 3
