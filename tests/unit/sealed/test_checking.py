# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about what nodes hold a sealed part to, which they cannot read."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from broker.catalogue import Catalogue
from broker.core.authority_keys import revoked
from broker.core.errors import AuthorityKeyEnded, AuthorityKeyMissing, SealedPartRefused, SenderError
from broker.core.ids import AuthorityId, CountryCode, Digest, MessageId, MessageType, ProcedureId, SchemaVersion
from broker.core.messages import Header, Party, ProcedureRef
from broker.core.sealed_parts import put, value_at
from broker.core.trust import Member, RevocationReason, TrustList
from broker.sealed.checking import check_file_sent, check_received, check_sent, file_fault
from broker.sealed.files import seal_file
from broker.sealed.sealing import seal_submission
from broker.testing.offices import authority_key, office, with_office_keys
from tests.unit.sealed.conftest import NOW, RECIPIENT, SENDER

PLACE = "/care/carer/value/contact_sealed"
ID = "01920000-0000-7000-8000-000000000001"
FI = CountryCode("FI")


@pytest.fixture
def sealed(clear: dict[str, Any], trust: TrustList, catalogue: Catalogue) -> dict[str, Any]:
    """The body with its parts sealed, in a message that opens a procedure."""
    return dict(
        seal_submission(clear, country=CountryCode("EE"), trust=trust, catalogue=catalogue, now=NOW).data["body"]
    )


def header(**changes: Any) -> Header:
    """Return the header of the message that opens it."""
    reference = ProcedureRef(
        id=ProcedureId(ID), name="placement", version=SchemaVersion("1.0"), digest=Digest("0" * 64)
    )
    made = Header(
        id=MessageId(ID), type=MessageType("placement.request"), version=SchemaVersion("1.0"), sender=SENDER,
        recipient=RECIPIENT, created=NOW, exercise=False, nonce="", procedure=reference,
    )  # fmt: skip
    return replace(made, **changes)


def finland(trust: TrustList, change: Any) -> TrustList:
    """Return the list with Finland changed."""
    return replace(trust, members={**trust.members, FI: change(trust.members[FI])})


def test_what_its_office_can_open_passes_both_nodes(sealed: dict[str, Any], trust: TrustList) -> None:
    """The sending one and the receiving one."""
    check_sent(header(), sealed, trust, opens=True, now=NOW)
    check_received(header(), sealed, trust, now=NOW)


