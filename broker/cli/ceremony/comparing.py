# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Comparing a file's words with what another person reads over a telephone."""

from __future__ import annotations

import sys

from broker.core.errors import BadRequest
from broker.trust.words import same_words

__all__ = ["compare"]


def compare(raw: bytes, words: str | None, *, what: str, reader: str) -> None:
    """Refuse a file whose words are not those that were read out.

    Args:
        raw: the file's bytes.
        words: as they were read out; None: ask for them.
        what: the file, in words.
        reader: who reads.

    Raises:
        BadRequest: they are others, or nobody can be asked.
    """
    heard = words if words is not None else _heard(what, reader)
    if not same_words(raw, heard):
        raise BadRequest(
            f"These are not the words of this {what}. Have them read once more; where they differ again, do not use it, and "
            "find out who changed it.",
            where="--words",
        )


def _heard(what: str, reader: str) -> str:
    """Ask before any words are shown: what is on the screen would only be read back."""
    if not sys.stdin.isatty():
        raise BadRequest(f"Nobody can be asked here for the words of the {what}; give them.", where="--words")
    return input(f"Type the fifteen words of the {what} that {reader} reads to you, by a number you already had:\n")
