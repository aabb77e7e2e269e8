"""Whether the files of a release are complete and of one version.

    python tools/check_release.py dist v0.1.0    # without a tag, any one version will do

Each wheel has the core of its platform, with all levels on x86-64, and nothing that does not belong
there; there is one sdist. CITATION.cff names the version, too.
"""

import re
import sys
import zipfile
from pathlib import Path

from release import unwanted

ROOT = Path(__file__).resolve().parents[1]
X86 = re.compile(r"(x86_64|amd64)\.whl$")


def faults(folder: Path, tag: str) -> list[str]:
    """What is wrong, in sentences."""
    wheels, sdists = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    found = []
    if len(sdists) != 1 or not wheels:
        found.append(f"there are {len(wheels)} wheels and {len(sdists)} sdists, not some and one")
    versions = {path.name.removesuffix(".tar.gz").split("-")[1] for path in [*wheels, *sdists]}
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.M)
    versions |= {cited[1]} if cited else {"none in CITATION.cff"}
    versions |= {tag.removeprefix("v")} if tag else set()
    if len(versions) != 1:
        found.append(f"the versions differ: {', '.join(sorted(versions))}")
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            modules = {Path(name).name.split(".")[0] for name in archive.namelist()}
        wanted = {"_core", "_core_v3", "_core_v4"} if X86.search(wheel.name) else {"_core"}
        if missing := wanted - modules:
            found.append(f"{wheel.name} lacks {', '.join(sorted(missing))}")
        if names := unwanted(wheel):
            found.append(f"{wheel.name} has {', '.join(names)}")
    return found


def main() -> None:
    found = faults(Path(sys.argv[1]), sys.argv[2] if sys.argv[2:] else "")
    sys.exit("\n".join(found) or None)


if __name__ == "__main__":
    main()
