"""Parameters of the estimators that 'sgd' and 'adam' alone have."""

import copy
import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import neural_network
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

import oracle
from fastbp import MLPClassifier, MLPRegressor, check_gradient, inspection, training
from fastbp.training import Course, Watch, lower_dropout

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.RandomState(0)
X = rng.randn(90, 6)
Y = X[:, :3].argmax(axis=1)
T = X[:, 0] - np.sin(X[:, 1])
SMALL = dict(hidden_layer_sizes=(7, 5), batch_size=20, max_iter=6, random_state=0)
SMALL |= dict(learning_rate_init=0.01)
# Each parameter, then all together.
FIXED = dict(shuffle=False, init=lambda i, o, _: (np.full((i, o), 0.1), np.zeros(o)))
EACH = {
    "dropout": dict(dropout=0.3),
    "input_dropout": dict(input_dropout=0.2),
    "weight_decay": dict(weight_decay=2.0),
    "clip_norm": dict(clip_norm=0.2),
    "ema_decay": dict(ema_decay=0.9),
}
OPTIONS = {**EACH, "all": {name: value for one in EACH.values() for name, value in one.items()}}
both = pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
SPARSE = {
    name: {k: v for k, v in one.items() if k != "input_dropout"} for name, one in OPTIONS.items()
}
del SPARSE["input_dropout"]
over_each = pytest.mark.parametrize("options", EACH.values(), ids=EACH)
over_options = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
over_sparse = pytest.mark.parametrize("options", SPARSE.values(), ids=SPARSE)
solvers = pytest.mark.parametrize("solver", ["sgd", "adam"])


def fitted(cls, x=X, **parameters):
    return cls(**{**SMALL, **parameters}).fit(x, Y if cls is MLPClassifier else T)


def go_on(model, times=1, x=X):
    for _ in range(times):
        model.partial_fit(x, Y if isinstance(model, MLPClassifier) else T)
    return model


def flat(model):
    return np.concatenate([array.ravel() for array in [*model.coefs_, *model.intercepts_]])


def assert_same(one, other):
    np.testing.assert_array_equal(flat(one), flat(other))
    assert one.loss_curve_ == other.loss_curve_


# ---- together with what else there is


@both
@over_each
def test_lbfgs_has_none_of_them(cls, options):
    """It is said before the data are looked at. The values without an effect are accepted."""
    ((name, _),) = options.items()
    with pytest.raises(ValueError) as caught:
        cls(solver="lbfgs", **options).fit(None, None)
    assert str(caught.value) == f"{name} needs solver='sgd' or 'adam', got 'lbfgs'."
    default = cls().get_params()[name]
    plain = cls(**{**SMALL, "solver": "lbfgs", name: default})
    assert plain.fit(X, Y).n_iter_ > 0
    # A fitted estimator stays as it was, and what trains nothing does not ask for the solver.
    model = fitted(cls)
    before = flat(model)
    model.set_params(solver="lbfgs", **options)
    with pytest.raises(ValueError, match=f"{name} needs solver='sgd' or 'adam', got 'lbfgs'"):
        model.fit(X, Y)
    np.testing.assert_array_equal(flat(model), before)
    assert check_gradient(model, X[:9], Y[:9] if cls is MLPClassifier else T[:9]).passed


@solvers
@pytest.mark.parametrize(
    ("cls", "dtype"), [(MLPRegressor, np.float64), (MLPClassifier, np.float32)], ids=str
)
@pytest.mark.parametrize(
    ("options", "layout"),
    [
        *(pytest.param(one, np.asarray, id=f"{name}-dense") for name, one in OPTIONS.items()),
        *(pytest.param(one, csr_array, id=f"{name}-csr") for name, one in SPARSE.items()),
    ],
)
def test_any_number_of_threads_gives_the_same_bits(cls, solver, options, dtype, layout):
    x = layout(X.astype(dtype))
    one = fitted(cls, x, solver=solver, n_threads=1, **options)
    assert one.coefs_[0].dtype == dtype
    further = go_on(copy.deepcopy(one), x=x)
    for n_threads in (2, 3, 4):
        other = fitted(cls, x, solver=solver, n_threads=n_threads, **options)
        assert_same(one, other)
        assert_same(further, go_on(other, x=x))
    assert abs(flat(one) - flat(fitted(cls, x, solver=solver))).max() > 1e-5


