# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about who takes part in a procedure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from broker.core.ids import AuthorityId, CountryCode, MessageId, MessageType, SchemaVersion
from broker.core.messages import Header, Party
from broker.core.participants import Participant, Roster, may_send, named_offices, roster
from broker.core.procedures import Act, ActKind, ParticipantRole, Role

EE, FI = CountryCode("EE"), CountryCode("FI")
BOARD, COUNTY, MINISTRY = AuthorityId("social-board"), AuthorityId("county"), AuthorityId("ministry")
ASKS, ASKED, DECIDES, OBSERVES = (
    ParticipantRole(name) for name in ("REQUESTING", "REQUESTED", "DECIDING", "OBSERVING")
)


def _message(act: str, sender: tuple[CountryCode, AuthorityId], recipient: tuple[CountryCode, AuthorityId]) -> Header:
    return Header(
        id=MessageId("019ab6c8-1c00-7a00-8a00-000000000001"),
        type=MessageType(f"small.{act}"),
        version=SchemaVersion("1.0"),
        sender=Party(country=sender[0], authority=sender[1]),
        recipient=Party(country=recipient[0], authority=recipient[1]),
        created=datetime(2026, 11, 22, tzinfo=UTC),
        exercise=False,
        nonce="A" * 22,
    )


def _roster(*changes: Any) -> Roster:
    return roster(Party(country=EE, authority=BOARD), Party(country=FI, authority=COUNTY), changes)


def _office(country: CountryCode, authority: AuthorityId | None) -> dict[str, Any]:
    named = {} if authority is None else {"authority": str(authority)}
    return {"name": "Näidis", "kind": "COURT", "country": str(country), **named}


def _change(change: str, role: ParticipantRole, country: CountryCode, authority: AuthorityId | None) -> Any:
    body = {
        "changes": [{"change": change, "office": _office(country, authority), "role": str(role), "from": "2026-12-01"}]
    }
    return _message("participant-change", (FI, COUNTY), (EE, BOARD)), body


def _in(country: CountryCode, authority: AuthorityId, role: ParticipantRole) -> Participant:
    return Participant(country=country, authority=authority, role=role)


def test_the_opening_names_the_two_sides_offices() -> None:
    """Before any change the sender's office asks and the recipient's is asked."""
    found = _roster()
    assert found.now == (_in(EE, BOARD, ASKS), _in(FI, COUNTY, ASKED))
    assert (found.main(EE, Role.REQUESTING), found.main(FI, Role.REQUESTED)) == (BOARD, COUNTY)
    assert found.main(EE, Role.REQUESTED) is None


def test_offices_join_and_leave_by_their_own_side() -> None:
    """A change takes offices of its author's country in and out; the other participants stay, and none is forgotten."""
    joined = _roster(_change("JOINS", DECIDES, FI, MINISTRY))
    assert joined.now == (_in(EE, BOARD, ASKS), _in(FI, COUNTY, ASKED), _in(FI, MINISTRY, DECIDES))
    assert joined.offices(FI) == (COUNTY, MINISTRY)
    left = _roster(_change("JOINS", DECIDES, FI, MINISTRY), _change("LEAVES", DECIDES, FI, MINISTRY))
    assert left.now == _roster().now
    assert left.took_part(FI, MINISTRY)
    assert not left.takes_part(FI, MINISTRY)


def test_the_last_office_of_a_side_stays() -> None:
    """Somebody must be there to whom the other country can write."""
    assert _roster(_change("LEAVES", ASKED, FI, COUNTY)).now == _roster().now


def test_an_office_of_another_country_or_without_a_name_in_the_trust_list_never_joins() -> None:
    """Exactly two nodes are the sides of a record: nobody brings in the other side's offices or a third country's."""
    for country, authority in ((EE, MINISTRY), (CountryCode("SE"), MINISTRY), (FI, None)):
        assert _roster(_change("JOINS", OBSERVES, country, authority)).now == _roster().now


def _notice(country: CountryCode, authority: AuthorityId | None) -> tuple[Header, dict[str, Any]]:
    return _message("forward-notice", (FI, COUNTY), (EE, BOARD)), {"forwarded_to": _office(country, authority)}


def test_forwarding_hands_over_the_requested_role() -> None:
    """B2b 76: the office named is asked from now on, and the one that forwarded is not; abroad nothing is handed over."""
    for country, authority, after in (
        (FI, MINISTRY, MINISTRY),
        (CountryCode("SE"), MINISTRY, COUNTY),
        (FI, None, COUNTY),
    ):
        found = _roster(_notice(country, authority))
        assert found.now == (_in(EE, BOARD, ASKS), _in(FI, after, ASKED))
        assert found.main(FI, Role.REQUESTED) == after
        assert found.took_part(FI, COUNTY)


def test_a_role_that_is_taken_binds_and_observers_send_nothing() -> None:
    """An act of the deciding office is any office's until one decides; who only observes, or takes no part, is silent."""
    decision = Act(
        name="decide", kind=ActKind.ACT, stop=False, opens=False, irreversible=False, moves={}, sender=DECIDES
    )
    found = _roster()
    assert may_send(decision, found, FI, COUNTY)
    assert not may_send(decision, found, FI, MINISTRY)
    decided = _roster(_change("JOINS", DECIDES, FI, MINISTRY), _change("JOINS", OBSERVES, FI, BOARD))
    assert not may_send(decision, decided, FI, COUNTY)
    assert may_send(decision, decided, FI, MINISTRY)
    assert may_send(decision, decided, EE, BOARD)
    assert not may_send(decision, decided, FI, BOARD)
    assert not may_send(None, decided, FI, BOARD)
    assert may_send(None, decided, FI, COUNTY)


def test_the_offices_that_a_message_would_bring_in_are_told_with_their_place() -> None:
    """Those that leave, or that no trust list names, are none."""
    assert named_offices("forward-notice", _notice(FI, MINISTRY)[1]) == (("/forwarded_to", MINISTRY, FI),)
    assert named_offices("forward-notice", _notice(FI, None)[1]) == ()
    joining = _change("JOINS", DECIDES, FI, MINISTRY)[1]
    assert named_offices("participant-change", joining) == (("/changes/0/office", MINISTRY, FI),)
    assert named_offices("participant-change", _change("LEAVES", DECIDES, FI, MINISTRY)[1]) == ()
    assert named_offices("status", {}) == ()
