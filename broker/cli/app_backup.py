# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm backup` and `trm restore`: names, options and help."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.options import ID_FIRST, AsJson, Home

__all__ = ["backup_commands", "restore"]

_ABOUT = """Backups of this node: data and keys, in two files at two places.

Both are encrypted to recovery keys that officers keep offline: a thief of the node and its backups reads nothing, and
the node itself cannot read an older backup. Of the keys only the newest is kept, so that what was erased stays erased.

\b
Once:
  trm backup key --country EE --label "officer 1" --out officer-1.key    on a machine without network
  trm backup accept officer-1.key.public.json --home ./ee                compare the id that both commands show
Every night:
  trm backup make --home ./ee --to /backup/data --keys-to /backup-keys
Twice a year, on another machine:
  trm backup verify FILE --recovery officer-1.key
  trm restore DATA --keys KEYS --recovery officer-1.key --home ./drill   and throw the drill away"""

_Recovery = Annotated[
    Path, typer.Option("--recovery", help="The file of a recovery key, as 'trm backup key' wrote it.")
]
_Passphrase = Annotated[
    str | None,
    typer.Option("--passphrase-file", help="Where the recovery key's passphrase is: a file or fd:N. Default: ask."),
]


def backup_commands() -> typer.Typer:
    """Return the group with every command."""
    app = typer.Typer(help=_ABOUT, no_args_is_help=True, rich_markup_mode=None)
    for command in (make, verify, key, accept):
        app.command()(command)
    app.command("keys")(list_keys)
    app.command(context_settings=ID_FIRST)(end)
    return app


def make(
    home: Home,
    to: Annotated[Path, typer.Option("--to", help="Folder for backups of data: each gets a name of its own.")],
    keys_to: Annotated[
        Path, typer.Option("--keys-to", help="Another folder, for the backup of keys: it takes the last one's place.")
    ],
    as_json: AsJson = False,
) -> None:
    """Write both backups of a node, which may be running, and read them back.

    Says yes only when every byte was read back from the disk and is what was written. The last backup of keys is
    overwritten: keep no copy of it. What the vault's passphrase or HSM is, is in no backup.

    \b
    Example:
      trm backup make --home ./ee --to /backup/data --keys-to /backup-keys
    """
    from broker.cli.backup import make as work

    work(home, to=to, keys_to=keys_to, as_json=as_json)


def verify(
    file: Annotated[Path, typer.Argument(help="A backup of data or of keys.")],
    recovery: Annotated[
        Path | None,
        typer.Option("--recovery", help="The file of a recovery key: opens it, and checks all that it holds."),
    ] = None,
    passphrase: _Passphrase = None,
    as_json: AsJson = False,
) -> None:
    """Check that a backup is whole, and say what it is.

    Without a recovery key: that not a byte was changed since it was signed. With one: also that it opens and holds
    what it says. Whose signature it is shows only when it is restored with its vault.

    \b
    Examples:
      trm backup verify EE-2026-11-22T03-00-00Z.trmdata
      trm backup verify EE.trmkeys --recovery officer-1.key
    """
    from broker.cli.backup import verify as work

    work(file, recovery=recovery, passphrase=passphrase, as_json=as_json)


def key(
    country: Annotated[str, typer.Option("--country", help="The country whose backups it will open.")],
    label: Annotated[str, typer.Option("--label", help='Who keeps it: the role, not the person, e.g. "officer 1".')],
    out: Annotated[Path, typer.Option("--out", help="Where to write it; the public half goes beside it.")],
    passphrase: _Passphrase = None,
    as_json: AsJson = False,
) -> None:
    """Make a recovery key, on a machine without network.

    The file stays with an officer, its passphrase elsewhere; the public half goes to the node. Make at least two: with
    the last one every backup is lost.

    \b
    Example:
      trm backup key --country EE --label "officer 1" --out officer-1.key
    """
    from broker.cli.backup import key as work

    work(country, label=label, out=out, passphrase=passphrase, as_json=as_json)


def accept(
    public: Annotated[Path, typer.Argument(help="The public half of a recovery key.")],
    home: Home,
    as_json: AsJson = False,
) -> None:
    """Let the node encrypt its backups to a recovery key too.

    Compare the id with the one that its officer reads to you: whoever slips in another key reads every later backup.

    \b
    Example:
      trm backup accept officer-1.key.public.json --home ./ee
    """
    from broker.cli.backup import accept as work

    work(public, home, as_json=as_json)


def list_keys(home: Home, as_json: AsJson = False) -> None:
    """Show the recovery keys that the node encrypts its backups to.

    \b
    Example:
      trm backup keys --home ./ee
    """
    from broker.cli.backup import list_keys as work

    work(home, as_json=as_json)


def end(
    key: Annotated[str, typer.Argument(help="The recovery key's id, as 'trm backup keys' shows it.")],
    home: Home,
    as_json: AsJson = False,
) -> None:
    """Let the node encrypt no further backup to a recovery key: it was stolen or lost, or its officer leaves.

    The last one stays: accept the next one first.

    \b
    Example:
      trm backup end KEY --home ./ee
    """
    from broker.cli.backup import end as work

    work(key, home, as_json=as_json)


def restore(
    data: Annotated[Path, typer.Argument(help="A backup of data.")],
    keys: Annotated[Path, typer.Option("--keys", help="The newest backup of keys.")],
    recovery: _Recovery,
    home: Annotated[Path, typer.Option("--home", help="Where the home will be; nothing may be there.")],
    store_url: Annotated[
        str | None, typer.Option("--store-url", help="Another database than the settings name, empty: of either kind.")
    ] = None,
    passphrase: _Passphrase = None,
    vault_passphrase: Annotated[
        str | None,
        typer.Option(
            "--vault-passphrase-file", help="Where the vault's passphrase is, if elsewhere than the settings say."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a node anew from its backups: whole, or not at all.

    Nothing is ever restored over something or beside a node that runs. Make sure first that the old node never runs
    again: two nodes of one country contradict each other. Interrupted, run it again.

    \b
    Example:
      trm restore EE-2026-11-22T03-00-00Z.trmdata --keys EE.trmkeys --recovery officer-1.key --home ./ee
    """
    from broker.cli.backup import restore as work

    work(
        data,
        keys=keys,
        recovery=recovery,
        home=home,
        store_url=store_url,
        passphrase=passphrase,
        vault_passphrase=vault_passphrase,
        as_json=as_json,
    )
