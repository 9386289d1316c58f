# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Attachments between simulated countries: delivered when they are whole, whatever the network does to their chunks."""

import io
import random
from pathlib import Path
from typing import Any, cast

import pytest

from broker.core.attachments import CHUNK_BYTES
from broker.core.deadlines import Phase
from broker.core.delivery import PARKED_MAX_CHUNKS
from broker.core.errors import (
    AttachmentIncomplete,
    AttachmentRefused,
    DiskFull,
    PublishRefused,
    PublishUnconfirmed,
    StoreCorrupt,
    StoreUnavailable,
)
from broker.core.ids import AuthorityId, CountryCode, MessageId
from broker.core.messages import Delivery, Party, SealedChunk
from broker.rows import Accepted
from broker.sealed.files import open_file, seal_file
from broker.security.chunks import is_chunk, seal_stored
from broker.submission.sealed_files import SealedFiles
from broker.testing.offices import authority_key, office, opener_of
from broker.testing.world import Country, World, officer

FI_OFFICE = AuthorityId("migri")
THREE = b"A synthetic text of a synthetic case.\n" * 60_000  # bytes; three chunks


async def send(country: Country, *plains: bytes) -> Accepted:
    """Submit the opening request with these files."""
    files = [await country.upload(plain, f"note {number}.txt") for number, plain in enumerate(plains)]
    return await country.submit("request.json", attachments=tuple(files))


async def send_another_file(country: Country) -> Accepted:
    """Submit the opening request with a file whose bytes are not those that it describes."""
    accepted = await send(country, b"x")
    row = await country.store.read(lambda reader: reader.attachments_of(country.us, accepted.message)[0])
    entry = await country.store.run(lambda tx: tx.outbox(accepted.message))
    assert entry is not None
    key = entry.entry.header.attachments[0].key_bytes
    await country.blobs.put(row.blob, 0, seal_stored(b"y", key, 0))
    return accepted


async def received(country: Country, sender: str, accepted: Accepted) -> list[bytes]:
    """Read every attachment of a received message as its office does."""
    row = await country.store.run(lambda tx: tx.inbox(CountryCode(sender), accepted.message))
    assert row is not None
    header, found = row.entry.header, []
    for attachment in header.attachments:
        reading = await country.desk.read_attachment(
            accepted.message,
            attachment.digest,
            officer(header.recipient.authority),
        )
        found.append(b"".join([part async for part in reading.parts]))
    return found


