"""Fits on a file that is larger than the memory of this process: python large_fit.py --help.

Prints a line of JSON: the anonymous memory that was taken beyond that before the fit, and the
seconds of the epochs. Pages of files are not counted.
"""

import argparse
import json
import resource
import threading
import warnings
from pathlib import Path

import numpy as np

from fastbp import MLPClassifier
from fastbp.blocks import from_npy

MIB = 2**20


def anonymous() -> int:
    """Bytes of anonymous memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no RssAnon")


class Peak(threading.Thread):
    """Watches the anonymous memory."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.before, self.most, self.ended = anonymous(), 0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.002):
            self.most = max(self.most, anonymous())

    def taken(self) -> int:
        """The peak so far, beyond what there was at first."""
        return max(self.most, anonymous()) - self.before


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="with X.npy and y.npy")
    parser.add_argument("--window", type=int, required=True, help="MiB")
    parser.add_argument("--limit", type=int, help="MiB beyond what the process has before the fit")
    parser.add_argument("--parameters", type=json.loads, default={}, help="of the estimator, JSON")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    source = from_npy(given.folder / "X.npy", given.folder / "y.npy")
    model = MLPClassifier(**given.parameters)
    few = np.zeros((9, 2), np.float32), np.arange(9) % 2
    MLPClassifier((2,), solver=model.solver, max_iter=5).fit(*few)  # imports what a fit imports
    peak = Peak()
    peak.start()
    if given.limit is not None:
        data = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        limit = data + given.limit * MIB
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    seconds = []

    class Clock:
        """Notes how long each epoch takes."""

        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context):
            if context.task_name in ("epoch", "iteration"):
                seconds.append(estimator._live.last_epoch.seconds)

        def teardown(self, estimator, context):
            pass

    model.set_callbacks(Clock())
    model.fit_blocks(source, window=given.window * MIB)
    print(json.dumps(dict(taken=peak.taken(), seconds=seconds, loss=float(model.loss_))))


if __name__ == "__main__":
    main()
