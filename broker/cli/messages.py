# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm submit`, `inbox`, `show`, `resend` and `timeline`: the same flows and views as the API, at the node's own store.

No key is needed: a submission is recorded, and the running node seals and sends it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from broker.api import views
from broker.cli import output, surge
from broker.cli.acting import ROUTE, office_of, operator, with_office
from broker.cli.input import one_of, parsed, read_json
from broker.core.content import time_to_text
from broker.core.delivery import ResendReason
from broker.core.errors import BadRequest, IdempotencyConflict, NotFound, SchemaInvalid
from broker.core.ids import AuthorityId, CountryCode, MessageId, ProcedureId
from broker.core.roles import AuditRole
from broker.finding import find_message, find_with_evidence
from broker.rows import MessageFilter, MessageRow

if TYPE_CHECKING:
    from broker.core.messages import Submission
    from broker.flows.inspect import ProcedureView
    from broker.office import Office
    from broker.ports import Reader

__all__ = ["inbox", "resend", "show", "submit", "timeline"]

T = TypeVar("T")

_DIRECTIONS = {"in": "in", "out": "out", "all": None}


def submit(
    file: Path,
    home: Path,
    *,
    authority: str | None,
    to: str | None,
    procedure: str | None,
    key: str | None,
    attach: list[str],
    as_json: bool,
) -> None:
    """Record the message of a file, with the files that it attaches.

    Raises:
        SenderError: it is refused; nothing was stored.
        NodeError: it could not be stored.
    """
    data = _addressed(read_json(file), authority=authority, to=to, procedure=procedure)

    async def work(office: Office) -> Any:
        told: list[Any] = [data]  # what makes it the same submission: each upload is another one
        if attach and isinstance(data, dict):
            from broker.cli.attachment import upload_all

            sender = data.get("sender")
            us = office_of(office, sender.get("authority") if isinstance(sender, dict) else authority)
            uploaded = await upload_all(office, us, attach)
            told = [dict(data), *((member["name"], member["kind"], digest) for member, digest in uploaded)]
            data["attachments"] = [*data.get("attachments", []), *(member for member, _ in uploaded)]
        digest = hashlib.sha256(json.dumps(told if attach else data, sort_keys=True).encode()).hexdigest()
        submission = _parsed(office, data, file, key=key or f"file:{digest}")
        try:
            return await office.submit(submission)
        except IdempotencyConflict:
            if not attach:
                raise
            sentence = "It was accepted before with its files, or its key with others; nothing new was stored."
            raise IdempotencyConflict(
                f"{sentence} To send it once more on purpose, give it another key.", where="--idempotency-key"
            ) from None

    accepted = with_office(home, work)

    def people() -> None:
        before = "It was accepted before under this key; nothing new was stored." if accepted.repeated else "Accepted."
        output.console().print(
            f"{before}\n  message    {accepted.message}\n  procedure  {accepted.procedure}\n"
            f"  digest     {accepted.digest}\n"
            + "".join(f"  remark     {one.text} ({one.rule})\n" for one in accepted.warnings)
            + f"Next: trm timeline {accepted.procedure} {output.where(home, data['sender']['authority'])}"
        )

    output.answer(views.accepted(accepted), as_json=as_json, people=people)


def _parsed(office: Office, data: Any, file: Path, *, key: str) -> Submission:
    try:
        return office.catalogue.parse_submission(
            data, actor=operator().actor, role=AuditRole.OPERATOR, route=ROUTE, idempotency_key=key
        )
    except SchemaInvalid as error:
        detail = f"{error.detail} See all that is wrong: trm validate {output.word(file)}"
        raise SchemaInvalid(detail, where=error.where) from None


