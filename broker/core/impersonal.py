# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""Safeguards for messages that name nobody: groups of children by number, and what members tell each other.

What a group fled from stands in its registration, since no nationality of a child does. A table's number may be
suppressed and still follow from the others; then it is not suppressed at all.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice, pairwise
from typing import Any

from broker.core.ids import CountryCode
from broker.core.messages import Body
from broker.core.reasons import Reason, Rule, block, hold

__all__ = ["IMPERSONAL_RULES", "personal_purpose", "possible_names"]

_CAPITAL = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
# What `parts/impersonal-text.json` refuses in a text: the purpose stands in the header, whose schema is every message's.
_PERSONAL = re.compile(
    r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F@]|[0-9]{5}|[0-9]{1,2}[./-] ?[0-9]{1,2}[./-] ?(?:19|20)[0-9]{2}"
    r"|(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}|[0-9]{6}[-+A][0-9]{3}"
)
_MOST = 50  # pairs of words in one message that are looked up: a text without names has few


def personal_purpose(purpose: str) -> Iterator[Reason]:
    """R-41: the purpose of a message about nobody holds no birth date, long number or address of mail either."""
    if _PERSONAL.search(purpose):
        text = (
            "The purpose holds what could be a person's number, birth date or address: a message about nobody has none."
        )
        yield block("R-41", "purpose-personal", "", text)


def possible_names(body: Body | str) -> Iterator[tuple[str, str]]:
    """Yield each place where two words in a row begin as names do, with the two words, the first ones of the message.

    R-41: no schema sees a name in a text; whether it is somebody's of this node's cases is looked up.
    """
    yield from islice(_pairs(body, ""), _MOST)


def _pairs(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _pairs(item, f"{where}/{name}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _pairs(item, f"{where}/{position}")
    elif isinstance(value, str) and " " in value:
        words = list(_CAPITAL.finditer(value))
        for first, second in pairwise(words):
            between = value[first.end() : second.start()]
            if not between.strip(" ,") and first[0][0].isupper() and second[0][0].isupper():
                yield where, f"{first[0]} {second[0]}"


def _fled_from(body: Body, country: CountryCode) -> Iterator[Reason]:
    """R-01, for a group: APR 7(2), RCD 27(10). A country that nobody recorded could be the addressee."""
    stated, where = body["origin_states"], "/origin_states"
    if country in stated.get("value", ()):
        yield block(
            "R-01", "contact-with-feared", where, "The group fled from this country: there is no contact with it."
        )
    elif "value" not in stated and "not_applicable" not in stated:
        yield hold(
            "R-01", "origin-not-known", where,
            "Which country the group fled from is not recorded: it could be the addressee.",
        )  # fmt: skip


def _group_danger(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-02; H96 37, B2b 89. Not knowing blocks like knowing."""
    answer, where = body["danger_assessment"]["would_endanger"], "/danger_assessment/would_endanger"
    if answer == "YES":
        yield block("R-02", "would-endanger", where, "The assessment says that sending this would endanger somebody.")
    elif answer != "NO":
        yield block("R-02", "danger-not-known", where, "The assessment does not say that sending this is safe.")


def _declared(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-39: that two people declared it, for 14 days at most, is held by the schema; a renewal is looked at again."""
    if body["declaration"]["renewals"]:
        yield hold("R-39", "surge-renewed", "/declaration/renewals", "Surge mode was renewed: is it still needed?")


def _adults(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-25; S004:720. A place together with an adult whose relationship nobody confirmed waits for a second person."""
    for position, child in enumerate(body["children"]):
        adult = child["with_adult"].get("value")
        if child["outcome"] == "PLACE_NAMED" and adult is not None and adult["checked"] != "CONFIRMED":
            yield hold(
                "R-25", "adult-not-checked", f"/children/{position}/with_adult/value/checked",
                "A child would go with an adult whose relationship to the child is not confirmed.",
            )  # fmt: skip


def _siblings(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-35; GC14, CRC 9. Siblings at different places, or one of them without a place, wait for a second person."""
    places: dict[str, set[str | None]] = defaultdict(set)
    for child in body["children"]:
        if "value" in child["siblings"]:
            named = child["outcome"] == "PLACE_NAMED"
            places[child["siblings"]["value"]].add(_place(child) if named else None)
    explained = {item["siblings"] for item in body["separated"]}
    for key in (key for key, found in places.items() if len(found) > 1):
        if key in explained:
            yield hold(
                "R-35", "siblings-separated", "/separated", "Siblings would be separated, for the reasons given."
            )
        else:
            yield block(
                "R-35", "siblings-separated-unexplained", "/separated", "Siblings would be separated without a reason."
            )


def _place(child: Mapping[str, Any]) -> str:
    """Tell offices apart by their country, kind and name, and forms of care within one office."""
    office = child["to"]
    return "\n".join((office["country"], office["kind"], office["name"], child["care"]))


def _cells(body: Body, _: CountryCode) -> Iterator[Reason]:
    """R-41; GDPR 5(1)(c). With the total shown, a single hidden number of one breakdown is the rest of it."""
    for number, table in enumerate(body["tables"]):
        if "count" not in table["total"]:
            continue
        hidden: dict[tuple[str, ...], int] = defaultdict(int)
        for row in table["rows"]:
            breakdown = (row["counted"], *sorted(name for name, fact in row.items() if _broken_down(fact)))
            hidden[breakdown] += "suppressed" in row["number"]
        if 1 in hidden.values():
            yield block(
                "R-41", "number-follows", f"/tables/{number}/rows",
                "One hidden number follows from the total: hide a second one, or the total.",
            )  # fmt: skip


def _broken_down(fact: Any) -> bool:
    return isinstance(fact, Mapping) and bool({"value", "unknown", "withheld"} & fact.keys())


def _by_schema(_: Body, __: CountryCode) -> Iterator[Reason]:
    """R-40, R-41: no person, no small number; held by the catalogue before this."""
    return iter(())


_NO_PERSON: Mapping[str, Rule] = {"R-41": _by_schema}

IMPERSONAL_RULES: Mapping[str, Mapping[str, Rule]] = {
    "surge.registration": {"R-01": _fled_from, "R-02": _group_danger, "R-39": _declared, **_NO_PERSON},
    "surge.capacity": _NO_PERSON,
    "surge.allocation": {"R-02": _group_danger, "R-25": _adults, "R-35": _siblings, **_NO_PERSON},
    "surge.closure": _NO_PERSON,
    "federation.trend": _NO_PERSON,
    "federation.statistics": {"R-41": _cells},
    "federation.directory-change": _NO_PERSON,
    "federation.outage": _NO_PERSON,
    "federation.exercise": {"R-40": _by_schema, **_NO_PERSON},
    "federation.arrangement": _NO_PERSON,
}
