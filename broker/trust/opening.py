# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The trust list of a home folder: what its settings name, beginning from the root that was pinned in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.core.errors import StoreCorrupt, StoreNeedsMigration, StoreUnavailable, TrustListInvalid
from broker.core.trust import TrustList, TrustRule
from broker.ports import Clock, Ids, Store
from broker.settings import Settings
from broker.storage import keep_trust, kept_trust
from broker.trust.layout import MAX_METADATA
from broker.trust.list_documents import read_list, trust_list_of
from broker.trust.source import StoredTrust, row_of

if TYPE_CHECKING:
    from broker.trust.client import TrustClient

__all__ = ["client_for", "open_trust", "trust_in_force"]


def client_for(settings: Settings) -> TrustClient:
    """Return the client of the source and root that the settings name; loads TUF.

    Raises:
        TrustListInvalid: no root is pinned.
        SettingsInvalid: the source is no place to fetch from.
    """
    from broker.trust.client import TrustClient
    from broker.trust.fetching import source_of

    try:
        with settings.trust_root_file.open("rb") as stream:
            root = stream.read(MAX_METADATA)
    except OSError as error:
        sentence = f"The federation's root cannot be read ({type(error).__name__}); its officers give it to you."
        raise TrustListInvalid(sentence, where=str(settings.trust_root_file), rule=TrustRule.MISSING) from None
    return TrustClient(source_of(settings.trust_source), root)


def open_trust(settings: Settings, *, store: Store, clock: Clock, ids: Ids) -> StoredTrust:
    """Return the node's trust list: the one that is kept, or on the first start one that is fetched now; blocks.

    Raises:
        TrustListInvalid: none is kept, and the source gives none that can be believed.
        StoreUnavailable, DiskFull: it cannot be kept.
    """
    row = kept_trust(settings.store_url)
    if row is None:
        fetched = client_for(settings).fetch()
        row = row_of(fetched, clock)
        keep_trust(settings.store_url, row, fetched.memory)
    return StoredTrust(row, store=store, client=lambda: client_for(settings), clock=clock, ids=ids)


def trust_in_force(settings: Settings) -> TrustList:
    """Return the list that a node of these settings works by, or would start with; keeps nothing; blocks.

    Raises:
        TrustListInvalid: none can be read from the database, and the source gives none that can be believed.
    """
    try:
        row = kept_trust(settings.store_url)
    except (StoreNeedsMigration, StoreUnavailable, StoreCorrupt):  # no node has started yet, or its database is away
        row = None
    return client_for(settings).fetch().trust if row is None else trust_list_of(read_list(row.raw))
