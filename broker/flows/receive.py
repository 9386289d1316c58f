# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Take what a transport brings: answer repeats, believe or not, record and testify in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from broker.core import canonical
from broker.core.attention import AttentionCode
from broker.core.audit import AuditAction
from broker.core.delivery import (
    PARKED_MAX_BYTES,
    PARKED_MAX_ITEMS,
    PARKED_RETRY_SECONDS,
    QUARANTINE_MAX_BYTES,
    QUARANTINE_MAX_ITEMS,
    REANSWER_SECONDS,
    is_recent,
)
from broker.core.errors import (
    BrokerError,
    ClockAhead,
    Fate,
    IdReused,
    Internal,
    OwnKeyMissing,
    SenderError,
    TooLarge,
    UnknownRecipientKey,
)
from broker.core.healing import Passed
from broker.core.ids import AuthorityId, CountryCode, Digest, KeyId, MessageId
from broker.core.messages import Delivery, VerifiedMessage
from broker.core.receipts import ReceiptKind
from broker.core.rotation import may_destroy
from broker.core.trust import KeyUse, TrustList
from broker.ports import Clock, Compute, Notifier, Store, Tally, Transaction, TrustSource, Vault
from broker.reception import Reception
from broker.reception.returned import ReturnedMessage, read_returned
from broker.reception.witness import Witnessed, read_witnessed
from broker.rows import AuditRow, HeldDelivery, SeenRaw, arrival
from broker.security.envelope import MAX_ENVELOPE, parse
from broker.security.sealing import open_envelope, verify
from broker.security.suite import Opener
from broker.together import Together

__all__ = ["PARKED", "Receive"]

_ROUNDS = 2  # of looking: one may be read from the store while the other is opened and verified
_MOST = 8  # deliveries in a round: their recording need not wait for many others to be verified
PARKED = "parked"  # the queue of a delivery that is offered again from the store


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrived:
    """A delivery and the digest of its bytes."""

    delivery: Delivery
    raw_sha256: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Believed:
    """A believed message, with what of it needed cryptography of its own."""

    message: VerifiedMessage
    witnessed: Witnessed | None
    returned: ReturnedMessage | None


