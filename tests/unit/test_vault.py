# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Where private keys live, and what gets at them."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.core.errors import DiskFull, HomeInvalid, KeyMissing, SettingsInvalid, UnknownRecipientKey, VaultLocked
from broker.core.ids import CountryCode
from broker.core.trust import KeyUse, TrustList
from broker.home import generate_keys, member_of
from broker.security.jwk import thumbprint
from broker.settings import Settings
from broker.vault import DEFAULT_KDF, UNSAFE_DEV_KDF, FileVault, PrivateKey, read_passphrase

EE = CountryCode("EE")
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
PASSPHRASE = b"correct horse"


@pytest.fixture
def keys() -> tuple[PrivateKey, ...]:
    """One new key of each use."""
    return generate_keys()


@pytest.fixture
def path(tmp_path: Path, keys: tuple[PrivateKey, ...]) -> Path:
    """A vault on disk."""
    FileVault.create(tmp_path / "vault.json", PASSPHRASE, keys, us=EE, kdf=UNSAFE_DEV_KDF)
    return tmp_path / "vault.json"


def listing(*members: Any, version: int = 1) -> TrustList:
    """Return a trust list of these members."""
    return TrustList(version=version, members={member.country: member for member in members})


def entry(keys: tuple[PrivateKey, ...], *, now: datetime = NOW) -> Any:
    """Return the entry that lists these keys from that moment on."""
    return member_of(EE, keys, now=now, authorities=(), messages={})


def test_opened_vault_signs_and_opens_with_what_was_put_in(path: Path, keys: tuple[PrivateKey, ...]) -> None:
    """The keys come back from the file, each under its thumbprint."""
    vault = FileVault.open(path, PASSPHRASE)

    by_use = {key.use: thumbprint(key.use, key.public) for key in keys}
    signer = vault.signer(listing(entry(keys)), NOW)
    assert (signer.ed25519_kid, signer.ml_dsa_kid) == (by_use[KeyUse.ED25519], by_use[KeyUse.ML_DSA_65])
    assert len(signer.sign_ml_dsa(b"message")) == 3309
    assert vault.opener().holds(by_use[KeyUse.HPKE])
    assert not vault.opener().holds(by_use[KeyUse.ED25519])
    assert {(kid, use) for kid, use, _ in vault.public_keys()} == {(kid, use) for use, kid in by_use.items()}


def test_key_encryption_to_a_key_elsewhere_is_unknown(path: Path) -> None:
    """A key that the vault does not hold opens nothing."""
    other = generate_keys()[2]

    with pytest.raises(UnknownRecipientKey):
        FileVault.open(path, PASSPHRASE).opener().open(
            thumbprint(other.use, other.public), ek=b"", ciphertext=b"", info=b""
        )


def test_file_is_the_owners_alone_and_holds_no_seed(path: Path, keys: tuple[PrivateKey, ...]) -> None:
    """The file is readable for its owner only and no private part stands in it in any usual spelling."""
    raw = path.read_bytes()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["vault.json"]
    from broker.core.canonical import b64url_encode

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
    [("member", "FI"), ("nonce", "AAAAAAAAAAAAAAAA"), ("note", "x"), ("kdf", {"memory_kib": 72})],
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
        lambda data: data.pop("kdf"),
        lambda data: data.pop("ciphertext"),
        lambda data: data.update(ciphertext=5),
        lambda data: data.update(version=2),
        lambda data: data.update(member="EL"),
        lambda data: data["kdf"].update(memory_kib=2**40),
        lambda data: data["kdf"].update(iterations=10**9),
        lambda data: data["kdf"].update(lanes=0),
        lambda data: data["kdf"].update(memory_kib="much"),
        lambda data: data["kdf"].update(memory_kib=1.5),
        lambda data: data["kdf"].update(salt="AA"),
        lambda data: data["kdf"].update(name="scrypt"),
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


def test_signer_is_the_newest_usable_pair_that_is_here(keys: tuple[PrivateKey, ...]) -> None:
    """Keys that are newer but elsewhere, not valid yet, over or revoked are passed by."""
    second, elsewhere, later = generate_keys(), generate_keys(), generate_keys()
    vault = FileVault(EE, (*keys, *second, *later))
    old, new = entry(keys, now=NOW - timedelta(days=9)), entry(second, now=NOW - timedelta(days=1))
    foreign, future = entry(elsewhere, now=NOW), entry(later, now=NOW + timedelta(days=1))
    member = replace(old, keys=(*old.keys, *new.keys, *foreign.keys, *future.keys))

    assert vault.signer(listing(member), NOW).ed25519_kid == new.keys[0].kid
    assert vault.signer(listing(member), NOW + timedelta(days=2)).ed25519_kid == future.keys[0].kid
    revoked = tuple(replace(key, revoked_at=NOW) if key in new.keys else key for key in member.keys)
    assert vault.signer(listing(replace(member, keys=revoked)), NOW).ed25519_kid == old.keys[0].kid


