# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Which offices take part in a procedure, and as what (CASEWORK E-4).

- The two nodes of a record are its sides for good; the offices behind them change, by signed messages of their own side:
  `participant-change` lets an office join or leave, `forward-notice` hands the requested role to the right office
  (B2b 76). An office of another country never takes part: it would need a record of its own with that country.
- Like the state, the participants are a pure function of the messages that took effect, in the record's order. A day
  from which an office takes part is for people: no clock enters.
- An office that handed its role on takes no part any more: it keeps what was addressed to it, and sees nothing new.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from broker.core.ids import AuthorityId, CountryCode
from broker.core.messages import Body, Header, Party
from broker.core.procedures import Act, ParticipantRole, Role

__all__ = ["SEATING", "Participant", "Roster", "may_send", "named_offices", "roster"]

PARTICIPANT_CHANGE = "participant-change"
FORWARD_NOTICE = "forward-notice"
SEATING = frozenset({PARTICIPANT_CHANGE, FORWARD_NOTICE})  # acts that change who takes part
_MAIN = {Role.REQUESTING: ParticipantRole.REQUESTING, Role.REQUESTED: ParticipantRole.REQUESTED}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Participant:
    """One office in one role."""

    country: CountryCode
    authority: AuthorityId
    role: ParticipantRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Who takes part now, in the order of joining, and who ever did."""

    now: tuple[Participant, ...]
    ever: frozenset[Party] = field(default=frozenset())

    def takes_part(self, country: CountryCode, authority: AuthorityId) -> bool:
        """Whether that office takes part now."""
        return any((one.country, one.authority) == (country, authority) for one in self.now)

    def took_part(self, country: CountryCode, authority: AuthorityId) -> bool:
        """Whether that office takes part or once did: a message that was under way may still name it."""
        return Party(country=country, authority=authority) in self.ever

    def offices(self, country: CountryCode) -> tuple[AuthorityId, ...]:
        """Return the offices of one side, each once."""
        return tuple(dict.fromkeys(one.authority for one in self.now if one.country == country))

    def main(self, country: CountryCode, side: Role) -> AuthorityId | None:
        """Return the office that asks or is asked for that side, the one that joined last; None where there is none."""
        found = [one.authority for one in self.now if one.country == country and one.role is _MAIN[side]]
        return found[-1] if found else None


def roster(requesting: Party, requested: Party, changes: Iterable[tuple[Header, Body]] = ()) -> Roster:
    """Return who takes part.

    Args:
        requesting: who opened the procedure.
        requested: whom the opening was addressed to.
        changes: the messages of `SEATING` that took effect, in the record's order.
    """
    found = {_as(requesting, ParticipantRole.REQUESTING): None, _as(requested, ParticipantRole.REQUESTED): None}
    ever = {requesting, requested}
    for header, body in changes:
        if header.type.act == PARTICIPANT_CHANGE:
            _change(found, header.sender.country, body)
        elif header.type.act == FORWARD_NOTICE:
            _forward(found, header.sender.country, body)
        ever |= {Party(country=one.country, authority=one.authority) for one in found}
    return Roster(now=tuple(found), ever=frozenset(ever))


def may_send(act: Act | None, found: Roster, country: CountryCode, authority: AuthorityId) -> bool:
    """Whether an office may send the act for its side: an observer never, and a role that is taken binds."""
    offices = [participant for participant in found.now if participant.country == country]
    own = {participant.role for participant in offices if participant.authority == authority}
    if own <= {ParticipantRole.OBSERVING}:
        return False
    bound = None if act is None else act.sender
    return bound is None or bound in own or not any(participant.role is bound for participant in offices)


def named_offices(act: str, body: Body) -> tuple[tuple[str, AuthorityId, CountryCode], ...]:
    """Return the offices that such a message would have take part, each with its place in the body."""
    if act == FORWARD_NOTICE:
        named = [("/forwarded_to", body["forwarded_to"])]
    elif act == PARTICIPANT_CHANGE:
        changes = enumerate(body["changes"])
        named = [(f"/changes/{at}/office", item["office"]) for at, item in changes if item["change"] == "JOINS"]
    else:
        named = []
    return tuple(
        (where, AuthorityId(office["authority"]), CountryCode(office["country"]))
        for where, office in named
        if "authority" in office
    )


def _as(office: Party, role: ParticipantRole) -> Participant:
    return Participant(country=office.country, authority=office.authority, role=role)


def _change(found: dict[Participant, None], author: CountryCode, body: Body) -> None:
    for change in body["changes"]:
        office = change["office"]
        if office["country"] != author or "authority" not in office:
            continue
        party = Party(country=author, authority=AuthorityId(office["authority"]))
        participant = _as(party, ParticipantRole(change["role"]))
        if change["change"] == "JOINS":
            found[participant] = None
        elif any(one.country == author and one != participant for one in found):  # somebody of each side stays
            found.pop(participant, None)


def _forward(found: dict[Participant, None], author: CountryCode, body: Body) -> None:
    """Hand over the requested role; the office that forwarded is out of it."""
    office = body["forwarded_to"]
    if office["country"] != author or "authority" not in office:
        return
    for participant in [item for item in found if item.country == author]:
        if participant.role is ParticipantRole.REQUESTED:
            del found[participant]
    found[_as(Party(country=author, authority=AuthorityId(office["authority"])), ParticipantRole.REQUESTED)] = None
