"""The elementary functions of the core against wider arithmetic, in units in the last place.

Every float32 there is, and a sample of float64, at every instruction-set level of this processor.
Where the exact result is below the smallest normal number, anything from there to zero will do;
infinities, NaN and the sign of zero have to be right, and v3 and v4 have to agree in every bit.

    python tests/kernels/exhaustive.py                  18 minutes on two busy cores
    python tests/kernels/exhaustive.py --only tanh      one function
"""

import argparse
import importlib
import math
import multiprocessing
import os
import sys
import time

import numpy as np
from scipy import special

from fastbp.kernels import LEVELS, runnable_levels

SINES = 2.0**30  # of larger numbers they are NaN; from 1e5 on nothing is promised


def periodic(function):
    return lambda x: np.where(abs(x) <= SINES, function(x), np.nan)


# Nothing wider for float64 is at hand: C's own is within 1 ULP (SciPy's has up to 2.6).
erf_of_c = np.vectorize(math.erf, otypes=[np.float64])

EXACT = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sin": periodic(np.sin),
    "cos": periodic(np.cos),
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "erf": lambda x: special.erf(x) if x.dtype == np.float64 else erf_of_c(x).astype(x.dtype),
}
WIDER = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}
BOUNDS = {  # in ULP
    "exp": 1.5,
    "expm1": 3,
    "log": 1.5,
    "log1p": 2,
    "sin": 2,
    "cos": 2,
    "sinh": 3,
    "cosh": 3,
    "tanh": 3,
    "sigmoid": 2.5,
    "softplus": 2.5,
    "erf": 2,
}
CHUNK = 1 << 16  # numbers whose intermediate results stay in the cache
TASK = 1 << 24
N_DOUBLES = 1 << 25


def levels():
    """Name -> core, of the levels that were built and run here, widest first."""
    found = {}
    for level in runnable_levels():
        try:
            found[level] = importlib.import_module(f"fastbp.{LEVELS[level]}")
        except ModuleNotFoundError:
            continue
    return found


def value(core, name, x):
    y = x.copy()
    core.kernel_elementary(name, y)
    return y


def exact_value(name, x):
    return EXACT[name](x.astype(WIDER[x.dtype]))


def measured(name, x):
    """x, but 0 where nothing is promised."""
    if name not in ("sin", "cos"):
        return x
    return np.where((abs(x) > 1e5) & (abs(x) <= SINES), x.dtype.type(0), x)


def ulps(ours, exact):
    """Distance from the exact result in ULP; inf where a special result is wrong."""
    info = np.finfo(ours.dtype)
    size = abs(exact)
    exponent = np.frexp(size)[1] - 1
    distance = abs(ours - exact) * np.ldexp(exact.dtype.type(1), info.nmant - exponent)
    special = ~((size >= info.tiny) & (size <= info.max))
    if special.any():
        ours, exact, size = ours[special], exact[special], size[special]
        right = (ours == exact.astype(ours.dtype)) & (np.signbit(ours) == np.signbit(exact))
        right |= np.isnan(ours) & np.isnan(exact)
        right |= (size > 0) & (size < info.tiny) & (abs(ours) <= info.tiny)
        distance[special] = np.where(right, 0, np.inf)
    distance[np.isnan(distance)] = np.inf
    return distance


def sample(dtype, n, seed=0):
    """About n numbers: of all bits, near 0, near 1, where results saturate, and special ones."""
    rng = np.random.RandomState(seed)
    word = {4: np.uint32, 8: np.uint64}[np.dtype(dtype).itemsize]
    part = n // 8
    highest = np.log(float(np.finfo(dtype).max))
    lowest = np.log(float(np.finfo(dtype).tiny))
    parts = [
        rng.randint(0, np.iinfo(word).max, 2 * part, dtype=word).view(dtype),
        rng.uniform(lowest, highest, part),
        rng.uniform(-25, 25, part),
        rng.uniform(-2, 2, part),
        np.exp(rng.uniform(-40, 4, part)) * rng.choice([-1, 1], part),
        1 + rng.uniform(-0.5, 1, part),
        rng.choice([lowest, highest, -highest, -20, -9, 9, 20], part) + rng.uniform(-1, 1, part),
        [0.0, -0.0, 1.0, -1.0, 1e4, -1e4, np.inf, -np.inf, np.nan],
        [np.finfo(dtype).tiny, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal],
    ]
    return np.concatenate([np.asarray(numbers).astype(dtype) for numbers in parts])


def worst(names, x):
    """(dtype, function, level) -> (ULP, argument), the worst in x."""
    result, cores = {}, levels()
    for name in names:
        for chunk in np.array_split(measured(name, x), -(-x.size // CHUNK)):
            exact, values = exact_value(name, chunk), {}
            for level, core in cores.items():
                ours = values[level] = value(core, name, chunk)
                if level == "v3" and "v4" in values:
                    same = np.array_equal(ours.view(np.uint8), values["v4"].view(np.uint8))
                    distance = np.zeros(1) if same else np.full(1, np.inf)
                else:
                    distance = ulps(ours, exact)
                at = distance.argmax()
                key = str(x.dtype), name, level
                result[key] = max(
                    result.get(key, (-1.0, 0.0)), (float(distance[at]), float(chunk[at]))
                )
    return result


def task(arguments):
    dtype, first, names = arguments
    with np.errstate(all="ignore"):
        if dtype == np.float32:
            return worst(names, np.arange(first, first + TASK, dtype=np.uint32).view(dtype))
        return worst(names, sample(dtype, N_DOUBLES // 64, seed=first))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=EXACT)
    names = [only] if (only := parser.parse_args().only) else list(EXACT)
    tasks = [(np.float32, first, names) for first in range(0, 1 << 32, TASK)]
    tasks += [(np.float64, seed, names) for seed in range(64)]
    began, total = time.perf_counter(), {}
    with multiprocessing.Pool(len(os.sched_getaffinity(0))) as pool:
        for done, result in enumerate(pool.imap_unordered(task, tasks), start=1):
            for key, found in result.items():
                total[key] = max(total.get(key, found), found)
            if sys.stderr.isatty():
                print(f"\r{done} of {len(tasks)}", end="\r", file=sys.stderr)
    failed = False
    for (dtype, name, level), (distance, at) in sorted(total.items()):
        bound = BOUNDS[name]
        failed |= distance > bound
        text = (
            "the bits of v4"
            if level == "v3" and not distance
            else (f"{distance:.3f} ULP of {bound} at {at!r}")
        )
        print(f"{dtype} {name:8s} {level:8s} {text}{'  FAILED' if distance > bound else ''}")
    print(f"{time.perf_counter() - began:.0f} s")
    sys.exit(failed)


if __name__ == "__main__":
    main()