@both
@over_options
def test_an_estimator_and_its_pickle_go_on_alike(cls, options):
    whole = go_on(fitted(cls, **options), 4)
    stopped = fitted(cls, **options)
    for _ in range(4):
        go_on(stopped)
        stopped = pickle.loads(pickle.dumps(stopped))
    assert_same(whole, stopped)


@both
@over_options
def test_partial_fit_has_the_bits_of_a_fit(cls, options):
    """Without a shuffle, which begins anew in each call: all state lives on, and the counts too."""
    settings = dict(shuffle=False, **options)
    whole, steps = fitted(cls, **settings), fitted(cls, max_iter=1, **settings)
    assert_same(whole, go_on(steps, 5))
    assert whole._optimizer.seed == steps._optimizer.seed


@both
@over_options
def test_a_clone_fits_alike(cls, options):
    model = fitted(cls, **options)
    twin = clone(model)
    assert twin.get_params() == model.get_params() and not hasattr(twin, "coefs_")
    assert_same(model, twin.fit(X, Y if cls is MLPClassifier else T))


@both
@over_each
def test_a_grid_search_takes_them(cls, options):
    ((name, value),) = options.items()
    default = cls().get_params()[name]
    search = GridSearchCV(cls(**SMALL), {name: [default, value]}, cv=2)
    search.fit(X, Y if cls is MLPClassifier else T)
    assert search.cv_results_[f"param_{name}"].tolist() == [default, value]
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()


@both
@over_options
def test_given_weights_are_trained_further(cls, options):
    """From scikit-learn's estimator, and from arrays: as a new fit that begins with them."""
    y = Y if cls is MLPClassifier else T
    settings = {**SMALL, "max_iter": 1}
    theirs = getattr(neural_network, cls.__name__)(**settings).fit(X, y)
    weights = copy.deepcopy((theirs.coefs_, theirs.intercepts_))
    from_sklearn = cls.from_sklearn(theirs).set_params(**options)
    from_sklearn.t_ = 0  # the samples that scikit-learn has seen are counted too
    settings.pop("hidden_layer_sizes")
    from_weights = cls.from_weights(*weights, activation="relu", **settings, **options)
    new = cls(**{**SMALL, "max_iter": 1}, init=weights, **options)
    first = {"classes": [0, 1, 2]} if cls is MLPClassifier else {}
    new.partial_fit(X, y, **first)
    for model in (from_sklearn, from_weights):
        np.testing.assert_array_equal(flat(model.partial_fit(X, y)), flat(new))


@both
@over_options
def test_a_fit_that_fails_leaves_all_as_it_was(cls, options):
    model = go_on(fitted(cls, **options))
    before = pickle.dumps(model)
    with pytest.raises(ValueError, match="NaN"):
        go_on(model, x=np.full_like(X, np.nan))
    assert pickle.dumps(model) == before


@both
@over_sparse
def test_dense_and_sparse_samples_train_alike(cls, options):
    dense, sparse = (fitted(cls, x, alpha=0.5, **options) for x in (X, csr_array(X)))
    np.testing.assert_allclose(flat(dense), flat(sparse), rtol=1e-9, atol=1e-12)


