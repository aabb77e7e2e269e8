"""Displays: the data they store, the pictures they draw, and the errors they raise."""

import sys
import warnings
from itertools import pairwise

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.inspection import DecisionBoundaryDisplay

from fastbp import MLPClassifier, MLPRegressor
from fastbp.inspection import (
    FeatureImportanceDisplay,
    GradientFlowDisplay,
    LossCurveDisplay,
    NetworkDisplay,
    WeightsDisplay,
    feature_importance,
    layer_statistics,
)
from fastbp.tabular import TabularMLPRegressor

matplotlib = pytest.importorskip("matplotlib", reason="displays draw with matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")
to_rgba = pytest.importorskip("matplotlib.colors").to_rgba

BLUE, ORANGE = "#1f5fa8", "#e07b28"


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def data(n_features=4):
    random = np.random.RandomState(0)
    X = random.randn(80, n_features)
    return X, np.array(["left", "right"])[(X[:, 0] > 0).astype(int)]


def fitted(estimator=None, n_features=4):
    estimator = estimator or MLPClassifier((5, 3), max_iter=6, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(*data(n_features))


def texts(display):
    return [text.get_text() for text in display.ax_.texts]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


MAKERS = {
    "loss": lambda estimator, **options: LossCurveDisplay.from_estimator(estimator, **options),
    "flow": lambda estimator, **options: GradientFlowDisplay.from_estimator(
        estimator, *data(), **options
    ),
    "weights": lambda estimator, **options: WeightsDisplay.from_estimator(estimator, **options),
    "network": lambda estimator, **options: NetworkDisplay.from_estimator(estimator, **options),
    "importance": lambda estimator, **options: FeatureImportanceDisplay.from_estimator(
        estimator, data()[0], **options
    ),
}
DRAWN = {
    "network": lambda display: display.links_,
    "importance": lambda display: display.bars_[0],
}
over_displays = pytest.mark.parametrize("name", MAKERS)


# ---- all displays


@over_displays
def test_axes_are_new_or_given(name, tmp_path):
    estimator = fitted()
    display = MAKERS[name](estimator)
    assert display.ax_.figure is display.figure_
    display.figure_.savefig(tmp_path / "picture.png")  # warns if texts do not fit
    _, ax = plt.subplots()
    given = MAKERS[name](estimator, ax=ax)
    assert given.ax_ is ax
    assert given.figure_ is ax.figure
    part = plt.figure(figsize=(9, 5)).subfigures(1, 2)[1]
    assert given.plot(part.subplots()).figure_ is part
    part.figure.savefig(tmp_path / "part.png")
    assert given.plot(display.ax_) is given
    assert given.ax_ is display.ax_


@over_displays
def test_options_reach_what_is_drawn(name):
    options = {"cmap": "gray"} if name == "weights" else {"alpha": 0.25}
    display = MAKERS[name](fitted(), **options)
    if name == "weights":
        assert display.image_.get_cmap().name == "gray"
    else:
        drawn = DRAWN.get(name, lambda display: display.lines_[0])
        assert drawn(display).get_alpha() == 0.25


@over_displays
def test_style_is_left_alone(name):
    before = dict(matplotlib.rcParams)
    MAKERS[name](fitted())
    assert dict(matplotlib.rcParams) == before


@over_displays
def test_without_matplotlib_it_says_how_to_get_it(name, monkeypatch):
    estimator = fitted()
    for module in [module for module in sys.modules if module.startswith("matplotlib")]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"Display draws with matplotlib.*fastbp\[plot\]"):
        MAKERS[name](estimator)


@over_displays
def test_only_fitted_estimators_of_fastbp(name):
    with pytest.raises(NotFittedError, match="MLPClassifier instance is not fitted yet"):
        MAKERS[name](MLPClassifier())
    with pytest.raises(TypeError, match=r"got builtins\.str"):
        MAKERS[name]("adam")


# ---- loss curves


def test_the_training_loss_by_epochs():
    estimator = fitted()
    display = LossCurveDisplay.from_estimator(estimator)
    (line,) = display.lines_
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 7))
    np.testing.assert_array_equal(line.get_ydata(), estimator.loss_curve_)
    assert display.ax_.get_legend() is None
    assert display.score_ax_ is None


