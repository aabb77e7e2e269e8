"""The house keeps its shape: who imports whom, how long files are, what is built and shown."""

import ast
import importlib
import importlib.metadata
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "fastbp"
FILES = sorted(
    path for path in SOURCE.glob("*") if path.suffix in {".py", ".pyi", ".pyx", ".pxd", ".h"}
)

needs_source = pytest.mark.skipif(not FILES, reason="no source tree beside the tests")
needs_wheel = pytest.mark.skipif(
    os.environ.get("FASTBP_TEST_SOURCE") == "1", reason="FASTBP_TEST_SOURCE=1: no wheel here"
)

# The import table. A file may import files of strictly lower floors only, never a sibling. The
# core is reached through _dispatch, which knows its level; so nobody else may name it.
BASE = {"_math.pxd", "_matmul.pxd", "_team.h"}
KERNELS = {"_affine.pxd", "_activations.pxd", "_losses.pxd", "_optimizers.pxd", "_tape.pxd"}
MAY_IMPORT = {
    # floor 0: no file of ours, but for the tiles behind the one door for matrix products
    "_math.pxd": set(),
    "_team.h": set(),
    "gemm.h": set(),
    "_matmul.pxd": {"gemm.h"},
    # floor 1
    "_affine.pxd": BASE,
    "_activations.pxd": BASE,
    "_losses.pxd": BASE,
    "_optimizers.pxd": BASE,
    "_tape.pxd": BASE,
    # floor 2
    "_walk.pxd": BASE | KERNELS,  # the half of the core that could not be read in one file
    "_bind.pxd": BASE | KERNELS | {"_walk.pxd"},
    "_core.pyx": BASE | KERNELS | {"_walk.pxd", "_bind.pxd"},
    "_core.pyi": set(),
    # floor 3
    "_dispatch.py": {"_core.pyx"},
    "schedules.py": set(),
    "initializers.py": set(),
    "_validation.py": set(),
    "_memory.py": set(),
    "_graph_picture.py": set(),
    "_operations.py": set(),
    "_lowering.py": set(),
    # floor 4
    "_reverse.py": {"_operations.py"},
    "_simplify.py": {"_operations.py"},
    "_team.py": {"_dispatch.py"},
    # floor 5
    "graph.py": {"_graph_picture.py", "_operations.py", "_reverse.py"},
    # floor 6
    "expression.py": {"graph.py", "_operations.py", "_reverse.py", "_simplify.py"},
    # floor 7
    "network.py": {"_dispatch.py", "initializers.py", "expression.py", "_lowering.py"},
    # floor 8
    "trainer.py": {"network.py", "_team.py", "_dispatch.py", "schedules.py"},
    "_validation_set.py": {"network.py", "_dispatch.py"},
    # floor 9
    "_base.py": {
        "trainer.py",
        "_validation_set.py",
        "network.py",
        "_team.py",
        "_dispatch.py",
        "schedules.py",
        "initializers.py",
        "_validation.py",
        "_memory.py",
    },
    # floor 10
    "estimators.py": {"_base.py", "trainer.py", "network.py", "_validation.py", "_memory.py"},
    "gradient_check.py": {
        "_base.py",
        "trainer.py",
        "network.py",
        "_team.py",
        "_dispatch.py",
        "_validation.py",
        "_memory.py",
    },
    # floor 11
    "_plot.py": set(),
    "_layers.py": {"_base.py", "trainer.py", "network.py", "_validation.py"},
    # floor 12
    "_displays.py": {"_layers.py", "_plot.py"},
    "_network_display.py": {"_layers.py", "_plot.py"},
    # floor 13
    "inspection.py": {"_layers.py", "_displays.py", "_network_display.py"},
    # floor 14
    "__init__.py": {"estimators.py", "gradient_check.py", "_dispatch.py", "inspection.py"},
}

MOST_LINES = 450


# ---- the import table


def file_of(module):
    """File behind a module of ours, written "" (the package itself), "_math", "_core_v3"..."""
    if re.fullmatch(r"_core(_v\d)?", module):
        return "_core.pyx"  # one source, several levels
    if not module:
        return "__init__.py"
    for suffix in (".py", ".pyx", ".pxd"):
        if f"{module}{suffix}" in MAY_IMPORT or (SOURCE / f"{module}{suffix}").exists():
            return f"{module}{suffix}"
    return None  # a name inside a module, not a module


def files_of(module, names=()):
    """Files behind `from module import names`; `module` is absolute, in dots."""
    if module.split(".")[0] != "fastbp":
        return set()
    inner = module.split(".")[1:]
    if inner:
        return {file_of(inner[0]) or inner[0]}
    # `from fastbp import x`: x is a module of ours, or else a name that __init__ defines.
    return {file_of(name) or "__init__.py" for name in names} or {"__init__.py"}


