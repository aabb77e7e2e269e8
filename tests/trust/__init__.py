"""The scorecard of reliability: what is promised, tried and found. `make trust` runs it."""

import sys
from pathlib import Path

# Helpers of the tests are imported by their plain names. pyproject.toml lists these folders, too.
for folder in ("tests", "tests/estimators"):
    path = str(Path(__file__).parents[2] / folder)
    if path not in sys.path:
        sys.path.append(path)
