# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Opening a store by its address."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from broker.core.ids import CountryCode
from broker.ports import Store
from broker.rows import TrustRow
from broker.storage import trail, trust
from broker.storage.at_rest import Cipher
from broker.storage.encrypting import refuse_clear
from broker.storage.execution import Execution
from broker.storage.postgres import PostgresStore
from broker.storage.schema import check, checked, exclusive, parse_url, sqlite_path
from broker.storage.sqlite import SqliteStore

__all__ = ["keep_trust", "kept_trust", "kept_trust_memory", "last_written", "open_store"]


def open_store(url: str, *, us: CountryCode, cipher: Cipher) -> Store:
    """Return the store of an address, ``sqlite:///path`` or ``postgresql://…``; blocks for one short query.

    Args:
        url: the address.
        us: the country that the store belongs to.
        cipher: what encrypts and opens contents: `AtRest` over the vault, or `locked` where nobody has opened it.

    Raises:
        StoreNeedsMigration: the database is empty or of another version; `migrate` mends it. Or an older program wrote
            contents in clear; `encrypt_clear` mends it.
        StoreUnavailable: it does not answer.
        SettingsInvalid: the address is none.
    """
    with checked(url) as connection:
        refuse_clear(connection)
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    return PostgresStore(parsed, us, cipher) if path is None else SqliteStore(path, us, cipher)


def last_written(url: str) -> datetime | None:
    """Return when the newest entry of the audit trail was written; None: there is none. Blocks for one short query.

    Raises:
        StoreNeedsMigration, StoreUnavailable, StoreCorrupt: it cannot be read.
    """
    with checked(url) as connection:
        page = trail.page(Execution(connection), cursor=None, limit=1)
        return page.items[0].at if page.items else None


def kept_trust(url: str) -> TrustRow | None:
    """Return the trust list that was taken last, for whoever has no store open; blocks for one short query.

    Raises:
        StoreNeedsMigration, StoreUnavailable, StoreCorrupt: it cannot be read.
    """
    with checked(url) as connection:
        return trust.newest(Execution(connection))


def kept_trust_memory(url: str) -> tuple[TrustRow | None, Mapping[str, bytes]]:
    """Return the trust list that was taken last, with what that look left; blocks for one short transaction.

    Raises:
        StoreNeedsMigration, StoreUnavailable, StoreCorrupt: it cannot be read.
    """
    check(url)
    with exclusive(url) as connection:
        db = Execution(connection)
        return trust.newest(db), trust.memory(db)


def keep_trust(url: str, row: TrustRow, memory: Mapping[str, bytes]) -> None:
    """Keep the first trust list before the store is opened.

    Raises:
        StoreNeedsMigration, StoreUnavailable, DiskFull: it was not kept.
    """
    check(url)
    with exclusive(url) as connection:
        trust.save(Execution(connection), row, memory)
