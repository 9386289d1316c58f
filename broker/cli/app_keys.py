# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm keys`: names, options and help of the commands about this node's own keys."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.options import AsJson, OverlapHours, StolenSince

__all__ = ["key_commands"]

_Home = Annotated[
    Path, typer.Option("--home", envvar="TRM_HOME", readable=False, help="The node's home folder, or a copy of it.")
]
_HomeOrNone = Annotated[
    Path | None,
    typer.Option("--home", envvar="TRM_HOME", readable=False, help="The node's home folder, or a copy of it."),
]
_Vault = Annotated[
    Path | None,
    typer.Option("--vault", help="An office's own vault, instead of a node's home: no node ever opens it."),
]
_PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="With --vault: where its passphrase is. Default: ask."),
]
_Which = Annotated[str, typer.Option("--which", help="signing (both keys of it), encryption, or all.")]
_Words = Annotated[
    str | None,
    typer.Option("--words", help="The words that are asked for, where nobody can be asked: read them first."),
]

_ABOUT = """The keys of this node: what stands where, rotation, destruction.

None of these commands needs a network or a running node: they work on a machine that is never connected, with the home
folder on a stick. A running node takes a changed vault by itself.

\b
Once a year, or when a key may be in other hands:
  trm keys list          see every key, where it stands, and what to do next
  trm keys rotate        make the next keys, and write them into member.json
  ...                    the member's officers sign member.json, and it is published
  trm keys retire        destroy the old keys, once nobody can be using them any more

An office has keys of its own, in a vault of its own (--vault): what is sealed to them no node reads, its own least of
all. Make them where the office works, never on the node."""


def key_commands() -> typer.Typer:
    """Return the group with every command."""
    app = typer.Typer(help=_ABOUT, no_args_is_help=True, rich_markup_mode=None)
    app.command("list")(list_)
    app.command()(generate)
    app.command()(rotate)
    app.command("export-public")(export_public)
    app.command()(retire)
    app.command()(rewrap)
    return app


def list_(
    home: _HomeOrNone = None, vault: _Vault = None, passphrase_file: _PassphraseFile = None, as_json: AsJson = False
) -> None:
    """Show every key, where it stands, and what to do next.

    A key in order stands in all three places: the vault (its private part), the document member.json, and the trust list.
    The keys for data at rest stand in the vault alone.

    \b
    Examples:
      trm keys list --home ./ee
      trm keys list --vault office.vault
    """
    if vault is not None:
        from broker.cli.authority_vault import list_keys as list_of_office

        list_of_office(vault, passphrase_file=passphrase_file, as_json=as_json)
        return
    from broker.cli.keys import list_keys as work

    work(_chosen(home), as_json=as_json)


def generate(
    home: _HomeOrNone = None,
    which: Annotated[
        str, typer.Option("--which", help="signing (both keys of it), encryption, all of these, or wrapping.")
    ] = "all",
    authority: Annotated[
        str | None, typer.Option("--authority", help="With --vault: the office whose key it is, as COUNTRY/AUTHORITY.")
    ] = None,
    vault: _Vault = None,
    passphrase_file: _PassphraseFile = None,
    as_json: AsJson = False,
) -> None:
    """Put new keys into the vault without listing them yet.

    Not needed for a rotation, which makes its keys itself: this is for making them ahead, e.g. on another machine or at
    a ceremony. The next 'trm keys rotate' takes them. 'wrapping' makes the first keys for what the node stores, where
    the vault comes from a program that had none. With --authority and --vault an office makes a key of its own, to
    which other countries' offices seal what no node may read; the vault is made where it is missing.

    \b
    Examples:
      trm keys generate --home ./ee
      trm keys generate --home ./ee --which signing
      trm keys generate --home ./ee --which wrapping
      trm keys generate --authority FI/tracing-office --vault office.vault
    """
    if vault is not None or authority is not None:
        if vault is None or authority is None:
            raise typer.BadParameter("An office's key needs both --authority and --vault.")
        from broker.cli.authority_vault import generate as generate_of_office

        generate_of_office(vault, authority, passphrase_file=passphrase_file, as_json=as_json)
        return
    from broker.cli.keys import generate as work

    work(_chosen(home), which=which, as_json=as_json)


