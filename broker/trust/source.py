# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The trust list of a running node: fetched by one worker, kept in the database, read by all of them.

A worker never works by a list that is not kept: what it judged by can be shown later, as of its day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from broker.core import canonical
from broker.core.delivery import TRUST_REFRESH_SECONDS
from broker.core.trust import TrustList
from broker.ports import Clock, Ids, Store, Transaction, TrustLook
from broker.rows import TrustRow
from broker.trust.list_documents import read_list, trust_list_of, write_list

if TYPE_CHECKING:
    from broker.trust.client import Fetched, Trouble, TrustClient

__all__ = ["LOOK_SECONDS", "StoredTrust", "row_of"]

LOOK_SECONDS = 900  # between two regular looks of all workers together, give or take a tenth
# Leases: whoever gets one asks the source, and nobody else until it ends.
_REGULAR, _ASKED = "trust-look", "trust-asked"


class StoredTrust:
    """Implements `ports.TrustSource`."""

    def __init__(
        self,
        first: TrustRow,
        in_force: TrustList,
        *,
        store: Store,
        client: Callable[[], TrustClient],
        clock: Clock,
        ids: Ids,
    ) -> None:
        """Args:
        first, in_force: the list in force, as it is kept and as it is read.
        store: keeps the lists.
        client: opens the source; called by whoever looks.
        clock: the node's.
        ids: for the lease.
        """
        self._row = first
        self._current = in_force
        self._store = store
        self._client = client
        self._clock = clock
        self._ids = ids

    def current(self) -> TrustList:
        """Return the list in force."""
        return self._current

    def looked(self) -> datetime:
        """Return when a look of any worker that gave the list in force last began."""
        return self._row.looked or self._row.accepted

    async def refresh(self, *, asked: bool) -> TrustLook | None:
        """Ask the source if it is time and no other worker did, and take the newest kept list into force.

        Raises:
            TrustListInvalid: what the source gave breaks a rule; nothing was kept.
            StoreUnavailable, DiskFull: nothing was kept.
        """
        ours = await self._store.run(lambda tx: self._is_ours(tx, asked=asked))
        troubles = await self._look() if ours else None
        await self._adopt()
        if troubles is None:
            return None
        refused = {item.country: f"{item.rule}: {item.detail}" for item in troubles if item.country is not None}
        unread = {item.document: f"{item.rule}: {item.detail}" for item in troubles if item.country is None}
        return TrustLook(troubles=refused, unread=unread)

    async def _look(self) -> tuple[Trouble, ...]:
        row, memory = await self._store.run(lambda tx: (tx.trust_list(), tx.trust_memory()))
        held, began = read_list((row or self._row).raw), self._clock.now()
        fetched = await asyncio.to_thread(lambda: self._client().fetch(held, memory))
        fresh = replace(row_of(fetched, self._clock), looked=began)

        def keep(tx: Transaction) -> None:
            newest = tx.trust_list()
            if newest is not None and read_list(newest.raw).standing > fetched.document.standing:
                return  # another worker's look began later and was faster: a revocation must not be undone
            tx.save_trust(fresh, fetched.memory)

        await self._store.run(keep)
        return fetched.troubles

    async def _adopt(self) -> None:
        row = await self._store.run(lambda tx: tx.trust_list())
        if row is None:
            return
        if row.digest != self._row.digest:
            self._current = trust_list_of(read_list(row.raw))
        self._row = row

    def _is_ours(self, tx: Transaction, *, asked: bool) -> bool:
        """Whether this worker looks now: each look has a token of its own, so a lease is never renewed, only over."""
        now, token = self._clock.now(), self._ids.token()
        if asked:
            until = now + timedelta(seconds=TRUST_REFRESH_SECONDS - 1)  # the flow's own rhythm meets it free
            return tx.take_lease(_ASKED, token=token, now=now, until=until)
        until = now + timedelta(seconds=LOOK_SECONDS * (0.9 + 0.2 * self._ids.jitter()))
        return tx.take_lease(_REGULAR, token=token, now=now, until=until)


def row_of(fetched: Fetched, clock: Clock) -> TrustRow:
    """Return what is kept of a look."""
    raw = write_list(fetched.document)
    return TrustRow(
        version=fetched.document.version,
        root_version=fetched.document.root_version,
        digest=canonical.digest(raw),
        raw=raw,
        accepted=clock.now(),
    )
