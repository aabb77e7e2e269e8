"""Odd tables: what comes out of them exactly, or the words of the error.

A row has a name, the table for `fit`, and what is wanted of it: an array, or the type of an
exception and a pattern of its message. `later` is the table for `transform`, if it is another one.
What is accepted is finite and the same by every way to get it; what is refused changes nothing. The
tables are never written. Numbers have no codes here: their laws are in test_preprocessor.py.
"""

import datetime as dt
import pickle
import warnings
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse as sp
from numpy import inf, nan

from fastbp.tabular import TabularPreprocessor

pd = pytest.importorskip("pandas")

Refused = tuple[type[Exception], str]


class Row(NamedTuple):
    """A row of the table of odd tables."""

    name: str
    table: Callable[[], Any]
    wanted: list[list[float]] | Refused
    later: Callable[[], Any] | None = None
    parameters: Mapping[str, Any] = MappingProxyType({})


def lazily(library: str) -> Any:
    """The library, or a skipped test if it is not installed."""
    return pytest.importorskip(library)


def frame(**columns: Any) -> Callable[[], Any]:
    """A function that makes a pandas frame; functions among the columns are called."""
    return lambda: pd.DataFrame(
        {name: make() if callable(make) else make for name, make in columns.items()}
    )


def array(values: Any, dtype: Any) -> Callable[[], Any]:
    """A function that makes a pandas array; a function as dtype is called with pyarrow."""
    return lambda: pd.array(
        values, dtype=pd.ArrowDtype(dtype(lazily("pyarrow"))) if callable(dtype) else dtype
    )


def objects(*values: Any) -> Callable[[], Any]:
    return lambda: pd.Series(values, dtype=object)


def polars(**columns: Any) -> Callable[[], Any]:
    """A function that makes a polars frame; functions among the columns are called with polars."""

    def make():
        library = lazily("polars")
        return library.DataFrame({k: v(library) if callable(v) else v for k, v in columns.items()})

    return make


def given(value: Any) -> Callable[[], Any]:
    return lambda: value


def s(z: float) -> float:
    """The smooth clip."""
    return z / (1 + (z / 3) ** 2) ** 0.5


def columns(*lists: list[float]) -> list[list[float]]:
    """The rows of a table of which the columns are given."""
    return [list(row) for row in zip(*lists, strict=True)]


# Three rows with one column of numbers: [1, 2, 3], with quartiles 1.5 and 2.5; and [1, missing, 3],
# with quartiles 1.5 and 2.5 and an indicator.
THREE = columns([s(-1), 0, s(1)])
GAP = columns([s(-1), 0, s(1)], [0, 1, 0])
# Three rows "x", missing, "y": one-hot with quartiles 0 and 0.5. Half of the samples and less.
X_GAP_Y = columns([s(2), 0, 0], [0, 0, s(2)])
# Three rows "x", "y", "x" as -1, 1, -1 with quartiles -1 and 0.
XYX = columns([0, s(2), 0])
XY = columns([s(-1), s(1)])
ZEROS = columns([0, 0, 0])
# Windows has no numbers between the largest of float64 and infinity.
HAS_LONGER = np.finfo(np.longdouble).max > np.finfo(np.float64).max
TOO_LARGE = np.longdouble("1e400" if HAS_LONGER else "inf")

DATES = r"X cannot be read in column {} of dtype .*It holds dates or times, which have no scale"


def dates(column: str) -> Refused:
    return TypeError, DATES.format(column)


NO_CATEGORY = TypeError, "column 'a' that cannot be a category, which must be a string, a number or"
INFINITY = ValueError, "^Input X contains infinity in column 'a', or a value too large for float64"
NO_NUMBER = ValueError, "X has something in column 'a' that is not a number: "

