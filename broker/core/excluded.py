# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""R-44: whoever is implicated is kept out of the exchange, as addressee, as sender, as participant, as the next office.

S004:760; H96 37. An office is known by its identifier in the trust list, or by its name as the list has it; a person is
named in words, which people read: that a person is to be kept out is shown with the message and judged by nobody here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from broker.core.corrected import as_corrected
from broker.core.ids import AuthorityId
from broker.core.messages import Body, ValidMessage
from broker.core.reasons import Earlier, Reason, block, this_too
from broker.core.sides import Side, Sides

__all__ = ["brought_in", "excluded"]

Office = Mapping[str, Any]


def excluded(message: ValidMessage, earlier: Sequence[Earlier], sides: Sides) -> Iterator[Reason]:
    """Yield what speaks against an office that this message or an earlier one keeps out."""
    # Without this message too: a correction lets nobody in by itself.
    readings = (*as_corrected(earlier), *as_corrected(this_too(earlier, message)))
    kept_out = [office for item in readings for office in _offices(item.body)]
    if not kept_out:
        return
    for side, code, who in (
        (sides.there, "addressee-excluded", "addressed"),
        (sides.here, "sender-excluded", "sending"),
    ):
        if any(_is(office, side, side.office) for office in kept_out):
            yield block(
                "R-44", code, "", f"The {who} office is one that is to be kept out: {_others(side, kept_out)}"
            )  # fmt: skip
    for where, office in brought_in(message.body):
        if any(_same(office, other) for other in kept_out):
            yield block("R-44", "office-excluded", where, "This office is to be kept out of the exchange.")


def _offices(body: Body) -> Sequence[Office]:
    found = body.get("handling", {}).get("excluded_offices", ())
    return [
        office for office in found if isinstance(office, Mapping)
    ]  # a correction may have put words into an empty list


def brought_in(body: Body) -> Iterator[tuple[str, Office]]:
    """Yield the offices that a message brings into the exchange, each with its place."""
    for position, change in enumerate(body.get("changes", ()) if isinstance(body.get("changes"), list) else ()):
        if change.get("change") == "JOINS" and "office" in change:
            yield f"/changes/{position}/office", change["office"]
    if "forwarded_to" in body:
        yield "/forwarded_to", body["forwarded_to"]


def _is(office: Office, side: Side, wanted: AuthorityId) -> bool:
    listed = next((one for one in side.offices if one.id == wanted), None)
    named = listed is not None and _spelled(listed.name) == _spelled(office["name"])
    return office["country"] == side.country and (office.get("authority") == wanted or named)


def _same(office: Office, other: Office) -> bool:
    by_id = "authority" in office and office.get("authority") == other.get("authority")
    return office["country"] == other["country"] and (by_id or _spelled(office["name"]) == _spelled(other["name"]))


def _others(side: Side, kept_out: Sequence[Office]) -> str:
    """Name the offices that could be asked instead."""
    free = [one.name for one in side.offices if not any(_is(office, side, one.id) for office in kept_out)]
    return (
        f"of {side.country} there are: {', '.join(free)}."
        if free
        else f"the trust list has no other one of {side.country}."
    )


def _spelled(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())  # decided here alone: any Unicode will do
