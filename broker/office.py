# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The use cases that need no key and no transport: what the API, the command line and adapters call.

A message submitted here while no node runs is stored all the same, and sent by the node's next start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from broker.catalogue import Catalogue
from broker.flows.attend import Attend
from broker.flows.inspect import Inspect
from broker.flows.open import Open
from broker.flows.submit import Submit
from broker.ledger import Ledger
from broker.ports import Clock, Ids, Store
from broker.schema_files import load_catalogue
from broker.settings import Settings
from broker.storage import migrate, open_store
from broker.system import SystemClock, SystemIds
from broker.trust_source import FileTrustSource

__all__ = ["Office", "open_office"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """One country's store and what may be done with it without private keys."""

    settings: Settings
    clock: Clock
    ids: Ids
    store: Store
    catalogue: Catalogue
    trust: FileTrustSource
    ledger: Ledger
    submit: Submit
    open_message: Open
    inspect: Inspect
    attend: Attend

    async def close(self) -> None:
        """Release the store."""
        await self.store.close()


def open_office(settings: Settings, *, wake: Callable[[], None] | None = None) -> Office:
    """Open the store of these settings, bringing its tables up to date, and wire the use cases over it.

    Args:
        settings: the node's.
        wake: called when something waits for the dispatcher; without a running node nothing needs waking.

    Raises:
        StoreUnavailable, DiskFull, CatalogueInvalid, TrustListInvalid: with what is wrong and where.
    """
    us, clock, ids = settings.country, SystemClock(), SystemIds()
    catalogue = load_catalogue(settings.catalogue_folder)
    trust = FileTrustSource(settings.trust_list, clock)
    migrate(settings.store_url)
    store = open_store(settings.store_url, us=us)
    ledger = Ledger(us=us, catalogue=catalogue)
    ring = wake or _nobody_waits
    return Office(
        settings=settings,
        clock=clock,
        ids=ids,
        store=store,
        catalogue=catalogue,
        trust=trust,
        ledger=ledger,
        submit=Submit(us=us, store=store, trust=trust, catalogue=catalogue, clock=clock, ids=ids, wake=ring),
        open_message=Open(us=us, store=store, clock=clock, wake=ring),
        inspect=Inspect(us=us, store=store, ledger=ledger),
        attend=Attend(store=store, clock=clock),
    )


def _nobody_waits() -> None:
    """The running node, if there is one, polls the store."""
