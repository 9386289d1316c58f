# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Send the chunks that follow a published message, a few at a time; what the transport confirmed is not sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from broker.core.attachments import Attachment
from broker.core.attention import AttentionCode, message_subject
from broker.core.delivery import CARRY_BATCH, CARRY_LEASE_SECONDS, retry
from broker.core.errors import (
    BrokerError,
    CaseKeyMissing,
    Internal,
    RecipientSuspended,
    StoreCorrupt,
    TrustListExpired,
    UnknownRecipient,
)
from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import SealedChunk
from broker.core.trust import MemberStatus
from broker.ledger import Ledger
from broker.ports import Blobs, Clock, Compute, Ids, Store, Transaction, Transport, TrustSource
from broker.rows import AttachmentRow
from broker.security.chunks import open_stored, seal_chunk
from broker.sent_apart import SentApart

__all__ = ["Carry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """An attachment with chunks to send, and what its message says of it."""

    row: AttachmentRow
    attachment: Attachment
    office: AuthorityId


class Carry:
    """AttachmentRow → SealedChunk → transport.

    A country whose queue took long to fail is sent to apart, in a loop of its own, as by `Dispatch` and for the same reason:
    one such country at a time, and each has its turn.
    """

    def __init__(
        self,
        *,
        us: CountryCode,
        store: Store,
        blobs: Blobs,
        transport: Transport,
        trust: TrustSource,
        compute: Compute,
        clock: Clock,
        ids: Ids,
        ledger: Ledger,
        trust_grace: timedelta,
    ) -> None:
        self._us = us
        self._store = store
        self._blobs = blobs
        self._transport = transport
        self._trust = trust
        self._compute = compute
        self._clock = clock
        self._ids = ids
        self._ledger = ledger
        self._grace = trust_grace
        self._apart = SentApart()

    async def __call__(self) -> int:
        """Send a few chunks of one attachment; return how many, or how many failed.

        Raises:
            StoreUnavailable, DiskFull: what was sent is sent once more after the lease.
        """
        return await self._carry(lambda tx: self._take(tx, but=self._apart.countries))

    async def apart(self) -> int:
        """Send a few chunks of one attachment to one of the countries whose queue took long to fail; return how many.

        Raises:
            StoreUnavailable, DiskFull: as of a call.
        """
        return await self._carry(self._take_apart, apart=True) if self._apart.countries else 0

    async def _carry(self, take: Callable[[Transaction], _Load | None], *, apart: bool = False) -> int:
        load = await self._store.run(take)
        if load is None:
            return 0
        if apart:
            self._apart.had_turn(load.row.peer)
        indices = sorted(load.row.owed)[:CARRY_BATCH]
        outcomes = await asyncio.gather(*(self._send(load, index, apart=apart) for index in indices))
        sent = [index for index, error in zip(indices, outcomes, strict=True) if error is None]
        error = next(filter(None, outcomes), None)
        # Shielded: a cancelled worker must not forget what it sent.
        await asyncio.shield(self._store.run(lambda tx: self._settle(tx, load, sent, error)))
        return len(indices)

    def _take(
        self, tx: Transaction, *, only: tuple[CountryCode, ...] = (), but: tuple[CountryCode, ...] = ()
    ) -> _Load | None:
        now = self._clock.now()
        until = now + timedelta(seconds=CARRY_LEASE_SECONDS)
        while rows := tx.lease_leaving(now=now, until=until, limit=1, only=only, but=but):
            (row,) = rows
            try:
                entry = tx.outbox(row.message)
            except (CaseKeyMissing, StoreCorrupt) as error:  # raised from here it would hold up every other file
                self._put_off(tx, row, error, None, now)
                continue
            if entry is not None:
                header = entry.entry.header
                return _Load(row=row, attachment=header.attachments[row.place], office=header.sender.authority)
        return None

    def _take_apart(self, tx: Transaction) -> _Load | None:
        return next(filter(None, (self._take(tx, only=(country,)) for country in self._apart.countries)), None)

    async def _send(self, load: _Load, index: int, *, apart: bool) -> BrokerError | None:
        row, started = load.row, self._clock.monotonic()
        failed: BrokerError
        try:
            self._check_peer(row.peer)
            stored = await self._blobs.get(row.blob, index)
            chunk = await self._compute.run(lambda: self._sealed(load, stored, index))
            await self._transport.publish(chunk, apart=apart)
        except BrokerError as error:
            failed = error
        except Exception as error:  # an unforeseen fault in one chunk must not hold up all others for ever
            failed = Internal(f"Sending a chunk raised {type(error).__name__}.")
        else:
            self._apart.left(row.peer)
            return None
        self._apart.failed(row.peer, failed, self._clock.monotonic() - started)
        return failed

    def _sealed(self, load: _Load, stored: bytes, index: int) -> SealedChunk:
        attachment = load.attachment
        plain = open_stored(stored, attachment.key_bytes, index)
        return seal_chunk(plain, attachment, index, sender=self._us, recipient=load.row.peer, message=load.row.message)

    def _check_peer(self, peer: CountryCode) -> None:
        trust, now = self._trust.current(), self._clock.now()
        if not all(trust.sendable_to(country, now, self._grace) for country in (self._us, peer)):
            raise TrustListExpired
        member = trust.members.get(peer)
        if member is None:
            raise UnknownRecipient
        if member.status is not MemberStatus.ACTIVE:
            raise RecipientSuspended

    def _settle(self, tx: Transaction, load: _Load, sent: list[int], error: BrokerError | None) -> None:
        row, now = load.row, self._clock.now()
        held = tx.attachment(row.author, row.message, row.handle)  # meanwhile the peer may have asked for more
        if held is None:
            return
        owed = held.owed.without(sent)
        held = replace(held, owed=owed, moved=now if sent else held.moved)
        if error is None:
            if held.attempts:
                tx.resolve_attention(AttentionCode.NOT_SENT, message_subject(self._us, row.message), at=now, by="node")
            done = {"complete": held.complete or now, "next_at": None} if not owed else {"next_at": now}
            tx.save_attachment(replace(held, attempts=0, **done))
            return
        self._put_off(tx, held, error, load.office, now)

    def _put_off(
        self, tx: Transaction, row: AttachmentRow, error: BrokerError, office: AuthorityId | None, now: datetime
    ) -> None:
        """Try it again later; `office` is None where the message does not say whose it is."""
        decision = retry(row.attempts, error, now=now, jitter=self._ids.jitter())
        tx.save_attachment(replace(row, attempts=row.attempts + 1, next_at=decision.next_at))
        if decision.call_person:
            self._ledger.call(
                tx, AttentionCode.NOT_SENT, message_subject(self._us, row.message),
                peer=row.peer, authority=office, now=now, detail=error.detail,
            )  # fmt: skip
