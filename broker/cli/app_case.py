# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm case`: names, options and help of the commands about one case."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.options import AsJson

__all__ = ["case_commands"]

_Home = Annotated[Path, typer.Option("--home", envvar="TRM_HOME", help="The node's home folder.")]


def case_commands() -> typer.Typer:
    """Return the group with every command."""
    app = typer.Typer(help="One case: find it, and see what went to whom.", no_args_is_help=True, rich_markup_mode=None)
    app.callback()(_group)
    app.command()(search)
    app.command()(disclosures)
    return app


def _group() -> None:
    """One case: find it, and see what went to whom."""


def search(
    home: _Home,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Whole words of a name, in any order; '-' reads one line from standard input."),
    ] = None,
    born: Annotated[
        str | None, typer.Option("--born", help="As much as is known: 2014-05-03, 2014-05 or 2014.")
    ] = None,
    reason: Annotated[
        str,
        typer.Option(
            "--reason",
            help="What for: casework, other-country, access-request or supervisory-authority; it stands in the audit trail.",
        ),
    ] = "casework",
    authority: Annotated[
        str | None, typer.Option("--authority", help="Act for this office; not needed where the node has only one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find the procedures that speak of a person, by name and birth.

    Case, accents and marks do not count, and neither does the order of the words; part of a word finds nothing. Without a
    name the date of birth must be whole. At most 20 procedures of your office are shown, without their contents. That you
    searched is on record, and not for whom: but what you type may stay in your shell's history. Use '--name -' there.

    \b
    Example:
      trm case search --name "Test-Maarika Naidis" --born 2014 --home ./ee
    """
    from broker.cli.searching import search as work

    work(home, name=name, born=born, reason=reason, authority=authority, as_json=as_json)


def disclosures(
    case: Annotated[str, typer.Argument(help="The case reference towards a country, or a procedure's id.")],
    home: _Home,
    authority: Annotated[
        str | None, typer.Option("--authority", help="Act for this office; not needed where the node has only one.")
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", help="What for, as in 'trm audit list'; it stands in the audit trail.")
    ] = "access-request",
    as_json: AsJson = False,
) -> None:
    """Show what of a case went to whom, when and on which basis.

    For the answer to an access request (GDPR 15): recipients, purposes and legal bases of what was sent, the sources of
    what was received, and the corrections that were passed on and are not confirmed yet. No content is shown. A case has a
    reference of its own towards each country: ask for each.

    \b
    Example:
      trm case disclosures CR-0123456789ABCDEFGHJK --home ./ee
    """
    from broker.cli.disclosures import disclosures as work

    work(case, home, authority=authority, reason=reason, as_json=as_json)
