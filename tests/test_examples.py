"""The examples run from a shell, print the numbers that they promise, and draw a picture."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pictures import assert_drawn

pytest.importorskip("matplotlib", reason="the examples draw with matplotlib")
EXAMPLES = Path(__file__).parents[1] / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="no examples beside the tests")


def run(tmp_path, script, *arguments):
    """The output of an example, and the path of the picture that it writes."""
    picture = tmp_path / "folder" / "picture.png"
    # In a folder without data, as in a fresh clone. The scripts import files beside them, which
    # PYTHONSAFEPATH would forbid.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    environment |= {"FASTBP_DATA": str(tmp_path), "MPLCONFIGDIR": str(tmp_path / "matplotlib")}
    environment["OPENBLAS_NUM_THREADS"] = "1"  # scikit-learn's threads would wait for other tests
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), str(picture), *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert f"picture: {picture}" in done.stdout
    return done.stdout, picture


def test_digits(tmp_path):
    text, picture = run(tmp_path, "digits.py", "--repeats", "1")
    theirs, ours = map(float, re.search(r"test accuracy +(\S+) +(\S+)", text).groups())
    assert ours >= 0.97
    assert abs(ours - theirs) < 0.005  # two of 450 rows, if a tie is broken differently
    assert re.search(r"training time +\d+ ms +\d+ ms", text)
    losses = re.findall(r"^ +\d+  loss +(\S+) +(\S+)$", text, re.MULTILINE)
    assert len(losses) >= 10
    for theirs, ours in losses:
        assert float(ours) == pytest.approx(float(theirs), rel=1e-7)
    assert_drawn(picture)


def test_regression_without_the_housing_data(tmp_path):
    text, picture = run(tmp_path, "regression.py")
    assert "diabetes" in text
    r2 = float(re.search(r"test R2 (\S+),", text)[1])
    assert r2 > 0.3
    assert_drawn(picture)


def test_xor(tmp_path):
    text, picture = run(tmp_path, "xor.py")
    assert re.search(r"^accuracy 1\.00$", text, re.MULTILINE)
    table = re.findall(r"^ (\d) +(\d) +(\d) +(\d) ", text, re.MULTILINE)
    assert len(table) == 4
    for a, b, truth, predicted in table:
        assert int(predicted) == int(truth) == int(a) ^ int(b)
    assert_drawn(picture)
