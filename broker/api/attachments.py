# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Upload files part by part, and download attachments of messages; neither is ever whole in memory.

An upload goes on where it was cut: the caller asks for its offset and sends the rest (as tus 1.0 does, with its headers).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import hdrs, web

from broker.api import views
from broker.api.answers import answer
from broker.api.gate import SECURITY_HEADERS
from broker.api.messages import Direction
from broker.api.requests import PRINCIPAL, Query, path_id
from broker.api.routes import PREFIX
from broker.api.services import ApiServices
from broker.core.attachments import MEDIA_TYPES, Attachment
from broker.core.errors import BadRequest, UnsupportedMediaType
from broker.core.ids import CountryCode, Digest, MessageId
from broker.flows.read_attachment import Reading
from broker.logs import Event, Log
from broker.rows import UploadRow

__all__ = ["BYTES_TYPE", "UPLOAD_LENGTH", "UPLOAD_OFFSET", "Attachments", "disposition", "upload_id"]

UPLOAD_LENGTH = "Upload-Length"
UPLOAD_OFFSET = "Upload-Offset"
BYTES_TYPE = "application/offset+octet-stream"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,11}", re.ASCII)
_UPLOAD = re.compile(r"[0-9a-f]{32}", re.ASCII)


class Attachments:
    """Handlers under /attachments and /messages/{id}/attachments."""

    def __init__(self, services: ApiServices) -> None:
        self._services = services
        self._desk = services.desk
        self._log = Log("api")

    async def begin(self, request: web.Request) -> web.Response:
        """Make room for a file of the announced length; the bytes follow by PATCH, or at once in this body.

        Raises:
            AttachmentRefused: empty or too large, or a file that may not travel.
            Overloaded: too many uploads wait for a message.
        """
        Query(request).finish()
        principal, size = request[PRINCIPAL], _header_number(request, UPLOAD_LENGTH)
        row = await self._desk.upload.begin(
            size, authority=principal.authority, actor=principal.subject, role=principal.audit_role
        )
        if request.body_exists:
            row = await self._append(request, row.id, 0)
        return _answer(row, status=201)

    async def find(self, request: web.Request) -> web.Response:
        """Say how far an upload is.

        Raises:
            NotFound: there is none for the authority.
        """
        Query(request).finish()
        upload = path_id(request, upload_id)
        return _answer(await self._desk.upload.find(upload, authority=request[PRINCIPAL].authority))

    async def append(self, request: web.Request) -> web.Response:
        """Take the bytes from the stated offset on.

        Raises:
            NotFound: there is no such upload for the authority.
            UploadConflict: it stands at another offset.
            AttachmentRefused: more than announced, or a file that may not travel.
        """
        Query(request).finish()
        upload = path_id(request, upload_id)
        return _answer(await self._append(request, upload, _header_number(request, UPLOAD_OFFSET)))

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Stream an attachment of a message of the authority.

        Raises:
            NotFound: there is none.
            AmbiguousMessage: several countries used the message's id.
            AttachmentIncomplete: not all of it is here.
        """
        query = Query(request)
        direction, peer = query.take("direction", Direction), query.take("peer", CountryCode)
        query.finish()
        message, digest = path_id(request, MessageId), path_id(request, Digest, name="digest")
        reading = await self._desk.read_attachment(
            message, digest, request[PRINCIPAL].who, direction=direction, peer=peer
        )
        return await self._stream(request, reading)

    async def _append(self, request: web.Request, upload: str, offset: int) -> UploadRow:
        if request.content_type != BYTES_TYPE:
            raise UnsupportedMediaType(f"The bytes of a file come as {BYTES_TYPE}.")
        return await self._desk.upload.append(
            upload, authority=request[PRINCIPAL].authority, offset=offset, parts=self._parts(request)
        )

    async def _parts(self, request: web.Request) -> AsyncIterator[bytes]:
        """Yield the body as it comes; a caller that stops sending is not waited for."""
        try:
            while True:
                async with asyncio.timeout(self._services.limits.body_seconds):
                    part = await request.content.readany()
                if not part:
                    return
                yield part
        except TimeoutError:
            raise BadRequest("The body did not go on; ask for the offset and send the rest.") from None
        except (aiohttp.ClientError, ConnectionError):
            raise BadRequest("The body was cut off; ask for the offset and send the rest.") from None

    async def _stream(self, request: web.Request, reading: Reading) -> web.StreamResponse:
        attachment = reading.attachment
        response = web.StreamResponse(headers={**SECURITY_HEADERS, **_headers(attachment)})
        await response.prepare(request)
        try:
            async for part in reading.parts:
                await response.write(part)
            await response.write_eof()
        except Exception as error:  # the answer has begun: only a cut tells the caller, by the missing length
            self._log.error(Event.HTTP_FAILED, error, status=200)
            response.force_close()
            if request.transport is not None:
                request.transport.abort()
        return response


def upload_id(text: str) -> str:
    """Return the identifier of an upload.

    Raises:
        ValueError: it does not have its form.
    """
    if _UPLOAD.fullmatch(text) is None:
        raise ValueError("not an upload")
    return text


def disposition(attachment: Attachment) -> str:
    """Return how a browser saves it: never shown in place, its name in full only in RFC 8187's form."""
    plain = f"attachment.{MEDIA_TYPES[attachment.media_type][0]}"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(attachment.name, safe='')}"


def _headers(attachment: Attachment) -> dict[str, str]:
    return {
        hdrs.CONTENT_TYPE: attachment.media_type,
        hdrs.CONTENT_LENGTH: str(attachment.size),
        hdrs.CONTENT_DISPOSITION: disposition(attachment),
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    }


def _header_number(request: web.Request, name: str) -> int:
    values = request.headers.getall(name, [])
    if len(values) != 1 or _NUMBER.fullmatch(values[0]) is None:
        raise BadRequest(f"The header {name} is one whole number.", where=f"header {name}")
    return int(values[0])


def _answer(row: UploadRow, *, status: int = 200) -> web.Response:
    headers = {
        UPLOAD_OFFSET: str(row.received), UPLOAD_LENGTH: str(row.size), hdrs.LOCATION: f"{PREFIX}/attachments/{row.id}",
    }  # fmt: skip
    data: dict[str, Any] = views.upload(row)
    return answer(data, status=status, headers=headers)
