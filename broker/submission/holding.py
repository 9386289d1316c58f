# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A message that waits for a second person: kept as it would leave, and taken up again as its author asked for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from broker.core import canonical
from broker.core.attachments import Attachment
from broker.core.attention import AttentionCode, message_subject
from broker.core.audit import AuditAction
from broker.core.content import decode_header, encode
from broker.core.delivery import HOLD_DAYS
from broker.core.errors import AlreadySettled
from broker.core.ids import CountryCode, Digest, ProcedureId
from broker.core.messages import Body, Header, Submission, ValidMessage
from broker.core.reasons import Level
from broker.core.roles import AuditRole
from broker.core.safeguards import Held
from broker.ledger import Ledger
from broker.ports import Clock, Transaction
from broker.rows import AuditRow, DraftState, HeldDraft, Idempotent, Release
from broker.security.chunks import blob_of
from broker.submission.repeating import earlier, kept

__all__ = ["Holding", "attachments_of", "submission_of"]


class Holding:
    """Keeps a message back, and notes who let it go."""

    def __init__(self, *, us: CountryCode, ledger: Ledger, clock: Clock) -> None:
        self._us = us
        self._ledger = ledger
        self._clock = clock

    def keep(
        self,
        tx: Transaction,
        *,
        asked: Idempotent,
        message: ValidMessage,
        held: Held,
        known: frozenset[Digest],
        asking: Submission,
    ) -> None:
        """Keep a held message under the id that it will have, and call its office for a second person.

        Args:
            tx: the transaction.
            asked: the caller's key and what it stands for.
            message: what is held.
            held: why.
            known: the record that the safeguards knew; its heads stay in the header, and tell what came to it since.
            asking: what the caller asked for.
        """
        header, now = message.header, self._clock.now()
        if not tx.add_idempotent(kept(asked, header), now):
            earlier(tx, asked)  # raises what it stands for, where that is no message
            return
        tx.add_draft(
            HeldDraft(
                id=header.id,
                peer=header.recipient.country,
                authority=header.sender.authority,
                type=header.type,
                author=asking.actor,
                role=asking.role,
                route=asking.route,
                at=now,
                reasons=tuple(reason for reason in held.reasons if reason.level is Level.HOLD),
                content=encode(replace(header, parents=_heads(tx, header, known)), message.body),
            )
        )
        for attachment in header.attachments:  # the files wait as long as their message may
            tx.keep_upload(blob_of(attachment.key_bytes), at=now + timedelta(days=HOLD_DAYS))
        tx.audit(_decided(AuditAction.HELD, header, by=asking.actor, role=asking.role, reason="", at=now))
        subject = message_subject(self._us, header.id)
        self._ledger.call(
            tx, AttentionCode.HELD, subject, peer=header.recipient.country, authority=header.sender.authority, now=now
        )

    def settle(self, tx: Transaction, release: Release, header: Header, now: datetime) -> None:
        """Note who let a held message leave and why, in the transaction in which it leaves.

        Raises:
            AlreadySettled: somebody else was first.
        """
        draft = release.draft
        if not tx.settle_draft(draft.id, DraftState.RELEASED, by=release.by, at=now, decision=release.reason):
            raise AlreadySettled("This message waits no more: somebody else has decided.")
        tx.audit(
            _decided(AuditAction.RELEASED, header, by=release.by, role=release.role, reason=release.reason, at=now)
        )
        subject = message_subject(self._us, draft.id)
        tx.resolve_attentions(AttentionCode.about_held(), subject, at=now, by=release.by)


def _decided(action: AuditAction, header: Header, *, by: str, role: AuditRole, reason: str, at: datetime) -> AuditRow:
    """Return who held back or let go what, and why."""
    return AuditRow(
        at=at,
        actor=by,
        role=role,
        authority=header.sender.authority,
        action=action,
        subject=header.id,
        detail=header.type,
        procedure=header.procedure_id,
        peer=header.recipient.country,
        reason=reason,
    )


def _heads(tx: Transaction, header: Header, known: frozenset[Digest]) -> tuple[Digest, ...]:
    """Return what of a known part of its procedure's record no other message of that part names as a parent."""
    entries = tx.record(header.procedure.id) if header.procedure else ()
    named = {parent for entry in entries if entry.digest in known for parent in entry.parents}
    return tuple(sorted(known - named))


def attachments_of(draft: HeldDraft) -> tuple[Attachment, ...]:
    """Return the attachments of a held message."""
    content: Any = canonical.parse(draft.content or b"{}")
    return decode_header(content["header"]).attachments


def submission_of(header: Header, body: Body, draft: HeldDraft, procedure: ProcedureId | None) -> Submission:
    """Return what the author of a held message asked for, in the version that it was held in."""
    if header.legal_basis is None or header.urgency is None or header.language is None:
        raise RuntimeError("casework has basis, urgency and language")
    return Submission(
        type=header.type,
        version=header.version,
        sender_authority=header.sender.authority,
        recipient=header.recipient,
        procedure=procedure,
        legal_basis=header.legal_basis,
        purpose=header.purpose or "",
        urgency=header.urgency,
        language=header.language,
        exercise=header.exercise,
        body=body,
        actor=draft.author,
        role=draft.role,
        route=draft.route,
        idempotency_key=draft.id,
    )
