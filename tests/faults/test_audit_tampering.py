# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Whoever writes into the audit trail's table is found out, whatever he does and wherever, up to the last signed head.

A thousand entries; another country holds a signed head of every hundredth. Each kind of tampering is tried at each place,
on the rows as the database would give them: an attacker who knows the format forges digests and links as he likes, and
cannot take back what another country holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import Column, Connection, Integer

from broker.core.audit import GENESIS, AuditAction, AuditRow, Entry, Head, Linked, chained, link_bytes
from broker.core.ids import AuthorityId, CountryCode, ProcedureId
from broker.core.roles import AuditRole
from broker.core.trail import Anchor, Finding, Tampering, TrailCheck
from broker.storage import migrate
from broker.storage import trail as stored
from broker.storage.columns import Moment
from broker.storage.execution import Execution
from broker.storage.schema import exclusive
from broker.storage.tables import audit

COUNT, EVERY = 1_000, 100
START = datetime(2026, 11, 22, 3, tzinfo=UTC)
PEER = CountryCode("FI")

Trail = Sequence[Linked]


@cache
def trail() -> tuple[Linked, ...]:
    """The honest trail."""
    return chained(GENESIS, tuple(entry(number) for number in range(1, COUNT + 1)))


def entry(number: int, *, actor: str = "officer-7") -> Entry:
    """An entry of the honest trail, or the same by somebody else."""
    row = AuditRow(
        at=START + timedelta(seconds=number),
        actor=actor,
        action=AuditAction.READ,
        subject=f"01920000-0000-7000-8000-{number:012x}",
        detail="family-tracing.request",
        role=AuditRole.OFFICER,
        authority=AuthorityId("social-insurance-board"),
        procedure=ProcedureId("01920000-0000-7000-8000-000000000002"),
        peer=CountryCode("FI"),
        reason="B2B_80_1_B",
    )
    return Entry(id=number + number % 3, row=row)


def anchors(behind: int = 0) -> list[Anchor]:
    """What the other country holds."""
    return [
        Anchor(head=trail()[place - 1].head, held_by=PEER) for place in range(EVERY, COUNT + 1, EVERY) if place > behind
    ]


def first_finding(before: int, rows: Trail) -> Finding | None:
    """Check from behind an untouched beginning to the first thing that is wrong."""
    start = trail()[before - 1].head if before else GENESIS
    check = TrailCheck(anchors(before), start=start)
    for row in rows:
        check.take(row)
        if check.findings:
            return check.findings[0]
    check.finish()
    return check.findings[0] if check.findings else None


def relinked(before: int, entries: Sequence[bytes]) -> list[Linked]:
    """Link bytes anew behind an honest head, as the node itself would: a perfect forgery."""
    head, links = trail()[before - 1].head if before else GENESIS, []
    for raw in entries:
        digest = sha256(raw).hexdigest()
        chain = sha256(link_bytes(head.chain, head.position + 1, digest)).hexdigest()
        links.append(Linked(position=head.position + 1, digest=digest, chain=chain, raw=raw))
        head = links[-1].head
    return links


