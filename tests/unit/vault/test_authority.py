# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about an office's own vault."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.core.errors import BadRequest, HomeInvalid, VaultLocked
from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Party
from broker.security import primitives, suite
from broker.vault import UNSAFE_DEV_KDF, FileVault, PassphraseWrapper
from broker.vault.authority import AuthorityVault

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
FI, DESK = CountryCode("FI"), AuthorityId("desk")


def under(passphrase: bytes = b"office") -> PassphraseWrapper:
    """Return a wrapper that is fast to try."""
    return PassphraseWrapper(passphrase, UNSAFE_DEV_KDF)


@pytest.fixture
def vault(tmp_path: Path) -> AuthorityVault:
    """A new vault of a desk in Finland."""
    return AuthorityVault.create(tmp_path / "office.vault", under(), country=FI, authority=DESK, now=NOW)


def test_it_opens_what_was_sealed_to_each_of_its_keys(vault: AuthorityVault, tmp_path: Path) -> None:
    """Old keys stay when a new one is added, and after a change of passphrase."""
    added = vault.add_key(NOW)
    vault.rewrap(under(b"another"))
    held = AuthorityVault.open(tmp_path / "office.vault", under(b"another"))
    assert held.owner == Party(country=FI, authority=DESK)
    assert [key.kid for key in held.public_keys()][1:] == [added]
    for key in held.public_keys():
        sealed = suite.hpke().encrypt(b"k" * 32, primitives.hpke_public(key.public), suite.HPKE_INFO)
        ek, ciphertext = sealed[: suite.EK_LENGTH], sealed[suite.EK_LENGTH :]
        assert held.opener().open(key.kid, ek=ek, ciphertext=ciphertext, info=suite.HPKE_INFO) == b"k" * 32
    with pytest.raises(VaultLocked):
        AuthorityVault.open(tmp_path / "office.vault", under())


def test_a_node_does_not_open_an_offices_vault(vault: AuthorityVault, tmp_path: Path) -> None:
    """Even with its passphrase: whatever a node is told to open, no office's key gets into its process."""
    with pytest.raises(HomeInvalid):
        FileVault.open(tmp_path / "office.vault", under())


def test_a_running_node_does_not_take_an_offices_vault_in_place_of_its_own(
    vault: AuthorityVault, tmp_path: Path
) -> None:
    """The keys that were read before are used on, and the trouble is told."""
    mine = tmp_path / "vault.json"
    node = FileVault.create(mine, under(), (), us=FI)
    before = node.public_keys()
    (tmp_path / "office.vault").replace(mine)
    assert "home-invalid" in (node.look() or "")
    assert node.public_keys() == before


def test_a_nodes_vault_is_no_offices(tmp_path: Path) -> None:
    """An office works with keys of its own alone."""
    FileVault.create(tmp_path / "vault.json", under(), (), us=FI)
    with pytest.raises(HomeInvalid):
        AuthorityVault.open(tmp_path / "vault.json", under())


def test_another_office_is_refused(vault: AuthorityVault) -> None:
    """A key made for one office never gets into another's file."""
    vault.check_owner(Party(country=FI, authority=DESK))
    for other in (Party(country=FI, authority=AuthorityId("court")), Party(country=CountryCode("EE"), authority=DESK)):
        with pytest.raises(BadRequest):
            vault.check_owner(other)


def test_what_is_shown_of_a_vault_holds_no_key(vault: AuthorityVault) -> None:
    """Its text form says whose it is and how many keys it holds."""
    assert repr(vault) == "AuthorityVault(FI/desk, 1 keys)"
