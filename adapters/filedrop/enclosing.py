# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Bring the files of a submission to the node, each once and on from where it was, and name them in the submission."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from adapters.filedrop.enclosures import Enclosed, Enclosures, Uploading
from adapters.filedrop.mapping import enclosed_files, with_uploads
from broker.adapter_api import Accepted, AdapterContext, AdapterFailed, BadRequest, NodeError, NotFound, SenderError

__all__ = ["Enclosing"]

_MOST_FILES = 10  # of one message; the submission's schema says so too, but only after they were uploaded


class Enclosing:
    """Submits what names files; what names none goes as it is."""

    def __init__(self, enclosures: Enclosures) -> None:
        self._enclosures = enclosures

    async def submit(self, name: str, key: str, data: Mapping[str, Any], context: AdapterContext) -> Accepted:
        """Submit a file's JSON object with the files that it names.

        Raises:
            NodeError: not decided; offer it again.
            BrokerError: it is refused, with what is wrong.
        """
        files = enclosed_files(data)
        if not files:
            return await context.submit(data, key)
        if len(files) > _MOST_FILES:
            raise BadRequest(f"A message has at most {_MOST_FILES} attachments.", where="/attachments")
        with self._enclosures.alone() as alone:
            if not alone:
                raise AdapterFailed("Another worker of this node uploads from this folder.")
            return await self._submit(name, key, data, files, context)

    async def _submit(
        self, name: str, key: str, data: Mapping[str, Any], files: tuple[tuple[int, str], ...], context: AdapterContext
    ) -> Accepted:
        noted = await asyncio.to_thread(self._enclosures.noted, name, key)
        whole = {file for file, (_, _, done) in noted.uploads.items() if done}
        for place, file in files:
            if file not in whole:
                noted = await self._upload(name, noted, file, f"/attachments/{place}/file", _office(data), context)
        uploads = {place: noted.uploads[file][1] for place, file in files}
        try:
            return await context.submit(with_uploads(data, uploads), key)
        except NotFound as error:
            if not whole or not (error.where or "").startswith("/attachments/"):
                raise
            # Dropped after a day: the node was away for longer. Whoever took them would have answered the same key.
            await asyncio.to_thread(self._enclosures.forget, name)
            raise AdapterFailed("The files of a submission are uploaded anew.") from None

    async def _upload(
        self, name: str, noted: Uploading, file: str, where: str, office: str, context: AdapterContext
    ) -> Uploading:
        """Return the note with that file whole at the node."""
        try:
            mark = await asyncio.to_thread(self._enclosures.look, name, file)
            known, state = noted.uploads.get(file), None
            if known is not None and known[0] == mark:
                with suppress(NotFound):
                    state = await context.uploads.find(known[1], authority=office)
            if state is None:
                state = await context.uploads.begin(mark.size, authority=office)
                noted = noted.with_upload(file, mark, state.upload, whole=False)
                await asyncio.to_thread(self._enclosures.note, name, noted)
            if not state.whole:
                parts = self._parts(name, file, mark, state.received)
                state = await context.uploads.append(state.upload, authority=office, offset=state.received, parts=parts)
            if not state.whole:
                raise AdapterFailed("A file of the outgoing folder came to an end before its end.")
        except NodeError:
            raise
        except SenderError as error:
            raise type(error)(
                error.detail, where=error.where if error.where == "/sender/authority" else where
            ) from None
        noted = noted.with_upload(file, mark, state.upload, whole=True)
        await asyncio.to_thread(self._enclosures.note, name, noted)
        return noted

    async def _parts(self, name: str, file: str, mark: Enclosed, offset: int) -> AsyncIterator[bytes]:
        while part := await asyncio.to_thread(self._enclosures.read, name, file, mark, offset):
            offset += len(part)
            yield part


def _office(data: Mapping[str, Any]) -> str:
    """Return the office that sends; what is no office is refused by the node."""
    sender = data.get("sender")
    return str(sender.get("authority", "")) if isinstance(sender, Mapping) else ""