def inbox(home: Path, *, authority: str | None, direction: str, limit: int, cursor: str | None, as_json: bool) -> None:
    """List messages, newest first, without content.

    Raises:
        BadRequest: no such direction or office.
        BadCursor: the cursor is none of this list.
        NodeError: the store cannot be read.
    """
    way = _way(direction)

    async def work(office: Office) -> Any:
        wanted = MessageFilter(direction=way, authority=office_of(office, authority))
        page, modes = await office.looked(
            lambda reader: reader.messages(wanted, cursor=cursor, limit=limit, readable_only=True)
        )
        await office.consult.messages(page, wanted, operator(wanted.authority))
        return page, modes

    page, modes = with_office(home, work)
    rows = page.items

    def people() -> None:
        surge.say(modes)
        if page.unreadable:
            output.console().print(f"{page.unreadable} more do not open and are not shown: restore the newest backup.")
        elif not rows:
            received = " were received; what was sent: --direction out." if way == "in" else "."
            output.console().print(f"No messages{received}")
            return
        output.table(
            ("time (UTC)", "", "", "type", "state", "message"),
            ((_short(row), _arrow(row), row.peer, _kind(row), row.state, row.id) for row in rows),
            wide=("time (UTC)", "type"),
        )
        output.follows(page.next)

    output.answer(views.page(page, views.message_item, modes), as_json=as_json, people=people)


def show(
    message: str,
    home: Path,
    *,
    authority: str | None,
    peer: str | None,
    direction: str,
    opened: bool,
    as_json: bool,
) -> None:
    """Show one message with its content; with `opened`, also owe its sender the receipt.

    Raises:
        MessageErased: it was erased here; it says when, and by which decision.
        NotFound: it is not here, or another office's.
        AmbiguousMessage: several countries used its id, and the options do not say which one is meant.
        NodeError: the store cannot be read.
    """
    wanted, other = parsed(MessageId, message, "ID"), _country(peer)
    way = "in" if opened else _way(direction)

    async def work(office: Office) -> Any:
        us = office_of(office, authority)
        if opened:
            await office.open_message(wanted, operator(us), peer=other)
        found, modes = await office.looked(
            lambda reader: find_with_evidence(reader, office.us, wanted, us, direction=way, peer=other, decided=True)
        )
        row = found[0]
        await office.consult.message(row, operator(us))
        between = [mode for mode in modes if mode.concerns(row.peer, exercise=row.header.exercise)]
        return row, views.message(*found, between), between

    row, document, modes = with_office(home, work)

    def people() -> None:
        surge.say(modes)
        for name, value in views.message_item(row).items():
            said = ("no", "yes")[value] if isinstance(value, bool) else str(value)
            output.console().print(f"{name:<14}{output.plain(said)}")
        output.console().print(output.plain(json.dumps(document.get("content"), ensure_ascii=False, indent=2)))

    output.answer(document, as_json=as_json, people=people)


def resend(message: str, home: Path, *, authority: str | None, reason: str, as_json: bool) -> None:
    """Send one of our messages once more.

    Raises:
        BadRequest: no such reason or office.
        NotFound: there is no such message of that office's own.
        AlreadySettled: nothing of its evidence is missing.
        NodeError: the store cannot be written.
    """
    wanted, code = parsed(MessageId, message, "ID"), one_of(ResendReason.of_people(), reason, "--reason")

    async def work(office: Office) -> Any:
        return await office.resend(wanted, operator(office_of(office, authority)), code)

    at = with_office(home, work)

    def people() -> None:
        output.console().print(
            f"It is sent again by the running node.\nNext: trm show {wanted} {output.where(home, authority)}"
        )

    output.answer(views.resent(wanted, at), as_json=as_json, people=people)


