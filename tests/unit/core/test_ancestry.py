# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about ancestry as sets of bits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker.core.ancestry import Ancestry, bits, build
from broker.core.ids import Digest


def _name(number: int) -> Digest:
    return Digest(f"{number:064x}")


A, B, C, D, LOST = (_name(number) for number in range(5))
DIAMOND = {D: (B, C), C: (A,), B: (A,), A: ()}


def _never(_: Digest) -> bool:
    return False


def test_parents_come_first_and_ties_go_by_digest() -> None:
    """The order does not depend on the order of the input."""
    for named in (DIAMOND, dict(reversed(DIAMOND.items()))):
        assert build(named, _never).order == (A, B, C, D)


def test_what_goes_first_precedes_smaller_digests() -> None:
    """Among ready messages the preferred one is placed first, never before its parents."""
    assert build(DIAMOND, lambda digest: digest == C).order == (A, C, B, D)
    assert build(DIAMOND, lambda digest: digest == D).order == (A, B, C, D)


def test_a_message_without_its_ancestry_is_not_placed() -> None:
    """A missing parent is named, and what descends from it waits."""
    ancestry = build({A: (), B: (A, LOST), C: (B,), D: (A,)}, _never)
    assert ancestry.order == (A, D)
    assert ancestry.missing == {LOST}


def test_messages_in_a_circle_are_not_placed() -> None:
    """A circle, which no digest can really make, hangs nothing."""
    assert build({A: (B,), B: (A,), C: ()}, _never).order == (C,)


def test_a_repeated_parent_counts_once() -> None:
    """Naming a parent twice does not keep a message waiting."""
    assert build({A: (), B: (A, A)}, _never).order == (A, B)


def test_closures_and_maximal_messages() -> None:
    """The closure holds heads and ancestors; an unknown head has none; maximal messages are no one's ancestors."""
    ancestry = build(DIAMOND, _never)
    assert ancestry.closure((B,)) == 0b0011
    assert ancestry.closure((B, C)) == 0b0111
    assert ancestry.closure(()) == 0
    assert ancestry.closure((LOST,)) is None
    assert ancestry.maximal(0b1111) == (D,)
    assert ancestry.maximal(0b0111) == (B, C)
    assert ancestry.maximal(0) == ()


GRAPHS = st.lists(st.sets(st.integers(0, 30), max_size=3), max_size=25)


def _graph(parents: list[set[int]]) -> Ancestry:
    return build(
        {_name(n): tuple(_name(p % n) for p in sorted(named)) if n else () for n, named in enumerate(parents)}, _never
    )


@given(GRAPHS)
def test_ancestors_and_descendants_mirror_each_other(parents: list[set[int]]) -> None:
    """One descends from another exactly where that is above it, and ancestry is transitive."""
    ancestry = _graph(parents)
    below = ancestry.below()
    for position, above in enumerate(ancestry.above):
        for ancestor in bits(above):
            assert ancestor < position
            assert below[ancestor] >> position & 1
            assert not ancestry.above[ancestor] & ~above
        assert not any(below[other] >> position & 1 for other in bits(~above & (1 << len(parents)) - 1))


@given(st.sets(st.integers(0, 300)))
def test_bits_are_the_members_in_order(members: set[int]) -> None:
    """A set of bits gives back its members, lowest first."""
    assert list(bits(sum(1 << member for member in members))) == sorted(members)
