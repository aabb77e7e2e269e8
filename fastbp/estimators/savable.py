"""The method `save` of all models, and the description that it writes."""

from __future__ import annotations

from typing import Any, ClassVar

import sklearn

from fastbp import files
from fastbp.estimators import inputs
from fastbp.files import Reader, Source, Writer


class Savable:
    """A model that can be kept in a file.

    A class has the following hooks.

    - ``_saved_as``: the name of the class in files. Subclasses of users do not have it.
    - ``_to_node(writer, training)``: the description of the fitted model, an object of JSON.
    - ``_from_node(node, reader)``: a class method that makes the model of a description; ValueError
      or another error of bad values if it is not sound.
    """

    _saved_as: ClassVar[str]

    def save(self, path: Source, *, training: bool = True) -> None:
        """Save the fitted model to a file, from which `fastbp.load` makes it again, bit for bit.

        The file is in the format safetensors: nothing in it is run when it is loaded. A file that
        was there is replaced in one step. It stays as it was if anything fails.

        Parameters
        ----------
        path : str, PathLike or binary file object
            Where to write. By convention a name ends with ``.safetensors``.
        training : bool, default=True
            Whether to keep what only training needs: the state of the optimizer, what `resume`
            needs, and values of `init`, `learning_rate` and `scoring` that are no words. Without
            it the file has about a third of the size.

        Raises
        ------
        TypeError
            If the file cannot hold the value of a parameter, which the message names. Own losses
            and activations are kept as formulas, other functions are not. Or if the model is of a
            subclass.
        ValueError
            If the weights are not finite, or the parameters do not fit them any more.
        OSError
            If the file cannot be written.

        See Also
        --------
        fastbp.load : Make the model of a file.
        """
        inputs.check_bool(training, "training")
        writer = Writer()
        node = node_of(self, writer, training)
        head = {"scikit-learn": sklearn.__version__}
        files.write(path, {**head, **node}, writer.tensors)


def node_of(model: Any, writer: Writer, training: bool) -> dict[str, Any]:
    """The description of a model, with the name of its class."""
    name = vars(type(model)).get("_saved_as")
    if name is None:
        raise TypeError(
            f"{writer.prefix.rstrip('.') or 'the model'} is a {type(model).__name__}, which a "
            "model file cannot hold: it would have to name a class that is no part of fastbp."
        )
    return {"class": name, **model._to_node(writer, training)}


def model_of_node(kind: Any, node: Any, reader: Reader) -> Any:
    """The model of a description; ValueError unless it is one of this class."""
    if not isinstance(node, dict) or node.get("class") != kind._saved_as:
        raise ValueError(f"a {kind._saved_as} is wanted, got {described_class(node)}")
    rest = {name: value for name, value in node.items() if name != "class"}
    return kind._from_node(rest, reader)


def described_class(node: Any) -> str:
    """The class that a description names, as a short text."""
    return repr(node.get("class"))[:50] if isinstance(node, dict) else "no object"


def read_parameters(kind: Any, node: Any, reader: Reader) -> dict[str, Any]:
    """Values of constructor parameters; those that are missing have their defaults."""
    names = set(kind._get_param_names())
    if not isinstance(node, dict):
        raise ValueError("params must be an object")
    if unknown := node.keys() - names:
        raise reader.unknown("parameters", unknown)
    return {name: reader.value(value, name) for name, value in node.items()}
