# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Implicated offices stay out of the exchange."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from broker.core.excluded import excluded
from broker.core.ids import AuthorityId, CountryCode, Digest, MessageType
from broker.core.messages import Body, ValidMessage
from broker.core.reasons import Earlier
from broker.core.safeguards import Blocked, decide
from broker.core.sides import Side, Sides
from broker.core.trust import Authority
from broker.testing.valid_messages import valid_message

EE, FI = CountryCode("EE"), CountryCode("FI")
BOARD, COUNTY, OTHER = AuthorityId("board"), AuthorityId("county"), AuthorityId("other-county")
SIDES = Sides(
    here=Side(country=EE, office=BOARD, offices=(Authority(id=BOARD, name="Test-Amet"),)),
    there=Side(
        country=FI, office=COUNTY,
        offices=(Authority(id=COUNTY, name="Test-Alue"), Authority(id=OTHER, name="Toinen Test-Alue")),
    ),
    opening=False,
    day=date(2026, 11, 22),
)  # fmt: skip


def _message(body: Body, kind: str = "family-tracing.status") -> ValidMessage:
    return valid_message(kind, body)


def _office(country: str, name: str, authority: str | None = None) -> dict[str, Any]:
    office = {"name": name, "kind": "LOCAL_AUTHORITY", "country": country}
    return office if authority is None else {**office, "authority": authority}


def _keeps_out(*offices: dict[str, Any]) -> Earlier:
    body = {"handling": {"excluded_offices": list(offices)}}
    return Earlier(type=MessageType("family-tracing.request"), digest=Digest("a" * 64), author=EE, body=body)


@pytest.mark.parametrize(
    ("office", "expected"),
    [
        (_office("FI", "Whatever it is called", "county"), ["addressee-excluded"]),
        (_office("FI", "  TEST-alue "), ["addressee-excluded"]),
        (_office("SE", "Test-Alue", "county"), []),
        (_office("FI", "Toinen Test-Alue"), []),
        (_office("EE", "Test-Amet"), ["sender-excluded"]),
    ],
)
def test_an_office_that_is_kept_out_is_neither_written_to_nor_writes(
    office: dict[str, Any], expected: list[str]
) -> None:
    """R-44: by its identifier or its name in the trust list, whether this message says so or an earlier one; another is named."""
    later = list(excluded(_message({}), (_keeps_out(office),), SIDES))
    first = list(excluded(_message({"handling": {"excluded_offices": [office]}}), (), SIDES))

    assert [reason.code for reason in later] == [reason.code for reason in first] == expected
    if expected == ["addressee-excluded"]:
        assert later[0].text.endswith("of FI there are: Toinen Test-Alue.")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"changes": [{"change": "JOINS", "office": _office("FI", "Kolmas")}]}, ["/changes/0/office"]),
        ({"changes": [{"change": "LEAVES", "office": _office("FI", "Kolmas")}]}, []),
        ({"forwarded_to": _office("FI", "Kolmas")}, ["/forwarded_to"]),
        ({"forwarded_to": _office("FI", "Neljäs")}, []),
        ({"changes": "A later plan says here what changed, in words."}, []),
    ],
)
def test_an_office_that_is_kept_out_neither_joins_nor_is_forwarded_to(body: dict[str, Any], where: list[str]) -> None:
    """R-44 holds for participants and for the next office; one that leaves may be named."""
    found = list(excluded(_message(body), (_keeps_out(_office("FI", "kolmas")),), SIDES))

    assert [reason.where for reason in found if reason.code == "office-excluded"] == where


@pytest.mark.parametrize(
    ("office", "same"),
    [
        (_office("FI", "Under a new name", "third"), True),
        (_office("FI", "Kolmas", "fourth"), True),
        (_office("FI", "Another", "fourth"), False),
        (_office("FI", "Another"), False),
        (_office("SE", "Kolmas", "third"), False),
    ],
)
def test_an_office_is_the_same_by_its_identifier_or_its_name_in_its_country(office: dict[str, Any], same: bool) -> None:
    """R-44: a new name or another identifier lets nobody in; an office of another country is another one."""
    message = _message({"changes": [{"change": "JOINS", "office": office}]})
    found = excluded(message, (_keeps_out(_office("FI", "Kolmas", "third")),), SIDES)
    assert [reason.code for reason in found] == ["office-excluded"] * same


def test_a_name_is_known_however_its_letters_are_composed() -> None:
    """R-44: the trust list may hold a name in another Unicode form than a message, which looks the same to everybody."""
    kept_out = (_keeps_out(_office("FI", "Länsi-Näidis")),)
    listed = Authority(id=COUNTY, name="La\u0308nsi-Na\u0308idis")
    found = excluded(_message({}), kept_out, replace(SIDES, there=replace(SIDES.there, offices=(listed,))))

    assert [reason.code for reason in found] == ["addressee-excluded"]


def test_the_decision_is_a_block() -> None:
    """Nobody releases a message to an office that is implicated; without such an office nothing is asked."""
    kept_out = _keeps_out(_office("FI", "Test-Alue"))
    assert isinstance(decide(_message({}), (kept_out,), SIDES), Blocked)
    assert list(excluded(_message({}), (), SIDES)) == []


def _corrects(place: str, now: str, by: CountryCode = EE) -> Earlier:
    body = {"target": "a" * 64, "fields": [{"pointer": f"/handling/excluded_offices{place}", "now": {"value": now}}]}
    return Earlier(type=MessageType("family-tracing.correction"), digest=Digest("b" * 64), author=by, body=body)


def test_an_office_that_is_to_be_kept_out_counts_as_it_was_corrected() -> None:
    """R-44: the right office is kept out from then on, the wrong one no more; that it is, it does not hear of itself."""
    wrong = _keeps_out(_office("FI", "Toinen Test-Alue"))
    right = _corrects("/0/name", "Test-Alue")
    assert [one.code for one in excluded(_message({}), (wrong, right), SIDES)] == ["addressee-excluded"]
    assert list(excluded(_message({}), (wrong, _corrects("/0/name", "Test-Alue", FI)), SIDES)) == []
    kept = _keeps_out(_office("FI", "Test-Alue"))
    assert list(excluded(_message({}), (kept, _corrects("/0/name", "Toinen Test-Alue")), SIDES)) == []
    itself = _message(_corrects("/0/name", "Toinen Test-Alue").body, "family-tracing.correction")
    assert [one.code for one in excluded(itself, (kept,), SIDES)] == ["addressee-excluded"]


def test_words_in_an_empty_list_of_offices_keep_nobody_out() -> None:
    """R-44: a correction by the other side, which no schema holds, ends no later message as a fault of this node."""
    empty = _keeps_out()
    assert list(excluded(_message({}), (empty, _corrects("", "the county")), SIDES)) == []
