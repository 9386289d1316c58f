# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The node as an adapter sees it: takes submissions by the rules, answers as told, keeps what was logged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from broker.adapter_api import (
    Adapter,
    AdapterContext,
    AdapterEvent,
    InboundMessage,
    NotFound,
    UploadState,
    inbound_message,
)
from broker.core.canonical import digest, dump
from broker.core.content import encode
from broker.core.errors import (
    AttachmentRefused,
    BrokerError,
    Forbidden,
    IdempotencyConflict,
    StoreUnavailable,
    UploadConflict,
)
from broker.core.ids import AuthorityId, CountryCode, KeyId, MessageType, SchemaVersion
from broker.core.messages import Header, InboxEntry, LegalBasis, Party, ProcedureRef, Urgency
from broker.rows import Accepted
from broker.testing.clock import HandClock
from broker.testing.ids import SeededIds

__all__ = ["CANARY", "SimulatedNode", "SimulatedUploads", "holds_canary", "sample_message", "sample_submission"]

CANARY = "Test-Maarika Kanaarilind"  # a name that may be seen by the national system and nowhere else
_OURS, _THEIRS = CountryCode("FI"), CountryCode("EE")
_OFFICE, _THEIR_OFFICE = AuthorityId("test-office"), AuthorityId("test-sender")
_BOUND_SECONDS = 30.0  # real ones, for what must happen; reached only when it does not


