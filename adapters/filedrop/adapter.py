# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The file-drop adapter: received messages become files in in/, files in out/ become messages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.filedrop.client import Folders, Offered
from adapters.filedrop.enclosing import Enclosing
from adapters.filedrop.manifest import MANIFEST
from adapters.filedrop.mapping import (
    accepted_note,
    attachment_name,
    idempotency_key,
    parse_submission,
    problem_note,
    received_file,
    received_name,
    received_stem,
)
from broker.adapter_api import (
    AdapterContext,
    AdapterEvent,
    BrokerError,
    ErasedMessage,
    InboundAttachment,
    InboundMessage,
    Manifest,
    NodeError,
    SettingsInvalid,
)

__all__ = ["FileDrop", "create"]

_LONGEST_DELAY_SECONDS = 60  # so long what was written later may overtake it once the node can decide again


def create(options: Mapping[str, Any]) -> FileDrop:
    """Return the adapter of its settings table.

    Raises:
        SettingsInvalid: an option is unknown, missing or wrong.
    """
    read = MANIFEST.read(options)
    folder = Path(read["folder"])
    if not folder.is_absolute():
        raise SettingsInvalid("The folder must be an absolute path.", where="adapters.filedrop.folder")
    folders = Folders(folder, max_file_bytes=read["max_file_bytes"], group_access=read["group_access"])
    return FileDrop(folders, poll_seconds=read["poll_seconds"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Delayed:
    offered: Offered
    attempts: int
    next_at: float  # monotonic seconds


class FileDrop:
    """Implements the Adapter protocol over one drop folder."""

    def __init__(self, folders: Folders, *, poll_seconds: float) -> None:
        self._folders = folders
        self._enclosing = Enclosing(folders.enclosures)
        self._poll_seconds = poll_seconds
        self._prepared = False
        self._seen: frozenset[Offered] = frozenset()  # at the last look: a file is taken when it is the same twice
        self._delayed: dict[str, _Delayed] = {}

    @property
    def manifest(self) -> Manifest:
        """What this adapter is and does with data."""
        return MANIFEST

    async def deliver(self, message: InboundMessage) -> None:
        """Write the message into in/ under its sender and id, its attachments before it: who sees it finds them.

        Raises:
            AdapterFailed: it is not durable there.
        """
        await self._prepare()
        for place, attachment in enumerate(message.attachments):
            await self._save(attachment_name(message, place), attachment)
        await asyncio.to_thread(self._folders.put, received_name(message), received_file(message))

    async def _save(self, name: str, attachment: InboundAttachment) -> None:
        if await asyncio.to_thread(self._folders.holds, name, attachment.size):
            return
        part = await asyncio.to_thread(self._folders.begin, name)
        try:
            async for raw in attachment.read():
                await asyncio.to_thread(self._folders.append, part, raw)
            await asyncio.to_thread(self._folders.finish, part, name)
        finally:
            await asyncio.to_thread(self._folders.discard, part)

    async def erased(self, message: ErasedMessage) -> None:
        """Delete a received message and its attachments from in/, or a sent one with its files and its note from sent/.

        Raises:
            AdapterFailed: one of them may still be there.
        """
        await self._prepare()
        if message.received:
            await asyncio.to_thread(self._folders.forget_received, received_stem(message))
        else:
            await asyncio.to_thread(self._folders.forget_sent, message.id)

    async def run(self, context: AdapterContext) -> None:
        """Look at out/ again and again.

        Raises:
            AdapterFailed: the folders cannot be read or written.
        """
        await self._prepare()
        while True:
            await self._look(context)
            await context.clock.sleep(self._poll_seconds)

    async def close(self) -> None:
        """Nothing is held open."""

    async def _prepare(self) -> None:
        if not self._prepared:
            await asyncio.to_thread(self._folders.prepare)
            self._prepared = True

    async def _look(self, context: AdapterContext) -> None:
        await asyncio.to_thread(self._folders.enclosures.follow)
        found = await asyncio.to_thread(self._folders.scan)
        settled = [offered for offered in found if offered in self._seen]
        self._seen = frozenset(found)
        self._delayed = {item.offered.name: item for item in self._delayed.values() if item.offered in self._seen}
        for offered in settled:
            delayed = self._delayed.get(offered.name)
            if delayed is None or delayed.next_at <= context.clock.monotonic():
                await self._offer(offered, context)

    async def _offer(self, offered: Offered, context: AdapterContext) -> None:
        """Submit one file and move it; whatever happens in between, its key stays the same."""
        tag = offered.tag
        try:
            raw = await asyncio.to_thread(self._folders.read, offered)
            if raw is None:
                return
            tag = idempotency_key(offered.name, raw)
            submission = parse_submission(offered.name, raw)
            accepted = await self._enclosing.submit(offered.name, tag, submission, context)
        except NodeError as error:
            self._delay(offered, error, tag, context)
        except BrokerError as error:
            await asyncio.to_thread(self._folders.reject, offered, problem_note(error))
            context.log(AdapterEvent.REFUSED, code=error.code, digest=tag)
        else:
            await asyncio.to_thread(self._folders.accept, offered, accepted_note(accepted))
            context.log(AdapterEvent.SUBMITTED, message=accepted.message, procedure=accepted.procedure, digest=tag)

    def _delay(self, offered: Offered, error: NodeError, tag: str, context: AdapterContext) -> None:
        """Leave the file in out/ and come back to it; other files do not wait for it."""
        before = self._delayed.get(offered.name)
        attempts = 1 if before is None else before.attempts + 1
        delay = min(self._poll_seconds * 2 ** min(attempts, 16), _LONGEST_DELAY_SECONDS)
        next_at = context.clock.monotonic() + delay
        self._delayed[offered.name] = _Delayed(offered=offered, attempts=attempts, next_at=next_at)
        context.log(AdapterEvent.DELAYED, code=error.code, digest=tag, attempts=attempts, delay_seconds=delay)