@both
@solvers
@over_options
def test_what_trains_nothing_ignores_them(cls, solver, options):
    """The first batch's loss, checks of the gradient, inspection and prediction."""
    y = Y if cls is MLPClassifier else T
    weights = fitted(cls).coefs_, fitted(cls).intercepts_
    plain, model = (
        cls(**{**SMALL, "batch_size": 90, "max_iter": 1}, solver=solver, init=weights, **some)
        for some in ({}, options)
    )
    reports = [check_gradient(one, X[:20], y[:20], random_state=0) for one in (plain, model)]
    assert reports[0].max_error == reports[1].max_error and reports[1].passed
    for one in (plain, model):
        one.fit(X, y)
    if "dropout" not in options and "input_dropout" not in options:
        assert plain.loss_curve_ == model.loss_curve_
    given = cls.from_weights(model.coefs_, model.intercepts_, activation="relu")
    np.testing.assert_array_equal(
        inspection.activations(model, X)[1], inspection.activations(given, X)[1]
    )
    np.testing.assert_array_equal(model.predict(X), given.predict(X))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_batches_without_weight_make_no_step(options):
    weight = np.repeat([1.0, 0, 1], 30)
    settings = dict(shuffle=False, batch_size=30, **options)
    model = MLPRegressor(**{**SMALL, **settings}).fit(X, T, sample_weight=weight)
    assert model._optimizer.t == 2 * 6


# ---- weight_decay


@solvers
def test_decay_alone_shrinks_the_weights_by_the_scheduled_rate(solver):
    """Targets that the network meets exactly leave no gradient; biases stay."""
    model = MLPRegressor(
        solver=solver,
        hidden_layer_sizes=(),
        alpha=0.0,
        weight_decay=4.0,
        learning_rate_init=0.125,
        batch_size=30,
        max_iter=5,
        shuffle=False,
        init=([np.ones((6, 1))], [[3.0]]),
    )
    model.fit(np.zeros((90, 6)), np.full(90, 3.0))
    np.testing.assert_array_equal(model.coefs_[0], np.full((6, 1), 0.5**15))
    np.testing.assert_array_equal(model.intercepts_[0], [3.0])


def test_decay_follows_the_schedule():
    model = MLPRegressor(
        solver="sgd",
        learning_rate="invscaling",
        hidden_layer_sizes=(),
        alpha=0.0,
        weight_decay=2.0,
        learning_rate_init=0.25,
        max_iter=3,
        init=([np.ones((1, 1))], [[0.0]]),
    )
    model.fit(np.zeros((8, 1)), np.zeros(8))
    rates = [0.25, 0.25 / 3, 0.25 / 17**0.5]
    assert model.coefs_[0].item() == pytest.approx(np.prod([1 - 2 * rate for rate in rates]))


# ---- clip_norm


def test_clipping_holds_what_would_diverge():
    steep = dict(solver="sgd", momentum=0.0, learning_rate_init=1.0, alpha=0.0, max_iter=60)
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        MLPRegressor(random_state=0, **steep).fit(X, 1e4 * T)
    model = MLPRegressor(random_state=0, clip_norm=1.0, **steep).fit(X, 1e4 * T)
    assert np.isfinite(model.loss_curve_).all()


def test_a_gradient_that_overflows_ends_training_in_spite_of_clipping():
    model = MLPRegressor(hidden_layer_sizes=(), solver="sgd", clip_norm=1.0, alpha=0.0)
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        model.fit(X, np.full(90, 1e160))


# ---- ema_decay


def averages(cls, decay, steps, **parameters):
    """The average after each step, from fits without one: one step is one epoch."""
    found = []
    for n in range(1, steps + 1):
        w = flat(fitted(cls, **{**parameters, "batch_size": 90, "max_iter": n}))
        found.append(w if n == 1 else found[-1] + (1 - decay) * (w - found[-1]))
    return found


@both
@solvers
def test_the_average_is_the_result(cls, solver):
    expected = averages(cls, 0.8, 6, solver=solver)
    for n in (1, 2, 6):
        model = fitted(cls, solver=solver, batch_size=90, max_iter=n, ema_decay=0.8)
        np.testing.assert_allclose(flat(model), expected[n - 1], rtol=1e-13, atol=1e-15)


