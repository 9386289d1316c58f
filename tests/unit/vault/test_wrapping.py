# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A content key under a passphrase."""

from __future__ import annotations

import pytest

from broker.core.errors import VaultLocked
from broker.vault.wrapping import DEFAULT_KDF, UNSAFE_DEV_KDF, PassphraseWrapper

KEY = b"k" * 32


def test_wrapped_key_comes_back_and_is_never_wrapped_alike() -> None:
    """The passphrase gives the key back; salt and nonce are new each time."""
    wrapper = PassphraseWrapper(b"horse", UNSAFE_DEV_KDF)
    first, second = wrapper.wrap(KEY), wrapper.wrap(KEY)

    assert wrapper.unwrap(first) == PassphraseWrapper(b"horse").unwrap(second) == KEY
    assert first["wrapped"] != second["wrapped"]
    assert first["kdf"]["salt"] != second["kdf"]["salt"]


def test_cost_is_kept_unless_one_is_named() -> None:
    """A change keeps the file's cost; a new file, or one that came from an HSM, gets the recommended one."""
    cheap = PassphraseWrapper(b"horse", UNSAFE_DEV_KDF).wrap(KEY)

    assert PassphraseWrapper(b"other").wrap(KEY, like=cheap)["kdf"]["memory_kib"] == UNSAFE_DEV_KDF.memory_kib
    assert PassphraseWrapper(b"other").wrap(KEY, like={"name": "pkcs11"})["kdf"]["lanes"] == DEFAULT_KDF.lanes


def test_another_passphrase_or_a_changed_statement_opens_nothing() -> None:
    """What is stated is authenticated; nobody learns which of the two was wrong."""
    stated = PassphraseWrapper(b"horse", UNSAFE_DEV_KDF).wrap(KEY)

    with pytest.raises(VaultLocked):
        PassphraseWrapper(b"donkey").unwrap(stated)
    with pytest.raises(VaultLocked):
        PassphraseWrapper(b"horse").unwrap({**stated, "note": "x"})
    with pytest.raises(VaultLocked):
        PassphraseWrapper(b"horse").unwrap({**stated, "name": "pkcs11"})
    with pytest.raises(VaultLocked):
        PassphraseWrapper(b"")