def absolute(level, module):
    """`from .x import` as written inside the package, without the dots in front."""
    return ".".join(filter(None, ["fastbp" if level else "", module or ""]))


def imports_of_python(text):
    """Files of ours that a Python file imports, wherever in the file it does."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found |= files_of(alias.name)
        elif isinstance(node, ast.ImportFrom):
            found |= files_of(
                absolute(node.level, node.module), [alias.name for alias in node.names]
            )
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called in {"import_module", "__import__"}:
                # Only _dispatch has a reason to compute a module's name, and only the core's.
                found.add("_core.pyx")
    return found


def imports_of_cython(text):
    """Files of ours that a .pyx or .pxd file cimports, imports or declares."""
    text = without_comments(text, ".pyx")
    text = re.sub(r"\(([^()]*)\)", lambda match: match[0].replace("\n", " "), text)
    text = text.replace("\\\n", " ")
    found = set()
    for dots, module, names in re.findall(
        r"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+c?import[ \t]+(.+)$", text, re.M
    ):
        names = [name.split()[0] for name in names.strip(" ()").split(",") if name.strip(" ()")]
        found |= files_of(absolute(len(dots), module), names)
    for modules in re.findall(r"^[ \t]*c?import[ \t]+(.+)$", text, re.M):
        for module in modules.split(","):
            found |= files_of(module.split()[0])
    for header in re.findall(r"\bextern[ \t]+from[ \t]+[\"']([\w./]+\.h)[\"']", text):
        found |= {header} & {path.name for path in FILES}
    return found | includes_of_c(text)


def includes_of_c(text):
    """Files of ours that C code includes."""
    headers = set(re.findall(r"^[ \t]*#[ \t]*include[ \t]+[\"<]([\w./]+)[\">]", text, re.M))
    return headers & {path.name for path in FILES}


def imports(path):
    """Files of ours that this file imports."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in {".py", ".pyi"}:
        return imports_of_python(text)
    if path.suffix in {".pyx", ".pxd"}:
        return imports_of_cython(text)
    return includes_of_c(text)


@needs_source
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_imports_go_one_way(path):
    assert path.name in MAY_IMPORT, f"{path.name} has no place in the import table"
    forbidden = imports(path) - MAY_IMPORT[path.name] - {path.name}
    assert not forbidden, f"{path.name} may not import {sorted(forbidden)}"


def test_import_table_has_floors():
    """No cycle: files can be taken away one by one, each needing nothing that is left."""
    left = dict(MAY_IMPORT)
    while left:
        free = [name for name, needs in left.items() if not needs & set(left)]
        assert free, f"these import each other: {sorted(left)}"
        for name in free:
            del left[name]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import numpy as np\nfrom scipy import linalg", set()),
        ("def f():\n    from . import network", {"network.py"}),
        ("from .network import Network, plan", {"network.py"}),
        ("from fastbp._core_v4 import x", {"_core.pyx"}),
        ("from fastbp import MLPClassifier", {"__init__.py"}),
        ("import fastbp.trainer as t", {"trainer.py"}),
        ("import importlib\nimportlib.import_module('fastbp.' + name)", {"_core.pyx"}),
    ],
)
def test_import_reader_sees_python(text, found):
    assert imports_of_python(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from libc cimport math\ncimport cython", set()),
        ("from fastbp cimport _math, _matmul", {"_math.pxd", "_matmul.pxd"}),
        ("from fastbp cimport (\n    _math,\n    _matmul as m,\n)", {"_math.pxd", "_matmul.pxd"}),
        ("from ._affine cimport (\n    affine_forward,\n)", {"_affine.pxd"}),
        ("cimport fastbp._losses as losses, numpy", {"_losses.pxd"}),
        ('"""from fastbp cimport _math"""\n# from fastbp cimport _math', set()),
    ],
)
def test_import_reader_sees_cython(text, found):
    assert imports_of_cython(text) == found


# ---- length


def without_comments(text, suffix):
    """The text without docstrings and lines of comment; C inside a .pyx file stays."""
    if suffix == ".h":
        return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)

    def unless_c(match):
        return match[0] if re.search(r"\bextern\s+from\b.*:\s*\Z", text[: match.start()]) else ""

    docstring = r"^[ \t]*[rR]?(\"\"\"|''')(?:\\.|.)*?\1[ \t]*$"
    text = re.sub(docstring, unless_c, text, flags=re.S | re.M)
    comment = r"^[ \t]*#(?!(?:include|if|ifdef|ifndef|else|elif|endif|define|undef|pragma)\b).*$"
    return re.sub(comment, "", text, flags=re.M)


@needs_source
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_file_is_short(path):
    text = without_comments(path.read_text(encoding="utf-8"), path.suffix)
    lines = sum(bool(line.strip()) for line in text.splitlines())
    assert lines <= MOST_LINES, f"{path.name} has {lines} lines of code; split it"


