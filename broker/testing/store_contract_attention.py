# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The store's suite about what people are called for: lists, numbers, and whether somebody was called."""

from __future__ import annotations

from broker.core.attention import AttentionCode
from broker.core.ids import AuthorityId, CountryCode
from broker.ports import Store
from broker.testing.store_contract_reader import walk
from broker.testing.store_rows import BOARD, COURT, FI, NOW, SE, attention, later

__all__ = ["AttentionContract"]


class AttentionContract:
    """Each call is listed for whom it is, and made once."""

    async def test_attention_is_listed_per_authority(self, store: Store) -> None:
        """Newest first; what concerns the whole node is not an authority's; resolved entries on request."""
        whole_node = attention("a", at=1, authority=None)
        rows = [whole_node, attention("b", at=3), attention("c", at=3, authority=COURT), attention("d", at=2)]
        for row in rows:
            await store.run(lambda tx, row=row: tx.raise_attention(row))  # type: ignore[misc]
        await store.run(lambda tx: tx.resolve_attention("overdue-delivered", "d", at=later(9), by="officer-1"))

        async def subjects(authority: AuthorityId | None, *, open_only: bool) -> list[str]:
            found = await walk(
                store,
                lambda reader, cursor, limit: reader.attention(
                    authority, open_only=open_only, cursor=cursor, limit=limit
                ),
                limit=1,
            )
            return [row.subject for row in found]

        assert await subjects(None, open_only=False) == ["c", "b", "d", "a"]
        assert await subjects(None, open_only=True) == ["c", "b", "a"]
        assert await subjects(BOARD, open_only=False) == ["b", "d"]
        assert await subjects(BOARD, open_only=True) == ["b"]

    async def test_attention_is_listed_for_a_country_and_a_code(self, store: Store) -> None:
        """Pages limited to either or both hold every such call once, also where others of the same time lie between."""
        rows = [
            attention(f"{country}-{code}-{at}", at=at, code=code, peer=country)
            for at in (1, 2)
            for country in (FI, SE)
            for code in (AttentionCode.OVERDUE_DELIVERED, AttentionCode.GAP)
        ]
        for row in (*rows, attention("no-country", at=2, peer=None)):
            await store.run(lambda tx, row=row: tx.raise_attention(row))  # type: ignore[misc]

        async def subjects(peer: CountryCode | None, code: AttentionCode | None) -> list[str]:
            found = await walk(
                store,
                lambda reader, cursor, limit: reader.attention(
                    None, open_only=True, cursor=cursor, limit=limit, peer=peer, code=code
                ),
                limit=1,
            )
            return [row.subject for row in found]

        assert await subjects(SE, None) == ["SE-gap-2", "SE-overdue-delivered-2", "SE-gap-1", "SE-overdue-delivered-1"]
        assert await subjects(None, AttentionCode.GAP) == ["SE-gap-2", "FI-gap-2", "SE-gap-1", "FI-gap-1"]
        assert await subjects(FI, AttentionCode.GAP) == ["FI-gap-2", "FI-gap-1"]
        assert await subjects(FI, AttentionCode.FORKED) == []

    async def test_of_thousands_that_are_open_the_list_is_the_same(self, store: Store) -> None:
        """Newest first, page by page, without what is closed, and per authority."""
        count = 1_005
        rows = [attention(f"s{n}", at=n // 2, authority=COURT if n % 400 == 0 else BOARD) for n in range(count)]
        await store.run(lambda tx: [tx.raise_attention(row) for row in rows])
        await store.run(lambda tx: tx.resolve_attention(rows[-2].code, rows[-2].subject, at=NOW, by="officer"))

        async def listed(authority: AuthorityId | None) -> list[str]:
            found = await walk(
                store,
                lambda reader, cursor, limit: reader.attention(authority, open_only=True, cursor=cursor, limit=limit),
                limit=300,
            )
            return [row.subject for row in found]

        still = [row.subject for row in reversed(rows) if row is not rows[-2]]
        assert await listed(None) == still
        assert await listed(COURT) == ["s800", "s400", "s0"]

    async def test_one_attention_entry_is_found_by_its_number(self, store: Store) -> None:
        """With who resolved it and when, and only for its authority."""
        await store.run(lambda tx: tx.raise_attention(attention()))
        await store.run(lambda tx: tx.resolve_attention("overdue-delivered", "message-1", at=later(9), by="officer-1"))
        page = await store.read(lambda reader: reader.attention(None, open_only=False, cursor=None, limit=5))
        (row,) = page.items
        assert (row.resolved, row.resolved_by, row.detail) == (later(9), "officer-1", attention().detail)
        assert await store.read(lambda reader: reader.attention_entry(row.id, BOARD)) == row
        assert await store.read(lambda reader: reader.attention_entry(row.id, None)) == row
        assert await store.read(lambda reader: reader.attention_entry(row.id, COURT)) is None
        assert await store.read(lambda reader: reader.attention_entry(row.id + 1, None)) is None

    async def test_open_calls_are_read_behind_a_number(self, store: Store) -> None:
        """In the order of their numbers, which go on where entries are closed."""

        async def behind(number: int, limit: int = 9) -> list[str]:
            found = await store.read(lambda reader: reader.calls_behind(number, limit=limit))
            return [call.subject for call in found]

        assert (await store.read(lambda reader: reader.newest_call()), await behind(0)) == (0, [])
        rows = [attention(f"s{number}") for number in range(4)]
        await store.run(lambda tx: [tx.raise_attention(row) for row in rows])
        first, *_ = await store.read(lambda reader: reader.calls_behind(0, limit=1))
        await store.run(lambda tx: tx.resolve_attention(rows[1].code, "s1", at=NOW, by="officer"))
        await store.run(lambda tx: tx.resolve_attention(rows[3].code, "s3", at=NOW, by="officer"))
        assert await behind(first.id - 1) == ["s0", "s2"]
        assert (await behind(first.id), await behind(0, limit=1)) == (["s2"], ["s0"])
        assert await store.read(lambda reader: reader.newest_call()) == first.id + 3

    async def test_whether_a_person_was_called_about_something(self, store: Store) -> None:
        """One that a person closed counts and is no longer open; another code or subject is another call."""
        row = attention()
        assert await store.run(lambda tx: tx.last_call(row.code, row.subject)) is None
        await store.run(lambda tx: tx.raise_attention(row))
        assert await store.read(lambda reader: reader.called(row.code, row.subject))
        assert not await store.read(lambda reader: reader.called(row.code, "something else"))
        assert not await store.read(lambda reader: reader.called("another-code", row.subject))
        [call] = await store.read(lambda reader: reader.open_calls([row.code, "another-code"]))
        assert (call.code, call.subject) == (row.code, row.subject)
        assert await store.read(lambda reader: reader.open_calls(["another-code"])) == ()

        await store.run(lambda tx: tx.resolve_attention(row.code, row.subject, at=NOW, by="officer"))
        assert await store.read(lambda reader: reader.called(row.code, row.subject))
        assert await store.read(lambda reader: reader.open_calls([row.code])) == ()
        last = await store.run(lambda tx: tx.last_call(row.code, row.subject))
        assert last is not None
        assert (last.resolved, last.resolved_by) == (NOW, "officer")
        await store.run(lambda tx: tx.raise_attention(row))
        last = await store.run(lambda tx: tx.last_call(row.code, row.subject))
        assert last is not None
        assert last.resolved is None

    async def test_a_call_that_the_node_closed_may_be_made_again(self, store: Store) -> None:
        """What it was about had ended: when that begins anew, nobody was called."""
        row = attention()
        for by, called in (("node", False), ("officer", True), ("node", True)):
            await store.run(lambda tx: tx.raise_attention(row))
            assert await store.read(lambda reader: reader.called(row.code, row.subject))
            await store.run(lambda tx, by=by: tx.resolve_attention(row.code, row.subject, at=NOW, by=by))  # type: ignore[misc]
            assert await store.read(lambda reader: reader.called(row.code, row.subject)) is called

    async def test_what_was_closed_later_than_now_may_be_called_for_when_it_is_time(self, store: Store) -> None:
        """A clock that was ahead called too early, and a person closed that; who is called still, is called."""
        row = attention()
        await store.run(lambda tx: tx.raise_attention(row))
        assert await store.read(lambda reader: reader.called(row.code, row.subject, now=NOW))
        await store.run(lambda tx: tx.resolve_attention(row.code, row.subject, at=later(60), by="officer"))
        for now, called in ((later(59), False), (later(60), True)):
            assert await store.read(lambda reader, now=now: reader.called(row.code, row.subject, now=now)) is called  # type: ignore[misc]
