# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What was exchanged before and weighs in the decision about the next message: read from the store for the safeguards.

- Of the messages that only hold an assessment of danger the newest ones are read: an old one decides nothing any more.
  What tells an age, or a decision on it, is read however old it is (R-15), and so is what was corrected (`archive.py`).
- Before a child is moved other procedures are read too, of every office of this country: the consent that is named, and
  what names a message of this procedure as the one that it is against.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from broker.catalogue import Catalogue
from broker.core.accompanied import adult_asked_about, asks_about_adult, with_another_child
from broker.core.adulthood import Told
from broker.core.childhood import told_of_child
from broker.core.corrected import CORRECTING, as_corrected, is_correction, targets_of
from broker.core.elsewhere import CONSENT, LAST_STEPS, Consent, Elsewhere, looks_elsewhere, named_consents
from broker.core.errors import CaseKeyMissing, StoreCorrupt
from broker.core.excluded import brought_in
from broker.core.ids import CountryCode, Digest, MessageType, ProcedureId
from broker.core.impersonal import possible_names
from broker.core.messages import Body, Header, RecordEntry
from broker.core.persons import PersonQuery
from broker.core.reasons import Earlier
from broker.core.record import Mark, closure, fold, moments
from broker.core.safeguards import weighs, weighs_for_good
from broker.core.undisclosed import determines
from broker.derived.archive import (
    CORRECTION,
    Archive,
    Read,
    body_of,
    corrected_out_of_turn,
    in_order,
    oldest_first,
    procedure_of,
    whole,
)
from broker.derived.speaking import anybody, possible
from broker.ports import Reader
from broker.rows import MessageFilter, MessageRow, ProcedureRow

__all__ = ["CORRECTION", "Casefile", "adult_came_before", "child_described", "read_casefile"]

_ORDERED = "ORDERED"
_IN_EFFECT = frozenset({"CONSENTED", _ORDERED})  # states of a placement in which its consent holds
_OVER = frozenset({"CLOSED", "WITHDRAWN"})  # states of a notice that tells of nothing any more
_REMEDY, _CONCERN = "notice.remedy", "guardian.concern"
_OBJECTION, _ANSWER = "guardian.objection", "guardian.answer"
# A step → what the other side must have agreed to, and by what.
_AGREED = {
    "transfer.pre-departure": ("transfer.plan", "transfer.acceptance"),
    "transfer.departure": ("transfer.plan", "transfer.acceptance"),
    "placement.order": ("placement.request", "placement.decision"),
}
_ASSESSMENTS = 3  # newest messages with nothing but an assessment of danger that are read


@dataclass(frozen=True, slots=True, kw_only=True)
class Casefile:
    """The earlier messages, oldest first, and the record that they were read from."""

    earlier: tuple[Earlier, ...] = ()
    came: tuple[Earlier, ...] = ()  # the same as they came here, where corrections did so in another order; else empty
    record: frozenset[Digest] = frozenset()  # another record when the message is stored: decide again
    elsewhere: Elsewhere = field(default_factory=Elsewhere)  # what other procedures say of this one


def read_casefile(
    reader: Reader, us: CountryCode, row: ProcedureRow, header: Header, body: Body, catalogue: Catalogue
) -> Casefile:
    """Return what weighs in the decision about that message of ours, which may open the procedure."""
    entries = reader.record(row.ref.id)
    joins = any(brought_in(body))  # who joins would see what is not to be disclosed
    archive = Archive(reader, us, row)
    found = archive.read(row, [entry.digest for entry in _weighing(entries, row.ref.name, joins)])
    if header.type.procedure == CORRECTION:
        asked = [body, *(one.said.body for one in found)]
        found += [one for given in asked for one in _corrected_elsewhere(reader, row, archive, given)]
    earlier = in_order(reader, found)
    came = in_order(reader, found, as_it_came=True) if corrected_out_of_turn(found) else ()
    record = frozenset(entry.digest for entry in entries)
    if header.case_ref is None:
        return Casefile(earlier=earlier, came=came, record=record, elsewhere=_names(reader, catalogue, header, body))
    again = asks_about_adult(header.type, body) and _adult_again(
        reader, row.ref.id, header, body, [item.body for item in earlier]
    )
    if not looks_elsewhere(header.type):
        missing = _target_missing(entries, us, header, body)
        other = Elsewhere(adult_again=again, target_missing=missing, unread=archive.unread)
        return Casefile(earlier=earlier, came=came, record=record, elsewhere=other)
    named = named_consents(body, earlier, us)
    consents = {one: given for digest in named for one, given in _consents(catalogue, row, archive, digest).items()}
    about = record | consents.keys()
    last = header.type in LAST_STEPS
    other = Elsewhere(
        consents=consents,
        remedies=tuple(_remedies(row, archive, about)) if last else (),
        objections=tuple(_objections(row, archive, about)) if last else (),
        accepted_before=last and _accepted_before(reader, found, entries, header.type),
    )
    return Casefile(earlier=earlier, came=came, record=record, elsewhere=replace(other, unread=archive.unread))


