# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The cipher that hides nothing stands in for the real one, everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker import security
from broker.testing.no_cipher import CIPHER_USERS, UnsafeNoCipher

KEY, NONCE, PLAIN = b"k" * 32, b"n" * 12, b"what it says"


def test_it_hides_nothing_and_is_as_long() -> None:
    """What is written can be read by anybody, and takes the same room."""
    written = UnsafeNoCipher(KEY).encrypt(NONCE, PLAIN, b"place")

    assert PLAIN in written
    assert len(written) == len(AESGCM(KEY).encrypt(NONCE, PLAIN, b"place"))
    assert UnsafeNoCipher(KEY).decrypt(NONCE, memoryview(written), b"place") == PLAIN


@pytest.mark.parametrize(
    ("key", "nonce", "bound"), [(b"x" * 32, NONCE, b"place"), (KEY, b"x" * 12, b"place"), (KEY, NONCE, None)]
)
def test_another_key_nonce_or_place_does_not_fit(key: bytes, nonce: bytes, bound: bytes | None) -> None:
    """A destroyed key stays destroyed, with encryption switched off too."""
    written = UnsafeNoCipher(KEY).encrypt(NONCE, PLAIN, b"place")
    with pytest.raises(InvalidTag):
        UnsafeNoCipher(key).decrypt(nonce, written, bound)


def test_every_module_that_encrypts_is_named() -> None:
    """Where one is left out, a search with encryption switched off would not see what it hides."""
    folder = Path(security.__path__[0])
    users = {f"broker.security.{file.stem}" for file in folder.glob("*.py") if "import AESGCM" in file.read_text()}
    assert users == set(CIPHER_USERS)
