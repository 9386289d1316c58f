# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm attention`: names, options and help of its commands; the work is imported when one is called."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from typing import Annotated

import typer

from broker.cli.options import AsJson, Cursor, Home

__all__ = ["attention_commands"]

_ABOUT = """What people are called for: each entry stays open until somebody has looked after it.

Most entries are closed by the node itself when their reason is gone; closing one by hand is on record. Entries say
codes, ids and countries, never anything about a person."""

Office = Annotated[str | None, typer.Option("--authority", help="Only what calls this office. Default: every office.")]


def attention_commands() -> typer.Typer:
    """Return the group of commands."""
    group = typer.Typer(help=_ABOUT, no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_all)
    group.command()(resolve)
    return group


def list_all(
    home: Home,
    authority: Office = None,
    closed: Annotated[bool, typer.Option("--closed", help="Also what was looked after, by whom and when.")] = False,
    peer: Annotated[str | None, typer.Option("--peer", help="Only what concerns this other country, e.g. FI.")] = None,
    code: Annotated[str | None, typer.Option("--code", help="Only calls of this code, e.g. failed-opened.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many, newest first.")] = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List what a person must look at, newest first: since when, who must act, and what to do.

    Asks for no passphrase and needs no running node.

    \b
    Examples:
      trm attention list --home ./ee
      trm attention list --home ./ee --authority tracing-office --json
      trm attention list --home ./ee --peer FI --code failed-opened
    """
    from broker.cli.attention import list_entries as work

    work(home, authority=authority, closed=closed, peer=peer, code=code, limit=limit, cursor=cursor, as_json=as_json)


def resolve(
    entry: Annotated[
        int, typer.Argument(metavar="ENTRY", help="The entry's number, as 'trm attention list' shows it.")
    ],
    home: Home,
    authority: Office = None,
    as_json: AsJson = False,
) -> None:
    """State that you have looked after an entry. It is audited, and opens again when its reason comes again.

    \b
    Example:
      trm attention resolve 7 --home ./ee
    """
    from broker.cli.attention import resolve as work

    work(entry, home, authority=authority, as_json=as_json)
