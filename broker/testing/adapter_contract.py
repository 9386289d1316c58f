# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What every adapter must do, as one test suite: subclass `AdapterContract` and give it a harness as fixture.

::

    class TestOurs(AdapterContract):
        @pytest.fixture
        def harness(self, tmp_path):
            return OurHarness(tmp_path)

An adapter whose national system puts nothing out subclasses `ReceivingAdapterContract`, and its harness has less to do. There
is no suite for one that only sends: what comes for its office would be given to it alone, and be owed for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from broker.adapter_api import Adapter, AdapterFailed, ErasedMessage, problem
from broker.core.errors import SchemaInvalid, StoreUnavailable
from broker.core.ids import MessageId
from broker.testing.adapter_node import SimulatedNode, holds_canary, sample_message, sample_submission

__all__ = ["AdapterContract", "AdapterHarness", "Outcome", "ReceivingAdapterContract", "ReceivingHarness"]

_LOOKS = 12  # wakings of a polling adapter within which everything must have happened
_BOUND_SECONDS = 5.0  # real ones: how long a stop may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the people of the national system are told about a piece of outgoing work; one of the two is set."""

    message: str | None = None  # id of the accepted message
    problem: Mapping[str, Any] | None = None


class ReceivingHarness(Protocol):
    """The national system's side that takes messages, as a test can see and move it."""

    def open(self) -> Adapter:
        """Return an adapter for the same national system, as a freshly started node has it."""
        ...

    def received(self) -> Sequence[Mapping[str, Any]]:
        """Return every message that the national system holds, in the form of `InboundMessage.to_json`."""
        ...

    def outage(self) -> AbstractContextManager[None]:
        """Keep the national system from taking anything inside the block."""
        ...


class AdapterHarness(ReceivingHarness, Protocol):
    """The national system's side, as a test can see and move it."""

    def offer(self, submission: Mapping[str, Any]) -> str:
        """Let the national system put out a piece of work; return its name for `outcome`."""
        ...

    def outcome(self, work: str) -> Outcome | None:
        """Return what the national system was told about it; None while nothing."""
        ...

    def copies(self, work: str) -> int:
        """Return how many copies of a piece of work lie where the adapter takes and puts it."""
        ...


class _Delivering:
    """What every adapter does with what comes in."""

    @pytest.fixture
    def node(self) -> SimulatedNode:
        return SimulatedNode()

    def test_manifest_tells_what_happens_to_data(self, harness: ReceivingHarness) -> None:
        """The manifest names the adapter, its retention, where personal data lies, and what each option means."""
        manifest = harness.open().manifest

        assert all([manifest.name, manifest.version, manifest.description])
        assert all([manifest.retention, manifest.personal_data_at_rest])
        assert all(option.meaning for option in manifest.options.values())

    async def test_delivered_message_is_there_whole(self, harness: ReceivingHarness) -> None:
        """When `deliver` returns, the national system holds the message as it was sent."""
        message = sample_message()

        await harness.open().deliver(message)

        assert list(harness.received()) == [message.to_json()]

    async def test_delivered_twice_is_once(self, harness: ReceivingHarness) -> None:
        """The same message again, also by a newly started node, changes nothing."""
        adapter, message = harness.open(), sample_message()
        await adapter.deliver(message)

        await adapter.deliver(message)
        await harness.open().deliver(message)

        assert list(harness.received()) == [message.to_json()]

    async def test_messages_delivered_at_the_same_time_are_all_there(self, harness: ReceivingHarness) -> None:
        """Deliveries do not disturb each other."""
        adapter = harness.open()
        messages = [sample_message(f"message {number}") for number in range(8)]

        await asyncio.gather(*(adapter.deliver(message) for message in messages))

        assert {held["id"] for held in harness.received()} == {message.id for message in messages}

    async def test_failed_delivery_is_adapter_failed_and_leaves_nothing(self, harness: ReceivingHarness) -> None:
        """A national system that takes nothing is AdapterFailed without a name in it; later the message gets through."""
        adapter, message = harness.open(), sample_message()
        with harness.outage(), pytest.raises(AdapterFailed) as raised:
            await adapter.deliver(message)

        assert not holds_canary(str(raised.value))
        assert list(harness.received()) == []
        await adapter.deliver(message)
        assert list(harness.received()) == [message.to_json()]

    async def test_what_is_erased_is_gone(self, harness: ReceivingHarness) -> None:
        """A received message that the node erases is held no more, whatever else is; again, it is still gone."""
        adapter, message, other = harness.open(), sample_message(), sample_message("another")
        for one in (message, other):
            await adapter.deliver(one)
        erased = ErasedMessage(received=True, country=message.sender.country, id=message.id)

        await adapter.erased(erased)
        await harness.open().erased(erased)

        assert list(harness.received()) == [other.to_json()]

    async def test_what_cannot_be_erased_is_adapter_failed(self, harness: ReceivingHarness) -> None:
        """While the national system cannot be reached the node is told so, without a name; later it is gone."""
        adapter, message = harness.open(), sample_message()
        await adapter.deliver(message)
        erased = ErasedMessage(received=True, country=message.sender.country, id=message.id)
        with harness.outage(), pytest.raises(AdapterFailed) as raised:
            await adapter.erased(erased)

        assert not holds_canary(str(raised.value))
        await adapter.erased(erased)
        assert list(harness.received()) == []


