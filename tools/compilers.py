"""Whether the compilers at hand take the core without a warning, for each platform.

    python tools/compilers.py .venv/dist    # the folder of the wheel, for its platform tag

Compiles and does not link; nothing is run. Of a compiler that is missing, the line says so. Headers
of Python are those of this system; for Windows they are read with tools/windows/pyconfig.h, for
aarch64 and macOS with the sizes of this system, which are theirs.
"""

import argparse
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ROOT / "build/compilers/_core.c"
HEADERS = ROOT / "build/compilers/python"
ZIG = f"{sys.executable} -m ziglang cc"
FLAGS = "-O1 -ffp-contract=fast -fno-math-errno -fno-trapping-math -Wall -Werror"
# Cython writes casts that drop `const`, and functions that one build does not use.
CYTHON = "-Wno-discarded-qualifiers -Wno-unused-function"
CLANG = "-Wno-incompatible-pointer-types-discards-qualifiers -Wno-unused-function"
WINDOWS = f"-include {ROOT}/tools/windows/pyconfig.h"
COMPILERS = {
    "gcc, x86-64": f"gcc {CYTHON}",
    "gcc, x86-64-v3": f"gcc -march=x86-64-v3 {CYTHON}",
    "gcc, x86-64-v4": f"gcc -march=x86-64-v4 {CYTHON}",
    "clang, x86-64": f"clang {CLANG}",
    "clang, x86-64-v3": f"clang -march=x86-64-v3 {CLANG}",
    "clang, x86-64-v4": f"clang -march=x86-64-v4 {CLANG}",
    "gcc, aarch64": f"aarch64-linux-gnu-gcc {CYTHON}",
    "mingw, Windows": f"x86_64-w64-mingw32-gcc -march=x86-64-v3 {CYTHON} {WINDOWS}",
    "zig, Windows": f"{ZIG} -target x86_64-windows-gnu -mcpu=x86_64_v3 {CLANG} {WINDOWS}",
    "zig, macOS arm64": f"{ZIG} -target aarch64-macos {CLANG}",
    "zig, macOS x86-64": f"{ZIG} -target x86_64-macos -mcpu=x86_64_v3 {CLANG}",
    "zig, musl": f"{ZIG} -target x86_64-linux-musl -mcpu=x86_64_v3 {CLANG}",
}
POLICY = "manylinux_2_17"


def generate() -> None:
    """The core in C, which needs no compiler, and the headers of Python.

    Debian's pyconfig.h asks for the platform and includes the one of that; here it is replaced.
    """
    include = Path(sysconfig.get_path("include"))
    shutil.copytree(include, HEADERS, dirs_exist_ok=True)
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    own = include.parent / multiarch / include.name / "pyconfig.h"
    if own.exists():
        shutil.copy(own, HEADERS)
    directives = (
        "boundscheck=False",
        "wraparound=False",
        "initializedcheck=False",
        "cdivision=True",
    )
    options = [word for directive in directives for word in ("-X", directive)]
    command = [sys.executable, "-m", "cython", "-3", "-I", ".", *options]
    subprocess.run([*command, "fastbp/_core.pyx", "-o", str(GENERATED)], cwd=ROOT, check=True)


def check(name: str, compiler: str) -> bool:
    """Compile once and say how it went; False if it failed."""
    words = compiler.split()
    if not shutil.which(words[0]):
        print(f"{name:20} not tried: {words[0]} is missing", flush=True)
        return True
    headers = [f"-I{HEADERS}", "-Ifastbp/kernels"]
    begun = time.monotonic()
    output = GENERATED.with_suffix(".o")
    command = [*words, *FLAGS.split(), *headers, "-c", str(GENERATED), "-o", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    result = "failed" if done.returncode else "compiled"
    print(f"{name:20} {result} in {time.monotonic() - begun:.0f} s", flush=True)
    if done.returncode:
        print(*done.stderr.splitlines()[:30], sep="\n")
    return not done.returncode


def audit(folder: Path) -> bool:
    """Whether the wheel runs on every Linux of the policy, as auditwheel finds."""
    (wheel,) = folder.glob("*.whl")
    command = [sys.executable, "-m", "auditwheel", "show", str(wheel)]
    shown = subprocess.run(command, capture_output=True, text=True)
    good = POLICY in shown.stdout
    print(f"{'auditwheel':20} {POLICY if good else 'failed: ' + shown.stdout + shown.stderr}")
    return good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, nargs="?")
    options = parser.parse_args()
    generate()
    good = [check(name, compiler) for name, compiler in COMPILERS.items()]
    if options.wheel:
        good.append(audit(options.wheel))
    sys.exit(not all(good))


if __name__ == "__main__":
    main()
