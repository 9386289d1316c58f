# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""R-43: one adult with several unrelated children is seen inside the country, and told to no other; S004:876.

Whether two names are one person, and whether children are related, is for people to say: the author is told, and an answer
that would let a child go with such an adult waits for a second person. The police decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from broker.core.ids import MessageType
from broker.core.messages import Body
from broker.core.persons import Person, PersonQuery
from broker.core.same_child import child_query, person_query

__all__ = ["REPLY", "adult_asked_about", "asks_about_adult", "with_another_child"]

REPLY = MessageType("relationship.reply")
_CONFIRMED = "CONFIRMED"


def asks_about_adult(kind: MessageType, body: Body) -> bool:
    """Whether other cases are looked through for an adult before this message leaves."""
    return _adult(body) is not None or (kind == REPLY and body.get("answer") == _CONFIRMED)


def adult_asked_about(kind: MessageType, body: Body, earlier: Sequence[Body]) -> PersonQuery | None:
    """Return the search for the adult of a message, or of the request, oldest first, that it confirms."""
    bodies = (body, *reversed(earlier)) if kind == REPLY else (body,)
    adult = next((found for found in map(_adult, bodies) if found is not None), None)
    return None if adult is None else person_query(adult)


def with_another_child(adult: PersonQuery, own: Sequence[Body], other: Body) -> bool:
    """Whether another case's message has that adult with a child that is not the one of these messages.

    A child that one of the cases does not name could be any: a person looks.
    """
    there = _adult(other)
    described = None if there is None else person_query(there)
    if described is None or not adult.fits(_as_person(described)):
        return False
    child = next((found for found in map(child_query, own) if found is not None), None)
    another = child_query(other)
    return child is None or another is None or not child.fits(_as_person(another))


def _adult(body: Body) -> Mapping[str, Any] | None:
    """Return who came with the child, as shown."""
    fact = body.get("accompanying_adult")
    told = body.get("adult", fact.get("value") if isinstance(fact, Mapping) else None)
    identity = told.get("identity") if isinstance(told, Mapping) else None
    return identity if isinstance(identity, Mapping) else None


def _as_person(query: PersonQuery) -> Person:
    return Person(words=query.words, births=frozenset() if query.born is None else frozenset({query.born}))
