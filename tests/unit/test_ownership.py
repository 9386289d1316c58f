# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Folders of other accounts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from broker.core.errors import HomeInvalid
from broker.ownership import check_owner


def _anothers(folder: Path, monkeypatch: pytest.MonkeyPatch, *, us: int) -> None:
    """Let the folder be another account's, whoever runs the tests."""
    if os.geteuid() == 0:
        os.chown(folder, 54321, -1)
    monkeypatch.setattr(os, "geteuid", lambda: us)


def test_root_works_in_no_other_accounts_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What root wrote there that account's node could not read: root is told whose it is; its own folder it may use."""
    check_owner(tmp_path)
    _anothers(tmp_path, monkeypatch, us=0)
    with pytest.raises(
        HomeInvalid, match=r"belongs to the account \w+, and root runs this command: run it as"
    ) as caught:
        check_owner(tmp_path)
    assert caught.value.where == str(tmp_path)


def test_an_account_that_may_not_use_a_folder_is_told_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may read and write there works on: a group may share it."""
    _anothers(tmp_path, monkeypatch, us=54322)
    monkeypatch.setattr(os, "access", lambda *_: True)
    check_owner(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(HomeInvalid, match="and 54322 runs this command: give all in it to 54322"):
        check_owner(tmp_path)
