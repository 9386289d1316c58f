# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm trust …`: the group, and what shows, signs and publishes; the work is in `broker.cli.ceremony`."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.app_trust_country import authority_key, join, officer_key, refresh, request, versions
from broker.cli.app_trust_staging import (
    add_member,
    add_paper_member,
    discard,
    init,
    member_officers,
    remove_member,
    renew,
    resume,
    revoke_key,
    rotate_root,
    stage,
    suspend,
    update_member,
)
from broker.cli.options import ID_FIRST, AsJson
from broker.cli.trust_options import Country, Folder, KeyFiles, PassphraseFile

__all__ = ["trust_commands"]

_ABOUT = """Who trusts whose keys: the federation's trust list and its ceremonies.

Every change is staged, shown in plain words, signed by enough officers, one after another and wherever they are, and
then published. The folder can be carried on a stick between machines without a network; a ceremony that was broken off
goes on where it stopped.

\b
  trm trust officer-key EE anna.key       an officer's key pair
  trm trust init FOLDER …                 a new federation
  trm trust request / add-member / join   a country comes in
  trm trust diff / sign / publish         what waits; sign it; let nodes have it
  trm trust verify SOURCE --root FILE     what a node would say to it"""


def trust_commands() -> typer.Typer:
    """Return the group of commands."""
    app = typer.Typer(help=_ABOUT, no_args_is_help=True, rich_markup_mode=None)
    for command in (
        officer_key, init, request, versions, add_member, add_paper_member, update_member, authority_key, suspend, resume, remove_member, revoke_key, member_officers,
        rotate_root, stage, renew, discard, show, keys, diff, sign, collect, publish, bundle, verify, join, refresh,
    ):  # fmt: skip
        settings = ID_FIRST if command is revoke_key else None
        app.command(command.__name__.replace("_", "-"), context_settings=settings)(command)
    return app


def show(folder: Folder, as_json: AsJson = False) -> None:
    """Show the members, who signs for whom, and what waits.

    \b
    Example:
      trm trust show ./trust
    """
    from broker.cli.ceremony.showing import show as work

    work(folder, as_json=as_json)


def keys(folder: Folder, country: Country, as_json: AsJson = False) -> None:
    """Show the message keys of a country's node and of its offices, with the ids by which they are revoked.

    \b
    Example:
      trm trust keys ./trust FI
    """
    from broker.cli.ceremony.showing import keys as work

    work(folder, country, as_json=as_json)


def diff(folder: Folder, as_json: AsJson = False) -> None:
    """Show every change that waits for signatures, place by place.

    \b
    Example:
      trm trust diff ./trust
    """
    from broker.cli.ceremony.showing import diff as work

    work(folder, as_json=as_json)


def sign(
    folder: Folder,
    key: KeyFiles,
    role: Annotated[
        list[str] | None, typer.Option("--role", help="Only root, targets, or a country code. Default: all that wait.")
    ] = None,
    seen: Annotated[
        list[str] | None, typer.Option("--seen", help="A digest that 'trm trust diff --json' showed: sign it unasked.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Show in plain words what will be signed, ask, and sign exactly that.

    \b
    Example:
      trm trust sign /media/stick/trust --key officer-1.key
    """
    from broker.cli.ceremony.signing import sign as work

    work(folder, keys=key, roles=role or [], seen=seen or [], passphrase_file=passphrase_file, as_json=as_json)


def collect(
    folder: Folder,
    copy: Annotated[Path, typer.Argument(help="A copy of the folder in which officers signed.")],
    as_json: AsJson = False,
) -> None:
    """Take over signatures that were made in a copy of the folder.

    \b
    Example:
      trm trust collect ./trust /media/stick/trust
    """
    from broker.cli.ceremony.signing import collect as work

    work(folder, copy, as_json=as_json)


def publish(
    folder: Folder,
    key: Annotated[Path, typer.Option("--key", help="The publishing key's file.")],
    passphrase_file: PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Publish what enough officers signed; run it weekly even when nothing changed, or the list runs out.

    \b
    Example:
      trm trust publish ./trust --key publisher.key
    """
    from broker.cli.ceremony.signing import publish as work

    work(folder, key=key, passphrase_file=passphrase_file, as_json=as_json)


def bundle(
    folder: Folder, out: Annotated[Path, typer.Option("--out", help="The .zip file.")], as_json: AsJson = False
) -> None:
    """Write what is published as one file, for sites without a connection.

    \b
    Example:
      trm trust bundle ./trust --out trust-list.zip
    """
    from broker.cli.ceremony.signing import bundle as work

    work(folder, out, as_json=as_json)


def verify(
    source: Annotated[str, typer.Argument(help="An https address, a directory, or a .zip bundle.")],
    root: Annotated[Path, typer.Option("--root", help="The root to begin from: 1.root.json of the first ceremony.")],
    as_json: AsJson = False,
) -> None:
    """Read a published list exactly as a node would, and say what it gives or which rule it breaks.

    \b
    Example:
      trm trust verify ./trust --root ./trust/metadata/1.root.json
    """
    from broker.cli.ceremony.showing import verify as work

    work(source, root, as_json=as_json)