NUMBERS = [
    Row("float64", frame(a=[1.0, 2, 3]), THREE),
    Row("float32", frame(a=np.array([1, 2, 3], "f4")), THREE),
    Row("float16", frame(a=np.array([1, 2, 3], "f2")), THREE),
    Row("longdouble", given(np.array([[1], [2], [3]], np.longdouble)), THREE),
    Row("big-endian", given(np.array([[1], [2], [3]], ">f8")), THREE),
    Row("int8", frame(a=np.array([1, 2, 3], "i1")), THREE),
    Row("uint64", frame(a=np.array([1, 2, 3], "u8")), THREE),
    Row("uint64 at its end", frame(a=np.array([0, 2**63, 2**64 - 1], "u8")), THREE),
    Row("int64 beyond 2^53", frame(a=[2**53, 2**53 + 1, 2**53 + 2]), columns([0, 0, s(2)])),
    Row("NaN", frame(a=[1, nan, 3]), GAP),
    Row("Int64", frame(a=array([1, 2, 3], "Int64")), THREE),
    Row("Int64 with NA", frame(a=array([1, None, 3], "Int64")), GAP),
    Row("UInt8 with NA", frame(a=array([1, None, 3], "UInt8")), GAP),
    Row("Float64 with NA", frame(a=array([1, None, 3], "Float64")), GAP),
    Row("int64 of arrow", frame(a=array([1, None, 3], lambda pa: pa.int64())), GAP),
    Row("double of arrow", frame(a=array([1.0, None, 3], lambda pa: pa.float64())), GAP),
    Row(
        "decimals of arrow",
        frame(a=array([Decimal(1), None, Decimal(3)], lambda pa: pa.decimal128(5, 2))),
        GAP,
    ),
    Row("nulls of arrow", frame(a=array([None, None, None], lambda pa: pa.null())), ZEROS),
    Row("sparse column", frame(a=pd.arrays.SparseArray([1.0, 0, 0])), columns([s(2), 0, 0])),
    Row("sparse integers", frame(a=pd.arrays.SparseArray([1, 0, 0])), columns([s(2), 0, 0])),
    Row("sparse column of NaN", frame(a=pd.arrays.SparseArray([1, nan, 3])), GAP),
    Row("objects that are numbers", frame(a=objects(1, 2.0, np.float32(3))), THREE),
    Row("objects with None", frame(a=objects(1, None, 3)), GAP),
    Row("objects with NA", frame(a=objects(1, pd.NA, 3)), GAP),
    Row("objects with NaT", frame(a=objects(1, pd.NaT, 3)), GAP),
    Row("Decimals", frame(a=objects(Decimal(1), Decimal("NaN"), Decimal(3))), GAP),
    Row("Fractions", frame(a=objects(Fraction(1), Fraction(2), Fraction(3))), THREE),
    Row("bools among numbers", frame(a=objects(True, 2, 3.0)), THREE),
    Row("large Python integers", frame(a=objects(10**30, 2 * 10**30, 3 * 10**30)), THREE),
    Row(
        "too large integer", frame(a=objects(1, 10**400)), (NO_NUMBER[0], NO_NUMBER[1] + "int too")
    ),
    Row("negative zero", given(np.array([[0.0], [-0.0], [1.0]])), columns([0, 0, s(2)])),
    Row("all missing", frame(a=[nan, nan, nan]), ZEROS),
    Row("all None", frame(a=[None, None, None]), ZEROS),
    Row("all NA", frame(a=array([None, None, None], "Int64")), ZEROS),
    Row("all missing, later not", frame(a=[nan, nan]), [[0], [0]], frame(a=[5.0, 1e308])),
    Row("missing only later", frame(a=[1.0, 2, 3]), columns([0, s(1)]), frame(a=[nan, 3.0])),
    Row("constant", frame(a=[7, 7, 7]), ZEROS),
    Row("constant, later not", frame(a=[7, 7]), columns([0, 0, 0]), frame(a=[7, -1e308, nan])),
    Row("constant with NaN", frame(a=[7, nan, 7]), columns([0, 0, 0], [0, 1, 0])),
    Row("one row", frame(a=[3.5], b=["x"]), [[0, 0]]),
    Row("one row, later others", frame(a=[3.5]), [[0], [0]], frame(a=[1.0, 9.0])),
    Row("two rows", frame(a=[1, 2]), XY),
    Row("huge", frame(a=[-1.7e308, 0, 1.7e308]), THREE),
    Row("tiny", frame(a=[0, 5e-324 * 2, 5e-324 * 4]), THREE),
    Row("huge later", frame(a=[1, 2, 3]), [[3], [-3]], frame(a=[1.7e308, -1.7e308])),
    Row("infinity", frame(b=[1, 2], a=[1, inf]), INFINITY),
    Row("minus infinity", frame(a=[-inf, nan]), INFINITY),
    Row("infinity in float32", frame(a=np.array([1, inf], "f4")), INFINITY),
    Row("infinity in Float64", frame(a=array([1, inf], "Float64")), INFINITY),
    Row("infinity in objects", frame(a=objects(1, inf)), INFINITY),
    Row("infinity later", frame(a=[1, 2]), INFINITY, frame(a=[1, inf])),
    Row("infinity in an array", given(np.array([[1, inf]])), (ValueError, "infinity in column 1,")),
    Row(
        "too large longdouble",
        given(np.array([[1.0], [2.0]], np.longdouble) * TOO_LARGE),
        (ValueError, "infinity in column 0, or a value too large for float64"),
    ),
    Row("complex", frame(a=[1j, 2]), (ValueError, "column 'a' .* Complex data not supported")),
    Row("complex objects", frame(a=objects(1j, 2)), (ValueError, "Complex data not supported")),
    Row("complex array", given(np.array([[1j]])), (ValueError, "Complex data not supported")),
    Row("text later", frame(a=[1, 2]), (NO_NUMBER[0], "number: could not"), frame(a=["x", "y"])),
    Row("numbers as text later", frame(a=[1, 2, 3]), [[0], [s(1)]], frame(a=["2", "3"])),
    Row("a list in a cell later", frame(a=[1, 2]), NO_NUMBER, frame(a=objects([1], 2))),
    Row("text, no category", frame(a=["x"]), NO_NUMBER, parameters={"categorical_features": None}),
]

