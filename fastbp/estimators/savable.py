"""The method `save` of all models, and the description that it writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import sklearn

from fastbp import files
from fastbp.estimators import inputs
from fastbp.estimators.scikit_learn import parameter_names
from fastbp.files import Reader, Source, Writer, check_names


class Savable:
    """A model that can be kept in a file.

    A class has the following hooks.

    - ``_saved_as``: the name of the class in files. Subclasses of users do not have it.
    - ``_to_node(writer, training, **options)``: the description of the fitted model, an object of
      JSON.
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
        save_model(self, path, training=training)


def save_model(model: Savable, path: Source, **options: bool) -> None:
    """Save a model; the options are those of its method `save`."""
    for name, value in options.items():
        inputs.check_bool(value, name)
    writer = Writer()
    node = node_of(model, writer, **options)
    head = {"scikit-learn": sklearn.__version__}
    files.write(path, {**head, **node}, writer.tensors)


def node_of(model: Any, writer: Writer, training: bool, **options: bool) -> dict[str, Any]:
    """The description of a model, with the name of its class."""
    name = check_class(model, writer.prefix)
    return {"class": name, **model._to_node(writer, training, **options)}


def check_class(model: Any, prefix: str) -> str:
    """The name of the model's class in files; TypeError for subclasses of users."""
    name = vars(type(model)).get("_saved_as")
    if name is None:
        raise TypeError(
            f"{prefix.rstrip('.') or 'the model'} is a {type(model).__name__}, which a model file "
            "cannot hold: it would have to name a class that is no part of fastbp."
        )
    return str(name)


def model_of_node(kind: Any, node: Any, reader: Reader) -> Any:
    """The model of a description; ValueError unless it is one of this class."""
    check_class_of(kind, node)
    rest = {name: value for name, value in node.items() if name != "class"}
    return kind._from_node(rest, reader)


def check_class_of(kind: Any, node: Any) -> None:
    """Raise ValueError unless this is the description of a model of this class."""
    if not isinstance(node, dict) or node.get("class") != kind._saved_as:
        raise ValueError(f"a {kind._saved_as} is wanted, got {described_class(node)}")


def described_class(node: Any) -> str:
    """The class that a description names, as a short text."""
    return repr(node.get("class"))[:50] if isinstance(node, dict) else "no object"


def read_parameters(kind: Any, node: Any, reader: Reader) -> dict[str, Any]:
    """Values of constructor parameters; those that are missing have their defaults."""
    names = set(parameter_names(kind))
    if not isinstance(node, dict):
        raise ValueError("params must be an object")
    if unknown := node.keys() - names:
        raise reader.unknown("parameters", unknown)
    return {name: reader.value(value, name) for name, value in node.items()}


# ---- parts that several classes have


def members_node(members: Sequence[Any], writer: Writer, training: bool) -> list[dict[str, Any]]:
    """The descriptions of the members of an ensemble."""
    return [
        node_of(member, writer.within(f"members.{k}"), training) for k, member in enumerate(members)
    ]


def read_members(kind: Any, node: Any, reader: Reader) -> list[Any]:
    """The members of an ensemble, which have the same features, outputs and classes."""
    if not isinstance(node, list) or not node:
        raise ValueError("members must be a list of models")
    members = [model_of_node(kind, one, reader) for one in node]
    first = members[0]
    for member in members[1:]:
        shape = member.n_features_in_, member.n_outputs_
        if shape != (first.n_features_in_, first.n_outputs_) or not _same_classes(first, member):
            raise ValueError("the members differ in their features, outputs or classes")
    return members


def _same_classes(first: Any, second: Any) -> bool:
    """Whether two models have the same labels; True for those that have none."""
    one, other = (getattr(model, "classes_", []) for model in (first, second))
    if isinstance(one, list) and isinstance(other, list):  # of several targets
        return len(one) == len(other) and all(map(np.array_equal, one, other))
    return np.array_equal(one, other)


def names_node(draft: Any, writer: Writer) -> dict[str, Any]:
    """The names of the features, if there are any."""
    names = getattr(draft, "feature_names_in_", None)
    return {} if names is None else {"feature_names_in_": writer.value(names, "feature_names_in_")}


def read_names(node: Any, n_features: int, reader: Reader) -> dict[str, Any]:
    """What `names_node` described, after a check."""
    reader.fields(node, "fitted", set(), {"feature_names_in_"})
    if not node:
        return {}
    names = reader.value(node["feature_names_in_"], "feature_names_in_")
    check_names(names, n_features)
    return {"feature_names_in_": names}
