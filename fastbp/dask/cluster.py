"""The cluster as a fit sees it: graphs of stateless tasks, and a watch that no wait is endless."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import CancelledError
from functools import partial
from time import monotonic
from typing import Any, TypeAlias

import dask
from distributed import Client, Future, KilledWorker, default_client
from numpy.typing import NDArray

Graph: TypeAlias = dict[Any, Any]  # a key for each task, and a tuple of function and arguments

LOOK_SECONDS = 0.5  # between two looks for workers while a result is waited for
ANSWER_SECONDS = 2.0  # that the scheduler may take to tell its workers
LITTLE, MOST_GRAPH = 2**20, "1 TiB"  # bytes
LOST = (
    "the cluster has lost or cancelled data that the fit needs, {where}, and cannot compute it "
    "again. Give collections that are not scattered, so that a lost partition can be computed "
    "again."
)


class Cluster:
    """Runs graphs of tasks. Each wait ends with an error if there is no worker for too long.

    Parameters
    ----------
    client : distributed.Client or None
        None: the current one.
    patience : float
        Seconds without any worker that are tolerated.

    Raises
    ------
    TypeError
        If the client is none, or an asynchronous one.
    ValueError
        If there is no current client.
    """

    def __init__(self, client: Client | None, patience: float) -> None:
        if client is None:
            try:
                client = default_client()
            except ValueError:
                raise ValueError(
                    "client is None and there is no current one: begin with "
                    "`client = dask.distributed.Client()`, or give it by client=..."
                ) from None
        if not isinstance(client, Client) or client.asynchronous:
            raise TypeError(f"client must be a synchronous distributed.Client, got {client!r}")
        self.client, self.patience = client, patience

    def start(self, graph: Graph, keys: Sequence[Hashable]) -> list[Future]:
        """Start the tasks of a graph; the futures of these keys."""
        # Parameters of large networks travel in the graph, once; Dask would warn of each round.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": MOST_GRAPH}):
            futures: list[Future] = self.client.get(graph, list(keys), sync=False)
        return futures

    def results(self, futures: Sequence[Future], where: Callable[[], str]) -> list[Any]:
        """The results of all futures.

        Parameters
        ----------
        futures : sequence of Future
        where : callable
            ``where()`` says in an error what was waited for, such as 'in epoch 3'.

        Raises
        ------
        TimeoutError
            If there was no worker for `patience` seconds.
        RuntimeError
            If a task has killed its workers again and again, or if data are lost that cannot be
            computed again.
        """
        try:
            return self.client.sync(self._gathered, list(futures), where)
        except KilledWorker as error:
            raise RuntimeError(
                f"{_named(error.task)} has lost its worker again and again, {where()}: {error}"
            ) from error
        except CancelledError as error:
            raise RuntimeError(LOST.format(where=where())) from error

    def compute(self, graph: Graph, keys: Sequence[Hashable], where: Callable[[], str]) -> Any:
        """Run the tasks of a graph; the results of these keys. Nothing of it stays."""
        futures = self.start(graph, keys)
        try:
            return self.results(futures, where)
        finally:  # also if it failed: the other tasks end
            for future in futures:
                future.release()

    async def _gathered(self, futures: list[Future], where: Callable[[], str]) -> list[Any]:
        """The results, in the event loop of the client."""
        gathering = asyncio.ensure_future(self.client.gather(futures, asynchronous=True))
        alone_since = None
        try:
            while True:
                done, _ = await asyncio.wait([gathering], timeout=LOOK_SECONDS)
                if done:
                    return _result_of(gathering)
                if await self._n_workers():
                    alone_since = None
                    continue
                alone_since = monotonic() if alone_since is None else alone_since
                if monotonic() - alone_since >= self.patience:
                    raise TimeoutError(
                        f"the cluster had no worker for {self.patience:g} s (patience), {where()}"
                    )
        finally:
            gathering.cancel()

    async def _n_workers(self) -> int:
        """The number of workers; 0 if the scheduler does not answer."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return len(await self.client.scheduler.ncores())
        except (OSError, TimeoutError):
            return 0


def _result_of(gathering: asyncio.Future[list[Any]]) -> list[Any]:
    """The result of a future that is done; a cancelled one must not cancel who waits."""
    if gathering.cancelled():
        raise CancelledError
    return gathering.result()


def shared(graph: Graph, params: NDArray[Any], n_tasks: int) -> Any:
    """An argument that gives parameters to all tasks of a graph.

    They are the result of a task, which goes to each worker once. Where that is little they are
    sent with each task instead: then a round waits for one task less.
    """
    params = params.copy()  # training goes on in place
    if n_tasks * params.nbytes <= LITTLE:
        return params
    key = unique("params")
    graph[key] = (partial(itself, params),)
    return key


def itself(value: Any) -> Any:
    """The value, as the result of a task: it goes to each worker once."""
    return value


def unique(name: str) -> str:
    """A name for the keys of tasks that no other task has."""
    return f"fastbp-{name}-{uuid.uuid4().hex[:12]}"


def _named(key: Any) -> str:
    """What a task is, by its key."""
    if isinstance(key, tuple) and len(key) == 2:
        return f"the task {str(key[0]).split('-')[1]!r} of part {key[1]}"
    return f"the task {key!r}"
