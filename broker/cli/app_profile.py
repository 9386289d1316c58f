# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm profile`: names, options and help of its commands; the work is imported when one is called."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.options import AsJson, OnDay

__all__ = ["profile_commands"]


def profile_commands() -> typer.Typer:
    """Return the group of commands."""
    group = typer.Typer(help="Look up what is known of countries' rules.", no_args_is_help=True, rich_markup_mode=None)
    for command in (show, diff, check):
        group.command()(command)
    group.command(name="set")(set_value)
    return group


def show(
    country: Annotated[str, typer.Argument(help="The country, as ISO 3166-1 alpha-2, e.g. EE.")],
    file: Annotated[
        Path | None, typer.Option("--file", help="Its profile. Default: the one that comes with this program.")
    ] = None,
    home: Annotated[
        Path | None, typer.Option("--home", help="The one in the trust list by which this home's node works.")
    ] = None,
    on: OnDay = None,
    everything: Annotated[bool, typer.Option("--all", help="Also the questions that nobody has answered.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show who decides what in a country, and which papers and consents it asks for.

    Each answer with its source and how far it is to be relied on. What nobody has answered is unknown, and unknown is
    not no. The rules are those of today, or of the day given: an old request is decided by the rule of its day.

    \b
    Examples:
      trm profile show EE
      trm profile show EE --home ./fi
      trm profile show FI --on 2026-11-30 --all --json
    """
    from broker.cli.profile import show as work

    work(country, file=file, home=home, on=on, everything=everything, as_json=as_json)


def diff(
    before: Annotated[str, typer.Argument(help="A country or a file; with @2026-06-30 the version of that day.")],
    after: Annotated[str, typer.Argument(help="The same, newer. Without a day: the version that begins last.")],
    as_json: AsJson = False,
) -> None:
    """Say in words what a newer version of a profile answers differently.

    \b
    Examples:
      trm profile diff EE ./profile.json
      trm profile diff ./profile.json@2026-06-30 ./profile.json@2026-07-01
    """
    from broker.cli.profile import diff as work

    work(before, after, as_json=as_json)


def check(
    what: Annotated[
        list[str] | None,
        typer.Argument(help="Countries or files. Default: every profile that comes with this program."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """List what is contradictory, unverified, older than 12 months, or unknown.

    Only what cannot be true as it stands is an error and makes exit code 1.

    \b
    Examples:
      trm profile check
      trm profile check ./profile.json --json
    """
    from broker.cli.profile import check as work

    return work(what or [], as_json=as_json)


def set_value(
    file: Annotated[Path, typer.Argument(help="The profile's file.")],
    question: Annotated[str, typer.Argument(help="Its name, e.g. placement.child_consent_age.")],
    value: Annotated[
        str | None, typer.Argument(help="The answer: text, a code, yes or no, a number; several with commas.")
    ] = None,
    because: Annotated[str, typer.Option("--because", help="What the edit rests on.")] = "",
    document: Annotated[str | None, typer.Option("--document", help="The source: where the answer was read.")] = None,
    place: Annotated[str | None, typer.Option("--place", help="Article or section of it.")] = None,
    read: Annotated[str | None, typer.Option("--read", help="Day or month of reading. Default: today.")] = None,
    standing: Annotated[
        str, typer.Option("--standing", help="VERIFIED, SECONDARY, UNVERIFIED or DEFAULT.")
    ] = "UNVERIFIED",
    note: Annotated[str | None, typer.Option("--note", help="What a reader should know besides.")] = None,
    unknown: Annotated[bool, typer.Option("--unknown", help="Nobody knows it any more.")] = False,
    not_applicable: Annotated[bool, typer.Option("--not-applicable", help="The question does not arise.")] = False,
    begins: Annotated[str | None, typer.Option("--from", help="The day from which it holds. Default: today.")] = None,
    editor: Annotated[
        str | None, typer.Option("--editor", help="The office that answers for it. Default: as before.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Change one answer of a profile's file, with its source and the day it was read.

    Earlier days keep their rule. The file is signed like a member document afterwards.

    \b
    Example:
      trm profile set se.json placement.child_consent_age 15 --document "Social Services Act" --place "22 kap. 9 §" \\
        --standing VERIFIED --from 2027-01-01 --because "New act."
    """
    from broker.cli.profile_editing import Answer
    from broker.cli.profile_editing import set_value as work

    answer = Answer(
        value=value,
        unknown=unknown,
        not_applicable=not_applicable,
        document=document,
        place=place,
        read=read,
        standing=standing,
        note=note,
    )
    work(file, question, answer, begins=begins, editor=editor, because=because, as_json=as_json)
