"""Predictions of saved models, without scikit-learn: a small process that starts fast.

>>> from fastbp import runtime

It needs NumPy and the package safetensors.
"""

from fastbp.files import Source
from fastbp.runtime.loading import read_model
from fastbp.runtime.predictor import Predictor

__all__ = ["Predictor", "load"]


def load(path: Source, *, mmap: bool = False, n_threads: int = 1) -> Predictor:
    """Load a model file for predictions.

    Parameters
    ----------
    path : str, PathLike or binary file object
        What the method `save` of a model has written.
    mmap : bool, default=False
        Whether to map the file into memory instead of reading it, so that processes share it. The
        file must not be changed in place then.
    n_threads : int, default=1
        Number of threads of a prediction of many rows. The result has the same bits for every
        value.

    Returns
    -------
    predictor : Predictor
        With the bits of the model that was saved.

    Raises
    ------
    ModelFileError
        If the file is no model file, is damaged, or was written by a newer fastbp. It is a
        ValueError; the message names the file.
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If `n_threads` is no integer of at least 1.

    See Also
    --------
    fastbp.load : Load the estimator itself, which can also be trained.

    Examples
    --------
    >>> import io
    >>> from fastbp import MLPClassifier, runtime
    >>> file = io.BytesIO()  # or a path
    >>> X, y = [[-1.0], [1.0]], ["no", "yes"]
    >>> MLPClassifier((), solver="lbfgs", random_state=0).fit(X, y).save(file)
    >>> _ = file.seek(0)
    >>> runtime.load(file).predict([[-2.0], [2.0]])
    array(['no', 'yes'], dtype='<U3')
    """
    if type(n_threads) is not int or n_threads < 1:
        raise ValueError(f"n_threads must be an integer of at least 1, got {n_threads!r}.")
    return Predictor(read_model(path, mmap=mmap, n_threads=n_threads))


for _public in (Predictor, load):
    _public.__module__ = __name__
