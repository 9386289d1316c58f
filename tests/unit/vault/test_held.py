# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The vault as a running node holds it."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.core.errors import CaseKeyMissing, KeyMissing, UnknownRecipientKey
from broker.core.ids import CountryCode
from broker.core.trust import KeyUse, TrustList
from broker.home import generate_keys, member_of
from broker.security.at_rest import Scope
from broker.security.jwk import thumbprint
from broker.vault import UNSAFE_DEV_KDF, Entry, FileVault, PassphraseWrapper, PrivateKey, VaultFile

EE = CountryCode("EE")
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
PASSPHRASE = b"correct horse"


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


def add(path: Path, keys: tuple[PrivateKey, ...], passphrase: bytes = PASSPHRASE) -> None:
    """Put further keys into the vault, as a command beside the running node does."""
    VaultFile(path, PassphraseWrapper(passphrase)).change(
        lambda entries: (*entries, *(Entry.of(key, created=NOW) for key in keys))
    )


def test_changed_file_counts_without_a_restart(path: Path, keys: tuple[PrivateKey, ...]) -> None:
    """New keys sign and open as soon as they stand in the file; destroyed ones are gone from memory too."""
    vault, second = FileVault.open(path, PASSPHRASE), generate_keys()
    old, new = entry(keys, now=NOW - timedelta(days=9)), entry(second, now=NOW - timedelta(days=1))
    trust = listing(replace(old, keys=(*old.keys, *new.keys)))
    assert vault.signer(trust, NOW).ed25519_kid == old.keys[0].kid
    add(path, second)
    assert vault.signer(trust, NOW).ed25519_kid == new.keys[0].kid
    assert vault.opener().holds(new.keys[2].kid)

    VaultFile(path, PassphraseWrapper(PASSPHRASE)).change(
        lambda entries: [item.without_material(NOW) if item.id == old.keys[2].kid else item for item in entries]
    )

    assert not vault.opener().holds(old.keys[2].kid)
    assert vault.opener().holds(new.keys[2].kid)
    assert len(vault.public_keys()) == 5
    assert vault.look() is None


def test_change_that_does_not_open_leaves_the_keys_and_is_told(path: Path, keys: tuple[PrivateKey, ...]) -> None:
    """Under another passphrase, damaged or gone: the node goes on with what it has, says so once, and recovers."""
    vault, good = FileVault.open(path, PASSPHRASE), path.read_bytes()
    VaultFile(path, PassphraseWrapper(PASSPHRASE)).change(
        lambda entries: entries, wrapper=PassphraseWrapper(b"other", UNSAFE_DEV_KDF)
    )
    assert "vault-locked" in (vault.look() or "")
    assert len(vault.public_keys()) == 3
    path.write_bytes(b"{}")
    assert "home-invalid" in (vault.look() or "")
    path.unlink()
    assert "home-invalid" in (vault.look() or "")
    assert vault.signer(listing(entry(keys)), NOW).ed25519_kid

    path.write_bytes(good)

    assert vault.look() is None
    assert len(vault.public_keys()) == 3


def test_unopenable_file_is_tried_once(path: Path) -> None:
    """A file that does not open is not tried again until it changes: an HSM locks itself after a few wrong PINs."""
    tries = []

    class Counting(PassphraseWrapper):
        def unwrap(self, stated: Any) -> bytes:
            tries.append(stated["name"])
            return super().unwrap(stated)

    vault = FileVault.open(path, Counting(PASSPHRASE))
    VaultFile(path, PassphraseWrapper(PASSPHRASE)).change(
        lambda entries: entries, wrapper=PassphraseWrapper(b"other", UNSAFE_DEV_KDF)
    )
    for _ in range(5):
        vault.look()

    assert len(tries) == 2


def test_vault_in_memory_looks_at_no_file(keys: tuple[PrivateKey, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulated node's vault has no file, and asks for none."""
    vault = FileVault(EE, keys)
    monkeypatch.setattr(os, "stat", None)

    assert vault.look() is None
    assert len(vault.public_keys()) == 3


def test_the_next_epoch_is_there_for_everybody_and_the_last_one_is_destroyed(path: Path) -> None:
    """Another process's vault has the new epoch without a restart; a destroyed one is gone from both and from the file."""
    here, there = FileVault.open(path, PASSPHRASE), FileVault.open(path, PASSPHRASE)
    first = here.ring()
    wrapped = first.wrap(bytes(32), Scope("FI:x"), 1)

    assert here.begin_epoch(NOW) == 2
    assert [vault.ring().epochs for vault in (here, there)] == [(1, 2), (1, 2)]
    assert there.ring().unwrap(wrapped) == bytes(32)
    assert there.ring().token("name", "x") == first.token("name", "x")
    there.end_epochs(2, NOW)
    assert [vault.ring().epochs for vault in (here, there)] == [(2,), (2,)]
    with pytest.raises(CaseKeyMissing):
        here.ring().unwrap(wrapped)
    assert len(here.public_keys()) == 3


def test_marks_of_old_epochs_do_not_fill_the_vault(path: Path) -> None:
    """After many epochs only the newest marks stay, and numbers go on."""
    vault = FileVault.open(path, PASSPHRASE)
    for number in range(2, 18):
        assert vault.begin_epoch(NOW) == number
        vault.end_epochs(number, NOW)

    kept = [
        entry for entry in VaultFile(path, PassphraseWrapper(PASSPHRASE)).read().entries if entry.kind == "wrapping"
    ]
    assert [int(entry.id) for entry in kept] == list(range(5, 18))
    assert [entry.state for entry in kept] == [*["destroyed"] * 12, "held"]


def test_a_vault_in_memory_has_no_epochs_to_change(keys: tuple[PrivateKey, ...]) -> None:
    """Without a file nothing can be made or destroyed for good."""
    with pytest.raises(RuntimeError):
        FileVault(EE, keys).begin_epoch(NOW)
