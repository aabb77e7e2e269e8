"""The base class of both tabular estimators: transformation, folds, members, what they learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from fastbp.estimators import inputs
from fastbp.estimators.adopt import at_once
from fastbp.estimators.callbacks import check_callbacks
from fastbp.estimators.held_out import Data
from fastbp.estimators.labels import Labels
from fastbp.estimators.messages import warn
from fastbp.estimators.model_file import new_unfitted, parameters_node
from fastbp.estimators.savable import Savable, members_node, read_members, save_model
from fastbp.estimators.scikit_learn import Interval, StrOptions, rows_of
from fastbp.files import Reader, Source, Writer
from fastbp.files.names import FITTED_OF_CLASS, PARTS_OF_TABULAR
from fastbp.kernels import core
from fastbp.tabular import recipe, table
from fastbp.tabular.folds import Fold, Rows, folds_of_members, numbers_of_groups
from fastbp.tabular.members import CheckedData, MemberFit, Shared, fit_members
from fastbp.tabular.model_file import oof_node, read_transformer, transformer_node
from fastbp.tabular.preprocessor import TabularPreprocessor
from fastbp.tabular.progress import Progress
from fastbp.tabular.short_codes import columns_of_codes
from fastbp.threads import available_cores

CALLBACKS = "_callbacks"

Weigher: TypeAlias = Callable[[NDArray[Any], Any], "NDArray[np.float64] | None"]


class Problem(NamedTuple):
    """The data of a fit after all checks.

    Parameters
    ----------
    transformer : TabularPreprocessor
        Fitted.
    data : CheckedData
    validation : CheckedData or None
        None if the rows that members are validated on are those of their folds.
    labels : Labels or None
        Of a classifier.
    folds : list of Fold
        That of each member; empty if validation rows are given.
    rows : ndarray of intp
        Those with a positive weight.
    seeds : list of int
    """

    transformer: TabularPreprocessor
    data: CheckedData
    validation: CheckedData | None
    labels: Labels | None
    folds: list[Fold]
    rows: Rows
    seeds: list[int]

    def rows_of_member(self, number: int) -> tuple[CheckedData, CheckedData]:
        """The rows that a member is trained on, and those that it is validated on."""
        if self.validation is not None:
            train, held_out = self.rows, self.validation
        else:
            train, held_out = self.folds[number].train, self.data.take(self.folds[number].held_out)
        if len(held_out.y) == 1:  # two rows are the least: the mean is the same
            held_out = held_out.take(np.array([0, 0]))
        return self.data.take(train), held_out

    def held_out_of(self) -> list[tuple[list[int], Rows]]:
        """The rows that are held out, and the members that have not seen them, fold by fold."""
        found: list[tuple[list[int], Rows]] = []
        for number, fold in enumerate(self.folds):
            known = next((pair for pair in found if pair[1] is fold.held_out), None)
            if known is None:
                found.append(([number], fold.held_out))
            else:
                known[0].append(number)
        return found


class BaseTabularMLP(Savable, BaseEstimator):
    """The base class of TabularMLPClassifier and TabularMLPRegressor.

    A subclass has the following hooks.

    - ``_targets(y)``: checked targets, and Labels or None.
    - ``_validation_targets(y_val, y, labels)``: checked targets of validation rows.
    - ``_weigher(y, sample_weight, labels)``: makes weights of rows of (y, sample_weight).
    - ``_chosen_by()``: what members get as `scoring`, and what makes it anew for each of them.
    - ``_of_member()``: the parameters of a member that are not the recipe's.
    - ``_learned(problem, fits)``: attributes from the members' predictions.
    - ``_fitted_node(writer, out_of_fold)``: these attributes in a model file, besides those of all
      tabular models.
    - ``_read_fitted(node, members, reader)``: a class method that makes the attributes of them.
    """

    _kind: ClassVar[Any]  # the class of the members
    _rate: ClassVar[float]
    _parameter_constraints: ClassVar[dict] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({"auto", *core.ACTIVATIONS}), callable, list, tuple],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "n_bins": [Interval(Integral, 0, None, closed="left"), None],
        "categorical_features": ["array-like", str, None],
        "scoring": [str, callable, None],
        "max_seconds": [Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
    }

    def set_callbacks(self, *callbacks: Any) -> Self:
        """Set the callbacks of all members, instead of those that were set before.

        Parameters
        ----------
        *callbacks : objects
            As for `fastbp.MLPClassifier.set_callbacks`. Their estimator is the member in training,
            their X and y are its transformed rows. With callbacks the members are trained one
            after the other. A callback that ends training ends that of its member. Callbacks that
            write files of one name replace those of the last member.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            If a callback is a class, or lacks one of the methods.
        """
        check_callbacks(callbacks)
        self.__dict__[CALLBACKS] = callbacks
        return self

    # ---- fit

    def _fit(self, data: Data, validation: Data, groups: Any) -> Self:
        """Fit all members, then set the fitted attributes in one step, then warn."""
        draft, callbacks = inputs.draft_of(self), vars(self).get(CALLBACKS, ())
        threads = 1 if callbacks else min(self.n_threads or available_cores(), self.n_members)
        progress = Progress(self.n_members, threads, self.max_seconds, self.verbose)
        problem = draft._problem(data, validation, groups)
        auto = self.max_iter == "auto"
        progress.max_iter = recipe.n_epochs(len(problem.rows)) if auto else self.max_iter
        hidden = inputs.check_hidden_layer_sizes(self.hidden_layer_sizes)
        scoring, scorer_of = self._chosen_by()
        factor = recipe.input_scale(hidden, problem.data.X.shape[1])
        codes = columns_of_codes(problem.transformer._tables.numbers)
        shared = Shared(problem.labels, factor, codes, scorer_of, progress, callbacks)
        fits = [
            MemberFit(
                self._new_member(hidden, scoring, progress.max_iter),
                seed,
                partial(problem.rows_of_member, number),
                shared,
            )
            for number, seed in enumerate(problem.seeds)
        ]
        said = fit_members(fits, self.n_threads, one_by_one=bool(callbacks))
        features = {"n_features_in_": problem.transformer.n_features_in_}
        names = getattr(problem.transformer, "feature_names_in_", None)
        if names is not None:
            features["feature_names_in_"] = names
        draft.__dict__.update(features)
        learned = {
            **features,
            "transformer_": problem.transformer,
            "members_": [fit.member for fit in fits],
            "best_epochs_": np.array([fit.best_epoch for fit in fits]),
            "n_iter_": max(fit.member.n_iter_ for fit in fits),
            **draft._learned(problem, fits),
        }
        pop, update = self.__dict__.pop, self.__dict__.update
        at_once([partial(pop, "feature_names_in_", None), partial(update, learned)])
        for message, category in dict.fromkeys(progress.warnings(said)):
            warn(message, category)
        return self

    def _new_member(self, hidden: list[int], scoring: Any, max_iter: int) -> Any:
        """A member with the parameters that do not depend on its rows."""
        rate = self._rate if self.learning_rate_init == "auto" else self.learning_rate_init
        return self._kind(
            activation="mish" if self.activation == "auto" else self.activation,
            batch_size=self.batch_size,
            max_iter=max_iter,
            scoring=scoring,
            n_threads=self.n_threads,
            **recipe.member_parameters(hidden, rate, self.weight_decay),
            **self._of_member(),
        )

    def _problem(self, data: Data, validation: Data, groups: Any) -> Problem:
        """The data after all checks, transformed; and all that is random. For a draft."""
        validates = inputs.is_validation_given(*validation)
        if validates and groups is not None:
            raise ValueError("groups make folds, but with X_val there are none: give one of both.")
        if data.y is None:
            name = type(self).__name__
            raise ValueError(
                f"This {name} estimator requires y to be passed, but the target y is None."
            )
        transformer = TabularPreprocessor(
            n_bins=self.n_bins, categorical_features=self.categorical_features
        ).set_output(transform="default")
        x, weight, rows = _fit_transform(transformer, data)
        check_consistent_length(x, data.y)
        y, labels = self._targets(data.y)
        weigher = self._weigher(y, weight, labels)
        full = CheckedData(x, y, weigher(y, weight))
        if full.sample_weight is not None:  # that of a class may be 0
            rows = np.flatnonzero(full.sample_weight)
        random_state = check_random_state(self.random_state)
        folds: list[Fold] = []
        checked = None
        if validates:
            checked = self._checked_validation(validation, transformer, y, labels)
            weight = weigher(checked.y, checked.sample_weight)
            checked = checked._replace(sample_weight=weight)
        else:
            if groups is not None:
                groups = numbers_of_groups(groups)
                check_consistent_length(x, groups)
                groups = groups[rows]
            classes = None if labels is None else y[rows]
            folds = folds_of_members(rows, self.n_members, classes, groups, random_state)
        seeds = random_state.randint(np.iinfo(np.int32).max, size=self.n_members).tolist()
        return Problem(transformer, full, checked, labels, folds, rows, seeds)

    def _checked_validation(
        self,
        validation: Data,
        transformer: TabularPreprocessor,
        y: NDArray[Any],
        labels: Labels | None,
    ) -> CheckedData:
        """The given validation data, transformed, with checked targets and weights."""
        with inputs.about("X_val"):
            x = transformer.transform(validation.X)
        with inputs.about("y_val"):
            y_val = self._validation_targets(validation.y, y, labels)
        if len(x) != len(y_val):
            raise ValueError(f"X_val has {len(x)} samples, but y_val has {len(y_val)}.")
        with inputs.about("sample_weight_val"):
            weight = inputs.check_weights(validation.sample_weight, x)
        return CheckedData(x, y_val, inputs.near_one(weight, 0.0)[0])

    # ---- what was learned

    @property
    def loss_curves_(self) -> list[list[float]]:
        """The loss of each epoch of each member."""
        return [member.loss_curve_ for member in self._members()]

    @property
    def validation_curves_(self) -> list[list[float]]:
        """The score on the rows that a member has not seen, after each of its epochs."""
        return [member.validation_scores_ for member in self._members()]

    def _members(self) -> list[Any]:
        check_is_fitted(self)
        return self.members_

    def __sklearn_is_fitted__(self) -> bool:
        return "members_" in self.__dict__

    def _transformed(self, X: Any) -> tuple[Any, NDArray[np.float32]]:
        """A draft of the fitted estimator and the transformed rows, both of the same moment."""
        draft = inputs.draft_of(self)
        if "members_" not in draft.__dict__:
            check_is_fitted(draft)
        return draft, draft.transformer_._transform(X)

    def __getstate__(self) -> dict[str, Any]:
        """A fitted model goes without callbacks, which may hold anything."""
        state = super().__getstate__().copy()
        if "members_" in state:
            state.pop(CALLBACKS, None)
        return state

    # ---- model files

    def save(self, path: Source, *, training: bool = True, out_of_fold: bool = True) -> None:
        """Save the fitted model to a file, from which `fastbp.load` makes it again, bit for bit.

        The file is in the format safetensors and has the preprocessing too. Nothing in it is run
        when it is loaded. A file that was there is replaced in one step. It stays as it was if
        anything fails.

        Parameters
        ----------
        path : str, PathLike or binary file object
            Where to write. By convention a name ends with ``.safetensors``.
        training : bool, default=True
            Whether to keep what only training needs: without it, `scoring` may be a function.
        out_of_fold : bool, default=True
            Whether to keep `oof_prediction_` and the errors that `predict_interval` needs. They
            have numbers for each row of the training data.

        Raises
        ------
        TypeError
            If the file cannot hold the value of a parameter or a level of a categorical column,
            which the message names. Own activations are kept as formulas, other functions are not.
            Or if the model is of a subclass.
        OSError
            If the file cannot be written.

        See Also
        --------
        fastbp.load : Make the model of a file.
        """
        save_model(self, path, training=training, out_of_fold=out_of_fold)

    def _to_node(self, writer: Writer, training: bool, out_of_fold: bool = True) -> dict[str, Any]:
        draft = inputs.draft_of(self)
        check_is_fitted(draft)
        draft._validate_params()
        transformer = transformer_node(draft.transformer_, writer.within("transformer_"))
        return {
            "params": parameters_node(draft, writer, training),
            "fitted": {
                "best_epochs_": writer.value(draft.best_epochs_, "best_epochs_"),
                "n_iter_": writer.value(draft.n_iter_, "n_iter_"),
                **oof_node(draft, writer, out_of_fold),
                **draft._fitted_node(writer, out_of_fold),
            },
            "transformer": transformer,
            "members": members_node(draft.members_, writer, training=False),
        }

    @classmethod
    def _from_node(cls, node: dict[str, Any], reader: Reader) -> Self:
        reader.fields(node, "the model", PARTS_OF_TABULAR)
        model: Self = new_unfitted(cls, node["params"], reader)
        transformer = read_transformer(node["transformer"], reader)
        members = read_members(cls._kind, node["members"], reader)
        if members[0].n_features_in_ != len(transformer.feature_index_):
            raise ValueError("the members do not have the features that the transformer makes")
        fitted = reader.fields(node["fitted"], "fitted", FITTED_OF_CLASS[cls._saved_as])
        epochs = reader.value(fitted["best_epochs_"], "best_epochs_")
        is_right = isinstance(epochs, np.ndarray) and epochs.shape == (len(members),)
        if not is_right or epochs.dtype.kind != "i" or epochs.min() < 0:
            raise ValueError("best_epochs_ must be a number of epochs for each member")
        if type(fitted["n_iter_"]) is not int or fitted["n_iter_"] < 0:
            raise ValueError("n_iter_ must be a number of epochs")
        names = getattr(transformer, "feature_names_in_", None)
        model.__dict__.update(
            transformer_=transformer,
            members_=members,
            n_features_in_=transformer.n_features_in_,
            n_iter_=fitted["n_iter_"],
            best_epochs_=epochs,
            **({} if names is None else {"feature_names_in_": names}),
            **cls._read_fitted(fitted, members, reader),
        )
        return model

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        theirs = get_tags(TabularPreprocessor()).input_tags
        tags.input_tags.allow_nan = theirs.allow_nan
        tags.input_tags.categorical, tags.input_tags.string = theirs.categorical, theirs.string
        return tags


def _fit_transform(
    transformer: TabularPreprocessor, data: Data
) -> tuple[NDArray[np.float32], NDArray[np.float64] | None, Rows]:
    """Transformed rows, their weights, and the indices of those with a positive weight.

    A row of weight 0 is as if it were absent: nothing is learned from it, and it is not read.
    """
    if data.sample_weight is None:
        x = transformer.fit_transform(data.X)
        return x, None, np.arange(len(x))
    X = table.plain(data.X, transformer)
    check_consistent_length(X, data.y)
    weight = inputs.check_weights(data.sample_weight, np.empty((X.shape[0], 0)))
    weight = inputs.near_one(weight, 0.0)[0]  # whose sums are numbers
    assert weight is not None
    rows = np.flatnonzero(weight)
    if len(rows) == len(weight):
        return transformer.fit_transform(X), weight, rows
    known = transformer.fit_transform(rows_of(X, rows))
    x = np.zeros((len(weight), known.shape[1]), known.dtype)
    x[rows] = known
    return x, weight, rows