def child_described(reader: Reader, us: CountryCode, row: ProcedureRow, entries: Iterable[RecordEntry]) -> Told:
    """Return what the messages of a procedure tell of the child, corrected."""
    archive = Archive(reader, us, row)
    found = archive.read(row, [entry.digest for entry in _weighing(entries, row.ref.name, False)])
    return told_of_child(in_order(reader, (one for one in found if not one.said.withdrawn)))


def adult_came_before(reader: Reader, message: MessageRow) -> bool:
    """Whether a received message is about an adult who came with another child in a case of this node (R-43)."""
    header, body = message.header, body_of(message)
    if header.procedure is None or not asks_about_adult(header.type, body):
        return False
    told = sorted(whole(reader, MessageFilter(procedure=header.procedure.id)), key=lambda one: one.header.created)
    return _adult_again(reader, header.procedure.id, header, body, [body_of(one) for one in told])


# --- other procedures ----------------------------------------------------------------------------------------------


def _adult_again(reader: Reader, procedure: ProcedureId, header: Header, body: Body, earlier: Sequence[Body]) -> bool:
    """Whether the adult of this message came with another child in a case of this node, of whichever office, or may have."""
    own = (body, *earlier)
    adult = adult_asked_about(header.type, body, earlier)
    if adult is None:
        return False
    for other in possible(reader, adult.terms):
        if other.ref.id != procedure and other.exercise == header.exercise:
            try:
                told = map(body_of, whole(reader, MessageFilter(procedure=other.ref.id)))
                if any(with_another_child(adult, own, one) for one in told):
                    return True
            except (CaseKeyMissing, StoreCorrupt):  # it may, for what anybody here knows; it stops no other case
                return True
    return False


def _target_missing(entries: Iterable[RecordEntry], us: CountryCode, header: Header, body: Body) -> bool:
    """Whether a correction as a whole is about no message of ours here; of one with fields the safeguards see it."""
    if not is_correction(header.type) or "target" not in body or body.get("fields"):
        return False
    return not any(entry.author == us and entry.digest == body["target"] for entry in entries)


def _names(reader: Reader, catalogue: Catalogue, header: Header, body: Body) -> Elsewhere:
    """Return where a message about nobody holds the name of somebody whom a case here speaks of."""

    def found(text: Body | str) -> tuple[str, ...]:
        names = possible_names(text)
        known = (where for where, words in names if anybody(reader, catalogue, PersonQuery.of(words, None)))
        return tuple(dict.fromkeys(known))

    return Elsewhere(named=found(body), purpose_names=bool(found(header.purpose or "")))


def _consents(catalogue: Catalogue, row: ProcedureRow, archive: Archive, named: Digest) -> dict[Digest, Consent]:
    reader = archive.reader
    for message in whole(reader, MessageFilter(peer=row.peer, digest=named)):
        placing = procedure_of(reader, message)
        if message.header.type == CONSENT and placing is not None and placing.exercise == row.exercise:
            given = named == _newest_decision(reader, catalogue, placing)
            in_effect = given and placing.state in _IN_EFFECT and not placing.alarm
            said = archive.as_it_reads(placing, message)
            return {named: Consent(said=said, in_effect=in_effect, ordered=placing.state == _ORDERED)}
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


def _remedies(row: ProcedureRow, archive: Archive, about: frozenset[Digest]) -> Iterator[Body]:
    """Yield each side's newest notice of a remedy that was ever told to be against one of these messages and is not over.

    What one side told the other does not take back: it could else lift what stands in the way of its own wish.
    """
    for procedure, told in _by_procedure(archive.reader, row, _REMEDY).items():
        notice = archive.reader.procedure(procedure, None)
        if notice is not None and notice.state not in _OVER:
            now = {one.digest: archive.as_it_reads(notice, one).body for one in told}
            if any(_against(body, about) for one in told for body in (body_of(one), now[one.digest])):
                yield from {one.header.sender.country: now[one.digest] for one in told}.values()


