# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What was exchanged before and weighs in the decision about the next message: read from the store for the safeguards.

- Of the messages that only hold an assessment of danger the newest ones are read: an old one decides nothing any more.
  What tells an age, or a decision on it, is read however old it is (R-15).
- Before a child is moved other procedures are read too, of every office of this country: the consent that is named, and
  what names a message of this procedure as the one that it is against.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from broker.catalogue import Catalogue
from broker.core.accompanied import adult_asked_about, asks_about_adult, with_another_child
from broker.core.adulthood import Told
from broker.core.elsewhere import CONSENT, LAST_STEPS, Consent, Elsewhere, looks_elsewhere, named_consent
from broker.core.excluded import brought_in
from broker.core.foregoing import as_corrected, targets_of
from broker.core.ids import CountryCode, Digest, MessageType, ProcedureId
from broker.core.impersonal import possible_names
from broker.core.messages import Body, Header, RecordEntry
from broker.core.persons import PersonQuery
from broker.core.reasons import Earlier
from broker.core.record import Mark, fold
from broker.core.safeguards import weighs, weighs_for_good
from broker.core.undisclosed import determines
from broker.ports import Reader
from broker.rows import MessageFilter, MessageRow, ProcedureRow
from broker.speaking import anybody

__all__ = ["CORRECTION", "Casefile", "adult_came_before", "child_described", "read_casefile"]

_PAGE = 200  # messages at a time
_PROCEDURES = 50  # in one read: each goes through the whole table of buckets
_ORDERED = "ORDERED"
_IN_EFFECT = frozenset({"CONSENTED", _ORDERED})  # states of a placement in which its consent holds
_OVER = frozenset({"CLOSED", "WITHDRAWN"})  # states of a notice that tells of nothing any more
_REMEDY, _CONCERN = "notice.remedy", "guardian.concern"
_OBJECTION, _ANSWER = "guardian.objection", "guardian.answer"
_ASSESSMENTS = 3  # newest messages with nothing but an assessment of danger that are read
CORRECTION = "correction"  # the procedure whose messages name those of other procedures


@dataclass(frozen=True, slots=True, kw_only=True)
class Casefile:
    """The earlier messages, oldest first, and the record that they were read from."""

    earlier: tuple[Earlier, ...] = ()
    record: frozenset[Digest] = frozenset()  # another record when the message is stored: decide again
    elsewhere: Elsewhere = field(default_factory=Elsewhere)  # what other procedures say of this one


def read_casefile(
    reader: Reader, us: CountryCode, row: ProcedureRow, header: Header, body: Body, catalogue: Catalogue
) -> Casefile:
    """Return what weighs in the decision about that message of ours, which may open the procedure."""
    entries = reader.record(row.ref.id)
    joins = any(brought_in(body))  # who joins would see what is not to be disclosed
    found = [message for entry in _weighing(entries, row.ref.name, joins) for message in _of_entry(reader, us, entry)]
    asked = [body] if header.type.procedure == CORRECTION else []
    asked += [_body(message) for message in found if message.header.type.procedure == CORRECTION]
    found += [message for given in asked for message in _targets(reader, row, given)]
    ordered = sorted({message.digest: message for message in found}.values(), key=lambda one: one.header.created)
    earlier = tuple(_earlier(message) for message in ordered)
    record = frozenset(entry.digest for entry in entries)
    if header.case_ref is None:
        return Casefile(earlier=earlier, record=record, elsewhere=_names(reader, catalogue, header, body))
    again = asks_about_adult(header.type, body) and _adult_again(
        reader, row.ref.id, header, body, [item.body for item in earlier]
    )
    if not looks_elsewhere(header.type):
        return Casefile(earlier=earlier, record=record, elsewhere=Elsewhere(adult_again=again))
    named = named_consent(body, earlier, us)
    consents = {} if named is None else _consents(reader, catalogue, row, named)
    about = record | consents.keys()
    last = header.type in LAST_STEPS
    return Casefile(
        earlier=earlier,
        record=record,
        elsewhere=Elsewhere(
            consents=consents,
            remedies=tuple(_remedies(reader, row, about)) if last else (),
            objections=tuple(_objections(reader, row, about)) if last else (),
        ),
    )


