# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Send what we owe: batch receipts, seal with the trust list of now, publish, remember the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial

from broker.core.attention import AttentionCode, message_subject
from broker.core.audit import AuditAction
from broker.core.content import entry_of
from broker.core.delivery import DISPATCH_BATCH, LEASE_SECONDS, UNSENT_HOURS, retry
from broker.core.errors import (
    BrokerError,
    Internal,
    NodeError,
    RecipientSuspended,
    TrustListExpired,
    UnknownRecipient,
)
from broker.core.ids import CountryCode, MessageType, SchemaVersion
from broker.core.messages import OutboxKind, ProfileHeader, SealedEnvelope
from broker.core.receipts import MAX_RECEIPTS, MAX_RECEIPTS_WITH_CHECKPOINT, ReceiptKind, to_body
from broker.core.trust import KeyUse, MemberStatus, TrustList
from broker.ledger import Ledger, node_header
from broker.ports import Clock, Compute, Ids, Store, Tally, Transaction, Transport, TrustSource, Vault
from broker.rows import AuditRow, OwedEntry
from broker.security.sealing import seal
from broker.security.suite import Signer
from broker.sent_apart import SentApart

__all__ = ["Dispatch", "Outcome"]

_RECEIPTS = MessageType("node.receipts")
_WITHOUT_CHECKPOINT = SchemaVersion("1.0")
_WITH_CHECKPOINT = SchemaVersion("1.1")
_UNSENT = timedelta(hours=UNSENT_HOURS)
_RECEIPTS_BATCH = 8  # full envelopes to one country at a time: waiting fills them no further


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one leased entry: sealed and published, or the error that prevented it."""

    entry: OwedEntry
    envelope: SealedEnvelope | None = None
    error: BrokerError | None = None


class Dispatch:
    """OutboxEntry → SealedEnvelope → transport.

    A batch lasts as long as its slowest publish. So a country whose queue took long to fail is sent to *apart*, in a loop
    of its own, until something leaves to it: as often as ever, one such country at a time, and nobody else waits for it.
    """

    def __init__(
        self,
        *,
        us: CountryCode,
        store: Store,
        transport: Transport,
        trust: TrustSource,
        vault: Vault,
        compute: Compute,
        clock: Clock,
        ids: Ids,
        ledger: Ledger,
        envelope_life: timedelta,
        trust_grace: timedelta,
        tally: Tally,
    ) -> None:
        self._us = us
        self._store = store
        self._transport = transport
        self._trust = trust
        self._vault = vault
        self._compute = compute
        self._clock = clock
        self._ids = ids
        self._ledger = ledger
        self._life = envelope_life
        self._grace = trust_grace
        self._tally = tally
        self._apart = SentApart()

    async def __call__(self) -> int:
        """Send one batch; return how many entries were taken, so that the caller knows whether more may wait.

        Raises:
            StoreUnavailable, DiskFull: nothing was taken, or the leases run out and the entries are taken again.
        """
        return await self._send(self._take)

    async def apart(self) -> int:
        """Send one batch to one of the countries whose queue took long to fail; return how many entries were taken.

        Raises:
            StoreUnavailable, DiskFull: as of a call.
        """
        return await self._send(self._take_apart, apart=True) if self._apart.countries else 0

    async def _send(self, take: Callable[[Transaction, str], tuple[OwedEntry, ...]], *, apart: bool = False) -> int:
        token = self._ids.token()
        entries = await self._store.run(lambda tx: take(tx, token), ahead=True)
        if not entries:
            return 0
        if apart:
            self._apart.had_turn(entries[0].recipient)
        # What was accepted leaves before more is taken in; receipts alone wait their turn, and the next ones fill up.
        ahead = any(entry.kind is OutboxKind.MESSAGE for entry in entries)
        sealed = await self._seal_all(entries, token, ahead=ahead)
        outcomes = await asyncio.gather(*(self._publish(outcome, apart=apart) for outcome in sealed))
        # Shielded: a cancelled worker must not forget that it published.
        await asyncio.shield(self._store.run(lambda tx: self._settle(tx, outcomes, token), ahead=ahead))
        for outcome in outcomes:
            self._count(outcome.entry, outcome.error)
        return len(entries)

    def _take(self, tx: Transaction, token: str) -> tuple[OwedEntry, ...]:
        """Write envelopes of the receipts that wait; lease what is to be sent, those too.

        Undone by a crash, the receipts wait as before and the leases are free. Nothing written here has left by then: what is
        sealed now leaves after its sealed bytes were committed, and these lastingly, which takes this along; what was sealed
        before leaves as the same bytes again.
        """
        tx.may_be_lost()
        now = self._clock.now()
        for peer in tx.peers_with_waiting_receipts():
            for _ in range(_RECEIPTS_BATCH):
                if not self._write_receipts(tx, peer, now):
                    break
        until = now + timedelta(seconds=LEASE_SECONDS)
        return tx.lease_outbox(now=now, until=until, token=token, limit=DISPATCH_BATCH, but=self._apart.countries)

    def _take_apart(self, tx: Transaction, token: str) -> tuple[OwedEntry, ...]:
        tx.may_be_lost()
        now = self._clock.now()
        until = now + timedelta(seconds=LEASE_SECONDS)
        for country in self._apart.countries:
            leased = tx.lease_outbox(now=now, until=until, token=token, limit=DISPATCH_BATCH, only={country})
            if leased:
                return leased
        return ()

    def _write_receipts(self, tx: Transaction, peer: CountryCode, now: datetime) -> bool:
        """Write an envelope of receipts; return whether it is full, so that more may wait."""
        version = self._receipts_version(peer)
        checkpoint = tx.checkpoint_for(peer) if version is not _WITHOUT_CHECKPOINT else None
        most = MAX_RECEIPTS if checkpoint is None else MAX_RECEIPTS_WITH_CHECKPOINT
        receipts = tx.waiting_receipts(peer, most)
        if not receipts:
            return False
        body = to_body(receipts, checkpoint.raw if checkpoint else None)
        header = node_header(self._ids, _RECEIPTS, us=self._us, peer=peer, created=now, version=version)
        entry = entry_of(header, body, OutboxKind.RECEIPTS)
        tx.add_outbox(entry, next_at=now)
        tx.assign_receipts(receipts, entry.id)
        if checkpoint is not None:
            tx.told_checkpoint(peer, checkpoint.head.position)
        return len(receipts) == most

    def _receipts_version(self, peer: CountryCode) -> SchemaVersion:
        """Return the newest version that both countries list: an older node knows no checkpoints."""
        members = self._trust.current().members
        lists = [members[country].messages.get(_RECEIPTS, ()) for country in (self._us, peer) if country in members]
        return _WITH_CHECKPOINT if lists and all(_WITH_CHECKPOINT in known for known in lists) else _WITHOUT_CHECKPOINT

    async def _seal_all(self, entries: tuple[OwedEntry, ...], token: str, *, ahead: bool) -> list[Outcome]:
        """Seal what is not sealed yet, and store the bytes before publishing: a retry sends identical bytes."""
        trust, now = self._trust.current(), self._clock.now()
        middle = (len(entries) + 1) // 2  # one job for each of the two threads: handing over costs as much as hashing
        halves = [half for half in (entries[:middle], entries[middle:]) if half]
        sealed = await asyncio.gather(
            *(self._compute.run(partial(self._seal_some, half, trust, now)) for half in halves)
        )
        outcomes = [outcome for half in sealed for outcome in half]
        fresh = [
            outcome.envelope
            for outcome in outcomes
            if outcome.envelope is not None and outcome.envelope is not outcome.entry.envelope
        ]
        if not fresh:
            return outcomes
        kept = await self._store.run(lambda tx: tx.save_sealed(fresh, token=token), ahead=ahead)
        lost = {envelope.id for envelope in fresh} - kept
        return [outcome for outcome in outcomes if outcome.entry.id not in lost]

    def _seal_some(self, entries: tuple[OwedEntry, ...], trust: TrustList, now: datetime) -> list[Outcome]:
        signer = cache(partial(self._vault.signer, trust, now))  # asked for once, and only if something is sealed
        return [self._seal(entry, trust, now, signer) for entry in entries]

    def _seal(self, entry: OwedEntry, trust: TrustList, now: datetime, signer: Callable[[], Signer]) -> Outcome:
        if entry.fault is not None:
            return Outcome(entry=entry, error=entry.fault)
        try:
            if not all(trust.sendable_to(country, now, self._grace) for country in (self._us, entry.recipient)):
                raise TrustListExpired
            if entry.envelope is not None and self._still_good(entry.envelope, trust, now):
                return Outcome(entry=entry, envelope=entry.envelope)
            envelope = self._sealed(entry, trust, now, signer)
        except BrokerError as error:
            return Outcome(entry=entry, error=error)
        except Exception as error:  # an unforeseen fault in one must not hold up the rest of its batch for ever
            return Outcome(entry=entry, error=Internal(f"Sealing raised {type(error).__name__}."))
        return Outcome(entry=entry, envelope=envelope)

    def _sealed(
        self, entry: OwedEntry, trust: TrustList, now: datetime, signer: Callable[[], Signer]
    ) -> SealedEnvelope:
        member = trust.members.get(entry.recipient)
        if member is None:
            raise UnknownRecipient
        if member.status is not MemberStatus.ACTIVE:
            raise RecipientSuspended
        key = member.key_for(KeyUse.HPKE, now)
        if key is None:
            raise UnknownRecipient("The addressed country has no usable encryption key in the trust list.")
        profile = ProfileHeader(
            sender=self._us,
            recipient=entry.recipient,
            id=entry.id,
            expires=int((now + self._life).timestamp()),
            exercise=entry.exercise,
        )
        return seal(entry.content, profile=profile, signer=signer(), recipient=key, trust_version=trust.version)

    def _still_good(self, envelope: SealedEnvelope, trust: TrustList, now: datetime) -> bool:
        """Whether stored bytes may go out again: not expired, and every key they used is still acceptable."""
        if envelope.expires - now < self._life / 10:
            return False
        for kid in (envelope.recipient_kid, *envelope.signer_kids):
            found = trust.find_key(kid)
            if found is None or now >= found[1].accept_until:
                return False
            if found[1].revoked_at is not None and found[1].revoked_at <= now:
                return False
        return True

    async def _publish(self, outcome: Outcome, *, apart: bool) -> Outcome:
        if outcome.error is not None or outcome.envelope is None:
            return outcome
        entry, started = outcome.entry, self._clock.monotonic()
        failed: BrokerError
        try:
            await self._transport.publish(outcome.envelope, apart=apart)
        except BrokerError as error:
            failed = error
        except Exception as error:  # for the reason see `_seal`
            failed = Internal(f"Publishing raised {type(error).__name__}.")
        else:
            self._apart.left(entry.recipient)
            return outcome
        self._apart.failed(entry.recipient, failed, self._clock.monotonic() - started)
        return Outcome(entry=entry, error=failed)

    def _settle(self, tx: Transaction, outcomes: list[Outcome], token: str) -> None:
        """Remember what became of each; undone by a crash, the leases run out and the same bytes leave again."""
        tx.may_be_lost()
        now = self._clock.now()
        tx.mark_published([outcome.entry.id for outcome in outcomes if outcome.error is None], at=now, token=token)
        for outcome in outcomes:
            entry, error = outcome.entry, outcome.error
            if error is None:
                if entry.error is not None or now - entry.created >= _UNSENT:  # for so long `Watch` calls too
                    tx.resolve_attention(AttentionCode.NOT_SENT, message_subject(self._us, entry.id), at=now, by="node")
                continue
            if entry.kind is OutboxKind.RECEIPTS and entry.fault is not None:
                self._give_up(tx, entry, entry.fault, token, now)
                continue
            decision = retry(entry.attempts, error, now=now, jitter=self._ids.jitter(), before=entry.error)
            tx.retry_outbox(entry.id, next_at=decision.next_at, error=error.code, token=token)
            if decision.call_person:
                office = entry.authority if entry.kind is OutboxKind.MESSAGE else None
                self._ledger.call(
                    tx, AttentionCode.NOT_SENT, message_subject(self._us, entry.id),
                    peer=entry.recipient, authority=office, now=now, detail=error.detail,
                )  # fmt: skip

    def _give_up(self, tx: Transaction, entry: OwedEntry, fault: NodeError, token: str, now: datetime) -> None:
        """Let what does not open make way: while it waits, that country gets no other receipt."""
        if not tx.give_up_receipts(entry.id, at=now, error=fault.code, token=token):
            return
        tx.requeue_receipts([entry.id])
        tx.audit(AuditRow(at=now, actor="node", action=AuditAction.RECEIPTS_QUEUED, subject=entry.id))
        subject = message_subject(self._us, entry.id)
        self._ledger.call(tx, AttentionCode.NOT_SENT, subject, peer=entry.recipient, now=now, detail=fault.detail)

    def _count(self, entry: OwedEntry, error: BrokerError | None) -> None:
        if error is not None:
            self._tally.publish_failed(entry.recipient, error.code)
            return
        self._tally.published(entry.recipient)
        if entry.kind is OutboxKind.RECEIPTS:
            for kind in ReceiptKind:  # canonical JSON without any free text: each kind stands there in this spelling
                number = entry.content.count(f'"kind":"{kind}"'.encode("ascii"))
                if number:
                    self._tally.receipts(direction="out", peer=entry.recipient, kind=kind, number=number)
