# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm attachment`: names, options and help of its commands; the work is imported when one is called."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.options import AsJson

__all__ = ["attachment_commands"]

Home = Annotated[
    Path, typer.Option("--home", envvar="TRM_HOME", help="The node's home folder (settings, vault, database).")
]
AsOffice = Annotated[
    str | None, typer.Option("--authority", help="Act for this office; not needed where the node has only one.")
]


def attachment_commands() -> typer.Typer:
    """Return the group of commands."""
    group = typer.Typer(
        help="Upload files for messages, and save what came with one.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command()(add)
    group.command()(save)
    return group


def add(
    file: Annotated[Path, typer.Argument(help="A PDF, ODT, DOCX, JPEG, PNG, TIFF or UTF-8 text of up to 100 MiB.")],
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
