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
    app = typer.Typer(help="One case: what went to whom.", no_args_is_help=True, rich_markup_mode=None)
    app.callback()(_group)
    app.command()(disclosures)
    return app


def _group() -> None:
    """One case: what went to whom."""


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