def child_described(reader: Reader, us: CountryCode, row: ProcedureRow, entries: Iterable[RecordEntry]) -> Told:
    """Return what the messages of a procedure tell of the child, corrected."""
    found = [message for entry in _weighing(entries, row.ref.name, False) for message in _of_entry(reader, us, entry)]
    told = as_corrected([_earlier(message) for message in sorted(found, key=lambda one: one.header.created)])
    return Told.by([item.body for item in told])


def adult_came_before(reader: Reader, message: MessageRow) -> bool:
    """Whether a received message is about an adult who came with another child in a case of this node (R-43)."""
    header, body = message.header, _body(message)
    if header.procedure is None or not asks_about_adult(header.type, body):
        return False
    told = sorted(_whole(reader, MessageFilter(procedure=header.procedure.id)), key=lambda one: one.header.created)
    return _adult_again(reader, header.procedure.id, header, body, [_body(one) for one in told])


# --- other procedures ----------------------------------------------------------------------------------------------


def _adult_again(reader: Reader, procedure: ProcedureId, header: Header, body: Body, earlier: Sequence[Body]) -> bool:
    """Whether the adult of this message came with another child in a case of this node, of whichever office."""
    own = (body, *earlier)
    adult = adult_asked_about(header.type, body, earlier)
    cursor = None
    while adult is not None:
        page = reader.possible_procedures(adult.terms, None, cursor=cursor, limit=_PROCEDURES)
        for other in page.items:
            if other.ref.id != procedure and other.exercise == header.exercise:
                told = map(_body, _whole(reader, MessageFilter(procedure=other.ref.id)))
                if any(with_another_child(adult, own, one) for one in told):
                    return True
        cursor = page.next
        if cursor is None:
            break
    return False


def _names(reader: Reader, catalogue: Catalogue, header: Header, body: Body) -> Elsewhere:
    """Return where a message about nobody holds the name of somebody whom a case here speaks of."""

    def found(text: Body | str) -> tuple[str, ...]:
        names = possible_names(text)
        known = (where for where, words in names if anybody(reader, catalogue, PersonQuery.of(words, None)))
        return tuple(dict.fromkeys(known))

    return Elsewhere(named=found(body), purpose_names=bool(found(header.purpose or "")))


def _consents(reader: Reader, catalogue: Catalogue, row: ProcedureRow, named: Digest) -> dict[Digest, Consent]:
    for message in _whole(reader, MessageFilter(peer=row.peer, digest=named)):
        placing = None if message.header.procedure is None else reader.procedure(message.header.procedure.id, None)
        if message.header.type == CONSENT and placing is not None and placing.exercise == row.exercise:
            given = named == _newest_decision(reader, catalogue, placing)
            in_effect = given and placing.state in _IN_EFFECT and not placing.alarm
            return {named: Consent(body=_body(message), in_effect=in_effect, ordered=placing.state == _ORDERED)}
    return {}


def _newest_decision(reader: Reader, catalogue: Catalogue, placing: ProcedureRow) -> Digest | None:
    """Return the last decision of a placement that took effect; a forked or crossed one consents to nothing."""
    table = catalogue.table_by_digest(placing.ref.digest)
    if table is None:
        return None
    entries = reader.record(placing.ref.id)
    decisions = {entry.digest for entry in entries if entry.act == "decision"}
    folded = fold(table, placing.opener, entries, reader.procedure_receipts(placing.ref.id))
    given = [one for one in folded.order if one in decisions and folded.marks[one] is Mark.EFFECT]
    return given[-1] if given else None


def _remedies(reader: Reader, row: ProcedureRow, about: frozenset[Digest]) -> Iterator[Body]:
    """Yield each side's newest notice of a remedy that was ever told to be against one of these messages and is not over.

    What one side told the other does not take back: it could else lift what stands in the way of its own wish.
    """
    for procedure, told in _by_procedure(reader, row, _REMEDY).items():
        notice = reader.procedure(procedure, None)
        if notice is not None and notice.state not in _OVER and any(_against(_body(one), about) for one in told):
            yield from {one.header.sender.country: _body(one) for one in told}.values()


