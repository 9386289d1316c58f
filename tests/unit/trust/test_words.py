# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about fingerprints as words."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from mnemonic import Mnemonic

from broker.trust.words import fingerprint_words, same_words


@given(st.binary(max_size=64))
def test_the_words_are_the_fingerprint(raw: bytes) -> None:
    """Fifteen words that stand for the first 160 bits of SHA-256, and their checksum holds."""
    words = fingerprint_words(raw)
    assert len(words.split()) == 15
    assert bytes(Mnemonic("english").to_entropy(words)) == hashlib.sha256(raw).digest()[:20]


def test_the_same_bytes_always_give_the_same_words() -> None:
    """On every machine and in every version: two people compare what two programs show."""
    assert fingerprint_words(b"") == (
        "together mail awful cradle scrub apart hip leader silk slice unusual embark kit can mosquito"
    )


def test_words_are_heard_whatever_their_case_and_commas() -> None:
    """What was written down while somebody read aloud is compared word by word."""
    words = fingerprint_words(b"root").split()
    assert same_words(b"root", ", ".join(words).upper())
    assert not same_words(b"root", " ".join(words[:-1]))
    assert not same_words(b"root", " ".join([words[1], words[0], *words[2:]]))
    assert not same_words(b"other root", " ".join(words))
