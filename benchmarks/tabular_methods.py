"""The tabular data sets, and the methods that are fitted to them at their defaults.

A method is one line in METHODS. All that it is given beyond its defaults is one thread, a seed, the
CPU as device, and columns as it takes them: those with categories have pandas' category dtype.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import _data
from tabular_large import LARGE, ROWS

# ---- data

# From few rows to many; housing is the only one that is not described in sets.json.
SETS = (
    "german",
    "concrete",
    "segment",
    "ames",
    "hpc",
    "credit",
    "spambase",
    "phoneme",
    "churn",
    "magic",
    "diamonds",
    "housing",
)
SMALL = SETS[:3]
ALL_SETS = (*SETS, *LARGE)
HOUSING = {"task": "reg", "rows": 13_400, "categorical": ["ocean_proximity"]}
TARGET = "__target__"


def path_of(name: str) -> Path:
    """The file of a data set, or of their descriptions."""
    file = {"housing": "housing.csv", "sets": "tabular/sets.json"}.get(
        name, f"tabular/{name}.csv.gz"
    )
    path: Path | None = _data.find(file)
    if path is None:
        raise SystemExit(f"{file} was not found; FASTBP_DATA has to name the folder that holds it")
    return path


def describe(name: str) -> dict[str, Any]:
    """Task ("bin", "multi" or "reg"), number of rows and categorical columns of a data set."""
    if name == "housing":
        return HOUSING
    if name in LARGE:
        return {"task": LARGE[name][0], "rows": ROWS, "categorical": []}
    described: dict[str, dict[str, Any]] = json.loads(path_of("sets").read_text(encoding="utf-8"))
    return described[name]


def load(name: str) -> tuple[Any, np.ndarray, bool]:
    """The columns as a DataFrame, the target, and whether it is a class."""
    import pandas as pd

    about = describe(name)
    if name in LARGE:
        return *LARGE[name][1](), about["task"] != "reg"
    # Only empty cells are missing: a level may be called "None" or "NA".
    table = pd.read_csv(
        path_of(name),
        dtype=dict.fromkeys(about["categorical"], str),
        keep_default_na=False,
        na_values=[""],
    )
    if name == "housing":
        rows = np.random.RandomState(0).permutation(len(table))[: about["rows"]]
        table = table.iloc[np.sort(rows)].reset_index(drop=True)
        table[TARGET] = np.log(table.pop("median_house_value"))
    y = table.pop(TARGET).to_numpy()
    return table.astype(dict.fromkeys(about["categorical"], "category")), y, about["task"] != "reg"


def split(y: np.ndarray, seed: int, classes: bool) -> list[np.ndarray]:
    """Rows to train on and rows to test on, the same for all methods."""
    from sklearn.model_selection import train_test_split

    parts: list[np.ndarray] = train_test_split(
        np.arange(len(y)), test_size=0.25, random_state=seed, stratify=y if classes else None
    )
    return parts


# ---- methods


@dataclass(frozen=True)
class Method:
    """A library's pair of estimators, and what they need to be told."""

    module: str
    classifier: str
    regressor: str = ""  # without one the method is for classes only
    parameters: dict[str, Any] = field(default_factory=dict)
    columns: str = ""  # "imputed" numbers, or "plain" numbers with one-hot categories
    brief: dict[str, Any] = field(default_factory=dict)  # for the fit that is not measured
    sets: Sequence[str] = SETS  # where it runs unless others are asked for

    def estimator(self, classes: bool, seed: int, brief: bool = False) -> Any:
        """A new estimator behind the preprocessing that it needs."""
        kind = getattr(import_module(self.module), self.classifier if classes else self.regressor)
        parameters = self.parameters | (self.brief if brief else {})
        return prepared(kind(random_state=seed, **parameters), self.columns, classes)

    def versions(self) -> Iterator[str]:
        """Names of the packages whose versions matter."""
        yield from {
            "fastbp": ("fastbp",),
            "lightgbm": ("lightgbm",),
            "xgboost": ("xgboost", "xgboost-cpu"),
            "pytabkit": ("pytabkit", "torch"),
        }.get(self.module.split(".")[0], ())
        yield from ("scikit-learn", "numpy", "pandas")


def prepared(estimator: Any, columns: str, classes: bool) -> Any:
    """The estimator behind its preprocessing: none, "imputed" or "plain"."""
    from sklearn.compose import TransformedTargetRegressor, make_column_selector
    from sklearn.compose import make_column_transformer as by_columns
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers, categories = (
        make_column_selector(dtype_include="number"),
        make_column_selector(dtype_include="category"),
    )
    if columns == "imputed":
        imputed = by_columns(
            (SimpleImputer(strategy="median"), numbers),
            ("passthrough", categories),
            verbose_feature_names_out=False,
        ).set_output(transform="pandas")
        return make_pipeline(imputed, estimator)
    if columns == "plain":
        if not classes:
            estimator = TransformedTargetRegressor(estimator, transformer=StandardScaler())
        scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        return make_pipeline(by_columns((scaled, numbers), (one_hot, categories)), estimator)
    return estimator


ONE = {"n_threads": 1}
TORCH = {"device": "cpu", "n_threads": 1}
OURS = ("fastbp.tabular", "TabularMLPClassifier", "TabularMLPRegressor")
REALMLP = ("pytabkit", "RealMLP_TD_Classifier", "RealMLP_TD_Regressor")
BRIEF: dict[str, Any] = {"columns": "imputed", "brief": {"n_epochs": 1}}

METHODS = {
    "fastbp": Method(*OURS, ONE),
    "fastbp-10": Method(*OURS, ONE | {"n_members": 10}),
    "fastbp-logloss": Method(*OURS[:2], parameters=ONE | {"scoring": "neg_log_loss"}),
    "mlp": Method("fastbp", "MLPClassifier", "MLPRegressor", ONE, "plain"),
    "hgb": Method(
        "sklearn.ensemble",
        "HistGradientBoostingClassifier",
        "HistGradientBoostingRegressor",
        {"categorical_features": "from_dtype"},
    ),
    "lightgbm": Method(
        "lightgbm", "LGBMClassifier", "LGBMRegressor", {"n_jobs": 1, "verbosity": -1}
    ),
    "xgboost": Method(
        "xgboost", "XGBClassifier", "XGBRegressor", {"n_jobs": 1, "enable_categorical": True}
    ),
    "realmlp": Method(*REALMLP, TORCH, **BRIEF),
    "realmlp-logloss": Method(
        *REALMLP[:2],
        parameters=TORCH | {"use_ls": False, "val_metric_name": "cross_entropy"},
        **BRIEF,
    ),
    "realmlp-cv5": Method(*REALMLP, TORCH | {"n_cv": 5}, **BRIEF, sets=SMALL),
    "tabm": Method("pytabkit", "TabM_D_Classifier", "TabM_D_Regressor", TORCH, **BRIEF, sets=SMALL),
}
