"""Work that is done ahead, in a thread, while its last result is in use."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from fastbp.kernels import Rank
from fastbp.threads.team import Team

Result = TypeVar("Result")


@contextmanager
def ahead(tasks: Iterable[Callable[[], Result]]) -> Iterator[Iterator[Result]]:
    """The results of tasks, in order. The next task runs while a result is in use.

    At most two results are in use or in work at a time. An error of a task is raised in its place.
    At the end of the block no task runs any more. The thread is that of a team of one rank: those
    of `concurrent.futures` can hang for ever after Ctrl-C, as its locks are Python code.
    """
    thread = Team(1, inline=False)
    try:
        try:
            yield _results(tasks, thread)
        finally:
            thread.close()
    finally:
        thread.close()


def _results(tasks: Iterable[Callable[[], Result]], thread: Team) -> Iterator[Result]:
    coming: list[Result] = []
    work = None
    for task in tasks:
        if work is not None:
            thread.end(work)
        result, coming = coming, []
        work = partial(_put, task, coming)
        thread.begin(work)
        yield from result
    if work is not None:
        thread.end(work)
        yield from coming


def _put(task: Callable[[], Result], result: list[Result], _: Rank) -> None:
    result.append(task())