def test_scores_have_their_own_axes():
    estimator = fitted(MLPClassifier((5,), max_iter=6, early_stopping=True, random_state=0))
    estimator.validation_loss_curve_ = None
    display = LossCurveDisplay.from_estimator(estimator)
    np.testing.assert_array_equal(display.lines_[1].get_ydata(), estimator.validation_scores_)
    assert display.lines_[1].axes is display.score_ax_ is not display.ax_
    assert legend(display.score_ax_) == ["training loss", "validation score"]
    assert LossCurveDisplay.from_estimator(estimator, scores=False).score_ax_ is None


def test_the_validation_loss_and_its_least():
    display = LossCurveDisplay(
        loss_curve=[3, 2, 1, 0.5],
        validation_scores=[0, 1, 2, 1],
        validation_loss_curve=[4.0, np.nan, 2, 2.5],
    ).plot()
    assert legend(display.ax_) == ["training loss", "validation loss", "least, in epoch 3"]
    assert display.score_ax_ is None
    assert len(display.plot(scores=True).lines_) == 3


def test_what_an_estimator_recorded_is_drawn():
    estimator = fitted()
    estimator.validation_loss_curve_ = [1.0, 0.9, 0.8, 0.7, 0.6, 0.7]
    display = LossCurveDisplay.from_estimator(estimator)
    np.testing.assert_array_equal(display.lines_[1].get_ydata(), estimator.validation_loss_curve_)


def test_lbfgs_has_no_curve():
    estimator = fitted(MLPClassifier((5,), solver="lbfgs", random_state=0))
    with pytest.raises(ValueError, match=r"no loss curve: this MLPClassifier with solver='lbfgs'"):
        LossCurveDisplay.from_estimator(estimator)
    again = fitted(fitted().set_params(solver="lbfgs"))  # keeps the curve of 'adam'
    with pytest.raises(ValueError, match="no loss curve"):
        LossCurveDisplay.from_estimator(again)


# ---- the gradient's flow


def test_the_flow_is_that_of_the_statistics():
    estimator, (X, y) = fitted(), data()
    weight = np.arange(80.0)
    display = GradientFlowDisplay.from_estimator(estimator, X, y, weight)
    found = layer_statistics(estimator, X, y, weight)
    for line, values in zip(display.lines_, (found.delta_rms, found.gradient_rms), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
        np.testing.assert_array_equal(line.get_ydata(), values)
    assert display.ax_.get_yscale() == "log"
    assert legend(display.ax_) == ["delta", "gradient of the weights"]


def test_zeros_are_marked():
    display = GradientFlowDisplay(delta_rms=[0, 0, 1.0], gradient_rms=[1e-3, 1, 1]).plot()
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), [np.nan, np.nan, 1])
    crosses = [line for line in display.ax_.lines if line.get_label() == "delta is 0"]
    assert [line.get_xdata().tolist() for line in crosses] == [[1, 2]]


# ---- weights


def test_weights_are_images_beside_each_other():
    estimator = fitted(n_features=12)
    display = WeightsDisplay.from_estimator(estimator, shape=(3, 4), n_columns=2)
    w = estimator.coefs_[0]
    np.testing.assert_array_equal(display.weights[4], w[:, 4].reshape(3, 4))
    mosaic = display.image_.get_array()
    assert mosaic.shape == (11, 9)  # three rows of two, a pixel between them
    np.testing.assert_array_equal(mosaic[4:7, 5:], w[:, 3].reshape(3, 4))
    assert np.ma.getmaskarray(mosaic)[8:, 5:].all()  # there is no sixth unit
    assert display.image_.get_clim() == (-abs(w).max(), abs(w).max())


def test_square_images_are_guessed():
    assert WeightsDisplay.from_estimator(fitted(n_features=9)).weights.shape == (5, 3, 3)
    with pytest.raises(ValueError, match="12 features make no square image: give shape="):
        WeightsDisplay.from_estimator(fitted(n_features=12))


