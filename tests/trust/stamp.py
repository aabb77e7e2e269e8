"""When, where and at which commit a row was tried."""

import importlib.metadata
import platform
import runpy
from datetime import date

from trust.table import ROOT

PACKAGES = ("fastbp", "numpy", "scipy", "scikit-learn")


def machine():
    """The functions of benchmarks/machine.py."""
    return runpy.run_path(str(ROOT / "benchmarks" / "machine.py"))


def facts():
    """The machine and the versions."""
    known = machine()
    return {
        "cpu": known["cpu"](),
        "cores": known["cores"](),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
    }


def stamped(row):
    """A row's plain data with the date and the commit."""
    return {**row, "date": str(date.today()), "revision": machine()["revision"]()}
