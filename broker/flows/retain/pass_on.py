# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Tell every office that had the data what was rectified, restricted or erased, and answer who tells us so (GDPR 19).

Each is an ordinary message through the ordinary way: safeguards judge it, receipts prove it, its deadline calls a person
where no answer comes. What was told and what is confirmed stands in one place: `trm case disclosures`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from broker.core import canonical
from broker.core.attention import AttentionCode, message_subject
from broker.core.audit import Who
from broker.core.corrected import targets_of
from broker.core.errors import BadRequest, CaseKeyMissing, Forbidden, NotFound, SenderError, StoreCorrupt
from broker.core.ids import AuthorityId, CaseRef, CountryCode, Digest, MessageId, MessageType, ProcedureId
from broker.core.messages import LegalBasis, Party, Submission, Urgency
from broker.core.retention import EraseReason
from broker.core.roles import PEOPLE
from broker.derived.disclosed import Correction, Disclosure, corrections_of, disclosures_of
from broker.flows.retain.list_case import Case, case_named
from broker.ports import Clock, Reader, Store, TrustSource
from broker.rows import Accepted, MessageFilter, MessageRow

__all__ = ["Answer", "Outcome", "PassOn", "Passing", "PassingKind", "Told"]

_NEWEST = 50  # messages that are looked through for what an office calls itself
_MOST_TARGETS = 20  # of one message, by its schema
_PURPOSE = "Correct what was sent"
_ROUTE = "retention"
_ASK_WHY = "It was decided about by itself, and is kept; this office says why."
_KEPT_HERE = "Digests, signed receipts, the record and the audit trail; they tell nothing of what was said."


class PassingKind(StrEnum):
    """What is passed on."""

    RECTIFY = "rectify"
    RESTRICT = "restrict"
    ERASE = "erase"


class Outcome(StrEnum):
    """What was done here with what another country corrected (code list ``correction-outcome``)."""

    DONE = "DONE"
    PARTLY = "PARTLY"
    KEPT = "KEPT"
    NOT_HELD = "NOT_HELD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """What is decided here and passed on."""

    kind: PassingKind
    reason: EraseReason | None = None  # of an erasure
    details: Mapping[str, Any] | None = None  # further members of the message's body
    messages: tuple[MessageId, ...] = ()  # only these; none: all that was sent
    office_kind: str | None = None  # code list ``actor-kind``; None: as this office called itself in the case


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One office that had the data, and the message that tells it."""

    recipient: Party
    targets: tuple[Digest, ...]
    message: MessageId | None  # None: only listed, or refused or held
    code: str | None  # why not: a code of the errors; ``safeguard-held`` waits for a second person


@dataclass(frozen=True, slots=True, kw_only=True)
class _Untold:
    """An office that had the data, and what it is to be told of."""

    recipient: Party
    targets: tuple[Digest, ...]
    language: str
    tried: tuple[MessageId, ...]  # what told it before, and was refused or taken back


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was done here, in answer to another country's correction."""

    outcome: Outcome
    why: str = ""  # for its officers; needed where not all was done
    office_kind: str | None = None
    each: Mapping[Digest, Outcome] | None = None  # of messages decided about one by one; None: as above for all


