"""Values that JSON does not have, as JSON and tensors, and back.

What is written is a value: no name of a module or class, and nothing that is run. An object of JSON
has one key that tells its kind: "tuple", "float", "array" and so on; see KINDS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Set
from reprlib import repr as cut_repr
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbp.files.container import DTYPES, Contents, Tensors, version

MOST_STEPS = 1000  # of a formula: the time to compile it grows with their square
MOST_STEPS_OF_ALL = 10_000  # formulas of a file
OF_DERIVATIVES = "place"  # an operation that no traced function has
MOST_DEPTH = 20  # of lists in lists
MOST_TEXT = 2**28  # bytes of all arrays of strings: each string takes the width of the longest
LONG = 32  # numbers: as many or more become a tensor
DTYPES_OF_TENSORS = {np.dtype(code).newbyteorder("=") for code in DTYPES.values()}
PLAIN = bool | int | float | str | tuple | None  # entries of an array of objects
FLOATS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


class Record(NamedTuple):
    """An object by a name and fields; who writes one knows what to make of it when it is read."""

    name: str
    fields: dict[str, Any]


# ---- writing


class Writer:
    """Turns values into JSON, and collects arrays as tensors.

    Parameters
    ----------
    prefix : str, default=""
        The begin of all names, in the file and in messages.
    file : Writer, default=None
        Another writer to the same file.
    """

    def __init__(self, prefix: str = "", file: Writer | None = None) -> None:
        self.prefix = prefix
        self.tensors: Tensors = {} if file is None else file.tensors
        self._text: list[int] = [] if file is None else file._text  # bytes of arrays of strings

    def within(self, prefix: str) -> Writer:
        """A writer to the same file, whose names begin with another word."""
        return Writer(f"{self.prefix}{prefix}.", self)

    def tensor(self, array: NDArray[Any], name: str) -> dict[str, str]:
        """The reference to an array of numbers or bools; TypeError for other dtypes."""
        if array.dtype.newbyteorder("=") not in DTYPES_OF_TENSORS:
            self._refuse(name, f"has the dtype {array.dtype}")
        key = f"{self.prefix}{name}"
        assert key not in self.tensors, key
        self.tensors[key] = array
        return {"array": key}

    def value(self, value: Any, name: str, depth: int = 0) -> Any:
        """A value as JSON; TypeError, with its name, if a model file cannot hold it."""
        if isinstance(value, np.generic) and value.dtype.kind not in "mM":  # dates become integers
            value = value.item()
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):  # or of a subclass
            return int(value)
        if isinstance(value, str):  # members of an Enum have their own `__str__`
            return str.__str__(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"float": repr(float(value))}
        if depth > MOST_DEPTH:
            self._refuse(name, f"has lists in lists, more than {MOST_DEPTH} deep")
        if type(value) is list and (array := _as_numbers(value)) is not None:
            return {"list": self.tensor(array, name)["array"]}
        if type(value) in (list, tuple):
            items = [self.value(one, f"{name}.{k}", depth + 1) for k, one in enumerate(value)]
            return items if type(value) is list else {"tuple": items}
        if type(value) is dict:
            pairs = enumerate(value.items())
            return {"dict": [self._pair(one, f"{name}.{k}", depth + 1) for k, one in pairs]}
        if isinstance(value, np.ndarray):
            return self._array(value, name, depth)
        return self._object(value, name, depth)

    def _pair(self, pair: tuple[Any, Any], name: str, depth: int) -> list[Any]:
        return [self.value(pair[0], f"{name}.key", depth), self.value(pair[1], name, depth)]

    def _array(self, array: NDArray[Any], name: str, depth: int) -> dict[str, Any]:
        if type(array) not in (np.ndarray, np.memmap):
            self._refuse(name, f"is a {type(array).__name__}")
        if array.dtype.kind not in "UO":
            return self.tensor(array, name)
        if array.ndim != 1:
            self._refuse(name, f"has {array.ndim} dimensions of dtype {array.dtype}")
        if array.dtype.kind == "U":
            self._text.append(array.nbytes)
            if sum(self._text) > MOST_TEXT:
                self._refuse(name, f"has {array.nbytes} bytes of text: all have over {MOST_TEXT}")
            return {"strings": array.tolist(), "width": array.dtype.itemsize // 4}
        objects: list[Any] = array.tolist()
        for one in objects:
            if not isinstance(one, PLAIN | np.generic):
                self._refuse(name, f"holds a {type(one).__name__}")
        return {"objects": [self.value(one, name, depth + 1) for one in objects]}

    def _object(self, value: Any, name: str, depth: int) -> dict[str, Any]:
        if isinstance(value, Record):
            fields = {key: self.value(one, f"{name}.{key}") for key, one in value.fields.items()}
            return {"record": value.name, "fields": fields}
        if type(value) is np.random.RandomState:
            state: Any = value.get_state(legacy=False)
            if state.pop("bit_generator") != "MT19937":
                self._refuse(name, "is a generator other than MT19937")
            inner = state.pop("state")
            return {"random_state": self.value({**state, **inner}, name)["dict"]}
        from fastbp.graph.expression import Expression

        if not isinstance(value, Expression):
            self._refuse(name, f"is {cut_repr(value)}")
        if len(value.steps) > MOST_STEPS:
            self._refuse(name, f"is a formula of {len(value.steps)} steps, more than {MOST_STEPS}")
        steps = [
            [operation, list(arguments), self.value(option, f"{name}.{k}")]
            for k, (operation, arguments, option) in enumerate(value.steps)
        ]
        return {"formula": steps, "inputs": list(value.inputs)}

    def _refuse(self, name: str, what: str) -> None:
        raise TypeError(f"{self.prefix}{name} {what}, which a model file cannot hold")


def _as_numbers(values: list[Any]) -> NDArray[Any] | None:
    """A long list of numbers, or of lists of them, as an array that has the same list."""
    if not values or type(values[0]) not in (float, int, list):
        return None
    try:
        array = np.array(values)
    except (ValueError, OverflowError):  # lists of different lengths
        return None
    kinds = {"f": float, "i": int}
    if array.size < LONG or array.dtype.kind not in kinds or array.dtype.itemsize != 8:
        return None
    flat: list[Any] = values
    for _ in range(array.ndim - 1):
        flat = [one for row in flat for one in row]
    return array if {type(one) for one in flat} == {kinds[array.dtype.kind]} else None


# ---- reading


class Reader:
    """Turns JSON back into values; ValueError for all that no Writer has written.

    Parameters
    ----------
    contents : Contents
    copies : bool, default=False
        Whether arrays are copies. Views keep the bytes of the whole file in memory.
    """

    def __init__(self, contents: Contents, *, copies: bool = False) -> None:
        self.written_by = str(contents.description.get("fastbp"))
        self._left = dict(contents.tensors)
        self._copies = copies
        self._steps = 0
        self._text = 0
        self._formulas: dict[str, Any] = {}  # each is compiled once

    def tensor(self, node: Any, name: str) -> NDArray[Any]:
        """The array of a reference. Each tensor has one."""
        if not isinstance(node, dict) or node.keys() != {"array"}:
            raise ValueError(f"{name} must be an array, got {cut_repr(node)}")
        return self._take(node["array"], name)

    def _take(self, key: Any, name: str) -> NDArray[Any]:
        if not isinstance(key, str) or key not in self._left:
            raise ValueError(f"{name} refers to the tensor {cut_repr(key)}, which is not there")
        array = self._left.pop(key)
        return array.copy() if self._copies else array

    def finish(self) -> None:
        """Raise ValueError unless all tensors were read."""
        if self._left:
            raise self.unknown("tensors", self._left)

    def unknown(self, what: str, names: Any) -> ValueError:
        """The error for what a newer version may have written."""
        return ValueError(
            f"it was written by fastbp {self.written_by}, and this fastbp {version()} does not know"
            f" the {what} {', '.join(map(cut_repr, sorted(names)))}"
        )

    def fields(
        self,
        node: Any,
        what: str,
        required: Set[str],
        optional: Set[str] = frozenset(),
    ) -> dict[str, Any]:
        """An object of JSON with these keys and no others."""
        if not isinstance(node, dict):
            raise ValueError(f"{what} must be an object, got {cut_repr(node)}")
        if missing := required - node.keys():
            raise ValueError(f"{what} has no {', '.join(sorted(missing))}")
        if more := node.keys() - required - optional:
            raise self.unknown(f"entries of {what}:", more)
        return node

    def value(self, node: Any, name: str, depth: int = 0) -> Any:
        """The value that JSON stands for."""
        if node is None or isinstance(node, bool | int | float | str):
            return node
        if depth > 2 * MOST_DEPTH:
            raise ValueError(f"{name} has lists in lists, more than {MOST_DEPTH} deep")
        if isinstance(node, list):
            return [self.value(one, name, depth + 1) for one in node]
        kind = KINDS.get(frozenset(node))
        if kind is None:
            raise self.unknown(f"kind of value of {name}:", node)
        return kind(self, node, name, depth + 1)

    def _items(self, node: Any, name: str, depth: int) -> list[Any]:
        if not isinstance(node, list):
            raise ValueError(f"{name} must be a list, got {cut_repr(node)}")
        return [self.value(one, name, depth) for one in node]

    def _tuple(self, node: Any, name: str, depth: int) -> Any:
        return tuple(self._items(node["tuple"], name, depth))

    def _list(self, node: Any, name: str, depth: int) -> Any:
        return self._take(node["list"], name).tolist()

    def _float(self, node: Any, name: str, depth: int) -> Any:
        return FLOATS[node["float"]]

    def _dict(self, node: Any, name: str, depth: int) -> Any:
        pairs = self._items(node["dict"], name, depth)
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise ValueError(f"{name} must have pairs of keys and values")
        found = {key: value for key, value in pairs}
        if len(found) != len(pairs):
            raise ValueError(f"{name} has a key twice")
        return found

    def _array(self, node: Any, name: str, depth: int) -> Any:
        return self.tensor(node, name)

    def _strings(self, node: Any, name: str, depth: int) -> Any:
        strings, width = node["strings"], node["width"]
        if not isinstance(strings, list) or not all(isinstance(one, str) for one in strings):
            raise ValueError(f"{name} must have strings")
        if type(width) is not int or width < max(map(len, strings), default=0):
            raise ValueError(f"{name} has strings that are longer than {cut_repr(width)}")
        self._text += 4 * width * len(strings)
        if self._text > MOST_TEXT:
            raise ValueError(f"with {name}, the strings have more than {MOST_TEXT} bytes in all")
        return np.array(strings, f"<U{width}")

    def _objects(self, node: Any, name: str, depth: int) -> Any:
        items = self._items(node["objects"], name, depth)
        if not all(isinstance(one, PLAIN) for one in items):
            raise ValueError(f"{name} must have numbers and strings")
        array = np.empty(len(items), object)
        array[:] = items
        return array

    def _record(self, node: Any, name: str, depth: int) -> Record:
        key, fields = node["record"], node["fields"]
        if not isinstance(key, str) or not isinstance(fields, dict):
            raise ValueError(f"{name} must have a name and fields")
        return Record(key, {one: self.value(value, name, depth) for one, value in fields.items()})

    def _random_state(self, node: Any, name: str, depth: int) -> np.random.RandomState:
        state = self._dict({"dict": node["random_state"]}, name, depth)
        if state.keys() != {"key", "pos", "has_gauss", "gauss"}:
            raise ValueError(f"{name} has no state of a RandomState")
        key, pos = state["key"], state["pos"]
        has_gauss, gauss = state["has_gauss"], state["gauss"]
        is_right = isinstance(key, np.ndarray) and key.dtype == np.uint32 and key.shape == (624,)
        is_right = is_right and type(pos) is int and 0 <= pos <= 624
        if not is_right or has_gauss not in (0, 1) or type(gauss) is not float:
            raise ValueError(f"{name} has a state that no RandomState has")
        random_state = np.random.RandomState(0)
        random_state.set_state(("MT19937", key, pos, int(has_gauss), gauss))
        return random_state

    def _formula(self, node: Any, name: str, depth: int) -> Any:
        steps, inputs = node["formula"], node["inputs"]
        if not isinstance(steps, list) or len(steps) > MOST_STEPS:
            raise ValueError(f"{name} must be a formula of at most {MOST_STEPS} steps")
        if not isinstance(inputs, list):
            raise ValueError(f"{name} must be a formula with a list of inputs")
        found = []
        for step in steps:
            if not isinstance(step, list) or len(step) != 3 or not isinstance(step[1], list):
                raise ValueError(f"{name} must be a formula, got the step {cut_repr(step)}")
            if step[0] == OF_DERIVATIVES:
                raise ValueError(f"{name} has the operation {step[0]!r}, which functions do not")
            found.append((step[0], tuple(step[1]), self.value(step[2], name, depth)))
        from fastbp.graph.expression import Expression

        expression = Expression(tuple(found), tuple(inputs))
        text = repr((found, inputs))  # in which -0.0 is not 0.0
        if text not in self._formulas:
            self._formulas[text] = expression
            self._steps += len(found)
        if self._steps > MOST_STEPS_OF_ALL:
            raise ValueError(f"the formulas have more than {MOST_STEPS_OF_ALL} steps in all")
        return self._formulas[text]


Kind = Callable[[Reader, Mapping[str, Any], str, int], Any]
KINDS: dict[frozenset[str], Kind] = {
    frozenset({"tuple"}): Reader._tuple,
    frozenset({"list"}): Reader._list,
    frozenset({"float"}): Reader._float,
    frozenset({"dict"}): Reader._dict,
    frozenset({"array"}): Reader._array,
    frozenset({"strings", "width"}): Reader._strings,
    frozenset({"objects"}): Reader._objects,
    frozenset({"record", "fields"}): Reader._record,
    frozenset({"random_state"}): Reader._random_state,
    frozenset({"formula", "inputs"}): Reader._formula,
}
