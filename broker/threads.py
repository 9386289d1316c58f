# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Threads that work for an event loop; what several of them finish in the meantime wakes the loop once.

The standard library's executor makes two futures, a lock and a wake-up through a socket for every call, which on the
path of a message cost as much as what is called.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

__all__ = ["Line", "Outcome", "Reports", "Threads"]

T = TypeVar("T")

Outcome = tuple[asyncio.Future[Any], Any, BaseException | None]  # who waits, the result, or the error


class Reports:
    """Brings results from any thread to the tasks of one event loop that wait for them."""

    __slots__ = ("_called", "_told", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._told: deque[Outcome] = deque()
        self._called = False

    def tell(self, *outcomes: Outcome) -> None:
        """Let the futures have their results or errors; from any thread."""
        # First the outcomes, then the flag: the loop lowers the flag before it looks, so that nothing is left lying.
        self._told.extend(outcomes)
        if not self._called:
            self._called = True
            with suppress(RuntimeError):  # the loop was closed: nobody waits any more
                self.loop.call_soon_threadsafe(self._hear)

    def _hear(self) -> None:
        self._called = False
        while self._told:
            future, result, error = self._told.popleft()
            if future.done():  # cancelled
                continue
            if isinstance(error, asyncio.CancelledError):
                future.cancel()
            elif isinstance(error, StopIteration):  # a future refuses it
                future.set_exception(RuntimeError("a function raised StopIteration"))
            elif error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)


class Line(Generic[T]):
    """What waits for a thread: first what goes ahead, then the rest, each in the order in which it came."""

    __slots__ = ("_ahead", "_rest", "_signs")

    def __init__(self) -> None:
        self._signs: SimpleQueue[None] = SimpleQueue()  # as many as items wait
        self._ahead: deque[T] = deque()
        self._rest: deque[T] = deque()

    def put(self, item: T, *, ahead: bool = False) -> None:
        """Let it wait, in front of all that does not go ahead itself if so wished; from any thread."""
        (self._ahead if ahead else self._rest).append(item)
        self._signs.put(None)

    def get(self, *, block: bool = True) -> T:
        """Take the next item, waiting for one unless told not to.

        Raises:
            Empty: nothing is here, and it was not to wait.
        """
        self._signs.get(block)
        while True:  # whoever holds a sign finds an item, though others may take those that it saw
            for line in (self._ahead, self._rest):
                with suppress(IndexError):
                    return line.popleft()


class Threads:
    """A few threads with one queue; each is started when it is first needed."""

    def __init__(self, count: int, *, name: str) -> None:
        """Args:
        count: how many functions may run at a time.
        name: of the threads, for who looks at them.
        """
        self._count = count
        self._name = name
        self._waiting: Line[tuple[Callable[[], Any], asyncio.Future[Any], Reports] | None] = Line()
        self._threads: list[threading.Thread] = []
        self._reports: Reports | None = None
        self._door = threading.Lock()  # nothing is queued behind the sign to stop
        self._closed = False

    async def run(self, fn: Callable[[], T], *, ahead: bool = False) -> T:
        """Run the function in a thread, before those that wait if so wished; return its result or raise its exception.

        A caller that is cancelled while its function runs does not know the outcome; one cancelled earlier never ran.

        Raises:
            RuntimeError: the threads were ended.
        """
        loop = asyncio.get_running_loop()
        reports = self._reports
        if reports is None or reports.loop is not loop:
            reports = self._reports = Reports(loop)
        future: asyncio.Future[T] = loop.create_future()
        with self._door:
            if self._closed:
                raise RuntimeError("these threads were ended")
            self._waiting.put((fn, future, reports), ahead=ahead)
            if len(self._threads) < self._count:
                thread = threading.Thread(target=self._work, name=f"{self._name}_{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
        return await future

    def close(self, *, drop: bool = False) -> None:
        """Finish what runs, and what waits unless it is dropped; end the threads; blocks."""
        with self._door:
            if not self._closed:
                self._closed = True
                if drop:
                    self._drop()
                for _ in self._threads:
                    self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _drop(self) -> None:
        with suppress(Empty):
            while (job := self._waiting.get(block=False)) is not None:
                _, future, reports = job
                reports.tell((future, None, asyncio.CancelledError()))

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            fn, future, reports = job
            if not future.cancelled():
                try:
                    result = fn()
                except BaseException as error:
                    reports.tell((future, None, error))
                else:
                    reports.tell((future, result, None))
                    del result
            del job, fn, future, reports  # what a function returned must not live on until the next one comes
