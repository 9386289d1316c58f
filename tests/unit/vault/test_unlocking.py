# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Opening the vault as settings and file say."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from broker.core.errors import SettingsInvalid, VaultLocked
from broker.core.ids import CountryCode
from broker.home import generate_keys
from broker.settings import Settings
from broker.vault import UNSAFE_DEV_KDF, FileVault, PassphraseWrapper, Unlocking, VaultFile, open_vault

EE = CountryCode("EE")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a vault and its passphrase."""
    FileVault.create(tmp_path / "vault.json", b"horse", generate_keys(), us=EE, kdf=UNSAFE_DEV_KDF)
    (tmp_path / "pass").write_bytes(b"horse\n")
    return tmp_path


def settings(home: Path, source: str) -> Settings:
    """Return settings whose passphrase comes from there."""
    return Settings.checked(home, {"country": "EE", "spool_folder": "spool", "passphrase_file": source})


def test_settings_open_the_vault(home: Path) -> None:
    """The passphrase comes from where the settings say."""
    assert len(open_vault(settings(home, "pass")).public_keys()) == 3


def test_changed_passphrase_file_counts_without_a_restart(home: Path) -> None:
    """Vault under a new passphrase, then the file with it: the running node reads both again."""
    vault = open_vault(settings(home, "pass"))
    (home / "pass").write_bytes(b"donkey")
    VaultFile(home / "vault.json", PassphraseWrapper(b"horse")).change(
        lambda entries: entries[1:], wrapper=PassphraseWrapper(b"donkey", UNSAFE_DEV_KDF)
    )

    assert vault.look() is None
    assert len(vault.public_keys()) == 2


@pytest.mark.parametrize(
    ("source", "where"), [("away", "{home}/away"), ("credential:away", "passphrase_file"), ("fd:999999", "fd:999999")]
)
def test_a_missing_passphrase_is_told_by_its_own_place(home: Path, source: str, where: str) -> None:
    """Nobody looks for a fault in the vault's file, which is well, nor replaces it by an old one."""
    with pytest.raises(VaultLocked) as caught:
        open_vault(settings(home, source))
    assert caught.value.where == where.format(home=home)


def test_descriptor_is_read_once_and_remembered(home: Path) -> None:
    """What came through a descriptor still opens a changed vault."""
    reading, writing = os.pipe()
    os.write(writing, b"horse\n")
    os.close(writing)
    unlocking = Unlocking(settings(home, f"fd:{reading}"))
    unlocking.ask()
    vault = FileVault.open(home / "vault.json", unlocking)
    VaultFile(home / "vault.json", unlocking).change(lambda entries: entries[1:])

    assert len(vault.public_keys()) == 2


def test_vault_under_an_hsm_asks_for_its_library(home: Path) -> None:
    """Without the setting the sentence names it; a wrapper that nobody knows is under no passphrase."""
    data = json.loads((home / "vault.json").read_bytes())
    data["wrapper"] = {"name": "pkcs11", "wrapped": ""}
    (home / "vault.json").write_text(json.dumps(data))
    with pytest.raises(SettingsInvalid, match="hsm_library"):
        open_vault(settings(home, "pass"))

    data["wrapper"]["name"] = "cloud"
    (home / "vault.json").write_text(json.dumps(data))
    with pytest.raises(VaultLocked):
        open_vault(settings(home, "pass"))