async def test_a_message_is_delivered_with_its_attachments(tmp_path: Path) -> None:
    """Two files arrive as they were; the sender's entry climbs the ladder, and nothing is left to do."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        accepted = await send(world["EE"], THREE, b"short")
        await world.settle()

        assert await received(world["FI"], "EE", accepted) == [THREE, b"short"]
        assert await world["EE"].states(accepted) == ["handed-over"]
        assert await world["EE"].attention() == await world["FI"].attention() == []
        assert world["FI"].outcomes.count("chunk") == 4


async def test_a_sealed_file_walks_as_any_other_and_only_its_office_opens_it(tmp_path: Path) -> None:
    """Three chunks of ciphertext to both nodes; at the receiving office the file, its name and its type."""
    sender, recipient = office("EE/social-insurance-board"), office("FI/helsinki-wellbeing-services")
    sealed, opened = io.BytesIO(), io.BytesIO()
    seal_file(
        io.BytesIO(THREE),
        sealed,
        name="Test-Mari.txt",
        sender=sender,
        recipient=recipient,
        key=authority_key(recipient),
    )
    async with World.create(tmp_path, ("EE", "FI")) as world:
        file = await world["EE"].upload(sealed.getvalue(), "1.sealed")
        accepted = await world["EE"].submit("request.json", attachments=(file,))
        await world.settle()
        (raw,) = await received(world["FI"], "EE", accepted)
        assert await world["EE"].states(accepted) == ["handed-over"]
    assert b"synthetic" not in raw
    what = open_file(io.BytesIO(raw), opened, opener=opener_of(recipient), sender=sender, recipient=recipient)
    assert (opened.getvalue(), what.name, what.media_type) == (THREE, "Test-Mari.txt", "text/plain")


@pytest.mark.parametrize(
    ("to", "key", "why"),
    [
        ("FI/migri", "FI/helsinki-wellbeing-services", "another office"),
        ("FI/helsinki-wellbeing-services", "FI/migri", "not this office's"),
    ],
)
async def test_a_file_that_its_office_cannot_open_is_told_at_both_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, key: str, why: str
) -> None:
    """No message takes it; from a node that does not look it is delivered as it is, and its office called to ask for it anew."""
    sender, sealed = office("EE/social-insurance-board"), io.BytesIO()
    listed = authority_key(office(key))
    seal_file(io.BytesIO(b"short"), sealed, name="Test-Mari.txt", sender=sender, recipient=office(to), key=listed)
    async with World.create(tmp_path, ("EE", "FI")) as world:
        file = await world["EE"].upload(sealed.getvalue(), "1.sealed")
        with pytest.raises(AttachmentRefused) as refused:
            await world["EE"].submit("request.json", attachments=(file,))
        assert refused.value.where == "/attachments/0/upload"
        assert why.replace("this", "the receiving") in refused.value.detail
        assert (await world["EE"].store.read(lambda reader: reader.counts()))["outbox.recorded"] == 0

        async def does_not_look(*_: object) -> None:
            """As an older program's node."""

        monkeypatch.setattr(SealedFiles, "check", does_not_look)
        accepted = await world["EE"].submit("request.json", attachments=(file,))
        await world.settle()

        assert await world["EE"].states(accepted) == ["handed-over"]
        assert await received(world["FI"], "EE", accepted) == [sealed.getvalue()]
        page = await world["FI"].store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
        (entry,) = page.items
        assert (entry.code, entry.authority) == ("sealed-to-another", "helsinki-wellbeing-services")
        assert why in entry.detail


async def test_a_file_that_only_says_that_it_is_sealed_is_not_taken(tmp_path: Path) -> None:
    """Nothing goes past the rules on types under the name of a sealed file; what was uploaded is gone."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        for raw in (b"TRMS\x01", b"TRMS\x01\x00\x00\x00\x02{}MZ", b"TRMS\x01" + THREE):
            with pytest.raises(AttachmentRefused):
                await world["EE"].upload(raw, "1.sealed")
        assert world["EE"].blobs.held == {}


async def test_the_message_is_shown_at_once_and_counts_when_its_attachment_is_whole(tmp_path: Path) -> None:
    """Without the last chunk it is in the record and not delivered; nobody can say that he has seen it whole."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        accepted = await send(world["EE"], THREE)
        await world["EE"].step()  # the message and its chunks leave
        last = world.network.waiting[CountryCode("FI")].pop()
        await world.settle()

        fi = world["FI"]
        assert (await fi.view(accepted.procedure)).state == (await world["EE"].view(accepted.procedure)).state
        assert await world["EE"].states(accepted) == ["published"]
        with pytest.raises(AttachmentIncomplete):
            await received(fi, "EE", accepted)
        office = (await fi.view(accepted.procedure)).row.our_authority
        with pytest.raises(AttachmentIncomplete):
            await fi.desk.open_message(accepted.message, officer(office))

        world.network.waiting[CountryCode("FI")].append(last)
        await world.settle()
        assert await received(fi, "EE", accepted) == [THREE]
        assert await world["EE"].states(accepted) == ["handed-over"]


