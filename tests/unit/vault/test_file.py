# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""One vault on disk."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from broker.core import canonical
from broker.core.canonical import b64url_encode
from broker.core.errors import DiskFull, HomeInvalid, VaultLocked
from broker.core.ids import CountryCode
from broker.home import generate_keys
from broker.security import jwk
from broker.vault import DEFAULT_KDF, UNSAFE_DEV_KDF, Entry, FileVault, PassphraseWrapper, PrivateKey, VaultFile

EE = CountryCode("EE")
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
PASSPHRASE = b"correct horse"


def test_file_is_the_owners_alone_and_holds_no_seed(path: Path, keys: tuple[PrivateKey, ...]) -> None:
    """The file is readable for its owner only and no private part stands in it in any usual spelling."""
    raw = path.read_bytes()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["vault.json"]
    for key in keys:
        assert key.seed not in raw
        assert key.seed.hex().encode() not in raw
        assert b64url_encode(key.seed).encode() not in raw


def test_wrong_passphrase_is_vault_locked(path: Path) -> None:
    """Another passphrase, or none, opens nothing and changes nothing."""
    before = path.read_bytes()

    with pytest.raises(VaultLocked):
        FileVault.open(path, b"wrong horse")
    with pytest.raises(VaultLocked):
        FileVault.open(path, b"")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("member", "FI"),
        ("nonce", "AAAAAAAAAAAAAAAA"),
        ("note", "x"),
        ("wrapper", {"note": "x"}),
        ("wrapper", {"nonce": "AAAAAAAAAAAAAAAA"}),
        ("wrapper", {"wrapped": "A" * 64}),
    ],
)
def test_changed_header_is_vault_locked(path: Path, member: str, value: Any) -> None:
    """The header is authenticated: a vault cannot be passed off as another country's, nor its cost be lowered."""
    data = json.loads(path.read_bytes())
    data[member] = {**data[member], **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(data))

    with pytest.raises(VaultLocked):
        FileVault.open(path, PASSPHRASE)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.pop("wrapper"),
        lambda data: data["wrapper"].pop("wrapped"),
        lambda data: data["wrapper"].pop("kdf"),
        lambda data: data.pop("ciphertext"),
        lambda data: data.update(ciphertext=5),
        lambda data: data.update(version=3),
        lambda data: data.update(member="EL"),
        lambda data: data["wrapper"]["kdf"].update(memory_kib=2**40),
        lambda data: data["wrapper"]["kdf"].update(iterations=10**9),
        lambda data: data["wrapper"]["kdf"].update(lanes=0),
        lambda data: data["wrapper"]["kdf"].update(memory_kib="much"),
        lambda data: data["wrapper"]["kdf"].update(memory_kib=1.5),
        lambda data: data["wrapper"]["kdf"].update(salt="AA"),
        lambda data: data["wrapper"]["kdf"].update(name="scrypt"),
        lambda data: data["wrapper"].update(wrapped="AAAA"),
        lambda data: data["wrapper"].update(nonce=7),
        lambda data: data.update(version=1),
    ],
)
def test_damaged_file_is_home_invalid(path: Path, damage: Any) -> None:
    """What is no vault of this version is refused before any work is spent on it."""
    data = json.loads(path.read_bytes())
    damage(data)
    path.write_text(json.dumps(data))

    with pytest.raises(HomeInvalid, match="damaged"):
        FileVault.open(path, PASSPHRASE)


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b"{" + b" " * 1024 * 1024 + b"}"])
def test_file_that_is_no_vault_is_home_invalid(tmp_path: Path, raw: bytes) -> None:
    """Whatever stands in the file, the error is ours."""
    (tmp_path / "vault.json").write_bytes(raw)

    with pytest.raises(HomeInvalid):
        FileVault.open(tmp_path / "vault.json", PASSPHRASE)


def test_missing_file_names_the_command(tmp_path: Path) -> None:
    """Without a vault the sentence says what makes one; an unreadable one says so."""
    with pytest.raises(HomeInvalid, match="trm init"):
        FileVault.open(tmp_path / "vault.json", PASSPHRASE)
    with pytest.raises(HomeInvalid, match="IsADirectoryError"):
        FileVault.open(tmp_path, PASSPHRASE)


def test_vault_is_never_written_over(path: Path) -> None:
    """Creating where one is leaves the old one as it was."""
    before = path.read_bytes()

    with pytest.raises(HomeInvalid):
        FileVault.create(path, b"other", generate_keys(), us=EE, kdf=UNSAFE_DEV_KDF)
    assert path.read_bytes() == before


