# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Arguments and options that several commands of the ceremonies take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Country", "Folder", "KeyFiles", "Officers", "PassphraseFile", "Threshold"]

Folder = Annotated[Path, typer.Argument(help="The folder of the trust repository; it may be on a stick.")]
Country = Annotated[str, typer.Argument(help="The country, as ISO 3166-1 alpha-2, e.g. FI.")]

Officers = Annotated[
    list[Path] | None, typer.Option("--officer", help="An officer's public key ('….public.json'); repeat it.")
]
Threshold = Annotated[
    int | None, typer.Option("--threshold", min=1, help="How many officers must sign. Default: more than half.")
]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Read the passphrase from a file instead of asking.")
]
KeyFiles = Annotated[list[Path], typer.Option("--key", help="The key file of an officer who is present; repeat it.")]