@both
@solvers
def test_the_weights_themselves_are_trained_as_without_an_average(cls, solver):
    """In a fit, and in each call of `partial_fit`: losses are equal, and the weights are kept."""
    plain, model = (fitted(cls, solver=solver, **some) for some in ({}, dict(ema_decay=0.9)))
    expected = flat(model)
    for _ in range(3):
        assert model.loss_curve_ == plain.loss_curve_
        np.testing.assert_array_equal(model._optimizer.state[-1], flat(plain))
        go_on(plain)
        go_on(model)
    assert abs(flat(model) - expected).max() > 1e-4  # the average goes on, too
    np.testing.assert_array_equal(model._optimizer.state[:-1], plain._optimizer.state)


@both
def test_a_warm_start_begins_with_the_average(cls):
    model = fitted(cls, ema_decay=0.9, warm_start=True)
    weights = copy.deepcopy((model.coefs_, model.intercepts_))
    model.fit(X, Y if cls is MLPClassifier else T)
    other = fitted(cls, ema_decay=0.9, init=weights)
    np.testing.assert_array_equal(flat(model), flat(other))


@both
def test_validation_and_early_stopping_see_the_average(cls):
    y = Y if cls is MLPClassifier else T
    settings = dict(max_iter=12, ema_decay=0.8, learning_rate_init=0.1)
    x_val, y_val = X[::3] + 0.1, y[::3]
    model = cls(**{**SMALL, **settings}).fit(X, y, X_val=x_val, y_val=y_val)
    for n, score in enumerate(model.validation_scores_, start=1):
        one = fitted(cls, **{**settings, "max_iter": n})
        assert one.score(x_val, y_val) == pytest.approx(score, abs=1e-12)
    best = int(np.argmax(model.validation_scores_))
    stopped = cls(**{**SMALL, **settings}, early_stopping=True, n_iter_no_change=20)
    stopped.fit(X, y, X_val=x_val, y_val=y_val)
    assert stopped.validation_scores_ == model.validation_scores_ and best < 11
    best_one = fitted(cls, **{**settings, "max_iter": best + 1})
    np.testing.assert_array_equal(flat(stopped), flat(best_one))
    # The weights themselves go on from the last epoch, the average from the best one.
    np.testing.assert_array_equal(stopped._optimizer.state, model._optimizer.state)
    stopped.set_params(early_stopping=False)
    raw, steps = stopped._optimizer.state[-1].copy(), stopped._optimizer.t
    before = flat(stopped)
    go_on(stopped)
    assert stopped._optimizer.t == steps + 5
    plain = cls(**{**SMALL, **settings, "ema_decay": None, "max_iter": 12}).fit(X, y)
    np.testing.assert_array_equal(flat(plain), raw)
    np.testing.assert_array_equal(flat(go_on(plain)), stopped._optimizer.state[-1])
    assert 0 < abs(flat(stopped) - before).max() < abs(flat(plain) - before).max()


def test_divergence_restores_the_best_average():
    y = 1e3 * T
    settings = {**SMALL, "solver": "sgd", "learning_rate_init": 1e-5, "ema_decay": 0.5}
    model = MLPRegressor(**settings, early_stopping=True, warm_start=True).fit(X, y)
    before = flat(model)
    model.set_params(learning_rate_init=1e3)
    with pytest.warns(ConvergenceWarning, match="The best weights of the epochs before are"):
        model.fit(X, y)
    np.testing.assert_array_equal(flat(model), before)


@both
@over_options
def test_an_interrupt_leaves_what_a_shorter_fit_gives(cls, options):
    class Interrupts(Watch):
        def after_epoch(self, course, team):
            if len(course.epochs) == 3:
                raise KeyboardInterrupt
            return False

    model = cls(**SMALL, **options)
    job = model._job(X, Y if cls is MLPClassifier else T)
    course = training.run(job, [Interrupts()])
    assert course.interrupted and len(course.epochs) == 3
    shorter = fitted(cls, max_iter=3, **options)
    np.testing.assert_array_equal(course.network.params, flat(shorter))
    np.testing.assert_array_equal(course.optimizer.state, shorter._optimizer.state)


@pytest.mark.parametrize("which", ["parameters", "average"])
def test_neither_the_parameters_nor_their_average_may_diverge(which):
    job = MLPRegressor(**SMALL, ema_decay=0.9)._job(X, T)
    course: Course = job.course
    assert course.is_finite()
    (course.network.params if which == "parameters" else course.optimizer.state[-1])[3] = np.inf
    assert not course.is_finite()


