# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The commands about this node's own keys."""

import asyncio
import io
import json
import sys
from datetime import UTC, datetime

import pytest

from broker.core.ids import CountryCode
from broker.home import MEMBER_FILE, read_own_member
from broker.office import open_office
from broker.settings import Settings
from broker.vault import AT_REST, Unlocking, VaultFile, open_vault

EE = CountryCode("EE")


def listed(trm, home):
    """Return what `trm keys list` says, by key id."""
    return {item["id"]: item for item in trm("keys", "list", "--home", home, "--json").json["keys"]}


def publish(federation, home):
    """Let the member's officers sign the home's document as it stands, and publish it."""
    federation.office.set(read_own_member(home, EE), now=datetime.now(UTC))
    federation.office.publish(now=datetime.now(UTC))


def test_list_shows_every_key_its_places_and_what_to_do(trm, home):
    """Each key has its use, id, validity, places and a sentence; people and scripts see the same."""
    found, told = listed(trm, home), trm("keys", "list", "--home", home).out

    assert [item["use"] for item in found.values()] == ["Ed25519", "ML-DSA-65", "HPKE-9-KE"]
    assert all(item["where"] == ["document", "trust-list", "vault"] for item in found.values())
    assert all(item["next"] == "Nothing: it is in use." for item in found.values())
    assert all(kid in told for kid in found)


def test_rotation_is_written_into_the_document_and_explained(trm, unstarted, federation):
    """The new keys stand in vault and document, the next step is the officers' signature; a second try is refused."""
    before = set(listed(trm, unstarted))
    ran = trm("keys", "rotate", "--home", unstarted, "--overlap-hours", "48")
    fresh = {kid: item for kid, item in listed(trm, unstarted).items() if kid not in before}

    assert ran.code == 0
    assert all(word in ran.out for word in ("officers", MEMBER_FILE, "Back up the vault", "48 hours"))
    assert {item["step"] for item in fresh.values()} == {"publish"}
    assert {key.kid for key in read_own_member(unstarted, EE).keys} == before | set(fresh)
    again = trm("keys", "rotate", "--home", unstarted)
    assert (again.code, "published first" in again.err) == (1, True)
    publish(federation, unstarted)
    assert {item["step"] for kid, item in listed(trm, unstarted).items() if kid in fresh} == {"wait"}


def test_rotation_of_one_kind_from_now(trm, home):
    """Signing keys alone can be rotated at once; the answer says when they begin and where the document is."""
    ran = trm("keys", "rotate", "--home", home, "--which", "signing", "--from", "now", "--overlap-hours", "0", "--json")

    uses = [item["use"] for item in ran.json["keys"]]
    assert (uses.count("Ed25519"), uses.count("ML-DSA-65"), uses.count("HPKE-9-KE")) == (2, 2, 1)
    assert ran.json["document"] == str(home / MEMBER_FILE)
    assert ran.json["begins"] in {item["not_before"] for item in ran.json["keys"]}


