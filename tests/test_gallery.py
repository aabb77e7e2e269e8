"""Each example of the gallery runs without a warning, asserts its claim, and draws a picture."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pictures import assert_drawn

pytest.importorskip("matplotlib", reason="the examples draw with matplotlib")
TESTS = Path(__file__).parent
SCRIPTS = sorted((TESTS.parent / "examples").glob("*/plot_*.py"))
over_scripts = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


@over_scripts
def test_example(script, tmp_path, tmp_path_factory):
    environment = os.environ | {
        "FASTBP_DATA": str(tmp_path),  # without data, as in a fresh clone
        "MPLCONFIGDIR": str(tmp_path_factory.getbasetemp() / "matplotlib"),
    }
    done = subprocess.run(
        [sys.executable, str(TESTS / "run_example.py"), str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    pictures = list(tmp_path.glob("figure-*.png"))
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
