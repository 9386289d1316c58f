# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Another country's node was restored from a backup: tell it what passed since, and send it again (PROTOCOL 17.2, 17.3)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from broker.catalogue import Catalogue
from broker.core import canonical
from broker.core.attention import AttentionCode
from broker.core.audit import AuditAction
from broker.core.content import entry_of
from broker.core.delivery import HEAL_MARGIN_SECONDS, HEAL_PAUSE_SECONDS
from broker.core.errors import CaseKeyMissing, StoreCorrupt
from broker.core.healing import (
    HELD_TYPE,
    MAX_LISTED,
    Answer,
    HeldItem,
    Passed,
    Place,
    Question,
    RestoredMark,
    Returned,
)
from broker.core.ids import CountryCode, Digest, MessageId
from broker.core.messages import OutboxKind, VerifiedMessage
from broker.core.receipts import Receipt, ReceiptKind
from broker.ledger import Ledger, node_header
from broker.ports import Clock, Ids, Reader, Transaction
from broker.reception.remembering import Memory
from broker.security.envelope import MAX_CONTENT

__all__ = ["Answering"]

_ROOM = 4096  # bytes of an answer beside the message that it brings back


class Answering:
    """Answers from the record; keeps nothing but the statement itself."""

    def __init__(
        self, *, us: CountryCode, catalogue: Catalogue, ledger: Ledger, memory: Memory, clock: Clock, ids: Ids
    ) -> None:
        self._us = us
        self._catalogue = catalogue
        self._ledger = ledger
        self._memory = memory
        self._clock = clock
        self._ids = ids

    def grants(self, tx: Transaction, verified: VerifiedMessage, *, now: datetime) -> bool:
        """Return whether the sender is answered now: asking often does not make answers come often.

        Raises:
            SenderError: the question does not fit its schema.
        """
        self._catalogue.admit(verified)
        until = now + timedelta(seconds=HEAL_PAUSE_SECONDS)
        return tx.take_lease(f"healing-{verified.sender}", token=self._ids.token(), now=now, until=until)

    def look(self, reader: Reader, verified: VerifiedMessage) -> tuple[Passed, ...]:
        """Return the page that is asked for of what passed: read apart, for it is looked for in all that ever did.

        What is recorded between this and the answer came after the question, and the list need not name it.
        """
        question = Question.of(verified.body)
        if question.wanted:
            return ()
        since = question.since - timedelta(seconds=HEAL_MARGIN_SECONDS)
        return reader.healing.passed(verified.sender, since=since, after=question.after, limit=MAX_LISTED)

    def take(
        self,
        tx: Transaction,
        verified: VerifiedMessage,
        raw_sha256: Digest,
        passed: tuple[Passed, ...] | None,
        *,
        now: datetime,
    ) -> None:
        """Note that the sender was restored, and owe it an answer.

        Args:
            tx: the transaction.
            verified: the question.
            raw_sha256: of its envelope.
            passed: what `look` returned; None: it is not answered now.
            now: the current time.

        Raises:
            SenderError: the question does not fit its schema.
        """
        self._catalogue.admit(verified)
        question, peer = Question.of(verified.body), verified.sender
        mark = RestoredMark(country=peer, at=question.restored, position=question.position, head=question.head)
        if question.restored <= now + timedelta(seconds=HEAL_MARGIN_SECONDS) and tx.healing.note_mark(mark):
            detail = f"Made {question.since:%Y-%m-%d %H:%M} UTC; its trail goes on behind place {question.position}."
            self._ledger.call(tx, AttentionCode.PEER_RESTORED, peer, peer=peer, now=now, detail=detail)
        self._memory.remember(tx, verified, raw_sha256, AuditAction.PEER_RESTORED, now=now)
        if passed is None:
            return
        asked = verified.profile.id
        for answer in self._wanted(tx, peer, asked, question) if question.wanted else [self._list(tx, asked, passed)]:
            header = node_header(self._ids, HELD_TYPE, us=self._us, peer=peer, created=self._clock.now())
            tx.add_outbox(entry_of(header, answer.body(), OutboxKind.RECEIPTS), next_at=now)

    def _list(self, tx: Transaction, asked: MessageId, found: tuple[Passed, ...]) -> Answer:
        last = found[-1] if len(found) == MAX_LISTED else None
        return Answer(
            question=asked,
            items=tuple(self._item(tx, one) for one in found),
            next=None if last is None else Place(message=last.message, author=last.author),
        )

    def _item(self, tx: Transaction, one: Passed) -> HeldItem:
        return HeldItem(
            author=one.author,
            message=one.message,
            digest=one.digest,
            procedure=one.procedure,
            opener=one.opener,
            act=one.act,
            code=one.code,
            parents=one.parents if one.code is not None else (),
            receipts=() if one.author == self._us else self._receipts(tx, one),
        )

    def _receipts(self, tx: Transaction, one: Passed) -> tuple[Receipt, ...]:
        held = (tx.receipt(self._us, one.author, one.message, kind) for kind in ReceiptKind)
        return tuple(receipt for receipt in held if receipt is not None)

    def _wanted(self, tx: Transaction, peer: CountryCode, asked: MessageId, question: Question) -> list[Answer]:
        """Send what is ours again, give back what is theirs, and say what cannot be given."""
        sent: list[Digest] = []
        lacking: list[Digest] = []
        returned: list[Answer] = []
        for digest in question.wanted:
            one = tx.healing.passed_one(peer, digest)
            try:
                if one is not None and one.author == self._us and one.code is None:
                    readable = tx.outbox(one.message) is not None  # not erased meanwhile
                    done = readable and tx.healing.send_again(one.message, now=self._clock.now())
                    (sent if done else lacking).append(digest)
                    continue
                back = None if one is None or one.code is not None else self._returned(tx, one)
            except (CaseKeyMissing, StoreCorrupt):  # unanswered for it, that country would send nothing here any more
                back = None
            if back is None:
                lacking.append(digest)
            else:
                sent.append(digest)
                returned.append(Answer(question=asked, returned=back))
        return [Answer(question=asked, sent=tuple(sent), lacking=tuple(lacking)), *returned]

    def _returned(self, tx: Transaction, one: Passed) -> Returned | None:
        """Return a message of theirs as it was signed; None where it was erased here, or its signatures were not kept."""
        row = tx.inbox(one.author, one.message)
        signatures = tx.healing.signatures(one.author, one.message)
        if row is None or signatures is None:
            return None
        signed: dict[str, Any] = {
            "payload": canonical.b64url_encode(row.entry.content),
            "signatures": canonical.parse(signatures),
        }
        if len(signed["payload"]) + len(signatures) + _ROOM > MAX_CONTENT:
            return None
        return Returned(digest=one.digest, signed=signed, receipts=self._receipts(tx, one))