def test_no_step_leaves_the_average_at_the_initial_weights():
    settings = {**SMALL, "ema_decay": 0.9, "max_iter": 1, "batch_size": 90}
    model = MLPRegressor(**settings, init="he_uniform")
    job = model._job(X, T)
    start, course = job.network.params.copy(), job.course
    for _ in range(2):
        course.exchange()
        np.testing.assert_array_equal(course.network.params, start)
        np.testing.assert_array_equal(course.evaluated, start)


def test_float32_models_of_float64_training_keep_both():
    """Where float32 is too coarse, training is in float64: what it goes on from is not rounded."""
    y = 1e5 * T
    model = MLPRegressor(**SMALL, ema_decay=0.9).fit(X.astype(np.float32), y)
    assert (model.coefs_[0].dtype, model._optimizer.state.dtype) == (np.float32, np.float64)
    double = MLPRegressor(**SMALL, ema_decay=0.9).fit(X.astype(np.float32).astype(float), y)
    np.testing.assert_array_equal(flat(model), flat(double).astype(np.float32))
    np.testing.assert_array_equal(model._optimizer.state, double._optimizer.state)


def test_the_options_of_an_optimizer_stay_its_own():
    """As its momentum does: `partial_fit` goes on with the optimizer of the last call."""
    model, other = fitted(MLPRegressor), fitted(MLPRegressor)
    other.set_params(weight_decay=2.0, clip_norm=0.1, ema_decay=0.9)
    assert_same(go_on(model), go_on(other))
    other._optimizer.weight_decay = 2.0
    assert not np.array_equal(flat(go_on(model)), flat(go_on(other)))
    other._optimizer.ema_decay = 0.5  # its state has no row for it
    with pytest.raises(ValueError, match="'state' of the optimizer must have 3 rows, got 2"):
        go_on(other)


# ---- dropout


