"""The transformer of tables: frames with numbers, categories and missing values, to one array."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from fastbp.estimators import inputs
from fastbp.estimators.scikit_learn import Interval, fit_context
from fastbp.tables import Encoding, Table, check_not_infinite, columns_of, read
from fastbp.tabular import table
from fastbp.tabular.codes import learn_numbers
from fastbp.tabular.levels import learn_categories


class TabularPreprocessor(TransformerMixin, BaseEstimator):
    """Turns tables of numbers and categories into arrays that neural networks learn well from.

    Numbers are scaled robustly and clipped smoothly, as in RealMLP [1]_, and get piecewise-linear
    codes [2]_. Categories become one-hot columns, which are scaled as numbers are. Values may be
    missing everywhere. The result is finite, whatever the table is.

    Parameters
    ----------
    categorical_features : array-like of {bool, int, str} of shape (n_features,) or \
            (n_categorical_features,), or None, default="from_dtype"
        The categorical columns.

        - "from_dtype": columns of category, enum, string and bool dtypes; and columns of objects,
          unless they have numbers and nothing else but missing values. So a list or an array of
          objects may have columns of both kinds.
        - None: no column is categorical.
        - names, places, or a mask of the columns.
    n_bins : int, default=16
        The number of bins of the piecewise-linear code of each number. Bins that coincide are one,
        and a column that has a single bin has no code. 0 or None: no codes.
    max_categories : int, default=100
        The largest number of columns of one categorical feature. If it has more levels, then the
        rarest ones share a column, as in `sklearn.preprocessing.OneHotEncoder`. None: no limit.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        The dtype of the result. Everything is computed in float64.
    sparse_output : bool, default=False
        Whether the result is a sparse array in CSR format.

    Attributes
    ----------
    n_features_in_ : int
        Number of features seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if all names in X are strings.

    is_categorical_ : ndarray of bool of shape (`n_features_in_`,)
        Which features are categorical.

    categories_ : list of length `n_features_in_`
        For a categorical feature the array of its levels, sorted; None for a number.

    bin_edges_ : list of length `n_features_in_`
        For a number with codes the array of the edges of its bins, in scaled numbers; else None.

    feature_index_ : ndarray of int of shape (n_features_out,)
        For each column of the result the feature that it was made of.

    See Also
    --------
    TabularMLPClassifier, TabularMLPRegressor : The estimators that use it.

    Notes
    -----
    The columns of the result are, in this order, all scaled numbers, the codes of all numbers, the
    indicators of missing numbers, and the columns of each categorical feature.

    **Numbers** become ``z = (x - median) / (q75 - q25)`` with the quartiles of the training data,
    or ``z = 2 (x - median) / (max - min)`` where these are equal, or 0 where the column is constant
    or has no value at all. Then ``z / sqrt(1 + (z/3)^2)``, which is between -3 and 3 [1]_. A
    missing number becomes the median, which is 0. If some numbers of a column were missing in
    training, but not all, then an indicator column is 1 where the number is missing and else 0.

    **Codes** have the edges ``e_0 < e_1 < ...``: `n_bins` + 1 quantiles of the scaled and clipped
    numbers z. Code i is ``clip((z - e_i) / (e_{i+1} - e_i), 0, 1)`` [2]_, so they add up to k at
    the edge k.

    **Categories** have a column for each level in training, with 1 where the sample has the level
    and else 0. There is one column of -1 and 1 if there are two levels and no missing values.
    Missing values, and levels that did not occur in training, are 0 in all columns. Then the
    columns are scaled and clipped as numbers are: zeros stay zeros for levels that fewer than half
    of the samples have. One level without missing values gives a column of zeros, and so does a
    feature that has no levels.

    Integers beyond 2^53 are rounded, as numbers; as categories they are not.

    References
    ----------
    .. [1] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: strong pre-tuned MLPs
       and boosted trees on tabular data", NeurIPS 2024, arXiv:2407.04491.
    .. [2] Y. Gorishniy, I. Rubachev and A. Babenko, "On embeddings for numerical features in
       tabular deep learning", NeurIPS 2022, arXiv:2203.05556.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp.tabular import TabularPreprocessor
    >>> X = [[1.0, "red"], [2.0, "green"], [np.nan, "blue"], [3.0, "red"]]
    >>> preprocessor = TabularPreprocessor(n_bins=0).fit(X)
    >>> preprocessor.get_feature_names_out().tolist()
    ['x0', 'x0_missing', 'x1_blue', 'x1_green', 'x1_red']
    >>> preprocessor.transform([[2.5, "red"], [None, "black"]]).round(3)
    array([[ 0.493,  0.   ,  0.   ,  0.   ,  0.493],
           [ 0.   ,  1.   ,  0.   ,  0.   , -0.493]], dtype=float32)
    """

    _parameter_constraints: ClassVar[dict] = {
        "categorical_features": ["array-like", str, None],
        "n_bins": [Interval(Integral, 0, None, closed="left"), None],
        "max_categories": [Interval(Integral, 2, None, closed="left"), None],
        "dtype": "no_validation",
        "sparse_output": ["boolean"],
    }

    def __init__(
        self,
        *,
        categorical_features: Any = "from_dtype",
        n_bins: int | None = 16,
        max_categories: int | None = 100,
        dtype: DTypeLike = np.float32,
        sparse_output: bool = False,
    ):
        self.categorical_features = categorical_features
        self.n_bins = n_bins
        self.max_categories = max_categories
        self.dtype = dtype
        self.sparse_output = sparse_output

    @fit_context
    def fit(self, X: Any, y: object = None) -> Self:
        """Learn scales, bins and levels from X.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            A frame of pandas or polars, an array, or a list of rows. It is not written.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : object
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter is not valid, X is empty, a number is infinite or not a number, or two
            columns have the same name. The message names the column.
        TypeError
            If a column holds dates or times, or objects that can be neither numbers nor categories;
            if X is sparse. After an error the transformer is as before.
        """
        dtype = table.check_dtype(self.dtype)
        draft = inputs.draft_of(self)
        X = table.plain(X, draft)
        validate_data(draft, X, skip_check_array=True)
        columns = columns_of(X)
        names = getattr(draft, "feature_names_in_", None)
        is_categorical = table.categorical_mask(columns, self.categorical_features, names)
        found = read(columns, is_categorical)
        tables = Encoding(
            is_categorical,
            learn_numbers(found.numbers, draft.n_bins or 0),
            tuple(learn_categories(column, draft.max_categories) for column in found.categories),
        )
        learned = learned_of(tables, dtype)
        if names is None:
            self.__dict__.pop("feature_names_in_", None)
        else:
            learned["feature_names_in_"] = names
        self.__dict__.update(learned)
        return self

    def transform(self, X: Any) -> Any:
        """The table X as an array.

        Parameters
        ----------
        X : {DataFrame, array-like} of shape (n_samples, n_features)
            A table with the columns of the training data, in their order. It is not written.

        Returns
        -------
        X_new : {ndarray, sparse array} of shape (n_samples, n_features_out)
            Finite numbers of `dtype`, in C order; CSR with `sparse_output`; a frame after
            `set_output`.

        Raises
        ------
        ValueError
            If X has other features, a number is infinite or not a number. The message names the
            column. `sklearn.exceptions.NotFittedError`, a subclass, if there was no `fit`.
        TypeError
            As in `fit`.
        """
        return self._transform(X)

    def _transform(self, X: Any) -> Any:
        """The result of `transform`, without the frame that `set_output` asks for."""
        draft = inputs.draft_of(self)
        if "_tables" not in draft.__dict__:
            check_is_fitted(draft)
        tables, dtype, rows = draft._tables, draft._dtype, _rows_of(X, draft)
        if not draft.sparse_output:
            return tables.array(rows, dtype)
        found, write = [], tables.writer(rows)
        for part in tables.parts(len(rows.numbers)):
            out = np.empty((part.stop - part.start, len(tables.layout)), dtype)
            write(part, out)
            found.append(scipy.sparse.csr_array(out))
        return scipy.sparse.vstack(found, "csr")

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """The names of the columns of the result.

        The names of a feature "age" are "age", "age_bin0", ... and "age_missing"; those of a
        feature "color" are "color_red", ... and "color_infrequent". Of two levels only the
        second has a column. Names that occur twice get an underscore at the end.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the features. None: `feature_names_in_` if it is there, or "x0", "x1", ...

        Returns
        -------
        feature_names_out : ndarray of str of shape (n_features_out,)
            The names.

        Raises
        ------
        ValueError
            If `input_features` are not those of `fit`.
        """
        names = OneToOneFeatureMixin.get_feature_names_out(self, input_features)
        found: dict[str, None] = {}
        for feature, suffix in self._tables.layout:
            name = f"{names[feature]}{suffix}"
            while name in found:
                name += "_"
            found[name] = None
        return np.array(list(found), object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def learned_of(tables: Encoding, dtype: np.dtype) -> dict[str, Any]:
    """The fitted attributes of a transformer, but for the names of features."""
    return {
        "n_features_in_": len(tables.is_categorical),
        "is_categorical_": tables.is_categorical,
        "categories_": tables.by_feature([its.levels for its in tables.categories], True),
        "bin_edges_": tables.by_feature([*map(_or_none, tables.numbers.edges)], False),
        "feature_index_": np.array([feature for feature, _ in tables.layout], np.intp),
        "_tables": tables,
        "_dtype": dtype,
    }


def _or_none(edges: NDArray[Any]) -> NDArray[Any] | None:
    return edges if len(edges) else None


def _rows_of(X: Any, fitted: Any) -> Table:
    """The values of X, which must have the features of a fitted transformer."""
    is_categorical = fitted._tables.is_categorical
    numbers = None if fitted._tables.categories else _plain_numbers(X, fitted)
    if numbers is not None:
        return Table(numbers, [])
    X = table.plain(X, fitted)
    validate_data(fitted, X, reset=False, skip_check_array=True)
    return read(columns_of(X), is_categorical)


def _plain_numbers(X: Any, fitted: Any) -> NDArray[np.float64] | None:
    """The numbers of an array or a frame if no check of scikit-learn would say more, else None."""
    names = getattr(fitted, "feature_names_in_", None)
    if type(X) is not np.ndarray:
        X = inputs.plain_array(X, names)
    elif names is not None:  # scikit-learn warns
        return None
    if not inputs.is_numeric(X) or X.shape[1] != fitted.n_features_in_:
        return None
    numbers = np.asarray(X, np.float64)
    check_not_infinite(numbers, str if names is None else lambda column: repr(names[column]))
    return numbers
