# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Holding a trail against its chain; each kind of tampering at each place is tried in tests/faults."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from broker.core.audit import GENESIS, AuditRow, Entry, Head, chained
from broker.core.ids import CountryCode, Digest
from broker.core.trail import LATE, MAX_FINDINGS, Anchor, Finding, Tampering, TrailCheck, outside

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
EE, FI = CountryCode("EE"), CountryCode("FI")


def entry(number: int, at: datetime = NOW) -> Entry:
    """Return an entry of that number."""
    return Entry(id=number, row=AuditRow(at=at, actor="node", action="received", subject=str(number)))


TRAIL = chained(GENESIS, [entry(number) for number in range(1, 6)])


def checked(rows: object, *anchors: Anchor, start: Head = GENESIS) -> TrailCheck:
    """Return the check of these rows, at its end."""
    check = TrailCheck(anchors, start=start)
    check.take_all(rows)  # type: ignore[arg-type]
    check.finish()
    return check


def test_an_untouched_trail_is_proven_up_to_its_last_anchor() -> None:
    """Entries behind the last signed head are checked against the chain alone."""
    check = checked(TRAIL, Anchor(head=TRAIL[2].head, held_by=EE))
    assert (check.findings, check.found, check.count, check.proven) == ([], 0, 5, 3)
    assert check.head == TRAIL[4].head


def test_an_empty_trail_is_in_order_until_a_head_was_signed() -> None:
    """Nothing is missing where nothing was; a signed head of nothing stored is a cut."""
    assert checked([]).findings == []
    cut = checked([], Anchor(head=TRAIL[4].head, held_by=FI))
    assert cut.findings == [Finding(kind=Tampering.CUT_OFF, first=1, last=5, held_by=FI)]


def test_a_trail_whose_beginning_was_cut_goes_on_from_a_trusted_head() -> None:
    """From the last head of what was taken away the rest follows; from any other it does not."""
    assert checked(TRAIL[2:], start=TRAIL[1].head).findings == []
    wrong = checked(TRAIL[2:], start=Head(position=2, chain=Digest("1" * 64)))
    assert wrong.findings == [Finding(kind=Tampering.BROKEN, first=3, last=3)]
    assert checked(TRAIL[2:]).findings == [Finding(kind=Tampering.REMOVED, first=1, last=2)]


def test_one_fault_is_told_once() -> None:
    """Behind a fault the check goes on from what is stored, so that a second fault is told too."""
    rows = [*TRAIL[:1], TRAIL[1]._replace(raw=b"{}"), *TRAIL[2:4], TRAIL[4]._replace(raw=b"{}")]
    assert [(found.kind, found.last) for found in checked(rows).findings] == [("changed", 2), ("changed", 5)]


def test_a_place_that_is_taken_twice_is_told() -> None:
    """The second row of a place is a finding, and its neighbours are not."""
    found = checked([*TRAIL[:2], TRAIL[1], *TRAIL[2:]]).findings
    assert found == [Finding(kind=Tampering.DOUBLED, first=2, last=2)]


def test_two_countries_may_hold_different_proofs_of_one_place() -> None:
    """Each that the trail contradicts is named."""
    other = Head(position=3, chain=Digest("2" * 64))
    check = checked(TRAIL, Anchor(head=TRAIL[2].head, held_by=EE), Anchor(head=other, held_by=FI))
    assert [(found.kind, found.held_by) for found in check.findings] == [("rewritten", "FI")]


def test_findings_are_counted_beyond_those_that_are_told() -> None:
    """A trail in ruins does not fill the memory."""
    many = chained(GENESIS, [entry(number) for number in range(1, MAX_FINDINGS + 11)])
    check = checked([row._replace(digest="0" * 64) for row in many])
    assert (len(check.findings), check.found) == (MAX_FINDINGS, MAX_FINDINGS + 10)


def test_what_waits_for_its_link_is_told_apart_from_what_was_put_there() -> None:
    """An entry without a link is older than a signed head only where somebody wrote it afterwards."""
    young, old = entry(7), entry(8, NOW - LATE - timedelta(seconds=1))
    assert outside([young, old], NOW) == (old,)
    assert outside([young, old], None) == ()
