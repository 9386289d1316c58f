# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Single questions that are answered together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from broker.core.errors import StoreUnavailable
from broker.together import Together


class Clerk:
    """Doubles numbers, a round at a time, when the test lets it."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def answer(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.rounds.append(list(numbers))
        await self.open.wait()
        if 0 in numbers:
            raise StoreUnavailable
        return [LookupError() if number < 0 else 2 * number for number in numbers]


async def _asked(together: Together[int, int], *numbers: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(together(number)) for number in numbers]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_what_is_asked_at_once_or_meanwhile_is_answered_together() -> None:
    """A round takes what waits up to its bound, a second one goes on beside it, the rest waits for the next."""
    clerk = Clerk()
    together = Together(clerk.answer, rounds=2, most=3)
    assert await together(1) == 2
    clerk.open.clear()
    tasks = await _asked(together, 1, 2, 3, 4, 5, 6, 7)
    assert clerk.rounds == [[1], [1, 2, 3], [4, 5, 6]]
    tasks += await _asked(together, 8)
    clerk.open.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8, 10, 12, 14, 16]
    assert clerk.rounds[3:] == [[7, 8]]
    assert await together(9) == 18


async def test_who_asks_again_at_once_is_answered() -> None:
    """A question that comes while the last round is just over is not left lying."""
    together = Together(Clerk().answer, rounds=1, most=2)

    async def ask() -> list[int]:
        return [await together(number) for number in range(1, 6)]

    async with asyncio.timeout(10):
        assert await asyncio.gather(ask(), ask()) == [[2, 4, 6, 8, 10]] * 2


async def test_an_error_is_one_askers_or_the_whole_rounds() -> None:
    """An error in an answer's place is that asker's alone; what stops the round is heard by all in it, and no other."""
    together = Together(Clerk().answer, rounds=1, most=2)
    tasks = await _asked(together, 1, -1, 0, 2, 3)
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [int, LookupError, StoreUnavailable, StoreUnavailable, int]
    assert (answers[0], answers[4]) == (2, 6)


async def test_who_gives_up_takes_no_answer_from_others() -> None:
    """A cancelled asker is passed over, before its round or in it."""
    clerk = Clerk()
    clerk.open.clear()
    together = Together(clerk.answer, rounds=1, most=2)
    tasks = await _asked(together, 1, 2, 3, 4)
    tasks[0].cancel()
    tasks[2].cancel()
    clerk.open.set()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers[1::2] == [4, 8]
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[::2])
    with pytest.raises(LookupError):
        await together(-1)


async def test_no_fault_of_the_work_leaves_anybody_waiting() -> None:
    """Too few answers, or an error that no future takes, is an error of its askers; who asks next is answered."""

    async def work(numbers: Sequence[int]) -> list[int | Exception]:
        if 0 in numbers:
            return []
        return [StopIteration() if number < 0 else 2 * number for number in numbers]

    together = Together(work, rounds=1, most=3)
    async with asyncio.timeout(10):
        answers = await asyncio.gather(*await _asked(together, 0, 1, 2, 3, -1), return_exceptions=True)
        assert [type(answer) for answer in answers] == [RuntimeError, RuntimeError, RuntimeError, int, RuntimeError]
        assert await together(4) == 8
