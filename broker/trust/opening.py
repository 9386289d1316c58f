# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The trust list of a home folder: what its settings name, beginning from the root that was pinned in it.

And the message catalogue: where the list names one, exactly that, so that all nodes speak the same version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from broker.catalogue import Catalogue
from broker.core import canonical
from broker.core.errors import StoreCorrupt, StoreNeedsMigration, StoreUnavailable, TrustListInvalid
from broker.core.ids import Digest
from broker.core.trust import TrustList, TrustRule
from broker.ports import Clock, Ids, Store
from broker.schema_files import load_catalogue, read_schema_files
from broker.settings import Settings
from broker.storage import keep_trust, kept_trust, kept_trust_memory
from broker.trust.catalogue_documents import PROCEDURES, load_bundle, tables_of
from broker.trust.layout import CATALOGUE_FILE, MAX_METADATA
from broker.trust.list_documents import read_list, trust_list_of
from broker.trust.source import StoredTrust, row_of

if TYPE_CHECKING:
    from broker.trust.client import TrustClient

__all__ = ["client_for", "open_catalogue", "open_trust", "trust_in_force"]


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


def open_catalogue(settings: Settings) -> tuple[Catalogue, Digest | None]:
    """Return the message catalogue that the kept trust list names, and its digest there; blocks.

    Without a name in the list, or a list, it is the one of the settings: their folder's, or the shipped one.

    Raises:
        CatalogueInvalid: it cannot be read or used.
        TrustListInvalid: the one that was signed cannot be used by this program, or another one is kept.
        StoreNeedsMigration, StoreUnavailable, StoreCorrupt: nobody knows what is kept.
    """
    row, memory = kept_trust_memory(settings.store_url)
    signed = None if row is None else read_list(row.raw).catalogue
    if signed is None:
        return load_catalogue(settings.catalogue_folder, _earlier(memory)), None
    raw = memory.get(CATALOGUE_FILE)
    if raw is None or canonical.digest(raw) != signed:
        sentence = "The message catalogue that is kept is not the one that the trust list names."
        raise TrustListInvalid(sentence, where=CATALOGUE_FILE, rule=TrustRule.HASH)
    own = tables_of(read_schema_files(settings.catalogue_folder))
    return load_bundle(raw, {**own, **_earlier(memory)}), signed


def _earlier(memory: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: raw for name, raw in memory.items() if name.startswith(PROCEDURES)}


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
