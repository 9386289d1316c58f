# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Who is at the keyboard."""

import os
import pwd

import pytest

from broker.cli.acting import operator


def test_a_person_is_named_also_where_all_work_by_the_nodes_account(monkeypatch: pytest.MonkeyPatch):
    """By sudo two people are two: each is in the audit trail, and one confirms what the other proposed."""
    monkeypatch.setattr("getpass.getuser", lambda: "trm")
    monkeypatch.setenv("SUDO_USER", "maret")
    assert operator().actor == "cli:maret"
    monkeypatch.delenv("SUDO_USER")
    assert operator().actor == "cli:trm"


def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch):
    """A container may run the node by a number that no list of accounts knows: its operator works all the same."""
    for name in ("SUDO_USER", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(uid: int) -> None:
        raise KeyError(f"uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert operator().actor == f"cli:{os.getuid()}"


@pytest.mark.parametrize(
    "command", ["inbox", "held list", "attention list", "case erasures", "case search --born 2014-05-03"]
)
def test_an_empty_list_of_a_mistyped_office_says_so(trm, home, office, command):
    """Nothing waits for an office that is none: who mistyped it must not go home by that. Its document stays the same."""
    right, wrong = (trm(*command.split(), "--home", home, "--authority", name) for name in (office, "no-such-office"))
    scripts = trm(*command.split(), "--home", home, "--authority", "no-such-office", "--json")

    assert (right.code, right.err) == (0, "")
    assert wrong.code == scripts.code == 0
    assert wrong.err.startswith("trm: The trust list has no office no-such-office of EE; it has: ")
    assert office in wrong.err
    assert scripts.json["items"] == []


def test_a_mistyped_office_of_the_settings_is_told_too(trm, home, office):
    """What every command takes when none is named is looked at as what a person types."""
    settings = home / "settings.toml"
    settings.write_text('default_authority = "no-such-office"\n' + settings.read_text())
    ran = trm("inbox", "--home", home)

    assert "The trust list has no office no-such-office of EE" in ran.err
    assert trm("inbox", "--home", home, "--authority", office).err == ""
