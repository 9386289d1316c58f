# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The work of `trm case retention`, `hold` and `review`: how long cases are kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from broker.api import retention_views
from broker.cli import output
from broker.cli.acting import office_of, operator, with_office
from broker.cli.input import named_case, one_of, read_day
from broker.core.errors import BadRequest
from broker.core.retention import HoldReason, KeepReason

if TYPE_CHECKING:
    from broker.flows.retain.keep import RetentionList
    from broker.flows.retain.standing import Standing
    from broker.office import Office

__all__ = ["hold", "list_kept", "review"]


def list_kept(home: Path, *, authority: str | None, due: bool, as_json: bool) -> None:
    """List until when cases are kept.

    Raises:
        BadRequest: no such office.
        NodeError: the store cannot be read.
    """

    async def work(office: Office) -> RetentionList:
        return await office.keep.listed(office_of(office, authority), due_only=due)

    found = with_office(home, work)

    def people() -> None:
        if not found.items:
            output.console().print("No case is due for review." if due else "There is no case.")
            return
        lines = [
            (
                _name(item),
                item.case.peer,
                item.review.isoformat(),
                "yes" if item.due else "",
                _hold(item) or "",
                _why(item),
            )
            for item in found.items
        ]
        output.table(("case", "with", "review", "due", "legal hold", "because"), lines, wide=("case",))
        if found.truncated:
            output.console().print("There are more cases than one list shows.")

    document = {"items": [retention_views.standing(item) for item in found.items], "truncated": found.truncated}
    output.answer(document, as_json=as_json, people=people)


def hold(case: str, home: Path, *, authority: str | None, why: str | None, release: bool, as_json: bool) -> None:
    """Put a case under a legal hold, or end it.

    Raises:
        BadRequest: neither or both are asked for, or no such reason or office.
        NotFound, Forbidden, CaseErased, AlreadySettled: not this case, or not now.
        NodeError: the store cannot be written.
    """
    wanted = named_case(case)
    if release is (why is not None):
        raise BadRequest("Say either why it is held, or --release.", where="--why")
    reason = None if why is None else one_of(HoldReason, why, "--why")

    async def work(office: Office) -> Standing:
        who = operator(office_of(office, authority))
        if reason is None:
            return await office.keep.release(wanted, who)
        return await office.keep.hold(wanted, reason, who)

    _answer(with_office(home, work), as_json=as_json)


def review(case: str, home: Path, *, authority: str | None, keep_until: str, why: str, as_json: bool) -> None:
    """Keep a case until a day.

    Raises:
        BadRequest: no such day, reason or office.
        NotFound, Forbidden, CaseErased: not this case.
        NodeError: the store cannot be written.
    """
    wanted, until, reason = named_case(case), read_day(keep_until, "--keep-until"), one_of(KeepReason, why, "--why")

    async def work(office: Office) -> Standing:
        return await office.keep.review(wanted, until, reason, operator(office_of(office, authority)))

    _answer(with_office(home, work), as_json=as_json)


def _answer(item: Standing, *, as_json: bool) -> None:
    def people() -> None:
        held = _hold(item)
        output.console().print(
            f"Case {_name(item)}: next review on {item.review.isoformat()}, "
            + (f"under a legal hold ({held})." if held else "under no legal hold.")
        )

    output.answer(retention_views.standing(item), as_json=as_json, people=people)


def _name(item: Standing) -> str:
    return item.case.case_ref or item.case.procedures[0]


def _hold(item: Standing) -> str | None:
    return item.retained.hold if item.retained else None


def _why(item: Standing) -> str:
    kept = item.retained
    if kept is not None and kept.keep is not None and item.review == kept.keep_until:
        return f"{kept.keep}, {kept.reviewed_by}"
    return f"{item.rule.limit.count} {item.rule.limit.unit}, {item.rule.kind}"