async def test_both_sides_date_an_answer_with_files_by_its_last_chunk(tmp_path: Path) -> None:
    """It came in time without its file, and after the end with it: neither side calls the deadline met, both name one moment."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        ee, fi = world["EE"], world["FI"]
        request = await ee.submit("request.json")
        await world.settle()
        answer = fi.submission("acknowledgement.json", procedure=request.procedure)
        file = await fi.upload(THREE, office=answer.sender_authority)
        await fi.submit("acknowledgement.json", procedure=request.procedure, attachments=(file,))
        await fi.step()
        last = world.network.waiting[CountryCode("EE")].pop()
        await world.settle()
        world.clock.advance(10 * 86_400)
        for country in (ee, fi):
            standing = (await country.view(request.procedure)).deadlines[0]
            assert (standing.phase, standing.came) == (Phase.CAME_LATE, None)

        world.network.waiting[CountryCode("EE")].append(last)
        await world.settle()
        shown = [(await country.view(request.procedure)).deadlines[0] for country in (ee, fi)]
        assert [one.phase for one in shown] == [Phase.CAME_LATE, Phase.CAME_LATE]
        assert shown[0].came == shown[1].came is not None


async def test_a_file_whose_reader_died_is_read_again_within_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it was here when the node died: nobody waits longer for it than for a message."""

    async def died(*_: object) -> bytes:
        raise StoreUnavailable

    async with World.create(tmp_path, ("EE", "FI")) as world:
        accepted = await send(world["EE"], THREE)
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(world["FI"].desk.blobs, "get", died)
            with pytest.raises(StoreUnavailable):
                await world.settle()
        world.clock.advance(61)
        await world.settle()

        assert await world["EE"].states(accepted) == ["handed-over"]


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_the_network_does_the_file_arrives_once(tmp_path: Path, seed: int) -> None:
    """Chunks and messages are lost, doubled and turned around; asking for what lacks brings the rest."""
    chance = random.Random(seed)
    async with World.create(tmp_path, ("EE", "FI")) as world:
        accepted = await send(world["EE"], THREE, b"short")
        for _ in range(30):
            for waiting in world.network.waiting.values():
                chance.shuffle(waiting)
                chunks = [delivery for delivery in waiting if is_chunk(delivery.raw)]
                for delivery in chunks:
                    if chance.random() < 0.3:
                        waiting.remove(delivery)
                    elif chance.random() < 0.3:
                        waiting.append(delivery)
            for country in world.countries.values():
                await country.step()
            world.clock.advance(660)
        await world.settle()
        world.clock.advance(25200)
        await world.settle()

        assert await received(world["FI"], "EE", accepted) == [THREE, b"short"]
        assert await world["EE"].states(accepted) == ["handed-over"]
        assert (await world["EE"].view(accepted.procedure)).digest == (
            await world["FI"].view(accepted.procedure)
        ).digest


async def test_chunks_before_their_message_are_parked_and_used(tmp_path: Path) -> None:
    """A message that is late finds its chunks here; they are asked for by nobody."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        accepted = await send(world["EE"], THREE)
        await world["EE"].engine.dispatch()
        message = world.network.waiting[CountryCode("FI")].pop()
        await world.settle()
        assert world["FI"].outcomes == ["chunk-parked"] * 3

        world.network.waiting[CountryCode("FI")].append(message)
        await world.settle()
        assert await received(world["FI"], "EE", accepted) == [THREE]
        assert sum(isinstance(sealed, SealedChunk) for sealed in world.network.published) == 3
        assert len(world["FI"].blobs.held) == 1


async def test_chunks_of_a_message_that_is_sealed_anew_wait_for_it(tmp_path: Path) -> None:
    """Refused for its envelope alone it comes again: its chunks are no abuse, and nobody waits until they are asked for."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        accepted = await send(world["EE"], THREE)
        await world["EE"].step()
        world.clock.advance(31 * 86_400)
        await world.settle()

        assert world["FI"].outcomes == ["expired", *["chunk-parked"] * 3, "recorded"]
        assert await received(world["FI"], "EE", accepted) == [THREE]


async def test_a_flood_of_chunks_is_bounded_and_stops_nothing(tmp_path: Path) -> None:
    """A hostile member's chunks for messages that never come keep to its own places; another's message passes."""
    async with World.create(tmp_path, ("EE", "FI", "SE")) as world:
        accepted = await send(world["EE"], b"x")
        await world["EE"].step()
        chunk = next(delivery for delivery in world.network.waiting[CountryCode("FI")] if is_chunk(delivery.raw))
        for number in range(PARKED_MAX_CHUNKS + 30):
            forged = bytearray(chunk.raw)
            forged[5:7], forged[25:29] = b"SE", number.to_bytes(4, "big")
            world.network.waiting[CountryCode("FI")].insert(0, Delivery(raw=bytes(forged), queue="chunk", user="SE"))
        await world.settle()

        assert await received(world["FI"], "EE", accepted) == [b"x"]
        assert len(world["FI"].blobs.held) == PARKED_MAX_CHUNKS + 1


