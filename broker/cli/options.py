# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Options that mean the same in every command."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["AsJson", "OnDay"]

AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document on standard output.")]
OnDay = Annotated[str | None, typer.Option("--on", help="As of this day, like 2026-06-30. Default: today.")]
