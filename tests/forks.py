"""Cases that may end the process, each told from the others: they run in forks."""

import os
import select
import signal
import time
import warnings
from collections.abc import Callable, Iterable


def failures(
    cases: Iterable[tuple[str, Callable[[], object]]], limit: float = 20.0
) -> dict[str, str]:
    """What went wrong in which case: an exception, a signal that killed it, or a hang.

    The cases run one after the other in a fork. If one kills it or takes longer than `limit`
    seconds, another fork goes on with the next.
    """
    cases, found, first = list(cases), {}, 0
    while first < len(cases):
        done, end = _run_in_fork(cases[first:], limit, found)
        first += done
        if first < len(cases):
            found[cases[first][0]] = end
            first += 1
    return found


def _run_in_fork(cases, limit, found):
    """The number of cases that ran to their end, and what ended the next."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that a process with threads forks
        child = os.fork()
    if not child:
        code = 1
        try:
            os.close(reader)
            for _, case in cases:
                os.write(writer, _verdict(case).encode()[:2000] + b"\0")
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    text, deadline, hangs = b"", time.monotonic() + limit, False
    while True:
        ready, _, _ = select.select([reader], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            hangs = True
            os.kill(child, signal.SIGKILL)
            break
        piece = os.read(reader, 65536)
        if not piece:
            break
        text, deadline = text + piece, time.monotonic() + limit
    os.close(reader)
    _, status = os.waitpid(child, 0)
    verdicts = text.split(b"\0")[:-1]
    found.update((cases[i][0], one.decode()) for i, one in enumerate(verdicts) if one)
    return len(verdicts), "hangs" if hangs else f"ended the process with status {status}"


def _verdict(case):
    """Nothing, or the exception of a case."""
    try:
        case()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return ""
