"""Each example of the gallery runs without a warning, asserts its claim, and draws a picture."""

import ast
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pictures import assert_drawn

pytest.importorskip("matplotlib", reason="the examples draw with matplotlib")
TESTS = Path(__file__).parent
SCRIPTS = sorted((TESTS.parent / "examples").glob("*/plot_*.py"))
over_scripts = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory):
    """The runs of the selected examples by script, each with its folder; two at a time."""
    shared = tmp_path_factory.mktemp("gallery")
    selected = [item for item in request.session.items if "runs" in item.fixturenames]
    scripts = [item.callspec.params["script"] for item in selected]

    def run(script, folder):
        return subprocess.run(
            [sys.executable, str(TESTS / "run_example.py"), str(script), str(folder)],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=folder,
            env=os.environ
            | {
                "FASTBP_DATA": str(shared),  # without data, as in a fresh clone
                "MPLCONFIGDIR": str(shared / "matplotlib"),
            },
        )

    with ThreadPoolExecutor(2) as pool:
        folders = {script: tmp_path_factory.mktemp(script.stem) for script in scripts}
        yield {s: (pool.submit(run, s, folder), folder) for s, folder in folders.items()}
        pool.shutdown(cancel_futures=True)


@over_scripts
def test_example(script, runs):
    run, folder = runs[script]
    done = run.result()
    assert done.returncode == 0, done.stderr
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
