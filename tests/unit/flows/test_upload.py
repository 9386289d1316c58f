# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Uploading a file: how many may wait, and two callers at one upload."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from broker.core.attachments import CHUNK_BYTES
from broker.core.errors import Overloaded, UploadConflict
from broker.core.ids import AuthorityId
from broker.core.messages import Uploaded
from broker.core.roles import AuditRole
from broker.rows import UploadRow
from broker.testing.world import Country, World

BOARD, MINISTRY = AuthorityId("social-insurance-board"), AuthorityId("ministry-of-justice")


async def _begun(country: Country, size: int = 9, office: AuthorityId = BOARD) -> UploadRow:
    return await country.desk.upload.begin(size, authority=office, actor="test", role=AuditRole.OFFICER)


async def _parts(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_an_office_fills_the_disk_with_no_uploads_without_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many wait for a message and no more, for each office by itself; one that a message took makes room."""
    monkeypatch.setattr("broker.flows.upload.MAX_UPLOADS", 2)
    ee = world["EE"]
    first, _ = await _begun(ee), await _begun(ee)
    with pytest.raises(Overloaded):
        await _begun(ee)
    await _begun(ee, office=MINISTRY)

    await ee.desk.upload.append(first.id, authority=BOARD, offset=0, parts=_parts(b"synthetic"))
    await ee.submit("request.json", attachments=(Uploaded(upload=first.id, name="note.txt", kind="REPORT"),))
    await _begun(ee)


async def test_of_two_callers_at_one_upload_one_goes_on(world: World) -> None:
    """The other is told so, and counts nothing: it asks how far the upload is, and goes on from there."""
    ee = world["EE"]
    plain = b"synthetic " * (CHUNK_BYTES // 5)
    row = await _begun(ee, len(plain))
    append = ee.desk.upload.append

    async def overtaken() -> AsyncIterator[bytes]:
        await append(row.id, authority=BOARD, offset=0, parts=_parts(plain[:CHUNK_BYTES]))
        yield plain[:CHUNK_BYTES]

    with pytest.raises(UploadConflict):
        await append(row.id, authority=BOARD, offset=0, parts=overtaken())
    found = await ee.desk.upload.find(row.id, authority=BOARD)
    assert (found.received, found.digest) == (CHUNK_BYTES, None)
    whole = await append(row.id, authority=BOARD, offset=CHUNK_BYTES, parts=_parts(plain[CHUNK_BYTES:]))
    assert whole.received == len(plain)
    assert whole.digest is not None
