"""The validation set: samples that are not trained on, the network's score and loss on them."""

import functools

import numpy as np

from fastbp.kernels import CSR, core, variant
from fastbp.network import chunk_rows, predict_chunks, row_slice


def hold_out(n_samples, fraction, random_state, stratify):
    """Rows to train on, and the others, drawn as scikit-learn's early stopping draws them."""
    from sklearn.model_selection import train_test_split  # early stopping alone pays for it

    rows, held_out = train_test_split(
        np.arange(n_samples),
        random_state=random_state,
        test_size=fraction,
        stratify=stratify,
    )
    if len(held_out) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
    return rows, held_out


class ValidationSet:
    """What `trainer` calls to validate: a team -> score and loss of the network as it stands.

    One forward pass gives both: each rank makes losses and predictions of a chunk's raw
    predictions while they are in its cache. The losses are summed here, at any number of ranks in
    the same order.

    Parameters
    ----------
    network : Network
    objective : Objective
    scale : float
        The loss is the mean of the objective's row losses times this.
    data : tuple (x, y, sample_weight or None)
        As training takes them.
    score : callable
        Predictions, shape (n_samples, n_outputs), link applied -> score.
    """

    def __init__(self, network, objective, scale, data, score):
        x, self.targets, self.weight = data
        self.network, self.link, self.scale, self.score = network, objective.link, scale, score
        self.program, self.lowered = objective.program(network)
        n_samples, dtype = len(self.targets), network.params.dtype
        self.rows_of = functools.partial(row_slice, x)
        entries = len(x.data) / n_samples if isinstance(x, CSR) else None
        self.chunk = chunk_rows(sum(network.row_work(entries)))
        self.out = np.empty((n_samples, network.units[-1]), dtype)
        self.losses = np.empty(n_samples, dtype)
        self.doors = variant(core.row_losses, dtype), variant(core.apply_link, dtype)

    def __call__(self, members):
        predict_chunks(
            self.network, self.rows_of, self.chunk, "identity", self.out, members, self._finish
        )
        return self.score(self.out), self._loss()

    def _finish(self, part):
        """Losses and predictions of a chunk, in place of its raw predictions."""
        row_losses, apply_link = self.doors
        z = self.out[part]
        row_losses(
            self.program,
            z.copy(),
            self.targets[part],
            self.lowered,
            np.empty_like(z),
            self.losses[part],
            self.network.scratch(len(z), 1, "row_losses", self.program),
        )
        apply_link(self.lowered.link, z)

    def _loss(self):
        """The mean of the row losses; a sample of weight zero is absent, whatever its loss."""
        losses, total = self.losses.astype(np.float64), len(self.losses)
        with np.errstate(all="ignore"):
            if self.weight is not None:
                losses = np.where(self.weight > 0, losses * self.weight, 0)
                total = self.weight.sum()
            return float(self.scale * losses.sum() / total)
