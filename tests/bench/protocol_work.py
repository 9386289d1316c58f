# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the protocol's own work for one message costs in processor time: no store, no transport, no event loop.

Compose and validate, seal, parse, open, verify, validate; then the message's two receipts (delivered, handed over):
write, seal, parse, open, verify, validate, read. An envelope of receipts answers one message, or several.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from broker.catalogue import Catalogue
from broker.core.content import compose, entry_of
from broker.core.ids import AuthorityId, CountryCode, MessageType, SchemaVersion
from broker.core.messages import (
    Draft,
    Header,
    OutboxEntry,
    OutboxKind,
    Party,
    ProcedureRef,
    ProfileHeader,
    RecordEntry,
    VerifiedMessage,
)
from broker.core.procedures import Role, allowed, start
from broker.core.receipts import Receipt, ReceiptKind, from_body, to_body
from broker.core.record import fold
from broker.core.safeguards import Cleared, decide
from broker.core.trust import KeyUse
from broker.schema_files import load_catalogue
from broker.security.envelope import parse
from broker.security.sealing import Content, check_times, open_envelope, seal, verify
from broker.settings import Settings
from broker.system import SystemIds
from broker.testing.federation import make_federation
from broker.vault import FileVault, open_vault

__all__ = ["ProtocolWork"]

_EE, _FI = CountryCode("EE"), CountryCode("FI")
_RECEIPTS, _NODE = MessageType("node.receipts"), AuthorityId("node")
_RUNS = 4
_ROUNDS = 60  # messages per run
_LIFE = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One country's keys."""

    us: CountryCode
    vault: FileVault


class ProtocolWork:
    """Both countries' protocol work in one thread."""

    def __init__(self, folder: Path, submission: dict[str, Any]) -> None:
        """Args:
        folder: an empty one, for the two homes.
        submission: what is sent, as a caller writes it.
        """
        self._catalogue: Catalogue = load_catalogue()
        self._ids = SystemIds()
        self._now = datetime.now(UTC).replace(microsecond=0)
        federation = make_federation(
            folder, (_EE, _FI),
            messages={kind: self._catalogue.versions(kind) for kind in self._catalogue.types()}, now=self._now,
        )  # fmt: skip
        self._trust = federation.trust
        self._sides = {}
        for country, home in federation.homes.items():
            settings = Settings.load(home)
            vault = open_vault(settings)
            self._sides[country] = _Side(us=country, vault=vault)
        self._asked = self._catalogue.parse_submission(submission, actor="bench", route="bench", idempotency_key="0")
        self._table = self._catalogue.table(self._asked.type.procedure)
        self.content_bytes = len(self._composed().content)

    def message_ms(self, messages_per_envelope: int) -> float:
        """Return the processor milliseconds of one message and its share of an envelope of receipts."""

        def batch() -> None:
            taken = [self._taken(self._composed()) for _ in range(messages_per_envelope)]
            receipts = tuple(receipt for message in taken for receipt in self._receipts(message))
            read = from_body(self._taken(self._written(receipts)).body, _FI)
            if len(read) != 2 * messages_per_envelope:
                raise SystemExit("the receipts did not come back")

        return _mean_ms(batch, max(_ROUNDS // messages_per_envelope, 1)) / messages_per_envelope

    def validation_ms(self) -> float:
        """Return what validating the message and stepping its procedure costs."""
        draft = self._draft()
        entry = self._composed()
        noted = RecordEntry(
            digest=entry.digest, message=entry.id, author=_EE, act=entry.header.type.act, parents=entry.header.parents
        )

        def step() -> None:
            self._catalogue.validate(draft)
            if draft.header.type.act not in allowed(self._table, start(self._table), Role.REQUESTING):
                raise SystemExit("the procedure does not allow its first message")
            fold(self._table, _EE, (noted,), ())

        return _mean_ms(step, 5 * _ROUNDS)

    def _draft(self) -> Draft:
        asked, table = self._asked, self._table
        header = Header(
            id=self._ids.message_id(),
            type=asked.type,
            version=self._catalogue.newest(asked.type),
            sender=Party(country=_EE, authority=asked.sender_authority),
            recipient=asked.recipient,
            created=self._now,
            exercise=asked.exercise,
            nonce=self._ids.nonce(),
            language=asked.language,
            urgency=asked.urgency,
            purpose=asked.purpose,
            legal_basis=asked.legal_basis,
            case_ref=self._ids.case_ref(exercise=asked.exercise),
            procedure=ProcedureRef(
                id=self._ids.procedure_id(), name=table.procedure, version=table.version, digest=table.digest
            ),
        )
        return Draft(header=header, body=asked.body)

    def _composed(self) -> OutboxEntry:
        decision = decide(self._catalogue.validate(self._draft()))
        if not isinstance(decision, Cleared):
            raise RuntimeError("the safeguards keep back the request that is measured")
        return compose(decision.message, parents=(), created=self._now)

    def _written(self, receipts: tuple[Receipt, ...]) -> OutboxEntry:
        header = Header(
            id=self._ids.message_id(),
            type=_RECEIPTS,
            version=SchemaVersion("1.0"),
            sender=Party(country=_FI, authority=_NODE),
            recipient=Party(country=_EE, authority=_NODE),
            created=self._now,
            exercise=False,
            nonce=self._ids.nonce(),
        )
        return entry_of(header, to_body(receipts), OutboxKind.RECEIPTS)

    def _taken(self, entry: OutboxEntry) -> VerifiedMessage:
        """Seal an entry for its recipient, and believe and validate it there."""
        sender, recipient = self._sides[entry.header.sender.country], self._sides[entry.recipient]
        key = self._trust.members[recipient.us].key_for(KeyUse.HPKE, self._now)
        if key is None:
            raise SystemExit("the recipient has no key")
        profile = ProfileHeader(
            sender=sender.us,
            recipient=recipient.us,
            id=entry.id,
            expires=int((self._now + _LIFE).timestamp()),
            exercise=entry.exercise,
        )
        signer = sender.vault.signer(self._trust, self._now)
        sealed = seal(entry.content, profile=profile, signer=signer, recipient=key, trust_version=1)
        opened = open_envelope(parse(sealed.raw), recipient.vault.opener(), us=recipient.us)
        verified = verify(opened, self._trust, now=self._now)
        check_times(Content(header=verified.header, body=verified.body), verified.profile, now=self._now)
        self._catalogue.admit(verified)
        return verified

    def _receipts(self, message: VerifiedMessage) -> tuple[Receipt, Receipt]:
        delivered = Receipt(
            issuer=_FI,
            author=message.sender,
            message=message.profile.id,
            digest=message.digest,
            kind=ReceiptKind.DELIVERED,
            at=self._now,
            heads=(message.digest,),
            record_digest=message.digest,
        )
        handed_over = Receipt(
            issuer=_FI,
            author=message.sender,
            message=message.profile.id,
            digest=message.digest,
            kind=ReceiptKind.HANDED_OVER,
            at=self._now,
        )
        return delivered, handed_over


def _mean_ms(work: Callable[[], object], rounds: int) -> float:
    """Return the lowest mean of a few runs: what else the machine does can only add."""
    work()
    means = []
    for _ in range(_RUNS):
        started = time.process_time()
        for _ in range(rounds):
            work()
        means.append(1000 * (time.process_time() - started) / rounds)
    return min(means)
