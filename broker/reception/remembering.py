# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Which envelopes were decided about: the same message again is answered again, and never decided again."""

from __future__ import annotations

from datetime import datetime

from broker.core.audit import AuditAction
from broker.core.errors import IdReused
from broker.core.ids import CountryCode, Digest
from broker.core.messages import Header, VerifiedMessage
from broker.core.receipts import SEALED_ANEW_CODES
from broker.core.roles import AuditRole
from broker.ports import Transaction
from broker.rows import AuditRow, SeenRaw

__all__ = ["Memory"]


class Memory:
    """What came before, by message and by envelope."""

    def __init__(self, *, us: CountryCode) -> None:
        self._us = us

    def known(self, tx: Transaction, verified: VerifiedMessage, raw_sha256: Digest, now: datetime) -> bool:
        """Answer a message whose id we hold: same content gets the stored receipt, other content is an attack.

        Raises:
            IdReused: the id came again with other content.
        """
        if not tx.heard_of(self._us, verified.sender, verified.profile.id):
            return False
        for receipt in tx.answers(self._us, verified.sender, verified.profile.id):
            if receipt.digest != verified.digest:
                raise IdReused
            if receipt.code in SEALED_ANEW_CODES:
                continue  # sealed anew by its sender: the same message may now be taken
            tx.queue_receipts(verified.sender, verified.profile.id, now=now)
            self.remember(tx, verified, raw_sha256, AuditAction.REPEATED, now=now)
            return True
        if not tx.attachments_of(verified.sender, verified.profile.id):
            return False
        held = tx.inbox(verified.sender, verified.profile.id)  # recorded, and answered when its attachments are here
        if held is not None and held.entry.digest != verified.digest:
            raise IdReused
        self.remember(tx, verified, raw_sha256, AuditAction.REPEATED, now=now)
        return True

    def remember(
        self,
        tx: Transaction,
        verified: VerifiedMessage,
        raw_sha256: Digest,
        action: AuditAction,
        detail: str = "",
        header: Header | None = None,
        *,
        now: datetime,
    ) -> None:
        """Note an envelope as decided about, with its audit row."""
        tx.save_seen(SeenRaw(sha256=raw_sha256, sender=verified.sender, message=verified.profile.id, answered=now))
        tx.audit(
            AuditRow(
                at=now,
                actor=verified.sender,
                role=AuditRole.PEER,
                authority=header.recipient.authority if header else None,
                action=action,
                subject=verified.profile.id,
                detail=detail,
                procedure=header.procedure_id if header else None,
                peer=verified.sender,
                reason=header.legal_basis.code if header and header.legal_basis else "",
            )
        )
