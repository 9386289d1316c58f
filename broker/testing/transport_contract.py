# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What every transport must do, as one abstract test suite; a transport subclasses it and gives it a harness."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest
import uuid_utils

from broker.core.errors import NodeError, TransportUnavailable, Unroutable
from broker.core.ids import CountryCode, Digest, KeyId, MessageId
from broker.core.messages import Delivery, SealedChunk, SealedEnvelope
from broker.ports import Transport

__all__ = [
    "EE",
    "FI",
    "NOWHERE",
    "SE",
    "FastClock",
    "TransportContract",
    "TransportHarness",
    "publish_until_taken",
    "sealed",
    "sealed_chunk",
    "take",
]

EE, FI, SE = CountryCode("EE"), CountryCode("FI"), CountryCode("SE")
NOWHERE = CountryCode("ZZ")

_BOUND_SECONDS = 60.0  # for what must happen; reached only when it does not


class FastClock:
    """A clock for suites that talk to a real broker or disk: pauses are a hundred times shorter."""

    factor = 100.0

    def now(self) -> datetime:
        """Return the real time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the real monotonic time, that much faster."""
        return time.monotonic() * self.factor

    async def sleep(self, seconds: float) -> None:
        """Wait for a hundredth."""
        await asyncio.sleep(seconds / self.factor)


class TransportHarness(Protocol):
    """One federation of EE, FI and SE over the transport under test."""

    def open(self, country: CountryCode) -> Transport:
        """Return a transport for one more worker of the country; the harness closes it at the end."""
        ...

    async def outage(self) -> None:
        """Take the transport's medium away."""
        ...

    async def recovery(self) -> None:
        """Bring it back."""
        ...


def sealed(sender: CountryCode = EE, recipient: CountryCode = FI, *, size: int = 4096) -> SealedEnvelope:
    """Return an envelope of random bytes: no transport looks into it."""
    raw = secrets.token_bytes(size)
    return SealedEnvelope(
        id=MessageId(str(uuid_utils.uuid7())),
        sender=sender,
        recipient=recipient,
        raw=raw,
        sha256=Digest(hashlib.sha256(raw).hexdigest()),
        expires=datetime.now(UTC) + timedelta(days=30),
        recipient_kid=KeyId("A" * 43),
        signer_kids=(KeyId("B" * 43), KeyId("C" * 43)),
        trust_version=1,
    )


def sealed_chunk(index: int, *, message: MessageId, recipient: CountryCode = FI, size: int = 1_048_657) -> SealedChunk:
    """Return a chunk of the largest size, of random bytes behind its beginning."""
    raw = b"TRMC\x01" + secrets.token_bytes(size - 5)
    sha256 = Digest(hashlib.sha256(raw).hexdigest())
    return SealedChunk(id=message, sender=EE, recipient=recipient, raw=raw, sha256=sha256, index=index)


async def publish_until_taken(sender: Transport, envelope: SealedEnvelope) -> None:
    """Publish again, as a node does, until it is confirmed."""
    async with asyncio.timeout(_BOUND_SECONDS):
        while True:
            try:
                return await sender.publish(envelope)
            except NodeError:
                await asyncio.sleep(0.05)


async def take(transport: Transport, count: int = 1, *, settle: bool = True) -> list[Delivery]:
    """Return the next deliveries, settled unless said otherwise."""
    taken: list[Delivery] = []
    async with asyncio.timeout(_BOUND_SECONDS):
        async for delivery in transport.deliveries():
            taken.append(delivery)
            if settle:
                await transport.done(delivery)
            if len(taken) == count:
                break
    return taken


