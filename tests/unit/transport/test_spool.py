# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The spool's own life: pauses, claims of dead and hanging processes, foreign files."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from broker.core.errors import DiskFull, NodeError, PublishRefused, TransportUnavailable, Unroutable
from broker.testing.clock import HandClock
from broker.testing.transport_contract import EE, FI, sealed, take
from broker.transport import spool_folder
from broker.transport.spool import SpoolTransport, create
from broker.transport.spool_folder import SpoolFolder, file_name
from broker.transport.topology import MAX_MESSAGE_BYTES

_CRASH = """
import os, sys
from pathlib import Path
from broker.core.ids import CountryCode
from broker.transport.spool_folder import SpoolFolder
folder = SpoolFolder(Path(sys.argv[1]), CountryCode("FI"), "c" * 16)
print(len(folder.claim(10, 9_999_999_999)))
sys.stdout.flush()
sys.stdin.read()
"""


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Give a spool of EE and FI."""
    create(tmp_path / "spool", [EE, FI])
    return tmp_path / "spool"


def names(folder: Path, part: str) -> list[str]:
    """Return the envelope files in one part of FI's folder."""
    return sorted(path.name for path in (folder / "FI" / part).iterdir() if path.suffix != ".lock")


def unplug(spool: Path) -> None:
    """Take the medium away."""
    spool.rename(spool.with_name("unplugged"))


async def publish(spool: Path, *envelopes) -> None:
    """Publish as EE."""
    sender = SpoolTransport(spool, EE, HandClock())
    for envelope in envelopes:
        await sender.publish(envelope)
    await sender.close()


async def test_a_file_name_is_id_and_digest_and_fits_every_file_system(spool: Path) -> None:
    """Names hold no country, authority or person, and no character or case that FAT cannot keep."""
    envelope = sealed()
    await publish(spool, envelope)
    assert names(spool, "new") == [f"{envelope.id}.{envelope.sha256[:16]}.jwe"]
    assert names(spool, "tmp") == []
    name = file_name(envelope)
    assert name == name.lower()
    assert len(name) < 100
    assert not set(name) & set('<>:"/\\|?* ')


async def test_publishing_the_same_envelope_again_leaves_one_file(spool: Path) -> None:
    """A retry replaces the file by the same bytes."""
    envelope = sealed()
    await publish(spool, envelope, envelope)
    assert len(names(spool, "new")) == 1
    assert (spool / "FI" / "new" / file_name(envelope)).read_bytes() == envelope.raw


@pytest.mark.parametrize(
    ("number", "error"),
    [(28, DiskFull), (122, DiskFull), (13, PublishRefused), (30, PublishRefused), (5, TransportUnavailable)],
)
async def test_each_fault_of_the_medium_has_its_error(
    spool: Path, monkeypatch, number: int, error: type[NodeError]
) -> None:
    """A full, protected or failing medium is told apart, leaves no half file and no path in the text."""

    def fail(_descriptor: int) -> None:
        raise OSError(number, "text with a path")

    monkeypatch.setattr(spool_folder.os, "fsync", fail)
    with pytest.raises(error) as raised:
        await publish(spool, sealed())
    assert "path" not in str(raised.value)
    assert names(spool, "tmp") == names(spool, "new") == []


async def test_a_missing_country_and_a_missing_medium_are_told_apart(spool: Path) -> None:
    """No folder of the country is Unroutable; no spool at all is TransportUnavailable."""
    (spool / "FI").rename(spool / "other")
    with pytest.raises(Unroutable):
        await publish(spool, sealed())
    unplug(spool)
    with pytest.raises(TransportUnavailable):
        await publish(spool, sealed())


async def test_the_reader_polls_and_can_be_woken(spool: Path) -> None:
    """An empty folder is looked at again after the poll time, or at once when woken."""
    clock = HandClock()
    reader = SpoolTransport(spool, FI, clock, poll_seconds=5.0)
    taking = asyncio.create_task(take(reader))
    await clock.until_sleeping()
    first, second = sealed(), sealed()
    await publish(spool, first)
    assert not taking.done()
    clock.advance(5.0)
    assert [d.raw for d in await taking] == [first.raw]
    taking = asyncio.create_task(take(reader))
    await clock.until_sleeping()
    await publish(spool, second)
    reader.wake()
    assert [d.raw for d in await taking] == [second.raw]
    assert clock.monotonic() == 5.0
    await reader.close()


