# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What other countries sign of their audit trails: kept here, so that none of them can quietly rewrite its past.

A checkpoint comes with receipts. Whatever is wrong with it, the receipts count: they are about our messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from broker.core.attention import AttentionCode
from broker.core.checkpoints import KeptCheckpoint, contradicts, gives_way
from broker.core.errors import UntrustedError
from broker.core.healing import lost_by_restore
from broker.core.ids import CountryCode
from broker.core.messages import VerifiedMessage
from broker.core.receipts import RECEIPTS_TYPE, checkpoint_of
from broker.core.trust import TrustList
from broker.ledger import Ledger
from broker.ports import Transaction
from broker.security.checkpoints import read_checkpoint

__all__ = ["Witnessed", "read_witnessed", "witness"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """A checkpoint that came with receipts; None: it is not the sender's."""

    kept: KeptCheckpoint | None


def read_witnessed(verified: VerifiedMessage, trust: TrustList) -> Witnessed | None:
    """Return the sender's checkpoint out of an envelope of receipts, verified; None where it brings none."""
    if verified.header.get("type") != RECEIPTS_TYPE:
        return None
    try:
        raw = checkpoint_of(verified.body)
        return None if raw is None else Witnessed(kept=_verified(raw, verified.sender, trust))
    except UntrustedError:
        return Witnessed(kept=None)


def witness(tx: Transaction, ledger: Ledger, sender: CountryCode, witnessed: Witnessed, *, now: datetime) -> None:
    """Keep a country's checkpoint; a security officer hears of one that contradicts an earlier one."""
    kept = witnessed.kept
    if kept is None:
        sentence = "A checkpoint of its audit trail came that its keys did not sign."
        ledger.call(tx, AttentionCode.AUDIT_CONTRADICTED, sender, peer=sender, now=now, detail=sentence)
        return
    near, marks = tx.witnessed(sender, kept.head.position), tx.healing.marks(sender)
    if any(contradicts(held, kept) and not lost_by_restore(held, kept, marks) for held in near):
        tx.add_witness(sender, kept)  # both are kept: together they are the proof
        ledger.call(tx, AttentionCode.AUDIT_CONTRADICTED, sender, peer=sender, now=now)
        return
    before = max((held for held in near if held.head.position < kept.head.position), key=_position, default=None)
    replaced = before is not None and gives_way(before, kept) and not _is_proof(tx, sender, before)
    tx.add_witness(sender, kept, instead_of=before if replaced else None)


def _is_proof(tx: Transaction, sender: CountryCode, held: KeptCheckpoint) -> bool:
    """Whether it is half of a contradiction, which must not be lost."""
    return any(contradicts(held, other) for other in tx.witnessed(sender, held.head.position))


def _verified(raw: bytes, sender: CountryCode, trust: TrustList) -> KeptCheckpoint:
    return KeptCheckpoint.of(read_checkpoint(raw, trust.members[sender]), raw)


def _position(kept: KeptCheckpoint) -> int:
    return kept.head.position