CATEGORIES = [
    Row("strings", frame(a=["x", "y", "x"]), XYX),
    Row("objects of strings", frame(a=objects("x", "y", "x")), XYX),
    Row("missing strings", frame(a=["x", None, "y"]), X_GAP_Y),
    Row("strings with NaN, NA and None", frame(a=objects("x", nan, "y")), X_GAP_Y),
    Row("strings with NA", frame(a=objects("x", pd.NA, "y")), X_GAP_Y),
    Row("string", frame(a=array(["x", None, "y"], "string")), X_GAP_Y),
    Row("strings of arrow", frame(a=array(["x", None, "y"], lambda pa: pa.string())), X_GAP_Y),
    Row(
        "dictionary of arrow",
        frame(a=array(["x", None, "y"], lambda pa: pa.dictionary(pa.int32(), pa.string()))),
        X_GAP_Y,
    ),
    Row("empty strings", frame(a=["", "y", ""]), XYX),
    Row("bytes", frame(a=objects(b"x", b"y", b"x")), XYX),
    Row("category", frame(a=pd.Categorical(["x", "y", "x"])), XYX),
    Row("category with NaN", frame(a=pd.Categorical(["x", None, "y"])), X_GAP_Y),
    Row("category of numbers", frame(a=pd.Categorical([5, 7, 5])), XYX),
    Row(
        "ordered category, largest first",
        frame(a=pd.Categorical(["x", "y", "x"], ["y", "x"], ordered=True)),
        XYX,
    ),
    Row("levels without samples", frame(a=pd.Categorical(["x", "y", "x"], list("axby"))), XYX),
    Row(
        "reordered later",
        frame(a=pd.Categorical(["x", "y", "x"])),
        [[s(2)], [0]],
        frame(a=pd.Categorical(["y", "x"], ["y", "x"])),
    ),
    Row("strings later", frame(a=pd.Categorical(["x", "y", "x"])), XYX, frame(a=["x", "y", "x"])),
    Row("category later", frame(a=["x", "y", "x"]), [[0]], frame(a=pd.Categorical(["x"]))),
    Row("unseen of two", frame(a=["x", "y"]), [[0], [0], [s(1)]], frame(a=["z", None, "y"])),
    Row(
        "unseen of three",
        frame(a=["x", "y", "z", "u", "v"]),
        [[0] * 5, [0] * 5, [s(2), 0, 0, 0, 0]],
        frame(a=["w", None, "u"]),
    ),
    Row(
        "unseen, in a dtype that has it", frame(a=["x", "y"]), [[0]], frame(a=pd.Categorical(["q"]))
    ),
    Row(
        "unseen where most have the level",
        frame(a=["x", "x", "x", "x", "x", None, "y"]),
        # Being 0 in the column of x is unusual: the median there is 1, the quartiles 0.5 and 1.
        [[s(-2), 0]],
        frame(a=["z"]),
    ),
    Row("one level", frame(a=["x", "x", "x"]), ZEROS),
    Row("one level, later others", frame(a=["x", "x"]), [[0], [0]], frame(a=["y", None])),
    Row("one level and missing", frame(a=["x", None, None, None, None]), [[s(2)]] + [[0]] * 4),
    Row("no level", frame(a=pd.Categorical([None, None, None])), ZEROS),
    Row("no level, later one", frame(a=pd.Categorical([None, None])), [[0]], frame(a=["x"])),
    Row("no string, later one", frame(a=array([None, None], "string")), [[0]], frame(a=["x"])),
    Row("no object, later text", frame(a=objects(None, nan)), [[0]], frame(a=["x"])),
    Row("no object, later a number", frame(a=objects(None, nan)), [[0]], frame(a=[5.0])),
    Row("a column of None in a list", given([[1, None], [2, None]]), [[0, 0]], given([[1.5, "x"]])),
    Row("bool", frame(a=[False, True, False]), XYX),
    Row("bool later as numbers", frame(a=[False, True, False]), XYX, frame(a=[0, 1.0, 0])),
    Row("sparse bool", frame(a=pd.arrays.SparseArray([False, True, False])), XYX),
    Row("boolean", frame(a=array([False, True, False], "boolean")), XYX),
    Row("boolean with NA", frame(a=array([False, None, True], "boolean")), X_GAP_Y),
    Row("bool of arrow", frame(a=array([False, None, True], lambda pa: pa.bool_())), X_GAP_Y),
    Row("bool with None", frame(a=objects(False, None, True)), X_GAP_Y),
    Row("bool with NaN", frame(a=objects(False, nan, True)), X_GAP_Y),
    Row(
        "bool as a number",
        frame(a=[False, True, True]),
        columns([s(-2), 0, 0]),
        parameters={"categorical_features": None},
    ),
    Row("strings and numbers", frame(a=objects(1, "x", 1)), XYX),
    Row("strings and their numbers", frame(a=objects(1, "1", 1)), XYX),
    Row("tuples", frame(a=objects((1, 2), (3, 4), (1, 2))), XYX),
    Row("intervals", lambda: pd.DataFrame({"a": pd.cut([1, 9, 1], [0, 5, 10])}), XYX),
    Row(
        "int64 beyond 2^53 named",
        frame(a=[2**53, 2**53 + 1, 2**53]),
        XYX,
        parameters={"categorical_features": ["a"]},
    ),
    Row(
        "numbers with NaN named",
        frame(a=[5, nan, 7]),
        X_GAP_Y,
        parameters={"categorical_features": ["a"]},
    ),
    Row(
        "dates named",
        lambda: pd.DataFrame({"a": pd.to_datetime(["2020", "2021", "2020"])}),
        XYX,
        parameters={"categorical_features": ["a"]},
    ),
    Row(
        "dates as categories",
        lambda: pd.DataFrame({"a": pd.Categorical(pd.to_datetime(["2020", "2021", "2020"]))}),
        XYX,
    ),
    Row(
        "lists", frame(a=[[1], [2]]), (NO_CATEGORY[0], NO_CATEGORY[1] + ".*unhashable type: 'list'")
    ),
    Row("arrays", frame(a=[np.array([1, 2]), np.array([3])]), NO_CATEGORY),
    Row("dicts", frame(a=[{}, {}]), NO_CATEGORY),
    Row("lists later", frame(a=["x", "y"]), NO_CATEGORY, frame(a=[[1], "x"])),
    Row("lists of arrow", frame(a=array([[1], [2]], lambda pa: pa.list_(pa.int64()))), NO_CATEGORY),
]