class ReceivingAdapterContract(_Delivering):
    """The suite of an adapter that puts nothing out: its national system only takes what comes in."""

    async def test_it_waits_until_it_is_stopped_and_puts_nothing_out(
        self, harness: ReceivingHarness, node: SimulatedNode
    ) -> None:
        """Its outgoing side neither ends by itself nor submits; cancelled, it ends at once, and `close` does not fail."""
        adapter = harness.open()
        task = asyncio.create_task(adapter.run(node.context()))
        for _ in range(_LOOKS):
            await adapter.deliver(sample_message())
            node.clock.advance(3600)
            await asyncio.sleep(0)
        assert not task.done()

        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=_BOUND_SECONDS)
        await adapter.close()

        assert done == {task}
        assert task.cancelled()
        assert (node.offered, node.uploads.sizes) == ([], {})

    async def test_nothing_personal_is_logged(
        self, harness: ReceivingHarness, caplog: pytest.LogCaptureFixture
    ) -> None:
        """No part of a name is logged: neither when delivering, nor when that fails, nor when erasing."""
        caplog.set_level(logging.DEBUG)
        adapter, message = harness.open(), sample_message()
        with harness.outage(), pytest.raises(AdapterFailed):
            await adapter.deliver(message)
        await adapter.deliver(message)
        await adapter.erased(ErasedMessage(received=True, country=message.sender.country, id=message.id))

        assert not holds_canary(caplog.text)


