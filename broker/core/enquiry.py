# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""R-30: how the other side may enquire binds it; S004:760, 1238; H96 37.

A request says how far an enquiry may go, for the whole and for each person sought; the person's own binds. An answer says
how far it went. Where it went further, nothing undoes that: the answer must still get out, so that the asking office can
protect whom it endangers. A second person sees it before it leaves, and the asking office is called when it comes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from broker.core.ids import CountryCode, MessageType
from broker.core.messages import Body
from broker.core.reasons import Earlier, Reason, hold

__all__ = ["ASK_FIRST", "says_manner", "too_far", "wider_than_asked"]

# Which messages say how an office enquired; a test holds it against the schemas.
_ANSWERS = frozenset(
    {
        "best-interests.information", "carer-assessment.report", "child-information.reply", "danger-notice.found",
        "family-tracing.partial-result", "family-tracing.result", "identity.reply", "implementation.report",
        "relationship.reply",
    }
)  # fmt: skip
_WIDTH: Mapping[str, int] = {
    "NO_ENQUIRY": 0,
    "RECORDS_ONLY": 1,
    "ASK_SENDER_FIRST": 1,  # own records reach nobody; whether the sender was asked and agreed stands in words
    "DISCREET": 2,
    "CONTACT_WITHOUT_CHILD_LOCATION": 3,
    "CONTACT_ALLOWED": 4,
}

ASK_FIRST: Body = {"approach": "ASK_SENDER_FIRST"}  # what holds where nobody said more


def says_manner(kind: MessageType) -> bool:
    """Whether a message of that type says how an office enquired."""
    return kind in _ANSWERS


def too_far(kind: MessageType, body: Body, earlier: Sequence[Earlier], asked_by: CountryCode) -> Iterator[Reason]:
    """Yield what is to be looked at before an answer leaves; `earlier` as it reads now."""
    asked = [item.body for item in earlier if item.author == asked_by] if says_manner(kind) else ()
    for where in wider_than_asked(body, asked):
        text = "This enquiry went further than the asking office allowed, or it was to be asked first."
        yield hold("R-30", "wider-than-asked", where, text)


def wider_than_asked(body: Body, asked: Sequence[Body]) -> tuple[str, ...]:
    """Return each place at which an answer says a manner that the requests, oldest first, did not allow."""
    bound: int | None = None
    persons: dict[str, int] = {}
    for request in asked:
        if "approach" in request:
            bound, persons = _WIDTH.get(str(request["approach"]), 1), dict(_persons(request))
    return () if bound is None else tuple(_wider(body, "", bound, persons))


def _persons(node: Any) -> Iterator[tuple[str, int]]:
    """Yield the persons of a request by their keys, each with its own bound."""
    if isinstance(node, Mapping):
        if "person" in node and "approach" in node:
            yield str(node["person"]), _WIDTH.get(str(node["approach"]), 1)
        for item in node.values():
            yield from _persons(item)
    elif isinstance(node, list):
        for item in node:
            yield from _persons(item)


def _wider(node: Any, where: str, bound: int, persons: Mapping[str, int]) -> Iterator[str]:
    if isinstance(node, Mapping):
        bound = persons.get(str(node.get("person")), bound)
        for name, item in node.items():
            if name == "manner_used" and isinstance(item, str):
                if _WIDTH.get(item, 0) > bound:
                    yield f"{where}/{name}"
            else:
                yield from _wider(item, f"{where}/{name}", bound, persons)
    elif isinstance(node, list):
        for position, item in enumerate(node):
            yield from _wider(item, f"{where}/{position}", bound, persons)
