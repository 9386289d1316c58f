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
