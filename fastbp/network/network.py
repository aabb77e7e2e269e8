"""Network: the plan (a table of layers), the arena of parameters, and views into it."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import is_
from reprlib import repr as cut_repr
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fastbp.kernels import Codes, Dropout, Plan, Rows, backend, core, variant
from fastbp.network import initializers
from fastbp.network.activations import assemble, compiled, hidden_activations
from fastbp.network.plan import count_params, make_plan, split_params
from fastbp.network.scratch import allocate

Arrays: TypeAlias = list[NDArray[Any]]

# Multiply-adds, about 20 microseconds. The door of a single row keeps other threads waiting.
MOST_WORK_OF_A_ROW = 1 << 18


def check_arrays(coefs: Sequence[Any], intercepts: Sequence[Any]) -> tuple[Arrays, Arrays]:
    """Weights and biases as arrays of real numbers whose shapes fit each other; no copies."""
    coefs = _real_arrays(coefs, "coefs_")
    intercepts = _real_arrays(intercepts, "intercepts_")
    shapes = [weight.shape for weight in coefs]
    if not shapes or any(0 in shape for shape in shapes):
        raise ValueError(
            f"coefs_ has one layer at least, of which no width is 0, got shapes {shapes}"
        )
    if (
        any(len(shape) != 2 for shape in shapes)
        or any(left[1] != right[0] for left, right in pairwise(shapes))
        or [bias.shape for bias in intercepts] != [shape[1:] for shape in shapes]
    ):
        raise ValueError(
            f"coefs_ and intercepts_ do not fit each other: got shapes {shapes} and "
            f"{[bias.shape for bias in intercepts]}"
        )
    return coefs, intercepts


def params_dtype(arrays: Iterable[NDArray[Any] | np.dtype[Any]]) -> np.dtype[Any]:
    """float32 if all arrays, or dtypes, are float32, else float64."""
    return np.dtype(np.float32 if np.result_type(*arrays) == np.float32 else np.float64)


class Network:
    """A multilayer perceptron: plan, params, and `coefs` and `intercepts` as views into params.

    Parameters
    ----------
    units : sequence of int
        Widths of all layers, the input's first.
    activation : str, callable, Expression, or list of them
        Of the hidden layers, as `hidden_activations` takes it.
    dtype : dtype
        float32 or float64.
    activations : list, default=None
        The result of `hidden_activations`, if the caller has it.

    Attributes
    ----------
    plan : ndarray of PLAN
        One row per layer.
    program : ndarray or Program
        The plan with the tapes of its activations, as the doors of the core take it.
    """

    def __init__(
        self,
        units: Sequence[int],
        activation: Any,
        dtype: DTypeLike,
        activations: list[Any] | None = None,
    ) -> None:
        self.units = tuple(int(width) for width in units)
        # A copy: if the user changes the list later, the network is no longer the one for it.
        self.activation = list(activation) if isinstance(activation, list) else activation
        if activations is None:
            activations = hidden_activations(activation, len(self.units) - 2)
        self.activations = activations
        self.tapes: list[Any] = []
        codes: dict[Any, int] = {}
        for one in self.activations:
            if one not in codes:
                codes[one] = core.ACTIVATIONS.get(one, core.TAPES + len(self.tapes))
                if not isinstance(one, str):
                    self.tapes.append(compiled(one, 1, "activation"))
        self.plan = make_plan(self.units, [codes[one] for one in self.activations])
        self.program: Plan = assemble(self.plan, self.tapes)
        self._hold(np.zeros(count_params(self.units), dtype))

    def _hold(self, params: NDArray[Any]) -> None:
        self.params = params
        self.coefs, self.intercepts = split_params(self.params, self.units)
        self.products = [fan_in * fan_out for fan_in, fan_out in pairwise(self.units)]
        self._predict = variant(core.predict, self.params.dtype)

    @classmethod
    def from_arrays(
        cls, coefs: Sequence[Any], intercepts: Sequence[Any], activation: Any
    ) -> "Network":
        """A network with the values of these lists, which are not changed."""
        coefs, intercepts = check_arrays(coefs, intercepts)
        units = [*(len(weight) for weight in coefs), coefs[-1].shape[1]]
        network = cls(units, activation, params_dtype([*coefs, *intercepts]))
        network.set_arrays(coefs, intercepts)
        return network

    def set_arrays(self, coefs: Sequence[Any], intercepts: Sequence[Any]) -> None:
        """Copy the values of arrays that have the shapes of the layers."""
        for view, array in zip([*self.coefs, *self.intercepts], [*coefs, *intercepts], strict=True):
            view[...] = array

    def __getstate__(self) -> dict[str, Any]:
        """Plain data: functions as formulas, and nothing that is compiled."""
        return {"units": self.units, "activations": self.activations, "params": self.params}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` gave; ValueError if it is damaged."""
        units, activations, params = _checked_state(state)
        vars(self).update(vars(Network(units, activations, params.dtype.type, activations)))
        self.params[...] = params

    def copy(self) -> "Network":
        """A copy of the network in an arena of its own."""
        return self.astype(self.params.dtype)

    def astype(self, dtype: DTypeLike) -> "Network":
        """A copy in another dtype; functions are not traced again."""
        return self.over(self.params.astype(dtype))

    def unset_copy(self) -> "Network":
        """A copy whose parameters have still to be written."""
        return self.over(np.empty_like(self.params))

    def over(self, params: NDArray[Any]) -> "Network":
        """The network with other parameters, which are not copied."""
        network = object.__new__(Network)
        vars(network).update(vars(self))
        network._hold(params)
        return network

    def dtype_for(self, dtype: DTypeLike) -> np.dtype[Any]:
        """The dtype of predictions of rows of this dtype: float64 where float32 would round."""
        either = np.result_type(dtype, self.params.dtype)
        return np.dtype(np.float32 if either == np.float32 else np.float64)

    def holds(self, coefs: Sequence[Any], intercepts: Sequence[Any]) -> bool:
        """Whether the lists are, array for array, this network's views."""
        return (
            len(coefs) == len(self.coefs)
            and len(intercepts) == len(self.intercepts)
            and all(map(is_, coefs, self.coefs))
            and all(map(is_, intercepts, self.intercepts))
        )

    def with_loss(self, loss: Any) -> tuple[Plan, int]:
        """The program with a loss, a name or an Expression, and the loss's code."""
        if isinstance(loss, str):
            return self.program, core.LOSSES[loss]
        tapes = [*self.tapes, compiled(loss, self.units[-1], "loss")]
        return assemble(self.plan, tapes), core.TAPES + len(self.tapes)

    def initialize(self, random_state: "np.random.RandomState", init: Any = "auto") -> None:
        """Set all layers' parameters, from the input to the output.

        `init` is a name, a pair (coefs, intercepts), or a function (fan_in, fan_out, random_state)
        that returns weights and biases. 'auto' uses the initializer that fits each layer's
        activation. The output layer has Glorot's, with the factor of the last hidden layer.
        """
        if not isinstance(init, str):
            initializers.of_user(init, self.coefs, self.intercepts, random_state)
            return
        last = self.activations[-1] if self.activations else self.activation
        last = "logistic" if last == "logistic" else "identity"
        for weight, bias, activation in zip(
            self.coefs, self.intercepts, [*self.activations, last], strict=True
        ):
            fill = initializers.INITIALIZERS.get(init) or initializers.fitting(activation)
            fill(weight, bias, random_state)

    def is_finite(self) -> bool:
        """Whether all parameters are finite."""
        return core.is_finite(self.params)

    def scratch(
        self,
        batch: int,
        ranks: int,
        use: str,
        program: Plan | None = None,
        dropout: Dropout | None = None,
        codes: Codes | None = None,
    ) -> NDArray[Any]:
        """Scratch memory for one use of the core: 'epoch', 'gradient' or another of core.USES."""
        program = self.program if program is None else program
        size = core.scratch_size(program, batch, ranks, use, dropout, codes)
        return allocate(size, self.params.dtype)

    def row_work(self, entries: float | None = None) -> tuple[float, float]:
        """Multiply-adds for one row: in the first layer, and in the others.

        entries is the mean number of entries in a CSR row; None means dense rows.
        """
        first = self.products[0] if entries is None else entries * self.units[1]
        return first, sum(self.products) - self.products[0]

    def predict(
        self, x: Rows, link: str, out: NDArray[Any], widths: NDArray[np.float64] | None = None
    ) -> bool:
        """Write the predictions of rows x, link applied, into out (rows, outputs).

        The link of several targets needs the widths of their blocks of outputs.
        Each call has its own scratch, so that any number of threads can predict at once. Returns
        whether x is finite; also False if a sum of a finite x overflows in the first layer.
        """
        scratch = self.scratch(len(out), 1, "predict")
        return self._predict(self.program, self.params, scratch, x, out, core.LINKS[link], widths)

    def row_door(
        self, link: str, widths: NDArray[np.float64] | None, made_of: tuple[Any, ...]
    ) -> Any:
        """The core's `Row` of this network; None if its rows take so long that checks do not count.

        `made_of` is what the core's `is_made_of` takes after the attributes.
        """
        if backend != "native" or sum(self.products) > MOST_WORK_OF_A_ROW:
            return None
        return core.Row(self.program, self.params, core.LINKS[link], widths, np.empty, made_of)

    def predict_with(
        self,
        arrays: tuple[tuple[Any, ...], tuple[Any, ...]],
        x: Rows,
        link: str,
        out: Any,
        widths: NDArray[np.float64] | None = None,
    ) -> bool:
        """As `predict`, with other weights and biases, which are read where they lie.

        The arrays are aligned, contiguous by rows or columns, and in the dtype of x and out. For
        CSR rows the first weights lie by rows.
        """
        size = core.scratch_size(self.program, len(out), 1, "predict_arrays")
        scratch = allocate(size, out.dtype)
        door = variant(core.predict_arrays, out.dtype)
        return door(self.program, *arrays, scratch, x, out, core.LINKS[link], widths)