def timeline(work: str, home: Path, *, authority: str | None, peer: str | None, as_json: bool) -> None:
    """Show every step of a procedure, named by its own id or one of its messages', and the record's digest.

    Raises:
        NotFound: it is not here, or another office's.
        NodeError: the store cannot be read.
    """
    named, other = parsed(ProcedureId, work, "ID"), _country(peer)  # a message's id has the same form

    async def look(office: Office) -> Any:
        us = office_of(office, authority)
        wanted = await office.store.read(lambda reader: _named(reader, named, us, other))
        view = await office.inspect.procedure(wanted, authority=us)
        await office.consult.procedure(view.row, operator(us))
        return view, await office.inspect.timeline(wanted, authority=us), office.us

    view, lines, us = with_office(home, look)

    def people() -> None:
        surge.say(view.surge)
        told = (("exercise", view.row.exercise), ("alarm", view.alarm), ("gap", view.gap))
        marks = "".join(f" · {name.upper()}" for name, on in told if on)
        output.console().print(
            f"{view.row.ref.name} with {view.row.peer}, {view.role.lower()} side: {view.state}{marks}"
        )
        rows = ((time_to_text(line.at), line.who, line.what, line.state, line.evidence) for line in lines)
        if view.row.erased is not None:
            output.console().print(
                f"ERASED here at {time_to_text(view.row.erased)}: its contents are gone, nothing goes on."
            )
        if view.coming_of_age:
            output.console().print(f"OF AGE on {view.coming_of_age.on}: {view.coming_of_age.meaning}")
        output.table(("time", "who", "what", "state", "evidence"), rows, wide=("time", "what", "evidence"))
        _print_deadlines(view)
        output.console().print(f"record digest  {view.digest or 'none: something is missing'}")
        output.console().print(f"you may next   {', '.join(view.actions) or 'nothing'}")
        if view.actions:
            output.console().print(f"Next: trm submit FILE --home {output.word(home)} --procedure {view.row.ref.id}")

    document = {
        **views.procedure(view, us),
        "actions": views.actions(view),
        "timeline": [views.timeline(line) for line in lines],
    }
    output.answer(document, as_json=as_json, people=people)


def _print_deadlines(view: ProcedureView) -> None:
    """Say when what is due, by which right, and what it means that nothing came."""
    if not view.deadlines:
        return
    rows = (
        (
            item.deadline.title,
            "this country" if item.ours else view.row.peer,
            f"{item.due_local} {item.zone}",
            f"{item.phase}: {item.meaning}",
            f"{item.deadline.kind}: {item.deadline.source}",
        )
        for item in view.deadlines
    )
    output.table(
        ("deadline", "by", "due", "how it stands", "source"), rows, wide=("deadline", "how it stands", "source")
    )
    if not all(item.holidays_known for item in view.deadlines):
        output.console().print("Public holidays of that country are not known here: only weekends count.")


def _addressed(data: Any, *, authority: str | None, to: str | None, procedure: str | None) -> Any:
    """Return the submission with what the command line says put over what the file says."""
    if not isinstance(data, Mapping):
        return data  # the catalogue says what is wrong with it
    changed = dict(data)
    if authority is not None:
        changed["sender"] = {"authority": str(parsed(AuthorityId, authority, "--authority"))}
    if to is not None:
        country, slash, office = to.partition("/")
        if not slash:
            raise BadRequest("Say country and office, like FI/tracing-office.", where="--to")
        changed["recipient"] = {
            "country": str(parsed(CountryCode, country, "--to")),
            "authority": str(parsed(AuthorityId, office, "--to")),
        }
    if procedure is not None:
        changed["procedure"] = str(parsed(ProcedureId, procedure, "--procedure"))
    return changed


def _named(reader: Reader, named: ProcedureId, us: AuthorityId, peer: CountryCode | None) -> ProcedureId:
    """Return the procedure of that id, else that of the message: no message's id may stand for a procedure's."""
    if reader.procedure(named, us) is not None:
        return named
    found = find_message(reader, MessageId(named), us, peer=peer).header.procedure_id
    if found is None:
        raise NotFound
    return found


def _country(named: str | None) -> CountryCode | None:
    return None if named is None else parsed(CountryCode, named, "--peer")


def _way(direction: str) -> str | None:
    if direction not in _DIRECTIONS:
        raise BadRequest("The direction is in, out or all.", where="--direction")
    return _DIRECTIONS[direction]


def _arrow(row: MessageRow) -> str:
    return "from" if row.direction == "in" else "to"


def _kind(row: MessageRow) -> str:
    """Return the type; a drill is never taken for a case, nor a case for a drill."""
    return f"{row.header.type} · EXERCISE" if row.header.exercise else row.header.type


def _short(row: MessageRow) -> str:
    return row.at.strftime("%Y-%m-%d %H:%M:%S")
