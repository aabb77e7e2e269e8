"""Messages about the statistics of layers: what is wrong, in which layers, and usual remedies."""

import numpy as np

from fastbp.inspection.slopes import shrinks_delta
from fastbp.inspection.words import layers_in_words

VANISHING, EXPLODING = 1e-3, 1e3  # RMS of delta, relative to that of the output layer
DEAD = 0.1  # share of a layer's units from which a message names them

RELU_FAMILY = "relu, leaky_relu, elu, gelu"  # activations to propose where delta shrinks
SCALED = "X scaled to mean 0 and standard deviation 1"


def diagnose(statistics, network):
    """Messages about a gradient that vanishes, explodes or overflows, and about dead units."""
    return [*_about_gradient(statistics, network), *_about_dead_units(statistics)]


def _about_gradient(statistics, network):
    *deltas, last = statistics.delta_rms
    if not np.isfinite(statistics.delta_rms).all():
        yield (
            "The gradient is not finite: the deltas overflow. "
            "Usual remedies: smaller initial weights, a smaller learning rate, scaled X and y."
        )
    elif last > 0:
        deltas = np.array(deltas)
        small, large = (
            np.flatnonzero(mask) + 1
            for mask in (deltas < VANISHING * last, deltas > EXPLODING * last)
        )
        if len(small):
            yield (
                f"The gradient vanishes: {_course(deltas, 1 + np.argmin(deltas), 'falls', last)}, "
                f"below a thousandth of it in {layers_in_words(small)}. "
                f"{_against_vanishing(network)}"
            )
        if len(large):
            yield (
                f"The gradient explodes: {_course(deltas, 1 + np.argmax(deltas), 'grows', last)}, "
                f"above a thousand times it in {layers_in_words(large)}. "
                "Usual remedies: smaller initial weights (init='glorot_uniform', or 'he_uniform' "
                "for the relu family), a smaller learning rate, fewer layers, a larger alpha, "
                f"{SCALED}."
            )


def _course(deltas, layer, verb, last):
    """The words for the change of the RMS of delta from the output layer to this layer."""
    return (
        f"RMS of delta {verb} from {last:.1e} in the output layer to {deltas[layer - 1]:.1e} in "
        f"layer {layer}"
    )


def _against_vanishing(network):
    """Remedies for a vanishing gradient; another activation if one of the network's shrinks it."""
    shrinks = any(shrinks_delta(one, network.params.dtype) for one in {*network.activations})
    family = f"an activation of the relu family ({RELU_FAMILY}), " if shrinks else ""
    return (
        f"Usual remedies: {family}He's initial weights (init='he_uniform'), fewer layers, "
        f"{SCALED}, solver='adam' or a larger learning rate."
    )


def _about_dead_units(statistics):
    layers = np.flatnonzero(statistics.dead >= DEAD)
    if len(layers):
        where = ", ".join(
            f"{round(statistics.dead[k] * statistics.units[k])} of {statistics.units[k]} in layer "
            f"{k + 1}"
            for k in layers
        )
        yield (
            f"Units are dead, {where}: no sample gives them a slope, so that they cannot learn. "
            "Usual remedies: a smaller learning rate, activation='leaky_relu' or 'elu', He's "
            f"initial weights (init='he_uniform'), {SCALED}."
        )
