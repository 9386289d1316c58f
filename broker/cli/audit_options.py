# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the commands about the audit trail are asked for: why, of which days, about which cases."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from broker.cli.input import named_case, read_day
from broker.core.ids import CaseRef, ProcedureId

if TYPE_CHECKING:
    from broker.office import Office

__all__ = ["chosen", "period_of"]


async def chosen(office: Office, cases: Sequence[str]) -> tuple[ProcedureId, ...] | None:
    """Return the procedures of the cases and procedures named; None where none is named.

    Raises:
        BadRequest: one is neither.
    """
    if not cases:
        return None
    found: list[ProcedureId] = []
    for text in cases:
        named = named_case(text, "--case")
        if isinstance(named, CaseRef):
            rows = await office.store.read(lambda reader, case=named: reader.procedures_of(case, None))  # type: ignore[misc]
            found.extend(row.ref.id for row in rows)
        else:
            found.append(named)
    return tuple(found)


def period_of(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """Return the beginning of the first day and the end of the last, UTC.

    Raises:
        BadRequest: one is not a day.
    """
    first = None if since is None else _midnight(read_day(since, "--since"))
    last = None if until is None else _midnight(read_day(until, "--until")) + timedelta(days=1)
    return first, last


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
