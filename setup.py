"""Metadata lives in pyproject.toml; here is only what needs code: compiler flags and levels.

    FASTBP_LEVELS=v3 python setup.py build_ext --inplace    # one level

Modules of other levels that an earlier build left in fastbp/ are still imported where the CPU has
their level; FASTBP_ISA=v3 asks for the new one. FASTBP_DEBUG=1 builds with bounds checks,
FASTBP_SANITIZE=address,undefined or thread with these sanitizers of GCC (make trust-sanitizers).
"""

import os
import platform
import shlex
import subprocess
import sys
import sysconfig
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("FASTBP_DEBUG") == "1"  # bounds checks, and scratch poisoned with NaN

if sys.platform == "win32":
    # team.h wants C11 atomics, which this compiler still calls an experiment.
    FLAGS = ["/O2", "/std:c11", "/experimental:c11atomics"]
else:
    # Single permissions, each harmless; the bundle that would also reorder sums is never used.
    # Contraction to fused multiply-adds is asked for by name, since GCC and Clang differ in it.
    FLAGS = ["-O1", "-g"] if DEBUG else ["-O3", "-g0"]
    FLAGS += ["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
    FLAGS += ["-Wframe-larger-than=4096"]  # the core runs in threads with small stacks

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
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC"))
    command = [*compiler, *flags, "-E", "-x", "c", os.devnull]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False  # no compiler at all: the build itself will say so


# A loop over a scalar function is vectorized only where that function is inlined. GCC stops
# inlining, without a word, once that has made a file 40 % longer, or a function too long.
INLINING = ["--param=inline-unit-growth=400", "--param=large-function-insns=100000"]
if sys.platform != "win32" and accepts(INLINING):
    FLAGS += INLINING


def levels():
    """Suffix of the module -> flags. The one without a suffix runs everywhere."""
    built = {"": []}
    if sys.platform == "linux" and platform.machine() == "x86_64" and not (DEBUG or SANITIZERS):
        for suffix, flags in {
            "_v3": ["-march=x86-64-v3"],
            "_v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
        }.items():
            if accepts(flags):
                built[suffix] = flags
            else:
                print(f"fastbp._core{suffix} is left out: the C compiler rejects {flags[0]}")
    wanted = os.environ.get("FASTBP_LEVELS", "baseline,v3,v4").split(",")
    suffixes = {"baseline": "", "v3": "_v3", "v4": "_v4"}
    return {suffixes[level]: built[suffixes[level]] for level in wanted if suffixes[level] in built}


class BuildCore(build_ext):
    """Run Cython when something is compiled, and only then: an sdist holds no generated C."""

    def run(self):
        from Cython.Build import cythonize

        for extension in self.extensions:
            # One source under several names. The C names its module, hence a folder for each.
            suffix = extension.name.removeprefix("fastbp._core")
            (generated,) = cythonize(
                [extension],
                build_dir=f"{self.build_base}/cython{suffix}",
                compiler_directives=DIRECTIVES,
            )
            extension.sources = generated.sources
        super().run()

    def finalize_options(self):
        super().finalize_options()
        self.build_base = self.get_finalized_command("build").build_base


OPTIONS = {"build_ext": {"parallel": 2}}
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
