"""Exported C files by every compiler at hand, with all options: nothing is said, numbers are right.

    python tests/export/matrix.py                     # --only clang, --random 60

All kinds of models, and random ones, in both types, some with all ways to store weights, are one
program for each compiler and each set of options. It reads rows and writes predictions, which are
at most 16 units in the last place from those of `predict`. If they are farther, the line says how
far `predict` and C are from the exact numbers. Programs for aarch64 run under qemu-aarch64 where it
is installed; those for Cortex-M are compiled only.
"""

import argparse
import copy
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from c_cases import (
    CASES,
    CLASSES,
    NUMBERS,
    OWN,
    TWO,
    X_TEST,
    classifier,
    fitted,
    regressor,
    several_targets,
)
from c_programs import COMPILERS, STRICT, run, ulps

from fastbp.export import to_c
from fastbp.export.c_network import STORED, stored_weights
from fastbp.kernels import core

MOST_ULPS = 16
OPTIONS = {
    "-O0": ("-O0",),
    "-O2": ("-O2",),
    "-O3": ("-O3",),
    "-Os": ("-Os",),
    "-O3, native": ("-O3", "-march=native"),
    "-O3, fused": ("-O3", "-ffp-contract=fast"),
}
CONVERSIONS = ("-Wconversion", "-Wshadow", "-Wdouble-promotion", "-Wmissing-declarations")
MAIN = """
#include <stdio.h>
#define RUN(name, real) \\
    {{ \\
        static real x[{features}], out[name##_n_outputs]; \\
        int i, j; \\
        for (i = 0; i < {rows}; i++) {{ \\
            for (j = 0; j < {features}; j++) x[j] = (real)rows[i][j]; \\
            name##_predict(x, out); \\
            fwrite(out, sizeof out, 1, stdout); \\
        }} \\
    }}
int main(void) {{
    static double rows[{rows}][{features}];
    if (fread(rows, sizeof rows, 1, stdin) != 1) return 1;
    {calls}
    return 0;
}}
"""


def random_model(seed):
    """A model of random kind, widths and activations."""
    rng = np.random.RandomState(seed)
    hidden = tuple(rng.randint(1, 14, rng.randint(0, 4)).tolist())
    choices = [*core.ACTIVATIONS, *OWN.values()]
    activation = [choices[k] for k in rng.randint(0, len(choices), len(hidden))]
    parameters = dict(hidden_layer_sizes=hidden, activation=activation, random_state=seed)
    kinds = [
        lambda: classifier(CLASSES, **parameters),
        lambda: classifier(CLASSES == "ham", **parameters),
        lambda: classifier((TWO > 0) * 1, **parameters),
        lambda: classifier(several_targets(), **parameters),
        lambda: regressor(TWO, **parameters),
        lambda: regressor(TWO, loss="gaussian", **parameters),
        lambda: regressor(np.abs(NUMBERS), loss="poisson", **parameters),
        lambda: regressor(loss="quantile", quantile=[0.2, 0.7], **parameters),
    ]
    return kinds[seed % len(kinds)]()


def variant(model, dtype, weights):
    """The model with the weights that its file has."""
    model = copy.deepcopy(model)
    for one in getattr(model, "estimators_", [model]):
        one.coefs_ = [stored_weights(w.astype(dtype), weights) for w in one.coefs_]
        one.intercepts_ = [b.astype(dtype) for b in one.intercepts_]
    return model


def predicted(model, rows):
    """What the file's `predict` writes, a matrix, and whether the model is a regressor."""
    if hasattr(model, "predict_proba"):
        found = model.predict_proba(rows)
        return (np.hstack(found) if isinstance(found, list) else found), False
    return model.predict(rows).reshape(len(rows), -1), True


