# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Recovery keys: made once, accepted by comparison, opened by their passphrase."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broker.backup.recovery import accept, accepted, create_recovery_key, end, open_recovery_key, read_public
from broker.core.errors import BackupInvalid, BadRequest, HomeInvalid, VaultLocked
from broker.core.ids import CountryCode
from broker.home import create_home
from broker.testing.store_rows import NOW
from broker.vault import UNSAFE_DEV_KDF

EE = CountryCode("EE")


def make(folder: Path, name: str = "officer.key") -> Path:
    """Make a key; return where its public half is."""
    return create_recovery_key(folder / name, EE, "officer 1", passphrase=b"secret", kdf=UNSAFE_DEV_KDF)[1]


def test_a_key_is_opened_by_its_passphrase_alone(tmp_path: Path) -> None:
    """The public half says which key it is and nothing of the private one."""
    public = make(tmp_path)
    named = read_public(public)
    assert open_recovery_key(tmp_path / "officer.key", b"secret").holds(named.kid)
    with pytest.raises(VaultLocked):
        open_recovery_key(tmp_path / "officer.key", b"guess")
    assert (named.country, named.label) == (EE, "officer 1")
    assert ((tmp_path / "officer.key").stat().st_mode & 0o777, "priv" in public.read_text()) == (0o600, False)
    with pytest.raises(HomeInvalid, match="never written over"):
        make(tmp_path)


def test_a_node_encrypts_to_each_accepted_key_once(tmp_path: Path) -> None:
    """Accepting the same one again changes nothing; nobody accepted gives nobody."""
    assert accepted(tmp_path) == ()
    first, second = read_public(make(tmp_path, "a")), read_public(make(tmp_path, "b"))
    for named in (first, second, first):
        accept(tmp_path, named)
    assert {named.kid for named in accepted(tmp_path)} == {first.kid, second.kid}


def test_an_ended_key_opens_no_further_backup(tmp_path: Path) -> None:
    """The last one stays, and a key that the node does not have cannot be ended."""
    first, second = read_public(make(tmp_path, "a")), read_public(make(tmp_path, "b"))
    for named in (first, second):
        accept(tmp_path, named)
    assert end(tmp_path, first.kid) == accepted(tmp_path) == (second,)
    with pytest.raises(BadRequest, match="no recovery key of this id"):
        end(tmp_path, first.kid)
    with pytest.raises(BadRequest, match="the only recovery key"):
        end(tmp_path, second.kid)
    assert accepted(tmp_path) == (second,)


def test_what_is_no_public_half_is_refused(tmp_path: Path) -> None:
    """Another file, a changed key, a key under another's id."""
    public = make(tmp_path)
    document = json.loads(public.read_bytes())
    other = json.loads(make(tmp_path, "other").read_bytes())
    for wrong in (
        [],
        {},
        {**document, "public": other["public"]},
        {**document, "label": ""},
        {**document, "country": "X"},
    ):
        public.write_text(json.dumps(wrong))
        with pytest.raises(BackupInvalid):
            read_public(public)
    with pytest.raises(HomeInvalid):
        read_public(tmp_path / "missing")
    (tmp_path / "recovery-keys.json").write_text('{"keys": 1}')
    with pytest.raises(BackupInvalid, match="damaged"):
        accepted(tmp_path)


def test_a_vault_is_no_recovery_key(tmp_path: Path) -> None:
    """The file of a node's keys does not open backups by mistake."""
    create_home(
        tmp_path / "home", EE, passphrase=b"secret", now=NOW, authorities=(), messages={}, settings={"spool_folder": "s"},
        kdf=UNSAFE_DEV_KDF,
    )  # fmt: skip
    with pytest.raises(HomeInvalid, match="does not hold a recovery key"):
        open_recovery_key(tmp_path / "home" / "vault.json", b"secret")
