# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The use cases over a node's own store: what the API, the command line and adapters call.

A message submitted here while no node runs is stored all the same, and sent by the node's next start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from broker.api.local_issuer import LocalIssuer
from broker.core.errors import CatalogueInvalid, HomeInvalid
from broker.core.ids import Digest
from broker.core.retention import RetentionRules, parse_rules
from broker.desk import Desk
from broker.settings import Settings
from broker.storage import AtRest, encrypt_clear, last_written, locked, migrate, open_store
from broker.storage.blobs import DiskBlobs
from broker.storage.watched import WatchedStore
from broker.system import SystemClock, SystemIds, ThreadCompute
from broker.trust.opening import begin_trust, open_trust
from broker.vault import FileVault
from broker.wiring import wire_desk

__all__ = ["ATTACHMENTS_FOLDER", "RETENTION_FILE", "Office", "local_issuer", "open_office"]


RETENTION_FILE = (
    "retention.json"  # in the node's home: how long cases are kept here, instead of the product's own rules
)
ATTACHMENTS_FOLDER = "attachments"  # in the node's home: sealed bytes; part of a backup like the database


@dataclass(frozen=True, slots=True, kw_only=True)
class Office(Desk):
    """A desk with the settings it was opened from."""

    settings: Settings
    compute: ThreadCompute
    full: Callable[[], str | None]  # what a write said a moment ago that found no room in the database
    signed_catalogue: Digest | None  # what the trust list calls the catalogue here; None: it is not the list's

    async def close(self) -> None:
        """Release the store and the threads."""
        self.compute.close()
        await self.store.close()


def open_office(settings: Settings, vault: FileVault | None, *, wake: Callable[[], None] | None = None) -> Office:
    """Open the store of these settings, bringing its tables up to date, and wire the use cases over it.

    Args:
        settings: the node's.
        vault: the node's, opened: contents are stored under its keys. None: what needs no content works.
        wake: called when something waits for the dispatcher; without a running node nothing needs waking.

    Raises:
        StoreUnavailable, DiskFull, CatalogueInvalid, TrustListInvalid, KeyMissing: with what is wrong and where.
        StoreNeedsMigration: an older program left messages in clear, and there is no vault to encrypt them.
    """
    migrate(settings.store_url)
    clock, ids = SystemClock(after=last_written(settings.store_url)), SystemIds()
    cipher = _cipher(settings, vault)
    store = WatchedStore(open_store(settings.store_url, us=settings.country, cipher=cipher), clock)
    begun = begin_trust(settings, clock)
    trust = open_trust(begun, settings, store=store, clock=clock, ids=ids)
    desk = wire_desk(
        settings.country,
        store=store,
        blobs=DiskBlobs(settings.home / ATTACHMENTS_FOLDER),
        compute=ThreadCompute(settings.compute_threads),
        catalogue=begun.catalogue,
        trust=trust,
        trust_grace=timedelta(days=settings.trust.grace_days),
        clock=clock,
        ids=ids,
        wake=wake or _nobody_waits,
        soon=timedelta(hours=settings.ladder.deadline_soon_hours),
        retention=_retention_rules(settings),
    )
    return Office(
        settings=settings,
        full=store.full,
        signed_catalogue=begun.signed,
        **{name: getattr(desk, name) for name in Desk.__slots__},
    )


def _cipher(settings: Settings, vault: FileVault | None) -> AtRest:
    if vault is None:
        return locked()
    cipher = AtRest(vault.ring)
    cipher.newest_epoch()  # a vault without one is told of now, not at the first message
    encrypt_clear(settings.store_url, cipher)
    return cipher


def local_issuer(settings: Settings) -> LocalIssuer:
    """Return the node's own issuer of access tokens.

    Raises:
        KeyMissing, HomeInvalid: its key is not there or cannot be used.
    """
    return LocalIssuer.load(
        settings.token_key_file, us=settings.country, clock=SystemClock(), audience=settings.token_audience
    )


def _retention_rules(settings: Settings) -> RetentionRules | None:
    """Return the rules that this node puts in the place of the product's own; None: there are none."""
    file = settings.home / RETENTION_FILE
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HomeInvalid("The retention rules cannot be read.", where=str(file)) from error
    try:
        return parse_rules(raw)
    except CatalogueInvalid as error:
        raise HomeInvalid(error.detail, where=f"{file}: {error.where}") from None


def _nobody_waits() -> None:
    """The running node, if there is one, polls the store."""
