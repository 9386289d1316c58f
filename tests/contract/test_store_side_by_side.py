# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""SQLite and PostgreSQL give the same answers to the same program."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.core.attention import AttentionCode
from broker.core.messages import OutboxKind
from broker.core.receipts import ReceiptKind
from broker.ports import Store, Transaction
from broker.rows import InboxState, MessageFilter, OutboxState, SeenRaw
from broker.storage import migrate, open_store
from broker.storage.reader import SqlReader
from broker.testing.at_rest import unsafe_at_rest
from broker.testing.store_rows import (
    BOARD,
    COURT,
    EE,
    FI,
    NOW,
    SE,
    attention,
    digest,
    held,
    incoming,
    kid,
    later,
    message_id,
    outgoing,
    procedure,
    procedure_id,
    receipt,
    record_entry,
    sealed,
)

pytestmark = pytest.mark.postgres

Step = Callable[[Transaction, SqlReader], Any]

_NUMBER = st.integers(0, 3)
_TIME = st.integers(0, 300).map(lambda tenths: tenths / 10)
_TOKEN = st.sampled_from(["a", "a", "a", "b"])
_PEER = st.sampled_from([FI, SE])
_OFFICE = st.sampled_from([BOARD, COURT])
_TERMS = st.frozensets(st.sampled_from(["name a", "name b", "born 2014-05-03"]), min_size=1)
_SOME_OFFICE = st.sampled_from([None, BOARD, COURT])


class _Undo(Exception):
    """Ends a program, so that its database is empty again for the next one."""


def _add_outbox(number: int, peer: Any, office: Any, receipts: bool, at: float) -> Step:
    def step(tx: Transaction, _: SqlReader) -> None:
        if tx.outbox(message_id(number)) is None:
            kind = OutboxKind.RECEIPTS if receipts else OutboxKind.MESSAGE
            tx.add_outbox(outgoing(number, recipient=peer, authority=office, kind=kind), next_at=later(at))

    return step


def _in_procedure(number: int, entry: int, author: Any, code: str | None) -> Step:
    def step(tx: Transaction, _: SqlReader) -> Any:
        if tx.lock_procedure(procedure_id(number)) is None:
            tx.add_procedure(procedure(number))
        if digest(entry) not in {row.digest for row in tx.record(procedure_id(number))}:
            tx.add_record_entry(procedure_id(number), record_entry(entry, author=author))
        if code is not None:
            tx.make_stub(procedure_id(number), digest(entry), code)
        return sorted(tx.record(procedure_id(number)), key=lambda row: row.digest)

    return step


def _evidence(number: int, kind: ReceiptKind, issued: bool, peer: Any, at: float) -> Step:
    def step(tx: Transaction, _: SqlReader) -> Any:
        issuer, author = (EE, peer) if issued else (peer, EE)
        code = "expired" if kind is ReceiptKind.REFUSED else None
        row = receipt(number, kind, issuer=issuer, author=author, at=at, code=code)
        return tx.add_receipt(row, issued=issued), None if issued else tx.settle_outbox([row])

    return step


def _page(number: int, wanted: MessageFilter, limit: int) -> Step:
    def step(_: Transaction, reader: SqlReader) -> Any:
        first = reader.messages(wanted, cursor=None, limit=limit)
        following = reader.messages(wanted, cursor=first.next, limit=limit) if first.next else None
        return first, following, reader.messages_of(message_id(number), wanted.authority)

    return step


def _attend(number: int, office: Any, resolve: bool) -> Step:
    def step(tx: Transaction, reader: SqlReader) -> Any:
        done: Any
        if resolve:
            done = tx.resolve_attention("overdue-delivered", str(number), at=NOW, by="officer-1")
        else:
            done = tx.raise_attention(attention(str(number), at=number, authority=office))
        pages = [reader.attention(office, open_only=only, cursor=None, limit=3).items for only in (True, False)]
        return done, [[replace(row, id=0) for row in page] for page in pages]

    return step


