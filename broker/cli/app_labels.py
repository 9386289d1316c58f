# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm labels`: names, options and help of its commands; the work is imported when one is called."""

# ruff: noqa: D301  (a backspace keeps the lines of an example as they are written)
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from broker.cli.options import AsJson

__all__ = ["labels_commands"]

SchemasFolder = Annotated[
    Path | None, typer.Option("--folder", help="The schemas folder. Default: this program's own, or the source tree's.")
]


def labels_commands() -> typer.Typer:
    """Return the group of commands."""
    group = typer.Typer(
        help="Show, check and complete what things are called in each language.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command()(show)
    group.command()(check)
    group.command()(export)
    group.command("import")(take_in)
    return group


def show(
    begins: Annotated[str, typer.Argument(metavar="[KEY]", help="A key, or what the keys begin with.")] = "",
    language: Annotated[str, typer.Option("--language", "-l", help="The reader's: et, fi, sv, lv, lt, da, en.")] = "en",
    folder: SchemasFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show what things are called in a language.

    Names of codes, fields, message types, states and deadlines, for people or, with --json, for an office's own program. What the language lacks is given in English; each label says its language and whether a person has reviewed it.

    \b
    Example:
      trm labels show codes/yes-no --language et
    """
    from broker.cli.labels import show as work

    work(begins, language=language, folder=folder, as_json=as_json)


def check(folder: SchemasFolder = None, as_json: AsJson = False) -> int:
    """Show what each language lacks.

    Lists every label that is missing, stale (the English has changed since) or unused, per language. Exit code 1 where there is one.

    \b
    Example:
      trm labels check
    """
    from broker.cli.labels import check as work

    return work(folder, as_json=as_json)


def export(
    file: Annotated[Path, typer.Argument(help="The CSV file to write.")],
    every: Annotated[bool, typer.Option("--all", help="Every label, not only those that some language lacks.")] = False,
    folder: SchemasFolder = None,
    as_json: AsJson = False,
) -> None:
    """Write a table for translators.

    One line per label: its key, the English, and a column per language. Without --all only what is missing or stale somewhere. Any spreadsheet program opens it.

    \b
    Example:
      trm labels export to-translate.csv
    """
    from broker.cli.labels import export as work

    work(file, every=every, folder=folder, as_json=as_json)


def take_in(
    file: Annotated[Path, typer.Argument(help="A CSV file of the form that export writes.")],
    folder: SchemasFolder = None,
    as_json: AsJson = False,
) -> int:
    """Take in a translators' table.

    Empty cells change nothing. What is still missing takes over the translation of the same English elsewhere; what nothing uses any more is dropped. A line whose English is no longer today's is refused, and with it the file. Exit code 1 where labels are still missing afterwards.

    \b
    Example:
      trm labels import translated.csv
    """
    from broker.cli.labels import take_in as work

    return work(file, folder=folder, as_json=as_json)
