# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The work of `trm case pass-on` and `answer`: corrections to other countries, and the answers to theirs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from broker.api import retention_views, views
from broker.cli import output
from broker.cli.acting import office_of, operator, with_office
from broker.cli.input import named_case, one_of, parsed, read_json
from broker.core.errors import BadRequest
from broker.core.ids import MessageId
from broker.core.retention import EraseReason
from broker.flows.retain.pass_on import Answer, Outcome, Passing, PassingKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from broker.flows.retain.pass_on import Told
    from broker.office import Office
    from broker.rows import Accepted

__all__ = ["answer", "pass_on"]

Code = TypeVar("Code", bound=StrEnum)


def pass_on(
    case: str,
    home: Path,
    *,
    authority: str | None,
    kind: str,
    reason: str | None,
    details: Path | None,
    messages: Sequence[str],
    office_kind: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Tell every office that was sent a case what is decided here.

    Raises:
        BadRequest: an option is not of its form.
        SenderError: not this case.
        NodeError: the store cannot be used.
    """
    wanted, what = named_case(case), one_of(PassingKind, kind, "--kind", what="This")
    if (reason is None) is (what is PassingKind.ERASE):
        raise BadRequest("An erasure has a --reason, and nothing else has.", where="--reason")
    body = {} if details is None else read_json(details)
    if not isinstance(body, dict):
        raise BadRequest("The file holds an object: members of the message's body.", where="--details")
    passing = Passing(
        kind=what,
        reason=None if reason is None else one_of(EraseReason.of_people(), reason, "--reason"),
        details=body,
        messages=tuple(parsed(MessageId, one, "--message") for one in messages),
        office_kind=office_kind,
    )

    async def work(office: Office) -> tuple[Told, ...]:
        who = operator(office_of(office, authority))
        return await office.pass_on(wanted, passing, who, dry_run=dry_run)

    found = with_office(home, work)

    def people() -> None:
        if not found:
            output.console().print("There is no office left to tell.")
            return
        lines = [
            (f"{one.recipient.country}/{one.recipient.authority}", str(len(one.targets)), one.message or one.code or "")
            for one in found
        ]
        output.table(("office", "messages", "told by"), lines, wide=("told by",))
        if not dry_run:
            output.console().print(f"Who has answered: trm case disclosures {case} {output.where(home, authority)}")

    output.answer({"items": [retention_views.told(one) for one in found]}, as_json=as_json, people=people)


def answer(
    message: str, home: Path, *, authority: str | None, outcome: str, why: str, office_kind: str | None, as_json: bool
) -> None:
    """Report what was done with another country's correction.

    Raises:
        BadRequest: an option is not of its form.
        SenderError: there is no such correction, or the report may not leave now.
        NodeError: the store cannot be used.
    """
    wanted = parsed(MessageId, message, "ID")
    said = Answer(outcome=one_of(Outcome, outcome, "--outcome", what="This"), why=why, office_kind=office_kind)

    async def work(office: Office) -> Accepted:
        return await office.pass_on.answer(wanted, said, operator(office_of(office, authority)))

    accepted = with_office(home, work)

    def people() -> None:
        output.console().print(f"Reported.\nNext: trm timeline {accepted.procedure} {output.where(home, authority)}")

    output.answer(views.accepted(accepted), as_json=as_json, people=people)
