# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Decide about a held message: a second person, a reason, a trace (promise P6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from broker.core.attention import AttentionCode, message_subject
from broker.core.audit import AuditAction, AuditRow, Who
from broker.core.delivery import RejectReason, ReleaseReason
from broker.core.errors import AlreadySettled, Forbidden, NotFound
from broker.core.ids import CountryCode, MessageId
from broker.derived.meanwhile import Newer, newer_than
from broker.ports import Clock, Store, Transaction
from broker.rows import Accepted, DraftState, HeldDraft, Release

__all__ = ["Approve"]


class Approve:
    """Releases and rejects; nobody releases what they wrote themselves."""

    def __init__(
        self, *, us: CountryCode, store: Store, clock: Clock, release: Callable[[Release], Awaitable[Accepted]]
    ) -> None:
        """Args:
        release: takes a held message once more as if it were submitted now, and records the decision with it.
        """
        self._us = us
        self._store = store
        self._clock = clock
        self._release = release

    async def newer(self, draft: HeldDraft) -> tuple[Newer, ...]:
        """Return what left and came in the case of a held message since it was written, oldest first.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        return await self._store.read(lambda reader: newer_than(reader, self._us, draft))

    async def release(
        self, message: MessageId, who: Who, reason: ReleaseReason, seen: Collection[MessageId] = ()
    ) -> Accepted:
        """Let a held message leave.

        Args:
            message: its id.
            who: decides.
            reason: why it may leave.
            seen: newer messages of its case, which it leaves after all the same.

        Raises:
            NewerMessages: more than these left or came since it was written.
            NotFound: there is none for that office.
            AlreadySettled: somebody has decided, or nobody did in time.
            Forbidden: its author does not release it.
            SenderError: by now it may not leave, or other reasons speak against it; it waits on.
        """
        draft = await self._waiting(message, who)
        if draft.author == who.actor:
            raise Forbidden("A second person releases a held message, never its author.")
        return await self._release(
            Release(draft=draft, by=who.actor, role=who.role, reason=reason, seen=frozenset(seen))
        )

    async def reject(self, message: MessageId, who: Who, reason: RejectReason) -> None:
        """Say that a held message does not leave; its content is forgotten. Its author may take it back so.

        Raises:
            NotFound: there is none for that office.
            AlreadySettled: somebody has decided, or nobody did in time.
        """
        draft = await self._waiting(message, who, opening=False)  # what does not open would call its office for days
        await self._store.run(lambda tx: self._settle(tx, draft, who, reason))

    async def _waiting(self, message: MessageId, who: Who, *, opening: bool = True) -> HeldDraft:
        draft = await self._store.read(lambda reader: reader.draft(message, who.authority, opening=opening))
        if draft is None:
            raise NotFound
        if draft.state is not DraftState.HELD:
            raise AlreadySettled("This message waits no more.")
        return draft

    def _settle(self, tx: Transaction, draft: HeldDraft, who: Who, reason: RejectReason) -> None:
        now = self._clock.now()
        if not tx.settle_draft(draft.id, DraftState.REJECTED, by=who.actor, at=now, decision=reason):
            raise AlreadySettled("This message waits no more: somebody else has decided.")
        tx.audit(
            AuditRow(
                at=now, actor=who.actor, role=who.role, authority=draft.authority, action=AuditAction.REJECTED,
                subject=draft.id, detail=draft.type, peer=draft.peer, reason=reason,
            )
        )  # fmt: skip
        tx.resolve_attentions(AttentionCode.about_held(), message_subject(self._us, draft.id), at=now, by=who.actor)
