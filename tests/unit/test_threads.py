# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Threads that work for an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broker.threads import Reports, Threads


@pytest.fixture
def one() -> Iterator[Threads]:
    """One thread."""
    threads = Threads(1, name="trm-test")
    yield threads
    threads.close()


async def _held(threads: Threads) -> tuple[threading.Event, asyncio.Task[None]]:
    """Keep the only thread busy until the event is set."""
    begun, end = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        end.wait(10)

    task = asyncio.create_task(threads.run(hold))
    await asyncio.to_thread(begun.wait, 10)
    return end, task


async def test_result_and_error_come_back(one: Threads) -> None:
    """What the function returns is returned, what it raises is raised; even what no future may hold."""

    def fail() -> None:
        raise LookupError

    assert await one.run(threading.get_ident) != threading.get_ident()
    with pytest.raises(LookupError):
        await one.run(fail)
    with pytest.raises(RuntimeError):
        await one.run(lambda: next(iter(())))
    assert await one.run(lambda: 7) == 7


async def test_what_goes_ahead_runs_first(one: Threads) -> None:
    """Of what waits, that which goes ahead comes first; else each in the order in which it came."""
    end, held = await _held(one)
    ran: list[int] = []
    waiting = [asyncio.create_task(one.run(lambda n=n: ran.append(n), ahead=n > 2)) for n in (1, 2, 3, 4)]  # type: ignore[misc]
    await asyncio.sleep(0)
    end.set()
    await asyncio.gather(held, *waiting)
    assert ran == [3, 4, 1, 2]


async def test_cancelled_before_its_turn_never_runs(one: Threads) -> None:
    """Who gives up while others run leaves nothing behind; who comes after is served."""
    end, held = await _held(one)
    ran: list[int] = []
    given_up = asyncio.create_task(one.run(lambda: ran.append(1)))
    await asyncio.sleep(0)
    given_up.cancel()
    after = asyncio.create_task(one.run(lambda: ran.append(2)))
    await asyncio.sleep(0)
    end.set()
    await asyncio.gather(held, after)

    assert given_up.cancelled()
    assert ran == [2]


async def test_closing_finishes_or_drops_what_waits() -> None:
    """What runs is always finished; what waits is, unless it is dropped: then its caller is told."""
    for drop in (False, True):
        threads = Threads(1, name="trm-test")
        end, held = await _held(threads)
        ran: list[int] = []
        waiting = asyncio.create_task(threads.run(lambda found=ran: found.append(1)))  # type: ignore[misc]
        await asyncio.sleep(0)
        closing = asyncio.create_task(asyncio.to_thread(threads.close, drop=drop))
        if drop:
            await asyncio.wait({waiting})
        end.set()
        await asyncio.gather(held, closing)
        await asyncio.wait({waiting})

        assert waiting.cancelled() is drop
        assert ran == ([] if drop else [1])
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("trm-test")]
        with pytest.raises(RuntimeError):
            await threads.run(lambda: None)


async def test_several_outcomes_wake_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told before the loop has looked costs no second wake-up, and all of it arrives."""
    loop = asyncio.get_running_loop()
    calls: list[Callable[..., Any]] = []
    wake = loop.call_soon_threadsafe

    def counted(callback: Callable[..., Any], *given: Any) -> Any:
        calls.append(callback)
        return wake(callback, *given)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    reports = Reports(loop)
    futures = [loop.create_future() for _ in range(3)]
    reports.tell((futures[0], 0, None), (futures[1], 1, None))
    reports.tell((futures[2], 2, None))

    assert await asyncio.gather(*futures) == [0, 1, 2]
    assert len(calls) == 1
    last = loop.create_future()
    reports.tell((last, 3, None))
    assert await last == 3
    assert len(calls) == 2
