# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The work of `trm case search`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from broker.api import views
from broker.cli import output
from broker.cli.acting import office_of, operator, with_office
from broker.cli.input import one_of, parsed
from broker.core.audit import SearchReason
from broker.core.errors import BadRequest
from broker.core.ids import CountryCode, ProcedureId
from broker.core.persons import MAX_NAME, PersonQuery

if TYPE_CHECKING:
    from broker.flows.search import Found
    from broker.office import Office
    from broker.rows import ProcedureRow

__all__ = ["search"]


def search(
    home: Path,
    *,
    name: str | None,
    born: str | None,
    procedure: str | None,
    reason: str,
    authority: str | None,
    as_json: bool,
) -> None:
    """Show the procedures that speak of a person, or may be about the child of a procedure.

    Raises:
        BadRequest: an option is not of its form, or asks for too many people at once.
        NotFound: the office has no such procedure.
        NodeError: the store cannot be read, or the search not recorded.
    """
    why = one_of(SearchReason, reason, "--reason")
    if procedure is not None and (name is not None or born is not None):
        raise BadRequest(
            "A procedure is asked about alone: what it says of its child is looked for.", where="--procedure"
        )
    given = sys.stdin.readline(MAX_NAME + 2).rstrip("\r\n") if name == "-" else name
    asked = PersonQuery.of(given, born) if procedure is None else parsed(ProcedureId, procedure, "--procedure")

    async def work(office: Office) -> tuple[Found, CountryCode]:
        who = operator(office_of(office, authority))
        if isinstance(asked, PersonQuery):
            return await office.search(asked, who, reason=why), office.us
        return await office.search.others(asked, who, reason=why), office.us

    found, us = with_office(home, work)
    output.answer(views.found(found, us), as_json=as_json, people=lambda: _print(found))


def _print(found: Found) -> None:
    say = output.console().print
    if found.items:
        columns = ("opened (UTC)", "what", "with", "state", "case", "procedure")
        output.table(columns, map(_row, found.items), wide=("with", "case", "procedure"))
    else:
        say("Nothing was found. Another spelling, or another script, is another name.")
    if found.unreadable:
        say(f"{found.unreadable} more may speak of this person and do not open: restore the newest backup.")
    if found.more:
        say(f"There are more than these {len(found.items)}: ask more exactly.")
    if not found.whole:
        say("Older messages are still being made searchable by the running node: ask again later.")


def _row(row: ProcedureRow) -> tuple[object, ...]:
    between = f"{row.peer}/{row.peer_authority}"
    return row.opened.strftime("%Y-%m-%d %H:%M"), row.ref.name, between, row.state, row.case_ref, row.ref.id
