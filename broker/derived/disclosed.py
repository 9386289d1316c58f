# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What of a case went to whom, and which corrections of it were passed on or came: a view over the store.

A correction names messages by their digests and is a procedure of its own (GDPR 19); it is found by what it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from broker.core.corrected import targets_of
from broker.core.ids import Digest, MessageId, ProcedureId
from broker.core.messages import Header
from broker.derived.archive import TAKEN_BACK, body_of, listed, procedure_of, with_content
from broker.ports import Reader
from broker.rows import MessageFilter, MessageRow, ProcedureRow

__all__ = ["Correction", "Disclosure", "corrections_of", "disclosures_of"]

_CORRECTION = "correction"  # a procedure of its own, and an act that every procedure has
_PASSED_ON = ("rectify", "restrict", "erase", "access-forward")
_REPORT = "report"
_ENDED = frozenset({"DONE", "REFUSED", "WITHDRAWN"})  # states of the procedure: the other side has answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """One message of the case: sent, or received and so a source of what is held."""

    direction: str  # "out": disclosed by us; "in": disclosed to us
    message: MessageId
    digest: Digest
    header: Header
    at: datetime  # accepted (out) or received (in)
    reached: datetime | None  # since when the other side has it; None for what is on its way, or was refused
    refusal_code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A correction, restriction, erasure or claim about messages of the case (GDPR 16-19)."""

    disclosure: Disclosure
    targets: frozenset[Digest]  # messages that it names; empty: it belongs to a procedure of the case itself
    confirmed: datetime | None  # reported back, or seen by an officer there; None: neither yet
    pending: bool  # nobody has reported, refused or withdrawn it
    stands: bool  # the other node did not refuse it, nor was it taken back: whom it tells is told

    @property
    def procedure(self) -> ProcedureId | None:
        """The procedure that it is told and answered in."""
        return self.disclosure.header.procedure_id


def disclosures_of(reader: Reader, rows: Iterable[ProcedureRow]) -> tuple[Disclosure, ...]:
    """Return every message of these procedures, oldest first."""
    found = [_disclosure(message) for row in rows for message in listed(reader, MessageFilter(procedure=row.ref.id))]
    return tuple(sorted(found, key=lambda item: (item.at, item.message)))


def corrections_of(reader: Reader, rows: Sequence[ProcedureRow], digests: frozenset[Digest]) -> tuple[Correction, ...]:
    """Return what corrects messages of a case, sent and received, oldest first.

    Args:
        reader: the store.
        rows: the procedures of the case.
        digests: of its messages; they outlive an erasure.
    """
    peers = sorted({row.peer for row in rows})
    found = [_within(message) for row in rows for message in listed(reader, _corrections_in(row))]
    for peer in peers:
        for act in _PASSED_ON:
            wanted = MessageFilter(peer=peer, type=f"{_CORRECTION}.{act}")
            for message in listed(reader, wanted):
                targets = _targets(reader, message)
                if targets & digests or _names(message, rows):
                    found.append(_apart(reader, message, targets))
    return tuple(sorted(found, key=lambda item: (item.disclosure.at, item.disclosure.message)))


def _within(message: MessageRow) -> Correction:
    """A correction within a procedure is confirmed when it was seen."""
    refused = message.refusal_code is not None
    return Correction(
        disclosure=_disclosure(message),
        targets=frozenset(),
        confirmed=message.opened,
        pending=message.opened is None and not refused,
        stands=not refused,
    )


def _corrections_in(row: ProcedureRow) -> MessageFilter:
    """Name our corrections in a procedure by columns: nothing else of it is opened, so that what does not open can be erased."""
    return MessageFilter(procedure=row.ref.id, direction="out", type=f"{row.ref.name}.{_CORRECTION}")


def _apart(reader: Reader, message: MessageRow, targets: frozenset[Digest]) -> Correction:
    procedure, row = message.header.procedure_id, procedure_of(reader, message)
    answer = "in" if message.direction == "out" else "out"
    wanted = MessageFilter(procedure=procedure, direction=answer, type=f"{_CORRECTION}.{_REPORT}")
    reports = [report.at for report in listed(reader, wanted)] if procedure else []
    refused = message.refusal_code is not None  # by the other node: it opened nothing there, and nobody answers it
    return Correction(
        disclosure=_disclosure(message),
        targets=targets,
        confirmed=min(reports, default=None),
        pending=row is not None and row.erased is None and row.state not in _ENDED and not refused,
        stands=not refused and (row is None or row.state != TAKEN_BACK),
    )


def _targets(reader: Reader, message: MessageRow) -> frozenset[Digest]:
    for one in with_content(reader, message.id, message.digest):
        if one.direction == message.direction:
            return frozenset(Digest(target) for target in targets_of(body_of(one)))
    return frozenset()


def _names(message: MessageRow, rows: Sequence[ProcedureRow]) -> bool:
    """Whether the message belongs to one of the procedures itself: the case that is looked at is a correction."""
    return message.header.procedure_id in {row.ref.id for row in rows}


def _disclosure(row: MessageRow) -> Disclosure:
    return Disclosure(
        direction=row.direction,
        message=row.id,
        digest=row.digest,
        header=row.header,
        at=row.at,
        reached=row.delivered if row.direction == "out" else row.at,
        refusal_code=row.refusal_code,
    )
