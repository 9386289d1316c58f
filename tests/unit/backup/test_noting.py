# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What the trail says of backups."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from broker.backup.noting import LastBackup, last_backup, note
from broker.core.audit import AuditAction, AuditRow, Who
from broker.core.roles import AuditRole
from broker.storage import locked, open_store
from broker.testing import store_rows as rows
from broker.testing.backed_home import BackedHome

OPERATOR = Who(actor="uid-0", role=AuditRole.OPERATOR, authority=None)


@pytest.fixture
def home(tmp_path: Path) -> BackedHome:
    """An empty home."""
    return BackedHome.create(tmp_path)


def noted(home: BackedHome) -> LastBackup | None:
    """Look as the doctor does, without the vault."""

    async def look() -> LastBackup | None:
        store = open_store(home.settings.store_url, us=rows.EE, cipher=locked())
        try:
            return await store.read(last_backup)
        finally:
            await store.close()

    return asyncio.run(look())


def test_the_newest_backup_is_known_with_its_keys(home: BackedHome) -> None:
    """None before the first; then the newest, whatever else was done since."""
    assert noted(home) is None
    for seconds in (0, 60):
        data, _ = home.back_up(seconds)
        row = note(data, OPERATOR, rows.later(seconds))
        home.work(lambda tx, row=row: tx.audit(row))
    home.work(lambda tx: tx.audit(AuditRow(at=rows.later(90), actor="node", action=AuditAction.READ, subject="x")))

    assert (row.subject, row.actor, row.role) == (str(data.digest), "uid-0", AuditRole.OPERATOR)
    assert noted(home) == LastBackup(at=rows.later(60), kids=frozenset(data.kids))


def test_an_older_programs_entry_names_no_key(home: BackedHome) -> None:
    """It is a backup all the same."""
    old = AuditRow(at=rows.NOW, actor="uid-0", action=AuditAction.BACKED_UP, subject="0" * 64)
    home.work(lambda tx: tx.audit(old))
    assert noted(home) == LastBackup(at=rows.NOW, kids=frozenset())
