# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""What every store must do so that procedures are found by people; part of `StoreContract`."""

from __future__ import annotations

from dataclasses import replace

from broker.core.ids import AuthorityId, ProcedureId
from broker.ports import Store, Transaction
from broker.security.at_rest import Scope
from broker.testing.store_rows import BOARD, CASE, COURT, FI, NOW, incoming, later, outgoing, procedure, procedure_id

__all__ = ["SearchContract"]

MAARIKA = frozenset({"name maarika", "name naidis", "born 2014-05-03"})
LEENA = frozenset({"name leena", "name naidis"})
SCOPE = Scope(f"{FI}:{CASE}")


def keep(tx: Transaction, number: int, terms: frozenset[str], *, authority: AuthorityId = BOARD) -> None:
    """Store a procedure with one message out that those terms are said in."""
    tx.add_procedure(replace(procedure(number, authority=authority), case_ref=None))
    sent = outgoing(100 + number, authority=authority, in_procedure=number)
    without_case = replace(sent.header, case_ref=None)
    tx.add_outbox(replace(sent, header=without_case, procedure=procedure_id(number)), next_at=NOW, terms=terms)


async def possible(store: Store, *terms: str, authority: AuthorityId | None = None) -> list[ProcedureId]:
    """Return all that may speak of the terms, page by page."""
    found: list[ProcedureId] = []
    cursor = None
    while True:
        page = await store.read(
            lambda reader, after=cursor: reader.possible_procedures(  # type: ignore[misc]
                frozenset(terms), authority, cursor=after, limit=2
            )
        )
        found.extend(row.ref.id for row in page.items)
        cursor = page.next
        if cursor is None:
            return found


class SearchContract:
    """What may fit is found by all of its terms, by whoever takes part, until its key is destroyed."""

    async def test_all_terms_are_found_newest_first(self, store: Store, another: Store) -> None:
        """Whatever worker stored them, in pages; a term said twice counts once."""
        await store.run(lambda tx: keep(tx, 1, MAARIKA))
        await another.run(lambda tx: keep(tx, 2, LEENA))
        await store.run(lambda tx: keep(tx, 3, MAARIKA | LEENA))
        await store.run(
            lambda tx: tx.add_outbox(
                replace(outgoing(9, in_procedure=3), procedure=procedure_id(3)), next_at=NOW, terms=LEENA
            )
        )

        assert await possible(another, "name naidis") == [procedure_id(n) for n in (3, 2, 1)]
        assert await possible(store, *MAARIKA) == [procedure_id(3), procedure_id(1)]
        assert await possible(store, "name maarika", "name leena") == [procedure_id(3)]
        assert await possible(store, "name maarika", "name nobody of all") == []

    async def test_what_came_in_is_found_as_well(self, store: Store) -> None:
        """By its own terms, in the procedure that it belongs to."""
        await store.run(lambda tx: tx.add_procedure(procedure(1)))
        await store.run(lambda tx: tx.add_inbox(incoming(2), next_at=NOW, terms=MAARIKA))
        assert await possible(store, "born 2014-05-03") == [procedure_id(1)]

    async def test_an_office_finds_what_it_takes_part_in(self, store: Store) -> None:
        """As the procedure's office or as one that joined; another one finds nothing of it."""
        await store.run(lambda tx: keep(tx, 1, MAARIKA))
        await store.run(lambda tx: keep(tx, 2, MAARIKA, authority=COURT))
        assert await possible(store, "name maarika", authority=BOARD) == [procedure_id(1)]
        assert await possible(store, "name maarika", authority=AuthorityId("nobody-here")) == []

        await store.run(lambda tx: tx.save_offices(procedure(1), [BOARD, COURT]))
        assert await possible(store, "name maarika", authority=COURT) == [procedure_id(2), procedure_id(1)]

    async def test_what_is_erased_is_found_no_more(self, store: Store, another: Store) -> None:
        """Its terms go with its key, for good; those of another case stay."""
        await store.run(lambda tx: tx.add_procedure(procedure(1)))
        await store.run(lambda tx: tx.add_outbox(outgoing(1), next_at=NOW, terms=MAARIKA))
        await store.run(lambda tx: keep(tx, 2, MAARIKA))
        await another.run(lambda tx: tx.destroy_case(SCOPE, later(60)))
        assert await possible(store, "name maarika") == [procedure_id(2)]
        await store.run(lambda tx: tx.settle_search(procedure_id(1), MAARIKA))
        assert await possible(another, "name maarika") == [procedure_id(2)]

    async def test_nothing_is_owed_to_what_was_stored_with_its_terms(self, store: Store) -> None:
        """Only an upgrade owes terms; giving some more by hand adds them."""
        await store.run(lambda tx: keep(tx, 1, LEENA))
        assert await store.read(lambda reader: reader.search_owed(9)) == ()
        await store.run(lambda tx: tx.settle_search(procedure_id(1), MAARIKA))
        assert await possible(store, "name maarika", "name leena") == [procedure_id(1)]
