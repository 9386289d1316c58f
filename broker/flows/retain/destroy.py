# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Erase a case in one transaction: its keys, its ciphertexts, and a note of all that is to be removed elsewhere."""

from __future__ import annotations

from dataclasses import replace

from broker.core.attention import AttentionCode, message_subject
from broker.core.audit import AuditAction, AuditRow, Who
from broker.core.erasures import CaseMessage, Duty, DutyKind, Erasure, Listed
from broker.core.ids import CountryCode
from broker.flows.retain.list_case import Case, author_of, uploads_of
from broker.ports import Transaction
from broker.rows import DraftState, HeldDraft

__all__ = ["destroy"]

_ERASED = "erased"  # what stands as the decision about a held message
_EVERY_CODE = tuple(AttentionCode)


def destroy(tx: Transaction, case: Case, listed: Listed, erasure: Erasure, who: Who, us: CountryCode) -> None:
    """Destroy what is listed; from the commit on nothing of it opens, and the next epoch is owed.

    Held messages are read before their key is gone: their files are known from nowhere else.
    """
    at = erasure.decided or erasure.proposed
    drafts = [draft for scope in case.scopes for draft in tx.retention.drafts_of(scope)]
    for draft in drafts:
        _drop(tx, draft, erasure, who, us)
    for scope in case.scopes:
        tx.destroy_case(scope, at)
    for message in listed.messages:
        _forget(tx, message, erasure, who, us)
    for row in case.rows:
        tx.retention.mark_erased(row.ref.id, at)
        tx.resolve_attentions(_EVERY_CODE, row.ref.id, at=at, by=who.actor)
        tx.audit(
            AuditRow(
                at=at, actor=who.actor, role=who.role, authority=case.authority, action=AuditAction.ERASED,
                subject=erasure.id, detail=f"messages={len(listed.messages)} proposed-by={erasure.proposed_by}",
                procedure=row.ref.id, peer=case.peer, reason=erasure.reason,
            )
        )  # fmt: skip


def _drop(tx: Transaction, draft: HeldDraft, erasure: Erasure, who: Who, us: CountryCode) -> None:
    at = erasure.decided or erasure.proposed
    for upload in uploads_of(draft):
        tx.drop_upload(upload)
        _owe(tx, DutyKind.BLOB, upload, erasure)
    tx.settle_draft(draft.id, DraftState.REJECTED, by=who.actor, at=at, decision=_ERASED)
    tx.resolve_attentions(AttentionCode.about_held(), message_subject(us, draft.id), at=at, by=who.actor)


def _forget(tx: Transaction, message: CaseMessage, erasure: Erasure, who: Who, us: CountryCode) -> None:
    for blob in tx.retention.forget(message):
        _owe(tx, DutyKind.BLOB, blob, erasure)
    _owe(tx, DutyKind.ADAPTER, message.subject, replace(erasure, authority=message.authority))
    subject, at = message_subject(author_of(message, us), message.id), erasure.decided or erasure.proposed
    tx.resolve_attentions(_EVERY_CODE, subject, at=at, by=who.actor)


def _owe(tx: Transaction, kind: DutyKind, name: str, erasure: Erasure) -> None:
    at = erasure.decided or erasure.proposed
    tx.retention.add_duty(Duty(kind=kind, name=name, erasure=erasure.id, authority=erasure.authority), at)
