# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Facts about who takes part in a procedure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from broker.core.ids import AuthorityId, CountryCode, MessageId, MessageType, SchemaVersion
from broker.core.messages import Header, Party
from broker.core.participants import Participant, may_send, participants
from broker.core.procedures import Act, ActKind, ParticipantRole

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


OPENING = (_message("ask", (EE, BOARD), (FI, COUNTY)), {})


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
    """Before any change the sender's office asks and the recipient's is asked; without an opening there is nobody."""
    assert participants([OPENING]) == (_in(EE, BOARD, ASKS), _in(FI, COUNTY, ASKED))
    assert participants([]) == ()


def test_offices_join_and_leave_by_their_own_side() -> None:
    """A change takes offices of its author's country in and out; the other participants stay."""
    joined = [OPENING, _change("JOINS", DECIDES, FI, MINISTRY)]
    assert participants(joined) == (_in(EE, BOARD, ASKS), _in(FI, COUNTY, ASKED), _in(FI, MINISTRY, DECIDES))
    assert participants([*joined, _change("LEAVES", DECIDES, FI, MINISTRY)]) == participants([OPENING])


def test_an_office_of_another_country_or_without_a_name_in_the_trust_list_never_joins() -> None:
    """Exactly two nodes are the sides of a record: nobody brings in the other side's offices or a third country's."""
    for country, authority in ((EE, MINISTRY), (CountryCode("SE"), MINISTRY), (FI, None)):
        assert participants([OPENING, _change("JOINS", OBSERVES, country, authority)]) == participants([OPENING])


def test_forwarding_hands_over_the_requested_role() -> None:
    """B2b 76: the office named is asked from now on, and the one that forwarded is not; abroad nothing is handed over."""
    for country, after in ((FI, MINISTRY), (CountryCode("SE"), COUNTY)):
        notice = _message("forward-notice", (FI, COUNTY), (EE, BOARD)), {"forwarded_to": _office(country, MINISTRY)}
        assert participants([OPENING, notice]) == (_in(EE, BOARD, ASKS), _in(FI, after, ASKED))


def test_a_role_that_is_taken_binds_and_observers_send_nothing() -> None:
    """An act of the deciding office is any office's until one decides; who only observes is told and is silent."""
    decision = Act(
        name="decide", kind=ActKind.ACT, stop=False, opens=False, irreversible=False, moves={}, sender=DECIDES
    )
    found = participants([OPENING])
    assert may_send(decision, found, FI, COUNTY)
    decided = participants([OPENING, _change("JOINS", DECIDES, FI, MINISTRY), _change("JOINS", OBSERVES, FI, BOARD)])
    assert not may_send(decision, decided, FI, COUNTY)
    assert may_send(decision, decided, FI, MINISTRY)
    assert not may_send(decision, decided, FI, BOARD)
    assert may_send(decision, decided, EE, BOARD)
