"""Each example of the gallery runs without a warning, asserts its claim, and draws a picture."""

import ast
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from pictures import assert_drawn

pytest.importorskip("matplotlib", reason="the examples draw with matplotlib")
TESTS = Path(__file__).parent
SCRIPTS = sorted((TESTS.parent / "examples").glob("*/plot_*.py"))
over_scripts = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory):
    """The process that runs the selected examples, and the folder of each."""
    shared = tmp_path_factory.mktemp("gallery")
    selected = [item for item in request.session.items if "runs" in item.fixturenames]
    scripts = [item.callspec.params["script"] for item in selected]
    folders = {script: tmp_path_factory.mktemp(script.stem) for script in scripts}
    arguments = [str(path) for pair in folders.items() for path in pair]
    process = subprocess.Popen(
        [sys.executable, str(TESTS / "run_example.py"), *arguments],
        stderr=subprocess.PIPE,
        text=True,
        cwd=shared,
        env=os.environ
        | {
            "FASTBP_DATA": str(shared),  # without data, as in a fresh clone
            "MPLCONFIGDIR": str(shared / "matplotlib"),
        },
        start_new_session=True,
    )
    yield process, folders
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@over_scripts
def test_example(script, runs):
    if script.stem == "plot_conformal_intervals":
        pytest.importorskip("mapie")
    if script.parent.name == "5_tabular":
        pytest.importorskip("pandas")
    process, folders = runs
    folder, deadline = folders[script], time.monotonic() + 120
    while not (folder / "code").exists():
        assert process.poll() is None or (folder / "code").exists(), process.stderr.read()
        assert time.monotonic() < deadline, "takes too long"
        time.sleep(0.02)
    assert (folder / "code").read_text() == "0", (folder / "said").read_text()
    pictures = list(folder.glob("figure-*.png"))
    assert pictures, "no figure was left open"
    for picture in pictures:
        assert_drawn(picture)


@over_scripts
def test_example_asserts_its_claim(script):
    tree = ast.parse(script.read_text(encoding="utf-8"))
    assert any(isinstance(node, ast.Assert) for node in ast.walk(tree))


@over_scripts
def test_example_has_a_page(script):
    """A title with an underline, in a section with a title: Sphinx needs both."""
    assert underline(ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")))) == "="
    assert underline((script.parent / "GALLERY_HEADER.rst").read_text(encoding="utf-8")) == "-"


def underline(text):
    """The character with which the first line is underlined."""
    title, line, *_ = text.split("\n")
    assert line == line[0] * len(title)
    return line[0]
