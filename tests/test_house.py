"""The structure of the package: imports, lengths, the build, the installed files, the stub."""

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
SUFFIXES = {".py", ".pyi", ".pyx", ".pxd", ".pxi", ".h"}
FILES = sorted(path for path in SOURCE.rglob("*") if path.suffix in SUFFIXES)

needs_source = pytest.mark.skipif(not FILES, reason="no source tree beside the tests")
needs_wheel = pytest.mark.skipif(
    os.environ.get("FASTBP_TEST_SOURCE") == "1", reason="FASTBP_TEST_SOURCE=1: no wheel here"
)

# The import table: for each room the rooms that it may import. Files of a room may import each
# other, but not in a circle. `_core` is part of the kernels, which choose its level. No other room
# may name it.
MAY_IMPORT = {
    "kernels": set(),
    "graph": set(),
    "network": {"kernels", "graph"},
    "threads": {"kernels"},
    "files": {"kernels", "graph", "network"},
    "tables": {"kernels", "files"},
    "runtime": {"kernels", "network", "tables", "threads", "files"},
    "training": {"kernels", "graph", "network", "threads"},
    "estimators": {"kernels", "graph", "network", "threads", "files", "runtime", "training"},
    "inspection": {"kernels", "graph", "network", "training", "estimators"},
    "gradient_check": {"threads", "training", "estimators", "inspection"},
    "blocks": set(),
    "callbacks": set(),
    "dask": {"kernels", "network", "threads", "training", "estimators"},
    "schedules": {"training"},
    "ensemble": {"files", "runtime", "estimators"},
    "export": {"kernels", "network", "estimators", "ensemble", "__init__"},
    "tabular": {
        "kernels",
        "tables",
        "threads",
        "files",
        "runtime",
        "training",
        "estimators",
        "schedules",
    },
    "onnx": {"network", "runtime", "estimators", "ensemble", "tables", "tabular", "__init__"},
    "model_files": {"files", "estimators", "ensemble", "tabular"},
    "__init__": {  # other rooms by their names
        "kernels",
        "files",
        "estimators",
        "gradient_check",
        "model_files",
    },
}  # end of the import table

MOST_LINES = 450  # of code
MOST_LINES_OF_A_FUNCTION = 50
MOST_PARAMETERS = 8
MANY_PARAMETERS = {
    # kernels of the shape of BLAS
    "tiles",
    "gemm",
    "gemv",
    "matmul_nn",
    "matmul_tn",
    "affine_forward",
    "affine_backward_weights",
    "affine_forward_csr",
    "affine_backward_weights_csr",
}
CONSTRUCTORS = ("classifier.py", "regressor.py")  # with the parameters of scikit-learn


# ---- the import table


def room_of(module):
    """The room of a module of fastbp. Module names are dotted, without "fastbp"."""
    first = module.split(".")[0]
    return "kernels" if re.fullmatch(r"_core(_v\d)?", first) else first or "__init__"


def is_module(module):
    """Whether a module of fastbp exists, as a file or as a folder."""
    path = SOURCE.joinpath(*module.split("."))
    return path.is_dir() or any(
        path.with_suffix(end).exists() for end in (".py", ".pyx", ".pxd", ".pxi")
    )


def modules_of(module, names=()):
    """Modules of fastbp that `from module import names` imports."""
    if module.split(".")[0] != "fastbp":
        return set()
    inner = module.removeprefix("fastbp").removeprefix(".")
    inside = {".".join(filter(None, [inner, name])) for name in names}
    inside = {name for name in inside if is_module(name)}
    return inside if inside and len(inside) == len(names) else {inner} | inside


