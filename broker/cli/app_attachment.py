# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm attachment`: names, options and help of its commands; the work is imported when one is called."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.app_sealed import HomeBeside, Root, TrustSource, Vault, VaultPassphrase
from broker.cli.options import AsJson, AsOffice, Home

__all__ = ["attachment_commands"]


def attachment_commands() -> typer.Typer:
    """Return the group of commands."""
    group = typer.Typer(
        help="Upload files for messages, save what came with one, seal a file to one office.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command()(add)
    group.command()(save)
    group.command()(seal)
    group.command()(unseal)
    return group


def add(
    file: Annotated[
        Path, typer.Argument(help="A PDF, ODT, DOCX, JPEG, PNG, TIFF, UTF-8 text or sealed file of up to 100 MiB.")
    ],
    home: Home,
    authority: AsOffice = None,
    as_json: AsJson = False,
) -> None:
    """Upload a file, so that a message can attach it within a day.

    It is looked at and kept sealed. Prints what to put into the member "attachments" of a submission; trm submit --attach
    does both at once.

    \b
    Example:
      trm attachment add decision.pdf --home ./ee
    """
    from broker.cli.attachment import add as work

    work(file, home, authority=authority, as_json=as_json)


def save(
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="Id of the message, as trm inbox shows it.")],
    digest: Annotated[str, typer.Argument(metavar="DIGEST", help="Digest of the attachment, as trm show shows it.")],
    to: Annotated[Path, typer.Option("--to", help="The file to write; an existing one is not written over.")],
    home: Home,
    authority: AsOffice = None,
    peer: Annotated[
        str | None, typer.Option("--peer", help="Where several countries used one id: the other country, e.g. FI.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Save an attachment of a message; the audit trail says who did.

    \b
    Example:
      trm attachment save 019a... 4bf1... --to decision.pdf --home ./ee
    """
    from broker.cli.attachment import save as work

    work(message, digest, to, home, authority=authority, peer=peer, as_json=as_json)


def seal(
    file: Annotated[Path, typer.Argument(help="The file in clear.")],
    sender: Annotated[str, typer.Option("--from", help="The sending office, as COUNTRY/AUTHORITY.")],
    to: Annotated[str, typer.Option("--sealed-to", help="The receiving office, as COUNTRY/AUTHORITY.")],
    out: Annotated[Path, typer.Option("--out", help="Where the sealed file goes; its name ends in .sealed.")],
    name: Annotated[
        str | None, typer.Option("--name", help="What the receiving office sees. Default: the file's own name.")
    ] = None,
    trust: TrustSource = None,
    root: Root = None,
    home: HomeBeside = None,
    as_json: AsJson = False,
) -> None:
    """Seal a file to one office, before it is uploaded to any node.

    Its type is judged first, as for every attachment. Bytes, name, type and exact size are sealed; nodes see a size out
    of few, and what kind of document it is said to be.

    \b
    Example:
      trm attachment seal photo.jpg --from EE/police-board --sealed-to FI/tracing-office --out 1.sealed --home ./ee
    """
    from broker.cli.sealed import seal_attachment as work

    work(file, sender=sender, to=to, out=out, name=name, trust=trust, root=root, home=home, as_json=as_json)


def unseal(
    file: Annotated[Path, typer.Argument(help="The sealed file, as 'trm attachment save' wrote it.")],
    sender: Annotated[str, typer.Option("--from", help="The office whose message it came with, as COUNTRY/AUTHORITY.")],
    vault: Vault,
    out: Annotated[Path, typer.Option("--out", help="Where the clear file goes; it must not exist.")],
    passphrase_file: VaultPassphrase = None,
    as_json: AsJson = False,
) -> None:
    """Open a sealed file with the receiving office's own key.

    Nothing is left behind where it does not open whole, was sealed by another office, or is of another type than said.

    \b
    Example:
      trm attachment unseal 1.sealed --from EE/police-board --vault office.vault --out photo.jpg
    """
    from broker.cli.sealed import unseal_attachment as work

    work(file, sender=sender, vault=vault, passphrase_file=passphrase_file, out=out, as_json=as_json)