async def test_a_given_back_file_comes_after_a_pause_that_grows(spool: Path) -> None:
    """`again` is no hot loop: one second, then two, then four."""
    clock = HandClock()
    reader = SpoolTransport(spool, FI, clock, jitter=lambda: 1.0, poll_seconds=1_000.0)
    await publish(spool, sealed())
    arrivals = []
    for _ in range(4):
        (delivery,) = await take(reader, settle=False)
        arrivals.append(clock.monotonic())
        await reader.again(delivery)
        await clock.until_sleeping()
        clock.advance(min(item[0] for item in clock._sleepers if not item[2].done()) - clock.monotonic())
    assert arrivals == [0.0, 1.0, 3.0, 7.0]
    await reader.close()
    assert len(names(spool, "new")) == 1


def test_a_dead_process_gives_its_claims_back(spool: Path) -> None:
    """While it lives its claims are its own; killed, another process gets them at once."""
    envelope = sealed()
    asyncio.run(publish(spool, envelope))
    crashing = subprocess.Popen(
        [sys.executable, "-c", _CRASH, str(spool)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert crashing.stdout.readline() == b"1\n"
    other = SpoolFolder(spool, FI, "d" * 16)
    assert other.recover(now=0) == 0
    assert other.claim(10, 0) == []
    crashing.kill()
    crashing.communicate()
    assert other.recover(now=0) == 1
    assert [claim.name for claim in other.claim(10, 0)] == [file_name(envelope)]
    other.close()


async def test_a_hanging_process_loses_its_claims_by_expiry(spool: Path) -> None:
    """A claim past its expiry returns although its owner still holds its lock."""
    await publish(spool, sealed())
    hanging, other = SpoolFolder(spool, FI, "a" * 16), SpoolFolder(spool, FI, "b" * 16)
    assert len(hanging.claim(10, expires=1_000)) == 1
    assert other.recover(now=999) == 0
    assert other.recover(now=1_000) == 1
    assert len(names(spool, "new")) == 1
    hanging.close()
    other.close()


async def test_a_claim_that_its_own_process_forgot_returns_by_expiry(spool: Path) -> None:
    """When the medium answers too late, or a claim cannot be given back, the file comes again without a restart."""
    await publish(spool, sealed())
    folder = SpoolFolder(spool, FI, "a" * 16)
    assert len(folder.claim(10, expires=1_000)) == 1
    assert folder.recover(now=999) == 0
    assert folder.recover(now=1_000) == 1
    assert len(names(spool, "new")) == 1
    folder.close()


async def test_only_whole_envelope_files_are_read(spool: Path) -> None:
    """Links, folders, pipes and other names stay where they are; a misnamed envelope is told to the operator."""
    new = spool / "FI" / "new"
    good = sealed()
    (spool / "secret").write_bytes(b"not for reading")
    (new / file_name(sealed())).symlink_to(spool / "secret")
    (new / file_name(sealed())).mkdir()
    os.mkfifo(new / file_name(sealed()))
    (new / ".DS_Store").write_bytes(b"")
    reader = SpoolTransport(spool, FI, HandClock())
    await publish(spool, good)
    assert [d.raw for d in await take(reader)] == [good.raw]
    assert len(list(new.iterdir())) == 4
    (new / "scan from phone.jwe").write_bytes(b"x")
    assert "names" in (await reader.health() or "")
    await reader.close()


def test_a_file_that_cannot_be_taken_holds_up_no_other(spool: Path) -> None:
    """Those behind it are claimed; alone, it is a fault that health and log tell of."""
    folder = SpoolFolder(spool, FI, "a" * 16)
    first, *others = sorted((sealed() for _ in range(3)), key=file_name)
    for envelope in (first, *others):
        folder.put(envelope)
    (spool / "FI" / "claimed" / f"{file_name(first)}.{'a' * 16}.900").mkdir()
    assert [claim.name for claim in folder.claim(10, 900)] == [file_name(envelope) for envelope in others]
    with pytest.raises(TransportUnavailable):
        folder.claim(10, 900)
    assert names(spool, "new") == [file_name(first)]
    told = folder.trouble() or ""
    assert told.startswith("1 of the spool's files")
    assert file_name(first) in told
    (spool / "FI" / "claimed" / f"{file_name(first)}.{'a' * 16}.900").rmdir()
    (claim,) = folder.claim(10, 900)
    assert folder.read(claim) == first.raw
    assert folder.trouble() is None
    folder.close()


def test_nobody_waits_for_what_was_put_in_the_place_of_a_claimed_file(spool: Path) -> None:
    """A pipe without a writer is a fault, which the reader meets again after a pause."""
    folder = SpoolFolder(spool, FI, "a" * 16)
    folder.put(sealed())
    (claim,) = folder.claim(10, 900)
    claim.path.unlink()
    os.mkfifo(claim.path)
    with pytest.raises(TransportUnavailable):
        folder.read(claim)
    folder.close()


@pytest.mark.parametrize(
    ("number", "error", "sentence"),
    [
        (errno.ENOTCONN, TransportUnavailable, "The spool folder cannot be used."),
        (errno.EACCES, PublishRefused, "The spool folder may not be written."),
    ],
)
@pytest.mark.parametrize("place", ["", "FI/new"])
async def test_a_share_that_fails_is_told_as_one(
    spool: Path, monkeypatch: pytest.MonkeyPatch, place: str, number: int, error: type[NodeError], sentence: str
) -> None:
    """Whoever heard that the folder or its country is missing would make another, or look for a stick."""
    whole = os.stat

    def failing(path: Any, **more: Any) -> os.stat_result:
        if Path(path) == spool / place:
            raise OSError(number, "no answer", str(path))
        return whole(path, **more)

    monkeypatch.setattr(os, "stat", failing)
    with pytest.raises(error, match=sentence):
        SpoolFolder(spool, EE, "a" * 16).put(sealed())
    assert SpoolFolder(spool, FI, "b" * 16).trouble() == sentence


async def test_a_file_that_is_never_read_is_told_until_somebody_takes_it_away(spool: Path) -> None:
    """P7: it is tried on, and health, by which a person is called, names it; what lies behind it is delivered."""
    broken, whole = sorted((sealed(), sealed()), key=file_name)
    await publish(spool, broken, whole)
    reader = SpoolTransport(spool, FI, HandClock())
    os_open = os.open

    def refuses(path: Any, *arguments: Any, **more: Any) -> int:  # a bad sector; the superuser may read what nobody may
        if file_name(broken) in str(path):
            raise OSError(errno.EIO, "input/output error", str(path))
        return os_open(path, *arguments, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", refuses)
        [delivery] = await take(reader, 1)
        assert delivery.raw == whole.raw
        told = await reader.health() or ""
    assert file_name(broken) in told
    assert "tried on" in told
    for part in ("new", "claimed"):
        for file in (spool / "FI" / part).glob(f"{file_name(broken)}*"):
            file.unlink()
    assert await reader.health() is None
    await reader.close()


async def test_an_oversized_file_is_cut_one_byte_above_the_limit(spool: Path) -> None:
    """The reader never takes more into memory than the size check needs to refuse it."""
    envelope = sealed(size=MAX_MESSAGE_BYTES + 5_000)
    await publish(spool, envelope)
    reader = SpoolTransport(spool, FI, HandClock())
    (delivery,) = await take(reader)
    assert len(delivery.raw) == MAX_MESSAGE_BYTES + 1
    await reader.close()


async def test_unfinished_files_of_yesterday_are_cleared(spool: Path) -> None:
    """A writer that crashed leaves a part; it goes after a day, a younger one stays."""
    old, young = spool / "FI" / "tmp" / "old.part", spool / "FI" / "tmp" / "young.part"
    for path, modified in ((old, 0), (young, 100_000)):
        path.write_bytes(b"half")
        os.utime(path, (modified, modified))
    reader = SpoolFolder(spool, FI, "a" * 16)
    reader.recover(now=100_000)
    assert names(spool, "tmp") == ["young.part"]
    reader.close()


async def test_making_the_folders_again_keeps_what_lies_in_them(spool: Path) -> None:
    """`create` is safe on a spool in use."""
    await publish(spool, sealed())
    create(spool, [EE, FI])
    assert len(names(spool, "new")) == 1
