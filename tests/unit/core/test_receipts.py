# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about receipts and their codec."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core import canonical
from broker.core.errors import SchemaInvalid
from broker.core.ids import CountryCode, Digest, MessageId
from broker.core.receipts import (
    MAX_RECEIPTS,
    Receipt,
    ReceiptKind,
    checkpoint_of,
    contradicts,
    from_body,
    supersedes,
    to_body,
    well_formed,
)

EE, FI = CountryCode("EE"), CountryCode("FI")
A, B, C = (Digest(character * 64) for character in "abc")
ID = MessageId("01890000-0000-7000-8000-000000000001")
OTHER = MessageId("01890000-0000-7000-8000-000000000002")
DELIVERED = Receipt(
    issuer=FI,
    author=EE,
    message=ID,
    digest=A,
    kind=ReceiptKind.DELIVERED,
    at=datetime(2026, 11, 22, 3, 0, 0, 250_000, tzinfo=UTC),
    heads=(A, B),
    record_digest=C,
)
REFUSED = replace(DELIVERED, kind=ReceiptKind.REFUSED, code="schema-invalid")
OPENED = replace(DELIVERED, kind=ReceiptKind.OPENED, heads=(), record_digest=None)


@pytest.mark.parametrize(
    "receipt",
    [
        DELIVERED,
        REFUSED,
        OPENED,
        replace(DELIVERED, heads=(), record_digest=None),
        replace(REFUSED, code="a" * 64),
    ],
)
def test_a_receipt_survives_the_codec(receipt: Receipt) -> None:
    """What is written is read again, through canonical bytes."""
    body = canonical.parse(canonical.dump(to_body([receipt, OPENED])))
    assert from_body(body, FI) == (receipt, OPENED)


def test_a_checkpoint_travels_beside_the_receipts_as_it_was_signed() -> None:
    """Byte for byte; a body without one brings none."""
    signed = canonical.dump({"b": 1, "a": "x"})
    body = to_body([OPENED], signed)
    assert checkpoint_of(body) == signed
    assert from_body(body, FI) == (OPENED,)
    assert checkpoint_of(to_body([OPENED])) is None


def test_members_that_do_not_apply_are_absent() -> None:
    """An opened receipt holds five members and nothing else."""
    assert set(to_body([OPENED])["receipts"][0]) == {"message", "author", "digest", "kind", "at"}


def test_heads_are_written_sorted() -> None:
    """The order in which heads were held does not show."""
    assert to_body([replace(DELIVERED, heads=(B, A))]) == to_body([DELIVERED])


def test_the_issuer_is_the_verified_sender() -> None:
    """A body cannot say who issued its receipts."""
    (receipt,) = from_body(to_body([DELIVERED]), CountryCode("SE"))
    assert receipt.issuer == "SE"


