"""Build the package of another revision, once, and print the folder that it is installed in.

    python tools/build_revision.py HEAD~1     # build/against/<commit>/lib

The environment needs the requirements of the build. The log is build/against/<commit>/log.
"""

import shutil
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

from build_wheel import PYTHON, run_logged

INSTALL = ("pip", "--disable-pip-version-check", "install", "--no-deps", "--no-build-isolation")


def git(*arguments: str) -> bytes | None:
    """What git prints, or None where it fails."""
    done = subprocess.run(["git", *arguments], stdout=subprocess.PIPE)
    return done.stdout if done.returncode == 0 else None


def build_revision(commit: str, folder: Path) -> Path:
    """Where the package of `commit` is installed, in `folder`."""
    library, source, log = folder / "lib", folder / "source", folder / "log"
    made = folder / "made"
    if not made.exists():
        print(f"building {commit} (log: {log})", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        source.mkdir(parents=True)
        archive = git("archive", "--format=zip", commit)
        assert archive is not None, f"git knows {commit} but cannot archive it"
        with zipfile.ZipFile(BytesIO(archive)) as files:
            files.extractall(source)
        run_logged([*PYTHON, *INSTALL, "--target", library, source], log)
        made.touch()
    return library


def main() -> None:
    revision = sys.argv[1] if sys.argv[1:] else ""
    found = git("rev-parse", "--verify", "--quiet", "--short", f"{revision}^{{commit}}")
    if not revision or found is None:
        sys.exit(f"no such revision: {revision!r}; give one, such as REV=HEAD~1")
    commit = found.decode().strip()
    print(build_revision(commit, Path("build", "against", commit).resolve()))


if __name__ == "__main__":
    main()
