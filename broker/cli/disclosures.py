# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The work of `trm case disclosures`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broker.cli import output
from broker.cli.acting import office_of, operator, with_office
from broker.cli.input import named_case, one_of
from broker.core.audit import AuditReason
from broker.core.content import time_to_text

if TYPE_CHECKING:
    from broker.derived.disclosed import Correction, Disclosure
    from broker.flows.disclosures import CaseDisclosures
    from broker.office import Office

__all__ = ["disclosures"]


def disclosures(case: str, home: Path, *, authority: str | None, reason: str, as_json: bool) -> None:
    """Show what of a case went to whom.

    Raises:
        BadRequest: an option is not of its form.
        NotFound: the office has no such case or procedure.
        NodeError: the store cannot be read, or the look not recorded.
    """
    why = one_of(AuditReason, reason, "--reason")
    wanted = named_case(case)

    async def work(office: Office) -> CaseDisclosures:
        us = office_of(office, authority)
        return await office.disclosures(wanted, operator(us), reason=why)

    found = with_office(home, work)
    output.answer(_document(wanted, found), as_json=as_json, people=lambda: _print(wanted, found))


def _document(case: str, found: CaseDisclosures) -> dict[str, Any]:
    return {
        "case": case,
        "procedures": [
            {"id": row.ref.id, "name": row.ref.name, "with": row.peer, "opened": time_to_text(row.opened)}
            for row in found.procedures
        ],
        "disclosed": [_item(item) for item in found.items if item.direction == "out"],
        "received": [_item(item) for item in found.items if item.direction == "in"],
        "corrections": [
            _item(correction.disclosure) | {"confirmed": _moment(correction.confirmed)}
            for correction in found.corrections
        ],
    }


def _item(item: Disclosure) -> dict[str, Any]:
    header = item.header
    basis = header.legal_basis
    return {
        "message": item.message,
        "at": time_to_text(item.at),
        "from": f"{header.sender.country}/{header.sender.authority}",
        "to": f"{header.recipient.country}/{header.recipient.authority}",
        "type": header.type,
        "legal_basis": None if basis is None else {"code": basis.code, "citation": basis.citation},
        "purpose": header.purpose,
        "reached": _moment(item.reached),
        "refused": item.refusal_code,
    }


def _print(case: str, found: CaseDisclosures) -> None:
    say = output.console().print
    say(f"Case {case}: {len(found.procedures)} procedure(s).")
    for row in found.procedures:
        if row.erased is not None:
            say(
                f"Procedure {row.ref.id} with {row.peer} was erased on {row.erased:%Y-%m-%d}: what was exchanged in it is not "
                "listed here, its steps stand in trm timeline."
            )
    for title, direction, other in (("Disclosed", "out", "to"), ("Received", "in", "from")):
        items = [item for item in found.items if item.direction == direction]
        say(f"\n{title}: {len(items) or 'nothing'}")
        if items:
            output.table(
                ("when (UTC)", other, "what", "legal basis", "purpose", "arrived"), map(_row, items), wide=_WIDE
            )
    say(f"\nCorrections passed on: {len(found.corrections) or 'none'}")
    if found.corrections:
        output.table(("when (UTC)", "to", "what", "confirmed"), map(_correction, found.corrections), wide=_WIDE)


_WIDE = ("to", "from", "what", "legal basis", "purpose")


def _row(item: Disclosure) -> tuple[object, ...]:
    said = _item(item)
    basis = item.header.legal_basis
    cited = "" if basis is None else f"{basis.code} {basis.citation or ''}".strip()
    arrived = (
        f"refused: {item.refusal_code}" if item.refusal_code else (_short(item.reached) or "not known to have arrived")
    )
    other = said["to"] if item.direction == "out" else said["from"]
    return _short(item.at), other, item.header.type, cited, item.header.purpose, arrived


def _correction(correction: Correction) -> tuple[object, ...]:
    item = correction.disclosure
    return _short(item.at), _item(item)["to"], item.header.type, _short(correction.confirmed) or "not confirmed yet"


def _moment(at: datetime | None) -> str | None:
    return None if at is None else time_to_text(at)


def _short(at: datetime | None) -> str:
    return "" if at is None else at.strftime("%Y-%m-%d %H:%M:%S")