def test_some_units_alone():
    estimator = fitted()
    display = WeightsDisplay.from_estimator(estimator, units=[3, 1])
    np.testing.assert_array_equal(display.weights[1], estimator.coefs_[0][:, 1].reshape(2, 2))
    for units in ([5], [-1]):
        with pytest.raises(ValueError, match="has the units 0 to 4"):
            WeightsDisplay.from_estimator(estimator, units=units)
    for units in ([], [0.5], 2):
        with pytest.raises(ValueError, match="units must be a list"):
            WeightsDisplay.from_estimator(estimator, units=units)


@pytest.mark.parametrize("shape", [(2, 3), (4,), (2, 2, 1), (-2, -2)])
def test_shapes_that_do_not_fit(shape):
    with pytest.raises(ValueError, match="with 4 pixels, one for each feature"):
        WeightsDisplay.from_estimator(fitted(), shape=shape)


def test_weights_of_0_have_a_scale():
    estimator = fitted()
    estimator.coefs_[0] = np.zeros((4, 5))
    assert WeightsDisplay.from_estimator(estimator).image_.get_clim() == (-1, 1)


# ---- networks


def test_links_tell_sign_and_size():
    estimator = fitted()
    display = NetworkDisplay.from_estimator(estimator)
    weights = np.concatenate([w.ravel() for w in estimator.coefs_])
    widths = np.array(display.links_.get_linewidths())
    np.testing.assert_array_equal(np.argsort(widths), np.argsort(abs(weights)))
    blue = (display.links_.get_colors()[:, :3] == to_rgba(BLUE)[:3]).all(axis=1)
    orange = (display.links_.get_colors()[:, :3] == to_rgba(ORANGE)[:3]).all(axis=1)
    np.testing.assert_array_equal(blue, weights > 0)
    np.testing.assert_array_equal(orange, weights < 0)
    segments = display.links_.get_segments()
    assert len(segments) == 4 * 5 + 5 * 3 + 3
    np.testing.assert_array_equal(segments[1][0], segments[0][0])  # both from the first input
    assert [len(units.get_offsets()) for units in display.units_] == [4, 5, 3, 1]


def test_biases_are_written_in_the_units():
    estimator = fitted()
    for biases, first in zip(estimator.intercepts_, (1.25, -3.5, 42), strict=True):
        biases[:] = first + np.arange(len(biases))
    found = texts(NetworkDisplay.from_estimator(estimator))
    for text in ("1.2", "2.2", "−3.5", "−2.5", "42"):
        assert text in found
    dark, light = (
        NetworkDisplay.from_estimator(estimator).units_[k].get_facecolors()[0] for k in (3, 1)
    )
    assert dark[:3].sum() < light[:3].sum()  # the largest bias has the deepest colour


def test_few_links_have_their_weights_written():
    estimator = fitted(MLPClassifier((2,), max_iter=2, random_state=0), n_features=2)
    estimator.coefs_[0][:] = [[1.5, -2.5], [3.25, 123]]
    found = texts(NetworkDisplay.from_estimator(estimator))
    for text in ("1.5", "−2.5", "3.2", "123"):
        assert text in found


def test_names_and_heads():
    pandas = pytest.importorskip("pandas")
    X, y = data()
    frame = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    estimator = MLPClassifier((5,), activation=["tanh"], solver="lbfgs", random_state=0)
    estimator.fit(frame, y)
    found = texts(NetworkDisplay.from_estimator(estimator))
    for text in ("a", "d", "input", "layer 1", "tanh", "output", "logistic", "right"):
        assert text in found
    assert "left" not in found  # the output is the probability of the second class
    named = NetworkDisplay.from_estimator(estimator, feature_names="wxyz", output_names=["p"])
    assert {"w", "z", "p"} <= set(texts(named))
    assert "a" not in texts(named)
    with pytest.raises(ValueError, match="feature_names must be 4 names, got 2"):
        NetworkDisplay.from_estimator(estimator, feature_names=["a", "b"])
    with pytest.raises(ValueError, match="output_names must be 1 names, got 2"):
        NetworkDisplay.from_estimator(estimator, output_names=["a", "b"])


