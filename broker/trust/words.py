# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Fingerprints as words that two people read to each other over a telephone (word list and checksum: BIP 39).

160 bits in fifteen words: nobody makes a second document with the same words, nor two documents that share them. The
checksum catches a word that was misheard; every word is told from the others by its first four letters.
"""

from __future__ import annotations

import hashlib
from functools import cache

from mnemonic import Mnemonic

__all__ = ["fingerprint_words", "same_words"]

_BYTES = 20


def fingerprint_words(raw: bytes) -> str:
    """Return fifteen English words for the bytes: a public document, a root, an officer's key."""
    return str(_list().to_mnemonic(hashlib.sha256(raw).digest()[:_BYTES]))


def same_words(raw: bytes, heard: str) -> bool:
    """Whether somebody read out the words of these bytes; case, commas and line ends do not matter."""
    return fingerprint_words(raw).split() == heard.casefold().replace(",", " ").split()


@cache  # it reads its file each time
def _list() -> Mnemonic:
    return Mnemonic("english")