def _item(**changes: Any) -> dict[str, Any]:
    item = copy.deepcopy(to_body([DELIVERED])["receipts"][0])
    for name, value in changes.items():
        if value is None:
            del item[name]
        else:
            item[name] = value
    return item


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a member is missing": (_item(digest=None), "/digest"),
    "a member is unknown": (_item(note="x"), ""),
    "the message id is no id": (_item(message="x"), "/message"),
    "the author is no country": (_item(author="EL"), "/author"),
    "the author is the issuer": (_item(author="FI"), "/author"),
    "the digest is no digest": (_item(digest="a"), "/digest"),
    "the digest is no text": (_item(digest=7), "/digest"),
    "the kind is unknown": (_item(kind="seen"), "/kind"),
    "the kind is a list": (_item(kind=[]), "/kind"),
    "the time has another spelling": (_item(at="2026-11-22T03:00:00Z"), "/at"),
    "the time is no text": (_item(at=5), "/at"),
    "a refusal has no code": (_item(kind="refused"), "/code"),
    "a delivery has a code": (_item(code="x"), "/code"),
    "a code is a sentence": (_item(kind="refused", code="Test-Maarika Näidis"), "/code"),
    "a code is endless": (_item(kind="refused", code="a" * 65), "/code"),
    "heads are empty": (_item(heads=[]), "/heads"),
    "heads are not sorted": (_item(heads=[B, A]), "/heads"),
    "heads repeat": (_item(heads=[A, A]), "/heads"),
    "heads are too many": (_item(heads=[f"{number:064x}" for number in range(65)]), "/heads"),
    "heads are an object": (_item(heads={A: 1}), "/heads"),
    "opening states heads": (_item(kind="opened", record_digest=None), "/heads"),
    "opening states a record digest": (_item(kind="opened", heads=None), "/heads"),
    "a record digest has no heads": (_item(heads=None), "/record_digest"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_malformed_receipt_is_refused(name: str) -> None:
    """A receipt that is not of its form is refused with the place, and the text holds nothing of it."""
    item, where = WRONG[name]
    with pytest.raises(SchemaInvalid) as caught:
        from_body({"receipts": [to_body([OPENED])["receipts"][0], item]}, FI)
    assert caught.value.where == f"/body/receipts/1{where}"
    assert "Maarika" not in str(caught.value)


@pytest.mark.parametrize("name", WRONG)
def test_what_stands_beside_a_malformed_receipt_is_read_all_the_same(name: str) -> None:
    """Before it and behind it, in their order; it is none of them."""
    opened, delivered = to_body([OPENED, DELIVERED])["receipts"]
    assert well_formed({"receipts": [opened, WRONG[name][0], delivered]}, FI) == (OPENED, DELIVERED)


@pytest.mark.parametrize(
    "body", [None, [], {}, {"receipts": []}, {"receipts": {}}, {"receipts": [[]]}, {"receipts": [_item()], "more": 1}]
)
def test_a_malformed_body_is_refused(body: Any) -> None:
    """A body is exactly one non-empty list of objects."""
    with pytest.raises(SchemaInvalid):
        from_body(body, FI)


def test_a_body_holds_at_most_twenty() -> None:
    """One more than the limit is refused."""
    assert len(from_body({"receipts": [_item()] * MAX_RECEIPTS}, FI)) == MAX_RECEIPTS
    with pytest.raises(SchemaInvalid):
        from_body({"receipts": [_item()] * (MAX_RECEIPTS + 1)}, FI)
    assert well_formed({"receipts": [_item()] * (MAX_RECEIPTS + 1)}, FI) == ()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["receipts", "message", "author", "digest", "kind", "at"]), inner)
        ),
    )
)
def test_reading_accepts_or_raises_its_documented_error(body: Any) -> None:
    """No other exception escapes, whatever the value."""
    read: tuple[Receipt, ...] = ()
    with contextlib.suppress(SchemaInvalid):
        read = from_body(body, FI)
        assert read
    assert not read or well_formed(body, FI) == read


def test_only_taking_or_refusing_for_good_answers() -> None:
    """Refused for its envelope's age is no answer: the same message comes again sealed anew."""
    assert DELIVERED.answers
    assert REFUSED.answers
    assert not OPENED.answers
    assert not replace(REFUSED, code="expired").answers
    assert not replace(REFUSED, code="expiry-too-far").answers


def test_a_second_opposite_answer_contradicts() -> None:
    """Delivered after refused, or the reverse, contradicts; the same again, another message or an expiry do not."""
    assert contradicts([DELIVERED], REFUSED)
    assert contradicts([REFUSED], DELIVERED)
    assert not contradicts([DELIVERED], DELIVERED)
    assert not contradicts([DELIVERED], OPENED)
    assert not contradicts([replace(REFUSED, code="expired")], DELIVERED)
    assert not contradicts([replace(DELIVERED, issuer=CountryCode("SE"))], REFUSED)
    assert not contradicts([replace(DELIVERED, message=OTHER)], REFUSED)


def test_only_a_refusal_of_an_envelope_gives_way() -> None:
    """To the answer about the same message, or to a later refusal of a later envelope; an answer stands for good."""
    expired = replace(REFUSED, code="expired", heads=(), record_digest=None)
    later = replace(expired, code="expiry-too-far", at=expired.at + timedelta(milliseconds=1))
    assert supersedes(REFUSED, expired)
    assert supersedes(later, expired)
    assert not supersedes(expired, expired)
    assert not supersedes(expired, later)
    assert not supersedes(replace(later, digest=B), expired)
    for held in (REFUSED, DELIVERED, OPENED):
        assert not supersedes(replace(held, at=later.at), held)
        assert not supersedes(later, held)
