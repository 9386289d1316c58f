# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm authority`: names, options and help."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from typing import Annotated

import typer

from broker.cli.options import AsJson, Home

__all__ = ["authority_commands"]

_ABOUT = """The offices of the countries: to whom a message can go, and how an office is reached when one cannot wait.

\b
  trm authority list --country FI         Finland's offices, their telephones and hours
  trm authority set ID --contact …        what our own country says of an office of its own"""


def authority_commands() -> typer.Typer:
    """Return the group with every command."""
    app = typer.Typer(help=_ABOUT, no_args_is_help=True, rich_markup_mode=None)
    app.command("list")(list_)
    app.command("set")(set_)
    return app


def list_(
    home: Home,
    country: Annotated[str | None, typer.Option("--country", help="Only this one's, e.g. FI.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the offices of every country as the trust list has them: names, telephones, hours, languages, competences.

    \b
    Examples:
      trm authority list --home ./ee
      trm authority list --home ./ee --country FI
    """
    from broker.cli.authorities import list_authorities as work

    work(home, country=country, as_json=as_json)


def set_(
    authority: Annotated[str, typer.Argument(metavar="ID", help="The office's id; a new one is added.")],
    home: Home,
    name: Annotated[str | None, typer.Option("--name", help="What it is called.")] = None,
    language: Annotated[
        list[str] | None, typer.Option("--language", help="One it works in, e.g. et; may be repeated.")
    ] = None,
    competence: Annotated[
        list[str] | None,
        typer.Option("--competence", help="What it may do, e.g. B2B-82:RECEIVE (or :SEND, :DECIDE); may be repeated."),
    ] = None,
    time_zone: Annotated[str | None, typer.Option("--time-zone", help="Of its hours, e.g. Europe/Tallinn.")] = None,
    hours: Annotated[
        list[str] | None, typer.Option("--open", help="When it is open: 'mon-fri 08:00-16:00'; may be repeated.")
    ] = None,
    contact: Annotated[
        list[str] | None,
        typer.Option(
            "--contact",
            help="An office's, never a person's own: phone=, duty-phone= (any hour), email=, post= or web=; may be repeated.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write what our country says of one of its offices into member.json, for its officers to sign.

    What is not named stays; of what may be repeated the new list takes the place of the old one.

    \b
    Examples:
      trm authority set tracing-office --home ./ee --contact "duty-phone=+372 000 0000" --language et --language en
      trm authority set tracing-office --home ./ee --time-zone Europe/Tallinn --open "mon-fri 08:00-16:00"
    """
    from broker.cli.authorities import set_authority as work

    work(
        home,
        authority,
        name=name,
        languages=language,
        competences=competence,
        time_zone=time_zone,
        hours=hours,
        contacts=contact,
        as_json=as_json,
    )
