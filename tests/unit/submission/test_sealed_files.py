# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A message takes no sealed file that its office could not open."""

from __future__ import annotations

import io

import pytest

from broker.core.attachments import SEALED_TYPE, Attachment, chunk_count
from broker.core.canonical import b64url_encode
from broker.core.errors import AttachmentRefused, StoreCorrupt
from broker.core.ids import Digest, MessageId, MessageType, SchemaVersion
from broker.core.messages import Header, Party
from broker.sealed.files import seal_file
from broker.security.chunks import blob_of, seal_stored
from broker.submission.sealed_files import SealedFiles
from broker.testing.offices import authority_key, office
from broker.testing.world import Country, World

SENDER, RECIPIENT, OTHER = (
    office(name) for name in ("EE/social-insurance-board", "FI/helsinki-wellbeing-services", "FI/migri")
)


def _header(country: Country, *files: Attachment) -> Header:
    return Header(
        id=MessageId("01920000-0000-7000-8000-000000000001"), type=MessageType("family-tracing.request"),
        version=SchemaVersion("1.0"), sender=SENDER, recipient=RECIPIENT, created=country.clock.now(), exercise=False,
        nonce="", attachments=files,
    )  # fmt: skip


async def _stored(country: Country, number: int, recipient: Party) -> Attachment:
    """Put a file that was sealed to that office on the disk, as an upload does."""
    sealed = io.BytesIO()
    listed = authority_key(recipient)
    seal_file(io.BytesIO(b"Test"), sealed, name="a.txt", sender=SENDER, recipient=recipient, key=listed)
    file = Attachment(
        name=f"{number}.sealed", kind="REPORT", media_type=SEALED_TYPE, size=len(sealed.getvalue()),
        digest=Digest("0" * 64), key=b64url_encode(bytes([number]) * 32), chunks=chunk_count(len(sealed.getvalue())),
    )  # fmt: skip
    await country.blobs.put(blob_of(file.key_bytes), 0, seal_stored(sealed.getvalue(), file.key_bytes, 0))
    return file


async def test_each_sealed_file_is_held_to_the_offices_of_its_message(world: World) -> None:
    """The one that is for another office is named by its place; what is not sealed is not even read."""
    ee = world["EE"]
    files = SealedFiles(blobs=ee.blobs, compute=ee.desk.compute, trust=ee.desk.trust)
    good, wrong = await _stored(ee, 1, RECIPIENT), await _stored(ee, 2, OTHER)
    plain = Attachment(
        name="b.txt", kind="REPORT", media_type="text/plain", size=1, digest=Digest("1" * 64), chunks=1,
        key=b64url_encode(bytes(32)),
    )  # fmt: skip
    await files.check(_header(ee, plain, good))
    with pytest.raises(AttachmentRefused) as refused:
        await files.check(_header(ee, plain, good, wrong))
    assert refused.value.where == "/attachments/2/upload"


async def test_a_file_that_is_damaged_on_the_disk_is_this_nodes_fault(world: World) -> None:
    """Gone or changed: the caller is not told that the file is wrong."""
    ee = world["EE"]
    files = SealedFiles(blobs=ee.blobs, compute=ee.desk.compute, trust=ee.desk.trust)
    good = await _stored(ee, 1, RECIPIENT)
    await ee.blobs.put(blob_of(good.key_bytes), 0, b"changed")
    with pytest.raises(StoreCorrupt):
        await files.check(_header(ee, good))
    await ee.blobs.drop(blob_of(good.key_bytes))
    with pytest.raises(StoreCorrupt):
        await files.check(_header(ee, good))