DATES_AND_TIMES = [
    Row("datetimes", lambda: pd.DataFrame({"a": pd.date_range("2020", periods=3)}), dates("'a'")),
    Row(
        "datetimes in UTC",
        lambda: pd.DataFrame({"a": pd.date_range("2020", periods=3, tz="UTC")}),
        dates("'a'"),
    ),
    Row("durations", lambda: pd.DataFrame({"a": pd.to_timedelta([1, 2], "s")}), dates("'a'")),
    Row(
        "periods",
        lambda: pd.DataFrame({"a": pd.period_range("2020", periods=2, freq="D")}),
        dates("'a'"),
    ),
    Row("objects that are dates", frame(a=objects(dt.date(2020, 1, 1), None)), dates("'a'")),
    Row("objects with a time", frame(a=objects("x", dt.time(12))), dates("'a'")),
    Row(
        "dates of arrow",
        frame(a=array([dt.date(2020, 1, 1)], lambda pa: pa.date32())),
        dates("'a'"),
    ),
    Row(
        "timestamps of arrow",
        frame(a=array([dt.datetime(2020, 1, 1)], lambda pa: pa.timestamp("us"))),
        dates("'a'"),
    ),
    Row("array of datetimes", given(np.array([["2020", "2021"]], "M8[D]")), dates("0")),
    Row(
        "datetimes later",
        frame(a=[1, 2]),
        dates("'a'"),
        lambda: pd.DataFrame({"a": pd.date_range("2020", periods=3)}),
    ),
    Row(
        "datetimes, no category",
        lambda: pd.DataFrame({"a": pd.date_range("2020", periods=3)}),
        dates("'a'"),
        parameters={"categorical_features": None},
    ),
]