class PassOn:
    """Writes the messages; who had the data is read from what was sent."""

    def __init__(
        self,
        *,
        us: CountryCode,
        store: Store,
        trust: TrustSource,
        clock: Clock,
        submit: Callable[[Submission], Awaitable[Accepted]],
    ) -> None:
        self._us = us
        self._store = store
        self._trust = trust
        self._clock = clock
        self._submit = submit

    async def __call__(
        self, wanted: CaseRef | ProcedureId, passing: Passing, who: Who, *, dry_run: bool = False
    ) -> tuple[Told, ...]:
        """Tell each office that was sent messages of a case; one that was told of a message is not told again.

        What its node refused, or what was taken back, has told nobody: it is said once more.

        Raises:
            Forbidden: no person asks for it.
            NotFound, CaseErased: the office has no such case; what is erased is told of before.
            BadRequest: the kind of this office is not known from the case.
        """
        if who.role not in PEOPLE:
            raise Forbidden("A person of the office passes a correction on.")
        case, found = await self._store.read(lambda reader: self._recipients(reader, wanted, passing, who))
        if dry_run:
            return tuple(Told(recipient=one.recipient, targets=one.targets, message=None, code=None) for one in found)
        us = Party(country=self._us, authority=case.authority)
        office = self._named(us, passing.office_kind or await self.kind_of(case.authority))
        return tuple([await self._tell(case, passing, office, who, one) for one in found])

    async def answer(self, message: MessageId, answer: Answer, who: Who) -> Accepted:
        """Report to another country what was done with what it corrected.

        Raises:
            NotFound: the office was sent no such correction.
            SenderError: the report may not leave now.
        """
        row, outcomes = await self._store.read(lambda reader: self._correction(reader, message, answer, who))
        header = row.header
        if header.procedure is None or header.legal_basis is None:
            raise NotFound
        on = self._clock.now().date().isoformat()
        body = {
            "outcomes": [
                {"target": str(target), "outcome": outcome.value, "on": on, **_reason(outcome, answer)}
                for target, outcome in outcomes.items()
            ],
            "told": [],
            "person_told_on": {"unknown": True},
            "done_by": self._named(
                header.recipient, answer.office_kind or await self.kind_of(header.recipient.authority)
            ),
        }
        accepted = await self._submit(
            Submission(
                type=MessageType("correction.report"),
                version=None,
                sender_authority=header.recipient.authority,
                recipient=header.sender,
                procedure=header.procedure.id,
                legal_basis=LegalBasis(code=header.legal_basis.code),
                purpose=_PURPOSE,
                urgency=Urgency.PRIORITY,
                language=header.language or "en",
                exercise=header.exercise,
                body=body,
                actor=who.actor,
                role=who.role,
                route=_ROUTE,
                idempotency_key=f"report {message} {answer.outcome}",
            )
        )
        subject, now = message_subject(row.peer, row.id), self._clock.now()
        await self._store.run(
            lambda tx: tx.resolve_attention(AttentionCode.ERASURE_ASKED, subject, at=now, by=who.actor)
        )
        return accepted

    async def kind_of(self, office: AuthorityId) -> str | None:
        """Return what kind of office it called itself in what it sent last; None: it never said, or not all of that opens."""
        us = Party(country=self._us, authority=office)

        def look(reader: Reader) -> str | None:
            page = reader.messages(MessageFilter(direction="out", authority=office), cursor=None, limit=_NEWEST)
            rows = (row for brief in page.items for row in reader.messages_of(brief.id, office))
            return next((str(part["kind"]) for body in _bodies(rows) for part in _offices(body, us)), None)

        try:
            return await self._store.read(look)
        except (CaseKeyMissing, StoreCorrupt):  # of one case: it holds up what is decided about no other
            return None

    # --- who had the data -------------------------------------------------------------------------------------------

    def _recipients(
        self, reader: Reader, wanted: CaseRef | ProcedureId, passing: Passing, who: Who
    ) -> tuple[Case, list[_Untold]]:
        case = case_named(reader, wanted, who.authority)
        items = disclosures_of(reader, case.rows)
        known = corrections_of(reader, case.rows, frozenset(item.digest for item in items))
        before = [item for item in known if _says(item, passing.kind)]
        told = {(_office(item), target) for item in before if item.stands for target in item.targets}
        offices: dict[Party, list[Disclosure]] = {}
        for item in items:
            chosen = not passing.messages or item.message in passing.messages
            again = passing.kind is not PassingKind.RECTIFY and (item.header.recipient.authority, item.digest) in told
            if item.direction == "out" and item.refusal_code is None and chosen and not again:
                offices.setdefault(item.header.recipient, []).append(item)
        return case, [
            _Untold(
                recipient=to,
                targets=tuple(one.digest for one in some),
                language=some[-1].header.language or "en",
                tried=tuple(
                    item.disclosure.message for item in before if not item.stands and _office(item) == to.authority
                ),
            )
            for to, sent in offices.items()
            for some in _portions(sent)
        ]

    def _correction(
        self, reader: Reader, message: MessageId, answer: Answer, who: Who
    ) -> tuple[MessageRow, Mapping[Digest, Outcome]]:
        """Return another country's correction, and what is answered about each message that it names."""
        for row in reader.messages_of(message, who.authority):
            if row.direction == "in" and row.header.type.procedure == "correction" and row.content is not None:
                targets = targets_of(orjson.loads(row.content)["body"])
                if targets:
                    return row, {one: _outcome(reader, row.peer, one, answer) for one in map(Digest, targets)}
        raise NotFound

    # --- writing ----------------------------------------------------------------------------------------------------

    async def _tell(
        self,
        case: Case,
        passing: Passing,
        office: Mapping[str, Any],
        who: Who,
        untold: _Untold,
    ) -> Told:
        recipient, targets = untold.recipient, untold.targets
        body = self._body(passing, office, targets)
        asked: dict[str, Any] = {"to": [recipient.country, recipient.authority], "body": body}
        if untold.tried:  # on the same day the same words would be answered by the message that told nobody
            asked["tried"] = list(untold.tried)
        key = canonical.digest(canonical.dump(asked))
        submission = Submission(
            type=MessageType(f"correction.{passing.kind}"),
            version=None,
            sender_authority=case.authority,
            recipient=recipient,
            procedure=None,
            legal_basis=LegalBasis(code="GDPR_19"),
            purpose=_PURPOSE,
            urgency=Urgency.PRIORITY,
            language=untold.language,
            exercise=case.rows[0].exercise,
            body=body,
            actor=who.actor,
            role=who.role,
            route=_ROUTE,
            idempotency_key=key,
        )
        try:
            accepted = await self._submit(submission)
        except SenderError as error:
            return Told(recipient=recipient, targets=targets, message=None, code=error.code)
        return Told(recipient=recipient, targets=targets, message=accepted.message, code=None)

    def _body(self, passing: Passing, office: Mapping[str, Any], targets: tuple[Digest, ...]) -> dict[str, Any]:
        own: dict[str, Any] = {
            "targets": [str(target) for target in targets],
            "effective_on": self._clock.now().date().isoformat(),
            "to_be_told": [],
            "corrected_by": dict(office),
        }
        if passing.kind is PassingKind.ERASE and passing.reason is not None:
            own |= {"ground": passing.reason.ground, "kept_here": {"value": _KEPT_HERE}, "reason": passing.reason.law}
        if passing.kind is PassingKind.RESTRICT:
            own |= {"until": {"unknown": True}}
        return {**own, **(passing.details or {})}

    def _named(self, us: Party, kind: str | None) -> dict[str, Any]:
        """Return this office as messages name it.

        Raises:
            BadRequest: nothing says of which kind it is.
        """
        if kind is None:
            raise BadRequest("No message says what kind of office this is: say so.", where="office_kind")
        member = self._trust.current().members.get(us.country)
        listed = None if member is None else member.authority(us.authority)
        name = us.authority if listed is None else listed.name
        return {"name": str(name), "kind": kind, **us.to_json()}


