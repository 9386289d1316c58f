# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""`trm authority`: the offices of every country, and what this node's own country says of its offices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from broker.api.directory import members as form
from broker.cli import output
from broker.cli.input import office_id, parsed
from broker.core.errors import BadRequest, NotFound, TrustListInvalid
from broker.core.ids import AuthorityId, CountryCode
from broker.core.trust import ContactKind, Member, Weekday
from broker.home import MEMBER_FILE, read_own_member, write_own_member
from broker.settings import Settings
from broker.system import SystemClock
from broker.trust.member_documents import encode_member, parse_member
from broker.trust.opening import trust_in_force

__all__ = ["list_authorities", "set_authority"]

_HOURS = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? ([0-9:]{5})-([0-9:]{5})", re.ASCII)
_DAYS = [day.value for day in Weekday]


def list_authorities(home: Path, *, country: str | None, as_json: bool) -> None:
    """Print the offices of every country, or of one, by the trust list in force.

    Raises:
        BadRequest: the country is none.
        NotFound: it is no member.
        TrustListInvalid: there is no list to go by.
    """
    wanted = None if country is None else parsed(CountryCode, country, "--country")
    found = trust_in_force(Settings.load(home)).members
    if wanted is not None and wanted not in found:
        raise NotFound("The country is not in the trust list.", where="--country")
    listed = form([member for name, member in found.items() if wanted in (None, name)], SystemClock().now())
    output.answer(listed, as_json=as_json, people=lambda: _show(listed))


def _show(listed: dict[str, Any]) -> None:
    console = output.console()
    for member in listed["items"]:
        console.print(
            f"{member['country']}  {member['status']}{', without a node' if member['kind'] == 'PAPER' else ''}"
        )
        for office in member["authorities"]:
            console.print(output.plain(f"  {office['id']}  {office['name']}"))
            for line in _lines(office):
                console.print(output.plain(f"    {line}"))


def _lines(office: dict[str, Any]) -> list[str]:
    hours = (f"{' '.join(item['days'])} {item['opens']}-{item['closes']}" for item in office["opening_hours"])
    said = [
        f"{point['kind']}: {point['value']} {' '.join(point['languages'])}".rstrip()
        for point in office["contact_points"]
    ]
    for what, items in (
        ("open", [*hours, office["time_zone"]] if office["opening_hours"] else []),
        ("works in", office["languages"]),
        ("competent for", office["competences"]),
    ):
        if items:
            said.append(f"{what}: {', '.join(items)}")
    return said if office["sealable"] else [*said, "nothing can be sealed to it alone"]


def set_authority(
    home: Path,
    authority: str,
    *,
    name: str | None,
    languages: Sequence[str] | None,
    competences: Sequence[str] | None,
    time_zone: str | None,
    hours: Sequence[str] | None,
    contacts: Sequence[str] | None,
    as_json: bool,
) -> None:
    """Write what the country says of an office into the home's public document; a new office is added.

    Args:
        home: the node's home, or a copy of it.
        authority: the office's id.
        name: what it is called; a new one needs it.
        languages: those it works in; None, here and below: as it was.
        competences: what it may do, as ``<legal basis>:<SEND, RECEIVE or DECIDE>``.
        time_zone: name in the IANA database.
        hours: when it is open, as ``mon-fri 08:00-16:00``.
        contacts: how else it is reached, as ``duty-phone=+372 000 0000``.
        as_json: answer with one JSON document.

    Raises:
        BadRequest: something is not of its form, or nothing is said, or a new office has no name.
        HomeInvalid, DiskFull: the document cannot be read or written.
    """
    settings, office = Settings.load(home), office_id(authority, "ID")
    stated = {
        "name": name,
        "languages": _list(languages),
        "competences": _list(competences),
        "time_zone": time_zone,
        "opening_hours": None if hours is None else [_opening(text) for text in hours],
        "contact_points": None if contacts is None else [_contact(text) for text in contacts],
    }
    changed = {member: value for member, value in stated.items() if value is not None}
    if not changed:
        raise BadRequest("Say something of the office: its name, languages, hours or how it is reached.")
    before = read_own_member(settings.home, settings.country)
    after = _with(before, office, changed)
    write_own_member(settings.home, after)
    file = settings.home / MEMBER_FILE
    listed = form([after], SystemClock().now())["items"][0]

    def people() -> None:
        _show({"items": [listed]})
        output.console().print(
            f"Nothing changes for other countries yet. Next: trm trust update-member FOLDER {settings.country} --member "
            f"{output.word(file)}; {settings.country}'s officers sign, and it is published."
        )

    output.answer({"document": str(file.absolute()), **listed}, as_json=as_json, people=people)


def _with(member: Member, office: AuthorityId, changed: dict[str, Any]) -> Member:
    data = encode_member(member)
    listed: list[dict[str, Any]] = data["authorities"]
    held = next((item for item in listed if item["id"] == office), None)
    if held is None:
        if "name" not in changed:
            raise BadRequest("The document has no such office; a new one needs a name.", where="--name")
        listed.append(held := {"id": str(office)})
    held.update(changed)
    try:
        return parse_member(member.country, data)
    except TrustListInvalid as error:
        raise BadRequest(error.detail, where=error.where) from None


def _list(items: Sequence[str] | None) -> list[str] | None:
    return None if items is None else list(items)


def _opening(text: str) -> dict[str, Any]:
    found = _HOURS.fullmatch(text)
    if found is None or not {found[1], found[2] or found[1]} <= set(_DAYS):
        raise BadRequest("Hours are written like mon-fri 08:00-16:00, or sat 10:00-12:00.", where="--open")
    days = _DAYS[_DAYS.index(found[1]) : _DAYS.index(found[2] or found[1]) + 1]
    return {"days": days, "opens": found[3], "closes": found[4]}


def _contact(text: str) -> dict[str, Any]:
    kind, _, value = text.partition("=")
    if kind not in set(ContactKind) or not value:
        kinds = ", ".join(kind.value for kind in ContactKind)
        raise BadRequest(f"A contact is written as KIND=VALUE; the kinds are {kinds}.", where="--contact")
    return {"kind": kind, "value": value.strip(), "languages": []}