class Receive:
    """Delivery → Envelope → OpenedMessage → VerifiedMessage → ValidMessage → InboxEntry."""

    def __init__(
        self,
        *,
        us: CountryCode,
        store: Store,
        trust: TrustSource,
        vault: Vault,
        compute: Compute,
        clock: Clock,
        reception: Reception,
        notifier: Notifier,
        wake: Callable[[], None],
        offer: Callable[[], None],
        unknown: Callable[[], None],
        tally: Tally,
    ) -> None:
        """Args:
        reception: the transaction steps that decide about a believed message.
        wake: called when something was decided for which receipts wait.
        offer: called when there is something to hand over to an adapter.
        unknown: called when something is not yet believable: asks for a trust refresh.
        """
        self._us = us
        self._store = store
        self._trust = trust
        self._vault = vault
        self._compute = compute
        self._clock = clock
        self._reception = reception
        self._notifier = notifier
        self._wake = wake
        self._offer = offer
        self._unknown = unknown
        self._tally = tally
        self._look: Together[_Arrived, SeenRaw | _Believed] = Together(self._look_at, rounds=_ROUNDS, most=_MOST)

    async def __call__(self, delivery: Delivery) -> str:
        """Decide about one delivery; when this returns, the transport may forget it.

        Returns:
            What became of it, for the log: a word of a closed list or an error code.

        Raises:
            NodeError: nothing was decided; the transport offers it again.
        """
        arrived = _Arrived(delivery=delivery, raw_sha256=canonical.digest(delivery.raw))
        if delivery.abuse:
            await self._store.run(lambda tx: self._count_abuse(tx, delivery))
        outcome = await self._decide(arrived)
        if outcome != "receipts":  # these are not receipted; what they make due again need not leave within the second
            self._wake()
        return outcome

    async def _decide(self, arrived: _Arrived) -> str:
        delivery, raw_sha256 = arrived.delivery, arrived.raw_sha256
        try:
            found = await self._look(arrived)
            if isinstance(found, SeenRaw):
                outcome = await self._answer_again(found)
                await self._unpark(delivery, raw_sha256)
                return outcome
            verified = found.message
            outcome = await self._record(found, raw_sha256, delivery.arrived or verified.received)
            await self._unpark(delivery, raw_sha256, opened_by=verified.recipient_kid)
            self._count(verified, outcome)
            if outcome == "recorded":
                await self._announce(verified)
            return outcome
        except BrokerError as error:
            if error.fate is Fate.RETRY:
                raise
            await self._keep(delivery, raw_sha256, error)
            return error.code

    async def _look_at(self, some: Sequence[_Arrived]) -> list[SeenRaw | _Believed | Exception]:
        """Return of each delivery what was decided before, or what it says where it is believed."""
        seen = await self._store.read(lambda reader: reader.seen([arrived.raw_sha256 for arrived in some]))
        new = [arrived.delivery for arrived in some if arrived.raw_sha256 not in seen]
        believed = await self._compute.run(lambda: self._believe_some(new)) if new else []
        believed.reverse()  # taken out one by one: an error that stayed here would hold this frame, which holds what came
        return [seen.get(arrived.raw_sha256) or believed.pop() for arrived in some]

    async def _announce(self, verified: VerifiedMessage) -> None:
        """Let the office's adapter have it, or tell its officers that their inbox does."""
        office = AuthorityId(verified.header["recipient"]["authority"])
        if self._reception.served(office):
            self._offer()
            return
        told = arrival(verified.profile.id, sender=verified.sender, authority=office, at=verified.received)
        await self._notifier.notify(told)

    async def _record(self, believed: _Believed, raw_sha256: Digest, arrived: datetime) -> str:
        verified, witnessed, returned = believed.message, believed.witnessed, believed.returned
        try:
            passed = await self._passed(verified) if self._reception.asks(verified) else None
            return await self._store.run(
                lambda tx: self._reception.record(
                    tx, verified, raw_sha256, arrived=arrived, witnessed=witnessed, returned=returned, passed=passed
                )
            )
        except SenderError as error:
            refusal = error
        return await self._store.run(lambda tx: self._reception.refuse(tx, verified, raw_sha256, refusal))

    async def _passed(self, verified: VerifiedMessage) -> tuple[Passed, ...] | None:
        """Read what a restored country asks for while others write: it takes the longer the older this node is."""
        if not await self._store.run(lambda tx: self._reception.grants(tx, verified)):
            return None
        return await self._store.read(lambda reader: self._reception.look(reader, verified))

    async def set_aside(self, delivery: Delivery) -> None:
        """Keep a delivery sealed for people after an unforeseen fault; coming back for ever would help nobody.

        Raises:
            NodeError: it could not be kept; the transport offers it again.
        """
        await self._keep(delivery, canonical.digest(delivery.raw), Internal())

    async def _keep(self, delivery: Delivery, raw_sha256: Digest, error: BrokerError) -> None:
        await self._store.run(lambda tx: self._hold(tx, delivery, raw_sha256, error))
        if error.fate is Fate.PARK:
            self._unknown()

    async def _unpark(self, delivery: Delivery, raw_sha256: Digest, *, opened_by: KeyId | None = None) -> None:
        if delivery.queue != PARKED:
            return
        await self._store.run(lambda tx: tx.unpark(raw_sha256))
        if opened_by is not None:  # the vault has it: perhaps again
            code, now = AttentionCode.OWN_KEY_MISSING, self._clock.now()
            await self._store.run(lambda tx: tx.resolve_attention(code, opened_by, at=now, by="node"))

    def _count_abuse(self, tx: Transaction, delivery: Delivery) -> None:
        for code in delivery.abuse:
            tx.count_abuse(delivery.user or "unknown", code, self._clock.now())

    async def _answer_again(self, seen: SeenRaw) -> str:
        """Answer bytes that were decided before from the store, without cryptography, at most once a minute."""
        now = self._clock.now()
        if seen.sender and seen.message and not is_recent(seen.answered, now, REANSWER_SECONDS):
            sender, message = seen.sender, seen.message

            def answer(tx: Transaction) -> None:
                tx.queue_receipts(sender, message, now=now)
                tx.save_seen(SeenRaw(sha256=seen.sha256, sender=sender, message=message, answered=now))

            await self._store.run(answer)
        return "repeat"

    def _count(self, verified: VerifiedMessage, outcome: str) -> None:
        peer = verified.sender
        if outcome == "recorded":
            self._tally.received(peer, verified.header["type"])
        if outcome != "receipts":
            return
        now, told = self._clock.now().timestamp(), tuple(_told(verified.body))
        for kind, number in Counter(kind for kind, _ in told).items():
            self._tally.receipts(direction="in", peer=peer, kind=kind, number=number)
        for kind, message in told:
            if kind is ReceiptKind.DELIVERED:
                self._tally.delivered(peer, max(now - message.made, 0.0))

    def _believe_some(self, deliveries: Sequence[Delivery]) -> list[_Believed | Exception]:
        trust, now, opener = self._trust.current(), self._clock.now(), self._vault.opener()
        return [self._believe_or_not(delivery, trust, now, opener) for delivery in deliveries]

    def _believe_or_not(
        self, delivery: Delivery, trust: TrustList, now: datetime, opener: Opener
    ) -> _Believed | Exception:
        try:
            return self._believe(delivery, trust, now, opener)
        except Exception as error:  # of this one alone
            return error

    def _believe(self, delivery: Delivery, trust: TrustList, now: datetime, opener: Opener) -> _Believed:
        if len(delivery.raw) > MAX_ENVELOPE:
            raise TooLarge
        envelope = parse(delivery.raw)
        try:
            opened = open_envelope(envelope, opener, us=self._us)
        except UnknownRecipientKey:
            if self._should_hold(envelope.recipient_kid, trust, now):
                raise OwnKeyMissing(where=envelope.recipient_kid) from None
            raise
        verified = verify(opened, trust, now=now)
        return _Believed(
            message=verified,
            witnessed=read_witnessed(verified, trust),
            returned=read_returned(verified, trust, self._us),
        )

    def _should_hold(self, kid: KeyId, trust: TrustList, now: datetime) -> bool:
        """Whether the list in force still lets others seal to that key of ours: then its absence is our own fault."""
        found = trust.find_key(kid)
        if found is None or found[0].country != self._us or found[1].use is not KeyUse.HPKE:
            return False
        return not may_destroy(found[1], now)

    def _hold(self, tx: Transaction, delivery: Delivery, raw_sha256: Digest, error: BrokerError) -> None:
        """Keep the sealed bytes: in quarantine for good, or parked until they may be believable."""
        now = self._clock.now()
        held = HeldDelivery(
            sha256=raw_sha256,
            raw=delivery.raw[:MAX_ENVELOPE],
            code=error.code,
            user=delivery.user,
            received=now,
            next_at=now + timedelta(seconds=PARKED_RETRY_SECONDS) if error.fate is Fate.PARK else None,
        )
        if error.fate is Fate.PARK:
            tx.park(held, max_items=PARKED_MAX_ITEMS, max_bytes=PARKED_MAX_BYTES)
            if isinstance(error, ClockAhead):  # waiting does not mend a clock
                self._reception.call(tx, AttentionCode.CLOCK, error.where or "unknown")
            if isinstance(error, OwnKeyMissing):  # nor does it bring a key back
                self._reception.call(tx, AttentionCode.OWN_KEY_MISSING, error.where or "unknown")
            return
        tx.unpark(raw_sha256)
        tx.quarantine(held, max_items=QUARANTINE_MAX_ITEMS, max_bytes=QUARANTINE_MAX_BYTES)
        tx.save_seen(SeenRaw(sha256=raw_sha256, sender=None, message=None, answered=now))
        tx.audit(AuditRow(at=now, actor="node", action=AuditAction.QUARANTINED, subject=raw_sha256, detail=error.code))
        code = AttentionCode.ID_REUSED if isinstance(error, IdReused) else AttentionCode.QUARANTINED
        self._reception.call(tx, code, delivery.user or "unknown", detail=error.detail)


def _told(body: Mapping[str, Any]) -> Iterator[tuple[ReceiptKind, MessageId]]:
    """Yield what receipts say of which messages, for the metrics; one beside them may have any form."""
    for item in body["receipts"]:
        with suppress(LookupError, TypeError, ValueError):
            yield ReceiptKind(item["kind"]), MessageId(item["message"])
