"""
Data larger than its window
===========================

A file whose rows are sorted by class is the worst case for data that are read in parts: each part
has one class. ``fit_blocks`` reads small blocks from all over the file, and shuffles the rows of
those blocks that are in memory together.
"""

# %%
# Three noisy spirals, one class after the other, are written to files. A source is any
# object with a length and a method ``read``. This one passes on what another reads, and notes it.
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from fastbp import MLPClassifier
from fastbp.blocks import from_npy

rng = np.random.default_rng(0)
n_rows = 12_000
classes = np.repeat(np.arange(3), n_rows // 3)
radius = rng.uniform(0.1, 1, n_rows)
angle = 5 * radius + 2 * np.pi / 3 * classes + rng.normal(0, 0.6, n_rows)
X = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]).astype(np.float32)

folder = tempfile.TemporaryDirectory()
files = Path(folder.name) / "X.npy", Path(folder.name) / "y.npy"
for path, array in zip(files, (X, classes), strict=True):
    np.save(path, array)


class Noted:
    """A source that notes which rows are read."""

    def __init__(self, source):
        self.source, self.reads = source, []

    def __len__(self):
        return len(self.source)

    def read(self, start, stop):
        self.reads.append((start, stop))
        return self.source.read(start, stop)


# %%
# The rows take 144 kB. A window of 96 kB holds two thirds of them: one half is trained on while the
# other is read. ``classes`` spares the pass over the file that would find them.
parameters = dict(hidden_layer_sizes=(32,), learning_rate_init=0.02, tol=0.01, random_state=0)
source = Noted(from_npy(*files))
model = MLPClassifier(**parameters)
model.fit_blocks(source, classes=[0, 1, 2], window=96_000)
in_memory = MLPClassifier(**parameters).fit(X, classes)
as_it_lies = MLPClassifier(**parameters, shuffle=False)
as_it_lies.fit_blocks(source.source, classes=[0, 1, 2], window=96_000)

accuracy = {
    "in memory": in_memory.score(X, classes),
    "by windows": model.score(X, classes),
    "rows as they lie": as_it_lies.score(X, classes),
}
for name, value in accuracy.items():
    print(f"{name:16}: accuracy {value:.3f}")
assert accuracy["by windows"] > accuracy["in memory"] - 0.02
assert accuracy["rows as they lie"] < accuracy["in memory"] - 0.05  # one class after the other

# %%
# On the left are the reads of one epoch: each window has blocks from all three classes, and after
# all windows each row was read once. On the right, the loss falls as in memory.
of_epoch, last = [], 0
for start, stop in source.reads[::-1]:  # the last epoch
    of_epoch.append((start, stop))
    last += stop - start
    if last >= n_rows:
        break
of_epoch = np.array(of_epoch[::-1])

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
rows_read = np.cumsum(of_epoch[:, 1] - of_epoch[:, 0])
middles = of_epoch.mean(axis=1)
left.scatter(rows_read, middles, s=6, c=classes[middles.astype(int)], cmap="viridis")
half = 96_000 // 2 // 12
for edge in range(half, n_rows, half):
    left.axvline(edge, color="0.8", linewidth=0.8, zorder=0)
left.set(xlabel="rows read in the epoch", ylabel="place in the file", title="reads of an epoch")
for name, one in (("in memory", in_memory), ("by windows", model)):
    label = f"{name}, accuracy {accuracy[name]:.3f}"
    right.plot(range(1, one.n_iter_ + 1), one.loss_curve_, label=label)
right.plot([], [], " ", label=f"rows as they lie, accuracy {accuracy['rows as they lie']:.3f}")
right.set(xlabel="epoch", ylabel="loss", yscale="log", title="training")
right.legend()
plt.show()
folder.cleanup()
