# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Who is at the keyboard."""

import pytest

from broker.cli.acting import operator


def test_a_person_is_named_also_where_all_work_by_the_nodes_account(monkeypatch: pytest.MonkeyPatch):
    """By sudo two people are two: each is in the audit trail, and one confirms what the other proposed."""
    monkeypatch.setattr("getpass.getuser", lambda: "trm")
    monkeypatch.setenv("SUDO_USER", "maret")
    assert operator().actor == "cli:maret"
    monkeypatch.delenv("SUDO_USER")
    assert operator().actor == "cli:trm"