@pytest.mark.parametrize(
    ("change", "user", "code"),
    [
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "EE", "decrypt-failed"),
        (lambda raw: raw[:5] + b"SE" + raw[7:], "EE", "chunk-unknown"),
        (lambda raw: raw, "SE", "chunk-unknown"),
        (lambda raw: raw[:7] + b"SE" + raw[9:], "EE", "not-for-us"),
        (lambda raw: raw[:25] + bytes(32) + raw[57:], "EE", "chunk-unknown"),
        (lambda raw: raw[:200], "EE", "chunk-shape"),
        (lambda raw: raw + bytes(CHUNK_BYTES), "EE", "too-large"),
    ],
    ids=["changed", "another sender", "another's user", "for another", "unknown handle", "cut", "too large"],
)
async def test_a_bad_chunk_is_dropped_and_counted_and_the_good_one_taken(tmp_path, change, user, code) -> None:
    """What does not belong is not kept; the right chunk after it completes the file."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        fi, accepted = world["FI"], await send(world["EE"], b"x")
        await world["EE"].engine.dispatch()
        await fi.step()
        await world["EE"].engine.carry()
        (good,) = world.network.waiting[CountryCode("FI")]
        world.network.waiting[CountryCode("FI")][:] = [Delivery(raw=change(good.raw), queue="chunk", user=user)]
        await fi.step()

        assert fi.outcomes[-1] == code
        assert await fi.store.run(lambda tx: tx.count_abuse(user, code, world.clock.now())) == 2
        assert fi.blobs.held == {}
        world.network.waiting[CountryCode("FI")].append(good)
        await world.settle()
        assert await received(fi, "EE", accepted) == [b"x"]


async def test_a_file_that_is_not_what_its_message_says_is_never_delivered(tmp_path: Path) -> None:
    """A lying sender's chunks open and their sum is wrong: the bytes go, a person is called, nothing is asked for."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        ee, fi = world["EE"], world["FI"]
        accepted = await send_another_file(ee)
        await world.settle()
        world.clock.advance(108000)
        await world.settle()

        assert await ee.states(accepted) == ["published"]
        assert await fi.attention() == ["attachment-spoiled"]
        assert fi.blobs.held == {}
        with pytest.raises(AttachmentIncomplete):
            await received(fi, "EE", accepted)


async def test_two_readers_of_a_file_that_is_not_what_its_message_says_ask_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower one finds the bytes gone that the other one dropped: nothing lacks that should come again."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        fi = world["FI"]
        await send_another_file(world["EE"])
        get, began = fi.blobs.get, list[str]()

        async def slow(blob: str, index: int) -> bytes:
            began.append(blob)
            if len(began) == 1:
                world.clock.advance(61)
                await fi.engine.complete()
            return await get(blob, index)

        monkeypatch.setattr(fi.desk.blobs, "get", slow)
        await world.settle()
        world.clock.advance(108_000)
        await world.settle()

        assert len(began) == 2
        assert len([sealed for sealed in world.network.published if isinstance(sealed, SealedChunk)]) == 1
        assert await fi.attention() == ["attachment-spoiled"]


async def test_a_reader_who_was_overtaken_does_not_call_a_file_whole_that_has_lost_a_part_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the faster one found gone is asked for: delivered is signed when it has come again, and not before."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        fi, plain = world["FI"], b"z" * (CHUNK_BYTES + 1)
        accepted = await send(world["EE"], plain)
        get, reads = fi.blobs.get, list[int]()

        async def slow(blob: str, index: int) -> bytes:
            reads.append(index)
            if len(reads) == 2:
                del fi.blobs.held[blob][0]
                world.clock.advance(61)
                await fi.engine.complete()
            return await get(blob, index)

        monkeypatch.setattr(fi.desk.blobs, "get", slow)
        await world.settle()
        world.clock.advance(700)
        await world.settle()

        assert await received(fi, "EE", accepted) == [plain]
        assert await world["EE"].states(accepted) == ["handed-over"]


