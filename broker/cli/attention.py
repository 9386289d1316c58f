# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm attention`: what people are called for, and that somebody has looked after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from broker.api import views
from broker.cli import output, surge
from broker.cli.acting import doubt, operator, with_office
from broker.cli.input import one_of, parsed
from broker.core.attention import AttentionCode
from broker.core.errors import NotFound
from broker.core.ids import AuthorityId, CountryCode
from broker.office import Office
from broker.rows import Attention

__all__ = ["list_entries", "resolve"]

_MEANING = {code.value: code.meaning for code in AttentionCode}


def list_entries(
    home: Path,
    *,
    authority: str | None,
    closed: bool,
    peer: str | None,
    code: str | None,
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """List entries, newest first.

    Raises:
        BadRequest: an option is not of its form, or there is no such code.
        BadCursor: the cursor is none of this list.
        NodeError: the store cannot be read.
    """
    wanted = _office(authority)
    country = None if peer is None else parsed(CountryCode, peer, "--peer")
    about = None if code is None else one_of(AttentionCode, code, "--code", what="The code")

    async def work(office: Office) -> Any:
        if wanted is not None:
            doubt(office, wanted)
        return await office.looked(
            lambda reader: reader.attention(
                wanted, open_only=not closed, peer=country, code=about, cursor=cursor, limit=limit
            )
        )

    page, modes = with_office(home, work, without_vault=True)
    rows: tuple[Attention, ...] = page.items

    def people() -> None:
        surge.say(modes)
        if not rows:
            asked = "of what was asked for " if (authority or peer or code or cursor) else ""
            output.console().print(f"Nothing {asked}waits for a person.")
            return
        headings = ("entry", "since (UTC)", "code", "who must act", "office", "country", "about", "what")
        lines = [
            (row.id, f"{row.at:%Y-%m-%d %H:%M}", row.code, row.who, row.authority, row.peer, row.subject, _what(row))
            for row in rows
        ]
        output.table(headings, lines, wide=("about", "what"))
        output.follows(page.next)
        output.console().print(f"Looked after one? trm attention resolve ENTRY --home {output.word(home)}")

    output.answer(views.page(page, views.attention, modes), as_json=as_json, people=people)


def resolve(entry: int, home: Path, *, authority: str | None, as_json: bool) -> None:
    """State that a person has looked after an entry.

    Raises:
        BadRequest: that is no office's id.
        NotFound: there is no such open entry, or it calls another office.
        NodeError: the store cannot be written.
    """
    wanted = _office(authority)

    async def work(office: Office) -> Attention:
        try:
            return await office.attend.resolve(entry, operator(wanted))
        except NotFound:
            raise NotFound(f"There is no open entry {entry}: see trm attention list.", where="ENTRY") from None

    row = with_office(home, work, without_vault=True)
    output.answer(
        {"resolved": row.id, "code": row.code},
        as_json=as_json,
        people=lambda: output.console().print(f"Entry {row.id} ({row.code}) is closed; that is on record."),
    )


def _office(named: str | None) -> AuthorityId | None:
    return None if named is None else parsed(AuthorityId, named, "--authority")


def _what(row: Attention) -> str:
    what = " ".join(dict.fromkeys(filter(None, (row.detail, _MEANING.get(row.code)))))  # once where they are the same
    if row.resolved is None:
        return what
    return f"closed {row.resolved:%Y-%m-%d %H:%M} by {row.resolved_by}: {what}"
