# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Everything an adapter may import: the manual for its authors.

An adapter translates between this node and one national system, and does nothing else: it decides no casework, keeps no
copy that it does not need, sees no key. It is a package with an entry point in the group ``trm.adapters``::

    [project.entry-points."trm.adapters"]
    our-system = "our_package.adapter:create"

``create(options)`` takes the options of its table in ``settings.toml`` and returns an `Adapter`.

Rules
- *Twice is once.* A message can be delivered again after a crash. The sender's country and `InboundMessage.id` together
  are the key under which the national system recognises it: two countries may use one id.
- *Only what is durable is delivered.* When `Adapter.deliver` returns, the national system, or a disk, holds the message.
  The sender is told "handed over" on the strength of it.
- *Raise `AdapterFailed`, nothing else.* The message stays owed, it is offered again, and a person is told. Its text names
  no person and nothing of the message.
- *Submit with a stable key.* The idempotency key of `AdapterContext.submit` must be the same for the same piece of work
  after a crash, and never the same for two. Keep offering while `NodeError` comes; on any other `BrokerError` tell the
  people of the national system its `problem`: only they can mend it.
- *Files go first.* `AdapterContext.uploads` takes an attachment part by part; the submission names its upload. Note durably which
  upload stands for which file before submitting: the same piece of work names the same uploads after a crash.
- *No personal data in logs, metrics, file names, addresses, error texts.* `AdapterContext.log` takes codes, ids, digests.
- *Wait by `AdapterContext.clock`* and by the national system, by nothing else: tests move that clock by hand.
- *Stop promptly.* `Adapter.run` is cancelled when the node stops; whatever it was doing is done again at the next start.

`broker.testing.adapter_contract` proves most of this: subclass it once. An adapter whose national system puts nothing out has a
suite of its own there; one that takes nothing in cannot be, for it alone is given what comes for its offices.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

from broker.core.attachments import Attachment, hide_keys
from broker.core.characters import spelled_out
from broker.core.content import encode_header, time_to_text
from broker.core.errors import (
    AdapterFailed,
    BadRequest,
    BrokerError,
    NodeError,
    NotFound,
    SenderError,
    SettingsInvalid,
    TooLargeToSend,
)
from broker.core.ids import (
    AuthorityId,
    CaseRef,
    CountryCode,
    Digest,
    MessageId,
    MessageType,
    SchemaVersion,
)
from broker.core.messages import Header, InboxEntry, LegalBasis, Party, ProcedureRef, Urgency
from broker.durable import is_full, sync_folder, write_durably
from broker.ports import Clock
from broker.rows import Accepted

__all__ = [
    "ENTRY_POINT_GROUP", "Accepted", "Adapter", "AdapterContext", "AdapterEvent", "AdapterFactory", "AdapterFailed",
    "AdapterLog", "BadRequest", "BrokerError", "Clock", "ErasedMessage", "InboundAttachment", "InboundMessage", "LegalBasis", "Manifest", "NodeError", "NotFound", "Option", "Party",
    "SenderError", "SettingsInvalid", "Submit", "TooLargeToSend", "UploadState", "Uploads", "Urgency", "discover", "inbound_message", "is_full", "problem",
    "spelled_out", "sync_folder", "write_durably",
]  # fmt: skip

ENTRY_POINT_GROUP = "trm.adapters"


