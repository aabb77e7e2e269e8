"""Print the instruction-set levels of this CPU, narrowest first, without asking fastbp.

A level that the CPU has but the build lacks must fail in the tests, so the system is asked here.
"""

import platform
import sys
from pathlib import Path

# The feature of /proc/cpuinfo that stands for a level; all CPUs with it have the others.
FEATURES = {"v3": "avx2", "v4": "avx512vl"}


def levels() -> list[str]:
    """Names of the levels, as FASTBP_ISA takes them."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return ["baseline"]
    features = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    return ["baseline", *(level for level, feature in FEATURES.items() if feature in features)]


if __name__ == "__main__":
    found = levels()
    for level in FEATURES:
        if level not in found:
            print(f"no {level} on this CPU", file=sys.stderr)
    print(*found)
