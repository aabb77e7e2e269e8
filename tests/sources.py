"""Sources of blocks for tests."""

import numpy as np


class Source:
    """Rows of arrays, which remembers what was read."""

    def __init__(self, X, y, weight=None, borders=None):
        self.X, self.y, self.weight = X, y, weight
        if borders is not None:
            self.borders = borders
        self.reads = []

    def __len__(self):
        return len(self.y)

    def read(self, first, stop):
        self.reads.append((first, stop))
        weight = None if self.weight is None else self.weight[first:stop]
        return self.X[first:stop], self.y[first:stop], weight


def ragged(rng, n_rows, n_borders):
    """Random borders of a source; some ranges are empty."""
    return np.array([0, *sorted(rng.randint(0, n_rows + 1, n_borders)), n_rows])
