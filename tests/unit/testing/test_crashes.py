# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The simulated death of a process."""

from __future__ import annotations

import asyncio

import pytest

from broker.testing.crashes import Crash, Fuse


class Port:
    """Counts what took effect."""

    def __init__(self) -> None:
        self.done = 0

    async def call(self) -> int:
        self.done += 1
        return self.done


@pytest.mark.parametrize(("after", "effects"), [(False, 2), (True, 3)])
async def test_a_fuse_blows_before_or_after_the_call(after: bool, effects: int) -> None:
    """Set to the third call it lets two pass; the third takes effect or not; then nothing does any more."""
    fuse, port = Fuse(), Port()
    fuse.set(2, after=after)
    assert [await fuse.guard("port.call", port.call) for _ in range(2)] == [1, 2]
    for _ in range(3):
        with pytest.raises(Crash):
            await fuse.guard("port.call", port.call)
    assert (port.done, fuse.blown) == (effects, True)


async def test_a_dead_process_hears_nothing_of_what_it_had_begun() -> None:
    """A call in flight when the fuse blows may take effect, and its caller never learns so."""
    fuse, begun, go_on = Fuse(), asyncio.Event(), asyncio.Event()
    done: list[str] = []

    async def slow() -> str:
        begun.set()
        await go_on.wait()
        done.append("slow")
        return "slow"

    fuse.set(1, after=False)
    waiting = asyncio.create_task(fuse.guard("port.slow", slow))
    await begun.wait()
    with pytest.raises(Crash):
        await fuse.guard("port.call", Port().call)
    go_on.set()
    with pytest.raises(Crash):
        await waiting
    assert done == ["slow"]


async def test_a_removed_fuse_lets_everything_pass() -> None:
    """Without a set call nothing blows; synchronous calls are counted like the others."""
    fuse, port = Fuse(), Port()
    fuse.set(0, after=False)
    fuse.remove()
    assert await fuse.guard("port.call", port.call) == 1
    assert fuse.guard_now("vault.opener", lambda: "keys") == "keys"
    assert fuse.calls == ["port.call", "vault.opener"]


def test_no_broad_except_of_ours_catches_a_crash() -> None:
    """A crash is no Exception: what the product catches does not include it."""
    assert not issubclass(Crash, Exception)
