# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A simulated node whose disk is lost: its rows of an earlier moment, with its newest keys, in a fresh database."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from broker.core.audit import AuditAction, AuditRow
from broker.core.ids import CountryCode
from broker.core.roles import AuditRole
from broker.storage.dump import KEY_TABLES, data_tables, loading, snapshot
from broker.storage.schema import exclusive, parse_url, sqlite_path
from broker.testing.world import World

__all__ = ["Kept", "keep", "lose_disk"]

Rows = Mapping[str, tuple[tuple[str, ...], bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a backup of data holds."""

    made: datetime
    schema: str
    rows: Rows
    numbers: Mapping[str, int]
    position: int  # of the audit trail's head


def keep(world: World, name: str) -> Kept:
    """Back up the rows of a country that runs."""
    with snapshot(world[name].url) as view:
        rows = {table: (view.columns(table), b"".join(view.rows(table))) for table in data_tables()}
        return Kept(
            made=world.clock.now(),
            schema=view.schema,
            rows=rows,
            numbers=view.numbers(),
            position=view.audit_head().position,
        )


async def lose_disk(world: World, name: str, kept: Kept) -> None:
    """Let a country lose its database and go on from what was kept, under the newest keys; its attachments are gone too."""
    url = world[name].url
    with snapshot(url) as view:
        keys = {table: (view.columns(table), b"".join(view.rows(table))) for table in KEY_TABLES}
    note = AuditRow(
        at=world.clock.now(),
        actor="test",
        role=AuditRole.OPERATOR,
        action=AuditAction.RESTORED,
        subject="backup",
        detail=f"made {kept.made:%Y-%m-%d} behind position-{kept.position}",
    )
    await world.restart(name, meanwhile=lambda: _fill(url, kept, keys, note, CountryCode(name)))


def _fill(url: str, kept: Kept, keys: Rows, note: AuditRow, us: CountryCode) -> None:
    path = sqlite_path(parse_url(url))
    if path is None:
        _empty_server(url)
    else:
        _empty_file(path)
    with loading(url, kept.schema) as into:
        for table, (columns, block) in {**kept.rows, **keys}.items():
            into.take(table, columns, block)
        into.count_on(kept.numbers)
        into.finish("kept", note, kept.made, us=us, lacking=())


def _empty_file(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _empty_server(url: str) -> None:
    with exclusive(url) as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
