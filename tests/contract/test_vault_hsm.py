# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The vault's content key under an HSM's key, on SoftHSM."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from broker.core.errors import HomeInvalid, SettingsInvalid, VaultLocked
from broker.core.ids import CountryCode
from broker.home import generate_keys
from broker.settings import Settings
from broker.testing.softhsm import SoftHsm, softhsm
from broker.vault import UNSAFE_DEV_KDF, Entry, FileVault, PassphraseWrapper, Unlocking, VaultFile, open_vault
from broker.vault.hsm import HsmWrapper

EE = CountryCode("EE")
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    """One token for all tests: a process loads the library once."""
    with softhsm(tmp_path_factory.mktemp("softhsm")) as made:
        yield made


@pytest.fixture
def home(tmp_path: Path, hsm: SoftHsm) -> Path:
    """A folder with a vault under the HSM, and the PIN where the settings look for it."""
    FileVault.create(tmp_path / "vault.json", wrapper(hsm, tmp_path.name), generate_keys(), us=EE)
    (tmp_path / "pin").write_bytes(hsm.pin + b"\n")
    return tmp_path


def wrapper(hsm: SoftHsm, label: str, pin: bytes | None = None) -> HsmWrapper:
    """Return a wrapper with a key of that label."""
    return HsmWrapper(hsm.library, pin or hsm.pin, token=hsm.token, label=label)


def settings(home: Path, hsm: SoftHsm, **more: Any) -> Settings:
    """Return settings that say where library and PIN are."""
    stated = {"country": "EE", "spool_folder": "spool", "passphrase_file": "pin", "hsm_library": str(hsm.library)}
    return Settings.checked(home, {**stated, **more})


def test_vault_under_an_hsm_opens_as_the_settings_say(home: Path, hsm: SoftHsm) -> None:
    """The file names token and key, the settings library and PIN; no passphrase opens it."""
    header = json.loads((home / "vault.json").read_bytes())["wrapper"]
    assert (header["name"], header["mechanism"], header["token"]) == ("pkcs11", "CKM_AES_GCM", hsm.token)
    assert len(open_vault(settings(home, hsm)).public_keys()) == 3

    with pytest.raises(VaultLocked, match="passphrase"):
        FileVault.open(home / "vault.json", hsm.pin)
    with pytest.raises(SettingsInvalid, match="hsm_library"):
        open_vault(settings(home, hsm, hsm_library=None))


def test_changes_stay_under_the_same_key(home: Path, hsm: SoftHsm) -> None:
    """A change wraps a fresh content key with the HSM's key that the file names; a running node takes it."""
    vault, before = open_vault(settings(home, hsm)), json.loads((home / "vault.json").read_bytes())["wrapper"]
    VaultFile(home / "vault.json", Unlocking(settings(home, hsm))).change(
        lambda entries: (*entries, Entry.of(generate_keys()[0], created=NOW))
    )

    after = json.loads((home / "vault.json").read_bytes())["wrapper"]
    assert len(vault.public_keys()) == 4
    assert after["key_id"] == before["key_id"]
    assert after["wrapped"] != before["wrapped"]


def test_vault_goes_from_passphrase_to_hsm_and_back(tmp_path: Path, hsm: SoftHsm) -> None:
    """Wrapping anew keeps every entry and shuts out the old way in."""
    path = tmp_path / "vault.json"
    passphrase, under = PassphraseWrapper(b"horse", UNSAFE_DEV_KDF), wrapper(hsm, tmp_path.name)
    FileVault.create(path, passphrase, generate_keys(), us=EE)
    held = VaultFile(path, passphrase).read().entries
    VaultFile(path, passphrase).change(lambda entries: entries, wrapper=under)
    with pytest.raises(VaultLocked):
        VaultFile(path, passphrase).read()
    assert VaultFile(path, under).read().entries == held

    VaultFile(path, under).change(lambda entries: entries, wrapper=passphrase)

    assert VaultFile(path, passphrase).read().entries == held


def test_wrapping_key_never_comes_out(home: Path, hsm: SoftHsm) -> None:
    """The key is made in the HSM, sensitive and not extractable."""
    import pkcs11
    from pkcs11 import Attribute, ObjectClass
    from pkcs11.exceptions import AttributeSensitive

    token = pkcs11.lib(str(hsm.library)).get_token(token_label=hsm.token)
    with token.open(user_pin=hsm.pin.decode()) as session:
        wanted = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: home.name}
        (key,) = list(session.get_objects(wanted))
        assert (key[Attribute.SENSITIVE], key[Attribute.EXTRACTABLE], key[Attribute.NEVER_EXTRACTABLE]) == (
            True, False, True,
        )  # fmt: skip
        with pytest.raises(AttributeSensitive):
            _ = key[Attribute.VALUE]


def test_wrong_pin_token_or_key_is_vault_locked(home: Path, hsm: SoftHsm) -> None:
    """Whatever is wrong with the HSM, the error is ours, says what to look at, and shows no PIN."""
    data = json.loads((home / "vault.json").read_bytes())
    with pytest.raises(VaultLocked, match="PIN") as raised:
        VaultFile(home / "vault.json", wrapper(hsm, home.name, b"00000000")).read()
    assert "00000000" not in str(raised.value)
    for change, sentence in (
        ({"token": "other"}, "token"),
        ({"key": "other"}, "does not hold"),
        ({"key_id": "00"}, "does not hold"),
        ({"wrapped": "A" * 64}, "does not open"),
        ({"nonce": "AAAAAAAAAAAAAAAA"}, "does not open"),
    ):
        (home / "vault.json").write_text(json.dumps({**data, "wrapper": {**data["wrapper"], **change}}))
        with pytest.raises(VaultLocked, match=sentence):
            open_vault(settings(home, hsm))
    for damage in ({"mechanism": "CKM_DES"}, {"key_id": "no hex"}, {"wrapped": "AA"}):
        (home / "vault.json").write_text(json.dumps({**data, "wrapper": {**data["wrapper"], **damage}}))
        with pytest.raises(HomeInvalid):
            open_vault(settings(home, hsm))


def test_library_that_is_none_is_vault_locked(home: Path, hsm: SoftHsm, tmp_path: Path) -> None:
    """A missing library, or a file that is not one, is said and not traced back."""
    (tmp_path / "fake.so").write_bytes(b"no library")
    for library in (tmp_path / "missing.so", tmp_path / "fake.so"):
        with pytest.raises(VaultLocked, match="HSM"):
            open_vault(settings(home, hsm, hsm_library=str(library)))


def test_threads_take_turns(home: Path, hsm: SoftHsm) -> None:
    """A login is the process's: several threads opening at once do not log each other out."""
    start = threading.Barrier(6)

    def opened(number: int) -> int:
        start.wait()
        return len(open_vault(settings(home, hsm)).public_keys())

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(opened, range(6))) == [3] * 6
