# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""A store that remembers that it had no room."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from broker.core.errors import DiskFull, StoreUnavailable
from broker.ports import Transaction
from broker.storage.watched import FULL_SECONDS, WatchedStore
from broker.testing.world import World


async def test_a_store_is_full_from_the_first_write_without_room_until_a_minute_after_the_last(world: World) -> None:
    """A smaller write that finds some room between changes nothing, nor does a read; other failures are no want of room."""
    ee = world["EE"]
    store = WatchedStore(ee.store, ee.clock)

    def refused(error: Exception) -> Callable[[Transaction], None]:
        def work(_: Transaction) -> None:
            raise error

        return work

    with pytest.raises(StoreUnavailable):
        await store.run(refused(StoreUnavailable()))
    assert store.full() is None
    for _ in range(2):
        with pytest.raises(DiskFull):
            await store.run(refused(DiskFull("There is no room left there.")))
        await store.run(lambda tx: tx.audit_head())
        await store.read(lambda reader: reader.counts())
        ee.clock.advance(FULL_SECONDS - 1)
        assert store.full() == "There is no room left there."
    ee.clock.advance(1)
    assert store.full() is None
