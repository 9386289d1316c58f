# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm healing`: names, options and help of the commands about a node that was restored."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from typing import Annotated

import typer

from broker.cli.options import AsJson, Home

__all__ = ["healing_commands"]

_ABOUT = """What a restored node still misses, and what it could not get back.

After a restore the node asks every other country what passed since the backup, and takes it again: their messages, its own
as it had signed them, and the receipts. Until a country has answered, nothing is sent there."""


def healing_commands() -> typer.Typer:
    """Return the group with every command."""
    app = typer.Typer(help=_ABOUT, no_args_is_help=True, rich_markup_mode=None)
    app.command()(show)
    app.command()(end)
    return app


def show(home: Home, as_json: AsJson = False) -> None:
    """Show for each country how far it is, and each message that could not be got back.

    Exit code 1 while a country has not answered, or something is lost.

    \b
    Example:
      trm healing show --home ./ee
    """
    from broker.cli.healing import show as work

    work(home, as_json=as_json)


def end(
    country: Annotated[str, typer.Argument(help="The country that does not answer, e.g. FI.")],
    home: Home,
    as_json: AsJson = False,
) -> None:
    """Stop asking a country, and send to it again.

    For one whose node is gone, or too old to answer. Telephone it first: what it knows and this node does not stays
    missing, and it will take the next message in a common procedure for a fork.

    \b
    Example:
      trm healing end FI --home ./ee
    """
    from broker.cli.healing import end as work

    work(country, home, as_json=as_json)