SAME_NAME = r"several columns of the same name, so that it is not known which is which: {}\. Rename"


def of_names(*names: Any) -> Callable[[], Any]:
    """A frame of two rows in which column i has the numbers i and i + 1."""
    return lambda: pd.DataFrame(np.add.outer([0, 1], np.arange(len(names))), columns=list(names))


NAMES = [
    Row("two columns of one name", of_names("a", "b", "a"), (ValueError, SAME_NAME.format("'a'"))),
    Row("two columns of one number", of_names(0, 0), (ValueError, SAME_NAME.format("0"))),
    Row("names that are numbers", of_names(5, 3), columns([s(-1), s(1)], [s(-1), s(1)])),
    Row(
        "names that are tuples", of_names(("a", 1), ("a", 2)), columns([s(-1), s(1)], [s(-1), s(1)])
    ),
    Row(
        "names of two types",
        of_names("a", 1),
        (TypeError, "Feature names are only supported if all"),
    ),
    Row("an empty name", of_names(""), XY),
    Row(
        "other order later",
        of_names("a", "b"),
        (ValueError, "must be in the same order"),
        of_names("b", "a"),
    ),
    Row(
        "other names later",
        of_names("a", "b"),
        (ValueError, "unseen at fit time:\n- c\n"),
        of_names("a", "c"),
    ),
    Row(
        "a column more later",
        of_names("a", "b"),
        (ValueError, "unseen at fit time:\n- c\n"),
        of_names("a", "b", "c"),
    ),
    Row(
        "a column less later",
        of_names("a", "b"),
        (ValueError, "yet now missing:\n- b\n"),
        of_names("a"),
    ),
    Row(
        "an array with a column more later",
        given(np.eye(2)),
        (ValueError, "X has 3 features, but TabularPreprocessor is expecting 2 features"),
        given(np.eye(3)),
    ),
    Row(
        "a frame with a column less later",
        of_names(0, 1),
        (ValueError, "X has 1 features, but"),
        of_names(0),
    ),
    Row(
        "infinity in a column that is numbered",
        lambda: pd.DataFrame({3: [1.0, inf]}),
        (ValueError, "infinity in column 3,"),
    ),
    Row("an index that is odd", lambda: pd.DataFrame({"a": [1, 2, 3]}, index=[7, 7, nan]), THREE),
]

SHAPES = [
    Row("no rows", lambda: pd.DataFrame({"a": []}), (ValueError, r"0 sample\(s\)")),
    Row(
        "no rows later",
        frame(a=[1, 2]),
        (ValueError, r"0 sample\(s\)"),
        lambda: pd.DataFrame({"a": [1.0]})[:0],
    ),
    Row("no columns", lambda: pd.DataFrame(index=[0, 1]), (ValueError, r"0 feature\(s\)")),
    Row("an array without rows", given(np.empty((0, 2))), (ValueError, r"0 sample\(s\)")),
    Row("an array without columns", given(np.empty((2, 0))), (ValueError, r"0 feature\(s\)")),
    Row("an empty list", given([]), (ValueError, "Expected 2D array, got 1D array")),
    Row("a list of rows without columns", given([[], []]), (ValueError, r"0 feature\(s\)")),
    Row("a series", lambda: pd.Series([1, 2]), (ValueError, "Expected 2D array, got 1D array")),
    Row("three dimensions", given(np.zeros((2, 2, 2))), (ValueError, "Found array with dim 3")),
    Row("a number", given(3), (ValueError, "Expected 2D array, got scalar array")),
    Row("None", given(None), (ValueError, "Expected 2D array, got scalar array")),
    Row("a string", given("abc"), (ValueError, "Expected 2D array, got scalar array")),
    Row("a dict", given({"a": [1]}), (ValueError, "Expected 2D array, got scalar array")),
    Row("rows of two lengths", given([[1], [1, 2]]), (ValueError, "inhomogeneous|sequence")),
    Row(
        "CSR",
        given(sp.csr_array(np.eye(2))),
        (TypeError, "Sparse data was passed for X, but dense"),
    ),
    Row(
        "a sparse matrix later",
        given(np.eye(2)),
        (TypeError, "Sparse data was passed"),
        given(sp.csc_matrix(np.eye(2))),
    ),
]


