# SPDX-FileCopyrightText: The trm-broker authors
# SPDX-License-Identifier: Apache-2.0
"""By what the other procedures of a child are looked for: its name and birth, as one message tells them.

Towards each country, and in each procedure, a child has a pseudonym of its own; that two of them are one child is said by
nothing that travels. Who works on the case at this node finds the others by what the messages say, and decides (R-24).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broker.core.errors import BadRequest
from broker.core.messages import Body
from broker.core.persons import PersonQuery

__all__ = ["child_query", "person_query"]

_NAMES = ("given", "family")


def child_query(body: Body) -> PersonQuery | None:
    """Return the search for the child that a body describes; None where it names none well enough to look for."""
    child = body.get("child")
    described = child.get("named", child) if isinstance(child, Mapping) else None
    return person_query(described) if isinstance(described, Mapping) else None


def person_query(described: Mapping[str, Any]) -> PersonQuery | None:
    """Return the search for a described person; None where half a name is all that is known of somebody."""
    name, birth = described.get("name"), described.get("birth", {}).get("value")
    known = (
        [name[part]["value"] for part in _NAMES if "value" in name.get(part, {})] if isinstance(name, Mapping) else []
    )
    exact = isinstance(birth, Mapping) and birth.get("estimated") is False
    born = str(birth["date"]) if exact and "date" in birth else None
    if len(known) < len(_NAMES) and born is None:
        return None
    try:
        return PersonQuery.of(" ".join(map(str, known)) or None, born)
    except BadRequest:
        return None