# --- what comes in --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundAttachment:
    """A file that came with a message."""

    name: str = field(repr=False)  # as its sender calls it; may name a person: not for file names
    kind: str
    media_type: str
    size: int
    digest: Digest
    read: Callable[[], AsyncIterator[bytes]] = field(repr=False)  # the bytes in parts of at most a MiB, from the start


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """A believed, valid and recorded message for an office that the adapter serves."""

    id: MessageId  # with the sender's country the idempotency key
    digest: Digest  # SHA-256 of the signed content: what receipts and the record name
    type: MessageType
    version: SchemaVersion
    sender: Party
    recipient: Party
    procedure: ProcedureRef
    case_ref: CaseRef | None
    created: datetime
    received: datetime
    legal_basis: LegalBasis | None
    purpose: str | None = field(repr=False)
    urgency: Urgency | None
    language: str | None
    exercise: bool  # show it as an exercise everywhere; never mix it with real cases
    forked: bool  # it broke the record's rules: kept and shown, without effect, and people of both sides are alerted
    body: Mapping[str, Any] = field(repr=False)
    header: Header = field(repr=False)
    attachments: tuple[InboundAttachment, ...] = ()  # complete and verified

    def to_json(self) -> dict[str, Any]:
        """Return one JSON object; a member that does not apply is absent, never null.

        `parents` names the messages that this one follows: which of two is the newer no clock tells (PROTOCOL 10.3).
        """
        head = hide_keys(encode_header(self.header))
        shown = {name: value for name, value in head.items() if name != "nonce"}
        added = {"digest": str(self.digest), "received": time_to_text(self.received), "forked": self.forked}
        return {**shown, **added, "body": dict(self.body)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedMessage:
    """A message whose case was erased at this node; nothing of what it said is known here any more."""

    received: bool  # else the national system had put it out
    country: CountryCode  # the other one
    id: MessageId


def _no_bytes(_: Attachment) -> AsyncIterator[bytes]:
    raise RuntimeError("a message with attachments is given their bytes")


def inbound_message(
    entry: InboxEntry, read: Callable[[Attachment], AsyncIterator[bytes]] = _no_bytes
) -> InboundMessage:
    """Return the message of an inbox entry, as adapters see it; the node calls this.

    Raises:
        RuntimeError: the entry is a node message, which no adapter gets.
    """
    header = entry.header
    if header.procedure is None:
        raise RuntimeError("only casework goes to an adapter")
    return InboundMessage(
        id=entry.id,
        digest=entry.digest,
        type=header.type,
        version=header.version,
        sender=header.sender,
        recipient=header.recipient,
        procedure=header.procedure,
        case_ref=header.case_ref,
        created=header.created,
        received=entry.received,
        legal_basis=header.legal_basis,
        purpose=header.purpose,
        urgency=header.urgency,
        language=header.language,
        exercise=header.exercise,
        forked=entry.mark == "forked",
        body=json.loads(entry.content)["body"],
        header=header,
        attachments=tuple(_inbound(item, read) for item in header.attachments),
    )


def _inbound(item: Attachment, read: Callable[[Attachment], AsyncIterator[bytes]]) -> InboundAttachment:
    return InboundAttachment(
        name=item.name, kind=item.kind, media_type=item.media_type, size=item.size, digest=item.digest,
        read=lambda: read(item),
    )  # fmt: skip


# --- what goes out --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadState:
    """How far a file is at the node."""

    upload: str  # what a submission's attachment names it by
    received: int  # bytes; the next ones begin there
    whole: bool  # and looked at: a submission may take it


class Uploads(Protocol):
    """Takes the files of submissions: the same limits, refusals and day of grace as `POST /api/v1/attachments`."""

    async def begin(self, size: int, *, authority: str) -> UploadState:
        """Make room for a file of that many bytes, of an office that the adapter serves.

        Raises:
            NodeError: not now.
            BrokerError: it is empty or too large, or the office is another adapter's.
        """
        ...

    async def find(self, upload: str, *, authority: str) -> UploadState:
        """Return how far an upload is.

        Raises:
            NotFound: a message took it, or it was dropped after a day.
        """
        ...

    async def append(self, upload: str, *, authority: str, offset: int, parts: AsyncIterator[bytes]) -> UploadState:
        """Take the bytes from that offset on; what was kept stays when the parts break off.

        Raises:
            NodeError: go on later from where it is.
            BrokerError: the file may not travel; it is gone.
        """
        ...


Submit = Callable[[Mapping[str, Any], str], Awaitable[Accepted]]


class AdapterEvent(StrEnum):
    """What an adapter may log; the node counts them."""

    SUBMITTED = "adapter.submitted"
    REFUSED = "adapter.refused"
    DELAYED = "adapter.delayed"


class AdapterLog(Protocol):
    """Writes one line to the node's log.

    Fields are those of the node's closed list (``code``, ``digest``, ``message``, ``procedure``, ``delay_seconds``,
    ``attempts``, ``bytes``, ``count``); others are dropped.
    """

    def __call__(self, event: AdapterEvent, /, **fields: object) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterContext:
    """What the node gives to a running adapter."""

    us: CountryCode
    authorities: tuple[AuthorityId, ...]  # offices it serves and may submit for
    submit: Submit
    """``await submit(submission, idempotency_key)`` with the JSON object that ``POST /api/v1/messages`` takes.

    Raises:
        NodeError: not decided; offer it again later with the same key.
        BrokerError: refused, and refused again if nothing changes: people of the national system must act.
    """
    uploads: Uploads
    clock: Clock
    log: AdapterLog


def problem(error: BrokerError) -> dict[str, str]:
    """Return what the people of the national system need: code, detail, where, who must act."""
    where = {} if error.where is None else {"where": error.where}
    return {"code": error.code, "detail": error.detail, **where, "who_must_act": error.who.value}


# --- the adapter itself ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of an adapter's settings table."""

    meaning: str  # one sentence
    kind: type[str | int | bool]
    unit: str = ""
    default: str | int | bool | None = None  # None: it must be given
    minimum: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an adapter is, which options it takes, and what it does with data, as data protection officers ask it."""

    name: str
    version: str
    description: str
    options: Mapping[str, Option]
    retention: str  # who deletes what, when
    personal_data_at_rest: str  # where, in which form

    def read(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options with defaults filled in.

        Raises:
            SettingsInvalid: one is unknown, missing, of another kind or too small.
        """
        for name in options:
            if name not in self.options:
                raise SettingsInvalid("The adapter has no such option.", where=f"adapters.{self.name}.{name}")
        return {name: self._value(name, option, options.get(name)) for name, option in self.options.items()}

    def _value(self, name: str, option: Option, value: Any) -> Any:
        where = f"adapters.{self.name}.{name}"
        value = option.default if value is None else value
        if value is None:
            raise SettingsInvalid("The adapter needs this option.", where=where)
        if type(value) is not option.kind:  # a bool is no int here
            raise SettingsInvalid(f"The option must be of kind {option.kind.__name__}.", where=where)
        if option.minimum is not None and isinstance(value, int) and value < option.minimum:
            raise SettingsInvalid(f"The option must be at least {option.minimum}.", where=where)
        return value


class Adapter(Protocol):
    """The translation to one national system."""

    @property
    def manifest(self) -> Manifest: ...

    async def deliver(self, message: InboundMessage) -> None:
        """Hand a message to the national system; return when it is durable there.

        Raises:
            AdapterFailed: it did not take it; the message stays owed and is offered again.
        """
        ...

    async def erased(self, message: ErasedMessage) -> None:
        """Remove every copy that lies where this adapter puts or takes it; return when they are gone for good.

        Twice is once here too, and what is not there is gone. What the national system has taken into its own files is
        its own to erase: its people are told by whoever decided.

        Raises:
            AdapterFailed: a copy may still be there; it is asked again.
        """
        ...

    async def run(self, context: AdapterContext) -> None:
        """Carry the outgoing side until cancelled; an adapter without one waits for ever.

        Raises:
            AdapterFailed: it cannot go on; the node tells a person and starts it again later.
        """
        ...

    async def close(self) -> None:
        """Give back connections and files; called once, after `run` has ended."""
        ...


AdapterFactory = Callable[[Mapping[str, Any]], Adapter]


def discover() -> Mapping[str, AdapterFactory]:
    """Return the installed adapters' factories by name.

    Nothing is imported before a factory is called, so a broken adapter that is not used harms nobody. A factory raises
    AdapterFailed when its adapter cannot be loaded, SettingsInvalid when its options are wrong.
    """
    found: dict[str, AdapterFactory] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        same = point.name in found
        found[point.name] = _ambiguous(point.name) if same else _lazy(point)
    return found


def _lazy(point: EntryPoint) -> AdapterFactory:
    def create(options: Mapping[str, Any]) -> Adapter:
        try:
            adapter: Adapter = point.load()(options)
        except BrokerError:
            raise
        except Exception as error:  # whatever a foreign package does must not stop the node
            detail = f"The adapter cannot be loaded ({type(error).__name__})."
            raise AdapterFailed(detail, where=f"adapters.{point.name}") from None
        return adapter

    return create


def _ambiguous(name: str) -> AdapterFactory:
    def create(options: Mapping[str, Any]) -> Adapter:
        raise AdapterFailed("Two installed packages give an adapter of this name.", where=f"adapters.{name}")

    return create
