"""The code of the pages and docstrings runs, and the reference lists every public name."""

import doctest
import importlib.util
import re
import runpy
import textwrap
from pathlib import Path

import pytest

import fastbp
from fastbp.graph.operations import FUNCTIONS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    [ROOT / "README.md", ROOT / "SECURITY.md", *DOCS.glob("*.md"), *DOCS.glob("guide/*.md")]
)

needs_docs = pytest.mark.skipif(not DOCS.is_dir(), reason="no docs beside the tests")


def blocks(text):
    """The line and the code of each block of Python in a page."""
    for match in re.finditer(r"^( *)```python\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL):
        yield text[: match.start(2)].count("\n"), textwrap.dedent(match[2])


# What single blocks of a page need. Where it is missing, they and no others are left out.
OPTIONAL = {"dask": "distributed", "mapie": "mapie"}  # a word of the block, and the package


def lacks(code):
    """Whether a block needs an optional package that is not installed."""
    return any(
        re.search(rf"\b{word}\b", code, re.IGNORECASE) and not importlib.util.find_spec(package)
        for word, package in OPTIONAL.items()
    )


class Runner(doctest.DocTestRunner):
    """Runs examples and keeps the reports of those that fail."""

    def __init__(self):
        super().__init__(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        self.complaints = []

    def run(self, test, **options):
        return super().run(test, out=self.complaints.append, **options)

    def assert_no_complaints(self):
        if self.complaints:
            pytest.fail("".join(self.complaints), pytrace=False)


def public_modules():
    """All rooms that can be imported here; `make test-dask` has that of Dask."""
    rooms = [room for room in fastbp.ROOMS if not lacks(room)]
    return [fastbp, *(getattr(fastbp, room) for room in rooms)]


@needs_docs
@pytest.mark.filterwarnings("ignore:Port .* is already in use")  # of a dashboard of Dask
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(blocks(page.read_text(encoding="utf-8")))],
    ids=lambda page: page.name,
)
def test_code_of_pages_runs(page, monkeypatch, tmp_path):
    """The blocks of a page run in one namespace, and the results after a prompt are right."""
    pytest.importorskip("matplotlib", reason="some pages draw").use("Agg")
    if page.name == "onnx.md":  # `make test-onnx` has these
        for package in ("onnx", "onnxruntime", "skl2onnx"):
            pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    names, runner = {"__name__": "__main__"}, Runner()
    for line, code in blocks(page.read_text(encoding="utf-8")):
        if lacks(code):
            continue
        if code.startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(code, {}, page.name, str(page), line)
            test.globs = names
            runner.run(test, clear_globs=False)
        else:
            exec(compile("\n" * line + code, page, "exec"), names)
    runner.assert_no_complaints()


@pytest.mark.parametrize("module", public_modules(), ids=lambda module: module.__name__)
def test_examples_of_docstrings(module):
    if module is fastbp.onnx:
        pytest.importorskip("onnx")
    runner, names = Runner(), {name: getattr(module, name) for name in module.__all__}
    for name, public in names.items():
        for test in doctest.DocTestFinder().find(public, name, module=False, globs=names):
            runner.run(test)
    runner.run(doctest.DocTestParser().get_doctest(module.__doc__, names, module.__name__, None, 0))
    runner.assert_no_complaints()


@pytest.mark.parametrize("module", public_modules(), ids=lambda module: module.__name__)
def test_public_names_say_where_they_are_public(module):
    """Pickles use these names: so files may move, and old pickles can still be loaded."""
    for name in module.__all__:
        assert getattr(module, name).__module__ == module.__name__, name
        assert name in dir(module)


@needs_docs
def test_reference_is_complete():
    """It lists the `__all__` of each public module, and each function of fastbp.graph."""
    text = (DOCS / "api.rst").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   ([\w.]+)$", text, re.MULTILINE))
    for module in public_modules():
        inner = module.__name__.removeprefix("fastbp").removeprefix(".")
        wanted = {f"{inner}.{name}".lstrip(".") for name in getattr(module, "__all__", ())}
        assert wanted - {f"graph.{name}" for name in FUNCTIONS} <= listed
    page = (DOCS / "graph_functions.rst").read_text(encoding="utf-8")
    functions = re.findall(r"\w+", re.search(r":members:(.*?)\n   :", page, re.DOTALL)[1])
    assert sorted(functions) == sorted(FUNCTIONS)


@needs_docs
def test_architecture_names_files_that_exist():
    """The page and its picture name files relative to the root or to `fastbp/`."""
    page = (DOCS / "guide" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+\.(?:pyx|pyi|pxd|py|rst|md))`", page))
    named |= runpy.run_path(str(DOCS / "extensions" / "fit_picture.py"))["files"]()
    missing = {name for name in named if not (ROOT / name).exists()}
    assert not {name for name in missing if not (ROOT / "fastbp" / name).exists()}


@needs_docs
def test_picture_of_a_fit_is_legible():
    """Texts fit into their boxes, boxes do not overlap, and rooms are those of the package."""
    picture = runpy.run_path(str(DOCS / "extensions" / "fit_picture.py"))
    boxes = list(picture["BOXES"].values())
    for k, box in enumerate(boxes):
        for line in (box.title, *box.lines):
            character = 7 if picture["FILES"].search(line) else 6.6  # monospace is wider
            assert character * len(line) < box.width, line
        for other in boxes[:k]:
            apart_x = box.x + box.width <= other.x or other.x + other.width <= box.x
            assert apart_x or box.bottom < other.y or other.bottom < box.y, (box, other)
    for room in picture["ROOMS"]:
        assert (ROOT / "fastbp" / room.name).is_dir()