def rest(place: int) -> list[Linked]:
    """The honest rows from a place on, up to the next head that the other country holds."""
    return list(trail()[place - 1 : -(-place // EVERY) * EVERY])


def shifted(rows: Sequence[Linked], by: int) -> list[Linked]:
    """The rows with their places moved."""
    return [row._replace(position=row.position + by) for row in rows]


def forged(place: int) -> bytes:
    """The entry of that place, done by somebody else."""
    return entry(place, actor="officer-8").canonical()


def changed(place: int, column: str) -> list[Linked]:
    """The row with one column of its entry overwritten."""
    row, *others = rest(place)
    members = json.loads(row.raw)
    members[column] = 4711 if column == "id" else f"{members[column]}x"
    raw = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    return [row._replace(raw=raw), *others]


def removed(place: int) -> list[Linked]:
    """The row is gone."""
    return rest(place)[1:] or list(trail()[place : place + EVERY])


def removed_and_renumbered(place: int) -> list[Linked]:
    """The row is gone, and the later ones close the gap."""
    return shifted(trail()[place : place + EVERY], -1)


def inserted(place: int) -> list[Linked]:
    """A forged row, rightly linked to the one before it, and the later ones moved on."""
    return [*relinked(place - 1, [forged(place)]), *shifted(rest(place), 1)]


def swapped(place: int) -> list[Linked]:
    """Two neighbours change places, each with its own digest and link."""
    one, two, *others = [*rest(place), *trail()[-(-place // EVERY) * EVERY :][:1]]
    return [two._replace(position=one.position), one._replace(position=two.position), *others]


def moved_on(place: int) -> list[Linked]:
    """The row stands some places later, and those between have moved up, each with its own digest and link."""
    one, *others = rest(place)
    others = others or list(trail()[place : place + 1])
    return [*shifted(others, -1), one._replace(position=place + len(others))]


def moved_back(place: int) -> list[Linked]:
    """The row of the next signed head stands here, and those between have moved down."""
    *others, one = rest(place) if place % EVERY else trail()[place - 1 : place + 1]
    return [one._replace(position=place), *shifted(others, 1)]


def turned_round(place: int) -> list[Linked]:
    """All rows up to the next signed head stand in the opposite order."""
    rows = rest(place) if place % EVERY else list(trail()[place - 1 : place + 1])
    return [row._replace(position=place + number) for number, row in enumerate(reversed(rows))]


def copied(place: int) -> list[Linked]:
    """The row before it stands here once more, and the later ones have moved on."""
    return [trail()[max(place - 2, 0)]._replace(position=place), *shifted(rest(place), 1)]


def several_removed(place: int) -> list[Linked]:
    """Nine rows are gone, and the later ones close the gap."""
    return shifted(trail()[place + 8 : place + 8 + EVERY], -9)


def emptied(place: int, column: str) -> list[Linked]:
    """The row with nothing in one column of its entry."""
    row, *others = rest(place)
    raw = json.dumps(json.loads(row.raw) | {column: None}, separators=(",", ":"), sort_keys=True).encode()
    return [row._replace(raw=raw), *others]


def overwritten(place: int) -> list[Linked]:
    """The row is another one with its own digest and the link that belongs to it."""
    return [*relinked(place - 1, [forged(place)]), *rest(place)[1:]]


def digest_only(place: int) -> list[Linked]:
    """The stored digest is another."""
    row, *others = rest(place)
    return [row._replace(digest="0" * 64), *others]


def link_only(place: int) -> list[Linked]:
    """The stored link is another."""
    row, *others = rest(place)
    return [row._replace(chain="0" * 64), *others]


def rewritten(place: int) -> list[Linked]:
    """Everything from there on is linked anew behind a forged row: the chain by itself is perfect."""
    return relinked(place - 1, [forged(place), *(row.raw for row in rest(place)[1:])])


def cut_off(_: int) -> list[Linked]:
    """Everything from there on is gone."""
    return []


def cut_off_and_regrown(place: int) -> list[Linked]:
    """Everything from there on is gone, and the trail has grown to more than its old length since."""
    return relinked(place - 1, [forged(place + n) for n in range(EVERY + 1)])


COLUMNS = tuple(json.loads(entry(1).canonical()))
KINDS: dict[str, Callable[[int], list[Linked]]] = {
    "removed": removed,
    "removed and renumbered": removed_and_renumbered,
    "inserted": inserted,
    "swapped": swapped,
    "moved on": moved_on,
    "moved back": moved_back,
    "turned round": turned_round,
    "copied": copied,
    "nine removed and renumbered": several_removed,
    "overwritten and linked": overwritten,
    "its digest changed": digest_only,
    "its link changed": link_only,
    "linked anew from there on": rewritten,
    "cut off": cut_off,
    "cut off and grown again": cut_off_and_regrown,
    **{f"its {column} changed": partial(changed, column=column) for column in COLUMNS},
    **{f"its {column} emptied": partial(emptied, column=column) for column in COLUMNS},
}
# at the very end of the trail there is nothing to change places with: that a row lacks there is a test of its own
SHORT_OF_THE_END = {"swapped", "moved on", "moved back", "turned round", "removed", "removed and renumbered"}


def test_an_untouched_trail_is_proven_to_its_end() -> None:
    """Nothing is found, and the last signed head agrees."""
    check = TrailCheck(anchors())
    check.take_all(trail())
    check.finish()
    assert (check.findings, check.proven, check.count) == ([], COUNT, COUNT)


@pytest.mark.parametrize("kind", KINDS)
def test_every_tampering_is_found_at_every_place(kind: str) -> None:
    """It is found at every place up to the last signed head, and the finding covers that place."""
    last = COUNT - 1 if kind in SHORT_OF_THE_END else COUNT
    for place in range(1, last + 1):
        found = first_finding(place - 1, KINDS[kind](place))
        assert found is not None, f"{kind} at {place} was not found"
        assert found.first <= place <= found.last + 1, f"{kind} at {place} was found at {found}"


def test_the_place_is_exact_where_one_row_was_touched() -> None:
    """A removed or changed row is named alone; a break shows at the row or right behind it."""
    for place in range(1, COUNT, 37):
        for kind, tampering in (("removed", Tampering.REMOVED), ("its actor changed", Tampering.CHANGED)):
            found = first_finding(place - 1, KINDS[kind](place))
            assert found is not None
            assert (found.kind, found.first, found.last) == (tampering, place, place)
        for kind in ("inserted", "swapped", "overwritten and linked"):
            found = first_finding(place - 1, KINDS[kind](place))
            assert found is not None
            assert place <= found.last <= place + 1


def test_a_forged_chain_is_told_by_the_head_that_another_country_holds() -> None:
    """A trail that is linked anew contradicts nothing but that head, and the finding names who holds it."""
    whole = relinked(0, [forged(1), *(row.raw for row in trail()[1:])])
    alone, held = TrailCheck(), TrailCheck(anchors())
    for check in (alone, held):
        check.take_all(whole)
        check.finish()
    assert alone.findings == []
    assert held.findings[0] == Finding(kind=Tampering.REWRITTEN, first=1, last=EVERY, held_by=PEER)


def test_the_last_row_of_all_is_missed() -> None:
    """Without its last row the trail ends before a head that was signed."""
    check = TrailCheck(anchors())
    check.take_all(trail()[:-1])
    check.finish()
    assert check.findings == [Finding(kind=Tampering.CUT_OFF, first=COUNT, last=COUNT, held_by=PEER)]


def test_behind_the_last_signed_head_the_chain_alone_speaks() -> None:
    """What nobody outside holds a head of can be linked anew unseen: that is at most a minute of activity."""
    held = [Anchor(head=Head(position=EVERY, chain=trail()[EVERY - 1].head.chain), held_by=PEER)]
    check = TrailCheck(held)
    check.take_all(trail()[:EVERY])
    check.take_all(relinked(EVERY, [forged(EVERY + 1)]))
    check.finish()
    assert (check.findings, check.proven) == ([], EVERY)


# --- in the database ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """The honest trail as the node itself stores and links it."""
    url = f"sqlite:///{tmp_path_factory.mktemp('trail') / 'store.db'}"
    migrate(url)
    with exclusive(url) as connection:
        db = Execution(connection)
        for number in range(1, COUNT + 1):
            stored.add(db, entry(number).row)
        entries = stored.unlinked(db, COUNT)
        stored.save_links(db, entries, chained(GENESIS, entries))
        yield connection


def found_in(connection: Connection, honest: Trail, place: int) -> list[Finding]:
    """Check three rows as they are read, up to a head that another country holds."""
    end = honest[min(place + 2, COUNT) - 1].head
    check = TrailCheck([Anchor(head=end, held_by=PEER)], start=honest[place - 2].head if place > 1 else GENESIS)
    check.take_all(stored.linked(Execution(connection), place - 1, 3))
    check.finish()
    return check.findings


def other_values(column: Column[Any]) -> list[str]:
    """What somebody with the database's password writes into a column."""
    other = f"{column.name} + 100000" if isinstance(column.type, Integer | Moment) else f"{column.name} || 'x'"
    return [other, "NULL"] if column.nullable else [other]


CELLS = [(str(column.name), value) for column in audit.columns for value in other_values(column)]


@pytest.mark.parametrize(("column", "value"), CELLS)
def test_every_column_of_every_stored_row_is_covered(database: Connection, column: str, value: str) -> None:
    """Whatever is written into whichever column of the table, it is found at that row; untouched it is not."""
    honest = stored.linked(Execution(database), 0, COUNT)
    for place in range(1, COUNT + 1):
        database.exec_driver_sql("SAVEPOINT honest")
        change = f"UPDATE audit SET {column} = {value} WHERE position = ? AND {column} IS NOT {value}"
        assert database.exec_driver_sql(change, (place,)).rowcount == 1
        found = found_in(database, honest, place)
        database.exec_driver_sql("ROLLBACK TO honest")
        assert found, f"{column} = {value} at {place} was not found"
        assert found[0].first <= place <= found[0].last
    assert all(found_in(database, honest, place) == [] for place in range(1, COUNT + 1, 37))
