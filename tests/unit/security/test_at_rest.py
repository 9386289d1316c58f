# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Keys of cases, their epochs, and index tokens."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from broker.core.errors import CaseKeyMissing, KeyMissing, StoreCorrupt
from broker.core.ids import CaseRef, CountryCode, ProcedureId
from broker.security.at_rest import (
    BUCKETS,
    NO_EPOCHS,
    NO_PROCEDURE,
    CaseKey,
    EpochRing,
    Scope,
    new_key,
    place,
    scope_of,
)

FI, SE = CountryCode("FI"), CountryCode("SE")
CASE = CaseRef("CR-0123456789ABCDEFGHJK")
PROCEDURE = ProcedureId("019303e8-0000-7000-8000-000000000001")
SCOPE = Scope("FI:x")


def ring(*epochs: int) -> EpochRing:
    """Return a ring of fresh keys."""
    return EpochRing({number: new_key() for number in epochs}, new_key())


def test_a_scope_is_a_case_towards_one_country() -> None:
    """Without a case it is the procedure, without a procedure the node; another country is another scope."""
    assert scope_of(FI, CASE, PROCEDURE) == f"FI:{CASE}"
    assert scope_of(SE, CASE, PROCEDURE) != scope_of(FI, CASE, PROCEDURE)
    assert scope_of(FI, None, PROCEDURE) == f"FI:{PROCEDURE}"
    assert scope_of(FI, None, None) == NO_PROCEDURE


def test_what_is_encrypted_opens_at_its_place_alone() -> None:
    """Moved to another row or column, changed or cut by a byte, or under another key, it is corrupt."""
    key, where = CaseKey(new_key()), place("inbox_content", "content", "FI", "1")
    stored = key.encrypt(b"plain", where)

    assert key.decrypt(stored, where) == b"plain"
    assert b"plain" not in stored
    assert key.encrypt(b"plain", where) != stored
    wrong = [
        stored[:-1],
        b"",
        bytes([2]) + stored[1:],
        *(stored[:n] + bytes([stored[n] ^ 1]) + stored[n + 1 :] for n in (1, 14, 20)),
    ]
    for changed in wrong:
        with pytest.raises(StoreCorrupt):
            key.decrypt(changed, where)
    for column, row in (("header", "1"), ("content", "2")):
        with pytest.raises(StoreCorrupt):
            key.decrypt(stored, place("inbox_content", column, "FI", row))
    with pytest.raises(StoreCorrupt):
        CaseKey(new_key()).decrypt(stored, where)


def test_two_places_never_have_the_same_bytes() -> None:
    """Where one part ends and the next begins is part of the place."""
    assert place("ab", "c") != place("a", "bc")
    assert place("a", "b", "") != place("a", "b")


def test_a_wrapped_key_opens_for_its_scope_in_its_epoch() -> None:
    """Given to another case, or said to be of another epoch, it does not."""
    held, key = ring(1, 2), new_key()
    wrapped = held.wrap(key, SCOPE, 1)

    assert held.unwrap(wrapped) == key
    assert key not in wrapped.wrapped
    for changed in (replace(wrapped, scope=Scope("FI:y")), replace(wrapped, epoch=2)):
        with pytest.raises(StoreCorrupt):
            held.unwrap(changed)


def test_a_key_of_an_epoch_that_is_gone_opens_no_more() -> None:
    """After rewrapping, the same case key opens under the new epoch; under the destroyed one it is dead."""
    first, second, key = new_key(), new_key(), new_key()
    before = EpochRing({1: first}, None).wrap(key, SCOPE, 1)
    after = EpochRing({1: first, 2: second}, None).rewrap(before, 2)
    left = EpochRing({2: second}, None)

    assert left.unwrap(after) == key
    assert left.newest == 2
    with pytest.raises(CaseKeyMissing):
        left.unwrap(before)
    with pytest.raises(KeyMissing):  # not this case's matter: whoever holds these keys missed the rotation
        EpochRing({1: first}, None).unwrap(after)


def test_tokens_are_equal_for_equal_values_under_one_key_alone() -> None:
    """Purpose, order, and where a value ends all count; another key has other tokens."""
    held = ring(1)

    assert held.token("name", "a", "b") == held.token("name", "a", "b")
    assert len({held.token(*parts) for parts in (("n", "ab"), ("n", "a", "b"), ("n", "b", "a"), ("m", "ab"))}) == 4
    assert held.token("name", "a") != ring(1).token("name", "a")


def test_without_keys_people_are_told_which_command_makes_them() -> None:
    """An older vault has none; text forms never show any."""
    with pytest.raises(KeyMissing, match="trm keys generate"):
        _ = NO_EPOCHS.newest
    with pytest.raises(KeyMissing, match="trm keys generate"):
        NO_EPOCHS.token("name", "a")
    with pytest.raises(KeyMissing):
        NO_EPOCHS.buckets("name", ["a"])


def test_many_values_share_each_bucket_evenly() -> None:
    """Ten thousand words fill the buckets two or three each, under another key otherwise: a bucket confirms no word."""
    held, words = ring(1), [f"word {number}" for number in range(10_000)]
    counted = Counter(bucket for word in words for bucket in held.buckets("person", [word]))
    assert set(counted) <= set(range(BUCKETS))
    assert len(counted) > 0.85 * BUCKETS
    assert max(counted.values()) < 15
    assert held.buckets("other", words[:50]) != held.buckets("person", words[:50])
    assert held.buckets("person", words) == counted.keys()
    assert repr(ring(3)) == "EpochRing(epochs=(3,))"
