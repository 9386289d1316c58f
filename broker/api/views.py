# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The JSON form of what the API and the command line show: one for both, described by the schemas of `components`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import orjson

from broker.core.adulthood import ComingOfAge
from broker.core.attachments import hide_keys
from broker.core.attention import AttentionCode
from broker.core.content import time_to_text
from broker.core.ids import CountryCode, MessageId
from broker.core.participants import Participant
from broker.core.reasons import Reason
from broker.core.receipts import Receipt
from broker.core.surge import SurgeMode
from broker.derived.meanwhile import Newer
from broker.derived.timetable import Standing
from broker.flows.inspect import ProcedureView, RecordLine, TimelineLine
from broker.flows.search import Found
from broker.rows import (
    Accepted,
    AttachmentRow,
    Attention,
    AuditRow,
    HeldDraft,
    MessageRow,
    Page,
    ProcedureRow,
    UploadRow,
)

__all__ = [
    "accepted",
    "actions",
    "attention",
    "audit_row",
    "deadline",
    "found",
    "held",
    "held_item",
    "message",
    "message_item",
    "newer",
    "page",
    "present",
    "procedure",
    "procedure_item",
    "resent",
    "surge",
    "timeline",
    "upload",
]

_MEANING = {code.value: code.meaning for code in AttentionCode}
_STEPS = ("published", "delivered", "handed_over", "opened", "refused")


def page(listed: Page, view: Callable[[Any], dict[str, Any]], modes: Iterable[SurgeMode] = ()) -> dict[str, Any]:
    """Return one page; `next` is absent on the last one, `surge` where none is in force, `unreadable` where all of it opens."""
    items = [view(item) for item in listed.items]
    return present(items=items, next=listed.next, surge=surge(modes) or None, unreadable=listed.unreadable or None)


def surge(modes: Iterable[SurgeMode]) -> list[dict[str, Any]]:
    """Return where surge mode is on, as everything that a person looks at says it."""
    return [
        present(
            declared_by=mode.declared_by,
            towards=mode.towards,
            until=None if mode.until is None else mode.until.isoformat(),
            exercise=mode.exercise,
        )
        for mode in modes
    ]


def accepted(row: Accepted) -> dict[str, Any]:
    """Return the answer to a submission."""
    return present(
        message=row.message,
        digest=row.digest,
        procedure=row.procedure,
        case_ref=row.case_ref,
        created=time_to_text(row.created),
        repeated=row.repeated,
        warnings=[reason(one) for one in row.warnings] or None,
    )


def reason(one: Reason) -> dict[str, Any]:
    """Return what a safeguard found."""
    return {"rule": one.rule, "code": one.code, "level": one.level.value, "where": one.where, "text": one.text}


def held_item(row: HeldDraft) -> dict[str, Any]:
    """Return a held message as a list shows it: why it waits, nothing of its content."""
    return present(
        id=row.id,
        type=row.type,
        peer=row.peer,
        author=row.author,
        at=time_to_text(row.at),
        state=row.state.value,
        reasons=[reason(one) for one in row.reasons],
        decided_by=row.decided_by,
        decided=None if row.decided is None else time_to_text(row.decided),
        decision=row.decision or None,
    )


def held(row: HeldDraft, since: Iterable[Newer]) -> dict[str, Any]:
    """Return a held message with its content and what left and came in its case since, while it waits."""
    return present(**held_item(row), since=[newer(one) for one in since] or None, content=_shown(row.content))


def newer(one: Newer) -> dict[str, Any]:
    """Return a message that left or came while another one was held: nothing of its content."""
    return present(
        id=one.message,
        direction=one.direction,
        type=one.type,
        procedure=one.procedure,
        at=time_to_text(one.at),
        state=one.state,
    )


def message_item(row: MessageRow) -> dict[str, Any]:
    """Return a message as a list shows it: nothing of its body."""
    header = row.header
    steps: dict[str, datetime | None] = {name: getattr(row, name) for name in _STEPS}
    return present(
        id=row.id,
        direction=row.direction,
        type=header.type,
        version=header.version,
        peer=row.peer,
        authority=row.authority,
        procedure=header.procedure_id,
        case_ref=header.case_ref,
        urgency=header.urgency,
        exercise=header.exercise,
        digest=row.digest,
        state=row.state,
        at=time_to_text(row.at),
        refusal_code=row.refusal_code,
        error=row.error,
        **{name: None if moment is None else time_to_text(moment) for name, moment in steps.items()},
    )


def message(
    row: MessageRow,
    evidence: Iterable[Receipt],
    attachments: Iterable[AttachmentRow],
    modes: Iterable[SurgeMode],
) -> dict[str, Any]:
    """Return a message read alone: its content as both countries hold it, but for keys, and the evidence about it."""
    content = _shown(row.content)
    between = [mode for mode in modes if mode.concerns(row.peer, exercise=row.header.exercise)]
    return present(
        **message_item(row),
        content=content,
        attachments=[_progress(item) for item in attachments] or None,
        evidence=[_receipt(receipt) for receipt in sorted(evidence, key=lambda receipt: receipt.at)],
        surge=surge(between) or None,
    )


def resent(message: MessageId, at: datetime) -> dict[str, Any]:
    """Return the answer to a wish to send a message once more."""
    return present(message=message, at=time_to_text(at))


def procedure_item(row: ProcedureRow, us: CountryCode) -> dict[str, Any]:
    """Return a procedure as a list shows it."""
    return present(
        id=row.ref.id,
        name=row.ref.name,
        version=row.ref.version,
        table=row.ref.digest,
        peer=row.peer,
        role=row.role_of(us),
        our_authority=row.our_authority,
        peer_authority=row.peer_authority,
        case_ref=row.case_ref,
        exercise=row.exercise,
        opened=time_to_text(row.opened),
        state=row.state,
        alarm=row.alarm,
        gap=row.gap,
        erased=None if row.erased is None else time_to_text(row.erased),
    )


