# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The work of `trm healing`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from broker.cli import output
from broker.cli.acting import operator, with_office
from broker.cli.input import parsed
from broker.core.content import time_to_text
from broker.core.healing import Missed
from broker.core.ids import CountryCode
from broker.flows.heal import Heal, HealingStatus

if TYPE_CHECKING:
    from broker.office import Office

__all__ = ["end", "show"]


def show(home: Path, *, as_json: bool) -> None:
    """Show how far it is; exit code 1 while something lacks.

    Raises:
        NodeError: the store cannot be read.
    """

    async def work(office: Office) -> tuple[HealingStatus, ...]:
        return await _heal(office).status()

    found = with_office(home, work)
    output.answer({"countries": [_document(one) for one in found]}, as_json=as_json, people=lambda: _print(found))
    if any(one.row.ended is None or one.lost for one in found):
        raise typer.Exit(output.EXIT_REFUSED)


def end(country: str, home: Path, *, as_json: bool) -> None:
    """Stop asking a country.

    Raises:
        BadRequest: that is no country.
        NotFound: it is not asked.
    """
    peer = parsed(CountryCode, country, "COUNTRY")

    async def work(office: Office) -> None:
        await _heal(office).end(peer, operator())

    with_office(home, work)

    def people() -> None:
        output.console().print(f"{peer} is asked no more; messages to it leave again.")

    output.answer({"ended": peer}, as_json=as_json, people=people)


def _heal(office: Office) -> Heal:
    return Heal(
        us=office.us,
        store=office.store,
        trust=office.trust,
        ledger=office.ledger,
        clock=office.clock,
        ids=office.ids,
        wake=lambda: None,  # a running node polls
    )


def _document(one: HealingStatus) -> dict[str, Any]:
    return {
        "country": one.row.peer,
        "since": time_to_text(one.row.since),
        "restored": time_to_text(one.row.restored),
        "ended": None if one.row.ended is None else time_to_text(one.row.ended),
        "unanswered": one.row.attempts,
        "wanted": len(one.wanted),
        "lost": [_lost(item) for item in one.lost],
    }


def _lost(item: Missed) -> dict[str, Any]:
    return {
        "author": item.author,
        "message": item.message,
        "digest": item.digest,
        "procedure": item.procedure,
        "act": item.act,
        "state": item.state.value,
        "code": item.code,
    }


def _print(found: tuple[HealingStatus, ...]) -> None:
    if not found:
        output.console().print("This node was never restored, or has not looked whom to ask yet: start it.")
        return
    output.table(
        ("country", "missing since (UTC)", "state", "still wanted", "lost"),
        [
            (one.row.peer, f"{one.row.since:%Y-%m-%d %H:%M}", _state(one), len(one.wanted), len(one.lost))
            for one in found
        ],
    )
    lost = [item for one in found for item in one.lost]
    if lost:
        output.table(
            ("author", "act", "message", "procedure", "why"),
            [(item.author, item.act, item.message, item.procedure, item.code) for item in lost],
            wide=("message", "procedure"),
        )


def _state(one: HealingStatus) -> str:
    if one.row.ended is not None:
        return "complete"
    return f"asked {one.row.attempts} times without an answer" if one.row.attempts > 1 else "asking"
