# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The countries of the federation and their offices: to whom a message can go, and how an office is reached otherwise.

What is told stands in the trust list, signed by each country's own officers; a contact point is an office's, never a person's.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from aiohttp import web

from broker.api.answers import answer
from broker.api.requests import Query
from broker.api.schema_forms import TEXT, TRUTH, Schema, array_of, identifier, object_of, reference
from broker.api.services import ApiServices
from broker.core.ids import AuthorityId, CountryCode
from broker.core.trust import Authority, ContactKind, Member, MemberKind, MemberStatus, Weekday

__all__ = ["Directory", "directory_schemas", "members"]


class Directory:
    """The handler of /members."""

    def __init__(self, services: ApiServices) -> None:
        self._desk = services.desk

    async def list(self, request: web.Request) -> web.Response:
        """Return every country of the trust list in force, and its offices.

        Raises:
            BadRequest: there are parameters.
        """
        Query(request).finish()
        return answer(members(self._desk.trust.current().members.values(), self._desk.clock.now()))


def members(found: Iterable[Member], now: datetime) -> dict[str, Any]:
    """Return the form of these countries."""
    return {"items": [_member(member, now) for member in sorted(found, key=lambda member: member.country)]}


def _member(member: Member, now: datetime) -> dict[str, Any]:
    return {
        "country": member.country,
        "status": member.status.value,
        "kind": member.kind.value,
        "authorities": [_authority(office, now) for office in member.authorities],
    }


def _authority(office: Authority, now: datetime) -> dict[str, Any]:
    return {
        "id": office.id,
        "name": office.name,
        "languages": list(office.languages),
        "competences": list(office.competences),
        "time_zone": office.time_zone,
        "opening_hours": [hours.to_json() for hours in office.opening_hours],
        "contact_points": [point.to_json() for point in office.contact_points],
        "sealable": office.key_for_sealing(now) is not None,
    }


def directory_schemas() -> dict[str, Schema]:
    """Return the schemas of what `members` gives."""
    languages = {**array_of(TEXT), "description": "BCP 47."}
    hours = object_of(
        {
            "days": array_of({"type": "string", "enum": [day.value for day in Weekday]}),
            "opens": {"type": "string", "description": "HH:MM in the office's time zone."},
            "closes": {"type": "string", "description": "HH:MM; 24:00 is the end of the day."},
        }
    )
    point = object_of(
        {
            "kind": {"type": "string", "enum": [kind.value for kind in ContactKind]},
            "value": TEXT,
            "languages": languages,
        }
    )
    return {
        "Authority": object_of(
            {
                "id": identifier(AuthorityId),
                "name": TEXT,
                "languages": {**languages, "description": "In which it works (BCP 47)."},
                "competences": {
                    **array_of(TEXT),
                    "description": "Empty: nobody has said; else what it may do, by legal basis.",
                },
                "time_zone": {"type": ["string", "null"], "description": "Name in the IANA database."},
                "opening_hours": {**array_of(hours), "description": "Empty: not said."},
                "contact_points": array_of(point),
                "sealable": {**TRUTH, "description": "Whether something can be sealed to this office alone."},
            }
        ),
        "Member": object_of(
            {
                "country": identifier(CountryCode),
                "status": {"type": "string", "enum": [status.value for status in MemberStatus]},
                "kind": {
                    "type": "string",
                    "enum": [kind.value for kind in MemberKind],
                    "description": "PAPER: without a node.",
                },
                "authorities": array_of(reference("Authority")),
            }
        ),
        "MemberList": object_of({"items": array_of(reference("Member"))}),
    }