def test_a_message_without_sealed_parts_needs_no_key(trust: TrustList) -> None:
    """Offices that have none take part as before."""
    bare = finland(trust, lambda member: replace(member, authorities=()))
    check_sent(header(), {"a": [1]}, bare, opens=True, now=NOW)
    check_received(header(), {"a": [1]}, bare, now=NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"recipient": Party(country=FI, authority=AuthorityId("court"))},
        {"sender": Party(country=CountryCode("EE"), authority=AuthorityId("court"))},
        {"exercise": True},
        {"type": MessageType("placement.order")},
        {"version": SchemaVersion("1.1")},
        {"parents": (Digest("1" * 64),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_part_of_another_message_is_refused(sealed: dict[str, Any], trust: TrustList, change: dict[str, Any]) -> None:
    """Other offices, type, version, exercise, or a message that opens nothing."""
    with pytest.raises(SealedPartRefused) as caught:
        check_received(header(**change), sealed, trust, now=NOW)
    assert caught.value.where is not None
    assert caught.value.where.startswith("/body/")


def test_a_part_moved_to_another_place_or_text_is_refused(sealed: dict[str, Any], trust: TrustList) -> None:
    """Also where only one word around it is another."""
    part = value_at(sealed, PLACE)
    moved = {**put(sealed, PLACE, "x"), "handling_sealed": part}
    for body in (moved, {**sealed, "reasons": "About somebody else."}, {**sealed, "handling_sealed": part}):
        for check in (check_received, lambda *given, now: check_sent(*given, opens=True, now=now)):
            with pytest.raises(SealedPartRefused):
                check(header(), body, trust, now=NOW)


@pytest.mark.parametrize("jwe", [None, {}, "x", {"ciphertext": "AA"}])
def test_what_is_no_encryption_is_refused(sealed: dict[str, Any], trust: TrustList, jwe: Any) -> None:
    """Whatever stands there."""
    body = put(sealed, PLACE, {"kid": "x", "jwe": jwe})
    with pytest.raises(SealedPartRefused):
        check_sent(header(), body, trust, opens=True, now=NOW)


def test_a_key_of_somebody_else_is_refused(
    sealed: dict[str, Any], trust: TrustList, clear: dict[str, Any], catalogue: Catalogue
) -> None:
    """A node that would have parts sealed to itself, or to another office, gets nothing through."""
    other = finland(trust, lambda member: _with_keys(member, number=7))
    body = seal_submission(clear, country=CountryCode("EE"), trust=other, catalogue=catalogue, now=NOW).data["body"]
    check_sent(header(), body, other, opens=True, now=NOW)
    for check in (check_received, lambda *given, now: check_sent(*given, opens=True, now=now)):
        with pytest.raises(SealedPartRefused):
            check(header(), body, trust, now=NOW)


def _with_keys(member: Member, *, number: int) -> Member:
    bare = replace(member, authorities=tuple(replace(item, keys=()) for item in member.authorities))
    return with_office_keys(bare, start=NOW, number=number)


def test_an_office_without_a_key_is_told_apart_from_a_wrong_key(sealed: dict[str, Any], trust: TrustList) -> None:
    """Its country's officers must act, not the author."""
    bare = finland(
        trust, lambda member: replace(member, authorities=tuple(replace(item, keys=()) for item in member.authorities))
    )
    with pytest.raises(AuthorityKeyMissing):
        check_sent(header(), sealed, bare, opens=True, now=NOW)
    with pytest.raises(SealedPartRefused):
        check_received(header(), sealed, bare, now=NOW)


def test_a_key_is_judged_by_its_times(sealed: dict[str, Any], trust: TrustList) -> None:
    """Sent until it is sealed to no more, taken until it is accepted no more, and never once it is revoked."""
    two = finland(trust, lambda member: with_office_keys(member, start=NOW, number=2))
    end = NOW - timedelta(days=1) + timedelta(days=365)
    check_received(header(), sealed, two, now=end + timedelta(days=59))
    for now, check in (
        (end, lambda now: check_sent(header(), sealed, two, opens=True, now=now)),
        (end + timedelta(days=60), lambda now: check_received(header(), sealed, two, now=now)),
    ):
        with pytest.raises(AuthorityKeyEnded):
            check(now)
    kid = authority_key(RECIPIENT).kid
    gone = finland(two, lambda member: revoked(member, kid, at=NOW, reason=RevocationReason.COMPROMISED))
    for check in (
        lambda: check_sent(header(), sealed, gone, opens=True, now=NOW),
        lambda: check_received(header(), sealed, gone, now=NOW),
    ):
        with pytest.raises(AuthorityKeyEnded):
            check()


def test_refusals_are_the_authors_to_mend_and_say_nothing_of_the_inside() -> None:
    """They travel in receipts as codes."""
    for error in (SealedPartRefused(), AuthorityKeyEnded(), AuthorityKeyMissing()):
        assert isinstance(error, SenderError)
    assert office("FI/x").country == FI


def _file(sender: Party = SENDER, recipient: Party = RECIPIENT, key: Party = RECIPIENT) -> bytes:
    target, plain = io.BytesIO(), io.BytesIO(b"Test-photograph")
    seal_file(plain, target, name="a.txt", sender=sender, recipient=recipient, key=authority_key(key))
    return target.getvalue()


@pytest.mark.parametrize(
    ("offices", "cut", "why"),
    [
        ({}, None, None),
        ({"sender": office("EE/court")}, None, "another office"),
        ({"recipient": office("FI/court")}, None, "another office"),
        ({"key": office("FI/court")}, None, "not this office's"),
        ({}, 100, "only says"),
        ({}, 5, "only says"),
    ],
)
def test_what_a_node_sees_of_a_sealed_file_is_held_against_its_message(
    offices: dict[str, Party], cut: int | None, why: str | None, trust: TrustList
) -> None:
    """Between which offices it travels and whose key it needs stand in its head; the rest is the office's to judge."""
    found = file_fault(_file(**offices)[:cut], header(), trust, now=NOW)
    assert (found is None) if why is None else (found is not None and why in found)


def test_a_file_sealed_to_a_key_that_is_no_longer_accepted_is_told(trust: TrustList) -> None:
    """Its office may have destroyed the private half."""
    later = NOW + timedelta(days=4000)
    assert "accepted no more" in str(file_fault(_file(), header(), trust, now=later))
    assert "not this office's" in str(file_fault(_file(), header(), TrustList(version=1, members={}), now=NOW))


@pytest.mark.parametrize(
    ("offices", "cut", "code"),
    [
        ({"sender": office("EE/court")}, None, "attachment-refused"),
        ({"recipient": office("FI/court")}, None, "attachment-refused"),
        ({"key": office("FI/court")}, None, "attachment-refused"),
        ({}, 100, "attachment-refused"),
    ],
)
def test_a_file_for_another_office_does_not_leave(
    offices: dict[str, Party], cut: int | None, code: str, trust: TrustList
) -> None:
    """The sender hears it at once, with the file's place; what the office can open passes."""
    check_file_sent(_file(), header(), trust, now=NOW, where="/attachments/0/upload")
    with pytest.raises(SenderError) as refused:
        check_file_sent(_file(**offices)[:cut], header(), trust, now=NOW, where="/attachments/1/upload")
    assert (refused.value.code, refused.value.where) == (code, "/attachments/1/upload")


def test_a_file_sealed_to_a_key_that_may_not_be_sealed_to_any_more_does_not_leave(trust: TrustList) -> None:
    """Though its office could still open it: on the way its time would end."""
    office_there = trust.members[FI].authority(RECIPIENT.authority)
    assert office_there is not None
    ended = office_there.keys[0].seal_until
    assert file_fault(_file(), header(), trust, now=ended) is None
    with pytest.raises(AuthorityKeyEnded):
        check_file_sent(_file(), header(), trust, now=ended, where="/attachments/0/upload")
