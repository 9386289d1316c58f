# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm backup` and `trm restore`, from the recovery key to the node made anew."""

import shutil

import pytest

from broker.testing.federation import DEV_PASSPHRASE_FILE
from broker.vault import UNSAFE_DEV_KDF


@pytest.fixture
def ready(trm, home, tmp_path, monkeypatch):
    """A home whose backups an officer's key opens; where that key is."""
    monkeypatch.setattr("broker.vault.wrapping.DEFAULT_KDF", UNSAFE_DEV_KDF)
    (tmp_path / "pass").write_text("a passphrase of an officer")
    key = tmp_path / "officer-1.key"
    made = trm(
        "backup", "key", "--country", "EE", "--label", "officer 1", "--out", key, "--passphrase-file", tmp_path / "pass", "--json"
    ).json  # fmt: skip
    accepted = trm("backup", "accept", made["public"], "--home", home, "--json").json
    assert accepted == {"keys": [{"id": made["id"], "label": "officer 1"}]}
    return key


@pytest.fixture
def backed_up(trm, ready, home, request_file, tmp_path, monkeypatch):
    """Data and keys of a home with one message."""
    sent = trm("submit", request_file, "--home", home, "--json").json
    monkeypatch.setenv("TRM_DEBUG", "1")
    made = trm(
        "backup", "make", "--home", home, "--to", tmp_path / "data", "--keys-to", tmp_path / "keys", "--json"
    )  # fmt: skip
    assert made.code == 0, made.err + made.out
    made = made.json
    return {"message": sent["message"], "data": made["data"]["file"], "keys": made["keys"]["file"], "key": ready}


def test_a_node_is_made_anew_from_its_backups(trm, backed_up, home, office, tmp_path):
    """The message is there again, readable under the restored keys, and the trail says what happened."""
    (told,) = [one for one in trm("doctor", "--home", home, "--json").json["checks"] if one["name"] == "backup"]
    assert "One recovery key alone opens it" in told["sentence"]
    shutil.rmtree(home)
    anew = tmp_path / "anew"
    ran = trm(
        "restore", backed_up["data"], "--keys", backed_up["keys"], "--recovery", backed_up["key"], "--home", anew,
        "--passphrase-file", tmp_path / "pass", "--vault-passphrase-file", _kept(tmp_path), "--json",
    )  # fmt: skip
    assert (ran.code, ran.json["country"], ran.json["erased"]) == (0, "EE", 0)
    (anew / DEV_PASSPHRASE_FILE).write_bytes(_kept(tmp_path).read_bytes())
    shown = trm("show", backed_up["message"], "--home", anew, "--authority", office, "--json")
    assert (shown.code, shown.json["id"]) == (0, backed_up["message"])
    actions = trm("audit", "list", "--home", anew, "--reason", "self-monitoring", "--json").json["items"]
    assert "restored" in [entry["action"] for entry in actions]


def test_another_database_is_named_from_where_the_command_is_called(trm, backed_up, office, tmp_path, monkeypatch):
    """It lies there, and the restored node finds it from any folder."""
    anew = tmp_path / "anew"
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    ran = trm(
        "restore", backed_up["data"], "--keys", backed_up["keys"], "--recovery", backed_up["key"], "--home", anew,
        "--passphrase-file", tmp_path / "pass", "--vault-passphrase-file", _kept(tmp_path), "--store-url", "sqlite:///drill.db",
    )  # fmt: skip
    assert (ran.code, (tmp_path / "here" / "drill.db").is_file()) == (0, True)
    (anew / DEV_PASSPHRASE_FILE).write_bytes(_kept(tmp_path).read_bytes())
    monkeypatch.chdir(tmp_path)
    assert trm("show", backed_up["message"], "--home", anew, "--authority", office).code == 0