@dataclass(slots=True, kw_only=True)
class SimulatedUploads:
    """Implements `Uploads`: keeps what came in whole parts of a chunk, until a message takes it."""

    chunk: int = 1024  # bytes; what is less is kept only as the end of a file
    most: int = 100 * 1024  # bytes
    files: dict[str, bytes] = field(default_factory=dict)  # by upload: what is here of it
    sizes: dict[str, int] = field(default_factory=dict)
    kept: dict[str, bytes] = field(default_factory=dict)  # what messages took
    taken: list[str] = field(default_factory=list)
    cut_after: int | None = None  # bytes after which the next append breaks off

    async def begin(self, size: int, *, authority: str) -> UploadState:
        """Make room.

        Raises:
            BrokerError: another office's, empty or too large.
        """
        self._served(authority)
        if not 1 <= size <= self.most:
            raise AttachmentRefused("An attachment has another size.", where="/size")
        upload = f"{len(self.sizes) + 1:032x}"
        self.files[upload], self.sizes[upload] = b"", size
        return self._state(upload)

    async def find(self, upload: str, *, authority: str) -> UploadState:
        """Return how far it is.

        Raises:
            NotFound: it is not here, or a message took it.
        """
        self._served(authority)
        if upload not in self.files:
            raise NotFound
        return self._state(upload)

    async def append(self, upload: str, *, authority: str, offset: int, parts: AsyncIterator[bytes]) -> UploadState:
        """Take bytes.

        Raises:
            BrokerError: it stands elsewhere, or is a program; then it is gone.
            NodeError: it was cut off.
        """
        await self.find(upload, authority=authority)
        if offset != len(self.files[upload]):
            raise UploadConflict
        held = self.files[upload]
        async for part in parts:
            held += part
            if self.cut_after is not None and len(held) >= self.cut_after:
                self.files[upload], self.cut_after = held[: self.cut_after // self.chunk * self.chunk], None
                raise StoreUnavailable
        self.files[upload] = held
        if held.startswith(b"MZ"):
            del self.files[upload]
            raise AttachmentRefused("Programs may not travel.")
        return self._state(upload)

    def take(self, submission: Mapping[str, Any]) -> None:
        """Give a submission its files.

        Raises:
            NotFound: one is not here.
        """
        named = [item["upload"] for item in submission.get("attachments", ())]
        for place, upload in enumerate(named):
            if upload not in self.files:
                raise NotFound(where=f"/attachments/{place}/upload")
        for upload in named:
            self.kept[upload] = self.files.pop(upload)
            self.taken.append(upload)

    def _state(self, upload: str) -> UploadState:
        received = len(self.files[upload])
        return UploadState(upload=upload, received=received, whole=received == self.sizes[upload])

    def _served(self, authority: str) -> None:
        if authority != _OFFICE:
            raise Forbidden(where="/sender/authority")


@dataclass(slots=True, kw_only=True)
class SimulatedNode:
    """Implements `AdapterContext.submit` and `.log`; the clock is moved by hand."""

    clock: HandClock = field(default_factory=HandClock)
    accepted: dict[str, Accepted] = field(default_factory=dict)  # by idempotency key
    submissions: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # by idempotency key
    offered: list[str] = field(default_factory=list)  # the key of every call
    uploads: SimulatedUploads = field(default_factory=SimulatedUploads)
    lines: list[tuple[AdapterEvent, dict[str, object]]] = field(default_factory=list)  # what was logged
    error: BrokerError | None = None  # raised by every submit while set
    crash_after_accepting: bool = False  # the next submit is stored, and its caller dies before hearing so

    def context(self) -> AdapterContext:
        """Return what a running adapter gets."""
        return AdapterContext(
            us=_OURS, authorities=(_OFFICE,), submit=self.submit, uploads=self.uploads, clock=self.clock, log=self._note,
        )  # fmt: skip

    async def submit(self, submission: Mapping[str, Any], idempotency_key: str) -> Accepted:
        """Accept once per key.

        Raises:
            BrokerError: `error` is set, or the key came before with another submission.
        """
        self.offered.append(idempotency_key)
        if self.error is not None:
            raise self.error
        known = self.accepted.get(idempotency_key)
        if known is not None:
            if self.submissions[idempotency_key] != submission:
                raise IdempotencyConflict
            return replace(known, repeated=True)
        self.uploads.take(submission)
        ids = SeededIds(idempotency_key, self.clock)
        self.submissions[idempotency_key] = submission
        self.accepted[idempotency_key] = Accepted(
            message=ids.message_id(),
            digest=digest(dump(submission)),
            procedure=ids.procedure_id(),
            case_ref=ids.case_ref(exercise=False),
            created=self.clock.now(),
        )
        if self.crash_after_accepting:
            self.crash_after_accepting = False
            raise asyncio.CancelledError
        return self.accepted[idempotency_key]

    @asynccontextmanager
    async def running(self, adapter: Adapter) -> AsyncIterator[asyncio.Task[None]]:
        """Run the adapter's outgoing side inside the block, then stop it as a node does; what it raised is raised."""
        task = asyncio.create_task(adapter.run(self.context()))
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                async with asyncio.timeout(_BOUND_SECONDS):
                    await task

    async def looks(self, task: asyncio.Task[None], count: int, *, seconds: float = 60) -> None:
        """Let the adapter fall asleep on the clock and wake it, that often; return when it sleeps or has ended."""
        for _ in range(count):
            if not await self._asleep(task):
                return
            self.clock.advance(seconds)
        await self._asleep(task)

    async def _asleep(self, task: asyncio.Task[None]) -> bool:
        watcher = asyncio.ensure_future(self.clock.until_sleeping())
        done, _ = await asyncio.wait({task, watcher}, timeout=_BOUND_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        watcher.cancel()
        if not done:
            raise AssertionError("the adapter neither ends nor waits by the node's clock")
        return task not in done

    def _note(self, event: AdapterEvent, /, **fields: object) -> None:
        self.lines.append((AdapterEvent(event), fields))


def sample_submission(**changes: Any) -> dict[str, Any]:
    """Return a JSON object of the submission's shape with the canary in it."""
    return {
        "type": "family-tracing.request",
        "sender": {"authority": str(_OFFICE)},
        "recipient": {"country": str(_THEIRS), "authority": str(_THEIR_OFFICE)},
        "legal_basis": {"code": "IIB_80_1_B"},
        "purpose": f"to find the mother of {CANARY}",
        "urgency": "URGENT",
        "language": "et",
        "exercise": True,
        "body": {"name": CANARY},
        **changes,
    }


def sample_message(seed: str = "message", *, clock: HandClock | None = None) -> InboundMessage:
    """Return a received message with the canary in it; another seed gives another message."""
    ids = SeededIds(seed, clock or HandClock())
    now = (clock or HandClock()).now()
    body = {"name": CANARY, "seed": seed}
    header = Header(
        id=ids.message_id(),
        type=MessageType("family-tracing.request"),
        version=SchemaVersion("1.0"),
        sender=Party(country=_THEIRS, authority=_THEIR_OFFICE),
        recipient=Party(country=_OURS, authority=_OFFICE),
        created=now,
        exercise=True,
        nonce=ids.nonce(),
        language="et",
        urgency=Urgency.URGENT,
        purpose=f"to find the mother of {CANARY}",
        legal_basis=LegalBasis(code="IIB_80_1_B"),
        case_ref=ids.case_ref(exercise=True),
        procedure=ProcedureRef(
            id=ids.procedure_id(), name="family-tracing", version=SchemaVersion("1.0"), digest=digest(b"table")
        ),
    )
    content = encode(header, body)
    entry = InboxEntry(
        id=header.id,
        sender=_THEIRS,
        digest=digest(content),
        content=content,
        header=header,
        procedure=ids.procedure_id(),
        raw_sha256=digest(b"envelope"),
        received=now,
        signer_kids=(KeyId("A" * 43), KeyId("B" * 43)),
        trust_version=1,
    )
    return inbound_message(entry)


def holds_canary(*texts: object) -> bool:
    """Whether any part of the canary's name can be read in what was written."""
    written = " ".join(text if isinstance(text, str) else json.dumps(text, default=str) for text in texts)
    return any(part in written for part in CANARY.split())