def _participant(one: Participant) -> dict[str, Any]:
    return {"country": one.country, "authority": one.authority, "role": one.role.value}


def procedure(view: ProcedureView, us: CountryCode) -> dict[str, Any]:
    """Return a procedure's record; `digest` is absent while something of it is missing."""
    return present(
        **{
            **procedure_item(view.row, us),
            "state": view.state,
            "alarm": view.alarm,
            "gap": view.gap,
            "role": view.role,
            "digest": view.digest,
            "heads": list(view.heads),
            "participants": [_participant(one) for one in view.participants],
            "entries": [_line(line) for line in view.entries],
            "deadlines": [deadline(standing) for standing in view.deadlines],
            "surge": surge(view.surge) or None,
            "coming_of_age": _coming_of_age(view.coming_of_age),
        }
    )


def deadline(standing: Standing) -> dict[str, Any]:
    """Return how a deadline stands: in words, with its source; `met` is absent until something settled it.

    `came` is absent until that is with the other side, as far as is known here.
    """
    item = standing.deadline
    document: dict[str, Any] = {
        "id": item.id,
        "title": item.title,
        "by": item.by.value,
        "ours": standing.ours,
        "due": time_to_text(standing.due),
        "due_local": standing.due_local,
        "time_zone": standing.zone,
        "calendar": str(standing.calendar),
        "holidays_known": standing.holidays_known,
        "open_questions": list(standing.open_questions),
        "phase": standing.phase.value,
        "meaning": standing.meaning,
        "extended": standing.extended,
        "extendable": standing.extendable,
        "kind": item.kind.value,
        "source": item.source,
        "source_read": item.verified,
        "silence": item.silence,
    }
    if standing.extendable:
        document["extendable_until"] = standing.longest_day.isoformat()
    if standing.met is not None:
        document["met"] = time_to_text(standing.met)
    if standing.came is not None:
        document["came"] = time_to_text(standing.came)
    return document


def _coming_of_age(found: ComingOfAge | None) -> dict[str, Any] | None:
    """Return from when on a child is one no more, and what is to be done."""
    return None if found is None else {"on": found.on.isoformat(), "reached": found.reached, "meaning": found.meaning}


def actions(view: ProcedureView) -> list[str]:
    """Return what this side may do next, as message types."""
    return [f"{view.row.ref.name}.{act}" for act in view.actions]


def timeline(line: TimelineLine) -> dict[str, Any]:
    """Return one step of a procedure."""
    return present(
        at=time_to_text(line.at),
        who=line.who,
        what=line.what,
        state=line.state,
        evidence=line.evidence,
        message=line.message,
    )


def found(result: Found, us: CountryCode) -> dict[str, Any]:
    """Return the procedures that a search for a person found; nothing of their contents.

    `unreadable` is absent where all of it opens.
    """
    items = [procedure_item(row, us) for row in result.items]
    return present(items=items, more=result.more, whole=result.whole, unreadable=result.unreadable or None)


def attention(entry: Attention) -> dict[str, Any]:
    """Return one thing that a person must look at; `meaning` is absent where another release wrote its code."""
    return present(
        id=entry.id,
        code=entry.code,
        subject=entry.subject,
        meaning=_MEANING.get(entry.code),
        who_must_act=entry.who,
        at=time_to_text(entry.at),
        peer=entry.peer,
        authority=entry.authority,
        detail=entry.detail,
        resolved=None if entry.resolved is None else time_to_text(entry.resolved),
        resolved_by=entry.resolved_by,
    )


def audit_row(row: AuditRow) -> dict[str, Any]:
    """Return one line of the audit trail; `position` is absent until it is linked."""
    return present(
        position=row.position,
        at=time_to_text(row.at),
        actor=row.actor,
        role=row.role,
        authority=row.authority,
        action=row.action,
        subject=row.subject,
        procedure=row.procedure,
        peer=row.peer,
        reason=row.reason,
        detail=row.detail,
    )


def _line(line: RecordLine) -> dict[str, Any]:
    return present(
        digest=line.digest,
        message=line.message,
        author=line.author,
        act=line.act,
        mark=line.mark,
        final=line.final,
        code=line.code,
    )


def _shown(raw: bytes | None) -> Any:
    content = None if raw is None else orjson.loads(raw)
    return content if content is None else {**content, "header": hide_keys(content["header"])}


def upload(row: UploadRow) -> dict[str, Any]:
    """Return how far an uploaded file is; `digest` and `media_type` are absent until it is whole."""
    return present(upload=row.id, size=row.size, offset=row.received, media_type=row.media_type, digest=row.digest)


def _progress(row: AttachmentRow) -> dict[str, Any]:
    return present(
        place=row.place, chunks=row.chunks, moved=row.chunks - len(row.owed), complete=row.complete is not None,
        code=row.code,
    )  # fmt: skip


def _receipt(receipt: Receipt) -> dict[str, Any]:
    return present(
        issuer=receipt.issuer,
        kind=receipt.kind,
        at=time_to_text(receipt.at),
        digest=receipt.digest,
        code=receipt.code,
        heads=list(receipt.heads),
        record_digest=receipt.record_digest,
    )


def present(**members: Any) -> dict[str, Any]:
    """A member that does not apply is absent, never null; an identifier is written as plain text."""
    return {
        name: str(value) if isinstance(value, str) else value for name, value in members.items() if value is not None
    }
