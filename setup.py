"""Metadata lives in pyproject.toml; here is only what needs code: compiler flags and levels.

    FASTBP_LEVELS=v3 python setup.py build_ext --inplace    # one level

Modules of other levels that an earlier build left in fastbp/ are still imported where the CPU has
their level; FASTBP_ISA=v3 asks for the new one. FASTBP_DEBUG=1 builds with bounds checks,
FASTBP_SANITIZE=address,undefined or thread with these sanitizers of GCC (make trust-sanitizers).
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from glob import glob
from pathlib import Path, PureWindowsPath
from tempfile import TemporaryDirectory

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group

DEBUG = os.environ.get("FASTBP_DEBUG") == "1"  # bounds checks, and scratch poisoned with NaN

# What is built for, such as linux-x86_64, macosx-11.0-arm64 or win-amd64. In a cross build this is
# not what runs here.
TARGET = sysconfig.get_platform()
# CC names the compiler on Windows, too: clang-cl, or the gcc or clang of MinGW.
COMPILER = shlex.split(
    os.environ.get("CC") or sysconfig.get_config_var("CC") or "cl", posix=os.name == "posix"
)
NAME = PureWindowsPath(COMPILER[0]).stem  # a path with / is one there, too
STYLE = "cl" if NAME == "cl" else "clang-cl" if NAME.startswith("clang-cl") else "gnu"  # of flags


def spelled(flags):
    """GCC's flags as this compiler takes them."""
    return [f"/clang:{flag}" for flag in flags] if STYLE == "clang-cl" else flags


if STYLE == "cl":
    # team.h wants C11 atomics, which this compiler still calls an experiment.
    FLAGS = ["/O2", "/std:c11", "/experimental:c11atomics"]
else:
    # Single permissions, each harmless; the bundle that would also reorder sums is never used.
    # Contraction to fused multiply-adds is asked for by name, since GCC and Clang differ in it.
    FLAGS = ["-O1", "-g"] if DEBUG else ["-O3", "-g0"]
    FLAGS += ["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
    FLAGS += ["-Wframe-larger-than=4096"]  # the core runs in threads with small stacks
    FLAGS = spelled(FLAGS)

SANITIZERS = os.environ.get("FASTBP_SANITIZE")
WATCHED = []  # flags of compiler and linker
if SANITIZERS:  # each report with its line, and the process goes on
    WATCHED = [f"-fsanitize={SANITIZERS}", "-fsanitize-recover=all", "-fno-omit-frame-pointer"]
    FLAGS += ["-O2", "-g", *WATCHED]

# In setup.py and not at the head of _core.pyx: from there they would not reach the .pxd files.
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "wraparound": False,
    "initializedcheck": DEBUG,
    "cdivision": True,
    "freethreading_compatible": True,
}


def accepts(flags):
    """Whether the C compiler knows `flags`: GCC before 11 does not know these levels."""
    if STYLE != "gnu":
        return STYLE == "clang-cl"  # which has them since version 12; cl has other flags
    with TemporaryDirectory() as folder:
        source = Path(folder, "empty.c")
        source.touch()
        command = [*COMPILER, *flags, "-c", source, "-o", source.with_suffix(".o")]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            return False  # no compiler at all: the build itself will say so


# A loop over a scalar function is vectorized only where that function is inlined. GCC stops
# inlining, without a word, once that has made a file 40 % longer, or a function too long.
INLINING = ["--param=inline-unit-growth=400", "--param=large-function-insns=100000"]
if STYLE == "gnu" and accepts(INLINING):
    FLAGS += INLINING
# GCC 13 and later leave some sums of products unfused, since chains of multiply-adds are slow on
# some CPUs. The bits would depend on the compiler; our loops have chains enough side by side.
FUSED = ["--param=avoid-fma-max-bits=0"]
if STYLE == "gnu" and accepts(FUSED):
    FLAGS += FUSED
# GCC for Windows aligns stacks to 16 bytes only, and takes vectors of 32 and 64 there for aligned.
UNALIGNED = ["-Wa,-muse-unaligned-vector-move"]
if not (TARGET.startswith(("win", "mingw")) and STYLE == "gnu" and accepts(UNALIGNED)):
    UNALIGNED = []


def levels():
    """Suffix of the module -> flags. The one without a suffix runs everywhere.

    A library for two architectures, as macOS has it, gets that one only.
    """
    built = {"": []}
    if TARGET.endswith(("x86_64", "amd64")) and not (DEBUG or SANITIZERS):
        for suffix, flags in {
            "_v3": ["-march=x86-64-v3"],
            "_v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
        }.items():
            if accepts(flags):
                built[suffix] = spelled(flags) + UNALIGNED
            else:
                print(f"fastbp._core{suffix} is left out: the C compiler rejects {flags[0]}")
    wanted = os.environ.get("FASTBP_LEVELS", "baseline,v3,v4").split(",")
    suffixes = {"baseline": "", "v3": "_v3", "v4": "_v4"}
    return {suffixes[level]: built[suffixes[level]] for level in wanted if suffixes[level] in built}


class BuildCore(build_ext):
    """Run Cython when something is compiled, and only then: an sdist holds no generated C."""

    def build_extension(self, extension):
        # One source under several names. The C names its module, hence a file for each. Levels are
        # built in threads, and Cython in a process of its own, since it would hold the GIL.
        sources = extension.sources
        (source,) = sources
        name = extension.name.removeprefix("fastbp.")
        generated = Path(self.build_base, name, "fastbp", "_core.c")
        if self.force or newer_group([source, *extension.depends], generated):
            generated.parent.mkdir(parents=True, exist_ok=True)
            options = [f"-X{option}={value}" for option, value in DIRECTIVES.items()]
            options += [f"--module-name={extension.name}", f"--output-file={generated}"]
            subprocess.run([sys.executable, "-m", "cython", *options, source], check=True)
        extension.sources = [str(generated)]
        super().build_extension(extension)
        extension.sources = sources

    def finalize_options(self):
        super().finalize_options()
        self.build_base = self.get_finalized_command("build").build_base
        if os.name == "nt" and STYLE == "gnu":
            self.compiler = "mingw32"

    def build_extensions(self):
        if STYLE == "clang-cl":  # all but the compiler is Visual Studio's
            self.compiler.initialize()
            self.compiler.cc = shutil.which(COMPILER[0]) or COMPILER[0]
        super().build_extensions()


OPTIONS = {"build_ext": {"parallel": 3}}  # two cores would wait for the last of three levels
if DEBUG:
    # Objects are reused by date alone, so kinds of build must not share a folder.
    OPTIONS["build"] = {"build_base": "build/debug"}
elif SANITIZERS:
    OPTIONS["build"] = {"build_base": f"build/{SANITIZERS}"}

setup(
    ext_modules=[
        Extension(
            f"fastbp._core{suffix}",
            ["fastbp/_core.pyx"],
            include_dirs=["fastbp/kernels"],
            define_macros=[("FASTBP_DEBUG", "1")] if DEBUG else [],
            extra_compile_args=FLAGS + flags,
            extra_link_args=WATCHED,
            depends=sorted(
                glob("fastbp/kernels/*.pxd")
                + glob("fastbp/kernels/*.pxi")
                + glob("fastbp/kernels/*.h")
            ),
        )
        for suffix, flags in levels().items()
    ],
    cmdclass={"build_ext": BuildCore},
    options=OPTIONS,
)
