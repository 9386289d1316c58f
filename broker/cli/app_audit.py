# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm audit`: names, options and help of the commands about this node's audit trail."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.options import AsJson, Cursor

__all__ = ["audit_commands"]

_Home = Annotated[Path, typer.Option("--home", envvar="TRM_HOME", readable=False, help="The node's home folder.")]
_Reason = Annotated[
    str,
    typer.Option(
        "--reason",
        help="What for: supervisory-authority, lawfulness, self-monitoring, integrity-and-security, criminal-proceedings or "
        "access-request; it stands in the trail.",
    ),
]
_Since = Annotated[str | None, typer.Option("--since", help="From this day on (UTC), like 2026-06-01.")]
_Until = Annotated[str | None, typer.Option("--until", help="Up to this day and with it (UTC), like 2026-06-30.")]
_Case = Annotated[
    list[str] | None,
    typer.Option("--case", help="Only what concerns this case reference or procedure; may be repeated."),
]

_ABOUT = """The audit trail: who did, saw, released, refused, exported or erased what, when, why and under which role.

A running node chains every entry to the one before within a second, signs the end of the chain once a minute, and tells
the other countries' nodes. Whoever changes, removes or inserts an entry afterwards, also in the database itself, cannot
hide it: 'trm audit verify' says where.

\b
  trm audit verify            check the whole trail
  trm audit list              look at its newest entries
  trm audit export            give a part of it to a supervisory authority
  trm audit witness export    give another country what this node knows of its trail"""

_WITNESS_ABOUT = "What this node knows of other countries' audit trails."


def audit_commands() -> typer.Typer:
    """Return the group with every command."""
    app = typer.Typer(help=_ABOUT, no_args_is_help=True, rich_markup_mode=None)
    app.command()(verify)
    app.command("list")(list_)
    app.command()(show)
    app.command()(export)
    witness = typer.Typer(help=_WITNESS_ABOUT, no_args_is_help=True, rich_markup_mode=None)
    witness.command("export")(witness_export)
    app.add_typer(witness, name="witness")
    return app


def verify(
    home: Annotated[
        Path | None,
        typer.Option(
            "--home",
            envvar="TRM_HOME",
            readable=False,
            help="The node's home folder; with --file only for its trust list.",
        ),
    ] = None,
    witness: Annotated[
        list[Path] | None,
        typer.Option(
            "--witness", help="What another country holds of this trail, from its 'trm audit witness export'."
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Check an exported file instead of this node's own trail.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check that nothing of the trail was changed, removed, inserted or moved.

    Computes the whole chain anew and holds it against every checkpoint that this node signed and, with --witness, against
    what other countries hold. Exit code 1 where something is wrong; it says at which place.

    With --file it checks an exported file, on any machine. Without a home the file itself says by which keys it is
    signed: compare the key ids that are printed with those that the federation publishes.

    \b
    Examples:
      trm audit verify --home ./ee
      trm audit verify --home ./ee --witness from-finland.jsonl
      trm audit verify --file ee-audit.jsonl
    """
    from broker.cli.audit import verify as work

    return work(home, witnesses=witness or [], file=file, as_json=as_json)


def list_(
    home: _Home,
    reason: _Reason,
    since: _Since = None,
    until: _Until = None,
    case: _Case = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Only what this one did.")] = None,
    action: Annotated[str | None, typer.Option("--action", help="Only this action, e.g. read.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many, newest first.")] = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List entries, newest first.

    That somebody looked, and why, becomes an entry itself.

    \b
    Examples:
      trm audit list --home ./ee --reason self-monitoring
      trm audit list --home ./ee --reason lawfulness --action read --since 2026-06-01
    """
    from broker.cli.audit import list_entries as work

    work(
        home,
        reason=reason,
        since=since,
        until=until,
        cases=case or [],
        actor=actor,
        action=action,
        limit=limit,
        cursor=cursor,
        as_json=as_json,
    )


def show(
    position: Annotated[
        int, typer.Argument(min=1, help="The entry's place in the chain, as 'trm audit list' shows it.")
    ],
    home: _Home,
    reason: _Reason,
    as_json: AsJson = False,
) -> None:
    """Show one entry with its digest and its link.

    \b
    Example:
      trm audit show 17 --home ./ee --reason lawfulness
    """
    from broker.cli.audit import show as work

    work(position, home, reason=reason, as_json=as_json)


def export(
    home: _Home,
    reason: _Reason,
    out: Annotated[Path, typer.Option("--out", help="The file to write; nothing may be there.")],
    since: _Since = None,
    until: _Until = None,
    case: _Case = None,
    as_json: AsJson = False,
) -> None:
    """Write a part of the trail as one signed file.

    For a supervisory authority: 'trm audit verify --file' checks it on any machine. Entries outside of the period or case
    stand in it as their digest alone, so that the chain can be followed and nothing of them is told. Needs the vault. The
    export becomes an entry itself.

    \b
    Examples:
      trm audit export --home ./ee --reason supervisory-authority --since 2026-06-01 --out ee-audit.jsonl
      trm audit export --home ./ee --reason access-request --case CR-0123456789ABCDEFGHJK --out case.jsonl
    """
    from broker.cli.audit_files import export as work

    work(home, reason=reason, out=out, since=since, until=until, cases=case or [], as_json=as_json)


def witness_export(
    country: Annotated[str, typer.Argument(help="The country whose trail it is, e.g. EE.")],
    home: _Home,
    out: Annotated[Path, typer.Option("--out", help="The file to write; nothing may be there.")],
    as_json: AsJson = False,
) -> None:
    """Write what this node holds of a country's trail.

    That country, or its supervisory authority, gives the file to 'trm audit verify --witness'. It holds times, digests and
    that country's own signatures, and nothing of a case.

    \b
    Example:
      trm audit witness export EE --home ./fi --out from-finland.jsonl
    """
    from broker.cli.audit_files import witness_export as work

    work(country, home, out=out, as_json=as_json)
