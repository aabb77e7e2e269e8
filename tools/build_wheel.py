"""Build an sdist of the checkout and a wheel of that sdist.

    python tools/build_wheel.py FOLDER              # with the build tools of this environment
    python tools/build_wheel.py FOLDER --debug      # bounds checks, and scratch filled with NaN
    python tools/build_wheel.py FOLDER --asan       # reports bad memory and undefined behaviour
    python tools/build_wheel.py FOLDER --tsan       # reports data races
    python tools/build_wheel.py FOLDER --isolated   # with build tools that pip installs for it

FOLDER is emptied first. The log is FOLDER.log; its end is printed if the build fails.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TAIL = 60  # lines of a log
KINDS = {
    "debug": {"FASTBP_DEBUG": "1"},
    "asan": {"FASTBP_SANITIZE": "address,undefined"},
    "tsan": {"FASTBP_SANITIZE": "thread"},
}
PYTHON = (sys.executable, "-P", "-m")  # -P: no module of the current folder hides an installed one


def run_logged(command: Sequence[str | Path], log: Path, **environment: str) -> None:
    """Run a command with its output in `log`; if it fails, print the end of the log and exit."""
    with open(log, "w", encoding="utf-8") as file:
        done = subprocess.run(
            command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
    if done.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        # The traceback at the end is that of the build tool and hides the compiler's messages.
        tracebacks = [k for k, line in enumerate(lines) if line.startswith("Traceback")]
        if tracebacks and tracebacks[0]:
            lines = lines[: tracebacks[0]]
        print(*lines[-TAIL:], f"failed; the whole log is {log}", sep="\n", file=sys.stderr)
        sys.exit(1)


def build_wheel(folder: Path, *, isolated: bool = False, kind: str | None = None) -> Path:
    """The path of the new wheel in `folder`; an sdist is beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    log = folder.with_name(folder.name + ".log")
    print(f"building the wheel (log: {log})", flush=True)
    options = [] if isolated else ["--no-isolation"]
    command: list[str | Path] = [*PYTHON, "build", *options, "--outdir", folder, "."]
    run_logged(command, log, **KINDS[kind] if kind else {})
    (wheel,) = folder.glob("*.whl")
    return wheel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    for kind in KINDS:
        parser.add_argument(f"--{kind}", action="store_const", dest="kind", const=kind)
    parser.add_argument("--isolated", action="store_true")
    options = parser.parse_args()
    build_wheel(options.folder, isolated=options.isolated, kind=options.kind)


if __name__ == "__main__":
    main()