def _objections(row: ProcedureRow, archive: Archive, about: frozenset[Digest]) -> Iterator[Body]:
    """Yield the objections against one of these messages that no answer of their procedure is about.

    An answer names the day of what it answers: where more was raised on a day than answered, an objection of that day stands.
    """
    reader = archive.reader
    answers, concerns = _by_procedure(reader, row, _ANSWER), _by_procedure(reader, row, _CONCERN)
    for procedure, raised in _by_procedure(reader, row, _OBJECTION).items():
        raising = reader.procedure(procedure, None)
        answered = Counter(body_of(one)["raised_on"] for one in answers.get(procedure, ()))
        asked = Counter(body_of(one)["raised_on"] for one in (*raised, *concerns.get(procedure, ())))
        for one in raised:
            first = body_of(one)
            now = first if raising is None else archive.as_it_reads(raising, one).body
            if answered[first["raised_on"]] < asked[first["raised_on"]] and any(
                _against(say, about) for say in (first, now)
            ):
                yield now


def _accepted_before(reader: Reader, found: Sequence[Read], entries: Iterable[RecordEntry], step: MessageType) -> bool:
    """Whether what the other side agreed to was corrected by us, and it had not got that when it agreed (CASEWORK C-19)."""
    covers, agreed = _AGREED[step]
    rows = oldest_first(reader, (one.row for one in found))
    given = next((row for row in reversed(rows) if row.header.type == agreed and row.direction == "in"), None)
    if given is None:
        return False

    read = closure(entries, [given.digest]) or frozenset()

    def known(row: MessageRow) -> bool:
        if row.header.procedure == given.header.procedure:
            return row.digest in read
        # Nothing names what was read elsewhere: by their clock it had come, and by ours it was not written later. Either
        # may have been set right in between, hardly both.
        came = row.delivered is not None and row.delivered <= given.header.created
        return came and row.at <= given.at

    what = body_of(given)["covers"]
    ours = [one for one in found if one.row.direction == "out" and not one.said.withdrawn]
    asked = [one for one in ours if one.row.header.type == covers or one.row.header.type.act in CORRECTING]
    then = [one for one in asked if one.row.header.type == covers or known(one.row)]
    readings = [{item.digest: item.body for item in as_corrected(in_order(reader, some))} for some in (then, asked)]
    return readings[0].get(what) != readings[1].get(what)


def _against(body: Body, about: frozenset[Digest]) -> bool:
    return body["of"].get("value") in about


def _by_procedure(reader: Reader, row: ProcedureRow, kind: str) -> dict[ProcedureId, list[MessageRow]]:
    """Return all messages of a type with a country by procedure, oldest first.

    Refused ones say nothing, nor does an exercise of what is none.
    """
    found: dict[ProcedureId, list[MessageRow]] = {}
    for message in oldest_first(reader, whole(reader, MessageFilter(peer=row.peer, type=kind))):
        exercise = message.header.exercise
        if message.header.procedure is not None and message.state != "refused" and exercise == row.exercise:
            found.setdefault(message.header.procedure.id, []).append(message)
    return found


def _weighing(entries: Iterable[RecordEntry], procedure: str, determinations: bool) -> Iterator[RecordEntry]:
    """Yield the entries whose messages are to be read."""
    record = tuple(entries)
    held = [entry for entry in record if entry.code is None]
    kinds = {act: MessageType(f"{procedure}.{act}") for act in {entry.act for entry in held}}
    lasting = {act for act, kind in kinds.items() if weighs_for_good(kind) or (determinations and determines(kind))}
    assessing = {act for act, kind in kinds.items() if weighs(kind)} - lasting
    yield from (entry for entry in held if entry.act in lasting)
    assessed = {entry.digest: entry for entry in held if entry.act in assessing}
    if len(assessed) > _ASSESSMENTS:
        order = moments(record, {digest: entry.message for digest, entry in assessed.items()})
        assessed = {digest: assessed[digest] for digest in sorted(assessed, key=order.__getitem__)[-_ASSESSMENTS:]}
    yield from assessed.values()


def _corrected_elsewhere(reader: Reader, row: ProcedureRow, archive: Archive, body: Body) -> Iterator[Read]:
    """Yield the messages that a correction names, of whichever procedure between the same offices, with their corrections."""
    for digest in targets_of(body):
        wanted = MessageFilter(peer=row.peer, authority=row.our_authority, digest=Digest(digest))
        for brief in reader.messages(wanted, cursor=None, limit=2).items:
            of = procedure_of(reader, brief)
            if of is not None:
                yield from archive.read(of, [brief.digest], alone=True)
