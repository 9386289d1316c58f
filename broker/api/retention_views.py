# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The JSON forms of what is kept, erased and passed on, for the API and the command line alike; nothing of a content."""

from __future__ import annotations

from typing import Any

from broker.api.views import present
from broker.core.content import time_to_text
from broker.core.erasures import Erasure, Listed
from broker.flows.retain.list_case import Case
from broker.flows.retain.pass_on import Told
from broker.flows.retain.standing import Standing

__all__ = ["erasure", "listed", "standing", "told"]


def erasure(row: Erasure, to_remove: int | None = None) -> dict[str, Any]:
    """Return an erasure; `to_remove` is how many copies outside of the database are still to go."""
    return present(
        id=row.id,
        peer=row.peer,
        case=row.case_ref,
        procedures=[str(one) for one in row.procedures],
        reason=row.reason,
        law=row.reason.law,
        state=row.state,
        proposed=time_to_text(row.proposed),
        proposed_by=row.proposed_by,
        asked_by=row.asked_by,
        decided=None if row.decided is None else time_to_text(row.decided),
        decided_by=row.decided_by,
        final=None if row.final is None else time_to_text(row.final),
        to_remove=to_remove,
    )


def listed(case: Case, found: Listed) -> dict[str, Any]:
    """Return exactly what an erasure takes away, and what speaks against it now."""
    return present(
        case=case.case_ref,
        peer=case.peer,
        procedures=[str(one) for one in found.procedures],
        messages=[
            {"id": str(one.id), "direction": one.direction, "type": str(one.type), "at": time_to_text(one.at)}
            for one in found.messages
        ],
        held=[str(one) for one in found.drafts],
        attachments=found.attachments,
        uploads=found.uploads,
        hindrances=[
            {"code": str(one.obstacle), "subjects": list(one.subjects), "detail": one.error.detail}
            for one in found.hindrances
        ],
    )


def standing(item: Standing) -> dict[str, Any]:
    """Return until when a case is kept, and why."""
    kept, rule = item.retained, item.rule
    held = kept is not None and kept.hold is not None
    reviewed = kept is not None and kept.keep is not None
    return present(
        case=item.case.case_ref,
        peer=item.case.peer,
        procedures=[str(one) for one in item.case.procedures],
        last=time_to_text(item.last),
        review=item.review.isoformat(),
        due=item.due,
        rule={"count": rule.limit.count, "unit": str(rule.limit.unit), "kind": str(rule.kind), "source": rule.source},
        hold=present(why=kept.hold, by=kept.held_by, since=time_to_text(kept.held))
        if held and kept and kept.held
        else None,
        keep=present(why=kept.keep, by=kept.reviewed_by, until=kept.keep_until.isoformat())
        if reviewed and kept and kept.keep_until
        else None,
    )


def told(one: Told) -> dict[str, Any]:
    """Return one office that had the data, and the message that tells it."""
    return present(
        recipient=one.recipient.to_json(),
        targets=[str(target) for target in one.targets],
        message=one.message,
        code=one.code,
    )
