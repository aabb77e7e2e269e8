"""What statistics of layers say, in words: what is wrong, where, and the usual remedies."""

import numpy as np

from fastbp.inspection.words import layers_in_words

VANISHING, EXPLODING = 1e-3, 1e3  # RMS of delta, beside that of the output layer
DEAD = 0.1  # share of a layer's units from which a message names them


def diagnose(statistics):
    *deltas, last = statistics.delta_rms
    found = []
    if not np.isfinite(statistics.delta_rms).all():
        found.append(
            "The gradient is not finite: the deltas overflow. "
            "Usual remedies: smaller initial weights, a smaller learning rate, scaled X and y."
        )
    elif last > 0 and deltas:
        deltas = np.array(deltas)
        below, above = (
            np.flatnonzero(where) + 1
            for where in (deltas < VANISHING * last, deltas > EXPLODING * last)
        )
        if len(below):
            found.append(
                f"The gradient vanishes: {_course(deltas, 'falls', last, below)}, below a "
                f"thousandth of it in {layers_in_words(below)}. {_against_vanishing(statistics)}"
            )
        if len(above):
            found.append(
                f"The gradient explodes: {_course(deltas, 'grows', last, above)}, above a thousand "
                f"times it in {layers_in_words(above)}. Usual remedies: smaller initial weights "
                "(init='glorot_uniform', or 'he_uniform' for the relu family), a smaller learning "
                "rate, fewer layers, a larger alpha, X scaled to mean 0 and standard deviation 1."
            )
    dead = np.flatnonzero(statistics.dead >= DEAD)
    if len(dead):
        where = ", ".join(
            f"{round(statistics.dead[k] * statistics.units[k])} of {statistics.units[k]} in layer "
            f"{k + 1}"
            for k in dead
        )
        found.append(
            f"Units are dead, {where}: no sample gives them a slope, so that they cannot learn. "
            "Usual remedies: a smaller learning rate, activation='leaky_relu' or 'elu', He's "
            "initial weights (init='he_uniform'), X scaled to mean 0 and standard deviation 1."
        )
    return found


def _course(deltas, verb, last, named):
    """From where to where the RMS of delta goes, towards the input."""
    k = named[np.argmin(deltas[named - 1]) if verb == "falls" else np.argmax(deltas[named - 1])]
    return (
        f"RMS of delta {verb} from {last:.1e} in the output layer to {deltas[k - 1]:.1e} in "
        f"layer {k}"
    )


def _against_vanishing(statistics):
    squashing = {"logistic", "tanh", "hard_sigmoid", "softplus"} & {*statistics.activations}
    family = "an activation of the relu family (relu, leaky_relu, elu, gelu), " if squashing else ""
    return (
        f"Usual remedies: {family}He's initial weights (init='he_uniform'), fewer layers, X "
        "scaled to mean 0 and standard deviation 1, solver='adam' or a larger learning rate."
    )