def _objections(reader: Reader, row: ProcedureRow, about: frozenset[Digest]) -> Iterator[Body]:
    """Yield the objections against one of these messages that no answer of their procedure is about.

    An answer names the day of what it answers: where more was raised on a day than answered, an objection of that day stands.
    """
    answers, concerns = _by_procedure(reader, row, _ANSWER), _by_procedure(reader, row, _CONCERN)
    for procedure, raised in _by_procedure(reader, row, _OBJECTION).items():
        answered = Counter(_body(one)["raised_on"] for one in answers.get(procedure, ()))
        asked = Counter(_body(one)["raised_on"] for one in (*raised, *concerns.get(procedure, ())))
        open_days = {day for day, times in asked.items() if answered[day] < times}
        yield from (body for body in map(_body, raised) if _against(body, about) and body["raised_on"] in open_days)


def _against(body: Body, about: frozenset[Digest]) -> bool:
    return body["of"].get("value") in about


def _by_procedure(reader: Reader, row: ProcedureRow, kind: str) -> dict[ProcedureId, list[MessageRow]]:
    """Return all messages of a type with a country by procedure, oldest first.

    Refused ones say nothing, nor does an exercise of what is none.
    """
    found: dict[ProcedureId, list[MessageRow]] = {}
    every = _whole(reader, MessageFilter(peer=row.peer, type=kind))
    for message in sorted(every, key=lambda one: (one.header.created, one.id)):
        exercise = message.header.exercise
        if message.header.procedure is not None and message.state != "refused" and exercise == row.exercise:
            found.setdefault(message.header.procedure.id, []).append(message)
    return found


def _whole(reader: Reader, wanted: MessageFilter) -> Iterator[MessageRow]:
    """Yield the messages that a filter finds, with their content; what was erased has none and decides nothing."""
    cursor = None
    while True:
        page = reader.messages(wanted, cursor=cursor, limit=_PAGE)
        for brief in page.items:
            for one in reader.messages_of(brief.id, None):
                if one.digest == brief.digest and one.content is not None:
                    yield one
        cursor = page.next
        if cursor is None:
            return


def _weighing(entries: Iterable[RecordEntry], procedure: str, determinations: bool) -> Iterator[RecordEntry]:
    """Yield the entries whose messages are to be read; message ids of one author rise with time."""
    held = [entry for entry in entries if entry.code is None]
    kinds = {act: MessageType(f"{procedure}.{act}") for act in {entry.act for entry in held}}
    lasting = {act for act, kind in kinds.items() if weighs_for_good(kind) or (determinations and determines(kind))}
    assessing = {act for act, kind in kinds.items() if weighs(kind)} - lasting
    yield from (entry for entry in held if entry.act in lasting)
    assessed = [entry for entry in held if entry.act in assessing]
    yield from sorted(assessed, key=lambda entry: entry.message)[-_ASSESSMENTS:]


def _of_entry(reader: Reader, us: CountryCode, entry: RecordEntry) -> Iterator[MessageRow]:
    wanted = "out" if entry.author == us else "in"
    for message in reader.messages_of(entry.message, None):
        if (message.direction, message.digest) == (wanted, entry.digest) and message.content is not None:
            yield message


def _targets(reader: Reader, row: ProcedureRow, body: Body) -> Iterator[MessageRow]:
    """Yield the messages that a correction names, of whichever procedure between the same offices."""
    for digest in targets_of(body):
        wanted = MessageFilter(peer=row.peer, authority=row.our_authority, digest=Digest(digest))
        for brief in reader.messages(wanted, cursor=None, limit=2).items:
            for one in reader.messages_of(brief.id, row.our_authority):
                if one.digest == brief.digest and one.content is not None:
                    yield one


def _earlier(message: MessageRow) -> Earlier:
    header = message.header
    return Earlier(type=header.type, digest=message.digest, author=header.sender.country, body=_body(message))


def _body(message: MessageRow) -> Body:
    body: Body = orjson.loads(message.content or b"{}")["body"]
    return body