def _says(item: Correction, kind: PassingKind) -> bool:
    """Whether we passed on that kind of correction by it."""
    return item.disclosure.direction == "out" and item.disclosure.header.type.act == kind


def _office(item: Correction) -> AuthorityId:
    return item.disclosure.header.recipient.authority


def _outcome(reader: Reader, peer: CountryCode, target: Digest, answer: Answer) -> Outcome:
    """Return what is answered about one message; of what nobody decided about, whether it is held: nothing of it was done."""
    if answer.each is None:
        return answer.outcome
    if target in answer.each:
        return answer.each[target]
    page = reader.messages(MessageFilter(peer=peer, digest=target), cursor=None, limit=1, readable_only=True)
    return Outcome.KEPT if page.items or page.unreadable else Outcome.NOT_HELD


def _reason(outcome: Outcome, answer: Answer) -> dict[str, str]:
    """Return why; each message that is kept needs a reason, also where the last decision was about another one."""
    why = answer.why if outcome is answer.outcome else ""
    if outcome is Outcome.KEPT and not why:
        why = _ASK_WHY
    return {"reason": why} if why else {}


def _bodies(rows: Iterable[MessageRow]) -> Iterator[Any]:
    for row in rows:
        if row.content is not None:
            yield orjson.loads(row.content)["body"]


def _offices(node: Any, us: Party) -> Iterator[Mapping[str, Any]]:
    """Yield the parts of a body that name this office."""
    if isinstance(node, Mapping):
        if (node.get("authority"), node.get("country")) == (us.authority, us.country) and isinstance(
            node.get("kind"), str
        ):
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _offices(item, us)


def _portions(sent: Sequence[Disclosure]) -> Iterator[Sequence[Disclosure]]:
    for start in range(0, len(sent), _MOST_TARGETS):
        yield sent[start : start + _MOST_TARGETS]
