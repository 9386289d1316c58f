# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""The directory of countries and offices, as the trust list has it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from broker.api.directory import members
from broker.core.ids import AuthorityId, CountryCode, KeyId
from broker.core.trust import (
    LONGEST_ENVELOPE_LIFE,
    Authority,
    AuthorityKey,
    ContactKind,
    ContactPoint,
    Member,
    MemberKind,
    MemberStatus,
    OpeningHours,
    Weekday,
)
from broker.testing.store_rows import NOW

DESK = AuthorityId("desk")


async def test_every_country_and_its_offices_are_listed(desk: Any) -> None:
    """In the order of their codes; what nobody said is empty."""
    listed = (await desk.ask("GET", "/api/v1/members", token=desk.token())).json["items"]

    assert [(item["country"], item["status"], item["kind"]) for item in listed] == [
        ("EE", "ACTIVE", "STATE"),
        ("FI", "ACTIVE", "STATE"),
    ]
    office = listed[1]["authorities"][0]
    assert (office["contact_points"], office["opening_hours"], office["sealable"]) == ([], [], False)


def test_how_an_office_is_reached_is_told() -> None:
    """Telephones, hours and languages as its country signed them; whether something can be sealed to it now."""
    key = AuthorityKey(
        kid=KeyId("A" * 43), public=b"", not_before=NOW, seal_until=NOW + timedelta(days=1),
        accept_until=NOW + timedelta(days=1) + LONGEST_ENVELOPE_LIFE,
    )  # fmt: skip
    office = Authority(
        id=DESK, name="Desk", languages=("fi", "sv"), competences=("B2B-82:RECEIVE",), time_zone="Europe/Helsinki",
        opening_hours=(OpeningHours(days=(Weekday.MON,), opens="08:00", closes="16:00"),),
        contact_points=(ContactPoint(kind=ContactKind.DUTY_PHONE, value="+358 000 0000", languages=("fi",)),),
        keys=(key,),
    )  # fmt: skip
    fi = Member(country=CountryCode("FI"), status=MemberStatus.SUSPENDED, authorities=(office,))
    paper = Member(country=CountryCode("EE"), kind=MemberKind.PAPER)
    told = members([fi, paper], NOW)

    assert told == {
        "items": [
            {"country": "EE", "status": "ACTIVE", "kind": "PAPER", "authorities": []},
            {
                "country": "FI",
                "status": "SUSPENDED",
                "kind": "STATE",
                "authorities": [
                    {
                        "id": "desk",
                        "name": "Desk",
                        "languages": ["fi", "sv"],
                        "competences": ["B2B-82:RECEIVE"],
                        "time_zone": "Europe/Helsinki",
                        "opening_hours": [{"days": ["mon"], "opens": "08:00", "closes": "16:00"}],
                        "contact_points": [{"kind": "duty-phone", "value": "+358 000 0000", "languages": ["fi"]}],
                        "sealable": True,
                    }
                ],
            },
        ]
    }
    assert members([fi], NOW + timedelta(days=1))["items"][0]["authorities"][0]["sealable"] is False
