# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about officers' keys."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey

from broker.core.canonical import b64url_decode
from broker.core.errors import DiskFull, HomeInvalid, TrustListInvalid, VaultLocked
from broker.core.ids import CountryCode
from broker.home import generate_keys
from broker.trust.officer_keys import (
    Officer,
    create_officer_key,
    generate_officer_key,
    officer_of,
    open_officer_key,
    read_officer,
    tuf_key,
    write_officer,
)
from broker.vault import UNSAFE_DEV_KDF, FileVault, VaultFile

EE = CountryCode("EE")


@pytest.fixture
def officer() -> Officer:
    """An officer's public part."""
    return generate_officer_key(EE, "officer 1")[0].officer


def test_a_key_comes_back_from_its_file_and_signs(tmp_path: Path) -> None:
    """What the opened key signs verifies with the public part that was written beside it."""
    made = create_officer_key(tmp_path / "key", EE, "officer 1", passphrase=b"secret", kdf=UNSAFE_DEV_KDF)
    opened = open_officer_key(tmp_path / "key", b"secret")
    assert opened.officer == made
    assert read_officer((tmp_path / "key.public.json").read_bytes(), where="here") == made
    tuf_key(made).verify_signature(opened.signer.sign(b"the list"), b"the list")


def test_a_key_is_named_by_its_pem_to_the_last_line_feed(officer: Officer) -> None:
    """As PROTOCOL 13.2 says it: whoever ends the text otherwise, or breaks its lines elsewhere, names another key."""
    public = b64url_decode(json.loads(write_officer(officer))["jwk"]["pub"])
    text = b64encode(bytes.fromhex("308207b2300b0609608648016503040312038207a100") + public).decode()
    lines = [text[place : place + 64] for place in range(0, len(text), 64)]
    pem = "".join(f"{line}\n" for line in ("-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----"))
    named = f'{{"keytype":"ml-dsa","keyval":{{"public":"{pem}"}},"scheme":"ml-dsa-65/1"}}'
    assert officer.keyid == sha256(named.encode()).hexdigest()


def test_the_file_tells_nothing_of_the_private_part(tmp_path: Path) -> None:
    """Only its owner may read it, another passphrase does not open it, and the opened key shows nothing of itself."""
    create_officer_key(tmp_path / "key", EE, "officer 1", passphrase=b"secret", kdf=UNSAFE_DEV_KDF)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(VaultLocked):
        open_officer_key(tmp_path / "key", b"guess")
    assert repr(open_officer_key(tmp_path / "key", b"secret")) == "OfficerKey(EE, 'officer 1')"


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    """The second one of a name is refused and the first stays."""
    create_officer_key(tmp_path / "key", EE, "officer 1", passphrase=b"secret", kdf=UNSAFE_DEV_KDF)
    before = (tmp_path / "key").read_bytes()
    with pytest.raises(HomeInvalid):
        create_officer_key(tmp_path / "key", EE, "officer 2", passphrase=b"secret", kdf=UNSAFE_DEV_KDF)
    assert (tmp_path / "key").read_bytes() == before


def test_a_key_that_cannot_be_written_is_not_said_to_be_there(tmp_path: Path) -> None:
    """Where its folder cannot be made the officer is told so, and no passphrase is tried in vain."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(HomeInvalid, match="cannot be written") as caught:
        create_officer_key(tmp_path / "file" / "key", EE, "officer 1", passphrase=b"x", kdf=UNSAFE_DEV_KDF)
    assert caught.value.where == str(tmp_path / "file" / "key")


@pytest.mark.parametrize("passphrase", [b"", b"right"])
def test_what_did_not_become_a_key_is_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: bytes
) -> None:
    """After an empty passphrase, or a disk that filled up between the two files, the next attempt makes the key."""
    with monkeypatch.context() as full:
        if passphrase:
            full.setattr(VaultFile, "create", _full)
        with pytest.raises((VaultLocked, DiskFull)):
            create_officer_key(tmp_path / "key", EE, "officer 1", passphrase=passphrase, kdf=UNSAFE_DEV_KDF)
    assert list(tmp_path.iterdir()) == []
    create_officer_key(tmp_path / "key", EE, "officer 1", passphrase=b"right", kdf=UNSAFE_DEV_KDF)


def _full(*_: object) -> None:
    raise DiskFull


def test_a_nodes_vault_is_no_officers_key(tmp_path: Path) -> None:
    """A file with message keys opens nothing here."""
    FileVault.create(tmp_path / "vault", b"secret", generate_keys(), us=EE, kdf=UNSAFE_DEV_KDF)
    with pytest.raises(HomeInvalid, match="officer"):
        open_officer_key(tmp_path / "vault", b"secret")


def test_the_public_document_reads_back(officer: Officer) -> None:
    """Country, label and key come back; the list's own form gives the same."""
    assert read_officer(write_officer(officer), where="here") == officer
    assert officer_of(tuf_key(officer)) == officer


@pytest.mark.parametrize(
    ("name", "value"),
    [("format", "trm-officer/2"), ("country", "Estonia"), ("label", ""), ("label", "a\nb"), ("jwk", {}), ("more", 1)],
)
def test_a_document_of_another_form_is_refused(officer: Officer, name: str, value: object) -> None:
    """Every member has its one form."""
    data = {**json.loads(write_officer(officer)), name: value}
    with pytest.raises(TrustListInvalid) as caught:
        read_officer(json.dumps(data).encode(), where="stick")
    assert caught.value.where is not None
    assert caught.value.where.startswith("stick: /")


def test_another_algorithm_is_refused() -> None:
    """A key that a quantum computer could forge makes no officer."""
    with pytest.raises(TrustListInvalid) as caught:
        officer_of(CryptoSigner.generate_ed25519().public_key)
    assert caught.value.rule == "algorithm"


def test_a_key_under_another_name_is_refused(officer: Officer) -> None:
    """One key under two names would count twice towards a threshold."""
    key = tuf_key(officer)
    assert isinstance(key, SSlibKey)
    double = SSlibKey("0" * 64, key.keytype, key.scheme, key.keyval, dict(key.unrecognized_fields))
    with pytest.raises(TrustListInvalid) as caught:
        officer_of(double)
    assert caught.value.rule == "algorithm"
