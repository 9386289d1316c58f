# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A vault on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.core.ids import CountryCode
from broker.home import generate_keys
from broker.vault import UNSAFE_DEV_KDF, FileVault, PrivateKey


@pytest.fixture
def keys() -> tuple[PrivateKey, ...]:
    """One new key of each use."""
    return generate_keys()


@pytest.fixture
def path(tmp_path: Path, keys: tuple[PrivateKey, ...]) -> Path:
    """A vault on disk."""
    FileVault.create(tmp_path / "vault.json", b"correct horse", keys, us=CountryCode("EE"), kdf=UNSAFE_DEV_KDF)
    return tmp_path / "vault.json"