async def test_a_file_that_was_lost_here_is_asked_for_again_when_somebody_reads_it(tmp_path: Path) -> None:
    """A delivered file whose chunk is gone or damaged is shown to nobody before it is whole again; no receipt is doubled."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        ee, fi = world["EE"], world["FI"]
        accepted = await send(ee, THREE, b"short")
        await world.settle()
        about = (CountryCode("EE"), accepted.message)
        receipts = await fi.store.read(lambda reader: reader.receipts_about(*about))
        row = (await fi.store.read(lambda reader: reader.attachments_of(*about)))[0]
        await fi.blobs.put(row.blob, 1, b"damaged")
        with pytest.raises(StoreCorrupt):
            await received(fi, "EE", accepted)
        with pytest.raises(AttachmentIncomplete):
            await received(fi, "EE", accepted)
        await world.settle()

        assert await received(fi, "EE", accepted) == [THREE, b"short"]
        assert [sealed.index for sealed in world.network.published if isinstance(sealed, SealedChunk)][4:] == [1]
        assert await fi.store.read(lambda reader: reader.receipts_about(*about)) == receipts
        assert await ee.states(accepted) == ["handed-over"]
        assert await ee.attention() == await fi.attention() == []


async def test_a_full_disk_keeps_the_chunk_with_its_sender(tmp_path: Path) -> None:
    """Nothing is decided while there is no room; afterwards the same chunk completes the file."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        fi, accepted = world["FI"], await send(world["EE"], b"x")
        await world["EE"].engine.dispatch()
        await fi.step()
        await world["EE"].engine.carry()
        fi.blobs.fault = DiskFull()
        with pytest.raises(DiskFull):
            await fi.step()
        assert len(world.network.waiting[CountryCode("FI")]) == 1

        fi.blobs.fault = None
        await world.settle()
        assert await received(fi, "EE", accepted) == [b"x"]


async def test_what_the_transport_took_is_not_sent_again_after_a_cut(tmp_path: Path) -> None:
    """The first chunks are confirmed, then the line is down: afterwards only the rest leaves."""
    plain = b"s" * (6 * CHUNK_BYTES)
    async with World.create(tmp_path, ("EE", "FI")) as world:
        ee, accepted = world["EE"], await send(world["EE"], plain)
        await ee.engine.dispatch()
        await ee.engine.carry()
        world.network.fault = PublishRefused()
        await ee.engine.carry()
        world.network.fault = None
        world.clock.advance(3600)
        await world.settle()

        sent = [sealed.index for sealed in world.network.published if isinstance(sealed, SealedChunk)]
        assert sorted(sent) == list(range(6))
        assert await received(world["FI"], "EE", accepted) == [plain]


async def test_who_lacks_chunks_asks_and_a_person_is_called_in_the_end(tmp_path: Path) -> None:
    """Everything that follows the message is lost: the question is repeated ever less often, and officers are told."""
    async with World.create(tmp_path, ("EE", "FI")) as world:
        accepted = await send(world["EE"], b"x")
        await world["EE"].engine.dispatch()
        await world["FI"].step()
        await world["EE"].engine.carry()
        world.network.waiting[CountryCode("FI")].clear()
        questions = 0
        for _ in range(60):
            world.clock.advance(1800)
            await world["FI"].step()
            questions += len(world.network.waiting[CountryCode("EE")])
            world.network.waiting[CountryCode("EE")].clear()

        assert 5 <= questions <= 14
        assert await world["FI"].attention() == ["attachment-late"]
        world.clock.advance(25200)
        await world.settle()
        assert await received(world["FI"], "EE", accepted) == [b"x"]
        assert await world["FI"].attention() == []


