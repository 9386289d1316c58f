# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Work of which several cost little more than one: what is asked for meanwhile is done together, and none waits for more."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["Together"]

A = TypeVar("A")
B = TypeVar("B")


class Together(Generic[A, B]):
    """Answers single questions in rounds, each of which takes those that wait."""

    def __init__(
        self, work: Callable[[Sequence[A]], Awaitable[Sequence[B | Exception]]], *, rounds: int, most: int
    ) -> None:
        """Args:
        work: returns an answer, or the error instead, for each question; what it raises is every asker's error.
        rounds: how many go on at a time.
        most: how many questions one round takes.
        """
        self._work = work
        self._free = rounds
        self._most = most
        self._waiting: deque[tuple[A, asyncio.Future[B]]] = deque()
        self._going: set[asyncio.Task[None]] = set()

    async def __call__(self, question: A) -> B:
        """Return the answer.

        Raises:
            Exception: what stands in the answer's place.
        """
        future: asyncio.Future[B] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if self._free:
            self._free -= 1
            going = asyncio.create_task(self._go(), name="together")
            self._going.add(going)
            going.add_done_callback(self._going.discard)
        try:
            return await future
        finally:
            del future  # its error holds this frame: in a circle, what was asked would stay until garbage is looked for

    async def _go(self) -> None:
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            try:
                answers: Sequence[B | Exception | BaseException] = await self._work([asked for asked, _ in some])
                if len(answers) != len(some):
                    raise RuntimeError("not one answer for each question")
            except BaseException as error:
                answers = [error] * len(some)
            for (_, future), answer in zip(some, answers, strict=True):
                if future.done():  # cancelled
                    continue
                if isinstance(answer, StopIteration):  # a future refuses it
                    future.set_exception(RuntimeError("a function raised StopIteration"))
                elif isinstance(answer, BaseException):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
            # Errors hold this frame: in a circle they would stay, with all that was asked.
            del some, future, answers, answer
        self._free += 1  # here, not when the task is seen to be done: who asks in between would wait for ever
