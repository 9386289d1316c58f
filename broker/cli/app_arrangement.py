# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm arrangement`: names, options and help of its commands; the work is imported when one is called."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.options import AsJson, OnDay

__all__ = ["arrangement_commands"]

Register = Annotated[Path, typer.Option("--file", help="The register, as the federation's officers sign it.")]
Name = Annotated[str, typer.Argument(metavar="ID", help="The arrangement's id.")]
REGISTER_FILE = Path("arrangements.json")


def arrangement_commands() -> typer.Typer:
    """Return the group of commands."""
    group = typer.Typer(
        help="Keep the register of which members exchange which procedures.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for command in (list_all, show, check, add, end, suspend):
        group.command("list" if command is list_all else None)(command)
    return group


def list_all(file: Register = REGISTER_FILE, on: OnDay = None, as_json: AsJson = False) -> None:
    """List the arrangements and whether each holds.

    \b
    Example:
      trm arrangement list --file arrangements.json
    """
    from broker.cli.arrangement import list_all as work

    work(file, on=on, as_json=as_json)


def show(name: Name, file: Register = REGISTER_FILE, as_json: AsJson = False) -> None:
    """Show one arrangement whole: members, procedures, agreement, days, conditions.

    \b
    Example:
      trm arrangement show example-tracing --file arrangements.json
    """
    from broker.cli.arrangement import show as work

    work(name, file, as_json=as_json)


def check(
    countries: Annotated[
        list[str] | None, typer.Argument(help="Two countries: what may they exchange, and why?")
    ] = None,
    file: Register = REGISTER_FILE,
    home: Annotated[
        Path | None, typer.Option("--home", help="Instead: the one in the trust list by which this home's node works.")
    ] = None,
    on: OnDay = None,
    as_json: AsJson = False,
) -> int:
    """Say what to look at in the register, or what two countries may exchange and why.

    Exit code 1 where the register has an error.

    \b
    Examples:
      trm arrangement check --file arrangements.json
      trm arrangement check EE FI --on 2026-12-31
      trm arrangement check EE FI --home ./ee
    """
    from broker.cli.arrangement import check as work

    return work(file, countries or [], home=home, on=on, as_json=as_json)


def add(
    name: Name,
    title: Annotated[str, typer.Option("--title", help="What people call it.")],
    agreement: Annotated[str, typer.Option("--agreement", help="Reference of the agreement that it rests on.")],
    source: Annotated[str, typer.Option("--source", help="Where the agreement can be read.")],
    members: Annotated[list[str], typer.Option("--member", help="A country of it; repeat for each.")],
    procedures: Annotated[list[str], typer.Option("--procedure", help="A procedure, e.g. family-tracing; repeat.")],
    first_day: Annotated[str, typer.Option("--from", help="Its first day, like 2026-12-01.")],
    last_day: Annotated[str | None, typer.Option("--until", help="Its last day. Default: without end.")] = None,
    conditions: Annotated[list[str] | None, typer.Option("--condition", help="For people; may be repeated.")] = None,
    file: Register = REGISTER_FILE,
    as_json: AsJson = False,
) -> None:
    """Add an arrangement to the register; a file that is not there yet is made.

    It counts for nodes when the federation's officers have signed the register and published it.

    \b
    Example:
      trm arrangement add example-tracing --title "Example" --agreement "Example 1/2026" --source "official journal" \\
        --member EE --member FI --procedure family-tracing --from 2026-12-01
    """
    from broker.cli.arrangement import add as work

    data = {
        "id": name, "title": title, "agreement": agreement, "source": source, "members": sorted(set(members)),
        "procedures": sorted(set(procedures)), "first_day": first_day, "last_day": last_day, "status": "IN_FORCE",
        "conditions": conditions,
    }  # fmt: skip
    work(file, data, as_json=as_json)


def end(
    name: Name,
    on: Annotated[str, typer.Option("--on", help="Its last day, like 2026-12-31.")],
    file: Register = REGISTER_FILE,
    as_json: AsJson = False,
) -> None:
    """Let an arrangement end; what was opened until then is brought to its end.

    \b
    Example:
      trm arrangement end example-tracing --on 2026-12-31
    """
    from broker.cli.arrangement import end as work

    work(name, file, on=on, as_json=as_json)


def suspend(
    name: Name,
    lift: Annotated[bool, typer.Option("--lift", help="Let it hold again.")] = False,
    file: Register = REGISTER_FILE,
    as_json: AsJson = False,
) -> None:
    """Suspend an arrangement from the moment that nodes have the signed register.

    Nothing passes under it any more, in open cases neither, but notices of danger, facts and what stops something.

    \b
    Examples:
      trm arrangement suspend example-tracing
      trm arrangement suspend example-tracing --lift
    """
    from broker.cli.arrangement import suspend as work

    work(name, file, lift=lift, as_json=as_json)