def test_a_fit_with_dropout_learns_from_the_masks_of_the_oracle():
    """The whole way down: rates, seed, the count of samples over epochs and calls."""
    model = MLPRegressor(
        solver="sgd",
        activation="identity",
        hidden_layer_sizes=(4,),
        init=(START := ([np.full((6, 4), 0.25), np.ones((4, 1))], [np.zeros(4), np.zeros(1)])),
        dropout=[0.5],
        input_dropout=0.25,
        alpha=0.0,
        batch_size=90,
        learning_rate_init=0.125,
        momentum=0.0,
        nesterovs_momentum=False,
        shuffle=False,
        max_iter=2,
        random_state=5,
    )
    model.fit(X, T).partial_fit(X, T)
    seed = np.random.RandomState(5).randint(2**63, dtype=np.int64)
    assert model._optimizer.seed == seed
    coefs, intercepts = copy.deepcopy(START)
    for epoch in range(3):
        dropout = lower_dropout((0.25, 0.5), int(seed), 90 * epoch)
        masks = [oracle.mask(dropout, k, 0, 90, width) for k, width in enumerate((6, 4))]
        loss, _, dcoefs, dintercepts = oracle.loss_gradient(
            coefs, intercepts, "identity", "squared_error", X, T[:, None], masks=masks
        )
        assert model.loss_curve_[epoch] == pytest.approx(loss, rel=1e-12)
        coefs = [w - 0.125 * dw for w, dw in zip(coefs, dcoefs, strict=True)]
        intercepts = [b - 0.125 * db for b, db in zip(intercepts, dintercepts, strict=True)]
    for ours, theirs in zip(
        [*model.coefs_, *model.intercepts_], [*coefs, *intercepts], strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@both
def test_no_seed_is_drawn_without_dropout(cls):
    """So that the random numbers of other fits are those of before there was dropout."""
    for options in ({}, dict(dropout=0), dict(dropout=[0.0, 0]), dict(input_dropout=0.0)):
        model = fitted(cls, **options)
        assert model._optimizer.seed is None
        assert_same(model, fitted(cls))
    drawn = np.random.RandomState(0)
    fitted(cls, random_state=(one := np.random.RandomState(0)), dropout=0.3, **FIXED)
    drawn.randint(2**63, dtype=np.int64)
    assert one.randint(1000) == drawn.randint(1000)


@both
def test_the_seed_is_drawn_between_the_split_and_the_first_order(cls):
    settings = dict(dropout=0.3, early_stopping=True, max_iter=2)
    random_state = np.random.RandomState(3)
    model = fitted(cls, random_state=random_state, **settings)
    other = np.random.RandomState(3)
    job = cls(**{**SMALL, **settings, "random_state": other})._job(
        X, Y if cls is MLPClassifier else T
    )
    assert job.course.optimizer.seed == model._optimizer.seed
    for _ in range(2):
        other.shuffle(np.arange(job.course.n_samples))
    assert random_state.randint(2**31) == other.randint(2**31)


def test_rates_may_change_from_call_to_call():
    """As alpha does; the seed is drawn when it is needed first, and stays."""
    model = fitted(MLPRegressor)
    plain = go_on(copy.deepcopy(model))
    model.set_params(dropout=0.5)
    assert abs(flat(go_on(model)) - flat(plain)).max() > 1e-4
    seed = model._optimizer.seed
    assert 0 <= seed < 2**63
    model.set_params(dropout=(0.5, 0.0), input_dropout=0.1)
    assert go_on(model, 2)._optimizer.seed == seed
    twin = pickle.loads(pickle.dumps(model))
    assert_same(go_on(model), go_on(twin))
    assert twin._optimizer.seed == seed
    model.t_ = 10**30  # any count of samples is taken
    assert go_on(model).t_ == 10**30 + 90


@both
def test_each_layer_has_its_rate(cls):
    assert_same(fitted(cls, dropout=0.25), fitted(cls, dropout=[0.25, 0.25]))
    assert_same(fitted(cls, dropout=0.25), fitted(cls, dropout=np.array([0.25, 0.25])))
    first, second = fitted(cls, dropout=[0.25, 0]), fitted(cls, dropout=[0, 0.25])
    assert abs(flat(first) - flat(second)).max() > 1e-4
    # Rates are multiples of 2^-16; one unit of so many is kept at least.
    assert_same(fitted(cls, dropout=0.25), fitted(cls, dropout=0.25 + 2**-18))
    model = fitted(cls, dropout=1 - 1e-9)
    assert np.isfinite(flat(model)).all()


@both
def test_a_linear_model_has_no_units_to_drop(cls):
    model = fitted(cls, hidden_layer_sizes=(), dropout=0.5)
    assert model._optimizer.seed is None
    assert_same(model, fitted(cls, hidden_layer_sizes=(), dropout=()))


@both
def test_dropout_keeps_a_wide_network_from_fitting_noise(cls):
    """The loss of training grows, since units are missing; predictions use all units."""
    settings = dict(hidden_layer_sizes=(200,), max_iter=150, learning_rate_init=0.01)
    plain, dropped = fitted(cls, **settings), fitted(cls, dropout=0.5, **settings)
    assert dropped.loss_ > 1.5 * plain.loss_
    y = Y if cls is MLPClassifier else T
    assert dropped.score(X, y) > 0.8


@both
@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_sparse_samples_have_no_input_dropout(cls, how):
    model = cls(**SMALL, input_dropout=0.2)
    y = Y if cls is MLPClassifier else T
    first = {"classes": [0, 1, 2]} if (cls, how) == (MLPClassifier, "partial_fit") else {}
    with pytest.raises(ValueError, match=r"input_dropout needs dense X, got 0\.2 with a sparse"):
        getattr(model, how)(csr_array(X), y, **first)
    assert not hasattr(model, "coefs_")
    getattr(model, how)(X, y, **first)
    before = flat(model)
    with pytest.raises(ValueError, match="input_dropout needs dense X"):
        model.partial_fit(csr_array(X), y)
    np.testing.assert_array_equal(flat(model), before)