def imports_of_python(text):
    """Modules of fastbp that a Python file imports, at any place in the file."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found |= modules_of(alias.name)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            found |= modules_of(node.module, [alias.name for alias in node.names])
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            if called in {"import_module", "__import__"}:
                # Only the kernels may compute the name of a module: that of the core.
                found.add("_core")
    return found


def imports_of_cython(text):
    """Modules and headers of fastbp that a .pyx or .pxd file cimports, imports or declares."""
    text = without_comments(text, ".pyx")
    text = re.sub(r"\(([^()]*)\)", lambda match: match[0].replace("\n", " "), text)
    text = text.replace("\\\n", " ")
    found = set()
    for module, names in re.findall(
        r"^[ \t]*from[ \t]+([\w.]+)[ \t]+c?import[ \t]+(.+)$", text, re.M
    ):
        names = [name.split()[0] for name in names.strip(" ()").split(",") if name.strip(" ()")]
        found |= modules_of(module, names)
    for modules in re.findall(r"^[ \t]*c?import[ \t]+(.+)$", text, re.M):
        for module in modules.split(","):
            found |= modules_of(module.split()[0])
    for included in re.findall(r"^include[ \t]+[\"']([\w/]+)\.pxi[\"']", text, re.M):
        found.add(included.replace("/", "."))
    for header in re.findall(r"\bextern[ \t]+from[ \t]+[\"']([\w./]+\.h)[\"']", text):
        found |= {f"kernels.{header}"} if header in HEADERS else set()
    return found | includes_of_c(text)


HEADERS = {path.name for path in FILES if path.suffix == ".h"}


def includes_of_c(text):
    """Headers of fastbp that C code includes."""
    headers = set(re.findall(r"^[ \t]*#[ \t]*include[ \t]+[\"<]([\w./]+)[\">]", text, re.M))
    return {f"kernels.{header}" for header in headers & HEADERS}


def imports(path):
    """Modules of fastbp that a file imports."""
    text = path.read_text(encoding="utf-8")
    if path == SOURCE / "__init__.py":  # lines that type checkers alone read
        text = re.sub(r"^ +from fastbp import (\w+) as \1\n", "", text, flags=re.M)
    if path.suffix in {".py", ".pyi"}:
        return imports_of_python(text)
    if path.suffix in {".pyx", ".pxd", ".pxi"}:
        return imports_of_cython(text)
    return includes_of_c(text)


def module_of(path):
    """The module in a file; a header keeps its suffix."""
    path = path.relative_to(SOURCE)
    if path.name == "__init__.py" and len(path.parts) > 1:
        return ".".join(path.parts[:-1])
    return ".".join(path.parts if path.suffix == ".h" else path.with_suffix("").parts)


@needs_source
@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_go_one_way(path):
    room = room_of(module_of(path))
    assert room in MAY_IMPORT, f"{room} has no row in the import table"
    rooms = {room_of(module) for module in imports(path)}
    forbidden = rooms - MAY_IMPORT[room] - {room}
    assert not forbidden, f"{room} may not import {sorted(forbidden)}"


@needs_source
@pytest.mark.parametrize("room", MAY_IMPORT)
def test_every_right_to_import_is_used(room):
    inside = [path for path in FILES if room_of(module_of(path)) == room]
    used = {room_of(module) for path in inside for module in imports(path)} - {room}
    assert used == MAY_IMPORT[room]


def assert_no_circle(needs):
    """Assert that the graph `needs` has no circle, by removing nodes without needs one by one."""
    left = dict(needs)
    while left:
        free = [name for name, its in left.items() if not its & set(left)]
        assert free, f"these import each other: {sorted(left)}"
        for name in free:
            del left[name]


def test_import_table_has_no_circle():
    assert_no_circle(MAY_IMPORT)


@needs_source
@pytest.mark.parametrize("room", MAY_IMPORT)
def test_files_of_a_room_have_no_circle(room):
    inside = [path for path in FILES if room_of(module_of(path)) == room and path.suffix != ".pyi"]
    needs = {module_of(path): imports(path) - {module_of(path)} for path in inside}
    assert inside
    assert_no_circle(needs)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import numpy as np\nfrom scipy import linalg", set()),
        ("def f():\n    from fastbp import network", {"network"}),
        ("from fastbp.network import Network, make_plan", {"network"}),
        ("from fastbp.training import schedules", {"training.schedules"}),
        ("from fastbp._core_v4 import x", {"_core_v4"}),
        ("from fastbp import MLPClassifier", {""}),
        ("import fastbp.training as t", {"training"}),
        ("import importlib\nimportlib.import_module('fastbp.' + name)", {"_core"}),
    ],
)
def test_import_reader_sees_python(text, found):
    assert imports_of_python(text) == found


@needs_source
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from libc cimport math\ncimport cython", set()),
        ("from fastbp.kernels cimport scalar, matmul", {"kernels.scalar", "kernels.matmul"}),
        (
            "from fastbp.kernels cimport (\n    scalar,\n    matmul as m,\n)",
            {"kernels.scalar", "kernels.matmul"},
        ),
        ("from fastbp.kernels.affine cimport (\n    affine_forward,\n)", {"kernels.affine"}),
        ("cimport fastbp.kernels.losses as losses, numpy", {"kernels.losses"}),
        ('include "kernels/kernel_doors.pxi"', {"kernels.kernel_doors"}),
        ('"""from fastbp cimport scalar"""\n# from fastbp cimport scalar', set()),
    ],
)
def test_import_reader_sees_cython(text, found):
    assert imports_of_cython(text) == found


FORBIDDEN_ON_A_CLUSTER = {  # what ties a fit to workers, or what it cannot compute again
    r"\bworkers\s*=": "tasks that only some workers may run",
    r"\.scatter\(": "data that are lost with their worker",
    r"\bactors?\b": "state on a worker",
    r"\bget_worker\b|\bworker_client\b": "tasks that know their worker",
    r"\bsocket\b": "connections of our own",
}


@needs_source
def test_tasks_on_a_cluster_are_stateless():
    files = [path for path in FILES if room_of(module_of(path)) == "dask"]
    assert files
    for path in files:
        text = without_comments(path.read_text(encoding="utf-8"), ".py")
        for pattern, what in FORBIDDEN_ON_A_CLUSTER.items():
            assert not re.search(pattern, text), f"{path.name} has {what}"


# ---- length


def without_comments(text, suffix):
    """The text without docstrings and comment lines. C code inside a .pyx file is kept."""
    if suffix == ".h":
        return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)

    def unless_c(match):
        return match[0] if re.search(r"\bextern\s+from\b.*:\s*\Z", text[: match.start()]) else ""

    docstring = r"^[ \t]*[rR]?(\"\"\"|''')(?:\\.|.)*?\1[ \t]*$"
    text = re.sub(docstring, unless_c, text, flags=re.S | re.M)
    comment = r"^[ \t]*#(?!(?:include|if|ifdef|ifndef|else|elif|endif|define|undef|pragma)\b).*$"
    return re.sub(comment, "", text, flags=re.M)


@needs_source
@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_file_is_short(path):
    lines = lines_of_code(path.read_text(encoding="utf-8"), path.suffix)
    assert lines <= MOST_LINES, f"{path.name} has {lines} lines of code; split it"


def functions_of(path):
    """(name, lines of code, number of parameters) of all functions in a Python or Cython file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                arguments = node.args
                every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
                body = "\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno])
                names = [argument.arg for argument in every if argument.arg not in ("self", "cls")]
                yield node.name, body, len(names)
    else:
        head = r"^(?:cdef|cpdef|def)\b[^\n(=]*?(\w+)\(([^)]*)\)[^\n:]*:"
        heads = list(re.finditer(head, text, re.M))
        ends = [match.start() for match in re.finditer(r"^(?=[^\s#)])", text, re.M)]
        for match in heads:
            end = next((end for end in ends if end > match.end()), len(text))
            parameters = re.sub(r"\[[^\]]*\]", "", match[2])  # a[:, ::1] is one
            names = [name for name in parameters.split(",") if name.strip()]
            yield match[1], text[match.start() : end], len(names)


