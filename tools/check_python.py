"""Say why this Python cannot build fastbp, and exit with 1; exit with 0 if it can.

    python tools/check_python.py          # Python 3.11 or newer
    python tools/check_python.py 3.12     # and no newer than this

Any Python may be asked, so the syntax is that of old versions.
"""

import os
import sys

OLDEST = "3.11"


def numbers(version):
    return tuple(int(part) for part in version.split("."))


def reason(newest):
    """What is missing, or None."""
    if not numbers(OLDEST) <= sys.version_info[:2] <= numbers(newest or "99.0"):
        return "is Python %d.%d" % sys.version_info[:2]
    import importlib.util
    import shlex
    import shutil
    import sysconfig

    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        return "lacks venv or ensurepip (Debian, Ubuntu: apt install python3-venv)"
    if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
        packages = "Debian, Ubuntu: apt install python3-dev; Fedora: python3-devel"
        return "lacks its C headers, Python.h (%s)" % packages
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    if not shutil.which(shlex.split(compiler)[0]):
        return "finds no C compiler: %s (Debian, Ubuntu: apt install gcc; or set CC)" % compiler
    return None


def main():
    newest = sys.argv[1] if len(sys.argv) > 1 else None
    found = reason(newest)
    if found:
        versions = "to " + newest if newest else "or newer"
        sys.exit(
            "%s %s: fastbp is built with Python %s %s, its venv module and C headers, "
            "and a C compiler." % (sys.executable, found, OLDEST, versions)
        )


if __name__ == "__main__":
    main()