def matrix():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        return np.asmatrix([[1.0], [2], [3]])


ARRAYS = [
    Row("list", given([[1], [2.0], [3]]), THREE),
    Row("tuple of tuples", given(((1,), (2,), (3,))), THREE),
    Row("list with None", given([[1], [None], [3]]), GAP),
    Row(
        "list with strings",
        given([[1, "x"], [2, "y"], [3, "x"]]),
        columns([s(-1), 0, s(1)], [0, s(2), 0]),
    ),
    Row("array of strings", given(np.array([["x"], ["y"], ["x"]])), XYX),
    Row("array of bytes", given(np.array([[b"x"], [b"y"], [b"x"]])), XYX),
    Row(
        "array of StringDType", given(np.array([["x"], ["y"], ["x"]], np.dtypes.StringDType())), XYX
    ),
    Row("array of bools", given(np.array([[False], [True], [False]])), XYX),
    Row("list of bools", given([[False], [True], [False]]), XYX),
    Row(
        "array of objects",
        given(np.array([[1, "x"], [None, "y"], [3, "x"]], object)),
        columns([s(-1), 0, s(1)], [0, 1, 0], [0, s(2), 0]),
    ),
    Row("array of objects, numbers only", given(np.array([[1], [2], [3]], object)), THREE),
    Row(
        "array of objects with text later",
        given(np.array([[1], [2]])),
        (ValueError, "column 0 that is not a number: could not convert string"),
        given(np.array([["x"]], object)),
    ),
    Row(
        "a dict in a cell",
        given(np.array([[{}], ["x"]], object)),
        (TypeError, "column 0 that cannot be"),
    ),
    Row(
        "Fortran order",
        given(np.asfortranarray([[1.0, 5], [2, 6], [3, 7]])),
        columns([s(-1), 0, s(1)], [s(-1), 0, s(1)]),
    ),
    Row("every second row", given(np.array([[1.0], [9], [2], [9], [3], [9]])[::2]), THREE),
    Row("masked", given(np.ma.array([[1.0], [9], [3]], mask=[[0], [1], [0]])), GAP),
    Row("masked integers", given(np.ma.array([[1], [9], [3]], mask=[[0], [1], [0]])), GAP),
    Row("masked strings", given(np.ma.array([["x"], ["q"], ["y"]], mask=[[0], [1], [0]])), X_GAP_Y),
    Row(
        "np.matrix",
        matrix,
        (TypeError, "np.matrix is not supported"),
    ),
    Row(
        "structured",
        given(np.zeros((2, 1), [("a", float)])),
        (TypeError, "Convert it to numbers, strings or"),
    ),
    Row("no type", given(np.zeros((2, 1), "V8")), (TypeError, "Convert it to numbers, strings or")),
]