@pytest.mark.parametrize("units", [(2, 3, 1), (2, 2, 2), (1, 6, 1), (3, 3, 1), (2, 2, 2, 1)])
def test_numbers_on_links_do_not_overlap(units):
    coefs = [np.full(shape, -0.25) for shape in pairwise(units)]
    intercepts = [np.zeros(n) for n in units[1:]]
    display = NetworkDisplay.from_estimator(
        MLPRegressor.from_weights(coefs, intercepts, activation="relu")
    )
    display.figure_.draw_without_rendering()
    numbers = [text for text in display.ax_.texts if text.get_text() == "−0.25"]
    boxes = [text.get_window_extent() for text in numbers]
    assert len(boxes) == sum(w.size for w in coefs) <= 12
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


def test_names_of_numbers():
    X, _ = data(3)
    estimator = MLPRegressor(hidden_layer_sizes=(2,), solver="lbfgs", random_state=0)
    assert {"x1", "x3", "y"} <= set(texts(NetworkDisplay.from_estimator(estimator.fit(X, X[:, 0]))))
    assert {"y1", "y2"} <= set(texts(NetworkDisplay.from_estimator(estimator.fit(X, X[:, :2]))))


def test_wide_layers_are_refused_unless_asked_for():
    estimator = fitted(MLPClassifier((5, 17), max_iter=1, random_state=0))
    with pytest.raises(ValueError, match=r"layer 2 has 17 units.*more than 16.*max_units=17"):
        NetworkDisplay.from_estimator(estimator)
    display = NetworkDisplay.from_estimator(estimator, max_units=17)
    assert len(display.units_[2].get_offsets()) == 17
    wide = fitted(MLPClassifier((5,), max_iter=1, random_state=0), n_features=20)
    with pytest.raises(ValueError, match="the input has 20 units"):
        NetworkDisplay.from_estimator(wide)


# ---- decision regions


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scikit_learn_draws_regions_of_decision(n_classes):
    X, _ = data(2)
    y = np.digitize(X[:, 0], [0, 0.7])[:] if n_classes == 3 else (X[:, 0] > 0).astype(int)
    estimator = MLPClassifier((8,), solver="lbfgs", random_state=0).fit(X, y)
    display = DecisionBoundaryDisplay.from_estimator(
        estimator, X, grid_resolution=20, response_method="predict"
    )
    grid = np.column_stack([display.xx0.ravel(), display.xx1.ravel()])
    np.testing.assert_array_equal(display.response.ravel(), estimator.predict(grid))
    DecisionBoundaryDisplay.from_estimator(estimator, X, grid_resolution=20)


# ---- importance


def bars(display):
    """The names and the lengths of the bars, from the top down."""
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert display.ax_.yaxis_inverted()
    return dict(zip(names, [bar.get_width() for bar in display.bars_], strict=True))


def test_the_most_important_feature_is_on_top():
    X, y = data()
    model = TabularMLPRegressor((8,), n_members=2, max_iter=3, random_state=0).fit(X, y == "left")
    display = FeatureImportanceDisplay.from_estimator(model, X)
    found = feature_importance(model, X)
    order = np.argsort(-found.importances_mean)
    np.testing.assert_array_equal(display.importances_std, found.importances_std)
    assert list(bars(display)) == found.feature_names[order].tolist()
    assert list(bars(display).values()) == found.importances_mean[order].tolist()
    (errors,) = display.bars_.errorbar.lines[2]
    ends = np.ptp([segment[:, 0] for segment in errors.get_segments()], axis=1)
    np.testing.assert_allclose(ends, 2 * found.importances_std[order])


def test_one_network_has_no_error_bars():
    assert FeatureImportanceDisplay.from_estimator(fitted(), data()[0]).bars_.errorbar is None


def test_only_so_many_features():
    display = FeatureImportanceDisplay(importances_mean=np.arange(30.0)).plot()
    assert len(bars(display)) == 20
    assert display.ax_.get_ylabel() == "20 of 30 features"
    few = display.plot(max_features=2)
    assert bars(few) == {"x29": 29, "x28": 28}
    every = display.plot(max_features=None)
    assert len(bars(every)) == 30 and every.ax_.get_ylabel() == ""
    with pytest.raises(ValueError, match="max_features must be at least 1 or None, got 0"):
        display.plot(max_features=0)
