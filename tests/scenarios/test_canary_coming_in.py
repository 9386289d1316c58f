# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Promise P5 on the way in: what another country's node writes about people is repeated nowhere but to its readers."""

from __future__ import annotations

import copy
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from broker.core.canonical import dump, parse
from broker.core.ids import CountryCode
from broker.core.messages import Delivery
from broker.core.receipts import ReceiptKind
from broker.metrics import Metrics
from broker.running.receiving import Receiving
from broker.testing.canaries import texts
from broker.testing.hostile import Hostile
from broker.testing.network import Endpoint
from broker.testing.world import World

EE, FI = CountryCode("EE"), CountryCode("FI")


class WhatLiesThere(Endpoint):
    """A country's end of the network that ends when it has handed out what lies there."""

    async def deliveries(self) -> AsyncIterator[Delivery]:
        for delivery in list(self._network.waiting[FI]):
            yield delivery


async def test_a_name_that_comes_in_any_place_is_repeated_nowhere(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Logs, metrics, calls for people, audit trail and answers hold no text of a message, taken, refused or set aside."""
    canary, hostile, fi = "Zzmaarika", Hostile(world["EE"], world["FI"]), world["FI"]
    caplog.set_level(logging.DEBUG)
    request = hostile.message("request.json")
    refused = hostile.receipt(request.id, request.digest, ReceiptKind.REFUSED, code="schema-invalid")
    ids = []
    for entry in (request, hostile.receipts(refused)):
        content = parse(entry.content)
        for path in (*texts(content), ("header", canary), ("body", canary)):
            planted = copy.deepcopy(content)
            planted["header"]["id"] = fresh = world["EE"].ids.message_id()
            ids.append(fresh)
            holder = planted
            for name in path[:-1]:
                holder = holder[name]
            holder[path[-1]] = f"{canary} Näidis"
            world.network.waiting[FI].append(hostile.seal(replace(entry, id=fresh, content=dump(planted))))
    metrics = Metrics(CollectorRegistry())
    receiving = Receiving(
        transport=WhatLiesThere(world.network, FI),
        receive=fi.engine.receive,
        take_chunk=fi.engine.take_chunk,
        trust=fi.trust,
        store=fi.store,
        ledger=fi.desk.ledger,
        metrics=metrics,
        clock=fi.clock,
        concurrency=8,
    )
    await receiving.run()

    counts = await fi.counts()
    assert (len(ids) > 60, counts["quarantine"] > 5, counts["inbox.handed-over"] > 5) == (True, True, True)
    called = await fi.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=500))
    trail = await fi.store.read(lambda reader: reader.audit(cursor=None, limit=500))
    answers = await fi.store.read(lambda reader: [item for one in ids for item in reader.receipts_about(EE, one)])
    said = [metrics.exposition({}).decode(), *map(str, (*called.items, *trail.items, *answers))]
    said += [str(record.__dict__) for record in caplog.records]
    assert len(said) > 2 * len(ids)
    assert [line for line in said if canary.lower() in line.lower()] == []
