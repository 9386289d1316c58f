# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What a clock wrote that was hours ahead, as every store must set it right; one of the suites in `store_contract.py`."""

# ruff: noqa: S106 - tokens here are those of leases, no secrets

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from broker.ports import Store, Transaction
from broker.rows import InboxState, OutboxState
from broker.testing.store_contract_attachments import attachment
from broker.testing.store_rows import FI, NOW, attention, held, incoming, later, message_id, outgoing

__all__ = ["FutureContract"]

_HOUR = 3600.0
_WRITTEN = {1: -60.0, 2: 599.0, 3: 6 * _HOUR, 4: 30 * _HOUR}  # by number, in seconds from now
_SET_RIGHT = {
    1: -60.0,
    2: 599.0,
    3: 0.0,
    4: 30 * _HOUR,
}  # minutes may be another machine's clock, more than a day is not ours
_EVER = {*_WRITTEN.values(), *_SET_RIGHT.values()}
_FAR = later(100 * _HOUR)


def _sent(tx: Transaction, number: int, at: datetime) -> None:
    tx.add_outbox(outgoing(number), next_at=at)
    tx.lease_outbox(now=at, until=at, token="t", limit=1)
    tx.mark_published([message_id(number)], at=at, token="t")


def _came(tx: Transaction, number: int, at: datetime) -> None:
    tx.add_inbox(incoming(number), next_at=at)
    tx.lease_inbox(now=at, until=at, token="t", limit=1)
    tx.mark_handed_over(FI, message_id(number), at=at, token="t")


def _parked(tx: Transaction, number: int, at: datetime) -> None:
    tx.park(replace(held(number, due=number), received=at), max_items=9, max_bytes=9_999)


def _asked(tx: Transaction, number: int, at: datetime) -> None:
    tx.add_attachment(attachment(number, author=FI, at=at))
    tx.save_attachment(attachment(number, author=FI, asked=at, next_at=_FAR, attempts=1))


def _called(tx: Transaction, number: int, at: datetime) -> None:
    tx.raise_attention(replace(attention(f"s{number}"), at=at))


def _since_called(tx: Transaction) -> dict[int, datetime]:
    calls = {number: tx.last_call(attention().code, f"s{number}") for number in _WRITTEN}
    return {number: call.at for number, call in calls.items() if call is not None}


def _since_sent(tx: Transaction) -> dict[int, datetime]:
    return {
        number: later(at)
        for number in _WRITTEN
        for at in _EVER
        if tx.outbox_waits(message_id(number), state=OutboxState.PUBLISHED, since=later(at))
    }


def _since_came(tx: Transaction) -> dict[int, datetime]:
    return {
        number: later(at)
        for number in _WRITTEN
        for at in _EVER
        if tx.inbox_waits(FI, message_id(number), state=InboxState.HANDED_OVER, since=later(at))
    }


def _since_parked(tx: Transaction) -> dict[int, datetime]:
    rows = tx.due_parked(now=later(9), limit=9)
    return {number: row.received for number in _WRITTEN for row in rows if row.sha256 == held(number).sha256}


def _since_described(tx: Transaction) -> dict[int, datetime]:
    rows = {number: tx.attachment(FI, message_id(number), attachment(number).handle) for number in _WRITTEN}
    return {number: row.at for number, row in rows.items() if row is not None}


class FutureContract:
    """Nobody would be called about it before its time has come."""

    @pytest.mark.parametrize(
        ("write", "read"),
        [
            (_sent, _since_sent),
            (_came, _since_came),
            (_parked, _since_parked),
            (_asked, _since_described),
            (_called, _since_called),
        ],
        ids=["sent", "received", "parked", "attached", "called"],
    )
    async def test_what_began_hours_ahead_began_now(
        self,
        store: Store,
        write: Callable[[Transaction, int, datetime], None],
        read: Callable[[Transaction], dict[int, datetime]],
    ) -> None:
        """But not what a clock wrote that differs by minutes, nor what is more than a day ahead: then now is wrong."""
        for number, at in _WRITTEN.items():
            await store.run(lambda tx, number=number, at=at: write(tx, number, later(at)))  # type: ignore[misc]
        assert await store.run(read) == {number: later(at) for number, at in _WRITTEN.items()}
        await store.run(lambda tx: tx.set_right(now=NOW))
        assert await store.run(read) == {number: later(at) for number, at in _SET_RIGHT.items()}

    async def test_whether_something_of_ours_was_sent_hours_ahead_is_told_once(self, store: Store) -> None:
        """Somebody is to hear that other countries take it hours later; set right once, it is told no more."""
        told = []
        for number, at in enumerate((0, 599, _HOUR)):
            await store.run(lambda tx, number=number, at=at: _sent(tx, number, later(at)))  # type: ignore[misc]
            told.append([await store.run(lambda tx: tx.set_right(now=NOW)) for _ in range(2)])
        assert told == [[False, False], [False, False], [True, False]]

    async def test_chunks_that_were_asked_for_hours_ahead_are_asked_for_now(self, store: Store) -> None:
        """The pause after that question would last for those hours too; every other pause goes on."""
        for number, at in _WRITTEN.items():
            await store.run(lambda tx, number=number, at=at: _asked(tx, number, later(at)))  # type: ignore[misc]
        await store.run(lambda tx: tx.set_right(now=NOW))
        rows = [
            await store.read(lambda reader, n=number: reader.attachment(FI, message_id(n), attachment(n).handle))  # type: ignore[misc]
            for number in _WRITTEN
        ]
        assert [row is not None and (row.asked, row.next_at) for row in rows] == [
            (later(-60), _FAR), (later(599), _FAR), (NOW, NOW), (later(30 * _HOUR), _FAR),
        ]  # fmt: skip