@pytest.mark.parametrize("name", ["wh?at", "wh%41t", "Näidis sõlm", "a#b&c=1"])
def test_a_home_of_any_name_keeps_its_database_in_it(trm, backed_up, office, tmp_path, name):
    """What is a mark in an address is a letter in a folder's name: rows lie in the home, and nowhere beside it."""
    (tmp_path / "homes").mkdir()
    anew = tmp_path / "homes" / name
    ran = trm(
        "restore", backed_up["data"], "--keys", backed_up["keys"], "--recovery", backed_up["key"], "--home", anew,
        "--passphrase-file", tmp_path / "pass", "--vault-passphrase-file", _kept(tmp_path),
    )  # fmt: skip
    assert ran.code == 0, ran.err
    (anew / DEV_PASSPHRASE_FILE).write_bytes(_kept(tmp_path).read_bytes())
    assert trm("show", backed_up["message"], "--home", anew, "--authority", office).code == 0
    assert (anew / "trm.db").is_file()
    assert [one.name for one in (tmp_path / "homes").iterdir()] == [name]


@pytest.fixture(autouse=True)
def _kept_passphrase(home, tmp_path):
    """The vault's passphrase is in no backup: it is kept elsewhere."""
    shutil.copy(home / DEV_PASSPHRASE_FILE, _kept(tmp_path))


def _kept(folder):
    return folder / "vault.pass"


def test_a_backup_is_checked_with_and_without_the_recovery_key(trm, backed_up, tmp_path):
    """Without: that it is as it was signed. With: that it holds what it says."""
    closed = trm("backup", "verify", backed_up["data"], "--json").json
    opened = trm(
        "backup", "verify", backed_up["keys"], "--recovery", backed_up["key"], "--passphrase-file", tmp_path / "pass", "--json"
    ).json  # fmt: skip
    assert (closed["kind"], closed["opened"], "holds" in closed) == ("data", False, False)
    assert (opened["kind"], opened["opened"]) == ("keys", True)
    assert opened["holds"]["tables"]["case_key"]["number"] == 1
    assert "vault.json" in [one["file"] for one in opened["holds"]["files"]]
    assert "not opened" in trm("backup", "verify", backed_up["data"]).out


def test_without_a_recovery_key_nothing_is_written(trm, home, tmp_path):
    """A backup that nobody could open is none."""
    ran = trm("backup", "make", "--home", home, "--to", tmp_path / "data", "--keys-to", tmp_path / "keys", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (3, "backup-invalid")
    assert not (tmp_path / "data").exists()


def test_another_countrys_recovery_key_is_not_accepted(trm, ready, home, tmp_path):
    """Whoever mixes them up would lock this country out."""
    other = trm(
        "backup", "key", "--country", "FI", "--label", "x", "--out", tmp_path / "fi.key", "--passphrase-file", tmp_path / "pass",
        "--json",
    ).json  # fmt: skip
    ran = trm("backup", "accept", other["public"], "--home", home)
    assert (ran.code, "is for FI" in ran.err) == (3, True)


def test_the_key_of_an_officer_who_leaves_opens_no_later_backup(trm, backed_up, home, tmp_path):
    """The next key is accepted, the old one ended; the backup of keys that it opens is overwritten."""
    (old,) = trm("backup", "keys", "--home", home, "--json").json["keys"]
    secret = ("--passphrase-file", tmp_path / "pass", "--json")
    made = trm("backup", "key", "--country", "EE", "--label", "officer 2", "--out", tmp_path / "next.key", *secret).json
    assert trm("backup", "end", old["id"], "--home", home, "--json").json["error"]["where"] == old["id"]
    assert trm("backup", "accept", made["public"], "--home", home).code == 0
    ended = trm("backup", "end", old["id"], "--home", home)
    assert (ended.code, "trm backup make" in ended.out, old["id"] in ended.out) == (0, True, False)
    folders = ("--to", tmp_path / "data", "--keys-to", tmp_path / "keys")
    again = trm("backup", "make", "--home", home, *folders, "--json").json
    assert again["keys"]["file"] == backed_up["keys"]
    opened = {
        key: trm("backup", "verify", backed_up["keys"], "--recovery", tmp_path / key, *secret).code
        for key in ("officer-1.key", "next.key")
    }
    assert opened == {"officer-1.key": 3, "next.key": 0}


def test_a_recovery_key_whose_id_begins_with_a_dash_is_no_option(trm, ready, home):
    """As one in 64 does."""
    ran = trm("backup", "end", "-" + "A" * 42, "--home", home, "--json")
    assert (ran.code, ran.json["error"]["where"]) == (1, "-" + "A" * 42)
