"""The network of the page "A model in a browser": trained, exported to C, compiled to WebAssembly.

Sphinx writes the HTML before it reads the pages. As a page of its own, without Sphinx:
`python docs/extensions/browser_page.py build/browser.html`.
"""

import base64
import copy
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from fastbp import MLPClassifier
from fastbp.export import to_c

PAGE = "generated/browser.html"  # below docs/
SCRIPT = Path(__file__).parents[1] / "static" / "browser.js"
EPOCHS = (1, 2, 4, 8, 15, 25, 40, 60, 100, 160, 250, 400)
ROWS = 4096  # that one call predicts
# A library, not a program: it has no start, and imports nothing from the browser.
COMPILE = ("-target", "wasm32-wasi", "-mexec-model=reactor", "-std=c99", "-O2", "-msimd128", "-s")
GLUE = """
static float x[{rows} * {features}], out[{rows} * {outputs}];
static void (*const predict[])(const float *, float *) = {{ {predictors} }};

__attribute__((export_name("inputs"))) float *inputs(void) {{ return x; }}
__attribute__((export_name("outputs"))) float *outputs(void) {{ return out; }}
__attribute__((export_name("predict_rows"))) void predict_rows(int network, int n) {{
    int i;
    for (i = 0; i < n; i++) predict[network](x + {features} * i, out + {outputs} * i);
}}
"""
FIGURE = """<div id="browser-network">
<script type="application/json">{facts}</script>
<script>
{script}
</script>
</div>
"""
ALONE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>A network in a browser</title></head>
<body>{figure}</body></html>
"""


def spirals(n=100):
    """Points on three arms of a spiral, within a square from -1 to 1, and the arm of each."""
    rng = np.random.RandomState(0)
    arm = np.repeat(np.arange(3), n)
    radius = np.tile(np.linspace(0.08, 0.95, n), 3)
    angle = 4 * radius + 2 * np.pi / 3 * arm + rng.normal(0, 0.13, 3 * n)
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points.astype(np.float32), arm


def train(X, y):
    """The same network after each of EPOCHS."""
    model = MLPClassifier(
        (12, 12), activation="tanh", batch_size=32, learning_rate_init=0.01, random_state=0
    )
    models = []
    for epoch in range(1, EPOCHS[-1] + 1):
        model.partial_fit(X, y, classes=[0, 1, 2])
        if epoch in EPOCHS:
            models.append(copy.deepcopy(model))
    return models


def source(models):
    """One file of C: the networks, and functions that predict many rows by one of them."""
    names = [f"network_{k}" for k in range(len(models))]
    exported = [to_c(model, name) for name, model in zip(names, models, strict=True)]
    glue = GLUE.format(
        rows=ROWS,
        features=models[0].n_features_in_,
        outputs=len(models[0].classes_),
        predictors=", ".join(f"{name}_predict" for name in names),
    )
    return "\n".join([*exported, glue])


def compiled(text):
    """A WebAssembly module of a C file, by the package ziglang."""
    with tempfile.TemporaryDirectory() as folder:
        file, module = Path(folder, "networks.c"), Path(folder, "networks.wasm")
        file.write_text(text, encoding="utf-8")
        zig = [sys.executable, "-m", "ziglang", "cc"]
        subprocess.run([*zig, *COMPILE, str(file), "-o", str(module)], check=True)
        return module.read_bytes()


def figure(X, y, models, module):
    """What the page shows, as HTML: it needs no server and loads nothing."""
    facts = {
        "module": base64.b64encode(module).decode(),
        "rows": ROWS,
        "epochs": EPOCHS,
        "points": np.round(X, 4).tolist(),
        "labels": y.tolist(),
        "classes": models[0].classes_.tolist(),
        "weights": [[np.round(w, 2).tolist() for w in model.coefs_] for model in models],
    }
    return FIGURE.format(
        facts=json.dumps(facts, separators=(",", ":")), script=SCRIPT.read_text(encoding="utf-8")
    )


def make():
    """The HTML, beside the models in it."""
    X, y = spirals()
    models = train(X, y)
    return figure(X, y, models, compiled(source(models))), models


def write(app):
    path = Path(app.srcdir, PAGE)
    path.parent.mkdir(exist_ok=True)
    path.write_text(make()[0], encoding="utf-8")


def setup(app):
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(ALONE.format(figure=make()[0]), encoding="utf-8")
