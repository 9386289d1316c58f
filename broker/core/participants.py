# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Which offices take part in a procedure, and as what (CASEWORK E-4).

- The two nodes of a record are its sides for good; the offices behind them change, by signed messages of their own side:
  `participant-change` lets an office join or leave, `forward-notice` hands the requested role to the right office
  (B2b 76). An office of another country never takes part: it would need a record of its own with that country.
- Like the state, the participants are a pure function of the messages that took effect, in the record's order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Header
from broker.core.procedures import Act, ParticipantRole

__all__ = ["FORWARD_NOTICE", "PARTICIPANT_CHANGE", "Participant", "may_send", "participants"]

PARTICIPANT_CHANGE = "participant-change"
FORWARD_NOTICE = "forward-notice"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Participant:
    """One office in one role."""

    country: CountryCode
    authority: AuthorityId
    role: ParticipantRole


def participants(messages: Iterable[tuple[Header, Mapping[str, Any]]]) -> tuple[Participant, ...]:
    """Return who takes part after these messages, in the order of joining; the first one opened the procedure."""
    found: dict[Participant, None] = {}
    for position, (header, body) in enumerate(messages):
        if position == 0:
            found[_as(header.sender.country, header.sender.authority, ParticipantRole.REQUESTING)] = None
            found[_as(header.recipient.country, header.recipient.authority, ParticipantRole.REQUESTED)] = None
        elif header.type.act == PARTICIPANT_CHANGE:
            _change(found, header.sender.country, body)
        elif header.type.act == FORWARD_NOTICE:
            _forward(found, header, body)
    return tuple(found)


def may_send(act: Act, found: Iterable[Participant], country: CountryCode, authority: AuthorityId) -> bool:
    """Whether an office may send the act for its side: an observer never, and a role that is taken binds."""
    offices = [participant for participant in found if participant.country == country]
    own = {participant.role for participant in offices if participant.authority == authority}
    if own == {ParticipantRole.OBSERVING}:
        return False
    taken = any(participant.role is act.sender for participant in offices)
    return not taken or act.sender in own


def _as(country: CountryCode, authority: AuthorityId, role: ParticipantRole) -> Participant:
    return Participant(country=country, authority=authority, role=role)


def _change(found: dict[Participant, None], author: CountryCode, body: Mapping[str, Any]) -> None:
    for change in body["changes"]:
        office = change["office"]
        if office["country"] != author or "authority" not in office:
            continue
        participant = _as(author, AuthorityId(office["authority"]), ParticipantRole(change["role"]))
        if change["change"] == "JOINS":
            found[participant] = None
        else:
            found.pop(participant, None)


def _forward(found: dict[Participant, None], header: Header, body: Mapping[str, Any]) -> None:
    """Hand over the requested role; the office that forwarded is out of it."""
    office, country = body["forwarded_to"], header.sender.country
    if office["country"] != country or "authority" not in office:
        return
    for participant in [item for item in found if item.country == country]:
        if participant.role is ParticipantRole.REQUESTED:
            del found[participant]
    found[_as(country, AuthorityId(office["authority"]), ParticipantRole.REQUESTED)] = None