OTHER_LIBRARIES = [
    Row("polars", polars(a=[1, 2, 3], b=["x", "y", "x"]), columns([s(-1), 0, s(1)], [0, s(2), 0])),
    Row("polars: null", polars(a=[1, None, 3]), GAP),
    Row("polars: NaN", polars(a=[1.0, nan, 3.0]), GAP),
    Row("polars: only null", polars(a=[None, None, None]), ZEROS),
    Row("polars: only null, later text", polars(a=[None]), [[0]], polars(a=["x"])),
    Row("polars: Decimal", polars(a=[Decimal(1), None, Decimal(3)]), GAP),
    Row("polars: uint8", polars(a=lambda pl: pl.Series([1, None, 3], dtype=pl.UInt8)), GAP),
    Row("polars: missing strings", polars(a=["x", None, "y"]), X_GAP_Y),
    Row("polars: bool", polars(a=[False, True, False]), XYX),
    Row("polars: bool with null", polars(a=[False, None, True]), X_GAP_Y),
    Row(
        "polars: bool as a number",
        polars(a=[False, True, True]),
        columns([s(-2), 0, 0]),
        parameters={"categorical_features": None},
    ),
    Row(
        "polars: Categorical",
        polars(a=lambda pl: pl.Series(["x", None, "y"], dtype=pl.Categorical)),
        X_GAP_Y,
    ),
    Row(
        "polars: Enum",
        polars(a=lambda pl: pl.Series(["x", "y", "x"], dtype=pl.Enum(["y", "x"]))),
        XYX,
    ),
    Row("polars: Binary", polars(a=[b"x", b"y", b"x"]), XYX),
    Row("polars: objects", polars(a=lambda pl: pl.Series([1, "x", 1], dtype=pl.Object)), XYX),
    Row(
        "polars: objects that are numbers",
        polars(a=lambda pl: pl.Series([1, Fraction(2), 3], dtype=pl.Object)),
        THREE,
    ),
    Row("polars: text later", polars(a=[1, 2]), NO_NUMBER, polars(a=["x"])),
    Row("polars: infinity", polars(a=[1.0, inf]), INFINITY),
    Row("polars: dates", polars(a=[dt.date(2020, 1, 1)]), dates("'a'")),
    Row(
        "polars: lists",
        polars(a=[[1], [2]]),
        (TypeError, r"column 'a' of dtype List\(Int64\)\. Convert it"),
    ),
    Row(
        "polars: structs",
        polars(a=[{"b": 1}]),
        (TypeError, "column 'a' of dtype Struct.* Convert it"),
    ),
    Row("polars: no rows", polars(a=[]), (ValueError, r"0 sample\(s\)")),
    Row(
        "polars: other order later",
        polars(a=[1], b=[2]),
        (ValueError, "in the same order"),
        polars(b=[2], a=[1]),
    ),
    Row(
        "polars: lazy",
        lambda: polars(a=[1])().lazy(),
        (TypeError, "LazyFrame of polars: call its method collect"),
    ),
    Row(
        "polars: series",
        lambda: lazily("polars").Series([1]),
        (ValueError, "Expected 2D array, got 1D"),
    ),
    Row(
        "polars, then pandas",
        polars(a=[1, None, 3], b=["x", None, "y"]),
        [[0, 0, s(2), 0]],
        frame(a=[2], b=["x"]),
    ),
    Row(
        "pandas, then polars",
        frame(a=[1, 2, 3], b=["x", "y", "x"]),
        [[0, s(2)]],
        polars(a=[2], b=["y"]),
    ),
    Row(
        "table of arrow",
        lambda: lazily("pyarrow").table({"a": [1, None, 3], "b": ["x", None, "y"]}),
        columns([s(-1), 0, s(1)], [0, 1, 0], [s(2), 0, 0], [0, 0, s(2)]),
    ),
]

ROWS = [
    *NUMBERS,
    *CATEGORIES,
    *DATES_AND_TIMES,
    *NAMES,
    *SHAPES,
    *ARRAYS,
    *OTHER_LIBRARIES,
]
ACCEPTED = [row for row in ROWS if isinstance(row.wanted, list)]
REFUSED = [row for row in ROWS if isinstance(row.wanted, tuple)]


def named(rows):
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.name.replace(" ", "_"))


def fingerprint(X):
    """What the table holds, to compare: text, since NaN is not equal to NaN."""
    if sp.issparse(X):
        return repr(X.toarray())
    if isinstance(X, pd.DataFrame):  # names may not be unique
        values = [X.iloc[:, i].tolist() for i in range(X.shape[1])]
        return repr((X.dtypes.tolist(), X.columns.tolist(), X.index.tolist(), values))
    if isinstance(X, np.ndarray):
        return repr((X.dtype, X.tolist()))
    return repr(X.to_pylist() if hasattr(X, "to_pylist") else X)


def new(row, **parameters):
    return TabularPreprocessor(**{"n_bins": 0, "dtype": np.float64, **row.parameters, **parameters})


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_there_are_many_rows_and_their_names_differ():
    assert len({row.name for row in ROWS}) == len(ROWS) >= 80
    assert len(ACCEPTED) >= 40 and len(REFUSED) >= 40


