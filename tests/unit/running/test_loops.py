# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""How a node's tasks wait, fail and go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from broker.core.errors import StoreUnavailable
from broker.running import loops
from broker.running.loops import Bell, Bells, Loop

CANARY = "Test-Maarika"
BOUND_SECONDS = 20  # reached only when something hangs


class Work:
    """Does what its script says, one entry a call; then rings the end."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.calls = 0
        self.stopping = asyncio.Event()

    async def __call__(self) -> int:
        self.calls += 1
        step = self.script.pop(0) if self.script else 0
        if not self.script:
            self.stopping.set()
        if isinstance(step, Exception):
            raise step
        return int(step)


def _loop(work: Work, *, poll_seconds: float = 0.0) -> tuple[Loop, Bell]:
    bell = Bell()
    return Loop("dispatch", work, bell=bell, poll_seconds=poll_seconds, stopping=work.stopping), bell


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pauses after failures as good as none."""
    monkeypatch.setattr(loops, "PAUSE_MIN_SECONDS", 0.001)
    monkeypatch.setattr(loops, "PAUSE_MAX_SECONDS", 0.002)


async def test_a_loop_goes_on_at_once_while_there_is_work() -> None:
    """As long as a batch did something no bell and no poll is waited for."""
    work = Work(3, 1, 2, 1)
    loop, _ = _loop(work, poll_seconds=1000)
    async with asyncio.timeout(BOUND_SECONDS):
        await loop.run()
    assert work.calls == 4


async def test_a_ring_during_the_work_is_not_lost() -> None:
    """A ring while the loop works, before it waits, makes it look once more."""
    work = Work(0, 1)
    loop, bell = _loop(work, poll_seconds=1000)

    async def rung() -> int:
        if work.calls == 0:
            bell.ring()
        return await work()

    loop._work = rung
    async with asyncio.timeout(BOUND_SECONDS):
        await loop.run()
    assert work.calls == 2


async def test_what_rang_before_the_work_asks_for_no_second_look() -> None:
    """The work that follows a ring is its answer: nothing is looked for twice."""
    work = Work(0, 1)
    loop, bell = _loop(work, poll_seconds=1000)
    bell.ring()
    async with asyncio.timeout(BOUND_SECONDS):
        running = asyncio.create_task(loop.run())
        while work.calls < 1:  # noqa: ASYNC110 - the first call needs no ring
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        assert work.calls == 1
        bell.ring()
        await running
    assert work.calls == 2


async def test_polling_is_the_truth_when_no_ring_comes() -> None:
    """Without a ring the loop looks again after its poll time."""
    work = Work(0, 0, 0)
    loop, _ = _loop(work, poll_seconds=0.001)
    async with asyncio.timeout(BOUND_SECONDS):
        await loop.run()
    assert work.calls == 3


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (StoreUnavailable(), "store-unavailable", "The database does not answer."),
        (ValueError(f"bad value {CANARY}"), "internal", "Something unforeseen went wrong"),
    ],
)
async def test_a_failure_is_logged_told_and_tried_again(
    caplog: pytest.LogCaptureFixture, error: Exception, code: str, sentence: str
) -> None:
    """Health gets the sentence until the next success, the log gets code and loop, and the work goes on."""
    seen: list[tuple[str, str] | None] = []
    work = Work(error, 0, 0)
    loop, _ = _loop(work)

    async def look() -> int:
        seen.append((loop.trouble.code, loop.trouble.detail) if loop.trouble else None)
        return await work()

    loop._work = look
    async with asyncio.timeout(BOUND_SECONDS):
        await loop.run()
    assert seen[0] is None
    assert seen[1] is not None
    assert seen[1][0] == code
    assert seen[1][1].startswith(sentence)
    assert seen[2] is None
    (record,) = [record for record in caplog.records if record.name == "trm.node"]
    assert "loop.failed" in str(record.msg)
    assert "dispatch" in str(record.msg)
    assert CANARY not in str(record.msg)


async def test_pauses_after_failures_grow_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that stays is tried ever more slowly, at the slowest twice a minute; a success starts anew."""
    work = Work(*[StoreUnavailable()] * 8, 0, StoreUnavailable(), 0)
    loop, bell = _loop(work)
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(bell, "wait", wait)
    async with asyncio.timeout(BOUND_SECONDS):
        await loop.run()
    assert waited == [0.5, 1, 2, 4, 8, 16, 30, 30, 0.0, 0.5, 0.0]


async def test_a_stopping_loop_finishes_what_it_has_in_hand() -> None:
    """The stop is looked at between two batches, never within one."""
    reached, go_on = asyncio.Event(), asyncio.Event()
    stopping, finished = asyncio.Event(), []

    async def work() -> int:
        reached.set()
        await go_on.wait()
        finished.append(True)
        return 1

    loop = Loop("deliver", work, bell=Bell(), poll_seconds=1000, stopping=stopping)
    async with asyncio.timeout(BOUND_SECONDS):
        running = asyncio.create_task(loop.run())
        await reached.wait()
        stopping.set()
        go_on.set()
        await running
    assert finished == [True]


@pytest.mark.parametrize(
    ("ring", "woken"),
    [(lambda bells: bells.ring("a"), {"a"}), (lambda bells: bells.ring(), {"a", "b"})],
    ids=["one", "all"],
)
async def test_bells_ring_by_name_or_all(ring: Callable[[Bells], None], woken: set[str]) -> None:
    """A named ring wakes that loop alone, a ring without a name all of them."""
    bells = Bells(["a", "b"])
    ring(bells)
    assert {name for name in ("a", "b") if bells[name]._event.is_set()} == woken