def _real_arrays(arrays: Any, name: str) -> list[NDArray[Any]]:
    """The list as arrays of real numbers; ValueError, with the name of the list, if it is none."""
    try:
        arrays = list(arrays)
    except TypeError:
        raise ValueError(f"{name} must be a list of arrays, got {cut_repr(arrays)}") from None
    found = []
    for k, given in enumerate(arrays):
        try:
            array = np.asarray(given)
        except (TypeError, ValueError) as error:  # rows of different lengths
            raise ValueError(f"{name}[{k}] must be an array of real numbers: {error}") from None
        if array.dtype.kind not in "fiub":
            raise ValueError(
                f"{name}[{k}] must be an array of real numbers, got {type(given).__name__} of "
                f"dtype {array.dtype}"
            )
        found.append(array)
    return found


def _checked_state(state: Any) -> tuple[tuple[int, ...], list[Any], NDArray[Any]]:
    """Units, activations and params of a pickled network; ValueError if they make no network."""
    if not isinstance(state, dict) or state.keys() != {"units", "activations", "params"}:
        raise ValueError(
            "the state of a Network is a dict of units, activations and params, got "
            f"{cut_repr(state)}"
        )
    units, activations, params = state["units"], state["activations"], state["params"]
    if not (
        isinstance(units, tuple)
        and len(units) > 1
        and all(type(width) is int and width > 0 for width in units)
    ):
        raise ValueError(f"units must be a tuple of two widths at least, got {cut_repr(units)}")
    if not isinstance(activations, list):
        raise ValueError(f"activations must be a list, got {cut_repr(activations)}")
    activations = hidden_activations(activations, len(units) - 2)
    size = count_params(units)
    if (
        not isinstance(params, np.ndarray)
        or params.dtype.type not in (np.float32, np.float64)
        or params.shape != (size,)
    ):
        what = (
            f"{params.dtype} of shape {params.shape}"
            if isinstance(params, np.ndarray)
            else cut_repr(params)
        )
        raise ValueError(
            f"params must be an array of {size} numbers, float32 or float64, for the widths "
            f"{units}, got {what}"
        )
    return units, activations, params
