# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The real clock, identifiers and threads."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from broker.core.canonical import b64url_decode
from broker.core.content import time_from_text, time_to_text
from broker.core.ids import CaseRef, MessageId, ProcedureId
from broker.system import SystemClock, SystemIds, ThreadCompute


async def test_clock_tells_utc_to_the_millisecond() -> None:
    """The time is aware UTC and survives being written into a message."""
    clock = SystemClock()
    now = clock.now()

    assert now.tzinfo is UTC
    assert abs(datetime.now(UTC) - now) < timedelta(seconds=60)
    assert time_from_text(time_to_text(now)) == now


async def test_clock_sleeps_and_never_goes_back() -> None:
    """Sleeping lets others run; the monotonic clock only grows."""
    clock = SystemClock()
    ran: list[str] = []
    before = clock.monotonic()
    other = asyncio.create_task(asyncio.sleep(0, ran.append("other")))

    await clock.sleep(0)

    await other
    assert ran == ["other"]
    assert clock.monotonic() >= before


@dataclass
class Machine:
    """A machine's clock that somebody sets, and the seconds that pass."""

    wrong: timedelta = timedelta(0)
    seconds: float = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 3, 0, tzinfo=UTC) + timedelta(seconds=self.seconds) + self.wrong

    def clock(self, after: datetime | None = None) -> SystemClock:
        return SystemClock(after=after, machine=self.now, monotonic=lambda: self.seconds)


def _each_second(machine: Machine, clock: SystemClock, seconds: int) -> list[datetime]:
    told = [clock.now()]
    for _ in range(seconds):
        machine.seconds += 1
        told.append(clock.now())
    return told


def test_time_goes_on_while_a_machine_that_was_set_back_catches_up() -> None:
    """Set back by four minutes, each moment is later than the last, and after eight minutes the machine is right."""
    machine = Machine()
    clock = machine.clock()
    before = clock.now()
    machine.wrong = -timedelta(minutes=4)

    told = _each_second(machine, clock, 8 * 60)

    assert told[0] == before
    assert told[:470] == sorted(set(told[:470]))
    assert told == sorted(told)
    assert told[-1] == machine.now() == before + timedelta(minutes=4)


def test_time_goes_on_where_the_store_knows_a_later_one() -> None:
    """A machine that starts two minutes behind what was stored writes nothing that looks older."""
    machine = Machine()
    stored = machine.now() + timedelta(minutes=2)

    told = _each_second(machine, machine.clock(after=stored), 10)

    assert told[0] == stored
    assert told == sorted(set(told))


def test_a_clock_that_was_hours_ahead_is_set_right_at_once() -> None:
    """Nobody waits for hours: what was written meanwhile is set right elsewhere, and other countries park what says them."""
    machine = Machine(wrong=timedelta(minutes=6))
    clock = machine.clock()
    clock.now()

    machine.wrong = timedelta(0)

    assert clock.now() == machine.now()


def test_a_clock_that_was_behind_is_set_right_at_once() -> None:
    """Forward it goes as far as it is set."""
    machine = Machine(wrong=-timedelta(days=9))
    clock = machine.clock()
    clock.now()

    machine.wrong = timedelta(0)

    assert clock.now() == machine.now()


def test_identifiers_have_their_form_and_never_come_twice() -> None:
    """A thousand of each are different, and each identifier would be read as what it is."""
    ids = SystemIds()

    for make in (ids.message_id, ids.procedure_id, ids.nonce, ids.token, lambda: ids.case_ref(exercise=False)):
        assert len({make() for _ in range(1000)}) == 1000
    for kind, make in (
        (MessageId, ids.message_id),
        (ProcedureId, ids.procedure_id),
        (CaseRef, lambda: ids.case_ref(exercise=True)),
        (CaseRef, lambda: ids.case_ref(exercise=False)),
    ):
        made = make()
        assert type(made) is kind
        assert kind(str(made)) == made


def test_message_ids_sort_by_time() -> None:
    """A UUIDv7 begins with the millisecond it was made in."""
    made = int(SystemIds().message_id().replace("-", "")[:12], 16)

    assert abs(datetime.now(UTC).timestamp() * 1000 - made) < 60_000


def test_case_reference_of_an_exercise_says_so() -> None:
    """EX- stands before an exercise's reference and before no other."""
    ids = SystemIds()

    assert ids.case_ref(exercise=True).exercise
    assert not ids.case_ref(exercise=False).exercise


def test_nonce_is_sixteen_bytes_and_jitter_a_fraction() -> None:
    """Both have the size that is promised."""
    ids = SystemIds()

    assert len(b64url_decode(ids.nonce())) == 16
    assert all(0 <= ids.jitter() < 1 for _ in range(100))


async def test_compute_runs_elsewhere_and_returns_or_raises() -> None:
    """The function runs in a thread of its own; its result and its exception come back."""
    compute = ThreadCompute(1)

    def fail() -> None:
        raise LookupError

    assert await compute.run(threading.get_ident) != threading.get_ident()
    with pytest.raises(LookupError):
        await compute.run(fail)
    compute.close()


async def test_closed_compute_takes_nothing_and_leaves_no_thread() -> None:
    """After closing, no thread of it is left and running is misuse."""
    compute = ThreadCompute(2)
    await compute.run(lambda: None)

    compute.close()

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("trm-compute")]
    with pytest.raises(RuntimeError):
        await compute.run(lambda: None)
