"""Where Dask is not installed, fastbp works, and fastbp.dask says what it needs."""

import subprocess
import sys

PROGRAM = """
import sys
for name in ("dask", "distributed"):
    sys.modules[name] = None  # as if it were not installed
import fastbp
assert "dask" in dir(fastbp) and "fastbp.dask" not in sys.modules
fastbp.MLPClassifier((3,), max_iter=1).partial_fit([[0.0], [1.0]], [0, 1], classes=[0, 1])
try:
    fastbp.dask
except ImportError as error:
    print(error)
"""


def test_an_error_names_the_extra():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'install "fastbp[dask]"' in done.stdout


def test_import_of_fastbp_loads_no_dask():
    program = "import fastbp, sys; print([m for m in sys.modules if m.split('.')[0] in sys.argv])"
    command = [sys.executable, "-c", program, "dask", "distributed"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