# ---- build


@pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="no source tree beside the tests")
def test_no_forbidden_flag():
    """Fast-math breaks NaN and, on linking, the whole process's floating point."""
    flags = [
        node.value
        for node in ast.walk(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    for forbidden in (
        "-ffast-math",
        "-Ofast",
        "-funsafe-math-optimizations",
        "-fassociative-math",
        "march=native",
        "fopenmp",
        "/fp:fast",
        "/openmp",
    ):
        assert not [flag for flag in flags if forbidden in flag], forbidden


def compiled():
    """The compiled modules of the fastbp that is imported."""
    folder = Path(importlib.import_module("fastbp").__file__).parent
    return sorted([*folder.glob("_core*.so"), *folder.glob("_core*.pyd")])


def test_core_does_not_link_openmp():
    """A module names the libraries it needs in plain bytes, in every format there is."""
    assert compiled()
    for path in compiled():
        data = path.read_bytes()
        for library in (b"libgomp", b"libiomp", b"libomp.", b"vcomp1", b"GOMP_parallel"):
            assert library not in data, f"{path.name} needs {library.decode()}"


@needs_wheel
@pytest.mark.skipif(sys.platform != "linux", reason="of GCC's and Clang's modules")
def test_scalar_functions_are_inlined():
    """A loop that calls one is not vectorized, and takes five times as long."""
    core = importlib.import_module("fastbp._core")
    if core.DEBUG:
        pytest.skip("nothing is inlined in a debug build")
    for path in compiled():
        left = set(re.findall(rb"__pyx_f_6fastbp_5_math_(\w+)", path.read_bytes()))
        assert not left, f"{path.name} calls {left}"


# ---- what is installed


@needs_wheel
def test_installed_package_is_tested():
    """Not the checkout, whose fastbp/ would hide a file that the wheel forgot."""
    folder = Path(importlib.import_module("fastbp").__file__).parent
    assert folder.parent.name in {"site-packages", "dist-packages"}
    assert folder.resolve() != SOURCE.resolve()


@needs_wheel
def test_wheel_holds_what_runs():
    held = {Path(str(file)).name for file in importlib.metadata.files("fastbp")}
    assert {"py.typed", "_core.pyi", "LICENSE"} <= held
    assert not [name for name in held if Path(name).suffix in {".pyx", ".pxd", ".c", ".h"}]
    if FILES:
        assert {path.name for path in FILES if path.suffix == ".py"} <= held


@needs_wheel
def test_version_is_the_packages():
    assert importlib.import_module("fastbp").__version__ == importlib.metadata.version("fastbp")


# ---- the stub


def stub():
    """The stub's tree, of the fastbp that is imported."""
    path = Path(importlib.import_module("fastbp").__file__).with_name("_core.pyi")
    return ast.parse(path.read_text(encoding="utf-8"))


def stub_doors():
    """Public doors of the stub: name -> the parameters of each of its overloads."""
    doors = {}
    for node in stub().body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, arguments.vararg]
            every += [*arguments.kwonlyargs, arguments.kwarg]
            doors.setdefault(node.name, []).append([arg.arg for arg in every if arg is not None])
    return doors


def core_doors():
    """Public functions of the compiled core: name -> parameters.

    The baseline stands for every level: they are one source, and it is the one that any CPU runs.
    """
    core = importlib.import_module("fastbp._core")

    def parameters(door):
        # A fused door of Cython 3.1 shows its dispatcher's parameters; its variants show theirs.
        variants = list(getattr(door, "__signatures__", {}).values())
        return list(inspect.signature(variants[0] if variants else door).parameters)

    return {
        name: parameters(door)
        for name, door in vars(core).items()
        # cython_function_or_method, or fused_cython_function
        if not name.startswith("_") and "cython_function" in type(door).__name__
    }


def test_stub_shows_every_door():
    assert set(stub_doors()) == set(core_doors())
    assert core_doors()


def test_stub_names_the_parameters():
    core = core_doors()
    for name, overloads in stub_doors().items():
        for parameters in overloads:
            assert parameters == core[name], name


def test_stub_constants_exist():
    core = importlib.import_module("fastbp._core")
    for node in stub().body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) != "TypeAlias":
            assert hasattr(core, node.target.id), node.target.id


def test_the_import_leaves_to_others_what_few_fits_need():
    """Modules that cost more than ours together, and that an import of fastbp need not pay for."""
    program = (
        "import sklearn.base, scipy.linalg.cython_blas, sys; before = set(sys.modules)\n"
        "import fastbp; print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for module in ("sklearn.metrics", "sklearn.model_selection", "sklearn.preprocessing",
                   "fastbp.inspection"):
        assert module not in done.stdout.split()
