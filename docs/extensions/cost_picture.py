"""The picture of the page Large data, by the cost model of benchmarks/large_data.py.

Sphinx writes the SVG before it reads the pages.
"""

import importlib
import sys
from pathlib import Path

PICTURE = "generated/large_data.svg"  # below docs/
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def write(app):
    path = Path(app.srcdir, PICTURE)
    path.parent.mkdir(exist_ok=True)
    sys.path.append(str(BENCHMARKS))
    importlib.import_module("large_data").draw(path)


def setup(app):
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
