# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm held`: names, options and help of its commands; the work is imported when one is called."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from typing import Annotated

import typer

from broker.cli.options import AsJson, AsOffice, Cursor, Home

__all__ = ["held_commands"]

Message = Annotated[str, typer.Argument(metavar="ID", help="The id of a held message, as 'trm held list' shows it.")]


def held_commands() -> typer.Typer:
    """Return the group of commands."""
    group = typer.Typer(
        help="Decide about messages that a safeguard holds: a second person, a reason, a trace.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for command in (list_all, show, release, reject):
        group.command("list" if command is list_all else None)(command)
    return group


def list_all(
    home: Home,
    authority: AsOffice = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many, oldest first.")] = 200,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List what waits for a second person, oldest first. After 7 days it waits no more and is not sent.

    \b
    Example:
      trm held list --home ./ee
    """
    from broker.cli.held import list_held as work

    work(home, authority=authority, limit=limit, cursor=cursor, as_json=as_json)


def show(message: Message, home: Home, authority: AsOffice = None, as_json: AsJson = False) -> None:
    """Show why a message is held, the message, and what left and came in its case since.

    \b
    Example:
      trm held show 01920000-0000-7000-8000-000000000000 --home ./ee
    """
    from broker.cli.held import show as work

    work(message, home, authority=authority, as_json=as_json)


def release(
    message: Message,
    home: Home,
    reason: Annotated[
        str,
        typer.Option(
            help="checked, guardian-and-lawyer, child-informed, required-by-law or protection; it is audited."
        ),
    ],
    authority: AsOffice = None,
    seen: Annotated[
        list[str] | None,
        typer.Option("--seen", metavar="ID", help="A newer message that 'trm held show' lists; once for each."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let a held message leave. Its author cannot; everything is checked again as it is now.

    It would be the newest word in its case: with --seen it is said of each message that left or came since it was written
    that it was looked at.

    \b
    Example:
      trm held release 01920000-0000-7000-8000-000000000000 --home ./ee --reason checked
    """
    from broker.cli.held import release as work

    work(message, home, authority=authority, reason=reason, seen=seen or (), as_json=as_json)


def reject(
    message: Message,
    home: Home,
    reason: Annotated[str, typer.Option(help="not-safe, not-complete, not-needed or child-objects; it is audited.")],
    authority: AsOffice = None,
    as_json: AsJson = False,
) -> None:
    """Say that a held message does not leave. Its content is forgotten; its author may take it back so.

    \b
    Example:
      trm held reject 01920000-0000-7000-8000-000000000000 --home ./ee --reason not-complete
    """
    from broker.cli.held import reject as work

    work(message, home, authority=authority, reason=reason, as_json=as_json)