@named(ACCEPTED)
def test_accepted(row):
    train, X = row.table(), (row.later or row.table)()
    before = fingerprint(train), fingerprint(X)
    preprocessor = new(row).fit(train)
    found = preprocessor.transform(X)
    assert (fingerprint(train), fingerprint(X)) == before
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, np.array(row.wanted, float), rtol=1e-14, atol=1e-15)
    assert len(preprocessor.get_feature_names_out()) == found.shape[1]
    assert len(preprocessor.feature_index_) == found.shape[1]
    assert set(preprocessor.feature_index_) == set(range(preprocessor.n_features_in_))


@named(ACCEPTED)
def test_every_way_gives_the_same(row):
    train, X = row.table(), (row.later or row.table)()
    preprocessor = new(row).fit(train)
    wanted = preprocessor.transform(X)
    copy = pickle.loads(pickle.dumps(preprocessor))
    np.testing.assert_array_equal(copy.transform(X), wanted)
    sparse = new(row, sparse_output=True).fit(train).transform(X)
    np.testing.assert_array_equal(sparse.toarray(), wanted)
    single = new(row, dtype=np.float32).fit(train).transform(X)
    np.testing.assert_array_equal(single, wanted.astype(np.float32))
    coded = new(row, n_bins=4).fit(train).transform(X)
    assert np.isfinite(coded).all()
    if hasattr(X, "iloc"):
        rows = [preprocessor.transform(X.iloc[i : i + 1])[0] for i in range(len(X))]
        np.testing.assert_array_equal(rows, wanted)


@named(REFUSED)
def test_refused(row):
    train, X = row.table(), (row.later or row.table)()
    before = fingerprint(train), fingerprint(X)
    preprocessor = new(row)
    if row.later:
        preprocessor.fit(train)
    attributes = dict(vars(preprocessor))
    kind, message = row.wanted
    with pytest.raises(kind, match=message) as caught:
        (preprocessor.transform if row.later else preprocessor.fit)(X)
    assert caught.type is kind
    assert vars(preprocessor) == attributes  # an unfitted one stays unfitted
    assert (fingerprint(train), fingerprint(X)) == before


@named([row for row in REFUSED if not row.later])
def test_a_refused_table_leaves_the_last_fit(row):
    known = pd.DataFrame({"a": [1.0, 2, nan], "b": ["x", "y", "z"]})
    X = row.table()
    preprocessor = TabularPreprocessor().fit(known)
    wanted = preprocessor.transform(known)
    preprocessor.set_params(**row.parameters)
    kind, message = row.wanted
    with pytest.raises(kind, match=message):
        preprocessor.fit(X)
    np.testing.assert_array_equal(preprocessor.transform(known), wanted)
    assert preprocessor.feature_names_in_.tolist() == ["a", "b"]


# ---- names and warnings


def test_names_are_those_of_scikit_learn():
    """Only names that are all strings are kept."""
    fitted = TabularPreprocessor(n_bins=0).fit(of_names("u", "v")())
    assert fitted.feature_names_in_.tolist() == ["u", "v"]
    assert fitted.get_feature_names_out().tolist() == ["u", "v"]
    fitted = TabularPreprocessor(n_bins=0).fit(of_names(3, 4)())
    assert not hasattr(fitted, "feature_names_in_")
    assert fitted.get_feature_names_out().tolist() == ["x0", "x1"]


@pytest.mark.parametrize("b", [[1.0, 2, 3], ["x", "y", "z"]], ids=["numbers", "mixed"])
def test_an_array_after_a_frame_warns(b):
    X = pd.DataFrame({"a": [1.0, 2, 3], "b": b})
    preprocessor = TabularPreprocessor().fit(X)
    wanted = preprocessor.transform(X)
    with pytest.warns(UserWarning, match="X does not have valid feature names, but TabularPre"):
        found = preprocessor.transform(X.to_numpy())
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("b", [[1.0, 2, 3], ["x", "y", "z"]], ids=["numbers", "mixed"])
def test_a_frame_after_an_array_warns(b):
    X = pd.DataFrame({"a": [1.0, 2, 3], "b": b})
    preprocessor = TabularPreprocessor().fit(X.to_numpy())
    wanted = preprocessor.transform(X.to_numpy())
    with pytest.warns(UserWarning, match="X has feature names, but TabularPreprocessor was fitted"):
        found = preprocessor.transform(X)
    np.testing.assert_array_equal(found, wanted)