def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is DiskFull, and no half vault stays behind."""

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        FileVault.create(tmp_path / "vault.json", PASSPHRASE, generate_keys(), us=EE, kdf=UNSAFE_DEV_KDF)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written_is_home_invalid(tmp_path: Path) -> None:
    """A missing folder is said, not traced back."""
    with pytest.raises(HomeInvalid, match="FileNotFoundError"):
        FileVault.create(tmp_path / "no" / "vault.json", PASSPHRASE, (), us=EE, kdf=UNSAFE_DEV_KDF)


def test_default_cost_is_the_recommended_one() -> None:
    """A vault costs 64 MiB, three rounds, four lanes per try (RFC 9106)."""
    assert (DEFAULT_KDF.memory_kib, DEFAULT_KDF.iterations, DEFAULT_KDF.lanes) == (65_536, 3, 4)


def test_vault_at_its_real_cost_opens(tmp_path: Path) -> None:
    """Creating without a word about cost takes the recommended one, and it opens again."""
    path = tmp_path / "vault.json"
    FileVault.create(path, PASSPHRASE, (), us=EE)

    assert json.loads(path.read_bytes())["wrapper"]["kdf"]["memory_kib"] == 65_536
    assert FileVault.open(path, PASSPHRASE).public_keys() == ()


def opened(path: Path, passphrase: bytes = PASSPHRASE) -> VaultFile:
    """Return the vault with what opens it."""
    return VaultFile(path, PassphraseWrapper(passphrase))


def added(key: PrivateKey) -> Any:
    """Return the edit that adds a key."""
    return lambda entries: (*entries, Entry.of(key, created=NOW))


def test_change_adds_and_destroys(path: Path, keys: tuple[PrivateKey, ...]) -> None:
    """A new key stands in the file and a destroyed one leaves only a mark, under a fresh content key each time."""
    before, new = json.loads(path.read_bytes()), generate_keys()[0]
    opened(path).change(added(new))
    opened(path).change(lambda entries: (entries[0].without_material(NOW), *entries[1:]))

    contents, after = opened(path).read(), json.loads(path.read_bytes())
    assert [entry.state for entry in contents.entries] == ["destroyed", *["held"] * 5]
    assert (contents.entries[0].destroyed, contents.entries[-1].created) == (NOW, NOW)
    assert {key.seed for key in contents.keys} == {keys[1].seed, keys[2].seed, new.seed}
    assert contents.us == EE
    assert after["wrapper"]["wrapped"] != before["wrapper"]["wrapped"]
    assert after["nonce"] != before["nonce"]
    assert after["wrapper"]["kdf"]["memory_kib"] == UNSAFE_DEV_KDF.memory_kib
    assert [item.name for item in path.parent.iterdir()] == ["vault.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_rewrapped_vault_opens_with_the_new_passphrase_alone(path: Path) -> None:
    """Another passphrase takes the old one's place; the keys stay, and the next change goes on under the new one."""
    file, held = opened(path), opened(path).read().entries
    file.change(lambda entries: entries, wrapper=PassphraseWrapper(b"new horse", UNSAFE_DEV_KDF))

    with pytest.raises(VaultLocked):
        opened(path).read()
    assert opened(path, b"new horse").read().entries == held
    file.change(added(generate_keys()[0]))
    assert len(opened(path, b"new horse").read().entries) == len(held) + 1


def test_failed_change_leaves_the_old_vault(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, a wrong passphrase or an edit that fails: the file is as it was and nothing lies beside it."""
    before = path.read_bytes()

    def wrong(entries: Any) -> Any:
        raise ValueError("no")

    with pytest.raises(VaultLocked):
        opened(path, b"wrong").change(lambda entries: ())
    with pytest.raises(ValueError, match="no"):
        opened(path).change(wrong)
    with pytest.raises(HomeInvalid):
        opened(path).change(lambda entries: (*entries, entries[0]))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        opened(path).change(lambda entries: ())
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == ["vault.json"]


def test_wrapper_that_does_not_unwrap_is_noticed_before_anything_is_replaced(path: Path) -> None:
    """What was written is opened before it takes the old one's place."""

    class OneWay(PassphraseWrapper):
        def unwrap(self, stated: Any) -> bytes:
            raise VaultLocked("never")

    before = path.read_bytes()

    with pytest.raises(VaultLocked):
        opened(path).change(lambda entries: entries, wrapper=OneWay(b"x", UNSAFE_DEV_KDF))
    assert path.read_bytes() == before


def test_changes_at_once_lose_none(path: Path) -> None:
    """Two commands at the same time change the vault one after the other."""
    new = [generate_keys()[0] for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: opened(path).change(added(key)), new))

    assert {key.seed for key in new} <= {key.seed for key in opened(path).read().keys}


def version_1(keys: tuple[PrivateKey, ...]) -> bytes:
    """Return a vault file as version 1 wrote it: no wrapper, the content key derived from the passphrase."""
    kdf = {"name": "argon2id", "salt": b64url_encode(b"s" * 16), "memory_kib": 64, "iterations": 1, "lanes": 1}
    header = {"version": 1, "format": "trm-vault", "member": "EE", "cipher": "A256GCM", "kdf": kdf}
    header["nonce"] = b64url_encode(b"n" * 12)
    plain = canonical.dump({"keys": [jwk.private_jwk(key.use, key.public, key.seed) for key in keys]})
    key = Argon2id(salt=b"s" * 16, length=32, iterations=1, lanes=1, memory_cost=64).derive(PASSPHRASE)
    ciphertext = AESGCM(key).encrypt(b"n" * 12, plain, canonical.dump(header))
    return json.dumps({**header, "ciphertext": b64url_encode(ciphertext)}).encode()


def test_vault_of_version_1_opens_and_its_first_change_makes_it_new(path: Path, keys: tuple[PrivateKey, ...]) -> None:
    """An old file's keys are all there; after a change it is of this version, with the same keys and cost."""
    path.write_bytes(version_1(keys))
    old = opened(path).read()
    assert [key.seed for key in old.keys] == [key.seed for key in keys]
    assert {entry.created for entry in old.entries} == {None}
    with pytest.raises(VaultLocked):
        opened(path, b"wrong").read()

    opened(path).change(lambda entries: entries)

    data = json.loads(path.read_bytes())
    assert (data["version"], data["wrapper"]["kdf"]["memory_kib"]) == (2, 64)
    assert opened(path).read().entries == old.entries