def _search(number: int, said: frozenset[str], asked: frozenset[str], office: Any, limit: int) -> Step:
    def step(tx: Transaction, reader: SqlReader) -> Any:
        tx.settle_search(procedure_id(number), said)
        first = reader.possible_procedures(asked, office, cursor=None, limit=limit)
        following = reader.possible_procedures(asked, office, cursor=first.next, limit=limit) if first.next else None
        return first, following, reader.search_owed(9)

    return step


def _held(number: int, user: str | None, size: int, park: bool, at: float) -> Step:
    def step(tx: Transaction, _: SqlReader) -> Any:
        keep = tx.park if park else tx.quarantine
        keep(held(number, user=user, size=size, due=at), max_items=3, max_bytes=100)
        return tx.due_parked(now=later(15), limit=3)

    return step


_STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(_add_outbox, _NUMBER, _PEER, _OFFICE, st.booleans(), _TIME),
    st.builds(_in_procedure, st.integers(1, 2), _NUMBER, st.sampled_from([EE, FI]), st.sampled_from([None, "a", "b"])),
    st.builds(_evidence, _NUMBER, st.sampled_from(ReceiptKind), st.booleans(), _PEER, _TIME),
    st.builds(
        _page,
        _NUMBER,
        st.builds(
            MessageFilter,
            direction=st.sampled_from([None, "in", "out"]),
            peer=st.sampled_from([None, FI, SE]),
            state=st.sampled_from([None, "recorded", "delivered", "opened"]),
            authority=_SOME_OFFICE,
        ),
        st.integers(1, 3),
    ),
    st.builds(_search, st.integers(1, 2), _TERMS, _TERMS, _SOME_OFFICE, st.integers(1, 2)),
    st.builds(_attend, _NUMBER, _SOME_OFFICE, st.booleans()),
    st.builds(_held, _NUMBER, st.sampled_from([None, "FI"]), st.integers(4, 60), st.booleans(), _TIME),
    st.builds(
        lambda n, peer, office, at, served: (
            lambda tx, _: tx.add_inbox(
                incoming(n, sender=peer, authority=office),
                next_at=later(at) if served else None,
                handed_over=None if served else later(at),
            )
        ),
        _NUMBER,
        _PEER,
        _OFFICE,
        _TIME,
        st.booleans(),
    ),
    st.builds(
        lambda at, token, limit: (
            lambda tx, _: (
                tx.lease_outbox(now=later(at), until=later(at + 10), token=token, limit=limit),
                tx.lease_inbox(now=later(at), until=later(at + 10), token=token, limit=limit),
            )
        ),
        _TIME,
        _TOKEN,
        st.integers(1, 3),
    ),
    st.builds(
        lambda n, token, to, at: (
            lambda tx, _: (tx.save_sealed([sealed(n, to=to)], token=token), tx.outbox_sealed_with(frozenset({kid(to)})))
        ),
        _NUMBER,
        _TOKEN,
        st.sampled_from(["x", "y"]),
        _TIME,
    ),
    st.builds(
        lambda n, token, at: lambda tx, _: tx.mark_published([message_id(n)], at=later(at), token=token),
        _NUMBER,
        _TOKEN,
        _TIME,
    ),
    st.builds(
        lambda n, token, at: (
            lambda tx, _: (
                tx.retry_outbox(message_id(n), next_at=later(at), error="unroutable", token=token),
                tx.retry_inbox(FI, message_id(n), next_at=later(at), error="adapter-failed", token=token),
            )
        ),
        _NUMBER,
        _TOKEN,
        _TIME,
    ),
    st.builds(
        lambda n, at, reseal, count: (
            lambda tx, _: tx.reopen_outbox(message_id(n), now=later(at), reseal=reseal, count_resend=count)
        ),
        _NUMBER,
        _TIME,
        st.booleans(),
        st.booleans(),
    ),
    st.builds(
        lambda n, peer, token, at: lambda tx, _: tx.mark_handed_over(peer, message_id(n), at=later(at), token=token),
        _NUMBER,
        _PEER,
        _TOKEN,
        _TIME,
    ),
    st.builds(
        lambda n, peer, at: lambda tx, _: tx.mark_opened(peer, message_id(n), at=later(at)), _NUMBER, _PEER, _TIME
    ),
    st.builds(
        lambda peer, limit, n: (
            lambda tx, _: (
                tx.peers_with_waiting_receipts(),
                tx.assign_receipts(tx.waiting_receipts(peer, limit), message_id(n)),
                tx.queue_receipts(peer, message_id(n), now=later(n)),
                tx.waiting_receipts(peer, 10),
            )
        ),
        _PEER,
        st.integers(1, 3),
        _NUMBER,
    ),
    st.builds(
        lambda token, now, until: lambda tx, _: tx.take_lease("x", token=token, now=later(now), until=later(until)),
        _TOKEN,
        _TIME,
        _TIME,
    ),
    st.builds(
        lambda n, at: (
            lambda tx, _: tx.save_seen(SeenRaw(sha256=digest(n), sender=FI, message=message_id(n), answered=later(at)))
        ),
        _NUMBER,
        _TIME,
    ),
    st.builds(lambda user: lambda tx, _: tx.count_abuse(user, "user-id", NOW), st.sampled_from(["FI", "SE"])),
)