async def test_another_country_cannot_ask_for_chunks_that_were_not_sent_to_it(tmp_path: Path) -> None:
    """A question about somebody else's message, or asked again at once, sends nothing."""
    async with World.create(tmp_path, ("EE", "FI", "SE")) as world:
        accepted = await send(world["EE"], b"x")
        await world.settle()
        before = sum(isinstance(sealed, SealedChunk) for sealed in world.network.published)
        message, row = (
            MessageId(accepted.message),
            await world["EE"].store.read(lambda reader: reader.attachments_of(CountryCode("EE"), accepted.message)[0]),
        )
        from broker.core.content import entry_of
        from broker.core.messages import OutboxKind
        from broker.core.missing import Missing, to_body
        from broker.core.owed_chunks import OwedChunks
        from broker.ledger import node_header
        from broker.reception.deciding import MISSING_TYPE

        for name, digest in (("SE", accepted.digest), ("FI", "ab" * 32)):
            asker = world[name]
            question = Missing(message=message, digest=digest, handle=row.handle, chunks=OwedChunks([0]))
            now, to = world.clock.now(), CountryCode("EE")
            header = node_header(asker.ids, MISSING_TYPE, us=asker.us, peer=to, created=now)
            entry = entry_of(header, to_body([question]), OutboxKind.RECEIPTS)
            await asker.store.run(lambda tx, entry=entry: tx.add_outbox(entry, next_at=world.clock.now()))
        await world.settle()

        assert world["EE"].outcomes.count("missing") == 2
        assert sum(isinstance(sealed, SealedChunk) for sealed in world.network.published) == before


async def test_files_for_a_silent_queue_hold_up_no_other_countrys(tmp_path: Path) -> None:
    """Its chunks are sent apart once they took long to fail; nothing of them is lost when the queue is back."""
    async with World.create(tmp_path, ("EE", "FI", "SE")) as world:
        ee, carry = world["EE"], world["EE"].engine.carry
        real, silent = carry._transport, True

        class SilentQueue:
            async def publish(self, chunk: Any, *, apart: bool = False) -> None:
                if silent and chunk.recipient == CountryCode("FI"):
                    world.clock.advance(90)
                    raise PublishUnconfirmed
                await real.publish(chunk)

        carry._transport = cast("Any", SilentQueue())
        held_up = [await send(ee, THREE) for _ in range(5)]
        file = await ee.upload(THREE)
        in_sweden = Party(country=CountryCode("SE"), authority=AuthorityId("gender-equality-agency"))
        quick = await ee.submit("request.json", recipient=in_sweden, attachments=(file,))
        await ee.engine.dispatch()
        assert [await carry() for _ in range(3)] == [3, 3, 0]
        chunks = [one for one in world.network.published if isinstance(one, SealedChunk)]
        assert [chunk.recipient for chunk in chunks] == ["SE"] * 3

        silent = False
        world.clock.advance(301)
        await world.settle()
        assert await ee.states(*held_up, quick) == ["handed-over"] * 6


async def test_files_for_a_queue_that_is_back_do_not_wait_behind_all_those_for_a_silent_one(tmp_path: Path) -> None:
    """Two countries are sent to apart: each has its turn, however many files wait for the other."""
    async with World.create(tmp_path, ("EE", "FI", "SE")) as world:
        ee, carry = world["EE"], world["EE"].engine.carry
        real, silent = carry._transport, {"FI", "SE"}
        tried: list[str] = []

        class SilentQueues:
            async def publish(self, chunk: Any, *, apart: bool = False) -> None:
                tried.append(chunk.recipient)
                if chunk.recipient in silent:
                    world.clock.advance(90)
                    raise PublishUnconfirmed
                await real.publish(chunk)

        carry._transport = cast("Any", SilentQueues())
        in_sweden = Party(country=CountryCode("SE"), authority=AuthorityId("gender-equality-agency"))
        await send(ee, b"A synthetic text.")
        await ee.submit("request.json", recipient=in_sweden, attachments=(await ee.upload(b"A synthetic text."),))
        await ee.engine.dispatch()
        assert [await carry() for _ in range(3)] == [1, 1, 0]
        for _ in range(8):
            await send(ee, b"A synthetic text.")
        await ee.engine.dispatch()
        world.clock.advance(301)
        silent.remove("SE")
        del tried[:]
        assert [await carry.apart() for _ in range(2)] == [1, 1]
        assert "SE" in tried