def test_stolen_keys_are_revoked_from_when_they_were_stolen(trm, home):
    """The document says so of every key, the answer that nobody else knows yet and officers must sign."""
    since = "2026-01-02T03:04:05Z"
    stolen = set(listed(trm, home))
    ran = trm("keys", "rotate", "--home", home, "--stolen-since", since)

    assert f"revoked from {since} on" in ran.out
    assert "Nothing changes for other countries yet." in ran.out
    assert {item["step"] for item in listed(trm, home).values()} == {"publish"}
    keys = json.loads((home / MEMBER_FILE).read_bytes())["keys"]
    assert [key["revoked"] for key in keys] == [{"at": since, "reason": "key-compromise"}] * 3 + [None] * 3
    assert len(listed(trm, home).keys() - stolen) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("rotate", "--which", "both"),
        ("rotate", "--from", "yesterday"),
        ("rotate", "--from", "2020-01-01T00:00:00Z"),
        ("rotate", "--stolen-since", "yesterday"),
        ("rotate", "--stolen-since", "2999-01-01T00:00:00Z"),
        ("rotate", "--stolen-since", "now", "--from", "now"),
        ("rotate", "--stolen-since", "now", "--overlap-hours", "0"),
        ("rotate", "--stolen-since", "now", "--which", "wrapping"),
        ("retire", "--key", "no-key"),
        ("retire", "--key", "A" * 43),
        ("retire", "--key", "-" * 43),
        ("rewrap",),
        ("rewrap", "--to-passphrase-file", "x", "--to-token", "y"),
        ("rewrap", "--to-token", "y"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(trm, home, arguments):
    """A wrong word, time or key is a sentence, and vault and document are as they were."""
    before = [(home / name).read_bytes() for name in ("vault.json", MEMBER_FILE)]
    ran = trm("keys", *arguments, "--home", home)

    assert ran.code == 1
    assert "who must act: caller" in ran.err
    assert [(home / name).read_bytes() for name in ("vault.json", MEMBER_FILE)] == before


def test_generated_keys_wait_for_a_rotation(trm, home):
    """Keys made ahead stand in the vault alone, and the answer says what lists them."""
    ran = trm("keys", "generate", "--home", home, "--which", "encryption")
    waiting = [item for item in listed(trm, home).values() if item["where"] == ["vault"]]

    assert "trm keys rotate" in ran.out
    assert [(item["use"], item["step"]) for item in waiting] == [("HPKE-9-KE", "list")]


def test_public_parts_hold_no_secret(trm, home, tmp_path):
    """The export names every key of the vault with its public part alone."""
    printed = trm("keys", "export-public", "--home", home).json
    told = trm("keys", "export-public", "--home", home, "--out", tmp_path / "keys.json")

    assert json.loads((tmp_path / "keys.json").read_text()) == printed
    assert "3 public keys" in told.out
    assert {item["id"] for item in printed["keys"]} == {
        kid for kid, _, _ in open_vault(Settings.load(home)).public_keys()
    }
    assert all(set(item["jwk"]) <= {"kty", "alg", "crv", "x", "pub"} for item in printed["keys"])


def test_destroying_asks_for_words_first(trm, home, monkeypatch):
    """Nothing is destroyed without the words; with them the private part is gone and a mark stays."""
    spare = trm("keys", "generate", "--home", home, "--which", "encryption", "--json").json["generated"][0]["id"]
    order = ("keys", "retire", "--key", spare, "--home", home, "--force")
    refused = trm(*order)
    assert refused.code == 1
    assert "destroy 1 key and what is sealed to it" in refused.err
    assert "read by nobody" in refused.err
    assert trm(*order, "--words", "yes").code == 1
    assert listed(trm, home)[spare]["where"] == ["vault"]

    monkeypatch.setattr(sys, "stdin", io.StringIO("destroy 1 key and what is sealed to it\n"))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    ran = trm(*order)

    assert ran.code == 0
    assert f"Destroyed: HPKE-9-KE  {spare}" in ran.out
    assert "backups" in ran.out
    assert (listed(trm, home)[spare]["where"], listed(trm, home)[spare]["step"]) == ([], "gone")
    assert len(open_vault(Settings.load(home)).public_keys()) == 3


def test_keys_in_use_are_not_destroyed(trm, home):
    """Without an id nothing is due, with one the sentence says until when the key is needed; force does not help."""
    kid = next(iter(listed(trm, home)))

    assert trm("keys", "retire", "--home", home, "--json").json == {"destroyed": []}
    refused = trm(
        "keys", "retire", "--key", kid, "--home", home, "--force", "--words", "destroy 1 key and what is sealed to it"
    )
    assert (refused.code, "needed until" in refused.err) == (1, True)
    assert len(open_vault(Settings.load(home)).public_keys()) == 3


def test_vault_goes_under_another_passphrase(trm, home, tmp_path):
    """The new passphrase opens it once the setting names it, the old one does not."""
    (tmp_path / "new").write_bytes(b"a new horse in the field\n")
    ran = trm("keys", "rewrap", "--home", home, "--to-passphrase-file", tmp_path / "new")
    assert "passphrase_file" in ran.out
    assert trm("keys", "list", "--home", home).code == 3

    (home / "passphrase").write_bytes(b"a new horse in the field\n")

    assert len(listed(trm, home)) == 3


def test_keys_for_data_at_rest_are_listed_and_made_once(trm, home):
    """A new home has them; making first ones is for vaults that have none."""
    found = trm("keys", "list", "--home", home, "--json").json["at_rest"]
    refused = trm("keys", "generate", "--home", home, "--which", "wrapping")

    assert [(item["kind"], item["number"], item["state"]) for item in found] == [
        ("wrapping", 1, "held"),
        ("index", 1, "held"),
    ]
    assert "wrapping" in trm("keys", "list", "--home", home).out
    assert (refused.code, "rotating makes the next one" in refused.err) == (1, True)


def test_a_vault_of_an_older_program_gets_its_first_keys_at_rest(trm, home):
    """Once made they are there, and the running node's vault would have them."""
    settings = Settings.load(home)
    file = VaultFile(settings.vault_file, Unlocking(settings))
    file.change(lambda entries: [entry for entry in entries if entry.kind not in AT_REST])
    assert open_vault(settings).ring().epochs == ()

    ran = trm("keys", "generate", "--home", home, "--which", "wrapping")

    assert ran.code == 0
    assert "Back up the vault" in ran.out
    assert open_vault(settings).ring().epochs == (1,)


async def test_the_wrapping_key_is_rotated_beside_an_open_store(trm, home):
    """The next epoch begins, the first one's key is destroyed, and who has the store open reads on."""
    settings = Settings.load(home)
    office = open_office(settings, open_vault(settings))

    ran = await asyncio.to_thread(trm, "keys", "rotate", "--home", home, "--which", "wrapping", "--json")

    assert ran.json == {"epoch": 2, "stuck": 0}
    found = trm("keys", "list", "--home", home, "--json").json["at_rest"]
    assert [(item["number"], item["state"]) for item in found if item["kind"] == "wrapping"] == [
        (1, "destroyed"),
        (2, "held"),
    ]
    assert await office.store.read(lambda reader: reader.epoch_owed()) is False
    await office.close()