def lines_of_code(text, suffix):
    """The number of lines that are neither blank nor comment nor docstring."""
    return sum(bool(line.strip()) for line in without_comments(text, suffix).splitlines())


@needs_source
@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path.suffix in {".py", ".pyx", ".pxd", ".pxi"}],
    ids=module_of,
)
def test_functions_are_short_and_have_few_parameters(path):
    for name, text, n_parameters in functions_of(path):
        if name == "__init__" and path.name in CONSTRUCTORS:
            continue
        lines = lines_of_code(text, path.suffix)
        assert lines <= MOST_LINES_OF_A_FUNCTION, f"{path.name}: {name} has {lines} lines"
        if name not in MANY_PARAMETERS:
            assert n_parameters <= MOST_PARAMETERS, f"{path.name}: {name} has {n_parameters}"


@needs_source
def test_functions_are_found():
    found = {name for path in FILES if path.suffix != ".h" for name, _, _ in functions_of(path)}
    assert {"train_epochs", "column_phase", "kernel_step", "make_plan", "fit"} <= found


# ---- build


@pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="no source tree beside the tests")
def test_no_forbidden_flag():
    """Fast-math breaks NaN. If it is linked, it changes floating point in the whole process."""
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
    """The compiled modules of the imported fastbp."""
    folder = Path(importlib.import_module("fastbp").__file__).parent
    return sorted([*folder.glob("_core*.so"), *folder.glob("_core*.pyd")])


