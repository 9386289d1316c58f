# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One key, one message: a caller who asks again under an idempotency key gets the answer that it got before."""

from __future__ import annotations

from typing import Any

from broker.core import canonical
from broker.core.errors import IdempotencyConflict, NotFound
from broker.core.ids import MessageId
from broker.core.messages import Header, OutboxEntry, Submission
from broker.core.safeguards import waiting
from broker.ports import Transaction
from broker.rows import NOT_KNOWN, Accepted, DraftState, Idempotent, salted

__all__ = ["accepted", "earlier", "fingerprint", "kept", "nonce_of"]

_STANDS = {
    DraftState.HELD: "It waits for a second person: trm held show {id}.",
    DraftState.RELEASED: "It was released, and has been erased since.",
    DraftState.REJECTED: "A second person rejected it: change it, and send it under another key.",
    DraftState.EXPIRED: "Nobody decided in time: send it again, under another key.",
}


def fingerprint(submission: Submission, message: MessageId) -> Idempotent:
    """Return what was asked, as a digest under the caller's key; a message made for it has that id."""
    scope = f"{submission.actor}|{submission.sender_authority}|{submission.route}"
    asked = canonical.dump_known(  # compared with itself alone; its form is looked at when its message is composed
        {
            "type": submission.type,
            "version": submission.version,
            "to": [submission.recipient.country, submission.recipient.authority],
            "procedure": submission.procedure,
            "basis": [submission.legal_basis.code, submission.legal_basis.citation],
            "about": [submission.purpose, submission.urgency, submission.language, submission.exercise],
            "body": dict(submission.body),
            "attachments": [[item.upload, item.name, item.kind] for item in submission.attachments],
        }
    )
    return Idempotent(
        scope=scope,
        key=submission.idempotency_key,
        body_digest=canonical.digest(asked),
        message=message,
    )


def earlier(tx: Transaction, asked: Idempotent) -> Accepted | None:
    """Return the answer that the same key got before; None: it is new.

    Raises:
        IdempotencyConflict: the key stood for something else.
        SafeguardHeld: its message waited, or waits, for a second person.
        NotFound: its message was erased.
    """
    known = tx.find_idempotent(asked.scope, asked.key)
    if known is None:
        return None
    row = tx.outbox(known.message)
    if row is not None:
        if known.body_digest not in {NOT_KNOWN, salted(asked.body_digest, row.entry.header.nonce)}:
            raise IdempotencyConflict
        return accepted(row.entry, repeated=True)
    draft = tx.draft(known.message)
    if draft is None:
        raise NotFound("The message that this idempotency key stood for has been erased.")
    if draft.content is not None and known.body_digest != salted(asked.body_digest, nonce_of(draft.content)):
        raise IdempotencyConflict
    raise waiting(draft.reasons, _STANDS[draft.state].format(id=draft.id))


def kept(asked: Idempotent, header: Header) -> Idempotent:
    """Return what is stored of a key: without the message's nonce nobody confirms a guess of what was asked."""
    digest = salted(asked.body_digest, header.nonce)
    return Idempotent(scope=asked.scope, key=asked.key, body_digest=digest, message=header.id)


def nonce_of(content: bytes) -> str:
    """Return the nonce of a content."""
    found: Any = canonical.parse(content)
    return str(found["header"]["nonce"])


def accepted(entry: OutboxEntry, *, repeated: bool = False) -> Accepted:
    """Return the answer for a message that is stored."""
    if entry.procedure is None:
        raise RuntimeError("casework always has a procedure")
    return Accepted(
        message=entry.id,
        digest=entry.digest,
        procedure=entry.procedure,
        case_ref=entry.header.case_ref,
        created=entry.created,
        repeated=repeated,
    )
