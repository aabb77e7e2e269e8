"""Loading of model files: the class of a model is found by its name in a closed table."""

from __future__ import annotations

from typing import Any

from fastbp import files
from fastbp.estimators.savable import described_class, model_of_node
from fastbp.files import Reader, Source
from fastbp.files.names import HEAD

__all__ = ["load", "read_metadata"]


def _class_of(name: Any) -> Any:
    """The class of models of this name, or None; its room is imported late."""
    if name in ("MLPClassifier", "MLPRegressor"):
        from fastbp import estimators

        return getattr(estimators, name)
    if name in ("MLPEnsembleClassifier", "MLPEnsembleRegressor"):
        from fastbp import ensemble

        return getattr(ensemble, name)
    if name in ("TabularMLPClassifier", "TabularMLPRegressor"):
        from fastbp import tabular

        return getattr(tabular, name)
    return None


def load(path: Source, *, mmap: bool = False) -> Any:
    """Load the model that the method `save` has kept in a file.

    It has the parameters, the attributes and, bit for bit, the predictions of the saved one, and
    training goes on with the same bits. Nothing in the file is run. Files that an older version of
    fastbp has written are loaded by every later one.

    Parameters
    ----------
    path : str, PathLike or binary file object
        The file.
    mmap : bool, default=False
        Whether to map the file into memory instead of reading it. Processes that load one file then
        share its memory. The file must not be changed in place while the model lives; `save` and
        `fastbp.callbacks.Checkpoint` never do that. Training on writes to memory, not to the file.

    Returns
    -------
    model : object
        An estimator of the class that was saved.

    Raises
    ------
    ModelFileError
        If the file is no model file, is damaged, or was written by a newer fastbp with something
        that this one does not know. It is a ValueError; the message names the file.
    OSError
        If there is no such file, or it cannot be read.

    See Also
    --------
    read_metadata : Look into a file without loading it.

    Examples
    --------
    >>> import io
    >>> import fastbp
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = fastbp.MLPClassifier((10,), solver="lbfgs", alpha=1, max_iter=1000).fit(X, y)
    >>> file = io.BytesIO()  # or a path
    >>> model.save(file)
    >>> _ = file.seek(0)
    >>> loaded = fastbp.load(file)
    >>> bool((loaded.predict_proba(X) == model.predict_proba(X)).all())
    True
    """
    contents = files.read(path, mmap=mmap)
    with files.refusing(contents.name):
        reader, node = Reader(contents), contents.description
        node = {name: value for name, value in node.items() if name not in HEAD}
        kind = _class_of(node.get("class"))
        if kind is None:
            raise ValueError(
                f"it holds a model of the class {described_class(node)}, not known here"
            )
        model = model_of_node(kind, node, reader)
        reader.finish()
    return model


def read_metadata(path: Source) -> dict[str, Any]:
    """The description of the model in a file, without its weights.

    Only the header of the file is read. So the checksum is not compared: damage that the header
    does not show is found by `load` alone.

    Parameters
    ----------
    path : str, PathLike or binary file object
        The file.

    Returns
    -------
    metadata : dict
        What JSON has: 'class', 'format', the versions 'fastbp', 'numpy' and 'scikit-learn' that
        wrote it, 'params' (the constructor's), 'network' with 'units', the widths of all layers,
        'fitted' (attributes), and 'tensors': dtype and shape of each array of the file by its name.
        Values that JSON does not have are objects, such as ``{"tuple": [10]}``.

    Raises
    ------
    ModelFileError
        If the file is no model file, or its header is damaged.
    OSError
        If there is no such file, or it cannot be read.

    Examples
    --------
    >>> import io
    >>> import fastbp
    >>> file = io.BytesIO()  # or a path
    >>> fastbp.MLPRegressor.from_weights([[[2.0]]], [[1.0]], activation="relu").save(file)
    >>> _ = file.seek(0)
    >>> metadata = fastbp.read_metadata(file)
    >>> metadata["class"], metadata["network"]["units"], metadata["tensors"]
    ('MLPRegressor', [1, 1], {'params': {'dtype': 'F64', 'shape': [2]}})
    """
    description, tensors = files.read_description(path)
    shapes = {name: {"dtype": dtype, "shape": shape} for name, (dtype, shape) in tensors.items()}
    return {**description, "tensors": shapes}


for _public in (load, read_metadata):
    _public.__module__ = "fastbp"