def rotate(
    home: _Home,
    which: Annotated[
        str, typer.Option("--which", help="signing (both keys of it), encryption, all of these, or wrapping.")
    ] = "all",
    start: Annotated[
        str | None,
        typer.Option(
            "--from", help="When the new keys begin: now, or a UTC time as 2027-01-31T08:00:00Z. Default: in a day."
        ),
    ] = None,
    overlap_hours: OverlapHours = None,
    stolen_since: StolenSince = None,
    as_json: AsJson = False,
) -> None:
    """Make the next keys, and write them into member.json.

    The new keys go into the vault and, public parts alone, into the document; the old ones end after an overlap, and are
    accepted for 60 days more. Nothing changes for other countries until the member's officers have signed the document
    and it is published. Start in the future, so that every country has the new list when the first message comes; a
    message under a key that a country does not know yet waits there.

    Where somebody else may have had the vault, --stolen-since begins new keys now and revokes every other one in the
    document: also those that were to begin later, that are not published yet, or that the vault had ready.

    'wrapping' is this node's own affair and listed nowhere: it begins the next epoch of the data at rest. The keys of all
    cases are wrapped anew while the node runs, and the old wrapping key is destroyed, so that old copies of the key table
    are worth nothing. A running node does so by itself after every erasure. Back up the vault and the key table after it.

    \b
    Examples:
      trm keys rotate --home ./ee
      trm keys rotate --home ./ee --which signing --from now --overlap-hours 0
      trm keys rotate --home ./ee --stolen-since 2027-01-31T08:00:00Z
      trm keys rotate --home ./ee --which wrapping
    """
    from broker.cli.keys import rotate as work

    work(home, which=which, start=start, overlap_hours=overlap_hours, stolen_since=stolen_since, as_json=as_json)


def export_public(
    home: _HomeOrNone = None,
    vault: _Vault = None,
    passphrase_file: _PassphraseFile = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the file here instead of to the terminal.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write the public parts of the keys in the vault, as JSON.

    For comparing and archiving; the federation takes member.json, which also says from when to when each key is valid.
    With --vault: an office's public keys, for its country's officers to list (trm trust authority-key). Holds no secret. The id of a key is its fingerprint (RFC 7638).

    \b
    Examples:
      trm keys export-public --home ./ee
      trm keys export-public --home ./ee --out ee-keys.json
      trm keys export-public --vault office.vault --out office-keys.json
    """
    if vault is not None:
        from broker.cli.authority_vault import export_public as export_of_office

        export_of_office(vault, passphrase_file=passphrase_file, out=out, as_json=as_json)
        return
    from broker.cli.keys import export_public as work

    work(_chosen(home), out=out, as_json=as_json)


def retire(
    home: _Home,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", help="Id of a key; may be repeated. Default: every key that is not needed any more."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also a revoked or never listed key that is named: what is sealed to it is lost."),
    ] = False,
    words: _Words = None,
    as_json: AsJson = False,
) -> None:
    """Destroy private keys for good.

    A signing key when it signs no more, an encryption key when no envelope to it can be on its way any more. Shows what
    will be destroyed and what that means, and asks for words before it happens. Copies of the vault in backups still
    hold the key: destroy those too, or change the passphrase and destroy the old one.

    \b
    Examples:
      trm keys retire --home ./ee
      trm keys retire --home ./ee --words "destroy 2 keys"
    """
    from broker.cli.keys import retire as work

    work(home, key or [], force=force, words=words, as_json=as_json)


def rewrap(
    home: _HomeOrNone = None,
    vault: _Vault = None,
    passphrase_file: _PassphraseFile = None,
    passphrase: Annotated[
        str | None,
        typer.Option(
            "--to-passphrase-file", help="Where the new passphrase is: a file, fd:N, credential:NAME or prompt."
        ),
    ] = None,
    token: Annotated[str | None, typer.Option("--to-token", help="Label of the HSM's token.")] = None,
    label: Annotated[
        str, typer.Option("--hsm-key", help="Label of the wrapping key in the HSM; made there if it is missing.")
    ] = "trm-vault",
    pin: Annotated[
        str | None, typer.Option("--pin-file", help="Where the HSM's PIN is, as --to-passphrase-file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put the vault under another passphrase, of at least 15 characters, or under a key in an HSM.

    The keys stay the same; what opened the vault before does not open it any more. The new way is tried before the old
    vault is replaced. Afterwards let the setting passphrase_file name the new passphrase or PIN. An HSM needs the
    setting hsm_library. A lost HSM key is a lost vault: have the HSM's own backup first.

    \b
    Examples:
      trm keys rewrap --home ./ee --to-passphrase-file new.pass
      trm keys rewrap --home ./ee --to-token trm --pin-file /run/pin
      trm keys rewrap --vault office.vault --to-passphrase-file new.pass
    """
    if vault is not None:
        from broker.cli.authority_vault import rewrap as rewrap_of_office

        rewrap_of_office(vault, passphrase_file=passphrase_file, passphrase=passphrase, as_json=as_json)
        return
    from broker.cli.keys import rewrap as work

    work(_chosen(home), passphrase=passphrase, token=token, label=label, pin=pin, as_json=as_json)


def _chosen(home: Path | None) -> Path:
    if home is None:
        raise typer.BadParameter("Name the node's home with --home, or an office's vault with --vault.")
    return home
