# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm attachment`: upload files at the node's own store, and save what came with a message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.api import views
from broker.cli import output
from broker.cli.acting import office_of, operator, with_office
from broker.cli.input import new_file, parsed
from broker.core.errors import BadRequest
from broker.core.ids import AuthorityId, CountryCode, Digest, MessageId
from broker.core.roles import AuditRole

if TYPE_CHECKING:
    from broker.office import Office
    from broker.rows import UploadRow

__all__ = ["add", "save", "upload_all"]

_PART = 1_048_576  # bytes


def add(file: Path, home: Path, *, authority: str | None, as_json: bool) -> None:
    """Upload one file.

    Raises:
        AttachmentRefused: it may not travel.
        BadRequest: it cannot be read.
        NodeError: it could not be kept.
    """

    async def work(office: Office) -> UploadRow:
        return await _upload(office, office_of(office, authority), file)

    row = with_office(home, work)
    entry = {"upload": row.id, "name": file.name, "kind": "OTHER"}

    def people() -> None:
        output.console().print(f"Kept for a day: {row.size} bytes, {row.media_type}, digest {row.digest}.")
        output.console().print("In the submission, with the kind that it is:")
        output.console().print(output.plain(f'  "attachments": [{json.dumps(entry, ensure_ascii=False)}]'))

    output.answer({**views.upload(row), **entry}, as_json=as_json, people=people)


def save(
    message: str, digest: str, to: Path, home: Path, *, authority: str | None, peer: str | None, as_json: bool
) -> None:
    """Write an attachment into a new file.

    Raises:
        NotFound: that office has no such message or attachment.
        AttachmentIncomplete: not all of it has come.
        StoreCorrupt: a part of it is damaged here; no file is left.
        BadRequest: the file cannot be written, or is there already.
    """
    wanted, which = parsed(MessageId, message, "MESSAGE"), parsed(Digest, digest, "DIGEST")
    other = None if peer is None else parsed(CountryCode, peer, "--peer")

    async def work(office: Office) -> int:
        reading = await office.read_attachment(wanted, which, operator(office_of(office, authority)), peer=other)
        return await _write(to, reading.parts)

    size = with_office(home, work)
    output.answer(
        {"file": str(to), "size": size},
        as_json=as_json,
        people=lambda: output.console().print(f"{size} bytes in {to}."),
    )


async def upload_all(office: Office, us: AuthorityId, files: Sequence[str]) -> list[tuple[dict[str, Any], str]]:
    """Upload files given as FILE or FILE=KIND; return for each the submission's member and the digest of its bytes.

    Raises:
        AttachmentRefused: one of them may not travel.
        BadRequest: one of them cannot be read.
    """
    members = []
    for given in files:
        path, kind = _named(given)
        row = await _upload(office, us, path)
        members.append(({"upload": row.id, "name": path.name, "kind": kind}, str(row.digest)))
    return members


def _named(given: str) -> tuple[Path, str]:
    path, is_named, kind = given.rpartition("=")
    return (Path(path), kind) if is_named and not Path(given).exists() else (Path(given), "OTHER")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as error:
        raise BadRequest(f"The file cannot be read ({type(error).__name__}).", where=str(file)) from None


async def _upload(office: Office, us: AuthorityId, file: Path) -> UploadRow:
    begun = await office.upload.begin(_size(file), authority=us, actor=operator().actor, role=AuditRole.OPERATOR)
    return await office.upload.append(begun.id, authority=us, offset=0, parts=_parts(file))


async def _parts(file: Path) -> AsyncIterator[bytes]:
    try:
        with await asyncio.to_thread(file.open, "rb") as stream:
            while part := await asyncio.to_thread(stream.read, _PART):
                yield part
    except OSError as error:
        raise BadRequest(f"The file cannot be read ({type(error).__name__}).", where=str(file)) from None


async def _write(to: Path, parts: AsyncIterator[bytes]) -> int:
    size = 0
    with new_file(to) as stream:
        async for part in parts:
            await asyncio.to_thread(stream.write, part)
            size += len(part)
    return size