# Every program begins with something to do, already leased: random steps alone seldom come so far.
_BEGINNING: list[Step] = [
    *(_add_outbox(n, peer, BOARD, n == 2, 0) for n, peer in enumerate((FI, SE, FI))),
    lambda tx, _: tx.add_inbox(incoming(0), next_at=NOW),
    lambda tx, _: tx.add_inbox(incoming(1, sender=SE, authority=COURT), next_at=NOW),
    lambda tx, _: tx.lease_outbox(now=NOW, until=later(12), token="a", limit=2),
    lambda tx, _: tx.lease_inbox(now=NOW, until=later(12), token="a", limit=1),
    *(lambda tx, _, n=n: tx.save_sealed([sealed(n, to="x")], token="a") for n in range(2)),  # type: ignore[misc]
    *(_held(n, "FI", 30, park, 10) for n in range(3) for park in (True, False)),
    *(_in_procedure(1, n, EE, None) for n in range(3)),
]


def _ending(tx: Transaction, reader: SqlReader) -> list[Any]:
    """Return everything that can be asked."""
    answers: list[Any] = [dict(reader.counts())]
    for number in range(4):
        message = message_id(number)
        answers += [tx.outbox(message), *(tx.inbox(peer, message) for peer in (FI, SE)), reader.seen([digest(number)])]
        answers += [reader.receipts_about(author, message) for author in (EE, FI, SE)]
        answers += [tx.procedure_receipts(procedure_id(number)), reader.procedure(procedure_id(number), BOARD)]
    late: dict[str, Any] = {"after": None, "until": later(15), "limit": 3}
    answers += [reader.overdue_outbox(EE, state=one, code=AttentionCode.NOT_SENT, **late) for one in OutboxState]
    answers += [reader.overdue_inbox(state=one, code=AttentionCode.UNREAD, **late) for one in InboxState]
    answers += [reader.lost_outbox(now=later(15), limit=3)]
    return answers


async def _answers(store: Store, program: list[Step]) -> list[Any]:
    """Run a program in one transaction that is rolled back, and return all its answers."""
    answers: list[Any] = []

    def run(tx: Transaction) -> None:
        answers.clear()
        reader = SqlReader(tx._connection, tx.cipher)  # type: ignore[attr-defined]
        answers.extend(step(tx, reader) for step in (*_BEGINNING, *program))
        answers.extend(_ending(tx, reader))
        raise _Undo

    with pytest.raises(_Undo):
        await store.run(run)
    return answers


@pytest.fixture
async def stores(tmp_path: Path, postgres_store_url: str) -> AsyncIterator[tuple[Store, Store]]:
    """One of each."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    migrate(url)
    both = (
        open_store(url, us=EE, cipher=unsafe_at_rest()),
        open_store(postgres_store_url, us=EE, cipher=unsafe_at_rest()),
    )
    yield both
    for store in both:
        await store.close()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=st.lists(_STEPS, min_size=15, max_size=50))
async def test_both_databases_give_the_same_answers(stores: tuple[Store, Store], program: list[Step]) -> None:
    """Whatever the program, every answer on the way and everything that can be asked at its end is equal."""
    sqlite, postgresql = stores
    assert await _answers(sqlite, program) == await _answers(postgresql, program)