class AdapterContract(_Delivering):
    """The suite of an adapter that carries both ways."""

    async def test_offered_work_is_submitted_once_and_answered(
        self, harness: AdapterHarness, node: SimulatedNode
    ) -> None:
        """What the national system puts out reaches the node unchanged, once, and its people learn the message's id."""
        work = harness.offer(sample_submission())

        async with node.running(harness.open()) as task:
            await node.looks(task, _LOOKS)

        assert list(node.submissions.values()) == [sample_submission()]
        assert harness.outcome(work) == Outcome(message=next(iter(node.accepted.values())).message)
        assert len(node.offered) == 1

    async def test_crash_after_acceptance_sends_nothing_twice(
        self, harness: AdapterHarness, node: SimulatedNode
    ) -> None:
        """A node that dies between accepting and answering finds the same work under the same key."""
        work = harness.offer(sample_submission())
        node.crash_after_accepting = True
        async with node.running(harness.open()) as task:
            await node.looks(task, _LOOKS)
            assert task.cancelled()
        assert harness.outcome(work) is None

        async with node.running(harness.open()) as task:
            await node.looks(task, _LOOKS)

        assert len(node.accepted) == 1
        assert len(node.offered) == 2
        assert harness.outcome(work) == Outcome(message=next(iter(node.accepted.values())).message)

    async def test_refused_work_is_reported_and_not_offered_again(
        self, harness: AdapterHarness, node: SimulatedNode
    ) -> None:
        """A refusal reaches the people of the national system with code, place and who must act."""
        work = harness.offer(sample_submission())
        node.error = SchemaInvalid("The member is missing.", where="/body/child")

        async with node.running(harness.open()) as task:
            await node.looks(task, _LOOKS)

        assert harness.outcome(work) == Outcome(problem=problem(node.error))
        assert len(node.offered) == 1
        assert node.accepted == {}

    async def test_undecided_work_is_offered_again_under_the_same_key(
        self, harness: AdapterHarness, node: SimulatedNode
    ) -> None:
        """While the node cannot decide, nothing is lost and nobody is told a refusal."""
        work = harness.offer(sample_submission())
        node.error = StoreUnavailable()
        async with node.running(harness.open()) as task:
            await node.looks(task, _LOOKS)
            assert harness.outcome(work) is None
            assert len(node.offered) > 1

            node.error = None
            await node.looks(task, _LOOKS)

        assert len(set(node.offered)) == 1
        assert harness.outcome(work) == Outcome(message=next(iter(node.accepted.values())).message)

    async def test_same_work_from_two_pieces_is_two_messages(
        self, harness: AdapterHarness, node: SimulatedNode
    ) -> None:
        """Two pieces of work never share a key, even when they say the same."""
        harness.offer(sample_submission())
        harness.offer(sample_submission())

        async with node.running(harness.open()) as task:
            await node.looks(task, _LOOKS)

        assert len(node.accepted) == 2

    async def test_what_was_put_out_is_erased_too(self, harness: AdapterHarness, node: SimulatedNode) -> None:
        """A copy of a submitted message that the adapter keeps goes as well; one of another message stays."""
        works = [harness.offer(sample_submission()), harness.offer(sample_submission())]
        async with node.running(harness.open()) as task:
            await node.looks(task, _LOOKS)
        gone = harness.outcome(works[0])
        assert gone is not None
        assert gone.message is not None
        kept = harness.outcome(works[1])

        await harness.open().erased(
            ErasedMessage(received=False, country=sample_message().sender.country, id=MessageId(gone.message))
        )

        assert harness.copies(works[0]) == 0
        assert harness.outcome(works[1]) == kept

    async def test_stop_is_prompt(self, harness: AdapterHarness, node: SimulatedNode) -> None:
        """A cancelled adapter ends at once, and `close` after it does not fail."""
        adapter = harness.open()
        task = asyncio.create_task(adapter.run(node.context()))
        await node.looks(task, 2)

        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=_BOUND_SECONDS)
        await adapter.close()

        assert done == {task}
        assert task.cancelled()

    async def test_nothing_personal_is_logged(
        self, harness: AdapterHarness, node: SimulatedNode, caplog: pytest.LogCaptureFixture
    ) -> None:
        """No part of a name is logged: not when delivering, submitting, refused, or undecided."""
        caplog.set_level(logging.DEBUG)
        adapter = harness.open()
        await adapter.deliver(sample_message())
        for error in (StoreUnavailable(), SchemaInvalid(), None):
            node.error = error
            harness.offer(sample_submission())
            async with node.running(adapter) as task:
                await node.looks(task, _LOOKS)

        assert {event.value for event, _ in node.lines} == {"adapter.submitted", "adapter.refused", "adapter.delayed"}
        assert not holds_canary(node.lines, caplog.text)
        assert not holds_canary(repr(sample_message()))