def test_core_does_not_link_openmp():
    """In every binary format, a module contains the names of its libraries as plain bytes."""
    assert compiled()
    for path in compiled():
        data = path.read_bytes()
        for library in (b"libgomp", b"libiomp", b"libomp.", b"vcomp1", b"GOMP_parallel"):
            assert library not in data, f"{path.name} needs {library.decode()}"


@pytest.mark.skipif(sys.platform != "linux", reason="of GCC's and Clang's modules")
def test_scalar_functions_are_inlined():
    """A loop that calls a function is not vectorized and takes five times as long."""
    if importlib.import_module("fastbp.kernels").core.DEBUG:
        pytest.skip("nothing is inlined in a debug build")
    for path in compiled():
        left = set(re.findall(rb"__pyx_f_6fastbp_7kernels_6scalar_(\w+)", path.read_bytes()))
        assert not left, f"{path.name} calls {left}"


# ---- what is installed


@needs_wheel
def test_installed_package_is_tested():
    """The tests do not import the checkout, which would hide files missing in the wheel."""
    folder = Path(importlib.import_module("fastbp").__file__).parent
    assert folder.parent.name in {"site-packages", "dist-packages"}
    assert folder.resolve() != SOURCE.resolve()


@needs_wheel
def test_wheel_holds_what_runs():
    held = {Path(str(file)).name for file in importlib.metadata.files("fastbp")}
    assert {"py.typed", "_core.pyi", "LICENSE"} <= held
    assert not [name for name in held if Path(name).suffix in {".pyx", ".pxd", ".pxi", ".c", ".h"}]
    if FILES:
        assert {path.name for path in FILES if path.suffix == ".py"} <= held


@needs_wheel
def test_version_is_the_packages():
    assert importlib.import_module("fastbp").__version__ == importlib.metadata.version("fastbp")


# ---- the stub


def stub():
    """The syntax tree of the stub of the imported fastbp."""
    path = Path(importlib.import_module("fastbp").__file__).with_name("_core.pyi")
    return ast.parse(path.read_text(encoding="utf-8"))


def stub_doors():
    """Public functions in the stub: a dict from the name to the parameters of each overload."""
    doors = {}
    for node in stub().body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, arguments.vararg]
            every += [*arguments.kwonlyargs, arguments.kwarg]
            doors.setdefault(node.name, []).append([arg.arg for arg in every if arg is not None])
    return doors


