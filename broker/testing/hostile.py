# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A member that holds true keys and breaks the rules: it signs and seals whatever a test wants to be said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from broker.core import canonical
from broker.core.content import entry_of
from broker.core.errors import NotCanonical
from broker.core.ids import AuthorityId, CountryCode, Digest, MessageId, SchemaVersion
from broker.core.messages import Delivery, Header, OutboxEntry, OutboxKind, Party, ProcedureRef, ProfileHeader
from broker.core.receipts import Receipt, ReceiptKind, to_body
from broker.core.trust import KeyUse
from broker.ledger import node_header
from broker.security.sealing import seal
from broker.security.suite import Signer
from broker.testing.world import Country
from broker.vault import FileVault

__all__ = ["Hostile"]

_LIFE = timedelta(days=30)


class Hostile:
    """Speaks to one victim in the name of a simulated country."""

    def __init__(self, country: Country, victim: Country) -> None:
        self._country = country
        self._victim = victim

    def message(
        self,
        example: str | Mapping[str, Any],
        *,
        procedure: ProcedureRef | None = None,
        parents: tuple[Digest, ...] = (),
        body: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> OutboxEntry:
        """Return a casework message that nobody's store knows.

        Args:
            example: of `schemas/examples/demo`, or the JSON object of a submission.
            procedure: None opens one.
            parents: whatever is to be claimed.
            body: another than the example's.
            changes: of the header.
        """
        submission = self._country.submission(example)
        table = self._country.desk.catalogue.table(submission.type.procedure)
        ref = procedure or ProcedureRef(
            id=self._country.ids.procedure_id(), name=table.procedure, version=table.version, digest=table.digest
        )
        header = Header(
            id=self._country.ids.message_id(),
            type=submission.type,
            version=submission.version or SchemaVersion("1.0"),
            sender=Party(country=self._country.us, authority=self._office(submission.sender_authority)),
            recipient=submission.recipient,
            created=self._country.clock.now(),
            exercise=submission.exercise,
            nonce=self._country.ids.nonce(),
            language=submission.language,
            urgency=submission.urgency,
            purpose=submission.purpose,
            legal_basis=submission.legal_basis,
            case_ref=self._country.ids.case_ref(exercise=submission.exercise),
            procedure=ref,
            parents=tuple(sorted(parents)),
        )
        return entry_of(
            replace(header, **changes), submission.body if body is None else body, OutboxKind.MESSAGE
        )  # fmt: skip

    def _office(self, named: AuthorityId) -> AuthorityId:
        """Return the example's office if it is one of the country's own, else the country's first."""
        own = self._country.trust.current().members[self._country.us].authorities
        return named if named in {office.id for office in own} else own[0].id

    def receipt(self, message: MessageId, digest: Digest, kind: ReceiptKind, **more: Any) -> Receipt:
        """Return a receipt about a message of the victim; `more` replaces any of its fields."""
        plain = Receipt(
            issuer=self._country.us,
            author=self._victim.us,
            message=message,
            digest=digest,
            kind=kind,
            at=self._country.clock.now(),
        )
        return replace(plain, **more)

    def receipts(self, *receipts: Receipt) -> OutboxEntry:
        """Return the message that carries them."""
        own, created = self._country, self._country.clock.now()
        header = node_header(own.ids, "node.receipts", us=own.us, peer=self._victim.us, created=created)
        return entry_of(header, to_body(receipts), OutboxKind.RECEIPTS)

    def seal(
        self,
        entry: OutboxEntry,
        *,
        to: CountryCode | None = None,
        expires: datetime | None = None,
        signer: Signer | None = None,
    ) -> Delivery:
        """Return the entry sealed for the victim, or for somebody else; each time other bytes.

        Args:
            entry: what is sealed.
            to: another recipient.
            expires: another expiry.
            signer: stolen keys; None: those of the country.
        """
        now, trust = self._country.clock.now(), self._country.trust.current()
        recipient = to or self._victim.us
        key = trust.members[recipient].key_for(KeyUse.HPKE, now)
        if key is None:
            raise RuntimeError("the victim has no key")
        profile = ProfileHeader(
            sender=self._country.us,
            recipient=recipient,
            id=entry.id,
            expires=int((expires or now + _LIFE).timestamp()),
            exercise=entry.exercise,
        )
        signer = signer or FileVault(self._country.us, self._country.keys).signer(trust, now)
        envelope = seal(entry.content, profile=profile, signer=signer, recipient=key, trust_version=trust.version)
        return Delivery(raw=envelope.raw, queue="in", user=self._country.us)

    async def say(self, made: Any) -> str:
        """Sign and seal any JSON value as a message's content, hand it to the victim and return what became of it."""
        return await self.send(replace(self.receipts(), content=_bytes(made), **_of_profile(made)))

    async def send(self, entry: OutboxEntry) -> str:
        """Hand the entry to the victim's node and return what became of it."""
        return await self._victim.engine.receive(self.seal(entry))


def _bytes(made: Any) -> bytes:
    try:
        return canonical.dump(made)
    except NotCanonical:
        return json.dumps(made).encode()


def _of_profile(made: Any) -> dict[str, Any]:
    """Return what the profile repeats of the header, as far as there is any."""
    try:
        header = made["header"]
        return {"id": MessageId(header["id"]), "exercise": header["exercise"] is True}
    except (LookupError, TypeError, ValueError):
        return {}
