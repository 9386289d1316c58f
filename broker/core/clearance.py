# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Whether the other side has cleared an irreversible act: what it accepted is the plan of now, and still holds (C-19).

- The clearance is the newest message in effect of the act that the table names, by the other side.
- It covers exactly one message, by digest: the newest one in effect of the act that is to be covered. A changed plan
  needs a new clearance.
- ``valid_until`` is a day; a period of consent ends on its date and moves to no working day (CASEWORK C-13).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from broker.core.ids import Digest
from broker.core.messages import RecordEntry
from broker.core.procedures import ProcedureTable
from broker.core.record import Folded, Mark

__all__ = ["clearance_hindrances"]


def clearance_hindrances(
    table: ProcedureTable,
    folded: Folded,
    entries: Iterable[RecordEntry],
    act: str,
    body_of: Callable[[Digest], Mapping[str, Any] | None],
    *,
    today: Callable[[], date],
) -> tuple[str, ...]:
    """Return why the act is not cleared, as codes; empty where it is, or where its table asks for no clearance.

    ``body_of`` is asked for the clearance alone and returns None where the body is no longer held; ``today`` is asked
    where there is one.
    """
    definition = table.acts.get(act)
    if definition is None or definition.clearance is None:
        return ()
    held = {entry.digest: entry for entry in entries}
    given = _newest(folded, held, definition.clearance.act)
    covered = _newest(folded, held, definition.clearance.covers)
    body = None if given is None else body_of(given)
    if body is None:
        return ("clearance-missing",)
    reasons = {
        "clearance-for-another-plan": body["covers"] != covered,
        "clearance-expired": date.fromisoformat(body["valid_until"]) < today(),
    }
    return tuple(reason for reason, holds in reasons.items() if holds)


def _newest(folded: Folded, held: Mapping[Digest, RecordEntry], act: str) -> Digest | None:
    """Return the last message of that act that took effect; which side sends it is held by the table."""
    effective = (item for item in folded.order if held[item].act == act and folded.marks[item] is Mark.EFFECT)
    return max(effective, key=folded.order.index, default=None)