def exact_numbers(model, numbers):
    """What `predict` would be if it rounded once, by float64; None of float64 itself."""
    if numbers.dtype != np.float32:
        return None
    model = copy.deepcopy(model)
    for one in getattr(model, "estimators_", [model]):
        one.coefs_ = [w.astype(np.float64) for w in one.coefs_]
        one.intercepts_ = [b.astype(np.float64) for b in one.intercepts_]
    return predicted(model, X_TEST.astype(np.float32).astype(np.float64))[0].astype(np.float32)


def programs(models):
    """The program of all models, and (name, expected, is a regressor, exact) of each."""
    texts, calls, expected = [], [], []
    for k, (case, model) in enumerate(models.items()):
        for dtype in (np.float32, np.float64):
            for weights in STORED if k % 8 == 0 else [None]:
                name = f"m{len(texts)}"
                texts.append(to_c(model, name, dtype=dtype, weights=weights))
                calls.append(f"RUN({name}, {'float' if dtype == np.float32 else 'double'})")
                same = variant(model, dtype, weights)
                numbers = predicted(same, X_TEST.astype(dtype))
                exact = exact_numbers(same, numbers[0])
                expected.append((f"{case}, {np.dtype(dtype).name}, {weights}", *numbers, exact))
    rows, features = X_TEST.shape
    main = MAIN.format(rows=rows, features=features, calls="\n    ".join(calls))
    return "\n".join([*texts, main]), expected


def worst(output, expected):
    """The largest distance of any model, in units in the last place, and the model's name."""
    found, start = [], 0
    for name, numbers, is_regressor, exact in expected:
        part = np.frombuffer(output, numbers.dtype, numbers.size, start).reshape(numbers.shape)
        start += part.nbytes
        distance = ulps(part, numbers, is_regressor)
        if distance > MOST_ULPS and exact is not None:
            own, of_c = (ulps(one, exact, is_regressor) for one in (numbers, part))
            name += f"; from the exact numbers predict {own:.1f}, C {of_c:.1f}"
        found.append((distance, name))
    assert start == len(output)
    return max(found)


def emulator(program):
    """The command that runs what this compiler makes, or None if nothing here can."""
    if program.startswith("arm-none"):
        return None
    if program.startswith("aarch64"):
        return ["qemu-aarch64"] if shutil.which("qemu-aarch64") else None
    return []


def attempt(program, flags, source, expected):
    """One line about a compiler and its options, and whether all is well."""
    target = source.with_suffix(".out")
    runs = emulator(program)
    build = (program, *COMPILERS[program], *STRICT, *CONVERSIONS, *flags)
    start = time.perf_counter()
    if runs is None:
        run(*build, "-c", source, "-o", target)
        return f"compiled in {time.perf_counter() - start:.0f} s, not run", True
    run(*build, *(["-static"] if runs else []), source, "-o", target)
    took = time.perf_counter() - start
    done = subprocess.run(
        [*runs, str(target)], input=X_TEST.tobytes(), capture_output=True, check=True
    )
    distance, name = worst(done.stdout, expected)
    return f"compiled in {took:.0f} s, at most {distance:.1f} ulp ({name})", distance <= MOST_ULPS


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="one compiler", choices=COMPILERS)
    parser.add_argument("--random", type=int, default=12, help="random models (default 12)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    models = {case: fitted(case) for case in CASES}
    models |= {f"random {seed}": random_model(seed) for seed in range(options.random)}
    text, expected = programs(models)
    print(f"{len(models)} models, {len(expected)} files of C, {len(text) / 1e6:.1f} MB", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "models.c"
        source.write_text(text, encoding="ascii")
        for program in [options.only] if options.only else COMPILERS:
            if not shutil.which(program):
                print(f"{program:<24}not installed")
                continue
            for name, flags in OPTIONS.items():
                if "native" in name and re.match("aarch64|arm", program):
                    continue
                try:
                    line, is_well = attempt(program, flags, source, expected)
                except (AssertionError, subprocess.CalledProcessError) as error:
                    line, is_well = str(error)[-2000:], False
                failed += not is_well
                print(f"{program:<24}{name:<14}{'' if is_well else 'FAILED: '}{line}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
