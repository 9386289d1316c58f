# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm seal` and `trm open`: names, options and help."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.options import AsJson

__all__ = ["HomeBeside", "Root", "TrustSource", "Vault", "VaultPassphrase", "open_", "seal"]

TrustSource = Annotated[
    str | None, typer.Option("--trust", help="Where the trust list is: https address, directory, .zip bundle.")
]
Root = Annotated[Path | None, typer.Option("--root", help="With --trust: the federation's root, its words compared.")]
HomeBeside = Annotated[
    Path | None,
    typer.Option(
        "--home", envvar="TRM_HOME", readable=False, help="Instead of --trust: a node's home on this machine."
    ),
]
Vault = Annotated[Path, typer.Option("--vault", help="The office's own vault ('trm keys generate --authority').")]
VaultPassphrase = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Where the vault's passphrase is. Default: ask.")
]


def seal(
    file: Annotated[Path, typer.Argument(help="The message in clear, as for 'trm submit'; - is standard input.")],
    out: Annotated[Path, typer.Option("--out", help="Where the sealed message goes, for the node.")],
    country: Annotated[
        str | None, typer.Option("--country", help="The sending office's country. Default: the home's.")
    ] = None,
    trust: TrustSource = None,
    root: Root = None,
    home: HomeBeside = None,
    own: Annotated[
        Path | None, typer.Option("--own", help="The sending office's public keys, for a copy that it can open.")
    ] = None,
    copy: Annotated[Path | None, typer.Option("--copy", help="With --own: where that copy goes.")] = None,
    as_json: AsJson = False,
) -> None:
    """Seal what no node may read, before a node sees the message.

    Where a child is, health, what the child said: the message's schema marks such parts. They are written in clear here,
    checked, and encrypted to the office that the message goes to, by its key in the trust list. Nobody else opens them:
    not the nodes, not another office, and not the sender, unless a copy is made.

    \b
    Examples:
      trm seal request.json --out sealed.json --trust https://trust.example --root root.json --country EE
      trm seal request.json --out sealed.json --home ./ee --own office-keys.json --copy copy.json
    """
    from broker.cli.sealed import seal as work

    work(file, out=out, country=country, trust=trust, root=root, home=home, own=own, copy=copy, as_json=as_json)


def open_(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="The message: as 'trm show --json' writes it, a file of the file drop's in/, a copy; - is standard input. "
            "Several: each is opened into the folder --out.",
            metavar="FILE...",
        ),
    ],
    vault: Vault,
    passphrase_file: VaultPassphrase = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Write the message in clear here instead of to the terminal. With several: a folder, made where it lacks.",
        ),
    ] = None,
    clarify: Annotated[
        Path | None,
        typer.Option("--clarify", help="Where a part is faulty: write here a message that asks for it anew."),
    ] = None,
    kind: Annotated[
        str, typer.Option("--kind", help="With --clarify: what kind of office asks (codes/actor-kind).")
    ] = "CP_SERVICE",
    catalogue: Annotated[
        Path | None, typer.Option("--catalogue", help="Folder with message schemas, instead of the shipped ones.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Open the sealed parts of a received message, with the office's own key.

    What is inside is held against its schema: no node could. A part that does not open, was sealed for another message
    or place, or does not fit is left sealed and must not be worked with. This is personal data of the most sensitive
    kind: mind who looks on. Exit code 1 where a part is faulty, or one of several files did not open; the others are opened
    all the same, and what lies in the folder already is left as it is.

    \b
    Examples:
      trm open message.json --vault office.vault
      trm open drop/in/*.json --vault office.vault --out opened/
      trm show ID --home ./fi --json | trm open - --vault office.vault --passphrase-file office.pass
    """
    from broker.cli.opening import open_messages as work

    return work(
        files,
        vault=vault,
        passphrase_file=passphrase_file,
        out=out,
        clarify=clarify,
        kind=kind,
        catalogue_folder=catalogue,
        as_json=as_json,
    )