def test_signer_is_built_once(path: Path, keys: tuple[PrivateKey, ...]) -> None:
    """The same pair gives the same object: building key objects costs as much as signing."""
    vault, trust = FileVault.open(path, PASSPHRASE), listing(entry(keys))

    assert vault.signer(trust, NOW) is vault.signer(trust, NOW)


def test_no_usable_key_is_key_missing(path: Path, keys: tuple[PrivateKey, ...]) -> None:
    """Country not listed, key over, or half a pair: nothing is signed."""
    vault, member = FileVault.open(path, PASSPHRASE), entry(keys)

    with pytest.raises(KeyMissing, match="does not name"):
        vault.signer(listing(), NOW)
    with pytest.raises(KeyMissing, match="Ed25519"):
        vault.signer(listing(member), NOW + timedelta(days=366))
    half = replace(member, keys=tuple(key for key in member.keys if key.use is not KeyUse.ML_DSA_65))
    with pytest.raises(KeyMissing, match="ML-DSA-65"):
        vault.signer(listing(half), NOW)


def test_text_forms_show_no_secret(path: Path, keys: tuple[PrivateKey, ...]) -> None:
    """Neither the vault nor a private key shows its seed."""
    shown = repr(FileVault.open(path, PASSPHRASE)) + repr(keys) + str(keys[0])

    for key in keys:
        assert repr(key.seed) not in shown
    assert repr(keys[0]).startswith("PrivateKey(use=")


def test_default_cost_is_the_recommended_one() -> None:
    """A vault costs 64 MiB, three rounds, four lanes per try (RFC 9106)."""
    assert (DEFAULT_KDF.memory_kib, DEFAULT_KDF.iterations, DEFAULT_KDF.lanes) == (65_536, 3, 4)


def test_vault_at_its_real_cost_opens(tmp_path: Path) -> None:
    """Creating without a word about cost takes the recommended one, and it opens again."""
    path = tmp_path / "vault.json"
    FileVault.create(path, PASSPHRASE, (), us=EE)

    assert json.loads(path.read_bytes())["kdf"]["memory_kib"] == 65_536
    assert FileVault.open(path, PASSPHRASE).public_keys() == ()


# --- passphrase -----------------------------------------------------------------------------------------------------


def settings(home: Path, source: str | None) -> Settings:
    """Return settings whose passphrase comes from there."""
    return Settings.checked(home, {"country": "EE", "spool_folder": "spool", "passphrase_file": source})


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def test_passphrase_from_file_without_its_line_end(tmp_path: Path) -> None:
    """A file gives its bytes without the line end that editors add, and nothing else is trimmed."""
    (tmp_path / "pass").write_bytes(b" correct horse \r\n")

    assert read_passphrase(settings(tmp_path, "pass")) == b" correct horse "
    assert read_passphrase(settings(tmp_path, str(tmp_path / "pass"))) == b" correct horse "


def test_passphrase_from_descriptor(tmp_path: Path) -> None:
    """An inherited descriptor is read and closed."""
    reading, writing = os.pipe()
    os.write(writing, PASSPHRASE + b"\n")
    os.close(writing)

    assert read_passphrase(settings(tmp_path, f"fd:{reading}")) == PASSPHRASE
    with pytest.raises(VaultLocked):
        read_passphrase(settings(tmp_path, f"fd:{reading}"))


def test_passphrase_from_systemd_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named credential is read from systemd's folder, and the usual one without being asked for."""
    (tmp_path / "trm-passphrase").write_bytes(PASSPHRASE)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert read_passphrase(settings(tmp_path, "credential:trm-passphrase")) == PASSPHRASE
    assert read_passphrase(settings(tmp_path, None)) == PASSPHRASE


@pytest.mark.parametrize("name", ["../passphrase", "..", "", "other"])
def test_credential_outside_its_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Only a plain name inside systemd's folder is read."""
    (tmp_path / "passphrase").write_bytes(PASSPHRASE)
    (tmp_path / "credentials").mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))

    with pytest.raises(VaultLocked):
        read_passphrase(settings(tmp_path, f"credential:{name}"))


def test_passphrase_is_asked_for_at_a_terminal_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal nobody is asked and the sentence says what to set; with one, the answer is taken."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("never read\n"))
    with pytest.raises(VaultLocked, match="passphrase_file"):
        read_passphrase(settings(tmp_path, None))

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: "grün")
    assert read_passphrase(settings(tmp_path, "prompt")) == "grün".encode()


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 5000])
def test_empty_or_endless_passphrase_is_refused(tmp_path: Path, content: bytes) -> None:
    """No passphrase is not a passphrase."""
    (tmp_path / "pass").write_bytes(content)

    with pytest.raises(VaultLocked):
        read_passphrase(settings(tmp_path, "pass"))


def test_unreadable_places_are_ours(tmp_path: Path) -> None:
    """A missing file is VaultLocked, a descriptor that is no number a settings error."""
    with pytest.raises(VaultLocked):
        read_passphrase(settings(tmp_path, "missing"))
    with pytest.raises(SettingsInvalid):
        read_passphrase(settings(tmp_path, "fd:three"))
