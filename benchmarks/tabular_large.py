"""Large tables, made from known laws: 100 000 rows to train on and 33 333 to test.

`waves` and `waves-classes` are smooth, with two categories and missing values. `steps` is a sum of
random trees: a law that suits trees and not networks. The noise alone leaves an error of about 0.30
of `waves` and of 0.46 of `steps`.
"""

import numpy as np
import pandas as pd

ROWS = 133_333
NUMBERS = 10
CATEGORIES = {"few": 8, "many": 40}  # levels


def waves(classes: bool) -> tuple[pd.DataFrame, np.ndarray]:
    """Products, kinks and jumps of numbers; effects of levels; 5 % of a column are missing."""
    random = np.random.RandomState(0)
    x = random.randn(ROWS, NUMBERS)
    x[:, 3] = np.exp(x[:, 3])
    x[:, 4] = np.round(3 * x[:, 4])
    levels = {name: random.randint(n, size=ROWS) for name, n in CATEGORIES.items()}
    effects = {name: random.randn(n)[levels[name]] for name, n in CATEGORIES.items()}
    law = (
        np.sin(2 * x[:, 0]) * x[:, 1]
        + (x[:, 2] > 0.5) * x[:, 5]
        + np.abs(x[:, 6] - 0.3)
        + effects["few"] * x[:, 7]
        + 0.7 * effects["many"]
        + 0.5 * np.log1p(x[:, 3]) * np.sign(x[:, 8])
        + 0.1 * x[:, 4]
    )
    table = pd.DataFrame(x, columns=[f"x{i}" for i in range(NUMBERS)])
    for name, numbers in levels.items():
        table[name] = pd.Categorical(numbers.astype(str))
    table.loc[random.rand(ROWS) < 0.05, "x2"] = np.nan
    if not classes:
        return table, law + 0.5 * random.randn(ROWS)
    other = 0.8 * np.cos(2 * x[:, 9]) + x[:, 0] * x[:, 6]
    raw = 1.5 * np.stack([1.2 * law, other, np.zeros(ROWS)], axis=1)
    return table, (raw + random.gumbel(size=raw.shape)).argmax(axis=1)


def steps() -> tuple[pd.DataFrame, np.ndarray]:
    """The sum of ten random trees of 40 leaves."""
    from sklearn.tree import DecisionTreeRegressor

    random = np.random.RandomState(1)
    x = random.rand(ROWS, NUMBERS + 2)
    law = np.zeros(ROWS)
    for seed in range(10):
        tree = DecisionTreeRegressor(max_leaf_nodes=40, max_features=3, random_state=seed)
        one = tree.fit(x[:3000], random.randn(3000)).predict(x)
        law += one / one.std()
    y = law / np.sqrt(10) + 0.5 * random.randn(ROWS)
    return pd.DataFrame(x, columns=[f"x{i}" for i in range(x.shape[1])]), y


LARGE = {
    "waves": ("reg", lambda: waves(classes=False)),
    "waves-classes": ("multi", lambda: waves(classes=True)),
    "steps": ("reg", steps),
}
