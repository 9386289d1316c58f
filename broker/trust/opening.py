# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The trust list of a home folder: what its settings name, beginning from the root that was pinned in it.

And the message catalogue: where the list names one, exactly that, so that all nodes speak the same version.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from broker.catalogue import Catalogue
from broker.core import canonical
from broker.core.errors import StoreCorrupt, StoreNeedsMigration, StoreUnavailable, TrustListInvalid
from broker.core.ids import Digest
from broker.core.trust import TrustList, TrustRule
from broker.ports import Clock, Ids, Store
from broker.rows import TrustRow
from broker.schema_files import load_catalogue, read_schema_files
from broker.settings import Settings
from broker.storage import keep_trust, kept_trust, kept_trust_memory
from broker.trust import layout
from broker.trust.catalogue_documents import PROCEDURES, load_bundle, tables_of
from broker.trust.layout import CATALOGUE_FILE, MAX_METADATA
from broker.trust.list_documents import ListDocument, read_list, trust_list_of
from broker.trust.looking_folder import earlier_tables
from broker.trust.source import StoredTrust, row_of

if TYPE_CHECKING:
    from broker.trust.client import TrustClient

__all__ = ["Begun", "begin_trust", "catalogue_in_force", "client_for", "open_catalogue", "open_trust", "trust_in_force"]

_RESTARTED = frozenset(layout.ONLINE_ROLES)  # a new root may begin their versions anew


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
    except FileNotFoundError:
        sentence = (
            "There is no root of the federation here yet: its officers give it to you, and trm trust join takes it."
        )
        raise TrustListInvalid(sentence, where=str(settings.trust_root_file), rule=TrustRule.MISSING) from None
    except OSError as error:
        sentence = f"The federation's root cannot be read ({type(error).__name__})."
        raise TrustListInvalid(sentence, where=str(settings.trust_root_file), rule=TrustRule.MISSING) from None
    return TrustClient(source_of(settings.trust_source), root)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The trust list that a node starts by, read once, and the message catalogue that it names."""

    row: TrustRow
    trust: TrustList
    catalogue: Catalogue
    signed: Digest | None  # what the list calls the catalogue; None: it is not the list's


def begin_trust(settings: Settings, clock: Clock) -> Begun:
    """Make sure that a trust list is kept which this program can use, and return it with its catalogue; blocks.

    What is kept may be damaged, or written by another version of this program: then the source is asked again.

    Raises:
        TrustListInvalid: nothing usable is kept, and the source gives nothing usable; the sentence says who must act.
        CatalogueInvalid: the catalogue of the settings cannot be used.
        StoreUnavailable, DiskFull, StoreNeedsMigration, StoreCorrupt: it cannot be kept.
    """
    row, memory = kept_trust_memory(settings.store_url)
    try:
        return _begun(settings, row, memory)
    except TrustListInvalid as error:
        unusable = error
    try:
        _fetch_anew(settings, clock, row, memory)
        return _begun(settings, *kept_trust_memory(settings.store_url))
    except TrustListInvalid as error:
        if row is None:
            raise
        sentence = (
            f"The trust list that is kept here cannot be used ({unusable.detail}), and the source gives no other "
            f"({error.detail}). This node's operator must act: mend the connection to the source, or install the version "
            "of this program that the federation works by."
        )
        raise TrustListInvalid(sentence, where=unusable.where, rule=unusable.rule) from None


def _begun(settings: Settings, row: TrustRow | None, memory: Mapping[str, bytes]) -> Begun:
    if row is None:
        raise TrustListInvalid("No trust list is kept here yet.", rule=TrustRule.MISSING)
    document = read_list(row.raw)
    trust = trust_list_of(document)
    catalogue = _catalogue_of(settings, document.catalogue, memory)
    return Begun(row=row, trust=trust, catalogue=catalogue, signed=document.catalogue)


def _fetch_anew(settings: Settings, clock: Clock, row: TrustRow | None, memory: Mapping[str, bytes]) -> None:
    """Fetch a list as if none were in force, and keep it; what was seen before is remembered all the same."""
    before = None if row is None else _readable(row)
    raw = memory.get(CATALOGUE_FILE)
    if before is not None and before.catalogue is not None and raw is not None:
        memory = {**memory, **earlier_tables(raw, before.catalogue)}
    fetched = client_for(settings).fetch(None, memory)
    if row is not None:
        _check_newer(row, before, fetched.document)
    keep_trust(settings.store_url, row_of(fetched, clock), fetched.memory)


def _readable(row: TrustRow) -> ListDocument | None:
    try:
        return read_list(row.raw)
    except TrustListInvalid:
        return None


def _check_newer(row: TrustRow, before: ListDocument | None, fresh: ListDocument) -> None:
    """Refuse what is older than the kept list, as far as that can be read."""
    sources = {} if before is None else before.sources
    behind = [role for role in {*sources} & {*fresh.sources} - _RESTARTED if fresh.sources[role] < sources[role]]
    if behind or fresh.standing < (row.root_version, row.version):
        raise TrustListInvalid("The list is older than the one in force.", rule=TrustRule.GOES_BACK)


def open_trust(begun: Begun, settings: Settings, *, store: Store, clock: Clock, ids: Ids) -> StoredTrust:
    """Return the node's trust list, which begins with the one that is kept."""
    return StoredTrust(begun.row, begun.trust, store=store, client=lambda: client_for(settings), clock=clock, ids=ids)


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
    return _catalogue_of(settings, signed, memory), signed


def catalogue_in_force(settings: Settings) -> Catalogue:
    """Return the catalogue that a node of these settings works by, or would start with; blocks.

    Raises:
        CatalogueInvalid, TrustListInvalid: it cannot be used.
    """
    try:
        return open_catalogue(settings)[0]
    except (StoreNeedsMigration, StoreUnavailable, StoreCorrupt):  # no node has started here yet
        return load_catalogue(settings.catalogue_folder)


def _catalogue_of(settings: Settings, signed: Digest | None, memory: Mapping[str, bytes]) -> Catalogue:
    if signed is None:
        return load_catalogue(settings.catalogue_folder, _earlier(memory))
    raw = memory.get(CATALOGUE_FILE)
    if raw is None or canonical.digest(raw) != signed:
        sentence = "The message catalogue that is kept is not the one that the trust list names."
        raise TrustListInvalid(sentence, where=CATALOGUE_FILE, rule=TrustRule.HASH)
    own = tables_of(read_schema_files(settings.catalogue_folder))
    return load_bundle(raw, {**own, **_earlier(memory)})


def _earlier(memory: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the procedure tables of earlier catalogues; one that is not the one it was kept as governs nothing."""
    return {
        name: raw
        for name, raw in memory.items()
        if name.startswith(PROCEDURES) and canonical.digest(raw) == name.removeprefix(PROCEDURES).removesuffix(".json")
    }


def trust_in_force(settings: Settings) -> TrustList:
    """Return the list that a node of these settings works by, or would start with; keeps nothing; blocks.

    Raises:
        TrustListInvalid: none can be read from the database, and the source gives none that can be believed.
    """
    try:
        row = kept_trust(settings.store_url)
    except (StoreNeedsMigration, StoreUnavailable, StoreCorrupt):  # no node has started yet, or its database is away
        row = None
    if row is not None:
        with suppress(TrustListInvalid):  # another version of this program kept it
            return trust_list_of(read_list(row.raw))
    return client_for(settings).fetch().trust
