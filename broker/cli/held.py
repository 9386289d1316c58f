# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm held`: what waits for a second person, and the decision."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from broker.api import views
from broker.cli import output, surge
from broker.cli.acting import office_of, operator, with_office
from broker.cli.input import one_of, parsed
from broker.core.content import time_to_text
from broker.core.delivery import RejectReason, ReleaseReason
from broker.core.errors import NotFound
from broker.core.ids import MessageId
from broker.office import Office
from broker.rows import HeldDraft

__all__ = ["list_held", "reject", "release", "show"]


def list_held(home: Path, *, authority: str | None, limit: int, cursor: str | None, as_json: bool) -> None:
    """List what waits, oldest first.

    Raises:
        BadRequest: no such office.
        BadCursor: the cursor is none of this list.
        NodeError: the store cannot be read.
    """

    async def work(office: Office) -> Any:
        us = office_of(office, authority)
        page, modes = await office.looked(lambda reader: reader.drafts(us, cursor=cursor, limit=limit))
        await office.consult.drafts(page, operator(us))
        return page, modes

    page, modes = with_office(home, work)
    rows = page.items

    def people() -> None:
        surge.say(modes)
        if not rows:
            output.console().print("Nothing waits for a second person.")
            return
        lines = [(row.id, row.type, row.peer, time_to_text(row.at), row.author, _rules(row)) for row in rows]
        output.table(("message", "type", "to", "since", "author", "rules"), lines, wide=("message",))
        output.follows(page.next)

    output.answer(views.page(page, views.held_item, modes), as_json=as_json, people=people)


def show(message: str, home: Path, *, authority: str | None, as_json: bool) -> None:
    """Show one with its reasons and content.

    Raises:
        BadRequest: no such office.
        NotFound: nothing was held under that id for the office.
        NodeError: the store cannot be read.
    """
    wanted = parsed(MessageId, message, "ID")

    async def work(office: Office) -> Any:
        us = office_of(office, authority)
        row = await office.store.read(lambda reader: reader.draft(wanted, us))
        if row is None:
            raise NotFound
        since = await office.approve.newer(row)
        await office.consult.draft(row, operator(us))
        return row, since

    row, since = with_office(home, work)
    document = views.held(row, since)

    def people() -> None:
        console = output.console()
        console.print(f"{row.type} to {row.peer}, by {row.author}: {row.state}")
        for reason in row.reasons:
            console.print(f"  {reason.rule}  {reason.text} (at /body{reason.where})", markup=False)
        if "content" in document:
            said = json.dumps(document["content"]["body"], ensure_ascii=False, indent=2)
            console.print(output.plain(said))  # what the second person reads is what stands there
            if since:
                console.print("Since it was written:")
                lines = [(time_to_text(one.at), one.author, one.type, one.message, one.state) for one in since]
                output.table(("when (UTC)", "from", "type", "message", "state"), lines, wide=("message",))
            seen = "".join(f" --seen {one.message}" for one in since)
            console.print(
                ("Look at these first: this message would be the newest word. " if since else "")
                + "Next, by another person than its author: "
                f"trm held release {row.id} {output.where(home, authority)} --reason CODE{seen}"
            )

    output.answer(document, as_json=as_json, people=people)


def release(
    message: str, home: Path, *, authority: str | None, reason: str, seen: Sequence[str], as_json: bool
) -> None:
    """Let one leave.

    Raises:
        BadRequest: no such reason or office, or an id is none.
        NewerMessages: others than those seen left or came since it was written.
        Forbidden: its author does not release it.
        SenderError: it may not leave by now; it waits on.
        NodeError: the store cannot be written.
    """
    wanted, code = parsed(MessageId, message, "ID"), one_of(ReleaseReason, reason, "--reason")
    known = [parsed(MessageId, one, "--seen") for one in seen]

    async def work(office: Office) -> Any:
        return await office.approve.release(wanted, operator(office_of(office, authority)), code, known)

    accepted = with_office(home, work)

    def people() -> None:
        output.console().print(f"Released.\nNext: trm timeline {accepted.procedure} {output.where(home, authority)}")

    output.answer(views.accepted(accepted), as_json=as_json, people=people)


def reject(message: str, home: Path, *, authority: str | None, reason: str, as_json: bool) -> None:
    """Say that one does not leave.

    Raises:
        BadRequest: no such reason or office.
        NotFound, AlreadySettled: nothing waits under that id for the office.
        NodeError: the store cannot be written.
    """
    wanted, code = parsed(MessageId, message, "ID"), one_of(RejectReason, reason, "--reason")

    async def work(office: Office) -> Any:
        return await office.approve.reject(wanted, operator(office_of(office, authority)), code)

    with_office(home, work)

    def people() -> None:
        output.console().print("Rejected; its content is forgotten.")

    output.answer({"message": wanted, "reason": code}, as_json=as_json, people=people)


def _rules(row: HeldDraft) -> str:
    return ", ".join(sorted({reason.rule for reason in row.reasons}))
