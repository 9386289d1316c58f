# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm submit`, `inbox`, `show`, `resend`, `timeline`, `validate`: names, options and help of what is done with messages."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.options import AsJson, AsOffice, Cursor, Home

__all__ = ["inbox", "resend", "show", "submit", "timeline", "validate"]

AsPeer = Annotated[
    str | None, typer.Option("--peer", help="Where several countries used one id: the other country, e.g. FI.")
]


def submit(
    file: Annotated[
        Path, typer.Argument(help="The message as JSON, the same that the API takes; - is standard input.")
    ],
    home: Home,
    authority: AsOffice = None,
    to: Annotated[
        str | None,
        typer.Option("--to", help="Replace the file's recipient, as COUNTRY/AUTHORITY, e.g. FI/tracing-office."),
    ] = None,
    procedure: Annotated[
        str | None, typer.Option("--procedure", help="Replace the file's procedure: answer in an open one.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            "--idempotency-key",
            help="Repeating a submission under its key sends nothing twice. Default: the file's digest.",
        ),
    ] = None,
    attach: Annotated[
        list[str] | None,
        typer.Option(
            "--attach",
            help="Attach this file, as FILE or FILE=KIND, e.g. decision.pdf=COURT_DECISION; may be repeated.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send the message that a file holds.

    It is accepted once it is stored for good. Works while the node runs and while it does not: a running node sends
    it at once, else the next start does.

    \b
    Examples:
      trm submit request.json --home ./ee
      trm submit request.json --home ./ee --to FI/tracing-office --json
      trm submit request.json --home ./ee --attach decision.pdf=COURT_DECISION
    """
    from broker.cli.messages import submit as work

    work(
        file,
        home,
        authority=authority,
        to=to,
        procedure=procedure,
        key=idempotency_key,
        attach=attach or [],
        as_json=as_json,
    )


def inbox(
    home: Home,
    authority: AsOffice = None,
    direction: Annotated[str, typer.Option("--direction", help="in: received, out: sent, all: both.")] = "in",
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many, newest first.")] = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List messages, without their content.

    Shows when, from whom, of what type and in which state; 'trm show ID' shows one message.

    \b
    Examples:
      trm inbox --home ./fi
      trm inbox --home ./fi --direction all --json
    """
    from broker.cli.messages import inbox as work

    work(home, authority=authority, direction=direction, limit=limit, cursor=cursor, as_json=as_json)


def show(
    message: Annotated[str, typer.Argument(help="The message's id, as 'trm inbox' shows it.")],
    home: Home,
    authority: AsOffice = None,
    peer: AsPeer = None,
    direction: Annotated[str, typer.Option("--direction", help="Where an id is used both ways: in or out.")] = "all",
    opened: Annotated[
        bool, typer.Option("--opened", help="Also tell the sender that an officer has seen it (a signed receipt).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one message with its content.

    This is personal data: mind who looks on.

    \b
    Example:
      trm show 01920000-0000-7000-8000-000000000000 --home ./fi --opened
    """
    from broker.cli.messages import show as work

    work(message, home, authority=authority, peer=peer, direction=direction, opened=opened, as_json=as_json)


def resend(
    message: Annotated[str, typer.Argument(help="The id of a sent message, as 'trm inbox --direction out' shows it.")],
    home: Home,
    reason: Annotated[
        str,
        typer.Option(
            "--reason", help="no-answer, peer-asked, peer-restored, fault-mended or evidence-missing; it is audited."
        ),
    ],
    authority: AsOffice = None,
    as_json: AsJson = False,
) -> None:
    """Send a message once more.

    For one that stays unanswered, or whose receipts were lost: the other side takes it once, and answers again with
    every receipt that it has. What was opened or refused is settled and is not sent again.

    \b
    Example:
      trm resend 01920000-0000-7000-8000-000000000000 --home ./ee --reason peer-asked
    """
    from broker.cli.messages import resend as work

    work(message, home, authority=authority, reason=reason, as_json=as_json)


def timeline(
    procedure: Annotated[str, typer.Argument(help="The procedure's id, or the id of one of its messages.")],
    home: Home,
    authority: AsOffice = None,
    peer: AsPeer = None,
    as_json: AsJson = False,
) -> None:
    """Show what happened in a procedure, and its digest.

    Time, who, what, state and evidence of every step. The other country's digest over the same messages is equal, or someone must look into it.

    \b
    Example:
      trm timeline 01920000-0000-7000-8000-000000000000 --home ./ee
    """
    from broker.cli.messages import timeline as work

    work(procedure, home, authority=authority, peer=peer, as_json=as_json)


def validate(
    file: Annotated[Path, typer.Argument(help="A message as JSON, or a bare body together with --type.")],
    type_name: Annotated[
        str | None,
        typer.Option("--type", help="The message type, e.g. family-tracing.request: the file is its body alone."),
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", help="With --type: the schema version. Default: newest.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check a file against its schema.

    Lists everything that is wrong, each with its place in the file. Needs no node and sends nothing. Exit code 1 where something is wrong.

    \b
    Examples:
      trm validate schemas/examples/demo/request.json
      trm validate body.json --type family-tracing.request
    """
    from broker.cli.validate import validate as work

    return work(file, type_name=type_name, version=version, as_json=as_json)