class TransportContract:
    """The suite; a subclass overrides `harness`."""

    publish_bound_seconds = 5.0  # of the transports that the harness opens, with room for a loaded machine

    @pytest.fixture
    async def harness(self) -> TransportHarness:
        raise NotImplementedError("a subclass gives the harness")

    async def test_what_is_published_arrives_as_it_was(self, harness: TransportHarness) -> None:
        """The recipient gets the same bytes, and no rule was broken on the way."""
        sender, recipient = harness.open(EE), harness.open(FI)
        envelope = sealed()
        await sender.publish(envelope)
        (delivery,) = await take(recipient)
        assert delivery.raw == envelope.raw
        assert (delivery.queue, delivery.abuse) == ("in", ())
        assert delivery.user in {None, "EE"}

    async def test_five_mib_of_chunks_arrive_as_they_were(self, harness: TransportHarness) -> None:
        """Chunks of one message travel side by side, break no rule, and a message passes them."""
        sender, recipient = harness.open(EE), harness.open(FI)
        envelope, message = sealed(), MessageId(str(uuid_utils.uuid7()))
        chunks = [sealed_chunk(index, message=message) for index in range(5)]
        await asyncio.gather(*(sender.publish(chunk) for chunk in chunks))
        await sender.publish(envelope)
        came = await take(recipient, 6)
        assert {delivery.raw for delivery in came} == {envelope.raw, *(chunk.raw for chunk in chunks)}
        assert {delivery.abuse for delivery in came} == {()}

    async def test_a_chunk_for_nowhere_is_an_error(self, harness: TransportHarness) -> None:
        """Like an envelope, and the transport goes on."""
        sender, recipient = harness.open(EE), harness.open(FI)
        with pytest.raises(Unroutable):
            await sender.publish(sealed_chunk(0, message=sealed().id, recipient=NOWHERE))
        chunk = sealed_chunk(0, message=sealed().id)
        await sender.publish(chunk)
        assert [delivery.raw for delivery in await take(recipient)] == [chunk.raw]

    async def test_what_is_settled_does_not_come_again(self, harness: TransportHarness) -> None:
        """After settling, neither this worker nor the next one sees the message again."""
        sender, recipient = harness.open(EE), harness.open(FI)
        first, second, third = sealed(), sealed(), sealed()
        await sender.publish(first)
        assert [d.raw for d in await take(recipient)] == [first.raw]
        await sender.publish(second)
        assert [d.raw for d in await take(recipient)] == [second.raw]
        await recipient.close()
        await sender.publish(third)
        assert [d.raw for d in await take(harness.open(FI))] == [third.raw]

    async def test_what_is_unsettled_comes_again_after_close(self, harness: TransportHarness) -> None:
        """A worker that stops without settling leaves the message to the next one."""
        sender, recipient = harness.open(EE), harness.open(FI)
        envelope = sealed()
        await sender.publish(envelope)
        await take(recipient, settle=False)
        await recipient.close()
        (delivery,) = await take(harness.open(FI))
        assert delivery.raw == envelope.raw

    async def test_what_is_given_back_comes_again(self, harness: TransportHarness) -> None:
        """An undecided delivery comes again, and other messages come meanwhile."""
        sender, recipient = harness.open(EE), harness.open(FI)
        undecided, other = sealed(), sealed()
        await sender.publish(undecided)
        (delivery,) = await take(recipient, settle=False)
        await recipient.again(delivery)
        await sender.publish(other)
        assert {came.raw for came in await take(recipient, 2)} == {undecided.raw, other.raw}

    async def test_no_destination_is_an_error(self, harness: TransportHarness) -> None:
        """A country without a queue or folder is Unroutable, and the transport goes on."""
        sender, recipient = harness.open(EE), harness.open(FI)
        with pytest.raises(Unroutable):
            await sender.publish(sealed(recipient=NOWHERE))
        envelope = sealed()
        await sender.publish(envelope)
        assert [d.raw for d in await take(recipient)] == [envelope.raw]

    async def test_concurrent_publishes_all_arrive(self, harness: TransportHarness) -> None:
        """Sixty publishes at once arrive, in whatever order, each once."""
        sender, recipient = harness.open(EE), harness.open(FI)
        envelopes = [sealed() for _ in range(60)]
        await asyncio.gather(*(sender.publish(envelope) for envelope in envelopes))
        came = [d.raw for d in await take(recipient, 60)]
        assert sorted(came) == sorted(envelope.raw for envelope in envelopes)

    async def test_two_workers_share_the_input(self, harness: TransportHarness) -> None:
        """Two workers of one country get every message once between them."""
        sender, workers = harness.open(EE), [harness.open(FI), harness.open(FI)]
        envelopes = [sealed() for _ in range(40)]
        came: list[bytes] = []
        enough = asyncio.Event()

        async def work(worker: Transport) -> None:
            async for delivery in worker.deliveries():
                came.append(delivery.raw)
                await worker.done(delivery)
                if len(came) == len(envelopes):
                    enough.set()

        tasks = [asyncio.create_task(work(worker)) for worker in workers]
        await asyncio.gather(*(sender.publish(envelope) for envelope in envelopes))
        async with asyncio.timeout(_BOUND_SECONDS):
            await enough.wait()
            await asyncio.gather(*(worker.close() for worker in workers))
            await asyncio.gather(*tasks)
        assert sorted(came) == sorted(envelope.raw for envelope in envelopes)

    async def test_only_the_addressed_country_gets_it(self, harness: TransportHarness) -> None:
        """A message for FI does not come to SE."""
        sender, third = harness.open(EE), harness.open(SE)
        await sender.publish(sealed(recipient=FI))
        own = sealed(recipient=SE)
        await sender.publish(own)
        assert [d.raw for d in await take(third)] == [own.raw]

    async def test_the_largest_envelope_passes(self, harness: TransportHarness) -> None:
        """An envelope of 1.9 MiB arrives whole."""
        sender, recipient = harness.open(EE), harness.open(FI)
        envelope = sealed(size=1_992_294)
        await sender.publish(envelope)
        (delivery,) = await take(recipient)
        assert hashlib.sha256(delivery.raw).hexdigest() == envelope.sha256

    async def test_the_same_envelope_twice_is_not_lost(self, harness: TransportHarness) -> None:
        """A retry with identical bytes, also at the same time, arrives at least once and raises nothing."""
        sender, recipient = harness.open(EE), harness.open(FI)
        envelope, last = sealed(), sealed()
        await asyncio.gather(sender.publish(envelope), sender.publish(envelope))
        (delivery,) = await take(recipient)
        assert delivery.raw == envelope.raw
        await sender.publish(last)
        rest = [d.raw for d in await take(recipient)]
        if rest == [envelope.raw]:
            rest = [d.raw for d in await take(recipient)]
        assert rest == [last.raw]

    async def test_settling_twice_or_late_is_harmless(self, harness: TransportHarness) -> None:
        """Settling again, giving back what is settled, and settling after close change nothing and raise nothing."""
        sender, recipient = harness.open(EE), harness.open(FI)
        first, second = sealed(), sealed()
        await sender.publish(first)
        (delivery,) = await take(recipient)
        await recipient.done(delivery)
        await recipient.again(delivery)
        await sender.publish(second)
        (late,) = await take(recipient, settle=False)
        assert late.raw == second.raw
        await recipient.close()
        await recipient.done(late)
        await recipient.again(late)
        assert [d.raw for d in await take(harness.open(FI))] == [second.raw]

    async def test_close_ends_waiting_readers_and_leaves_nothing(self, harness: TransportHarness) -> None:
        """Closing ends every iterator, leaves no task behind, can be repeated, and publishing is refused after it."""
        before = asyncio.all_tasks()
        transport = harness.open(FI)
        assert await transport.health() is None

        async def read() -> list[bytes]:
            return [delivery.raw async for delivery in transport.deliveries()]

        readers = [asyncio.create_task(read()), asyncio.create_task(read())]
        await asyncio.sleep(0)
        await transport.close()
        await transport.close()
        async with asyncio.timeout(_BOUND_SECONDS):
            assert await asyncio.gather(*readers) == [[], []]
        with pytest.raises(TransportUnavailable):
            await transport.publish(sealed(sender=FI, recipient=EE))
        assert await transport.health() is not None
        assert {task.get_name() for task in asyncio.all_tasks() - before if "proxy" not in task.get_name()} == set()

    async def test_an_outage_is_an_error_in_time_and_then_over(self, harness: TransportHarness) -> None:
        """While the medium is away a publish fails within its bound; afterwards both directions work by themselves."""
        sender, recipient = harness.open(EE), harness.open(FI)
        before, during, after = sealed(), sealed(), sealed()
        await sender.publish(before)
        assert [d.raw for d in await take(recipient)] == [before.raw]
        await harness.outage()
        started = time.monotonic()
        with pytest.raises(NodeError):
            await sender.publish(during)
        assert time.monotonic() - started < self.publish_bound_seconds
        assert await sender.health() is not None
        await harness.recovery()
        await publish_until_taken(sender, after)
        came = [d.raw for d in await take(recipient)]
        while came[-1] != after.raw:
            # One's outcome was unknown, the other's settling may have been on the way: either may come.
            assert came[-1] in {before.raw, during.raw}
            came += [d.raw for d in await take(recipient)]
        await _until_healthy(sender)


async def _until_healthy(transport: Transport) -> None:
    async with asyncio.timeout(_BOUND_SECONDS):
        while await transport.health() is not None:  # noqa: ASYNC110  a transport tells its health only when asked
            await asyncio.sleep(0.05)
