"""Work that is done ahead, in a thread, while its last result is in use."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")


@contextmanager
def ahead(tasks: Iterable[Callable[[], Result]]) -> Iterator[Iterator[Result]]:
    """The results of tasks, in order. The next task runs while a result is in use.

    At most two results are in use or in work at a time. An error of a task is raised in its place.
    At the end of the block no task runs any more.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="fastbp-reads") as thread:
        try:
            yield _results(tasks, thread)
        finally:
            thread.shutdown(cancel_futures=True)


def _results(tasks: Iterable[Callable[[], Result]], thread: ThreadPoolExecutor) -> Iterator[Result]:
    last: Future[Result] | None = None
    for task in tasks:
        coming = thread.submit(task)
        if last is not None:
            yield last.result()
        last = coming
    if last is not None:
        yield last.result()