def core_doors():
    """Public functions of the compiled core: a dict from the name to the parameters.

    The baseline is used for all levels, since they have one source and any CPU runs the baseline.
    """
    core = importlib.import_module("fastbp._core")

    def parameters(door):
        # A fused function of Cython 3.1 shows the parameters of its dispatcher: ask a variant.
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


def test_import_does_not_load_modules_that_few_fits_need():
    """An import of fastbp does not import modules that take long and that few fits need."""
    program = (
        "import sklearn.base, scipy.linalg.cython_blas, sys; before = set(sys.modules)\n"
        "from fastbp import MLPClassifier, check_gradient\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for module in (
        "sklearn.metrics",
        "sklearn.model_selection",
        "sklearn.preprocessing",
        "fastbp.blocks",
        "fastbp.ensemble",
        "fastbp.export",
        "fastbp.inspection",
    ):
        assert module not in done.stdout.split()


LIGHT_ROOMS = (
    "kernels",
    "graph",
    "network",
    "tables",
    "threads",
    "files",
    "runtime",
)  # below training


def test_rooms_below_training_import_numpy_alone():
    """SciPy, joblib and threadpoolctl are imported at their first use: a prediction needs none."""
    program = (
        "import sys, numpy; before = set(sys.modules)\n"
        f"import {', '.join(f'fastbp.{room}' for room in LIGHT_ROOMS)}\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    packages = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    types = {name for name in packages if name.startswith(("_cython_", "cython_"))}
    assert packages - types == {"fastbp", "numpy"}
    assert "numpy.random" not in loaded
    assert all(f"fastbp.{room}" in loaded for room in LIGHT_ROOMS)


BARE_IMPORTS = """
import os, sys, warnings
import sklearn.base, sklearn.metrics, sklearn.preprocessing  # once for all forks
warnings.simplefilter("ignore")
for attribute in sys.argv[1:]:
    assert "fastbp" not in sys.modules
    if not os.fork():
        import fastbp
        eval(f"fastbp.{attribute}")
        print(*dir(fastbp), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, attribute
"""


def test_type_checkers_know_all_names_and_no_others():
    """Names that are imported late stand in a block that type checkers alone read."""
    tree = ast.parse((SOURCE / "__init__.py").read_text())
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    assert [ast.unparse(block.test) for block in blocks] == ["TYPE_CHECKING", "not TYPE_CHECKING"]
    names = {one.name for line in blocks[0].body for one in line.names}
    package = importlib.import_module("fastbp")
    assert names == {*package.__all__, *package.ROOMS}
    always = {getattr(node, "name", "") for node in tree.body}
    assert "__getattr__" not in always and "__getattr__" in vars(package)
    late = {one.name for line in blocks[0].body for one in line.names if line.module == "fastbp"}
    assert late == {*package.ROOMS}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_rooms_are_there_after_a_bare_import():
    """Each in a process of its own, in which nothing else has imported it."""
    attributes = [
        "blocks.from_npy",
        "ensemble.MLPEnsembleRegressor",
        "export.to_c",
        "graph.exp",
        "inspection.activations",
        "onnx.to_onnx",
        "runtime.load",
        "tabular.TabularPreprocessor",
        "MLPRegressor",
        "check_gradient",
    ]
    command = [sys.executable, "-c", BARE_IMPORTS, *attributes]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == len(attributes)
    rooms = {
        "blocks",
        "callbacks",
        "dask",
        "ensemble",
        "export",
        "graph",
        "inspection",
        "onnx",
        "runtime",
        "schedules",
        "tabular",
    }
    for line in lines:
        shown = {name for name in line.split() if not name.startswith("__")}
        assert shown == {*importlib.import_module("fastbp").__all__, *rooms}
