# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The commands about an office's own keys."""

import json

import pytest

from broker.core.ids import CountryCode
from broker.home import MEMBER_FILE, read_own_member
from broker.vault import UNSAFE_DEV_KDF

OFFICE = "EE/desk"


@pytest.fixture
def office(tmp_path, home, monkeypatch):
    """Where an office of the node's country keeps its vault, and how the commands are told so."""
    monkeypatch.setattr("broker.vault.wrapping.DEFAULT_KDF", UNSAFE_DEV_KDF)
    (tmp_path / "office.pass").write_text("only for this test")
    member = read_own_member(home, CountryCode("EE"))
    own = ["--vault", tmp_path / "office.vault", "--passphrase-file", tmp_path / "office.pass"]
    return f"EE/{member.authorities[0].id}", own


def test_an_office_makes_keys_and_its_country_lists_them(trm, home, office, tmp_path):
    """Generated into a vault of its own, exported with words, listed after the words were compared; then rotated."""
    name, own = office
    made = trm("keys", "generate", "--authority", name, *own, "--json").json
    assert not (home / "office.vault").exists()
    offered = tmp_path / "offered.json"
    told = trm("keys", "export-public", *own, "--out", offered, "--json").json

    refused = trm("trust", "authority-key", home / MEMBER_FILE, offered, "--words", "another file's words")
    assert refused.code == 1
    assert read_own_member(home, CountryCode("EE")).authorities[0].keys == ()
    ran = trm("trust", "authority-key", home / MEMBER_FILE, offered, "--words", told["words"], "--json")
    assert ran.json["keys"] == [made["id"]]

    second = trm("keys", "generate", "--authority", name, *own, "--json").json
    told = trm("keys", "export-public", *own, "--out", offered, "--json").json
    ran = trm("trust", "authority-key", home / MEMBER_FILE, offered, "--words", told["words"])
    assert (ran.code, "update-member" in ran.out) == (0, True)
    listed = read_own_member(home, CountryCode("EE")).authorities[0].keys
    assert [str(key.kid) for key in listed] == [made["id"], second["id"]]
    assert trm("keys", "list", *own, "--json").json["keys"] == [made["id"], second["id"]]


def test_a_rotation_of_the_nodes_keys_keeps_its_offices_keys(trm, home, office, tmp_path):
    """`trm keys rotate` writes the document anew; the office's key stays in it."""
    name, own = office
    trm("keys", "generate", "--authority", name, *own)
    told = trm("keys", "export-public", *own, "--out", tmp_path / "offered.json", "--json").json
    trm("trust", "authority-key", home / MEMBER_FILE, tmp_path / "offered.json", "--words", told["words"])
    before = read_own_member(home, CountryCode("EE")).authorities
    assert trm("keys", "rotate", "--home", home).code == 0
    assert read_own_member(home, CountryCode("EE")).authorities == before
    assert before[0].keys


def test_another_offices_vault_and_half_a_command_are_refused(trm, office):
    """A vault belongs to one office; both options are needed for an office's key."""
    name, own = office
    trm("keys", "generate", "--authority", name, *own)
    assert trm("keys", "generate", "--authority", "FI/desk", *own).code == 1
    assert trm("keys", "generate", "--authority", name).code == 2
    assert trm("keys", "generate").code == 2


def test_a_vault_under_another_passphrase_opens_with_it_alone(trm, office, tmp_path):
    """`trm keys rewrap --vault` needs the old and the new one; the public file says nothing secret."""
    name, own = office
    trm("keys", "generate", "--authority", name, *own)
    (tmp_path / "new.pass").write_text("another one than before")
    assert trm("keys", "rewrap", *own).code == 1
    assert trm("keys", "rewrap", *own, "--to-passphrase-file", tmp_path / "new.pass").code == 0
    assert trm("keys", "list", *own).code == 3
    shown = trm("keys", "export-public", *own[:2], "--passphrase-file", tmp_path / "new.pass").out
    assert set(json.loads(shown)) == {"format", "country", "authority", "keys"}
    assert "priv" not in shown
