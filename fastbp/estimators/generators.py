"""The generator of a job, and what is kept of it so that a fit can be resumed."""

import copy
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from sklearn.utils import check_random_state

from fastbp.network import Network

MOST_SEED = 2**32 - 1
BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
DAMAGED = "'random_state' of the fit (_resume) is damaged: {0!r}"


class _NoEntropy(ISeedSequence):
    """Words of 0, for a generator that is seeded right afterwards: entropy takes longer."""

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        return np.zeros(n_words, dtype)


_NO_ENTROPY: Any = _NoEntropy()


def seeded(seed: int) -> np.random.RandomState:
    """``numpy.random.RandomState(seed)``, in less than half of the time."""
    random_state = np.random.RandomState(np.random.MT19937(_NO_ENTROPY))
    random_state.seed(seed)
    return random_state


def generator_of(given: Any, *, copied: bool) -> np.random.RandomState:
    """The generator of the parameter `random_state`; if `copied`, not the user's own."""
    if isinstance(given, Integral):
        return seeded(int(given))
    return check_random_state(copy.deepcopy(given) if copied else given)


def start_of(given: Any, random_state: np.random.RandomState, init: Any) -> dict[str, Any] | None:
    """From what the draws of a fit can be repeated, after the initial weights were drawn.

    The seed, if all draws follow from it; else the state of the generator, or None if it is of a
    class of its own. `init` is None where no weights were drawn.
    """
    if is_own(given, init):
        return {"seed": int(given), "initializes": isinstance(init, str)}
    if type(random_state) is not np.random.RandomState:
        return None
    state: Any = random_state.get_state(legacy=False)
    return state


def is_own(given: Any, init: Any) -> bool:
    """Whether a fit alone has its generator: it is new, and no function of the user got it."""
    return isinstance(given, Integral) and not callable(init)


def restarted(start: Mapping[str, Any], network: Network, init: Any) -> np.random.RandomState:
    """The generator as it was at the start; ValueError if the start is damaged.

    `network` has the widths and activations of the fitted one, `init` its initial weights.
    """
    if "seed" not in start:
        return _of_state(start)
    _check_seed(start)
    random_state = seeded(start["seed"])
    if start["initializes"]:
        drawn = Network(network.units, network.activation, np.float32, network.activations)
        drawn.initialize(random_state, init)
    return random_state


def check_start(start: Mapping[str, Any]) -> None:
    """Raise ValueError if the start of a fit is damaged."""
    if "seed" in start:
        _check_seed(start)
    else:
        _of_state(start)


def _check_seed(start: Mapping[str, Any]) -> None:
    seed, initializes = start["seed"], start.get("initializes")
    if type(seed) is not int or not 0 <= seed <= MOST_SEED or type(initializes) is not bool:
        raise ValueError(DAMAGED.format(start))


def _of_state(start: Mapping[str, Any]) -> np.random.RandomState:
    """The generator that had this state."""
    try:
        if start["bit_generator"] not in BIT_GENERATORS:  # the state may come from a file
            raise ValueError(f"there is no generator {start['bit_generator']!r}")
        inner = start["state"]
        # NumPy does not check where in its key the generator stands.
        if "key" in inner and not (type(inner["pos"]) is int and 0 <= inner["pos"] <= 624):
            raise ValueError(f"pos is {inner['pos']!r}")
        random_state = np.random.RandomState(getattr(np.random, start["bit_generator"])())
        random_state.set_state(dict(start))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(DAMAGED.format(error)) from None
    return random_state
