# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Opening a store by its address."""

from __future__ import annotations

from broker.core.ids import CountryCode
from broker.ports import Store
from broker.storage.postgres import PostgresStore
from broker.storage.schema import check, parse_url, sqlite_path
from broker.storage.sqlite import SqliteStore

__all__ = ["open_store"]


def open_store(url: str, *, us: CountryCode) -> Store:
    """Return the store of an address, ``sqlite:///path`` or ``postgresql://…``; blocks for one short query.

    Raises:
        StoreNeedsMigration: the database is empty or of another version; `migrate` mends it.
        StoreUnavailable: it does not answer.
        SettingsInvalid: the address is none.
    """
    check(url)
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    return PostgresStore(parsed, us) if path is None else SqliteStore(path, us)
