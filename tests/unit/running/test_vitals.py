# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Failing health checks call a person."""

from __future__ import annotations

from broker.core.attention import AttentionCode
from broker.core.errors import StoreUnavailable
from broker.running.vitals import Vitals
from broker.testing.world import World


class Check:
    """A health check that a test sets."""

    def __init__(self) -> None:
        self.sentence: str | None = None
        self.error: StoreUnavailable | None = None

    async def __call__(self) -> str | None:
        if self.error is not None:
            raise self.error
        return self.sentence


def _vitals(world: World, **checks: Check) -> Vitals:
    ee = world["EE"]
    return Vitals(store=ee.store, ledger=ee.desk.ledger, clock=ee.clock, checks=lambda: checks)


async def test_a_check_that_keeps_failing_calls_a_person_and_heals_the_call(world: World) -> None:
    """One failure is no reason; the second calls with the check's own sentence; when it passes the entry closes."""
    transport = Check()
    vitals = _vitals(world, transport=transport)
    transport.sentence = "The message broker does not answer in time."
    await vitals()
    assert await world["EE"].attention() == []
    await vitals()
    await vitals()
    page = await world["EE"].store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    assert [(entry.code, entry.subject, entry.detail) for entry in page.items] == [
        ("node-unwell", "transport", transport.sentence)
    ]

    transport.sentence = None
    await vitals()
    assert await world["EE"].attention() == []
    transport.sentence = "Again."
    await vitals()
    assert await world["EE"].attention() == []


async def test_each_check_has_its_own_entry(world: World) -> None:
    """A failing check does not hide behind another, and a passing one leaves the other's call open."""
    one, other = Check(), Check()
    one.sentence = other.sentence = "Out of order."
    vitals = _vitals(world, transport=one, loops=other)
    await vitals()
    await vitals()
    assert await world["EE"].attention() == ["node-unwell", "node-unwell"]
    one.sentence = None
    await vitals()
    assert await world["EE"].attention() == ["node-unwell"]


async def test_a_check_that_raises_counts_as_failing(world: World) -> None:
    """The error's own sentence is told, and the other checks are still asked."""
    store, other = Check(), Check()
    store.error, other.sentence = StoreUnavailable(), "Out of order."
    vitals = _vitals(world, store=store, other=other)
    assert await vitals() == 0
    await vitals()
    page = await world["EE"].store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    assert {(entry.subject, entry.detail) for entry in page.items} == {
        ("store", "The database does not answer."), ("other", "Out of order."),
    }  # fmt: skip


async def test_a_warning_calls_a_person_at_once_and_closes_itself(world: World) -> None:
    """What is still well but ends soon needs no patience; health is asked apart from it."""
    ee, said = world["EE"], ["The certificate for the message broker ends on 2027-02-20: ask for the next one."]
    vitals = Vitals(
        store=ee.store,
        ledger=ee.desk.ledger,
        clock=ee.clock,
        checks=dict,
        warnings={AttentionCode.BROKER_CERTIFICATE: lambda: said[0] if said else None},
    )
    await vitals()
    await vitals()
    page = await ee.store.read(lambda reader: reader.attention(None, open_only=True, cursor=None, limit=9))
    assert [(entry.code, entry.detail) for entry in page.items] == [("broker-certificate", said[0])]
    said.clear()
    await vitals()
    assert await ee.attention() == []
