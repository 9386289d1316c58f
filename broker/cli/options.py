# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Options that mean the same in every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["ID_FIRST", "AsJson", "AsOffice", "Cursor", "Home", "OnDay", "OverlapHours", "StolenSince"]

# Of a command that takes a key's id: one id in 64 begins with a dash, and would be taken for an option.
ID_FIRST = {"ignore_unknown_options": True}

AsJson = Annotated[
    bool,
    typer.Option("--json", help="Answer with one JSON document on standard output, as the API does where it answers."),
]
Cursor = Annotated[
    str | None,
    typer.Option("--cursor", help="Go on where a page ended: what it said of its following one (`next` with --json)."),
]
OnDay = Annotated[str | None, typer.Option("--on", help="As of this day, like 2026-06-30. Default: today.")]
Home = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="TRM_HOME",
        readable=False,  # a home of somebody else is told as every other fault: what, where, who must act
        help="The node's home folder (settings, vault, database).",
    ),
]
AsOffice = Annotated[
    str | None, typer.Option("--authority", help="Act for this office; not needed where the node has only one.")
]
OverlapHours = Annotated[
    int | None,
    typer.Option(
        "--overlap-hours", min=0, max=24 * 60, help="How long old keys are used beside new ones. Default: a week."
    ),
]
StolenSince = Annotated[
    str | None,
    typer.Option(
        "--stolen-since",
        help="Somebody else may have had the vault since then: now, or a UTC time. All older keys are revoked.",
    ),
]
